//! What the kernel's verifier says of each BPF program: one JSON object a line. A program that this kernel refuses is
//! an answer and no failure. `cargo xtask verifier` runs it, here and in virtual machines, and holds the figures
//! against a bound.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use injector_host::kernel::verifier;

fn main() -> ExitCode {
    let figures = match verifier::figures() {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("verifier: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = io::stdout().lock();
    for figures in figures {
        let told = serde_json::to_string(&figures)
            .map_err(io::Error::from)
            .and_then(|line| writeln!(out, "{line}"));
        if told.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
