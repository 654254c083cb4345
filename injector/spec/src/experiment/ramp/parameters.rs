//! Which parameters can ramp: those whose value is a word of the kernel's rule, or a setting of the delay line, that
//! each packet and call reads anew. Everything else stays, and the reason is said here.
//!
//! Every fault and every one of its fields is taken apart without `..`, so a new one does not compile before it is
//! decided here; a test asks the same of every flag that takes a number.

use std::{fmt, time::Duration};

use injector_common::threshold::Threshold;
use serde::{Deserialize, Serialize};

use super::Amount;
use crate::{
    experiment::{
        ActsOn, CallDamage, CallDelay, CallError, CallShort, Calls, Chance, CorruptMode, Delay,
        Fault, FaultKind, Kill, KillAtCall, Loss, Pause, SleepAt, Starve, Traffic,
    },
    quantity::Rate,
};

/// A parameter that can ramp, by the name that files and flags have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are told of at their flags")]
pub enum Parameter {
    Latency,
    Jitter,
    Correlation,
    Percent,
    Rate,
    DelayEnter,
    DelayExit,
    AtMost,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Latency,
        Self::Jitter,
        Self::Correlation,
        Self::Percent,
        Self::Rate,
        Self::DelayEnter,
        Self::DelayExit,
        Self::AtMost,
    ];

    /// The name in files and flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Jitter => "jitter",
            Self::Correlation => "correlation",
            Self::Percent => "percent",
            Self::Rate => "rate",
            Self::DelayEnter => "delay-enter",
            Self::DelayExit => "delay-exit",
            Self::AtMost => "at-most",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Where its value stands in a fault.
enum Place<'f> {
    Time(&'f mut Duration),
    Share(&'f mut Threshold),
    Rate(&'f mut Rate),
}

/// What is decided about a parameter.
enum Decided<'f> {
    /// It can ramp.
    Ramps(Parameter, Place<'f>),
    /// It is a number, and cannot.
    Stays(&'static str, Why),
}

use Decided::{Ramps, Stays};

/// Why a number cannot ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It says what is meant, which is looked up by many entries of a table.
    Filter,
    /// It counts over the whole step, or numbers it.
    Count,
    /// It says how large a cut is.
    Size,
    /// It is several numbers that hang together.
    Several,
    /// It is a time at which this process acts, not a setting that a packet or call reads.
    Schedule,
    /// It is a limit of a cgroup, whose old value is put back.
    Limit,
    /// It is asked once for each connection or process.
    Once,
}

impl Why {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Filter => "it says which packets or calls are meant",
            Self::Count => "it counts over the whole step",
            Self::Size => "it is the size of a cut",
            Self::Several => "it is several numbers that hang together",
            Self::Schedule => "it is a time at which the injector's own process acts",
            Self::Limit => "it is a limit of a cgroup, written once and put back once",
            Self::Once => {
                "it is asked once for each connection or process, not at each packet or call"
            }
        }
    }
}

/// Why a parameter of a fault cannot ramp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotRamp {
    /// A number that cannot change while the fault is on.
    #[error("`{name}` of `{fault}` cannot ramp: {why}; write one value, or a step for each value")]
    Stays {
        /// The fault.
        fault: &'static str,
        /// The parameter.
        name: String,
        /// The reason.
        why: &'static str,
    },
    /// Nothing that has a value between two others.
    #[error("`{name}` of `{fault}` is no quantity and cannot ramp; {hint}")]
    NoQuantity {
        /// The fault.
        fault: &'static str,
        /// The parameter.
        name: String,
        /// What can.
        hint: String,
    },
}

impl Fault {
    /// The value of a parameter that can ramp.
    pub fn amount(&self, parameter: Parameter) -> Result<Amount, CannotRamp> {
        self.named(parameter.name()).map(|(_, amount)| amount)
    }

    /// The parameters that can ramp.
    pub(in crate::experiment) fn quantities(&self) -> Vec<Parameter> {
        let all = Parameter::ALL.into_iter();
        all.filter(|parameter| self.amount(*parameter).is_ok())
            .collect()
    }

    /// The parameter with this name and its value, where it can ramp.
    pub(in crate::experiment) fn named(
        &self,
        name: &str,
    ) -> Result<(Parameter, Amount), CannotRamp> {
        let mut fault = self.clone();
        let mut can = Vec::new();
        for decided in fault.parameters() {
            match decided {
                Ramps(parameter, place) if parameter.name() == name => {
                    return Ok((parameter, place.value()));
                }
                Ramps(parameter, _) => can.push(parameter.name()),
                Stays(stays, why) if stays == name => {
                    return Err(CannotRamp::Stays {
                        fault: self.kind.name(),
                        name: name.to_owned(),
                        why: why.sentence(),
                    });
                }
                Stays(..) => {}
            }
        }
        Err(CannotRamp::NoQuantity {
            fault: self.kind.name(),
            name: crate::printable::line(name).into_owned(),
            hint: if can.is_empty() {
                "write one value".to_owned()
            } else {
                format!("write one value (what can is: {})", can.join(", "))
            },
        })
    }

    /// Sets the value of a parameter that can ramp; of one that cannot, or to another kind of value, nothing.
    pub(super) fn put(&mut self, parameter: Parameter, amount: Amount) {
        for decided in self.parameters() {
            match decided {
                Ramps(known, place) if known == parameter => place.set(amount),
                Ramps(..) | Stays(..) => {}
            }
        }
    }

    /// Every number of it, and what is decided about it.
    fn parameters(&mut self) -> Vec<Decided<'_>> {
        let is_drawn_at_each = match self.kind.acts_on() {
            ActsOn::Packets | ActsOn::LookUps(_) | ActsOn::Connects | ActsOn::Calls(_) => true,
            ActsOn::Connections | ActsOn::Processes(_) => false,
        };
        let Self {
            target: _,
            kind,
            direction: _,
            traffic,
            chance,
            ramps: _,
        } = self;
        let mut decided = of_kind(kind);
        decided.extend(of_traffic(traffic));
        let Chance {
            percent,
            when: _,
            max_hits: _,
            seed: _,
        } = chance;
        decided.push(if is_drawn_at_each {
            Ramps(Parameter::Percent, Place::Share(percent))
        } else {
            Stays("percent", Why::Once)
        });
        decided.extend(["when", "max-hits", "seed"].map(|name| Stays(name, Why::Count)));
        decided
    }
}

fn of_kind(kind: &mut FaultKind) -> Vec<Decided<'_>> {
    match kind {
        FaultKind::Noop
        | FaultKind::Corrupt(CorruptMode::Payload | CorruptMode::Wire)
        | FaultKind::Duplicate
        | FaultKind::Blackhole
        | FaultKind::Partition { peers: _ }
        | FaultKind::Reset
        | FaultKind::Connect(_)
        | FaultKind::Dns {
            answer: _,
            hostnames: _,
        } => Vec::new(),
        FaultKind::Delay(Delay {
            latency,
            jitter,
            correlation,
            distribution: _,
        }) => vec![
            Ramps(Parameter::Latency, Place::Time(latency)),
            Ramps(Parameter::Jitter, Place::Time(jitter)),
            Ramps(Parameter::Correlation, Place::Share(correlation)),
        ],
        FaultKind::Loss(Loss::Independent { correlation }) => {
            vec![Ramps(Parameter::Correlation, Place::Share(correlation))]
        }
        FaultKind::Loss(Loss::GilbertElliott(_)) => vec![Stays("gemodel", Why::Several)],
        FaultKind::Reorder { gap: _, latency } => vec![
            Ramps(Parameter::Latency, Place::Time(latency)),
            Stays("gap", Why::Count),
        ],
        FaultKind::Bandwidth(rate) => vec![Ramps(Parameter::Rate, Place::Rate(rate))],
        FaultKind::DnsDelay {
            latency,
            hostnames: _,
        } => vec![Ramps(Parameter::Latency, Place::Time(latency))],
        FaultKind::Kill(Kill {
            signal: _,
            after: _,
            interval: _,
            respawn: _,
        }) => stays(&["after", "interval"], Why::Schedule),
        FaultKind::Pause(Pause { pulse: _ }) => stays(&["active", "dormant"], Why::Schedule),
        FaultKind::Starve(Starve {
            cpu_max: _,
            memory_high: _,
            io_max: _,
            pids_max: _,
        }) => stays(
            &["cpu", "cpu-max", "memory-high", "io-max", "pids-max"],
            Why::Limit,
        ),
        FaultKind::KillAtCall(KillAtCall {
            signal: _,
            calls,
            respawn: _,
        }) => of_calls(calls),
        FaultKind::SysError(error) | FaultKind::IoError(error) | FaultKind::PipeError(error) => {
            of_error(error)
        }
        FaultKind::SysDelay(delay) => {
            let length = match delay.at {
                SleepAt::Enter => Parameter::DelayEnter,
                SleepAt::Exit => Parameter::DelayExit,
            };
            of_sleep(length, delay)
        }
        FaultKind::IoLatency(delay) | FaultKind::PipeDelay(delay) => {
            of_sleep(Parameter::Latency, delay)
        }
        FaultKind::PipeStall(delay) => of_sleep(Parameter::AtMost, delay),
        FaultKind::IoCorrupt(damage) | FaultKind::PipeCorrupt(damage) => of_damage(damage),
        FaultKind::IoShort(CallShort { calls, at_most: _ }) => {
            let mut decided = of_calls(calls);
            decided.extend(stays(&["at-most"], Why::Size));
            decided
        }
    }
}

fn of_error(error: &CallError) -> Vec<Decided<'static>> {
    let CallError {
        calls,
        errno: _,
        realism: _,
    } = error;
    of_calls(calls)
}

fn of_damage(damage: &CallDamage) -> Vec<Decided<'static>> {
    let CallDamage {
        calls,
        filling: _,
        max_length: _,
        max_occurrences: _,
    } = damage;
    let mut decided = of_calls(calls);
    decided.extend(stays(&["max-length", "max-occurrences"], Why::Size));
    decided
}

fn of_sleep(length_is: Parameter, delay: &mut CallDelay) -> Vec<Decided<'_>> {
    let CallDelay {
        calls,
        at: _,
        length,
        jitter,
        sleeps: _,
    } = delay;
    let mut decided = of_calls(calls);
    decided.push(Ramps(length_is, Place::Time(length)));
    decided.push(Ramps(Parameter::Jitter, Place::Time(jitter)));
    decided
}

fn of_calls(calls: &Calls) -> Vec<Decided<'static>> {
    let Calls {
        syscalls: _,
        thread: _,
        paths: _,
        presence: _,
        kinds: _,
        dest: _,
        dest_ports: _,
        mechanism: _,
    } = calls;
    stays(&["dest-ip", "dest-port"], Why::Filter)
}

fn of_traffic(traffic: &Traffic) -> Vec<Decided<'static>> {
    let Traffic {
        dest: _,
        hostnames: _,
        exclude: _,
        dest_ports: _,
        source_ports: _,
        exclude_ports: _,
        protocol: _,
        connections: _,
        activity: _,
    } = traffic;
    let names = [
        "dest-ip",
        "exclude-ip",
        "dest-port",
        "source-port",
        "exclude-port",
        "peer",
    ];
    stays(&names, Why::Filter)
}

fn stays(names: &[&'static str], why: Why) -> Vec<Decided<'static>> {
    names.iter().map(|name| Stays(name, why)).collect()
}

impl Place<'_> {
    fn value(&self) -> Amount {
        match self {
            Self::Time(time) => Amount::Time(**time),
            Self::Share(share) => Amount::Share(**share),
            Self::Rate(rate) => Amount::Rate(**rate),
        }
    }

    fn set(self, amount: Amount) {
        match (self, amount) {
            (Self::Time(place), Amount::Time(time)) => *place = time,
            (Self::Share(place), Amount::Share(share)) => *place = share,
            (Self::Rate(place), Amount::Rate(rate)) => *place = rate,
            // `check_ramps` has refused it.
            (Self::Time(_) | Self::Share(_) | Self::Rate(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
