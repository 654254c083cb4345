//! A clean Debian in a folder, which goes with its value.
//!
//! Every command in it, debootstrap among them, has a mount namespace of its own: what is mounted below the folder goes
//! with that command, so that the folder can be removed at any time. Rejected: to mount once and to unmount at the end.
//! Where the end does not come, a person who removes the folder would remove the host's devices.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Mounts what programs expect, in the command's own namespace, and becomes the command.
const ENTER: &str = r#"root=$1; shift
for at in proc sys dev; do mount --rbind "/$at" "$root/$at"; done
exec chroot "$root" "$@""#;

/// What dpkg itself writes when anything is installed.
const OF_DPKG: [&str; 3] = ["var/lib/dpkg", "var/log/dpkg.log", "var/cache/debconf"];

/// The suite: what hosts run.
const SUITE: &str = "stable";

pub(crate) struct Debian(PathBuf);

impl Debian {
    /// Has debootstrap make one below `folder`.
    pub(crate) fn make(mirror: &str, folder: &Path) -> Result<Self> {
        let root = folder.join(format!("clean-debian-{}", std::process::id()));
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        let debian = Self(root);
        let mut make = apart("debootstrap");
        make.args(["--variant=minbase", SUITE])
            .arg(&debian.0)
            .arg(mirror);
        output(&mut make)?;
        // An installer writes it, debootstrap does not.
        fs::write(debian.0.join("etc/hosts"), "127.0.0.1 localhost\n")
            .context("cannot write /etc/hosts")?;
        Ok(debian)
    }

    /// Runs a command in it, to success, and returns what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = apart("sh");
        command.args(["-ec", ENTER, "sh"]).arg(&self.0).args(words);
        command.env_clear().envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("LC_ALL", "C.UTF-8"),
        ]);
        output(&mut command)
    }

    /// Copies a file of the host into its root folder.
    pub(crate) fn bring(&self, from: &str, name: &str) -> Result<()> {
        fs::copy(from, self.0.join(name)).with_context(|| format!("cannot copy {from}"))?;
        Ok(())
    }

    /// Removes a file from its root folder.
    pub(crate) fn take_away(&self, name: &str) -> Result<()> {
        fs::remove_file(self.0.join(name)).with_context(|| format!("cannot remove {name}"))
    }

    /// All paths in it, but those that are dpkg's own.
    pub(crate) fn paths(&self) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                let name = path.strip_prefix(&self.0)?.to_string_lossy().into_owned();
                if OF_DPKG.contains(&name.as_str()) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                }
                found.insert(name);
            }
        }
        Ok(found)
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // Never into a file system that is mounted below it, whatever has happened.
        let mut remove = Command::new("rm");
        let removed = remove
            .args(["-rf", "--one-file-system", "--"])
            .arg(&self.0)
            .status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("package: {} could not be removed", self.0.display());
        }
    }
}

/// A command whose mounts are its own.
fn apart(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--", program]);
    command
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .context("unshare (Debian package util-linux) could not be started")?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}
