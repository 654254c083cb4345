//! An agent and its plug-in, which speak over standard input and output: two pipes, or one unix socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stdin, stdout};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use injector_tests::observation::{Line, Op, Summary};

use crate::Rounds;
use crate::speak::{operations_told_by, rounds, say};

/// What lies between them.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Between {
    /// Two pipes.
    Pipes,
    /// A unix socket.
    Socket,
}

/// The agent's thread that speaks to the plug-in, and on no other pipe: the victim's standard output is one
/// too, and what is said there is the test's.
const SPEAKER: &str = "plugin-speaker";

/// Says something and waits for the echo, again and again.
pub(crate) fn speak(between: Between, options: &Rounds) -> Result<()> {
    let mut plugin = Plugin::start(between)?;
    rounds(options.wait, || {
        let (sender, operations) = channel();
        let plugin = &mut plugin;
        thread::scope(|scope| {
            let speaker = thread::Builder::new()
                .name(SPEAKER.into())
                .spawn_scoped(scope, move || plugin.round(options, &sender))?;
            for operation in operations {
                say(&Line::Op(operation))?;
            }
            speaker
                .join()
                .map_err(|_panic| anyhow::anyhow!("the speaking thread panicked"))?
        })
    })
}

/// How long a plug-in that outlives its agent does so, where no test ends it before.
const OUTLIVES: Duration = Duration::from_mins(1);

/// The plug-in: echoes lines. One that stays does not end with its input.
pub(crate) fn echo(stays: bool) -> Result<()> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        writeln!(out, "{}", line?)?;
        out.flush()?;
    }
    if stays {
        thread::sleep(OUTLIVES);
    }
    Ok(())
}

struct Plugin {
    child: Child,
    to: Option<Box<dyn Write + Send>>,
    from: Box<dyn BufRead + Send>,
}

impl Plugin {
    fn start(between: Between) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("plugin");
        let (child, to, from): (_, Box<dyn Write + Send>, Box<dyn Read + Send>) = match between {
            Between::Pipes => {
                let mut child = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()?;
                let to = child.stdin.take().context("no standard input")?;
                let from = child.stdout.take().context("no standard output")?;
                (child, Box::new(to), Box::new(from))
            }
            Between::Socket => {
                let (ours, theirs) = UnixStream::pair()?;
                let theirs: OwnedFd = theirs.into();
                command.stdin(theirs.try_clone()?).stdout(theirs);
                let child = command.spawn()?;
                // The command holds the plug-in's end until it is dropped.
                drop(command);
                (child, Box::new(ours.try_clone()?), Box::new(ours))
            }
        };
        Ok(Self {
            child,
            to: Some(to),
            from: Box::new(BufReader::new(from)),
        })
    }

    fn round(&mut self, options: &Rounds, operations: &Sender<Op>) -> Result<Summary> {
        let tell = |operation| Ok(operations.send(operation)?);
        operations_told_by(tell, options, |number| {
            let said = format!("question {number}\n");
            let to = self.to.as_mut().ok_or(ErrorKind::NotConnected)?;
            to.write_all(said.as_bytes())?;
            // As many bytes as were said: damage may have hit the end of the line.
            let mut heard = vec![0; said.len()];
            self.from.read_exact(&mut heard)?;
            if heard == said.as_bytes() {
                Ok(())
            } else {
                Err(ErrorKind::InvalidData.into())
            }
        })
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // Without its standard input it ends by itself; behind a socket it may not hear of that.
        drop(self.to.take());
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
