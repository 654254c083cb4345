//! Serves the park and says who sleeps there.

use std::io::stdin;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use injector_host::kernel::maps::{Maps, SleepMap};
use injector_host::kernel::object::Object;
use injector_host::kernel::park_trial::{ParkTrial, Stand};
use injector_host::sleep_server::SleepServer;

pub(crate) fn serve() -> Result<()> {
    let mut object = Object::load()?;
    let mut trial = ParkTrial::ready(&mut object)?;
    trial.stand(&object, Stand::Hook)?;
    let sleeps = SleepMap::take(&mut object)?;
    let (mut maps, _lease, _events) = Maps::take(&mut object)?;
    let park = SleepServer::shared()?;
    ensure!(
        Arc::ptr_eq(&park, &SleepServer::shared()?),
        "a process has one park"
    );
    let session = park.session(move |slot| sleeps.wake_boot_ns(slot))?;
    let record = session.record();
    maps.write_park(record)?;
    println!("ready {}", record.holder);
    let mut session = Some((session, park));
    for line in stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["put", pid, ms] => {
                let ms: u64 = ms.parse().context("a number of milliseconds")?;
                trial.put(pid.parse()?, ms * 1_000_000)?;
                println!("ok");
            }
            ["look", pid] => {
                let seen = trial.look(pid.parse()?)?;
                println!("{} {}", seen.fired, seen.slept);
            }
            ["close"] => {
                session = None;
                println!("ok");
            }
            ["is-serving"] => {
                let serving = session.as_ref().is_some_and(|(_, park)| park.is_serving());
                println!("{}", u8::from(serving));
            }
            _ => bail!("not understood: {line}"),
        }
    }
    Ok(())
}
