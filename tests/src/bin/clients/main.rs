//! What clients from package registries make of faults on models and tools: `cargo xtask clients`.
//!
//! Each client makes one call under each fault, with its own defaults but for its deadline, and the injector's report says
//! how many requests that call came to. What is printed is the table of the book, or where it is not what the book says.
//!
//! Rejected: clients written here. They would do what their author believes that clients do.

mod client;
mod trial;
mod written;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};

use client::{CLIENTS, Client, Runtimes};
use trial::{Server, Trial};
use written::{Row, Tables};

/// Has clients meet faults.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    runtimes: Runtimes,
    /// Only clients whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Each fault with one client alone.
    #[arg(long)]
    brief: bool,
    /// Say where it is not what this page says, instead of printing it.
    #[arg(long, value_name = "FILE")]
    held_to: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("The clients cannot be tried: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "it starts runs, which takes root"
    );
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let server = Server::start(&cli.runtimes)?;
    let mut tables = Tables::default();
    for client in CLIENTS {
        let is_meant = cli.only.as_deref().is_none_or(|text| client.is_named(text));
        if !is_meant || !cli.runtimes.have(client) {
            continue;
        }
        for trial in trials(client, cli.brief) {
            let row = one(cli, &lab, &injector, &server, (client, trial))?;
            eprintln!("{}: {}", client.name(), row.line());
            tables.add(client, row);
        }
    }
    let Some(page) = &cli.held_to else {
        print!("{tables}");
        return Ok(true);
    };
    let text = fs::read_to_string(page)
        .with_context(|| format!("{} is not to be read", page.display()))?;
    let wrong = tables.contradictions(&text);
    for wrong in &wrong {
        println!("{wrong}");
    }
    println!(
        "{} calls, {} not as the book says",
        tables.rows(),
        wrong.len()
    );
    Ok(wrong.is_empty())
}

fn one(
    cli: &Cli,
    lab: &Lab,
    injector: &Injector,
    server: &Server,
    (client, trial): (Client, Trial),
) -> Result<Row> {
    trial
        .run(lab, injector, (client, &cli.runtimes), server)
        .with_context(|| format!("{} under `{trial}`", client.name()))
}

/// The trials of a client. In brief the faults are shared out among the clients of a family, so that each is met once.
fn trials(client: Client, brief: bool) -> Vec<Trial> {
    let all = Trial::of(client.family());
    if !brief {
        return all.to_vec();
    }
    let mut family = CLIENTS
        .into_iter()
        .filter(|one| one.family() == client.family());
    let place = family
        .clone()
        .position(|one| one == client)
        .unwrap_or_default();
    let of = family.by_ref().count();
    all.iter().copied().skip(place).step_by(of).collect()
}
