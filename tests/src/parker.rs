//! The test's end of the `parker` program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

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
        let mut command = Command::new(binaries::parker()?);
        command.arg("serve");
        Self::start(&mut command)
    }

    /// Opens files on some threads, and not as root; `about` is its own process id.
    pub fn open(threads: usize) -> Result<Self> {
        const NOBODY: u32 = 65_534;
        let mut command = Command::new(binaries::parker()?);
        command.arg("open").arg(threads.to_string());
        command.uid(NOBODY).gid(NOBODY);
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
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

    /// Waits until so many threads of an opener are asleep. Its counts cannot say: some get lost.
    pub fn wait_until_asleep(&self, threads: usize) -> Result<()> {
        let open = libc::SYS_openat.to_string();
        eventually("the threads to be asleep", PATIENCE, || {
            let asleep = self.tasks("syscall", |call| call.split(' ').next() == Some(&open))?;
            Ok((asleep == threads).then_some(()))
        })
    }

    /// Stops it, waits until all its threads have stopped, and lets it go on. Says how long stopping took.
    pub fn stop_and_go_on(&self) -> Result<Duration> {
        let since = Instant::now();
        self.signal(Signal::STOP)?;
        eventually("all threads to stop", PATIENCE, || {
            let running = self.tasks("status", |status| !status.contains("\nState:\tT"))?;
            Ok((running == 0).then_some(()))
        })?;
        let took = since.elapsed();
        self.signal(Signal::CONT)?;
        Ok(took)
    }

    /// How many of its threads have such a file in /proc.
    fn tasks(&self, file: &str, is_such: impl Fn(&str) -> bool) -> Result<usize> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()))?;
        let files = tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join(file)).ok());
        Ok(files.filter(|text| is_such(text)).count())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("no process id")?;
        kill_process(pid, signal).context("cannot send a signal")
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
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
