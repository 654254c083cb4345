//! The least of DNS (RFC 1035) that a question and its answer need.

use std::io::Error;
use std::net::{SocketAddr, UdpSocket};

use anyhow::Result;

use crate::Rounds;
use crate::speak::{operations, ready, rounds};
use crate::udp::connected;

const HEADER: usize = 12;
/// Type A, class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// Asks for the address of a name; answers other than NOERROR are errors with the rcode's name.
pub(crate) fn ask(server: SocketAddr, name: &str, options: &Rounds) -> Result<()> {
    let socket = connected(server)?;
    socket.set_read_timeout(Some(options.timeout))?;
    let mut id = 0u16;
    rounds(options.wait, || {
        operations(options, |_number| {
            id = id.wrapping_add(1);
            socket.send(&question(id, name))?;
            let mut answer = [0; 512];
            loop {
                let length = socket.recv(&mut answer)?;
                if length >= HEADER && answer[..2] == id.to_be_bytes() {
                    return verdict(&answer[..length]);
                }
            }
        })
    })
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut query = Vec::from(id.to_be_bytes());
    // Recursion desired; one question.
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(A_IN);
    query
}

fn verdict(answer: &[u8]) -> std::io::Result<()> {
    let answers = u16::from_be_bytes([answer[6], answer[7]]);
    match answer[3] & 0x0f {
        0 if answers > 0 => Ok(()),
        0 => Err(Error::other("empty")),
        2 => Err(Error::other("servfail")),
        3 => Err(Error::other("nxdomain")),
        other => Err(Error::other(format!("rcode {other}"))),
    }
}

/// Answers every question with 127.0.0.9.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(listen)?;
    ready(Some(socket.local_addr()?))?;
    let mut query = [0; 512];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut query) else {
            continue;
        };
        if length < HEADER {
            continue;
        }
        let mut answer = query[..length].to_vec();
        // A response, recursion available, no error; one answer.
        answer[2] |= 0x80;
        answer[3] = 0x80;
        answer[7] = 1;
        // The name is the one at offset 12; type and class; 60 s; four bytes of address.
        answer.extend([0xc0, 12]);
        answer.extend(A_IN);
        answer.extend([0, 0, 0, 60, 0, 4, 127, 0, 0, 9]);
        // The client may have gone.
        drop(socket.send_to(&answer, from));
    }
}
