//! A child of ours on which a mechanism is tried before a target meets it: told to, it does the thing once, and says so.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long it may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The child; killed when dropped.
pub(crate) struct TrialChild(Child);

impl TrialChild {
    /// Starts this program by one of its hidden commands, whose main function is [`answer`]. It has opened all that it needs to
    /// start when this returns.
    pub(crate) fn start(command: &str) -> io::Result<Self> {
        let child = Command::new("/proc/self/exe")
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let mut this = Self(child);
        this.hear()?;
        Ok(this)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Has it do the thing once. `TimedOut` is a child that says nothing, `UnexpectedEof` one that has ended.
    pub(crate) fn ask(&mut self) -> io::Result<()> {
        if let Some(pipe) = &mut self.0.stdin {
            pipe.write_all(&[0])?;
        }
        self.hear()
    }

    fn hear(&mut self) -> io::Result<()> {
        let pipe = self.0.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&patience))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        pipe.read_exact(&mut [0])
    }
}

impl Drop for TrialChild {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child's part: does the thing whenever it is told to, and ends with its parent.
pub(crate) fn answer(mut thing: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut said = io::stdout();
    said.write_all(&[0])?;
    said.flush()?;
    while io::stdin().read(&mut [0])? > 0 {
        thing()?;
        said.write_all(&[0])?;
        said.flush()?;
    }
    Ok(())
}
