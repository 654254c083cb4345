//! Everything that a socket's owner would not do to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use injector_common::decide::random64;

/// Connections that each abuser holds at most.
const CROWD: usize = 50;

/// Plays with the daemon's socket until it is over: connections that say nothing, that say something slowly, that
/// say garbage, that ask without end and do not read. The seed says in which order.
pub fn socket(socket: &Path, seed: u64, over: &AtomicBool) {
    let mut held = Vec::new();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let Ok(mut stream) = UnixStream::connect(socket) else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(20)));
        let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
        // It may be closed already, which is its right.
        let _ = stream.write_all(&words(random64(seed, number)));
        let _ = stream.read(&mut [0; 64]);
        held.push(stream);
        if held.len() >= CROWD {
            held.clear();
        }
    }
}

/// What one connection says.
fn words(random: u64) -> Vec<u8> {
    const POST: &[u8] = b"POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n";
    let length = usize::try_from(random >> 48).unwrap_or_default();
    match random % 8 {
        0 => Vec::new(),
        1 => b"GET /v1/status HTTP/1.1\r\nx: ".to_vec(),
        2 => vec![b'\xff'; 64 * 1024],
        3 => b"GET /v1/runs HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200),
        4 => [POST, &vec![b' '; 1_000_000]].concat(),
        // A body that never comes to its end, one that is not what it says, and what is no request at all.
        5 => [POST, &vec![b'{'; length]].concat(),
        6 => b"POST /v1/halt HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n[".to_vec(),
        _ => (0..length as u64)
            .flat_map(|index| random64(random, index).to_ne_bytes())
            .collect(),
    }
}
