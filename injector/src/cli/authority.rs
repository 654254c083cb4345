//! `injector ca`: an authority of one's own, for the relay.

use std::path::PathBuf;

use clap::Args;

use injector_engine::{
    tell::{self, Stream},
    worker::Output,
};
use injector_relay::authority::{self, GOOD_FOR_DAYS};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
};
use serde::Serialize;

use super::flags::OutputFlags;

/// `injector ca`.
#[derive(Args, Debug)]
pub struct AuthorityFlags {
    /// Where the two files go; it is made where it is missing
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

/// What `injector ca --json` prints.
#[derive(Serialize)]
struct Told {
    ca: String,
    ca_key: String,
    good_for_days: u16,
}

/// Makes an authority and tells what to do with it.
pub fn make_authority(flags: &AuthorityFlags) -> Result<Exit, Refusal> {
    let made =
        authority::make(&flags.directory).map_err(|error| Refusal::usage(error.to_string()))?;
    let [ca, ca_key] = [&made.ca, &made.ca_key].map(|path| printable::path(path));
    let text = match flags.output.output() {
        Output::Text => format!(
            "{ca}  its certificate, good for {GOOD_FOR_DAYS} days\n\
             {ca_key}  its key: a program that has it can pass for any server to programs that trust the authority\n\n\
             Have the agent trust it beside the host's own, then start the agent anew:\n  \
             cat /etc/ssl/certs/ca-certificates.crt {ca} > bundle.pem\n  \
             export SSL_CERT_FILE=$PWD/bundle.pem REQUESTS_CA_BUNDLE=$PWD/bundle.pem   # Python, curl, Go\n  \
             export NODE_EXTRA_CA_CERTS={ca}   # Node.js\n\n\
             Have injector use it, in /etc/injector/injector.toml or a file that `--config` names:\n  \
             [relay]\n  ca = \"{ca}\"\n  ca_key = \"{ca_key}\"\n"
        ),
        Output::Json => {
            let told = Told {
                ca,
                ca_key,
                good_for_days: GOOD_FOR_DAYS,
            };
            // Texts and a number always serialise.
            let text = serde_json::to_string(&told).unwrap_or_default();
            format!("{text}\n")
        }
    };
    tell::pass_on(Stream::Result, text.as_bytes());
    Ok(Exit::Done)
}
