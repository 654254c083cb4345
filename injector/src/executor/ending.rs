//! Why a run ends before its time.

use std::time::Duration;

use crate::{journal, lever, report::Outcome, watchdog::Standing};

/// How a run ends whose leases are not renewed any more.
pub(super) fn lapsed(standing: Standing) -> Option<Outcome> {
    match standing {
        Standing::Live => None,
        Standing::Disarmed => Some(Outcome::Stopped),
        Standing::Halted => Some(Outcome::Halted { why: halted() }),
        Standing::Overdue => Some(Outcome::Failed {
            why: "the run overstepped its deadline".into(),
        }),
        Standing::Lapsed(gap) => {
            let held_up = humantime::format_duration(Duration::from_millis(gap / 1_000_000));
            let why =
                format!("the injector was held up for {held_up}, so the lease ended the faults");
            Some(Outcome::Failed { why })
        }
    }
}

/// Who pulled the lever.
fn halted() -> String {
    match lever::standing(&journal::directory()) {
        Ok(Some(halt)) => format!("injector was {halt}"),
        // Released again already, or gone with its directory.
        _ => "the safety lever was pulled (`injector halt`)".to_owned(),
    }
}
