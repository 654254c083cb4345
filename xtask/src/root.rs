//! Running a finished executable as root, and nothing else.
//!
//! Under sudo the program may leave files in the target folder; they are given back to the user in
//! the same sudo call, so that the next build as the user does not stumble over root's files.
//! Environment variables are passed through `env`, because sudo's policy drops them.

use std::{
    env,
    ffi::OsStr,
    fmt,
    io::{IsTerminal, stdin},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{getegid, geteuid};

use crate::paths::Project;

/// The way to root that this user has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The user is root.
    Already,
    /// sudo works, or can ask for a password.
    Sudo,
}

/// There is no way to root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoot {
    /// Not root, and no sudo on PATH.
    NoSudo,
    /// sudo wants a password and there is no terminal to type it at.
    NoTerminal,
}

impl fmt::Display for NoRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSudo => {
                "loading BPF programs needs root, and there is no sudo on PATH: \
                 run this as root or install sudo"
            }
            Self::NoTerminal => {
                "loading BPF programs needs root, and sudo asks for a password but there is no \
                 terminal: run this from a terminal or as root"
            }
        })
    }
}

impl std::error::Error for NoRoot {}

/// Finds the way to root without asking for anything.
pub(crate) fn available() -> Result<Root, NoRoot> {
    if geteuid().is_root() {
        if env::var_os("SUDO_UID").is_some() {
            eprintln!(
                "xtask: note: without sudo in front, the build runs as you and only the finished \
                 executables as root"
            );
        }
        return Ok(Root::Already);
    }
    let probe = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match probe {
        Err(_) => Err(NoRoot::NoSudo),
        Ok(status) if status.success() || stdin().is_terminal() => Ok(Root::Sudo),
        Ok(_) => Err(NoRoot::NoTerminal),
    }
}

/// Runs `"$@"`, then gives what root left in the folder `$1` back to the user `$2`.
const GIVE_BACK: &str = r#"folder=$1 owner=$2; shift 2
"$@"; code=$?
chown -Rh --from=root "$owner" "$folder" || true
exit $code"#;

impl Root {
    /// A command that runs `program` as root in the checkout.
    ///
    /// `environment` is what the program needs besides root's own environment.
    pub(crate) fn command(
        self,
        project: &Project,
        program: &Path,
        environment: &[(&str, &OsStr)],
    ) -> Command {
        let mut command = match self {
            Self::Already => {
                let mut direct = Command::new(program);
                direct.envs(environment.iter().copied());
                direct
            }
            Self::Sudo => {
                let owner = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
                let mut sudo = Command::new("sudo");
                sudo.args(["--", "sh", "-c", GIVE_BACK, "sh"])
                    .arg(project.target())
                    .arg(owner);
                sudo.arg("env")
                    .args(environment.iter().map(|(name, value)| {
                        let mut assignment = std::ffi::OsString::from(name);
                        assignment.push("=");
                        assignment.push(value);
                        assignment
                    }));
                sudo.arg(program);
                sudo
            }
        };
        command.current_dir(project.root());
        command
    }

    /// Says that sudo may ask for a password now, if it may.
    pub(crate) fn explain(self, purpose: &str) {
        if self == Self::Sudo {
            eprintln!(
                "xtask: {purpose} loads BPF programs, which needs root: \
                 sudo runs it now and may ask for your password"
            );
        }
    }
}
