//! What a journal says.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::RunId;
use crate::{
    escalation::Escalated, event::Limits, gate::GateReport, halt::Halt, measure::Sample,
    notice::Notice, operations::Second, platform::Platform, report::RunReport,
    rollback::RolledBack, scheduled::Scheduled,
};
use injector_plan::{
    Picked,
    at_devices::{Clsact, FilterId},
    policy::Override,
};
use injector_spec::{
    config::ConfigFile,
    experiment::{Experiment, Placed},
};

/// One thing that happened, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// The run exists; nothing has been touched.
    Started {
        /// The run.
        run: RunId,
        /// The experiment's name.
        name: String,
        /// User id of the caller.
        by_uid: u32,
        /// Process id of the caller.
        by_pid: u32,
        /// The user who logged in and became `by_uid`, as by sudo; `None` where it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        login_uid: Option<u32>,
        /// The file that set the limits; `None` for the defaults.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<ConfigFile>,
        /// The supervisor to signal in order to stop this run and no other; `None` for a run of the
        /// daemon, which is stopped through the API.
        supervisor: Option<Process>,
        /// The kernel and the program; absent in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<Platform>,
        /// What was asked.
        experiment: Box<Experiment>,
    },
    /// A limit of this host was lifted for this run.
    Overridden {
        /// Which.
        limit: Override,
        /// User id of the caller.
        by_uid: u32,
        /// Process id of the caller.
        by_pid: u32,
        /// What it would have refused; absent where the run keeps the limit.
        lifted: Option<String>,
    },
    /// The schedule of the daemon has begun the run, and has drawn this for it.
    Scheduled {
        /// What.
        drawn: Scheduled,
    },
    /// How it will be done, for people.
    Planned {
        /// The plan.
        text: String,
        /// Its faults, with all that is in force; none in journals of earlier versions.
        #[serde(default)]
        faults: Vec<Placed>,
        /// What it may use up before it is halted; none in journals of earlier versions.
        #[serde(default)]
        limits: Limits,
        /// What its random picks came to; none in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        picked: Vec<Picked>,
    },
    /// A host setting is about to change.
    Change {
        /// Number of the change within the run.
        id: u32,
        /// The change, with the old value.
        change: HostChange,
    },
    /// It has changed.
    Changed {
        /// Number of the change.
        id: u32,
    },
    /// It has its old value again.
    Restored {
        /// Number of the change.
        id: u32,
    },
    /// It could not be restored.
    RestoreFailed {
        /// Number of the change.
        id: u32,
        /// Why.
        why: String,
    },
    /// The first fault is on.
    Armed,
    /// A step's faults are on.
    StepStarted {
        /// Name of the step.
        step: String,
    },
    /// A step's faults are off.
    StepEnded {
        /// Name of the step.
        step: String,
    },
    /// The run waits at a gate.
    GateWaits {
        /// Name of the step.
        step: String,
        /// What it waits for, in words.
        until: String,
    },
    /// It waits no longer.
    GateEnded {
        /// What became of the gate.
        report: GateReport,
    },
    /// None of a target's processes is left.
    TargetEnded {
        /// Its name.
        target: String,
        /// What has happened.
        how: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// A target that had ended is there again, and faults meet it.
    TargetMet {
        /// Its name.
        target: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// What came back under a target's name is spared.
    TargetNotMet {
        /// Its name.
        target: String,
        /// Why.
        why: String,
        /// How long after arming, in milliseconds.
        after_ms: u64,
    },
    /// Probes of the steady state were answered: one record for all of them, for each takes a turn of the disk.
    Sampled {
        /// By the probe's name, the answers since the record before, in the order in which they were asked.
        answers: BTreeMap<String, Vec<Sample>>,
    },
    /// Operations of targets have ended; single ones of them are among the samples.
    Operated {
        /// By the operations' name, the seconds that are over since the record before. One may come again, with what
        /// ended later.
        seconds: BTreeMap<String, Vec<Second>>,
    },
    /// A command of the rollback has ended, or was not begun.
    RolledBack {
        /// Which, and how.
        result: RolledBack,
    },
    /// A recipient was told that it was halted or broke, or could not be.
    Told {
        /// Who, when, and why not.
        notice: Notice,
    },
    /// A decision is asked of people: one turn of that. Those after the run's end are added behind it.
    Escalated {
        /// Which.
        turn: Escalated,
    },
    /// The run is over and nothing of it is left.
    Ended {
        /// What it did.
        report: RunReport,
    },
    /// A caller pulled the kill switch. In the kill switch's own journal.
    Halted {
        /// Who, when and why.
        halt: Halt,
    },
    /// A caller released it. In the kill switch's own journal.
    Resumed {
        /// User id of that caller.
        by_uid: u32,
        /// Process id of that caller.
        by_pid: u32,
    },
    /// The run broke off; the process that writes this has cleaned up after it.
    Aborted {
        /// Why.
        why: String,
    },
}

/// A host setting that outlives the process that changes it, with what it takes to put it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HostChange {
    /// A sysctl of a network namespace.
    Sysctl {
        /// Inode of the namespace, as in `readlink /proc/PID/ns/net`.
        netns_inode: u64,
        /// Its name, as in `net.ipv4.conf.lo.accept_local`.
        key: String,
        /// The value to restore.
        old: String,
        /// The value of the run.
        new: String,
    },
    /// A setting of a cgroup.
    #[serde(rename = "cgroup-knob")]
    CgroupFile {
        /// Its file.
        path: PathBuf,
        /// The value to restore; with the device in front where the file has a line for each.
        old: String,
        /// The value of the run.
        new: String,
    },
    /// Processes that were running and are stopped.
    StoppedProcesses {
        /// Which.
        processes: Vec<Process>,
    },
    /// Filters (`clsact`) on a network device, which another process must remove where the run does not.
    DeviceFilters {
        /// Inode of the device's network namespace.
        netns_inode: u64,
        /// The boot in which that is true; see `/proc/sys/kernel/random/boot_id`.
        boot: String,
        /// When they were announced, on the boot clock, in nanoseconds; 0 once they stand, or where their qdisc was there
        /// before: an empty one is then none of this run's by its age.
        since_boot_ns: u64,
        /// Its interface index.
        ifindex: u32,
        /// Its name, for people.
        device: String,
        /// Where the qdisc comes from that they stand in.
        clsact: Clsact,
        /// Which.
        filters: Vec<FilterId>,
    },
}

impl HostChange {
    /// The namespace that it is in, by its inode.
    pub fn namespace(&self) -> Option<u64> {
        match self {
            Self::Sysctl { netns_inode, .. } | Self::DeviceFilters { netns_inode, .. } => {
                Some(*netns_inode)
            }
            Self::CgroupFile { .. } | Self::StoppedProcesses { .. } => None,
        }
    }

    /// It was made, and was not only announced.
    pub const fn stands(&mut self) {
        match self {
            Self::DeviceFilters { since_boot_ns, .. } => *since_boot_ns = 0,
            Self::Sysctl { .. } | Self::CgroupFile { .. } | Self::StoppedProcesses { .. } => {}
        }
    }
}

impl std::fmt::Display for HostChange {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sysctl { key, old, new, .. } => write!(out, "sysctl {key} from {old} to {new}"),
            Self::CgroupFile { path, old, new } => {
                write!(out, "{} from {old} to {new}", path.display())
            }
            Self::StoppedProcesses { processes } => {
                let pids: Vec<_> = processes.iter().map(|one| one.pid.to_string()).collect();
                write!(out, "stop of process {}", pids.join(", "))
            }
            Self::DeviceFilters { device, .. } => write!(out, "filters (clsact) on {device}"),
        }
    }
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_ticks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_without_login_and_configuration_is_read() {
        let text = r#"{"type":"started","run":"r000000010001","name":"x","by_uid":0,"by_pid":7,
            "supervisor":null,"experiment":{"name":"x","targets":[],"steps":[]}}"#;
        let Ok(Record::Started {
            login_uid,
            config,
            platform,
            ..
        }) = serde_json::from_str(text)
        else {
            panic!("an old journal is not read");
        };
        assert_eq!((login_uid, config, platform), (None, None, None));
    }

    /// Journals outlive the version that wrote them: these texts are on disks.
    #[test]
    fn changes_keep_their_form() {
        let texts = [
            r#"{"kind":"sysctl","netns_inode":9,"key":"a.b","old":"0","new":"1"}"#,
            r#"{"kind":"cgroup-knob","path":"/c/cgroup.freeze","old":"0","new":"1"}"#,
            r#"{"kind":"stopped-processes","processes":[{"pid":7,"start_ticks":8}]}"#,
            r#"{"kind":"device-filters","netns_inode":9,"boot":"b","since_boot_ns":5,"ifindex":2,"device":"eth0","clsact":"made","filters":[{"side":"egress","priority":7,"handle":500}]}"#,
        ];
        for text in texts {
            let change: HostChange = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&change).unwrap(), text);
        }
    }
}
