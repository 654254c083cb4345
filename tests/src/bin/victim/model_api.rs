//! A model API: thinks for about 5 ms and answers with JSON.

use std::io::{BufReader, ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::http::{self, Message};
use crate::speak::ready;

const THINKING: Duration = Duration::from_millis(5);
const ANSWER: &[u8] = br#"{"role":"assistant","content":"It works.","tokens":3}"#;

/// Serves for ever, a thread for each connection.
pub(crate) fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)?;
    ready(Some(listener.local_addr()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        // A client that breaks off is the client's affair.
        thread::spawn(move || drop(converse(&stream)));
    }
    Ok(())
}

fn converse(stream: &TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    let mut output = stream;
    loop {
        match http::read(&mut input) {
            Ok(Some(request)) if is_sound(&request) => {
                sleep(THINKING);
                http::write(&mut output, "HTTP/1.1 200 OK", ANSWER)?;
            }
            Ok(Some(_damaged)) => http::write(&mut output, "HTTP/1.1 400 Damaged", b"{}")?,
            // After rubbish in the header the server cannot know where the next request begins.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return http::write(&mut output, "HTTP/1.1 400 Damaged", b"{}");
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn is_sound(request: &Message) -> bool {
    request.intact && request.first_line == "POST /v1/chat HTTP/1.1" && !request.body.is_empty()
}
