//! Settings of a cgroup: read before, put back after, left alone where another process has changed them by then.

use std::{io, path::Path};

use super::Fate;
use injector_host::kernel::{Error, cgroup_file};

/// The setting as it is now.
pub(super) fn current(path: &Path, like: &str) -> Result<String, Error> {
    cgroup_file::read(path, like).map_err(|error| failed("read", path, error))
}

/// Puts it in force. Where the kernel makes something else of it, the old value goes back at once: what
/// is not the run's is left alone later.
pub(super) fn set(path: &Path, old: &str, new: &str) -> Result<(), Error> {
    cgroup_file::write(path, new)
        .map_err(|error| failed(&format!("write `{new}` to"), path, error))?;
    let found = current(path, new)?;
    if found == new {
        return Ok(());
    }
    cgroup_file::write(path, old)
        .map_err(|error| failed(&format!("write `{old}` back to"), path, error))?;
    let what = format!("set {} to `{new}`", path.display());
    let why = format!("the kernel made it `{found}`");
    Err(Error::system(what, io::Error::other(why)))
}

/// Puts the old value back.
pub(super) fn restore(path: &Path, old: &str, new: &str) -> Result<Fate, Error> {
    let found = match cgroup_file::read(path, new) {
        Err(error) if is_gone(&error) => return Ok(Fate::Gone),
        found => found.map_err(|error| failed("read", path, error))?,
    };
    if found == old {
        return Ok(Fate::Restored);
    }
    if found != new {
        return Ok(Fate::ChangedByOthers);
    }
    match cgroup_file::write(path, old) {
        Err(error) if is_gone(&error) => Ok(Fate::Gone),
        written => written
            .map(|()| Fate::Restored)
            .map_err(|error| failed(&format!("write `{old}` to"), path, error)),
    }
}

/// A removed cgroup has no files, and a file that was open when it went says `ENODEV`
/// (`fs/kernfs/file.c`).
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::system(format!("{what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_value_goes_back_unless_it_is_somebody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cpu.max");
        fs::write(&path, "1000 100000").unwrap();
        let fate = restore(&path, "max 100000", "1000 100000").unwrap();
        assert_eq!(fate, Fate::Restored);
        assert!(fs::read_to_string(&path).unwrap().starts_with("max 100000"));
        fs::write(&path, "7000 100000").unwrap();
        let fate = restore(&path, "max 100000", "1000 100000").unwrap();
        assert_eq!(fate, Fate::ChangedByOthers);
        assert_eq!(fs::read_to_string(&path).unwrap(), "7000 100000");
        fs::remove_file(&path).unwrap();
        let fate = restore(&path, "max 100000", "1000 100000").unwrap();
        assert_eq!(fate, Fate::Gone);
        assert!(!path.exists(), "a file was made");
    }
}
