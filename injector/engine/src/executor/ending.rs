//! Why a run ends before its time, and how fast.

use std::time::Duration;

use crate::{
    kill_switch,
    watchdog::{Ending, Standing, Watchdog},
};
use injector_record::{
    journal,
    report::{HaltReport, Outcome},
};
use injector_spec::quantity::duration;

/// How a run ends whose leases are not renewed any more.
pub(super) fn lapsed(watchdog: &Watchdog) -> Option<Outcome> {
    match watchdog.standing() {
        Standing::Breached => Some(Outcome::Halted {
            why: breached(watchdog.ending()),
        }),
        Standing::Live => None,
        Standing::Disarmed => Some(Outcome::Stopped),
        Standing::Halted => Some(Outcome::Halted { why: halted() }),
        Standing::Overdue => Some(Outcome::Failed {
            why: "the run overstepped its deadline".into(),
        }),
        Standing::Lapsed(gap) => {
            let held_up = duration::measured(Duration::from_nanos(gap));
            let why =
                format!("the injector was held up for {held_up}, so the lease ended the faults");
            Some(Outcome::Failed { why })
        }
    }
}

/// Which condition it was.
fn breached(ending: Option<Ending>) -> String {
    match ending.and_then(|ending| ending.breach) {
        Some(breach) if breach.condition.is_empty() => breach.why,
        Some(breach) => format!("{}: {}", breach.condition, breach.why),
        // The thread that notes a breach says which it was; this arm is for the type alone.
        None => "a halt condition came to hold".to_owned(),
    }
}

/// How fast a halted run came to its end: `last_hit` is the boot clock at the last hit of all faults.
pub(super) fn halted_within(
    outcome: &Outcome,
    ending: Option<Ending>,
    last_hit: u64,
) -> Option<HaltReport> {
    let (
        Outcome::Halted { .. },
        Some(Ending {
            breach,
            ended_boot_ns,
        }),
    ) = (outcome, ending)
    else {
        return None;
    };
    let seen_boot_ns = breach
        .as_ref()
        .map_or(ended_boot_ns, |breach| breach.seen_boot_ns);
    let after = |boot_ns: u64| boot_ns.checked_sub(seen_boot_ns).map(|ns| ns / 1_000);
    Some(HaltReport {
        condition: breach
            .map(|breach| breach.condition)
            .filter(|condition| !condition.is_empty()),
        seen_boot_ns,
        disarmed_after_us: after(ended_boot_ns).unwrap_or_default(),
        last_hit_after_us: after(last_hit),
    })
}

/// Who pulled the kill switch.
fn halted() -> String {
    match kill_switch::standing(&journal::directory()) {
        Ok(Some(halt)) => format!("injector was {halt}"),
        // Released again already, or gone with its directory.
        _ => "the kill switch was pulled (`injector halt`)".to_owned(),
    }
}
