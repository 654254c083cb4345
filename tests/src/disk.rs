//! A file system of its own in a file, which can be made to stand still.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::eventually::eventually;

/// How long the last who writes may take to be done.
const FREE: Duration = Duration::from_secs(10);
/// Enough for some thousand journals.
const BYTES: u64 = 24 << 20;

/// Mounted until it is dropped, and thawed before.
#[derive(Debug)]
pub struct Disk {
    mount_point: PathBuf,
    is_frozen: bool,
    _image: tempfile::TempDir,
}

/// What this host lacks to have one.
pub fn lacks() -> Option<String> {
    if !Path::new("/dev/loop-control").exists() {
        return Some("needs loop devices".to_owned());
    }
    ["mkfs.ext4", "fsfreeze", "mount"]
        .into_iter()
        .find_map(|program| {
            let found = Command::new(program).arg("-V").output().is_ok();
            (!found)
                .then(|| format!("needs {program} (Debian packages e2fsprogs, util-linux, mount)"))
        })
}

impl Disk {
    /// Mounts a new one at this path, which is made where it is not there.
    pub fn mount(at: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = folder.path().join("image");
        fs::File::create(&image)?.set_len(BYTES)?;
        run("mkfs.ext4", &["-q", "-F"], &[&image])?;
        fs::create_dir_all(at)?;
        run("mount", &["-o", "loop"], &[&image, at])?;
        Ok(Self {
            mount_point: at.to_owned(),
            is_frozen: false,
            _image: folder,
        })
    }

    /// From now on who writes there stands still.
    pub fn freeze(&mut self) -> Result<()> {
        run("fsfreeze", &["--freeze"], &[&self.mount_point])?;
        self.is_frozen = true;
        Ok(())
    }

    /// All go on.
    pub fn thaw(&mut self) -> Result<()> {
        self.is_frozen = false;
        run("fsfreeze", &["--unfreeze"], &[&self.mount_point])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_frozen {
            let _thawed = self.thaw();
        }
        // A recorder that waited may write for a moment still.
        let _unmounted = eventually("the disk to be free", FREE, || {
            Ok(run("umount", &[], &[&self.mount_point]).ok())
        });
    }
}

fn run(program: &str, words: &[&str], paths: &[&Path]) -> Result<()> {
    let output = Command::new(program)
        .args(words)
        .args(paths)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{program}: {output:?}");
    Ok(())
}
