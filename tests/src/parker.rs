//! The test's end of the `parker` program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::binaries;
use crate::eventually::eventually;

/// Longer than any sleep, on any machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A conversation with one `parker`, which is killed when dropped.
pub struct Parker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What it said about itself at the start.
    pub about: u32,
}

/// How long a round of opening files took.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The quickest thread.
    pub least: Duration,
    /// The slowest thread.
    pub most: Duration,
    /// From the start of the first thread to the end of the last.
    pub wall: Duration,
    /// The processor time of the whole process.
    pub cpu: Duration,
}

impl Parker {
    /// Serves the park; `about` is the holder's process id.
    pub fn serve() -> Result<Self> {
        Self::start(&["serve"])
    }

    /// Opens files on some threads; `about` is its own process id.
    pub fn open(threads: usize) -> Result<Self> {
        Self::start(&["open", &threads.to_string()])
    }

    fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binaries::parker()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start parker")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut this = Self {
            stdin: child.stdin.take(),
            child,
            lines,
            about: 0,
        };
        let ready = this.hear(PATIENCE)?;
        let about = ready.strip_prefix("ready ").context("not ready")?;
        this.about = about.parse()?;
        Ok(this)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("no standard input")?;
        writeln!(stdin, "{line}").context("parker does not listen")
    }

    /// Hears a line.
    pub fn hear(&self, within: Duration) -> Result<String> {
        self.lines
            .recv_timeout(within)
            .context("parker said nothing in time")
    }

    /// Says a line and hears the answer.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.say(line)?;
        self.hear(PATIENCE)
    }

    /// A server: from now on the process sleeps that long when it opens a file.
    pub fn put(&mut self, pid: u32, sleep: Duration) -> Result<()> {
        let answer = self.ask(&format!("put {pid} {}", sleep.as_millis()))?;
        ensure!(answer == "ok", "{answer}");
        Ok(())
    }

    /// A server: how often the process opened a file, and how often it slept to the end.
    pub fn look(&mut self, pid: u32) -> Result<(u64, u64)> {
        let answer = self.ask(&format!("look {pid}"))?;
        let (fired, slept) = answer.split_once(' ').context("two numbers")?;
        Ok((fired.parse()?, slept.parse()?))
    }

    /// An opener: what a round came to.
    pub fn round(&self) -> Result<Round> {
        let line = self.hear(PATIENCE)?;
        let numbers = line
            .split(' ')
            .map(|word| Ok(Duration::from_micros(word.parse()?)))
            .collect::<Result<Vec<_>>>()?;
        match numbers[..] {
            [least, most, wall, cpu] => Ok(Round {
                least,
                most,
                wall,
                cpu,
            }),
            _ => bail!("four numbers, not {line}"),
        }
    }

    /// Waits until all threads of a process but its first are asleep. `fired` cannot say: counts get lost.
    pub fn wait_until_asleep(&self, threads: usize) -> Result<()> {
        let tasks = format!("/proc/{}/task", self.pid());
        eventually("the threads to be asleep", PATIENCE, || {
            let mut asleep = 0;
            for task in std::fs::read_dir(&tasks)?.flatten() {
                let stack = std::fs::read_to_string(task.path().join("syscall"));
                let open = libc::SYS_openat.to_string();
                if stack.is_ok_and(|line| line.split(' ').next() == Some(&open)) {
                    asleep += 1;
                }
            }
            Ok((asleep == threads).then_some(()))
        })
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            kill_process(pid, Signal::KILL)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
