//! A process tree: pings from the process, a thread of it, a child from before and a child from now.

use std::io::{BufRead, BufReader, Write, stdin};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use injector_tests::observation::{Line, Summary};

use crate::Rounds;
use crate::speak::{ready, say};
use crate::tcp::Pinger;

/// On each line of standard input: one summary from each voice, then `Done`.
pub(crate) fn run(peer: SocketAddr, depth: u32, options: &Rounds) -> Result<()> {
    let mut pinger = pinger(peer, options);
    pinger.open()?;
    let mut old_child = match depth {
        0 => None,
        _ => Some(Tree::start(peer, depth - 1, options)?),
    };
    ready(None)?;
    for line in stdin().lines() {
        line?;
        tell("main", pinger.round(options)?)?;
        tell("thread", in_a_thread(peer, options)?)?;
        if let Some(child) = &mut old_child {
            child.relay("old-child")?;
        }
        if depth > 0 {
            Tree::start(peer, 0, options)?.relay("new-child")?;
        }
        say(&Line::Done)?;
    }
    Ok(())
}

fn pinger(peer: SocketAddr, options: &Rounds) -> Pinger {
    Pinger::new(peer, false, 64, options.timeout)
}

fn in_a_thread(peer: SocketAddr, options: &Rounds) -> Result<Summary> {
    let options = options.clone();
    thread::spawn(move || pinger(peer, &options).round(&options))
        .join()
        .map_err(|_panic| anyhow::anyhow!("a pinging thread panicked"))?
}

fn tell(who: &str, summary: Summary) -> Result<()> {
    let who = if summary.who.is_empty() {
        who.to_owned()
    } else {
        format!("{who}/{}", summary.who)
    };
    say(&Line::Summary(Box::new(Summary { who, ..summary })))
}

/// A child that is a tree itself.
struct Tree {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tree {
    fn start(peer: SocketAddr, depth: u32, options: &Rounds) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "fork-tree",
                "--connect",
                &peer.to_string(),
                "--depth",
                &depth.to_string(),
            ])
            .args(["--count", &options.count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child
            .stdout
            .take()
            .context("a child has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        lines.next().context("a child said nothing")??;
        Ok(Self { child, lines })
    }

    fn relay(&mut self, who: &str) -> Result<()> {
        let stdin = self
            .child
            .stdin
            .as_mut()
            .context("a child has no standard input")?;
        stdin.write_all(b"go\n")?;
        for line in self.lines.by_ref() {
            match serde_json::from_str(&line?)? {
                Line::Summary(summary) => tell(who, *summary)?,
                Line::Done => return Ok(()),
                _other => {}
            }
        }
        anyhow::bail!("a child ended in the middle of a round")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Without its standard input it ends by itself.
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}
