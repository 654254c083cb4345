//! A line for the system's log: journald's own datagrams, or syslog's where there is no journald.
//!
//! Rejected: `logger(1)` and `systemd-cat(1)`, programs that may not be there; and the C library's
//! `syslog(3)`, which keeps a connection of its own and waits where no process reads.

use std::{os::unix::net::UnixDatagram, time::Duration};

use super::Message;
use injector_spec::printable;

/// How long a reader that is behind is waited for.
const WITHIN: Duration = Duration::from_secs(1);

/// How a datagram is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `FIELD=value` lines (systemd's "Native Journal Protocol").
    Native,
    /// RFC 3164.
    Syslog,
}

/// Where the log is, by preference.
pub(super) const SOCKETS: [(&str, Form); 2] = [
    ("/run/systemd/journal/socket", Form::Native),
    ("/dev/log", Form::Syslog),
];

/// Sends the line to the first socket that is there.
pub(super) fn tell(sockets: &[(&str, Form)], message: &Message) -> Result<(), String> {
    let mut why = Vec::new();
    for (path, form) in sockets {
        match send(path, &text(*form, message)) {
            Ok(()) => return Ok(()),
            Err(error) => why.push(format!("{path}: {error}")),
        }
    }
    Err(why.join("; "))
}

fn send(path: &str, text: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(WITHIN))?;
    socket.send_to(text.as_bytes(), path).map(drop)
}

/// The datagram. Every value is one line: what could end it is escaped.
pub(super) fn text(form: Form, message: &Message) -> String {
    let Message {
        run,
        name,
        outcome,
        why,
        ..
    } = message;
    let sentence = format!("run {run} ({name}) {outcome}: {why}");
    let sentence = printable::line(&sentence);
    match form {
        // 2 is "critical" (syslog(3)).
        Form::Native => format!(
            "MESSAGE={sentence}\nPRIORITY=2\nSYSLOG_IDENTIFIER=injector\nINJECTOR_RUN={run}\n\
             INJECTOR_OUTCOME={outcome}\n"
        ),
        // Facility 3, "system daemons", times eight, and 2.
        Form::Syslog => format!("<26>injector: {sentence}"),
    }
}
