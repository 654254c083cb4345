//! What the demo prints, in less than 40 lines of 100 columns.

use std::{fmt::Write as _, io, time::Duration};

use super::{
    act::Act,
    cast::{Cast, Meanwhile},
    figures::Figures,
    verdict::Finding,
};
use injector_record::report::RunReport;

/// A phase: its name, and what both clients met in it.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) met: Meanwhile,
}

impl Row {
    pub(super) fn of(name: &str, met: Meanwhile) -> Self {
        let name = name.to_owned();
        Self { name, met }
    }

    /// The row of the table.
    pub(super) fn line(&self) -> String {
        let Meanwhile { target, bystander } = &self.met;
        format!(
            "  {:<12} {}   {}",
            self.name,
            columns(target),
            columns(bystander)
        )
    }
}

fn columns(figures: &Figures) -> String {
    let median = figures.median.map_or_else(|| "-".to_owned(), time);
    format!(
        "{:>7} {:>7} {median:>10}",
        figures.calls,
        figures.failures()
    )
}

/// A duration in milliseconds.
pub(super) fn time(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// The name that a person knows an errno by.
pub(super) fn reason(errno: i32) -> String {
    match errno {
        0 => "no answer in time".to_owned(),
        errno => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            text[..end].to_lowercase()
        }
    }
}

/// Who takes part, what is done, and the head of the table.
pub(super) fn opening(cast: &Cast, acts: &[Act]) -> String {
    let [server, target, bystander] = cast.pids();
    let mut text = format!(
        "Two processes call one server on this host again and again. Faults are for the target alone.\n\n  \
         server {server}, target {target}, bystander {bystander}\n"
    );
    for act in acts {
        let _ = writeln!(text, "  $ {}", act.command(target));
    }
    let heads = format!("{:>7} {:>7} {:>10}", "calls", "failed", "median");
    let _ = writeln!(
        text,
        "\n  {:<12} {:>26}   {:>26}",
        "", "target", "bystander"
    );
    let _ = write!(text, "  {:<12} {heads}   {heads}", "phase");
    text
}

/// What was left out, what holds, and where the record is.
pub(super) fn closing(
    refused: &[(Act, String)],
    findings: &[Finding],
    reports: &[RunReport],
) -> String {
    let mut text = String::new();
    for (act, why) in refused {
        let _ = writeln!(text, "\n  not shown: {}", act.name());
        text.push_str(&folded(why));
    }
    text.push('\n');
    for finding in findings {
        let mark = if finding.is_good { "ok  " } else { "FAIL" };
        let _ = writeln!(text, "  {mark} {:<32} {}", finding.what, finding.evidence);
    }
    let runs: Vec<String> = reports
        .iter()
        .map(|report| report.run.to_string())
        .collect();
    let _ = write!(
        text,
        "\n  on record: injector audit {}",
        runs.join(", injector audit ")
    );
    text
}

/// A sentence in lines that fit, indented.
fn folded(text: &str) -> String {
    const WIDTH: usize = 96;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!(" {word}")),
        }
    }
    let mut folded = String::new();
    for line in lines {
        let _ = writeln!(folded, "   {line}");
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_fits_the_terminal() {
        let text = folded(&"seven words of eight letters stand here ".repeat(9));
        assert!(text.lines().count() > 3);
        for line in text.lines() {
            assert!(line.starts_with("    ") && line.len() <= 100, "{line:?}");
        }
    }

    #[test]
    fn errnos_have_names() {
        assert_eq!(reason(libc::ECONNREFUSED), "connection refused");
        assert_eq!(reason(0), "no answer in time");
    }
}
