//! Tries the park (`injector_host::sleep_server`) without the rest of the injector: one process that serves it, others
//! that sleep there. Lines go in, lines come out; see `injector_tests::parker`.

mod opener;
mod server;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use injector_host::sleep_server::page_holder;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve"] => server::serve(),
        ["open", threads] => opener::open(threads.parse().context("threads is a number")?),
        // The park starts its page holder as this program's own.
        [page_holder::COMMAND, bytes] => {
            let bytes = bytes.parse().context("bytes is a number")?;
            Err(page_holder::hold(bytes)).context("the holder failed")
        }
        _ => bail!("say `serve`, or `open THREADS`"),
    }
}
