//! Which commands work on a host, by what it offers.
//!
//! Each command is tried by its own examples: they are planned as a run would be, for a host that offers what the
//! probes have found, and what the plan needs is looked up there. So a fault that has several mechanisms works where
//! one of them does.
//!
//! Rejected: a table of commands and what they need. The planner has it, and would have another one a version later.

use crate::cli::{Action, examples::EXAMPLES, parse};
use injector_host::kernel::capability::Capability;
use injector_plan::{Names, Need, Plan};
use injector_spec::experiment::Experiment;

/// What only some mechanisms of a fault reach, beside its examples: calls that no security hook sees.
const BESIDES: [(&str, &str, &str); 2] = [
    (
        "sys",
        "error",
        "--syscall getrandom --errno EIO --pid 4711 --duration 30s",
    ),
    (
        "sys",
        "delay",
        "--syscall getrandom --delay-enter 1s --pid 4711 --duration 30s",
    ),
];

/// How it stands with one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Works {
    /// All that was tried works.
    Whole,
    /// Some of it does.
    Part,
    /// Nothing does.
    Not,
}

/// A command, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) family: &'static str,
    pub(super) fault: &'static str,
    pub(super) works: Works,
    /// Needs that are missing, each once.
    pub(super) lacks: Vec<Need>,
}

/// A verdict on each command, by family.
pub(super) fn verdicts(survey: &[Capability]) -> Vec<Verdict> {
    EXAMPLES
        .into_iter()
        .map(|(family, fault, lines)| {
            let besides = BESIDES
                .into_iter()
                .filter(|(f, name, _)| (*f, *name) == (family, fault));
            let lines = lines.into_iter().chain(besides.map(|(_, _, line)| line));
            let tried: Vec<_> = lines
                .filter_map(|line| experiment(family, fault, line))
                .map(|experiment| missing(&experiment, survey))
                .collect();
            let failed = tried.iter().filter(|lacks| !lacks.is_empty()).count();
            let mut lacks: Vec<_> = tried.iter().flatten().copied().collect();
            lacks.sort_unstable();
            lacks.dedup();
            let works = match failed {
                0 => Works::Whole,
                failed if failed == tried.len() => Works::Not,
                _ => Works::Part,
            };
            Verdict {
                family,
                fault,
                works,
                lacks,
            }
        })
        .collect()
}

/// Whether the survey has found this.
pub(super) fn capability(survey: &[Capability], need: Need) -> Option<&Capability> {
    survey
        .iter()
        .find(|capability| capability.name == need.name())
}

/// What a command line asks for.
fn experiment(family: &str, fault: &str, line: &str) -> Option<Experiment> {
    let words = ["injector", family, fault].into_iter();
    let words = words.chain(line.split(' '));
    match parse(words.map(|word| word.trim_matches('\'').into())) {
        Ok(Action::Arm(arming)) => Some(arming.experiment),
        _ => None,
    }
}

/// What the host lacks for it.
fn missing(experiment: &Experiment, survey: &[Capability]) -> Vec<Need> {
    let offers = |need| capability(survey, need).is_some_and(|found| found.missing.is_none());
    // What is possible on no host is not in an example; names are looked up when a run starts.
    let plan = Plan::make(experiment, &Names::default(), 0, &offers);
    let plan = plan.or_else(|_| Plan::make(experiment, &Names::default(), 0, &|_| true));
    let needs = plan.map(|plan| plan.needs()).unwrap_or_default();
    needs.into_iter().filter(|need| !offers(*need)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_host::kernel::capability::Missing;

    fn survey(lacks: &[Need]) -> Vec<Capability> {
        let found = |need: Need| Capability {
            name: need.name().into(),
            serves: need.serves().into(),
            missing: lacks.contains(&need).then(|| Missing {
                why: "no".into(),
                remedy: need.remedy().into(),
            }),
        };
        Need::ALL.into_iter().map(found).collect()
    }

    fn of(verdicts: &[Verdict], family: &str, fault: &str) -> (Works, Vec<Need>) {
        let found = verdicts
            .iter()
            .find(|verdict| (verdict.family, verdict.fault) == (family, fault));
        found
            .map(|verdict| (verdict.works, verdict.lacks.clone()))
            .unwrap()
    }

    #[test]
    fn a_host_that_offers_everything_has_every_command() {
        let verdicts = verdicts(&survey(&[]));
        assert_eq!(verdicts.len(), EXAMPLES.len());
        assert!(verdicts.iter().all(|verdict| verdict.works == Works::Whole));
    }

    #[test]
    fn what_is_missing_is_known_by_the_commands_that_need_it() {
        let verdicts = verdicts(&survey(&[Need::Tap]));
        assert_eq!(of(&verdicts, "net", "delay"), (Works::Not, vec![Need::Tap]));
        assert_eq!(of(&verdicts, "net", "loss").0, Works::Whole);
        // Only damage on the wire needs the delay line.
        assert_eq!(
            of(&verdicts, "net", "corrupt"),
            (Works::Part, vec![Need::Tap])
        );
    }

    #[test]
    fn one_mechanism_of_several_is_enough() {
        let verdicts = verdicts(&survey(&[Need::Lsm, Need::KprobeOverride]));
        assert_eq!(of(&verdicts, "sys", "error").0, Works::Whole);
        let every_one = [
            Need::Lsm,
            Need::SecurityReturn,
            Need::SyscallReturn,
            Need::KprobeOverride,
            Need::AddressErrno,
        ];
        let verdicts = super::verdicts(&survey(&every_one));
        assert_eq!(of(&verdicts, "sys", "error").0, Works::Not);
        let verdicts = super::verdicts(&survey(&[Need::SyscallReturn, Need::KprobeOverride]));
        assert_eq!(of(&verdicts, "sys", "error").0, Works::Part);
    }

    #[test]
    fn what_is_tried_besides_is_understood() {
        for (family, fault, line) in BESIDES {
            assert!(experiment(family, fault, line).is_some(), "{line}");
        }
    }
}
