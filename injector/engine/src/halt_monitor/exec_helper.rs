//! Programs that a person named: started without a shell, in bounded time, and gone with the run.
//!
//! This program is started first, as `injector exec_helper PROGRAM ...`, and becomes the other. Its own file is in
//! memory, so it is there at once, and all descriptors of the worker are closed by then. A program on a
//! file system that hangs would otherwise hold copies of links while the kernel waits to read it, and what
//! a link holds stays attached as long as a copy is open.
//!
//! The worker has given up the way to new privileges ([`injector_host::privilege`]), so these programs run as the
//! worker's user without any capability.

use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process_group, set_parent_process_death_signal},
};

use injector_spec::quantity::duration;

/// The hidden command by which this program becomes another.
pub const COMMAND: &str = "exec-helper";

/// The exit code where it could not.
pub const CANNOT: i32 = 127;

/// How often the program is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of what a program prints is kept where nothing is said, and read at a time, in bytes.
const HEARD: usize = 4096;

/// How often it is read from at a time.
const MOST_READS: u32 = 64;

/// How long a killed program may take to be gone before it is left to a thread of its own.
const REAP_WITHIN: Duration = Duration::from_millis(200);

/// Where programs are looked for by those that are started; nothing of the daemon's own surroundings is passed on.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to be run once.
pub struct ExecHelper(Command);

/// A program that goes on until it is dropped, which kills it with its process group.
pub(super) struct Going(Option<Child>);

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// It took longer than this.
    Late(Duration),
    /// It could not be started.
    NotStarted(String),
    /// The run is over.
    NotWanted,
}

impl ExecHelper {
    /// A program by its path, with its arguments.
    pub fn new(words: &[String]) -> Self {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(COMMAND)
            .arg("--")
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Self(command)
    }

    /// Tells the program something in its environment.
    #[must_use]
    pub fn tell(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value.replace('\0', " "));
        self
    }

    /// Runs it, and kills it with all that it has started in its process group when it takes too long or
    /// the caller does not want it any more.
    pub fn run(mut self, within: Duration, is_over: &AtomicBool) -> Ending {
        match self.0.spawn() {
            Ok(child) => wait(child, within, is_over, || {}),
            Err(error) => Ending::NotStarted(error.to_string()),
        }
    }

    /// The same, with the beginning of what it prints on standard output. More is taken and thrown away, so that the
    /// program does not wait for a reader.
    pub fn hear(self, within: Duration, is_over: &AtomicBool) -> (Ending, Vec<u8>) {
        self.hear_up_to(HEARD, within, is_over)
    }

    /// The same, with so many bytes of what it prints.
    pub fn hear_up_to(
        self,
        most: usize,
        within: Duration,
        is_over: &AtomicBool,
    ) -> (Ending, Vec<u8>) {
        let mut heard = Vec::new();
        let ending = self.follow(within, is_over, |chunk| {
            let room = most.saturating_sub(heard.len());
            heard.extend(&chunk[..chunk.len().min(room)]);
        });
        (ending, heard)
    }

    /// The same; all that it prints on standard output is handed over as it comes.
    fn follow(
        mut self,
        within: Duration,
        is_over: &AtomicBool,
        hand_over: impl FnMut(&[u8]),
    ) -> Ending {
        let begun = self.0.stdout(Stdio::piped()).spawn().and_then(|mut child| {
            let said = child.stdout.take().map(OwnedFd::from);
            let said = said.ok_or_else(|| io::Error::other("its output cannot be read"))?;
            Ok((child, said))
        });
        match begun {
            Ok((child, said)) => listen(child, said, within, is_over, hand_over),
            Err(error) => Ending::NotStarted(error.to_string()),
        }
    }

    /// Starts it and lets it go on; what it prints on standard output is for its reader.
    pub(super) fn start(mut self) -> Result<(Going, ChildStdout), Ending> {
        let begun = self.0.stdout(Stdio::piped()).spawn().and_then(|mut child| {
            let said = child.stdout.take();
            let going = Going(Some(child));
            let said = said.ok_or_else(|| io::Error::other("its output cannot be read"))?;
            Ok((going, said))
        });
        begun.map_err(|error| Ending::NotStarted(error.to_string()))
    }

    /// The same with what it prints on standard error, too.
    pub fn follow_all(
        mut self,
        within: Duration,
        is_over: &AtomicBool,
        hand_over: impl FnMut(&[u8]),
    ) -> Ending {
        let begun = io::pipe().and_then(|(said, to)| {
            let child = self.0.stdout(to.try_clone()?).stderr(to).spawn()?;
            Ok((child, OwnedFd::from(said)))
        });
        match begun {
            Ok((child, said)) => listen(child, said, within, is_over, hand_over),
            Err(error) => Ending::NotStarted(error.to_string()),
        }
    }
}

impl Going {
    /// How it has ended, where it has.
    pub(super) fn ending(&mut self) -> Option<Ending> {
        match self.0.as_mut()?.try_wait() {
            Ok(Some(status)) => Some(Ending::of(status)),
            Ok(None) => None,
            Err(error) => Some(Ending::NotStarted(error.to_string())),
        }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && matches!(child.try_wait(), Ok(None))
        {
            end(child);
        }
    }
}

/// Waits for a program, and hands over what it prints as it comes.
fn listen(
    child: Child,
    said: OwnedFd,
    within: Duration,
    is_over: &AtomicBool,
    mut hand_over: impl FnMut(&[u8]),
) -> Ending {
    if let Err(errno) = fcntl_setfl(&said, OFlags::NONBLOCK) {
        end(child);
        return Ending::NotStarted(io::Error::from(errno).to_string());
    }
    let mut said = File::from(said);
    let mut chunk = [0; HEARD];
    let mut listen = || {
        // A writer that never stops is ended for being late, and keeps no turn of this loop.
        for _ in 0..MOST_READS {
            match said.read(&mut chunk) {
                Ok(length @ 1..) => hand_over(&chunk[..length]),
                // At an end, or nothing is there yet.
                Ok(0) | Err(_) => break,
            }
        }
    };
    let ending = wait(child, within, is_over, &mut listen);
    listen();
    ending
}

/// Waits for a program, and does something each time that it looks after it.
fn wait(
    mut child: Child,
    within: Duration,
    is_over: &AtomicBool,
    mut meanwhile: impl FnMut(),
) -> Ending {
    let deadline = Instant::now() + within;
    loop {
        meanwhile();
        match child.try_wait() {
            Ok(Some(status)) => return Ending::of(status),
            Ok(None) => {}
            Err(error) => return Ending::NotStarted(error.to_string()),
        }
        let ending = if Instant::now() >= deadline {
            Some(Ending::Late(within))
        } else {
            is_over.load(Ordering::Relaxed).then_some(Ending::NotWanted)
        };
        if let Some(ending) = ending {
            end(child);
            return ending;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Kills a program and its process group, and waits for it; one that the kernel does not let go is waited
/// for by a thread of its own.
fn end(mut child: Child) {
    // No thread has waited for it, so the id is its own.
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let deadline = Instant::now() + REAP_WITHIN;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
    let _ = thread::Builder::new()
        .name("reaper".into())
        .spawn(move || child.wait());
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(CANNOT), _) => Self::NotStarted(
                "there is no such program, it may not be run, or it ended with 127 itself".into(),
            ),
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "it ended with {code}"),
            Self::Signal(signal) => write!(out, "signal {signal} ended it"),
            Self::Late(within) => write!(out, "it took longer than {}", duration::format(*within)),
            Self::NotStarted(why) => write!(out, "it could not be started: {why}"),
            Self::NotWanted => out.write_str("the run was over"),
        }
    }
}

/// Becomes the program that is named. Returns only the error.
pub fn run(words: &[OsString]) -> io::Error {
    let Some((program, arguments)) = words.split_first() else {
        return io::Error::other("no program is named");
    };
    if let Err(errno) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return errno.into();
    }
    Command::new(program).args(arguments).exec()
}
