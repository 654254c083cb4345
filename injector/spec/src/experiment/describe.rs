//! What a fault is, said once for every surface: plan, dry run, `armed`, journal, list, audit and report, as text
//! and as JSON.
//!
//! A description has the names that flags and files have, and what it says can be written there: [`words`] makes
//! a command of it again (ramps aside, which files alone have), and a test makes the same fault of that, for any command line. So no parameter and no
//! filter can be left out, and no name can mean two things. Each fault describes its own parameters
//! ([`Definition`]).
//!
//! Rejected: a description by clap's own table of flags. It knows what was written, not what is in force: guarded
//! ports, the calls of a class, or a fault that came as JSON.
//!
//! [`Definition`]: crate::faults::Definition
//! [`words`]: Described::words

use std::{collections::BTreeMap, fmt, net::IpAddr};

use injector_common::{rule::When, threshold::Threshold};
use serde::{Deserialize, Serialize};

use super::{
    Activity, ActsOn, Chance, Connections, Fault, GUARDED_PORTS, Parameter, Protocol, Traffic,
    fault::is_zero,
    settings::{Settings, name},
};
use crate::{
    faults::Drawn,
    printable,
    quantity::{Percent, format_when},
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
    /// How many of the steps behind its own it stays on for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stays_on: usize,
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
        self.kind.definition().describe(parameters, filters);
        match self.kind.acts_on() {
            ActsOn::Packets(_) => {
                self.traffic.describe(filters);
                filters.one("direction", name(self.direction));
                let age = self.traffic.connections;
                filters.some("connection", (age != Connections::Any).then(|| name(age)));
                described.remarks = self.traffic.guard_remarks();
            }
            ActsOn::Connections | ActsOn::Connects | ActsOn::Requests(_) => {
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
            ActsOn::Calls(..) | ActsOn::Processes(_) => {}
        }
        let drawn = self.kind.definition().drawn();
        self.chance.describe(drawn, &mut described.chance);
        for ramp in &self.ramps {
            match ramp.parameter {
                Parameter::Percent => described.chance.ramp(ramp),
                Parameter::Latency
                | Parameter::Jitter
                | Parameter::Correlation
                | Parameter::Rate
                | Parameter::DelayEnter
                | Parameter::DelayExit
                | Parameter::TokenGap
                | Parameter::AtMost => described.parameters.ramp(ramp),
            }
        }
        described.remarks.extend(self.chance.remarks());
        described
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
    fn describe(&self, drawn: Drawn, chance: &mut Settings) {
        match drawn {
            Drawn::Never => return,
            Drawn::ByModel => {}
            Drawn::ByChance => chance.one("percent", Percent(self.percent)),
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
                stays_on: fault.stays_on,
                described: fault.describe(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
