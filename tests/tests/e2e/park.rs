//! Threads that a BPF program puts to sleep: all at once, without burning CPU, and never for longer than
//! the server is there to wake them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::parker::Parker;

use crate::needs::{HARNESS, Need, no_park, park_without_functions};
use crate::suite::Case;

/// Long enough that a test cannot take its end for an early one.
const LONG: Duration = Duration::from_secs(9);

/// What takes no time, on the slowest machine.
const AT_ONCE: Duration = Duration::from_secs(3);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>, need: Need| {
        Case::new(format!("park::{name}"), HARNESS, run).also_needs(need)
    };
    vec![
        case("all_sleep_at_once", all_sleep_at_once, no_park),
        case("sleepers_burn_no_cpu", no_cpu, no_park),
        case("a_killed_sleeper_is_gone", killed_sleeper, no_park),
        case("death_of_the_server_frees_all", death, no_park),
        case("closing_wakes_all", closing, no_park),
        case("without_the_holder_nobody_sleeps", no_holder, no_park),
        case("a_stopped_process_stops", stopped, no_park),
        case(
            "without_the_functions_nobody_sleeps",
            no_functions,
            park_without_functions,
        ),
    ]
}

/// A server, and a process that sleeps whenever it opens a file.
fn pair(threads: usize, sleep: Duration) -> Result<(Parker, Parker)> {
    let mut server = Parker::serve()?;
    let opener = Parker::open(threads)?;
    server.put(opener.pid(), sleep)?;
    Ok((server, opener))
}

/// The same, with all threads asleep for long.
fn asleep(threads: usize) -> Result<(Parker, Parker)> {
    let (server, mut opener) = pair(threads, LONG)?;
    opener.say("go")?;
    opener.wait_until_asleep(threads)?;
    Ok((server, opener))
}

fn all_sleep_at_once() -> Result<()> {
    const THREADS: usize = 64;
    const SLEEP: Duration = Duration::from_millis(200);
    let (mut server, mut opener) = pair(THREADS, SLEEP)?;
    let mut bystander = Parker::open(1)?;
    opener.say("go")?;
    bystander.say("go")?;
    let (round, other) = (opener.round()?, bystander.round()?);
    println!("park: {THREADS} threads, 200 ms each: {round:?}; a bystander: {other:?}");
    ensure!(round.least >= SLEEP, "somebody slept too little: {round:?}");
    ensure!(round.most < SLEEP * 16, "they took turns: {round:?}");
    ensure!(other.most < SLEEP, "a bystander slept: {other:?}");
    let (fired, slept) = server.look(opener.pid())?;
    ensure!(fired > 0 && slept > 0, "fired {fired}, slept {slept}");
    Ok(())
}

/// Starting the threads costs what it costs; sleeping adds nothing to it.
fn no_cpu() -> Result<()> {
    const THREADS: u32 = 64;
    const SLEEP: Duration = Duration::from_secs(1);
    let mut server = Parker::serve()?;
    let mut opener = Parker::open(THREADS as usize)?;
    opener.say("go")?;
    let awake = opener.round()?;
    server.put(opener.pid(), SLEEP)?;
    // Twice: nothing of the first round is in the way of the second.
    for _ in 0..2 {
        opener.say("go")?;
        let round = opener.round()?;
        println!("park: {THREADS} threads, awake: {awake:?}; asleep for 1 s: {round:?}");
        ensure!(round.least >= SLEEP, "somebody slept too little: {round:?}");
        ensure!(
            round.cpu < SLEEP * THREADS / 100,
            "it burned CPU: {round:?}, awake {awake:?}"
        );
    }
    Ok(())
}

fn killed_sleeper() -> Result<()> {
    let (_server, mut opener) = asleep(8)?;
    let since = Instant::now();
    opener.kill()?;
    let took = since.elapsed();
    println!("park: a killed process with 8 sleepers was gone after {took:?}");
    ensure!(took < AT_ONCE, "gone after {took:?}");
    Ok(())
}

fn death() -> Result<()> {
    let (mut server, opener) = asleep(8)?;
    let holder = server.about;
    let since = Instant::now();
    server.kill()?;
    let round = opener.round()?;
    let took = since.elapsed();
    println!("park: 8 sleepers went on {took:?} after the death of the server");
    ensure!(took < AT_ONCE && round.most < LONG, "{took:?}, {round:?}");
    let path = format!("/proc/{holder}");
    eventually("the holder to be gone", Duration::from_secs(5), || {
        Ok((!std::path::Path::new(&path).exists()).then_some(()))
    })
}

fn closing() -> Result<()> {
    let (mut server, mut opener) = asleep(8)?;
    let since = Instant::now();
    server.ask("close")?;
    let round = opener.round()?;
    let took = since.elapsed();
    println!("park: 8 sleepers went on {took:?} after the park was closed");
    ensure!(took < AT_ONCE && round.most < LONG, "{took:?}, {round:?}");
    // The program still runs, and there is nowhere to sleep.
    opener.say("go")?;
    let after = opener.round()?;
    ensure!(after.most < AT_ONCE, "a closed park: {after:?}");
    Ok(())
}

fn no_holder() -> Result<()> {
    let (mut server, mut opener) = pair(1, LONG)?;
    ensure!(server.ask("is-serving")? == "1", "it does not serve");
    let holder = i32::try_from(server.about)?;
    if let Some(pid) = rustix::process::Pid::from_raw(holder) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    eventually("the loss to be noticed", Duration::from_secs(5), || {
        Ok((server.ask("is-serving")? == "0").then_some(()))
    })?;
    opener.say("go")?;
    let round = opener.round()?;
    ensure!(round.most < AT_ONCE, "without a holder: {round:?}");
    Ok(())
}

/// As with any slow system call: a process that stops a sleeping one need not wait for the sleep to end.
fn stopped() -> Result<()> {
    let (_server, opener) = asleep(8)?;
    let took = opener.stop_and_go_on()?;
    let round = opener.round()?;
    println!("park: a process with 8 sleepers stopped after {took:?}");
    ensure!(took < AT_ONCE && round.most < LONG, "{took:?}, {round:?}");
    Ok(())
}

/// The same program loads where the kernel lacks the functions, and does all but sleep.
fn no_functions() -> Result<()> {
    let (mut server, mut opener) = pair(4, LONG)?;
    opener.say("go")?;
    let round = opener.round()?;
    ensure!(round.most < AT_ONCE, "somebody slept: {round:?}");
    let (fired, slept) = server.look(opener.pid())?;
    ensure!(fired > 0 && slept == 0, "fired {fired}, slept {slept}");
    Ok(())
}
