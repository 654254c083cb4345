//! `cargo xtask test`: every test that this machine can run, and a count that hides nothing.
//!
//! A step that fails does not stop the later ones. What cannot run here is a counted skip with its
//! reason; what could run and did not is a failure. [`plan`] has the order of the steps and its reason,
//! [`progress`] says where a run stands.

mod plan;
mod progress;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    sync::Arc,
    thread::{self, Scope, ScopedJoinHandle},
    time::Instant,
};

pub(crate) use self::plan::Choice;
use self::{
    plan::Step,
    progress::{Progress, minutes},
};
use crate::{
    build, campaign,
    clients::{self, Book, Calls},
    libtest, openapi,
    paths::Project,
    process::{self, CommandFailed, announce},
    report::Report,
    root,
    toolchain::{Toolchain, has_subcommand},
    vm,
};

/// Runs the steps of this choice and counts.
pub(crate) fn run(project: &Project, choice: Choice<'_>) -> ExitCode {
    let mut progress = Progress::begin(project, choice.steps());
    let report = thread::scope(|scope| {
        let mut steps = Steps::new(project, choice);
        for (place, step) in choice.steps().iter().enumerate() {
            progress.enter(place);
            let began = Instant::now();
            steps.perform(*step, scope);
            progress.left(place, began.elapsed());
        }
        steps.report
    });
    println!("\n{report}");
    announce(&format!("all of it took {}", minutes(progress.gone())));
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Steps<'scope> {
    project: &'scope Project,
    choice: Choice<'scope>,
    report: Report,
    /// The end-to-end tests, once they are built.
    program: Option<PathBuf>,
    bounds: vm::Bounds,
    machines: Option<ScopedJoinHandle<'scope, vm::Told>>,
    /// What this host does beside the machines.
    work: Arc<vm::Work>,
}

impl<'scope> Steps<'scope> {
    fn new(project: &'scope Project, choice: Choice<'scope>) -> Self {
        Self {
            project,
            choice,
            report: Report::default(),
            program: None,
            bounds: vm::Bounds::default(),
            machines: None,
            work: Arc::default(),
        }
    }

    fn perform(&mut self, step: Step, scope: &'scope Scope<'scope, '_>) {
        match step {
            Step::Format => self.format(),
            Step::Programs => self.programs(),
            Step::Lints => self.lints(),
            Step::Documents => {
                self.dependencies();
                openapi::lint(self.project, &mut self.report);
            }
            Step::UnitTests => self.unit_tests(),
            Step::UndefinedBehaviour => self.undefined_behaviour(),
            Step::Build => self.build(),
            Step::Bounds => self.bounds(),
            Step::Machines => self.start_machines(scope),
            Step::EndToEnd => self.end_to_end(),
            Step::Clients => self.clients(),
            Step::Campaigns => self.campaigns(),
            Step::Kernels => self.kernels(),
        }
    }

    fn filter(&self) -> Option<&'scope str> {
        match self.choice {
            Choice::Named(filter) => Some(filter),
            Choice::All | Choice::Quick | Choice::Lint => None,
        }
    }

    fn format(&mut self) {
        if !has_subcommand("fmt") {
            return self
                .report
                .skip("format", &"run `rustup component add rustfmt`");
        }
        self.check("format", &mut self.project.cargo("fmt --all --check"));
        let mut bpf = self.project.cargo("fmt --check");
        self.check(
            "format of the BPF programs",
            bpf.current_dir(self.project.bpf_crate()),
        );
    }

    fn lints(&mut self) {
        if !has_subcommand("clippy") {
            return self
                .report
                .skip("lints", &"run `rustup component add clippy`");
        }
        let mut clippy = self.project.compile("clippy");
        clippy.args(["--all-targets", "--", "-D", "warnings"]);
        self.check("lints", &mut clippy);
        let bpf = Toolchain::ensure(self.project)
            .and_then(|toolchain| toolchain.cargo(self.project, "clippy"));
        match bpf {
            Ok(mut clippy) => {
                self.check(
                    "lints of the BPF programs",
                    clippy.args(["--", "-D", "warnings"]),
                );
            }
            Err(error) => self
                .report
                .fail("lints of the BPF programs", &format!("{error:#}")),
        }
    }

    fn dependencies(&mut self) {
        const WHAT: &str = "licences and advisories of dependencies (cargo-deny)";
        if !has_subcommand("deny") {
            let remedy = "cargo-deny is not installed; run `cargo install --locked cargo-deny`";
            return self.report.skip(WHAT, &remedy);
        }
        self.check(WHAT, &mut self.project.cargo("deny check"));
    }

    /// Those of all crates: every test but the end-to-end tests, which need root.
    fn unit_tests(&mut self) {
        let what = Step::UnitTests.name();
        let tests = match self.project.tested_targets(build::END_TO_END) {
            Ok(tests) => tests,
            Err(error) => return self.report.fail(what, &format!("{error:#}")),
        };
        let mut cargo = self.project.compile("test");
        cargo.args(["--no-fail-fast", "--lib"]).args(tests);
        self.harness(what, cargo.args(self.filter()));
    }

    fn undefined_behaviour(&mut self) {
        const WHAT: &str = "undefined behaviour in injector-common (miri)";
        // Through rustup: miri needs a nightly, and the cargo that started us is the pinned one.
        let nightly = |arguments: &[&str]| {
            let mut rustup = Command::new("rustup");
            rustup
                .args(["run", "nightly", "cargo", "miri"])
                .args(arguments);
            rustup
                .current_dir(self.project.root())
                .env("CARGO_TARGET_DIR", self.project.target());
            rustup
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("CARGO")
                .env_remove("RUSTC");
            rustup
                .env_remove("LD_LIBRARY_PATH")
                .env("MIRIFLAGS", "-Zmiri-disable-isolation");
            // Interpreted code is some hundred times slower; a few cases walk the same paths.
            rustup.env("PROPTEST_CASES", "8");
            rustup
        };
        if process::answer(&mut nightly(&["--version"])).is_none() {
            let remedy = "miri is not installed; run `rustup toolchain install nightly \
                          --component miri,rust-src`";
            return self.report.skip(WHAT, &remedy);
        }
        let mut miri = nightly(&["test", "-p", "injector-common", "--lib"]);
        self.harness(WHAT, &mut miri);
    }

    fn programs(&mut self) {
        let what = Step::Programs.name();
        let began = Instant::now();
        let built = build::bpf_programs(self.project);
        self.report.took(what, began);
        match built {
            Ok(_object) => self.report.pass(),
            Err(error) => self.report.fail(what, &format!("{error:#}")),
        }
    }

    /// Built even where they cannot run: that they compile is worth knowing.
    fn build(&mut self) {
        let what = Step::Build.name();
        let began = Instant::now();
        let built = build::all_targets(self.project);
        self.report.took(what, began);
        match built {
            Ok(program) => self.program = Some(program),
            Err(error) => self.report.fail(what, &format!("{error:#}")),
        }
    }

    /// Asked before the machines start, so that no program is loaded here beside the end-to-end tests.
    fn bounds(&mut self) {
        if self.program.is_none() {
            return;
        }
        match vm::bounds_here(self.project) {
            Ok(bounds) => self.bounds = bounds,
            Err(error) => self.report.fail(Step::Bounds.name(), &format!("{error:#}")),
        }
    }

    fn start_machines(&mut self, scope: &'scope Scope<'scope, '_>) {
        let Some(program) = self.program.clone() else {
            return;
        };
        let project = self.project;
        let bounds = std::mem::take(&mut self.bounds);
        let work = Arc::clone(&self.work);
        self.machines = Some(scope.spawn(move || {
            let began = Instant::now();
            let mut told = vm::everywhere(project, &program, bounds, &work);
            told.report
                .took("tests on other kernels, beside other steps", began);
            told
        }));
    }

    fn kernels(&mut self) {
        let what = Step::Kernels.name();
        let Some(machines) = self.machines.take() else {
            return self
                .report
                .fail(what, &"without a build there was nothing to run");
        };
        let began = Instant::now();
        self.work.end();
        let ended = machines.join();
        self.report.took(what, began);
        match ended {
            Ok(told) => {
                println!("{}", told.tables);
                self.report.add(told.report);
            }
            Err(_panic) => self
                .report
                .fail(what, &"the thread of the machines panicked"),
        }
    }

    fn end_to_end(&mut self) {
        let what = Step::EndToEnd.name();
        let Some(program) = &self.program else {
            return self
                .report
                .fail(what, &"without a build there was nothing to run");
        };
        let root = match root::available() {
            Ok(root) => root,
            Err(reason) => return self.report.skip(what, &reason),
        };
        root.explain("the end-to-end test");
        let injector = self.project.binary("injector");
        let mut environment = vec![("INJECTOR_BIN", injector.as_os_str())];
        if self.choice == Choice::Quick {
            environment.push(("INJECTOR_TESTS", "quick".as_ref()));
        }
        let mut tests = root.command(self.project, program, &environment);
        tests.args(self.filter());
        let output = self.harness(what, &mut tests);
        match vm::contradictions_here(self.project, &output) {
            Ok(found) => {
                for contradiction in found {
                    self.report.fail("this host", &contradiction);
                }
            }
            Err(error) => self.report.fail(what, &format!("{error:#}")),
        }
    }

    /// Each fault with one of them; all with all are `cargo xtask clients`.
    fn clients(&mut self) {
        if self.program.is_none() {
            return;
        }
        clients::look(self.project, Calls::Brief, Book::HeldTo, &mut self.report);
    }

    /// A short version of each campaign; long ones are `cargo xtask campaign`.
    fn campaigns(&mut self) {
        if self.program.is_none() {
            return self
                .report
                .fail("campaigns", &"without a build there was nothing to run");
        }
        let root = match root::available() {
            Ok(root) => root,
            Err(reason) => return self.report.skip("campaigns", &reason),
        };
        let injector = self.project.binary("injector");
        let environment = [("INJECTOR_BIN", injector.as_os_str())];
        for (name, runs) in campaign::SHORT {
            let mut program =
                root.command(self.project, &self.project.binary("campaign"), &environment);
            program.args([name, "--runs", runs]);
            self.campaign(&format!("campaign {name}"), &mut program);
        }
    }

    /// A campaign, which may not be for this host.
    fn campaign(&mut self, what: &str, command: &mut Command) {
        announce(what);
        let began = Instant::now();
        let outcome = process::stream(command);
        self.report.took(what, began);
        match outcome {
            Ok(outcome) if outcome.status.success() => self.report.pass(),
            Ok(outcome) if outcome.status.code() == Some(campaign::NOT_HERE) => {
                self.report.skip(what, &outcome.stdout.trim());
            }
            Ok(_) => self.report.fail(what, &"the reason is printed above"),
            Err(error) => self.report.fail(what, &format!("{error:#}")),
        }
    }

    /// A program that says yes or no by its exit code.
    fn check(&mut self, what: &str, command: &mut Command) {
        announce(what);
        let began = Instant::now();
        let outcome = process::run(command, what);
        self.report.took(what, began);
        match outcome {
            Ok(()) => self.report.pass(),
            Err(error) if error.is::<CommandFailed>() => {
                self.report.fail(what, &"the reason is printed above");
            }
            Err(error) => self.report.fail(what, &format!("{error:#}")),
        }
    }

    /// A program that counts its tests; what it printed.
    fn harness(&mut self, what: &str, command: &mut Command) -> String {
        announce(what);
        let began = Instant::now();
        let outcome = process::stream(command);
        self.report.took(what, began);
        match outcome {
            Ok(outcome) => {
                let counts = libtest::read(&outcome.stdout);
                self.report.harness(what, counts, outcome.status.success());
                outcome.stdout
            }
            Err(error) => {
                self.report.fail(what, &format!("{error:#}"));
                String::new()
            }
        }
    }
}
