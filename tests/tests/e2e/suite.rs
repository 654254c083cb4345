//! How the tests are run.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use injector_tests::lack::Lack;
use injector_tests::leftovers;
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::fs::{FlockOperation, flock};

use crate::company::{Company, Host};
use crate::matrix::{Selection, selection};
use crate::needs::{Need, TCX, lacks};
use crate::times::Times;

/// One test.
pub(crate) struct Case {
    name: String,
    shows: Option<String>,
    needs: Vec<Need>,
    company: Company,
    run: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Case {
    /// A test that runs where all of `needs` are there.
    pub(crate) fn new(
        name: impl Into<String>,
        needs: &[Need],
        run: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            shows: None,
            needs: needs.to_vec(),
            company: Company::Alone,
            run: Box::new(run),
        }
    }

    /// The same test, which from now on tells whether this fault works on a kernel: `net delay`.
    pub(crate) fn shows(mut self, fault: impl Into<String>) -> Self {
        self.shows = Some(fault.into());
        self
    }

    /// The same test, which may run beside others that touch nothing of its own.
    pub(crate) fn beside_others(mut self) -> Self {
        self.company = Company::Others;
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The fault that it tells about.
    pub(crate) fn shown_fault(&self) -> Option<&str> {
        self.shows.as_deref()
    }

    /// The same test with one more need.
    pub(crate) fn also_needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }
}

/// Tests that run at the same time, of those that may.
const AT_ONCE: usize = 4;

/// Runs the tests that the command line asks for.
pub(crate) fn run(mut cases: Vec<Case>) -> ExitCode {
    // One that runs alone waits for a whole group to end, so those come last; otherwise in their order.
    cases.sort_by_key(|case| case.company);
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(match selection() {
        // An emulated processor is slow enough with one.
        Selection::Matrix => 1,
        // Without TCX each run makes and removes a qdisc of `lo`, and the kernel drops packets of all others meanwhile.
        Selection::All | Selection::Quick if is_without_tcx() => 1,
        Selection::All | Selection::Quick => AT_ONCE,
    });
    // Two runs at once would see each other's residue.
    let lock = take_lock();
    if let Err(error) = &lock {
        eprintln!("running without the lock that keeps other runs away: {error:#}");
    }
    if !arguments.list {
        leftovers::sweep();
    }
    let (times, host) = (Arc::new(Times::default()), Arc::new(Host::default()));
    let wanted = |name: &str| {
        !arguments.list
            && arguments
                .filter
                .as_ref()
                .is_none_or(|filter| name.contains(filter.as_str()))
    };
    let trials = cases
        .into_iter()
        .map(|case| {
            let missing = case.needs.iter().find_map(|need| need());
            if let Some(reason) = missing.as_ref().filter(|_reason| wanted(&case.name)) {
                println!("skipped {}: {reason}", case.name);
            }
            if let Some(fault) = case.shows.as_ref().filter(|_fault| wanted(&case.name)) {
                println!("shows {}: {fault}", case.name);
            }
            let Case {
                name, company, run, ..
            } = case;
            let (named, times, host) = (name.clone(), Arc::clone(&times), Arc::clone(&host));
            let test = move || {
                host.enter(&named, company)
                    .map_err(|error| failed(&error))?;
                let began = Instant::now();
                let outcome = between_snapshots(&named, run, &host);
                times.took(&named, began.elapsed());
                outcome
            };
            Trial::test(name, test).with_ignored_flag(missing.is_some())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        println!("\n{times}");
    }
    conclusion.exit_code()
}

fn is_without_tcx() -> bool {
    matches!(lacks(TCX), Ok(Some(_why)))
}

/// Runs a test and fails it also where the host is not as it was.
///
/// A test that could go no further because the injector refused for want of something on the host is told and is no
/// failure, if nothing was attached.
fn between_snapshots(
    name: &str,
    run: Box<dyn FnOnce() -> Result<()> + Send>,
    host: &Host,
) -> Result<(), Failed> {
    // Of the test before, on the same thread.
    let _old = Lack::take_last();
    let outcome = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", words_of(panic.as_ref()))));
    let residue = host.leave();
    match (outcome, residue) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), Ok(())) => {
            let direct = error.downcast_ref::<Lack>().cloned();
            // Tests of refusals are about the sentence itself.
            let means = || Lack::take_last().filter(|_| !name.starts_with("refusal::"));
            let Some(lack) = direct.or_else(means) else {
                return Err(failed(&error));
            };
            println!("refused {name}: {lack}");
            Ok(())
        }
        (Ok(()), Err(error)) => Err(failed(&error)),
        (Err(error), Err(residue)) => Err(format!("{error:#}\nand {residue:#}").into()),
    }
}

fn failed(error: &anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

fn take_lock() -> Result<File> {
    let path = std::env::temp_dir().join("injector-tests.lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    flock(&file, FlockOperation::LockExclusive).context("cannot lock it")?;
    Ok(file)
}
