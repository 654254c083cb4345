//! What victims say, and when they start.

use std::io::{Write, stdin, stdout};
use std::net::SocketAddr;
use std::thread::sleep;

use anyhow::Result;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Line, Op, Summary};

use crate::{Rounds, errors};

/// Prints one line.
pub(crate) fn say(line: &Line) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// Says that everything is set up.
pub(crate) fn ready(address: Option<SocketAddr>) -> Result<()> {
    say(&Line::Ready { address })
}

/// Does one round at once, or one for each line on standard input until it ends.
pub(crate) fn rounds(wait: bool, mut round: impl FnMut() -> Result<Summary>) -> Result<()> {
    ready(None)?;
    if !wait {
        return say(&Line::Summary(Box::new(round()?)));
    }
    for line in stdin().lines() {
        line?;
        say(&Line::Summary(Box::new(round()?)))?;
    }
    Ok(())
}

/// A round of operations that are done one after the other and can fail.
pub(crate) fn operations(
    rounds: &Rounds,
    operation: impl FnMut(u64) -> std::io::Result<()>,
) -> Result<Summary> {
    operations_told_by(|op| say(&Line::Op(op)), rounds, operation)
}

/// The same, where it is not for this thread to say anything.
pub(crate) fn operations_told_by(
    mut tell: impl FnMut(Op) -> Result<()>,
    rounds: &Rounds,
    mut operation: impl FnMut(u64) -> std::io::Result<()>,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut times = Vec::new();
    let began = now_ns();
    for number in 0..rounds.count {
        let start_ns = now_ns();
        let outcome = operation(number);
        let took_ns = now_ns() - start_ns;
        summary.sent += 1;
        let error = outcome.err().map(|error| errors::name(&error));
        match &error {
            None => {
                summary.ok += 1;
                times.push(took_ns);
            }
            Some(error) => {
                summary.damaged += u64::from(error == "damaged");
                summary.failed(error);
            }
        }
        if rounds.each {
            tell(Op {
                start_ns,
                took_ns,
                error,
            })?;
        }
        if !rounds.interval.is_zero() {
            sleep(rounds.interval);
        }
    }
    summary.elapsed_ns = now_ns() - began;
    summary.times(&times);
    Ok(summary)
}
