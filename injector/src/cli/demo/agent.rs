//! `injector demo agent`: ten faults on a naive and on a careful agent, side by side, and what is said of each.
//!
//! From this program alone, as the other demo: [`server`] is a model and a tool, [`habit`] has both agents, [`faults`] what they
//! meet, and [`play`] arms it. Each fault has a run for each agent, both at the same time, and each agent is a process that
//! works once. The faults at which a naive agent stands still go on beside all others.
//!
//! Each fault is rehearsed before the first is armed: where the host would refuse one, the demo is refused, for the table would
//! have a row without an answer. What is printed is what the runs report; the demo fails where the naive agent does not show what the
//! fault is there for, where the careful one shows anything, or where something is left. Where it breaks off, it ends its runs and
//! waits for them; where it is killed, its agents end, and their runs with them.

mod faults;
mod habit;
mod http;
mod play;
mod server;
mod table;

use std::{io, net::SocketAddr, process, thread};

use injector_engine::tell;
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
    experiment::flaw,
};

pub(super) use habit::{Habit, Work};
pub(super) use server::serve;

use super::{cast::Process, part, remains::Remains, verdict::Finding};
use faults::{FAULTS, Fault, QUIET};
use play::{Agent, Both, BrokenOff, Met};

/// Shows both agents under all faults, and checks what is said of them.
pub fn demo_agent(config: &Source) -> Result<Exit, Refusal> {
    super::refuse_but_root()?;
    let before = Remains::look()?;
    let cannot = |error: io::Error| {
        Refusal::failed(format!(
            "the demo's processes cannot be started: {error}; try again"
        ))
    };
    let (server_process, mut lines) = Process::start(&["model"]).map_err(cannot)?;
    let said = lines.next().transpose().map_err(cannot)?;
    let server: SocketAddr = said
        .and_then(|line| line.parse().ok())
        .ok_or_else(|| cannot(io::Error::other("the server does not listen")))?;
    let tried = Agent::start(&QUIET, Habit::Careful, server).map_err(cannot)?;
    for fault in &FAULTS {
        if let Some(refusal) = play::refused(fault, tried.id(), config)? {
            return Err(refusal);
        }
    }
    drop(tried);
    tell::page(table::opening());
    let played = play_all(server, config)?;
    let ledger = ledger(server).map_err(cannot)?;
    drop(server_process);
    let findings = findings(&played, &ledger, &before.left()?);
    let last = played.last().map(|(_, [naive, _])| naive);
    tell::page(table::closing(&findings, last));
    let is_good = findings.iter().all(|finding| finding.is_good);
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

/// All faults, each with what both agents made of it; told row by row as they come, in the order of the table. No run is left, and
/// no thread, whatever comes.
fn play_all(server: SocketAddr, config: &Source) -> Result<Vec<(&'static Fault, Both)>, Refusal> {
    let broken_off = BrokenOff::default();
    let stand_still = FAULTS.iter().filter(|fault| stands_still(fault));
    let beside: Vec<_> = stand_still
        .map(|fault| {
            let (config, broken_off) = (config.clone(), broken_off.clone());
            let play = move || play::both(fault, server, &config, &broken_off);
            (fault, thread::spawn(play))
        })
        .collect();
    let mut played = Vec::new();
    let mut show = |fault: &'static Fault, both: Both| {
        tell::page(table::row(fault, &both));
        played.push((fault, both));
    };
    let mut first = Ok(());
    for fault in [&QUIET].into_iter().chain(&FAULTS) {
        if first.is_err() || stands_still(fault) {
            continue;
        }
        match play::both(fault, server, config, &broken_off) {
            Ok(both) => show(fault, both),
            Err(refusal) => first = Err(refusal),
        }
    }
    for (fault, play) in beside {
        if first.is_err() {
            broken_off.tell();
        }
        let broke = || Refusal::failed(format!("{} of the demo broke off.", fault.name));
        let both = play.join().unwrap_or_else(|_| Err(broke()));
        match (both, &first) {
            (Ok(both), Ok(())) => show(fault, both),
            (Err(refusal), Ok(())) => first = Err(refusal),
            // What was broken off has nothing to show.
            (Ok(_) | Err(_), Err(_)) => {}
        }
    }
    first.map(|()| played)
}

fn stands_still(fault: &Fault) -> bool {
    fault.shows.contains(&flaw::Flaw::Hung)
}

/// How often each order was paid.
fn ledger(server: SocketAddr) -> io::Result<std::collections::BTreeMap<String, u64>> {
    let deadline = Some(part::PATIENCE);
    let answer = http::post(server, server::LEDGER, &[], "", deadline)?;
    Ok(serde_json::from_slice(&answer.body)?)
}

/// What has to hold.
fn findings(
    played: &[(&'static Fault, Both)],
    ledger: &std::collections::BTreeMap<String, u64>,
    left: &[String],
) -> Vec<Finding> {
    let bites = || played.iter().filter(|(fault, _)| !fault.shows.is_empty());
    let shows = |fault: &Fault, met: &Met| {
        let flaws = met.flaws();
        fault.shows.iter().all(|flaw| flaws.contains(flaw))
    };
    let naive = bites().filter(|(fault, [naive, _])| shows(fault, naive));
    let careful = bites().filter(|(_, [_, careful])| !careful.flaws().is_empty());
    let (naive, careful, all) = (naive.count(), careful.count(), bites().count());
    let is_met =
        bites().all(|(_, both)| both.iter().all(|met| met.hits() > 0 && met.is_in_order()));
    let quiet = played.iter().filter(|(fault, _)| fault.shows.is_empty());
    let is_quiet = quiet.into_iter().all(|(_, both)| {
        both.iter()
            .all(|met| met.reaction.is_none() && met.is_in_order())
    });
    let twice = FAULTS
        .iter()
        .find(|fault| fault.shows.contains(&flaw::Flaw::DuplicateEffect));
    let paid = |habit: &str| {
        let order = twice.map(|fault| format!("{habit}-{}", fault.order()));
        order
            .and_then(|order| ledger.get(&order))
            .copied()
            .unwrap_or(0)
    };
    let (of_naive, of_careful) = (paid("naive"), paid("careful"));
    vec![
        Finding {
            is_good: is_met,
            what: "each fault was met by both".into(),
            evidence: format!("{all} faults, {} runs in good order", 2 * played.len()),
        },
        Finding {
            is_good: naive == all,
            what: "the naive agent shows its flaws".into(),
            evidence: format!("{naive} of {all}"),
        },
        Finding {
            is_good: careful == 0,
            what: "the careful agent shows none".into(),
            evidence: format!("{careful} of {all}"),
        },
        Finding {
            is_good: is_quiet,
            what: "nothing is said without a hit".into(),
            evidence: "no verdict where no fault bit".into(),
        },
        Finding {
            is_good: of_naive > 1 && of_careful == 1,
            what: "the tool's own ledger agrees".into(),
            evidence: format!("one order: naive paid {of_naive}, careful {of_careful}"),
        },
        super::verdict::left(left),
    ]
}

/// Works once it is told to: says that it is there, and waits for a line on standard input.
pub(super) fn work_when_told(
    habit: Habit,
    work: Work,
    order: &str,
    server: SocketAddr,
) -> io::Result<()> {
    part::say("ready")?;
    if io::stdin().read_line(&mut String::new())? == 0 {
        // The demo is over.
        return Ok(());
    }
    // It works for as long as the demo is there: what stands still would never end.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(1);
    });
    habit::work(habit, work, order, server)
}
