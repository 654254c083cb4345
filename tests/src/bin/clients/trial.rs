//! One call under one fault.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::Lab;
use injector_tests::place::Place;

use crate::client::{Came, Client, Family, Runtimes};
use crate::written::Row;

/// How the answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    Stream,
}

/// Whether a client can have the whole answer while the fault is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Comes,
    /// It, or its rest, comes when the fault ends: who gets it has waited for that, past its own deadline.
    Held,
}

/// A fault, and how a client asks under it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Command line behind `injector`.
    fault: &'static str,
    way: Way,
    /// The client's own deadline, in seconds.
    deadline: &'static str,
    answer: Answer,
}

const fn whole(fault: &'static str) -> Trial {
    Trial {
        fault,
        way: Way::Whole,
        deadline: "30",
        answer: Answer::Comes,
    }
}

const fn stream(fault: &'static str) -> Trial {
    Trial {
        way: Way::Stream,
        ..whole(fault)
    }
}

/// What is held back until the fault ends.
const fn held(trial: Trial) -> Trial {
    Trial {
        deadline: "2",
        answer: Answer::Held,
        ..trial
    }
}

const MODELS: &[Trial] = &[
    whole("llm rate-limit --retry-after 1s"),
    whole("llm rate-limit --limit quota"),
    whole("llm error --status 401"),
    whole("llm error --status 500"),
    whole("llm overload"),
    stream("llm overload --after-tokens 2"),
    held(whole("llm timeout --request delivered")),
    stream("llm slow --latency 1s --token-gap 300ms"),
    held(stream("llm stall --after-tokens 2")),
    whole("llm cut --ending clean"),
    stream("llm cut --ending clean --after-tokens 2"),
    whole("llm cut --ending dirty"),
    stream("llm cut --ending dirty --after-tokens 2"),
    whole("llm malformed"),
    stream("llm malformed"),
    whole("llm empty"),
    whole("llm wrong-model --answers tiny-1"),
];

const TOOLS: &[Trial] = &[
    whole("tool error"),
    whole("tool is-error"),
    held(whole("tool timeout")),
    whole("tool slow --latency 1s"),
    whole("tool empty"),
    whole("tool corrupt"),
    whole("tool schema-mismatch --change keys"),
    whole("tool inject --text stop"),
];

/// A client that has not ended by then never does.
const ENDING: Duration = Duration::from_secs(100);

impl fmt::Display for Trial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.fault)?;
        match self.way {
            Way::Whole => Ok(()),
            Way::Stream => out.write_str(", a stream"),
        }
    }
}

impl Trial {
    pub(crate) const fn of(family: Family) -> &'static [Self] {
        match family {
            Family::Models => MODELS,
            Family::Tools => TOOLS,
        }
    }

    /// Arms the fault on the agent's cgroup, and has the client make its call there.
    pub(crate) fn run(
        &self,
        lab: &Lab,
        injector: &Injector,
        (client, runtimes): (Client, &Runtimes),
        server: &Server,
    ) -> Result<Row> {
        let words: Vec<&str> = self.fault.split(' ').collect();
        let armed = lab.arm(injector, &words)?;
        let mut command = runtimes.command(client);
        let way = match self.way {
            Way::Whole => "whole",
            Way::Stream => "stream",
        };
        command.args([server.port.as_str(), way, self.deadline]);
        lab.agent().settle(&mut command)?;
        let came = call(command)?;
        let report = armed.report()?;
        let counted = report.faults.first().context("a report without a fault")?;
        ensure!(
            counted.hit > 0,
            "the fault met nothing: {counted:?}, {came:?}"
        );
        Ok(Row::new(
            self.to_string(),
            self.answer,
            counted.matched,
            &came,
        ))
    }
}

fn call(mut command: Command) -> Result<Came> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the client cannot be started")?;
    let ended = eventually("the client to end", ENDING, || {
        Ok(child.try_wait()?.map(drop))
    });
    if ended.is_err() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    ended.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the client says {said:?} and {errors:?}")
    })
}

/// What the clients talk to; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: String,
}

impl Server {
    pub(crate) fn start(runtimes: &Runtimes) -> Result<Self> {
        let mut command = runtimes.python("server.py");
        // It ends with this program, however that ends.
        Place::default().settle(&mut command)?;
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.context("the server cannot be started")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut port = String::new();
        lines.read_line(&mut port)?;
        // What it tells of its requests is not asked for, and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let port = port.trim().to_owned();
        ensure!(port.parse::<u16>().is_ok(), "the server says {port:?}");
        Ok(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
