//! `cargo xtask test`: every test that this machine can run, and a count that hides nothing.
//!
//! A step that fails does not stop the later ones. What cannot run here is a counted skip with its
//! reason; what could run and did not is a failure.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use crate::{
    build::{self, BpfDebug},
    campaign, libtest, openapi,
    paths::Project,
    process::{self, CommandFailed, announce},
    report::Report,
    root,
    toolchain::{Toolchain, has_subcommand},
    vm,
};

/// Runs the first steps alone, which need neither root nor a kernel: format, lints, licences and advisories.
pub(crate) fn lint(project: &Project) -> ExitCode {
    let mut steps = Steps::new(project, None);
    steps.words();
    steps.outcome()
}

/// Runs all steps; with `filter`, only tests whose name contains it.
pub(crate) fn run(project: &Project, filter: Option<&str>) -> ExitCode {
    let mut steps = Steps::new(project, filter);
    if filter.is_none() {
        steps.words();
    }
    steps.unit_tests();
    if filter.is_none() {
        steps.undefined_behaviour();
    }
    steps.end_to_end();
    if filter.is_none() {
        steps.campaigns();
        steps.on_kernels("tests on other kernels", vm::everywhere);
        steps.on_kernels("bounds of the BPF programs", vm::check_bounds);
    }
    steps.outcome()
}

struct Steps<'a> {
    project: &'a Project,
    filter: Option<&'a str>,
    report: Report,
}

impl<'a> Steps<'a> {
    fn new(project: &'a Project, filter: Option<&'a str>) -> Self {
        Self {
            project,
            filter,
            report: Report::default(),
        }
    }

    /// What can be said of the sources without running them.
    fn words(&mut self) {
        self.format();
        self.lints();
        self.dependencies();
        openapi::lint(self.project, &mut self.report);
    }

    fn outcome(&self) -> ExitCode {
        println!("\n{}", self.report);
        if self.report.is_good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
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
        let workspace = "clippy --workspace --all-targets -- -D warnings";
        self.check("lints", &mut self.project.cargo(workspace));
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

    fn unit_tests(&mut self) {
        // Without a package named, cargo takes the default members: all but the tests package.
        let mut product = self.project.cargo("test --no-fail-fast");
        self.harness(
            "unit, property and documentation tests",
            product.args(self.filter),
        );
        let mut own = self
            .project
            .cargo("test --no-fail-fast -p injector-tests --lib --bins --test fuzz_bodies");
        self.harness("unit tests of the test programs", own.args(self.filter));
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

    fn end_to_end(&mut self) {
        const WHAT: &str = "end-to-end tests";
        // Built even where they cannot run: that they compile is worth knowing.
        let began = Instant::now();
        let built = build::product(self.project, BpfDebug::Silent)
            .and_then(|()| build::end_to_end(self.project));
        self.report.took("build of the end-to-end tests", began);
        let program = match built {
            Ok(program) => program,
            Err(error) => return self.report.fail(WHAT, &format!("{error:#}")),
        };
        let root = match root::available() {
            Ok(root) => root,
            Err(reason) => return self.report.skip(WHAT, &reason),
        };
        root.explain("the end-to-end test");
        let injector = self.project.binary("injector");
        let environment = [("INJECTOR_BIN", injector.as_os_str())];
        let mut tests = root.command(self.project, &program, &environment);
        tests.args(self.filter);
        let output = self.harness(WHAT, &mut tests);
        match vm::contradictions_here(self.project, &output) {
            Ok(found) => {
                for contradiction in found {
                    self.report.fail("this host", &contradiction);
                }
            }
            Err(error) => self.report.fail(WHAT, &format!("{error:#}")),
        }
    }

    /// A short version of each campaign; long ones are `cargo xtask campaign`.
    fn campaigns(&mut self) {
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

    /// What also runs in virtual machines, and counts for itself.
    fn on_kernels(&mut self, what: &str, run: impl FnOnce(&Project, &mut Report)) {
        announce(what);
        let began = Instant::now();
        run(self.project, &mut self.report);
        self.report.took(what, began);
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
