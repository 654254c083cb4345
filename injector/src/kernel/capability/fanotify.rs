//! Does the kernel ask before it opens or reads a file, and wait for the answer? It is let wait for a moment.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
    thread,
    time::{Duration, Instant},
};

use crate::kernel::{
    Error,
    fanotify::{Asked, Listener},
};

/// How long the answer takes.
const MOMENT: Duration = Duration::from_millis(20);
/// How long the question may take.
const SOON: Duration = Duration::from_secs(1);

/// Opens a file of ours.
pub(super) fn opening() -> Result<(), Error> {
    let file = nameless()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    is_asked(&file, Asked::FAN_OPEN_PERM, || File::open(path).map(drop))
}

/// Reads a file that was open before anybody asked to be asked. From 6.14 on the kernel decides when a file is
/// opened whether it will ever ask about it (fs/notify/fsnotify.c, `file_set_fsnotify_mode_from_watchers`;
/// Debian's 6.12.117 does so as well), so a target would go on reading unseen what it has open.
pub(super) fn reading() -> Result<(), Error> {
    let file = nameless()?;
    let mut same = file
        .try_clone()
        .map_err(|error| Error::system("copy a descriptor", error))?;
    is_asked(&file, Asked::FAN_ACCESS_PERM, move || {
        same.read(&mut [0]).map(drop)
    })
}

/// A file that has no name.
fn nameless() -> Result<File, Error> {
    let folder = std::env::temp_dir();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open(&folder)
        .map_err(|error| Error::system(format!("make a file in {}", folder.display()), error))?;
    file.set_len(1)
        .map_err(|error| Error::system("fill a file", error))?;
    Ok(file)
}

/// Whether a thread that acts on the file waits for an answer.
fn is_asked(
    file: &File,
    asked: Asked,
    act: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), Error> {
    let listener = Listener::new()?;
    listener.mark(file.as_fd(), asked)?;
    let acting = thread::Builder::new()
        .name("inj-self-test".into())
        .spawn(move || {
            let began = Instant::now();
            act().map(|()| began.elapsed())
        })
        .map_err(|error| Error::system("start a thread to try things with", error))?;
    let deadline = Instant::now() + SOON;
    let mut answered = false;
    while !answered && !acting.is_finished() && Instant::now() < deadline {
        listener.wait(MOMENT, None)?;
        for question in listener.questions()? {
            thread::sleep(MOMENT);
            answered = true;
            drop(question);
        }
    }
    // Before the thread is waited for: whoever waits still goes on now.
    drop(listener);
    let took = acting
        .join()
        .map_err(|_| Error::Probe("the thread that tries things broke".into()))?
        .map_err(|error| Error::system("use what is marked", error))?;
    if answered && took >= MOMENT {
        return Ok(());
    }
    Err(Error::Probe(
        "the kernel goes on without asking about a real file".into(),
    ))
}
