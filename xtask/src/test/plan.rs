//! What is run, in which order, and how long that usually takes.
//!
//! First what says something soon: format and lints. Then one build of everything, which shares with the lints what it
//! can. The virtual machines run beside all that comes after it, which waits most of its time; beside a compiler they
//! would only take its CPU, and their tests have deadlines.

use std::time::Duration;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Format,
    /// The BPF programs, which all that is compiled later embeds.
    Programs,
    Lints,
    Documents,
    Build,
    UnitTests,
    UndefinedBehaviour,
    Bounds,
    /// Starts the virtual machines in the background.
    Machines,
    EndToEnd,
    /// Clients from package registries meet faults.
    Clients,
    Campaigns,
    /// Waits for the virtual machines.
    Kernels,
}

/// Which of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// All that this machine can run.
    All,
    /// What answers in five minutes: of the end-to-end tests only effects and refusals.
    Quick,
    /// What can be said of the sources without running them.
    Lint,
    /// Only tests whose name contains this.
    Named(&'a str),
}

impl Choice<'_> {
    /// Its steps, in order.
    pub(super) const fn steps(self) -> &'static [Step] {
        match self {
            Self::All => &[
                Step::Format,
                Step::Programs,
                Step::Lints,
                Step::Build,
                Step::Documents,
                Step::Bounds,
                Step::Machines,
                Step::UnitTests,
                Step::UndefinedBehaviour,
                Step::EndToEnd,
                Step::Clients,
                Step::Campaigns,
                Step::Kernels,
            ],
            Self::Quick => &[
                Step::Format,
                Step::Programs,
                Step::Lints,
                Step::Build,
                Step::UnitTests,
                Step::EndToEnd,
            ],
            Self::Lint => &[Step::Format, Step::Lints, Step::Documents],
            Self::Named(_) => &[Step::Programs, Step::Build, Step::UnitTests, Step::EndToEnd],
        }
    }
}

impl Step {
    /// Its name, the same in the progress line and in the times at the end.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Programs => "build of the BPF programs",
            Self::Lints => "lints",
            Self::Documents => "dependencies and documents",
            Self::UnitTests => "unit and property tests",
            Self::UndefinedBehaviour => "undefined behaviour (miri)",
            Self::Build => "build of injector and all tests",
            Self::Bounds => "bounds of the BPF programs on this host",
            Self::Machines => "start of the virtual machines, which run beside the next steps",
            Self::EndToEnd => "end-to-end tests",
            Self::Clients => "clients from package registries",
            Self::Campaigns => "campaigns",
            Self::Kernels => "the rest of the tests on other kernels",
        }
    }

    /// How long it takes on two cores where nothing is built yet, until a run on this machine has told.
    pub(super) const fn usual(self) -> Duration {
        let seconds = match self {
            Self::Format | Self::Bounds => 5,
            Self::Machines => 0,
            Self::Documents | Self::UndefinedBehaviour => 10,
            Self::Programs | Self::UnitTests => 60,
            Self::Lints | Self::Clients => 150,
            Self::Build => 400,
            Self::Campaigns => 300,
            Self::EndToEnd => 820,
            Self::Kernels => 120,
        };
        Duration::from_secs(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_run_after_the_last_build_and_are_waited_for() {
        let steps = Choice::All.steps();
        let place = |wanted| steps.iter().position(|step| *step == wanted).unwrap();
        assert!(place(Step::Programs) < place(Step::Lints));
        assert!(place(Step::Build) < place(Step::Bounds));
        assert!(place(Step::Bounds) < place(Step::Machines));
        assert!(place(Step::Machines) < place(Step::EndToEnd));
        assert_eq!(steps.last(), Some(&Step::Kernels));
    }
}
