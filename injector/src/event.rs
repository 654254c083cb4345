//! What a run tells while it goes on: its own turns, and the kernel's hits.

use std::net::Ipv6Addr;

use injector_common::{
    event::{Caller, Event},
    rule::action,
};
use serde::{Deserialize, Serialize};

use crate::{
    experiment::Placed,
    journal::RunId,
    report::{Connection, RunReport},
    syscall::Syscall,
};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run.
    pub run: RunId,
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The things that happen in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Everything is attached; the first step begins.
    Armed {
        /// Every fault of the run, with all that is in force; none where the record is of an earlier version.
        #[serde(default)]
        faults: Vec<Placed>,
    },
    /// A step's faults are on.
    StepStarted {
        /// Its name.
        step: String,
    },
    /// A step's faults are off.
    StepEnded {
        /// Its name.
        step: String,
    },
    /// A device appeared and is covered now.
    DeviceCovered {
        /// Its name.
        device: String,
    },
    /// A device appeared, or was there, that faults do not reach.
    DeviceNotCovered {
        /// Its name.
        device: String,
        /// Why not.
        why: String,
    },
    /// A process of a target lives in a network namespace that is not armed.
    ProcessNotCovered {
        /// Its id.
        pid: u32,
        /// Why not.
        why: String,
    },
    /// One of a target's several processes has ended.
    ProcessEnded {
        /// The target.
        target: String,
        /// The process.
        pid: u32,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// None of a target's processes is left.
    TargetEnded {
        /// The target.
        target: String,
        /// What has happened.
        how: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// A target that had ended is there again, and faults meet it.
    TargetMet {
        /// The target.
        target: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// What came back under a target's name is spared.
    TargetNotMet {
        /// The target.
        target: String,
        /// Why.
        why: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// A fault acted.
    Hit {
        /// Its name, as in `net.loss`.
        fault: String,
        /// The name of its target.
        target: String,
        /// The number of the match that was hit, from 1; 0 where the mechanism does not number them.
        number: u64,
        /// The far end; of a system call, its name and who made it.
        remote: String,
        /// Bytes of the packet; 0 for a call.
        bytes: u32,
    },
    /// A fault has reset a connection.
    ConnectionReset {
        /// Its name, `net.reset`.
        fault: String,
        /// The name of its target.
        target: String,
        /// The number of the match that was hit, from 1.
        number: u64,
        /// The connection, as it was the moment before.
        connection: Connection,
    },
    /// Hits that were not told of because nobody read them in time. Counters have them.
    EventsLost {
        /// How many.
        count: u64,
    },
    /// The run is over.
    Ended {
        /// What it did.
        report: RunReport,
    },
}

impl What {
    /// Whether it tells of single hits, of which there may be very many.
    pub const fn is_of_hits(&self) -> bool {
        matches!(
            self,
            Self::Hit { .. } | Self::ConnectionReset { .. } | Self::EventsLost { .. }
        )
    }

    /// A hit from the kernel's record.
    pub fn hit(fault: &str, target: &str, event: &Event) -> Self {
        let remote = match event.action {
            action::FAIL | action::SLEEP | action::DAMAGE | action::SIGNAL => {
                of_call(Caller::decode(event.remote))
            }
            _ => far_end(event),
        };
        Self::Hit {
            fault: fault.to_owned(),
            target: target.to_owned(),
            number: event.match_number,
            remote,
            bytes: event.bytes,
        }
    }
}

fn far_end(event: &Event) -> String {
    let address = Ipv6Addr::from(event.remote);
    let address = address
        .to_ipv4_mapped()
        .map_or_else(|| format!("[{address}]"), |v4| v4.to_string());
    format!("{address}:{}", event.ports & 0xffff)
}

fn of_call(caller: Caller) -> String {
    let name = Syscall::of(caller.syscall).map_or("a call", Syscall::name);
    format!("{name} of thread {} of process {}", caller.tid, caller.tgid)
}
