//! What a campaign came to.

use std::error::Error;
use std::fmt::{self, Write};
use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;

/// Why a campaign cannot be run on this host at all.
#[derive(Debug)]
pub(crate) struct NotHere(pub(crate) &'static str);

impl fmt::Display for NotHere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Error for NotHere {}

/// Counts, and every promise that was broken.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Runs that were armed.
    pub(crate) runs: u64,
    /// Of those, how many the victim felt; or hits, where the campaign counts them.
    pub(crate) hits: u64,
    /// Promises broken, each in a sentence.
    pub(crate) violations: Vec<String>,
    /// Faults that this host refuses.
    pub(crate) refused: Vec<String>,
    /// Figures worth knowing.
    pub(crate) figures: Vec<String>,
}

impl Outcome {
    /// Adds what another part has seen.
    pub(crate) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.hits += other.hits;
        self.violations.extend(other.violations);
        self.refused.extend(other.refused);
        self.figures.extend(other.figures);
    }

    /// Notes a broken promise.
    pub(crate) fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("VIOLATION: {what}");
        self.violations.push(what);
    }

    /// Notes it where a check fails.
    pub(crate) fn check(&mut self, what: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.violated(format!("{what}: {error:#}"));
        }
    }

    /// Nothing was broken, and something could have been.
    pub(crate) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.runs > 0 && self.hits > 0
    }

    /// A row for people: with no violation in N runs, the true rate is below 3/N with 95 % certainty.
    pub(crate) fn row(&self, name: &str, seed: u64) -> String {
        let kernel = rustix::system::uname();
        let kernel = kernel.release().to_string_lossy().into_owned();
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        let bound = 300.0 / self.runs.max(1) as f64;
        let mut text = String::new();
        if !self.refused.is_empty() {
            let _ = writeln!(text, "refused here: {}", self.refused.join(", "));
        }
        for figure in &self.figures {
            let _ = writeln!(text, "{figure}");
        }
        let _ = write!(
            text,
            "| {name} | {kernel} | seed {seed} | {} runs | {} hits | {} violations | below {bound:.2} % |",
            self.runs,
            self.hits,
            self.violations.len()
        );
        text
    }
}

/// How long the guardian and the recorder of a run that was killed may take to put back what it changed, and to
/// write that down.
const CONCLUDED: Duration = Duration::from_secs(2);

/// Every run is on record, and none is thought to go on. What died without a supervisor is swept first.
pub(crate) fn journals(injector: &Injector, runs: u64) -> Result<()> {
    sweep(injector)?;
    let over = || {
        let listed = injector.once(&["list", "--json"])?.stdout;
        Ok((!listed.contains("\"running\"")).then_some(listed))
    };
    let text = eventually("every run to be over on record", CONCLUDED, over)?;
    let told = text.matches("\"run\":").count() as u64;
    ensure!(told >= runs, "{told} of {runs} runs are on record");
    let damaged = text.matches("\"damaged_lines\":").count();
    let whole =
        text.matches("\"damaged_lines\":0").count() + text.matches("\"damaged_lines\": 0").count();
    ensure!(damaged == whole, "journals have damaged lines: {text}");
    Ok(())
}

/// Puts back what died without a supervisor.
pub(crate) fn sweep(injector: &Injector) -> Result<()> {
    let swept = injector.once(&["sweep"])?;
    ensure!(swept.code == Some(0), "sweep: {swept:?}");
    Ok(())
}
