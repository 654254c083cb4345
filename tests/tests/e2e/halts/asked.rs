//! Halt conditions that ask something outside of the injector: ports, web servers, commands, Prometheus.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::victim::Victim;

use super::{CUT, Stage, case};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a_port_that_is_closed", closed_port),
        case("a_status_that_changes", changed_status),
        case("a_command_that_fails", failed_command),
        case("a_command_that_hangs_is_a_failure", hung_command),
        case("a_command_that_hangs_keeps_nobody", patient_command),
        case("a_value_in_prometheus", prometheus),
    ]
}

fn closed_port() -> Result<()> {
    let mut stage = Stage::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let condition = format!(
        "tcp {} fails 2 every 100ms within 5s",
        listener.local_addr()?
    );
    let armed = stage.arm(&condition)?;
    drop(listener);
    stage.halted(armed, "tcp 127.0.0.1")?;
    Ok(())
}

/// A web server whose whole answer may be changed.
struct Web {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    is_over: Arc<AtomicBool>,
}

impl Web {
    fn serve(answer: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let web = Self {
            address: listener.local_addr()?,
            answer: Arc::new(Mutex::new(answer.to_owned())),
            is_over: Arc::default(),
        };
        let (answer, is_over) = (Arc::clone(&web.answer), Arc::clone(&web.is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut asked = [0; 4096];
                let _length = stream.read(&mut asked);
                let answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
                let _sent = stream.write_all(answer.as_bytes());
            }
        });
        Ok(web)
    }

    fn change(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _woken = std::net::TcpStream::connect(self.address);
    }
}

fn with_body(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn changed_status() -> Result<()> {
    let mut stage = Stage::new()?;
    let web = Web::serve(&with_body("fine"))?;
    let condition = format!(
        "http http://{}/health fails 2 of 3 every 100ms within 5s",
        web.address
    );
    let armed = stage.arm(&condition)?;
    web.change("HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let report = stage.halted(armed, "http http://")?;
    ensure!(
        report["why"]
            .as_str()
            .is_some_and(|why| why.contains("503")),
        "{report}"
    );
    Ok(())
}

fn prometheus() -> Result<()> {
    let mut stage = Stage::new()?;
    let value = |value: &str| {
        let result = format!("[{{\"metric\":{{}},\"value\":[1.5,\"{value}\"]}}]");
        with_body(&format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":{result}}}}}"
        ))
    };
    let web = Web::serve(&value("4"))?;
    let condition = format!(
        "prometheus http://{} \"sum(rate(errors_total[1m]))\" > 5 every 100ms within 5s",
        web.address
    );
    let armed = stage.arm(&condition)?;
    web.change(&value("6.5"));
    let report = stage.halted(armed, "prometheus http://")?;
    ensure!(
        report["why"]
            .as_str()
            .is_some_and(|why| why.contains("6.5")),
        "{report}"
    );
    Ok(())
}

fn failed_command() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a file; with $(odd) words");
    fs::write(&file, "")?;
    let words = serde_json::to_string(&["/bin/ls", &file.to_string_lossy()])?;
    let armed = stage.arm(&format!("command {words} fails 1 every 200ms within 5s"))?;
    fs::remove_file(&file)?;
    stage.halted(armed, "command [\"/bin/ls\"")?;
    Ok(())
}

/// A program that answers when it is asked first, and hangs from when it is told to.
struct Hanging {
    folder: tempfile::TempDir,
    file: std::path::PathBuf,
}

impl Hanging {
    fn later(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(name);
        fs::write(&file, "")?;
        Ok(Self { folder, file })
    }

    fn condition(&self, how: &str) -> Result<String> {
        let words = serde_json::to_string(&["/bin/cat", &self.file.to_string_lossy()])?;
        Ok(format!("command {words} {how}"))
    }

    /// A process that opens a pipe without a writer waits.
    fn hang(&self) -> Result<()> {
        let pipe = self.folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
        ensure!(made.success(), "no pipe");
        fs::rename(pipe, &self.file)?;
        Ok(())
    }
}

/// A probe that does not answer has failed, and its program is gone with the run.
fn hung_command() -> Result<()> {
    let mut stage = Stage::new()?;
    let program = Hanging::later("86417")?;
    let armed = stage.arm(&program.condition("fails 3 every 1s within 1s")?)?;
    program.hang()?;
    stage.halted(armed, "command [\"/bin/cat\"")?;
    no_process(&program.file.to_string_lossy())
}

/// One that hangs and may do so keeps neither the lease from being renewed nor another condition from
/// ending the run.
fn patient_command() -> Result<()> {
    let mut stage = Stage::new()?;
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let program = Hanging::later("86418")?;
    let hangs = program.condition("fails 1 every 200ms within 1m")?;
    let flags = ["--halt-if", &hangs, "--halt-if", "target.exits >= 1"];
    let armed = stage
        .lab
        .arm(&stage.injector, &[&CUT[..], &flags].concat())?;
    program.hang()?;
    // Longer than a lease.
    let later = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < later {
        ensure!(stage.agent.look()?.ok == 0, "the lease was lost");
    }
    drop(victim);
    stage.halted(armed, "target.exits")?;
    no_process(&program.file.to_string_lossy())
}

fn no_process(argument: &str) -> Result<()> {
    let is_there = || -> Result<bool> {
        Ok(fs::read_dir("/proc")?.flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|word| word == argument.as_bytes())
        }))
    };
    eventually(
        "the program of a probe to be gone",
        Duration::from_secs(2),
        || Ok((!is_there()?).then_some(())),
    )
}
