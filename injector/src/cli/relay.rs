//! The hidden command that is the relay, and what it is handed.

use std::{
    os::fd::{FromRawFd, OwnedFd},
    path::PathBuf,
};

use clap::Args;
use injector_relay::process::{self, Inherited};
use injector_spec::{config::OpensTls, error::Refusal};

/// Descriptors that the worker has left open, by their numbers.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// The worker's end of the conversation
    #[arg(long, value_name = "DESCRIPTOR")]
    conversation: i32,
    /// The listener on 127.0.0.1
    #[arg(long, value_name = "DESCRIPTOR")]
    v4: Option<i32>,
    /// The listener on `::1`
    #[arg(long, value_name = "DESCRIPTOR")]
    v6: Option<i32>,
    /// The map of the lease
    #[arg(long, value_name = "DESCRIPTOR")]
    lease: i32,
    /// The map of what the relay says of itself
    #[arg(long, value_name = "DESCRIPTOR")]
    relay: i32,
    /// The map of connections
    #[arg(long, value_name = "DESCRIPTOR")]
    relayed: i32,
    /// The certificate of the authority that TLS is opened by
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "ca")]
    ca_key: Option<PathBuf>,
    /// The authorities that the peers are trusted by
    #[arg(long, value_name = "FILE", requires = "ca")]
    peer_ca: Option<PathBuf>,
}

impl Flags {
    /// Is the relay, until the run is over.
    pub fn run(self) -> Result<(), Refusal> {
        let inherited = Inherited {
            conversation: inherited(self.conversation)?,
            listener_v4: self.v4.map(inherited).transpose()?,
            listener_v6: self.v6.map(inherited).transpose()?,
            lease: inherited(self.lease)?,
            relay: inherited(self.relay)?,
            relayed: inherited(self.relayed)?,
            opens_tls: opens_tls(self.ca, self.ca_key, self.peer_ca),
        };
        process::run(inherited).map_err(|error| Refusal::failed(error.to_string()))
    }
}

fn opens_tls(
    ca: Option<PathBuf>,
    ca_key: Option<PathBuf>,
    peer_ca: Option<PathBuf>,
) -> Option<OpensTls> {
    Some(OpensTls {
        ca: ca?,
        ca_key: ca_key?,
        peer_ca,
    })
}

/// The descriptor with this number, where there is one.
fn inherited(number: i32) -> Result<OwnedFd, Refusal> {
    // SAFETY: fcntl(2) with F_GETFD touches no memory, whatever the number.
    let is_open = number >= 3 && unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
    if !is_open {
        return Err(Refusal::usage(
            "`injector hold-relay` is started by injector itself.",
        ));
    }
    // SAFETY: it is open, and the worker has left it open for this process alone, which takes each once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
