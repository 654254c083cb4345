//! The processes that take part, and what the two clients say.

use std::{
    io::{self, BufRead, BufReader, Lines},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use super::{figures::Figures, part::Call};
use injector_spec::error::Refusal;

/// The hidden command of a part.
pub(in crate::cli) const COMMAND: &str = "demo-part";

/// What both clients met meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meanwhile {
    /// The client that the faults are for.
    pub(super) target: Figures,
    /// The one that they are not for.
    pub(super) bystander: Figures,
}

/// The running processes, which end when this is dropped.
pub(super) struct Cast {
    server: Process,
    target: Client,
    bystander: Client,
}

impl Cast {
    /// Starts all three; both clients call from now on.
    pub(super) fn start() -> Result<Self, Refusal> {
        let cannot = |error: io::Error| {
            Refusal::failed(format!(
                "the demo's processes cannot be started: {error}; try again"
            ))
        };
        let (server, mut lines) = Process::start(&["server"]).map_err(cannot)?;
        let said = lines.next().transpose().map_err(cannot)?;
        let address: SocketAddr = said
            .and_then(|line| line.parse().ok())
            .ok_or_else(|| cannot(io::Error::other("the server does not listen")))?;
        let client = || Client::start(address).map_err(cannot);
        Ok(Self {
            server,
            target: client()?,
            bystander: client()?,
        })
    }

    /// The process that the faults are for.
    pub(super) fn target(&self) -> u32 {
        self.target.process.0.id()
    }

    /// Who takes part, for people.
    pub(super) fn pids(&self) -> [u32; 3] {
        let bystander = self.bystander.process.0.id();
        [self.server.0.id(), self.target(), bystander]
    }

    /// What both meet in this time, without what they have said before.
    pub(super) fn listen(&mut self, time: Duration) -> Meanwhile {
        self.forget();
        thread::sleep(time);
        self.heard()
    }

    /// Passes over what both have said so far.
    pub(super) fn forget(&mut self) {
        drop(self.heard());
    }

    /// What both have said since the last time.
    pub(super) fn heard(&mut self) -> Meanwhile {
        Meanwhile {
            target: Figures::of(self.target.said.try_iter()),
            bystander: Figures::of(self.bystander.said.try_iter()),
        }
    }

    /// Waits for the target's next call, and says whether it was answered at once.
    pub(super) fn is_well(&mut self) -> bool {
        const AT_ONCE: Duration = Duration::from_millis(50);
        match self.target.said.recv_timeout(super::part::PATIENCE) {
            Ok(Call::Answered(after)) => after < AT_ONCE,
            Ok(Call::Failed(_)) | Err(RecvTimeoutError::Timeout) => false,
            // Nothing more will be said.
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    /// Ends all processes and waits for them.
    pub(super) fn end(self) {
        drop(self);
    }
}

struct Client {
    process: Process,
    said: Receiver<Call>,
}

impl Client {
    fn start(server: SocketAddr) -> io::Result<Self> {
        let (process, lines) = Process::start(&["client", &server.to_string()])?;
        let (tell, said) = channel();
        thread::spawn(move || {
            let calls = lines
                .map_while(Result::ok)
                .filter_map(|line| line.parse().ok());
            // The demo has dropped its end where it is over.
            calls
                .map(|call| tell.send(call))
                .take_while(Result::is_ok)
                .for_each(drop);
        });
        Ok(Self { process, said })
    }
}

/// A part, killed and waited for when dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts this part; what it says comes line by line.
    pub(super) fn start(words: &[&str]) -> io::Result<(Self, Lines<BufReader<ChildStdout>>)> {
        let mut child = this_program()
            .arg(COMMAND)
            .args(words)
            // It ends when this does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let process = Self(child);
        let stdout = stdout.ok_or_else(|| io::Error::other("a process has no output"))?;
        Ok((process, BufReader::new(stdout).lines()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program again, from memory, as its other processes are started.
pub(super) fn this_program() -> Command {
    Command::new("/proc/self/exe")
}

/// Waits for a while, and says whether `done` came to hold.
pub(super) fn within(time: Duration, mut done: impl FnMut() -> bool) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let until = Instant::now() + time;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
}
