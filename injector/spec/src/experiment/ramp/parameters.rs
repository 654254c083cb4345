//! Which parameters can ramp: those whose value is a word of the kernel's rule, or a setting of the delay line, that
//! each packet and call reads anew. Everything else stays, for a reason that its fault says.
//!
//! Each fault decides about its own numbers ([`Numbers`]); what all faults have is decided here. All of it is taken
//! apart without `..`, so a new field does not compile before it is decided; a test asks the same of every flag that
//! takes a number.
//!
//! [`Numbers`]: crate::faults::Numbers

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Amount,
    decided::{
        Decided::{self, Ramps, Stays},
        Place, Why, stays,
    },
};
use crate::experiment::{ActsOn, Chance, Fault, Traffic};

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
    TokenGap,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Latency,
        Self::Jitter,
        Self::Correlation,
        Self::Percent,
        Self::Rate,
        Self::DelayEnter,
        Self::DelayExit,
        Self::AtMost,
        Self::TokenGap,
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
            Self::TokenGap => "token-gap",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
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
            ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Requests(_)
            | ActsOn::Calls(..) => true,
            ActsOn::Connections | ActsOn::Processes(_) => false,
        };
        let Self {
            target: _,
            kind,
            direction: _,
            traffic,
            chance,
            ramps: _,
            stays_on: _,
        } = self;
        let mut decided = kind.numbers();
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

#[cfg(test)]
mod tests;
