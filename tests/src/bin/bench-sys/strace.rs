//! The same loop with strace in the injector's place.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::lab::{Family, Lab, Wire};

use crate::loops::Loop;

/// strace on a process, until it is dropped.
struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // It lets go of the process when it dies.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nanoseconds of a call that strace makes fail.
pub(crate) fn turn(calls: u64) -> Result<f64> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?;
    let mut traced = Loop::start(lab.agent(), server, calls)?;
    let pid = traced.pid().to_string();
    let filter = [
        "-e",
        "trace=connect",
        "-e",
        "inject=connect:error=ECONNREFUSED",
    ];
    let child = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-p", &pid])
        .args(filter)
        .stdin(Stdio::null())
        .spawn()
        .context("strace (Debian package strace) cannot be started")?;
    let _tracer = Tracer(child);
    let status = format!("/proc/{pid}/status");
    eventually("strace to attach", Duration::from_secs(20), || {
        let text = fs::read_to_string(&status)?;
        let is_traced = text
            .lines()
            .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"));
        Ok(is_traced.then_some(()))
    })?;
    let turn = traced.turn()?;
    ensure!(
        turn.failed == calls,
        "strace did not hit all calls: {turn:?}"
    );
    Ok(turn.nanos)
}
