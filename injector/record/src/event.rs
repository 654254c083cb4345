//! What a run tells while it goes on: its own turns, and the kernel's hits.

use std::{collections::BTreeMap, fmt, net::Ipv6Addr};

use injector_common::event::{Caller, Hit, On};
use serde::{Deserialize, Serialize};

use crate::{
    escalation::Escalated,
    gate::GateReport,
    journal::{Record, RunId},
    measure::Sample,
    report::{Connection, RunReport},
};
use injector_spec::{experiment::Placed, printable, syscall::Syscall};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run.
    pub run: RunId,
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// What.
    #[serde(flatten)]
    pub what: EventKind,
}

/// The things that happen in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// Everything is attached; the first step begins.
    Armed {
        /// Every fault of the run, with all that is in force; none where the record is of an earlier version.
        #[serde(default)]
        faults: Vec<Placed>,
        /// What it may use up before it is halted.
        #[serde(default)]
        limits: Limits,
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
    /// The run waits at a gate.
    GateWaits {
        /// The step.
        step: String,
        /// What it waits for, in words.
        until: String,
    },
    /// It waits no longer.
    GateEnded {
        /// What became of the gate.
        #[serde(flatten)]
        report: GateReport,
    },
    /// A decision is asked of people while the run waits: one turn of that.
    Escalated {
        /// Which.
        #[serde(flatten)]
        turn: Escalated,
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
        /// What it acted on.
        #[serde(flatten)]
        on: HitOn,
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
    /// Hits that were not told of because no reader took them in time. Counters have them.
    EventsLost {
        /// How many.
        count: u64,
    },
    /// What its probes were answered since the last time, once a second: for those who ask for how runs stand.
    Sampled {
        /// By the probe's name, in the order in which they were asked.
        answers: BTreeMap<String, Vec<Sample>>,
    },
    /// How the run stands, some times a second: for those who ask for it; it is not on record.
    Progress {
        /// How often its faults have acted so far, in all steps.
        hits: u64,
        /// The same for each fault, in the order in which `armed` names them; none where there are more than
        /// [`MOST_TOLD`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by_fault: Vec<u64>,
        /// Bytes of the packets that were hit.
        #[serde(default)]
        bytes: u64,
        /// When the step ends, on the boot clock, in nanoseconds.
        step_until_boot_ns: u64,
        /// When the lease ends unless it is renewed, on the boot clock, in nanoseconds.
        lease_until_boot_ns: u64,
    },
    /// The run is over.
    Ended {
        /// What it did.
        report: RunReport,
    },
}

/// The most faults whose hits are told one by one while a run goes on.
pub const MOST_TOLD: usize = 64;

/// What a run may use up on its host, less what was lifted for it; absent is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Hits of all faults within a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits_a_second: Option<u64>,
    /// Bytes of packets that were hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Processes of all targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<usize>,
}

/// What a fault acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum HitOn {
    /// A packet.
    Packet {
        /// The far end, address and port.
        remote: String,
        /// Its length.
        bytes: u32,
    },
    /// A system call.
    Call {
        /// Its name; absent where it has no native number (`io_uring`, 32-bit calls).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Syscall>,
        /// The thread that made it.
        thread: u32,
        /// The process that made it.
        process: u32,
    },
    /// A request.
    Request {
        /// Its path, without what is behind a question mark.
        path: String,
        /// The model that it asks, where it says one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The tool that it calls, or the method where it calls none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
}

impl EventKind {
    /// Whether it tells of single hits, of which there may be very many.
    pub const fn is_of_hits(&self) -> bool {
        matches!(
            self,
            Self::Hit { .. } | Self::ConnectionReset { .. } | Self::EventsLost { .. }
        )
    }

    /// Whether it tells how the run stands, some times a second, for those who ask for it.
    pub const fn is_progress(&self) -> bool {
        matches!(self, Self::Progress { .. } | Self::Sampled { .. })
    }

    /// The turn that a record is about; `None` where it is about none. A plan is told as the arming that follows it.
    pub fn of_record(record: &Record) -> Option<Self> {
        Some(match record {
            Record::Planned { faults, limits, .. } => Self::Armed {
                faults: faults.clone(),
                limits: *limits,
            },
            Record::StepStarted { step } => Self::StepStarted { step: step.clone() },
            Record::StepEnded { step } => Self::StepEnded { step: step.clone() },
            Record::GateWaits { step, until } => Self::GateWaits {
                step: step.clone(),
                until: until.clone(),
            },
            Record::GateEnded { report } => Self::GateEnded {
                report: report.clone(),
            },
            Record::Escalated { turn } => Self::Escalated { turn: turn.clone() },
            Record::TargetEnded {
                target,
                how,
                after_ms,
            } => Self::TargetEnded {
                target: target.clone(),
                how: how.clone(),
                after_ms: *after_ms,
            },
            Record::TargetMet { target, after_ms } => Self::TargetMet {
                target: target.clone(),
                after_ms: *after_ms,
            },
            Record::TargetNotMet {
                target,
                why,
                after_ms,
            } => Self::TargetNotMet {
                target: target.clone(),
                why: why.clone(),
                after_ms: *after_ms,
            },
            Record::Sampled { answers } => Self::Sampled {
                answers: answers.clone(),
            },
            Record::Ended { report } => Self::Ended {
                report: report.clone(),
            },
            Record::Started { .. }
            | Record::Overridden { .. }
            | Record::Scheduled { .. }
            | Record::Change { .. }
            | Record::Changed { .. }
            | Record::Restored { .. }
            | Record::RestoreFailed { .. }
            | Record::Armed
            | Record::RolledBack { .. }
            | Record::Told { .. }
            | Record::Halted { .. }
            | Record::Resumed { .. }
            | Record::Aborted { .. }
            | Record::Operated { .. } => return None,
        })
    }

    /// A hit from the kernel's record.
    pub fn hit(fault: &str, target: &str, hit: &Hit) -> Self {
        Self::Hit {
            fault: fault.to_owned(),
            target: target.to_owned(),
            number: hit.match_number,
            on: HitOn::from(hit.on),
        }
    }
}

impl From<On> for HitOn {
    fn from(on: On) -> Self {
        match on {
            On::Packet {
                remote,
                remote_port,
                local_port: _,
                bytes,
            } => Self::Packet {
                remote: far_end(remote, remote_port),
                bytes,
            },
            On::Call(Caller { tgid, tid, syscall }) => Self::Call {
                call: Syscall::of(syscall),
                thread: tid,
                process: tgid,
            },
        }
    }
}

impl fmt::Display for HitOn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet { remote, bytes } => write!(out, "{remote}, {bytes} bytes"),
            Self::Call {
                call,
                thread,
                process,
            } => {
                let call = call.map_or("a call", Syscall::name);
                write!(out, "{call} of thread {thread} of process {process}")
            }
            Self::Request { path, model, tool } => {
                out.write_str(&printable::line(path))?;
                match model.as_ref().or(tool.as_ref()) {
                    Some(asked) => write!(out, " for {}", printable::line(asked)),
                    None => Ok(()),
                }
            }
        }
    }
}

fn far_end(address: [u8; 16], port: u16) -> String {
    let address = Ipv6Addr::from(address);
    let address = address
        .to_ipv4_mapped()
        .map_or_else(|| format!("[{address}]"), |v4| v4.to_string());
    format!("{address}:{port}")
}

#[cfg(test)]
mod tests {
    use injector_common::event::{Event, about};

    use super::*;

    /// As the kernel side writes it.
    fn told(event: Event) -> String {
        let mut bytes = Vec::new();
        bytes.extend(event.boot_ns.to_ne_bytes());
        bytes.extend(event.match_number.to_ne_bytes());
        for word in [event.rule, event.about, event.bytes, event.ports] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(event.remote);
        let EventKind::Hit { on, .. } = EventKind::hit("f", "t", &Hit::decode(&bytes).unwrap())
        else {
            return String::new();
        };
        on.to_string()
    }

    #[test]
    fn a_plan_is_told_with_its_limits_where_the_journal_has_them() {
        let limits = |json: &str| {
            let record = serde_json::from_str(json).unwrap();
            match EventKind::of_record(&record) {
                Some(EventKind::Armed { limits, .. }) => limits,
                other => panic!("{other:?}"),
            }
        };
        let record = Record::Planned {
            text: "plan".into(),
            faults: vec![],
            picked: vec![],
            limits: Limits {
                hits_a_second: Some(1_000),
                ..Limits::default()
            },
        };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(limits(&json).hits_a_second, Some(1_000));
        let earlier = json.replace(",\"limits\":{\"hits_a_second\":1000}", "");
        assert_ne!(earlier, json);
        assert_eq!(limits(&earlier), Limits::default());
    }

    /// Whatever the rule did to it: a vector that was cut, the start of a program that was refused.
    #[test]
    fn a_hit_on_a_call_is_told_as_a_call() {
        let caller = Caller {
            tgid: 4711,
            tid: 4712,
            syscall: 19,
        };
        let event = Event {
            about: about::CALL,
            remote: caller.encode(),
            ..Event::default()
        };
        assert_eq!(told(event), "readv of thread 4712 of process 4711");
    }

    #[test]
    fn a_hit_on_a_packet_is_told_by_its_far_end() {
        let event = Event {
            about: about::PACKET,
            bytes: 1500,
            ports: (40_000 << 16) + 443,
            remote: std::net::Ipv4Addr::new(10, 0, 0, 1)
                .to_ipv6_mapped()
                .octets(),
            ..Event::default()
        };
        assert_eq!(told(event), "10.0.0.1:443, 1500 bytes");
    }
}
