//! `cargo xtask dist --check`: the package on a Debian that has nothing else, from installation to purge.
//!
//! Here is what it needs of this machine, each a counted skip where it is not there; what is done to the clean Debian is
//! in the program `package` of the tests. It is no step of `cargo xtask test`: the static program alone takes longer to
//! build than that takes to run, and debootstrap needs a mirror.

use std::process::ExitCode;

use super::make;
use crate::{
    apt, build,
    paths::Project,
    process::{self, CommandFailed, announce},
    report::Report,
    root,
};

const WHAT: &str = "the package on a clean Debian";

/// Makes the package, tries it, and counts.
pub(crate) fn run(project: &Project) -> ExitCode {
    let mut report = Report::default();
    check(project, &mut report);
    println!("\n{report}");
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn check(project: &Project, report: &mut Report) {
    let root = match root::available() {
        Ok(root) => root,
        Err(reason) => return report.skip(WHAT, &reason),
    };
    if process::find("debootstrap").is_none() {
        return report.skip(
            WHAT,
            &"debootstrap is not installed; run `apt-get install debootstrap`",
        );
    }
    let mirror = match apt::debian_mirror() {
        Ok(mirror) => mirror,
        Err(error) => return report.skip(WHAT, &format!("{error:#}")),
    };
    let made =
        make(project).and_then(|dist| Ok((dist.package, build::test_program(project, "package")?)));
    let (package, program) = match made {
        Ok(made) => made,
        Err(error) => return report.fail(WHAT, &format!("{error:#}")),
    };
    root.explain("the package's own demo");
    announce(WHAT);
    let mut command = root.command(project, &program, &[]);
    command.arg(package).arg(mirror).arg(project.target());
    match process::run(&mut command, WHAT) {
        Ok(()) => report.pass(),
        Err(error) if error.is::<CommandFailed>() => {
            report.fail(WHAT, &"the reason is printed above");
        }
        Err(error) => report.fail(WHAT, &format!("{error:#}")),
    }
}
