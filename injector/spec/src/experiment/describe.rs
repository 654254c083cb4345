//! What a fault is, said once for every surface: plan, dry run, `armed`, journal, list, audit and report, as text
//! and as JSON.
//!
//! A description has the names that flags and files have, and what it says can be written there: [`words`] makes
//! a command of it again (ramps aside, which files alone have), and a test makes the same fault of that, for any command line. So no parameter and no
//! filter can be left out, and no name can mean two things. Each kind of fault describes itself, in a `match`
//! that knows them all.
//!
//! Rejected: a description by clap's own table of flags. It knows what was written, not what is in force: guarded
//! ports, the calls of a class, or a fault that came as JSON.
//!
//! [`words`]: Described::words

use std::{collections::BTreeMap, fmt, net::IpAddr};

use clap::ValueEnum;
use injector_common::{rule::When, threshold::Threshold};
use serde::{Deserialize, Serialize};

use super::{
    Activity, ActsOn, CallDamage, CallDelay, Calls, Chance, Connections, CorruptMode, Fault,
    FaultKind, GUARDED_PORTS, Interval, Kill, KillAtCall, Loss, Parameter, Peer, Presence,
    Protocol, Pulse, Realism, SleepAt, Sleeps, Starve, Traffic,
    method::{FileMethod, Method, PipeMethod, VectorMethod},
    settings::Settings,
};
use crate::{
    printable,
    quantity::{Errno, GeModel, Percent, duration, format_when},
    syscall::READS,
};

/// A fault with all that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Described {
    /// What is done to what matches.
    pub parameters: Settings,
    /// What matches.
    pub filters: Settings,
    /// How many of the matches are hit.
    pub chance: Settings,
    /// What host names stood for when the run was planned.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<String, Vec<IpAddr>>,
    /// What a person should know about these values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A fault in its place in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its step.
    pub step: String,
    /// Its name, as in `net.delay`.
    pub fault: String,
    /// The name of its target.
    pub target: String,
    /// The mechanism that the planner chose; absent where there is no plan yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub described: Described,
}

impl Fault {
    /// What it is, before names are looked up and a seed is drawn.
    pub fn describe(&self) -> Described {
        let mut described = Described::default();
        let Described {
            parameters,
            filters,
            ..
        } = &mut described;
        self.kind.describe(parameters, filters);
        match self.kind.acts_on() {
            ActsOn::Packets => {
                self.traffic.describe(filters);
                filters.one("direction", name(self.direction));
                let age = self.traffic.connections;
                filters.some("connection", (age != Connections::Any).then(|| name(age)));
                described.remarks = self.traffic.guard_remarks();
            }
            ActsOn::Connections | ActsOn::Connects => {
                self.traffic.describe(filters);
                let activity = self.traffic.activity;
                filters.some(
                    "connection",
                    (activity != Activity::Any).then(|| name(activity)),
                );
                described.remarks = self.traffic.guard_remarks();
            }
            // They are over UDP port 53, and no other filter is about them.
            ActsOn::LookUps(_) => self.traffic.describe_addresses(filters),
            ActsOn::Calls(_) | ActsOn::Processes(_) => {}
        }
        self.chance.describe(&self.kind, &mut described.chance);
        for ramp in &self.ramps {
            match ramp.parameter {
                Parameter::Percent => described.chance.ramp(ramp),
                Parameter::Latency
                | Parameter::Jitter
                | Parameter::Correlation
                | Parameter::Rate
                | Parameter::DelayEnter
                | Parameter::DelayExit
                | Parameter::AtMost => described.parameters.ramp(ramp),
            }
        }
        described.remarks.extend(self.chance.remarks());
        described
    }
}

impl FaultKind {
    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        match self {
            Self::Noop | Self::Duplicate | Self::Blackhole | Self::Reset => {}
            Self::Delay(delay) => {
                parameters.one("latency", duration::format(delay.latency));
                if !delay.jitter.is_zero() {
                    parameters.one("jitter", duration::format(delay.jitter));
                    parameters.one("distribution", name(delay.distribution));
                    parameters.one("correlation", Percent(delay.correlation));
                }
            }
            Self::Loss(Loss::Independent { correlation }) => {
                let is_set = *correlation != Threshold::NEVER;
                parameters.some("correlation", is_set.then_some(Percent(*correlation)));
            }
            Self::Loss(Loss::GilbertElliott(model)) => parameters.one("gemodel", GeModel(*model)),
            Self::Corrupt(mode) => parameters.one("mode", name::<CorruptMode>(*mode)),
            Self::Reorder { gap, latency } => {
                parameters.one("gap", gap);
                parameters.one("latency", duration::format(*latency));
            }
            Self::Bandwidth(rate) => parameters.one("rate", rate),
            Self::Partition { peers } => parameters.list("peer", peers.iter().map(far_end)),
            Self::Connect(errno) => parameters.one("errno", errno),
            Self::Dns { answer, hostnames } => {
                parameters.one("type", name(*answer));
                filters.list("hostname", hostnames);
            }
            Self::DnsDelay { latency, hostnames } => {
                parameters.one("latency", duration::format(*latency));
                filters.list("hostname", hostnames);
            }
            Self::Kill(kill) => kill.describe(parameters),
            Self::KillAtCall(kill) => kill.describe(parameters, filters),
            Self::Pause(pause) => {
                if let Some(Pulse { active, dormant }) = pause.pulse {
                    parameters.one("active", duration::format(active));
                    parameters.one("dormant", duration::format(dormant));
                }
            }
            Self::Starve(starve) => starve.describe(parameters),
            Self::SysError(error) => {
                fails(error.errno, error.realism, parameters);
                filters.list("syscall", &error.calls.syscalls);
                error.calls.describe(filters);
            }
            Self::SysDelay(delay) => {
                let flag = match delay.at {
                    SleepAt::Enter => "delay-enter",
                    SleepAt::Exit => "delay-exit",
                };
                delay.describe(flag, parameters);
                parameters.flag("chain", delay.sleeps == Sleeps::Chained);
                filters.list("syscall", &delay.calls.syscalls);
                delay.calls.describe(filters);
            }
            Self::IoError(error) => {
                fails(error.errno, error.realism, parameters);
                methods::<FileMethod>(&error.calls, filters);
            }
            Self::IoLatency(delay) => {
                delay.describe("latency", parameters);
                methods::<FileMethod>(&delay.calls, filters);
            }
            Self::IoCorrupt(damage) => {
                damage.describe(parameters);
                if damage.calls.syscalls != Calls::named(READS, None).syscalls {
                    filters.list("syscall", &damage.calls.syscalls);
                }
                damage.calls.describe(filters);
            }
            Self::IoShort(short) => {
                parameters.one("at-most", short.at_most);
                methods::<VectorMethod>(&short.calls, filters);
            }
            Self::PipeError(error) => {
                fails(error.errno, error.realism, parameters);
                methods::<PipeMethod>(&error.calls, filters);
            }
            Self::PipeDelay(delay) => {
                delay.describe("latency", parameters);
                methods::<PipeMethod>(&delay.calls, filters);
            }
            Self::PipeStall(delay) => {
                delay.describe("at-most", parameters);
                methods::<PipeMethod>(&delay.calls, filters);
            }
            Self::PipeCorrupt(damage) => {
                damage.describe(parameters);
                let reads = PipeMethod::Read.calls();
                if damage.calls.syscalls != Calls::named(reads, None).syscalls {
                    filters.list("syscall", &damage.calls.syscalls);
                }
                damage.calls.describe(filters);
            }
        }
    }
}

/// What calls return.
fn fails(errno: Errno, realism: Realism, parameters: &mut Settings) {
    parameters.one("errno", errno);
    parameters.flag("unusual", realism == Realism::Unusual);
}

/// The name of a choice, as flags and files have it.
fn name<T: ValueEnum + Copy>(value: T) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |named| named.get_name().to_owned())
}

fn far_end(peer: &Peer) -> String {
    match peer {
        Peer::Net(net) => net.to_string(),
        Peer::Host(host) => host.clone(),
    }
}

/// Calls by what is done, where they are just that.
fn methods<M: Method>(calls: &Calls, filters: &mut Settings) {
    match M::of(&calls.syscalls) {
        Some(methods) => filters.list("methods", methods.into_iter().map(name)),
        None => filters.list("syscall", &calls.syscalls),
    }
    calls.describe(filters);
}

impl Calls {
    fn describe(&self, filters: &mut Settings) {
        filters.some("thread", self.thread.as_ref());
        filters.list("path", self.paths.iter().map(super::FilePattern::text));
        filters.flag("future", self.presence == Presence::Future);
        filters.list("fd-kind", self.kinds.iter().map(|kind| name(*kind)));
        filters.list("dest-ip", &self.dest);
        filters.list("dest-port", &self.dest_ports);
        filters.some("mechanism", self.mechanism.map(name));
    }
}

impl CallDelay {
    fn describe(&self, flag: &'static str, parameters: &mut Settings) {
        parameters.one(flag, duration::format(self.length));
        let is_set = !self.jitter.is_zero();
        parameters.some("jitter", is_set.then(|| duration::format(self.jitter)));
    }
}

impl CallDamage {
    fn describe(&self, parameters: &mut Settings) {
        parameters.one("filling", name(self.filling));
        parameters.one("max-length", self.max_length);
        parameters.one("max-occurrences", self.max_occurrences);
    }
}

impl Kill {
    fn describe(&self, parameters: &mut Settings) {
        parameters.one("signal", self.signal);
        parameters.one("after", duration::format(self.after));
        let every = self.interval.map(|Interval(every)| duration::format(every));
        parameters.some("interval", every);
        parameters.some("respawn", self.respawn.map(name));
    }
}

impl KillAtCall {
    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("signal", self.signal);
        parameters.some("respawn", self.respawn.map(name));
        filters.list("at-call", &self.calls.syscalls);
        self.calls.describe(filters);
    }
}

impl Starve {
    fn describe(&self, parameters: &mut Settings) {
        parameters.some("cpu-max", self.cpu_max);
        parameters.some("memory-high", self.memory_high);
        parameters.list("io-max", &self.io_max);
        parameters.some("pids-max", self.pids_max);
    }
}

impl Traffic {
    fn describe(&self, filters: &mut Settings) {
        self.describe_addresses(filters);
        filters.list("hostname", &self.hostnames);
        filters.list("dest-port", &self.dest_ports);
        filters.list("source-port", &self.source_ports);
        filters.list("exclude-port", &self.exclude_ports);
        let is_set = self.protocol != Protocol::Any;
        filters.some("protocol", is_set.then_some(self.protocol));
    }

    fn describe_addresses(&self, filters: &mut Settings) {
        filters.list("dest-ip", &self.dest);
        filters.list("exclude-ip", &self.exclude);
    }

    /// What became of the ports that are excluded unless named.
    fn guard_remarks(&self) -> Vec<String> {
        let of_port = |port: u16| {
            let is_excluded = self.exclude_ports.iter().any(|range| range.contains(port));
            if self.names_port(port) && !is_excluded {
                Some(format!(
                    "port {port} is named by itself, so it is not excluded"
                ))
            } else if self.ranges_over(port) && is_excluded {
                Some(format!(
                    "port {port} stays excluded, though it is in a range that is asked for; name it by itself \
                     to include it"
                ))
            } else {
                None
            }
        };
        GUARDED_PORTS.into_iter().filter_map(of_port).collect()
    }
}

impl Chance {
    fn describe(&self, kind: &FaultKind, chance: &mut Settings) {
        match kind {
            // A limit is in force or it is not.
            FaultKind::Starve(_) => return,
            // The model alone decides.
            FaultKind::Loss(Loss::GilbertElliott(_)) => {}
            _ => chance.one("percent", Percent(self.percent)),
        }
        let is_set = self.when != When::ALWAYS;
        chance.some("when", is_set.then(|| format_when(&self.when)));
        chance.some("max-hits", self.max_hits);
        chance.some("seed", self.seed);
    }

    /// What a small share is, for a person who meant another.
    fn remarks(&self) -> Option<String> {
        let Threshold(threshold) = self.percent;
        // A hundredth of all, as a threshold of 2^32.
        if threshold >= 42_949_673 {
            return None;
        }
        let percent = Percent(self.percent);
        if threshold == 0 {
            return Some(format!(
                "{percent} of the matches is none of them: it never fires"
            ));
        }
        let one_in = (1u64 << 32).div_ceil(u64::from(threshold));
        let meant = meant(&percent.to_string());
        Some(format!("{percent} is 1 match in {one_in}{meant}"))
    }
}

/// The share that a fraction was probably meant to be: `0.05` is 5 %, not 0.05 %.
fn meant(percent: &str) -> String {
    let number: Option<f64> = percent.trim_end_matches('%').parse().ok();
    // Of ten thousandths a person means what is written.
    match number {
        Some(share) if share >= 0.01 => {
            // Rounded to what a person writes.
            let meant = (share * 10_000.0).round() / 100.0;
            format!("; if {meant}% was meant, write that")
        }
        _ => String::new(),
    }
}

impl Described {
    /// The flags that say the same, behind the words of the fault's name.
    pub fn words(&self, fault: &str) -> Vec<String> {
        let name = fault.split('.').map(str::to_owned);
        let sets = [&self.parameters, &self.filters, &self.chance];
        name.chain(sets.into_iter().flat_map(Settings::words))
            .collect()
    }
}

/// One line: parameters, filters, chance, and what names stood for.
impl fmt::Display for Described {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets = [&self.parameters, &self.filters, &self.chance];
        let said = sets.into_iter().filter(|set| !set.is_empty());
        let said: Vec<String> = said.map(ToString::to_string).collect();
        out.write_str(&said.join("; "))?;
        for (name, addresses) in &self.resolved {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            write!(
                out,
                "; {} is {}",
                printable::line(name),
                addresses.join(", ")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = printable::line(&self.target);
        write!(out, "{} on {target}: {}", self.fault, self.described)
    }
}

impl super::Experiment {
    /// Every fault in its place, before a plan is made.
    pub fn describe(&self) -> Vec<Placed> {
        self.faults()
            .map(|(step, fault)| Placed {
                step: step.name.clone(),
                fault: fault.kind.name().to_owned(),
                target: self
                    .targets
                    .get(fault.target)
                    .map(|target| target.name.clone())
                    .unwrap_or_default(),
                mechanism: None,
                described: fault.describe(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
