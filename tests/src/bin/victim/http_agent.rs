//! An agent: calls the model API in a loop and keeps what it answers, with a timeout, retries and backoff,
//! as agents do.

use std::fs;
use std::io::{BufReader, ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Call, Line};

use crate::speak::{ready, say};
use crate::tcp::connect;
use crate::{errors, health, http};

const TIMEOUT: Duration = Duration::from_secs(2);
const RETRIES: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(50);
/// Between calls: what the agent does with the answer.
const WORK: Duration = Duration::from_millis(2);
/// An agent that finished nothing for longer is not well.
const OF_LATE_NS: u64 = 2_000_000_000;
const QUESTION: &[u8] = br#"{"messages":[{"role":"user","content":"Does it work?"}]}"#;

/// One call after the other, until killed.
pub(crate) fn call_for_ever(
    peer: SocketAddr,
    notes: Option<&Path>,
    health: Option<SocketAddr>,
) -> anyhow::Result<()> {
    let went_well_ns = Arc::new(AtomicU64::new(now_ns()));
    let address = health
        .map(|listen| tell_health(listen, &went_well_ns))
        .transpose()?;
    ready(address)?;
    let mut connection = None;
    loop {
        let call = call(peer, &mut connection, notes);
        if call.ok {
            went_well_ns.store(call.end_ns, Ordering::Release);
        }
        say(&Line::Call(call))?;
        sleep(WORK);
    }
}

/// Answers who asks whether a call went well within [`OF_LATE_NS`].
fn tell_health(listen: SocketAddr, went_well_ns: &Arc<AtomicU64>) -> Result<SocketAddr> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    let went_well_ns = Arc::clone(went_well_ns);
    health::serve(listener, move || {
        now_ns().saturating_sub(went_well_ns.load(Ordering::Acquire)) < OF_LATE_NS
    });
    Ok(address)
}

fn call(peer: SocketAddr, connection: &mut Option<TcpStream>, notes: Option<&Path>) -> Call {
    let start_ns = now_ns();
    let mut failures = Vec::new();
    for attempt in 1..=RETRIES + 1 {
        let kept = exchange(peer, connection).and_then(|answer| keep(&answer, notes));
        match kept {
            Ok(()) => {
                return Call {
                    start_ns,
                    end_ns: now_ns(),
                    ok: true,
                    attempts: attempt,
                    failures,
                };
            }
            Err(error) => {
                if error.kind() != ErrorKind::StorageFull {
                    *connection = None;
                }
                failures.push(errors::name(&error));
            }
        }
        if attempt <= RETRIES {
            sleep(BACKOFF * 2u32.pow(attempt - 1));
        }
    }
    Call {
        start_ns,
        end_ns: now_ns(),
        ok: false,
        attempts: RETRIES + 1,
        failures,
    }
}

/// One request and its answer on the connection that is kept from call to call.
fn exchange(peer: SocketAddr, connection: &mut Option<TcpStream>) -> Result<Vec<u8>> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(peer, TIMEOUT)?),
    };
    http::write(stream, "POST /v1/chat HTTP/1.1", QUESTION)?;
    let answer = http::read(&mut BufReader::new(&*stream))?.ok_or(ErrorKind::UnexpectedEof)?;
    if answer.intact && answer.first_line == "HTTP/1.1 200 OK" {
        Ok(answer.body)
    } else {
        Err(ErrorKind::InvalidData.into())
    }
}

/// Writes the answer down, each in the place of the last.
fn keep(answer: &[u8], notes: Option<&Path>) -> Result<()> {
    notes.map_or(Ok(()), |path| fs::write(path, answer))
}
