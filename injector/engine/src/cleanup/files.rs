//! Files that no process will use any more: a dead daemon's socket, a journal without its name.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use super::{Fate, Leftover, Sweeping, What};
use injector_record::journal;
use injector_spec::config::socket_path;

/// Looks for both.
pub(super) fn sweep(sweeping: Sweeping) -> Vec<Leftover> {
    let socket = Some(socket_path()).filter(|path| is_stale(path));
    let socket = socket.map(|path| (path.clone(), What::Socket { path }));
    let unnamed = unnamed(&journal::directory()).into_iter();
    let unnamed = unnamed.map(|path| (path.clone(), What::UnnamedJournal { path }));
    let leftover = |(path, what): (PathBuf, What)| Leftover {
        what,
        fate: match sweeping {
            Sweeping::FindOnly => Fate::Found,
            Sweeping::Remove => remove(&path),
        },
    };
    socket.into_iter().chain(unnamed).map(leftover).collect()
}

/// Whether no process listens on a socket of ours. A daemon's gets its name when it listens already.
fn is_stale(path: &Path) -> bool {
    let is_ours = fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.file_type().is_socket() && metadata.uid() == rustix::process::geteuid().as_raw()
    });
    is_ours
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Journals that a start made and never named: `.RUN.PID.new`, with a process that is gone.
fn unnamed(directory: &Path) -> Vec<PathBuf> {
    let is_orphan = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let inner = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(".new"));
        let Some((run, pid)) = inner.and_then(|inner| inner.split_once('.')) else {
            return false;
        };
        let is_run = run.parse::<journal::RunId>().is_ok();
        let is_gone = |pid: u32| {
            fs::metadata(format!("/proc/{pid}"))
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        is_run && pid.parse().is_ok_and(is_gone)
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(is_orphan)
        .collect()
}

fn remove(path: &Path) -> Fate {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Fate::Failed {
            why: error.to_string(),
        },
        _ => Fate::Removed {
            how: "it was removed".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_stale_when_nobody_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        assert!(!is_stale(&path), "there is none");
        fs::write(&path, "").unwrap();
        assert!(!is_stale(&path), "it is no socket");
        fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(!is_stale(&path), "somebody listens");
        drop(listener);
        assert!(is_stale(&path));
    }

    #[test]
    fn only_journals_of_dead_processes_are_orphans() {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str| fs::write(directory.path().join(name), "").unwrap();
        make(&format!(".r000000010001.{}.new", std::process::id()));
        make(".r000000010001.x.new");
        make(".vimrc.new");
        make("r000000010001.jsonl");
        assert!(unnamed(directory.path()).is_empty());
        // Larger than any process id (`PID_MAX_LIMIT`, 2^22).
        make(".r000000010001.99999999.new");
        assert_eq!(unnamed(directory.path()).len(), 1);
    }
}
