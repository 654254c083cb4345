//! What is asked of the delay line: a model for each rule that sends frames here.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::Arc,
    time::Duration,
};

use globset::{GlobBuilder, GlobSet};
use injector_common::{RuleId, rule::Rule, rule_id, threshold::Threshold};

pub use injector_spec::experiment::Distribution;

/// What a rule does with the frames that the BPF program sends here.
///
/// Whether a frame is hit at all (filters, percent, when, budget) was decided in the kernel before,
/// except for [`Model::Dns`].
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// Lets frames go on at once.
    Noop,
    /// Holds each for a time.
    Delay(Delay),
    /// A slow link.
    Bandwidth(Bandwidth),
    /// Holds each for a fixed time; those that overtake never come here.
    Reorder {
        /// How long.
        latency: Duration,
    },
    /// Damages one segment on the wire, so that the receiver's checksum finds it.
    WireCorrupt {
        /// Makes the choice of the bit repeatable.
        seed: u64,
    },
    /// Fails name look-ups, or holds them.
    Dns(DnsFault),
}

/// Latency with jitter, as `tc qdisc netem delay` has it, but for the order: packets of a connection keep
/// theirs ([`super::order`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The mean, where the jitter does not reach below zero: a packet cannot leave before it came, so what is
    /// drawn below zero counts as zero, and the mean is above this.
    pub latency: Duration,
    /// The spread: half the width of the uniform distribution, the deviation of the others.
    pub jitter: Duration,
    /// How much the last random number counts in the next one.
    pub correlation: Threshold,
    /// The shape of the jitter.
    pub distribution: Distribution,
    /// Makes the jitter repeatable.
    pub seed: u64,
}

/// A link that sends one frame after the other; one for each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bits of Ethernet frames per second.
    pub bits_per_second: NonZeroU64,
}

/// What becomes of some name look-ups.
#[derive(Clone, Debug)]
pub struct DnsFault {
    /// What the target sees.
    pub outcome: LookUp,
    /// Percent, when, budget and seed, decided here on the number of the matching query.
    pub rule: Rule,
    hostnames: Vec<String>,
    matcher: Arc<GlobSet>,
}

/// What the target sees of a look-up that is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// An answer in the resolver's place.
    Answered(Rcode),
    /// Nothing: the query is lost.
    Lost,
    /// The resolver's answer, to a query that was held for this long.
    Held(Duration),
}

/// Response codes of DNS, by their numbers (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rcode {
    /// "The server could not answer".
    ServFail = 2,
    /// "There is no such name".
    NxDomain = 3,
}

impl DnsFault {
    /// This outcome of look-ups of names that match one of `hostnames`: globs, regardless of case and of a
    /// dot at the end; `*` spans dots, so `*.example.com` matches every name below example.com and
    /// not example.com itself.
    pub fn new(outcome: LookUp, hostnames: &[String], rule: Rule) -> Result<Self, globset::Error> {
        let mut globs = GlobSet::builder();
        for hostname in hostnames {
            let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
            let mut glob = GlobBuilder::new(hostname);
            // `api{,-2}` is `api` too.
            glob.case_insensitive(true).empty_alternates(true);
            globs.add(glob.build()?);
        }
        Ok(Self {
            outcome,
            rule,
            hostnames: hostnames.to_vec(),
            matcher: Arc::new(globs.build()?),
        })
    }

    /// The same names with another outcome: their patterns are compiled once.
    #[must_use]
    pub fn with(&self, outcome: LookUp, rule: Rule) -> Self {
        Self {
            outcome,
            rule,
            ..self.clone()
        }
    }

    /// Whether look-ups of this name may be hit; the name has no dot at the end.
    pub fn names(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }
}

impl PartialEq for DnsFault {
    fn eq(&self, other: &Self) -> bool {
        // The matcher follows from the hostnames.
        (self.outcome, &self.rule, &self.hostnames)
            == (other.outcome, &other.rule, &other.hostnames)
    }
}

/// The models of all rules. A frame names its rules by scope and slot; a rule that is not in the table
/// lets frames go on at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineTable {
    models: BTreeMap<RuleId, Model>,
    ramping: BTreeSet<RuleId>,
}

impl LineTable {
    /// A table without rules.
    pub const fn new() -> Self {
        Self {
            models: BTreeMap::new(),
            ramping: BTreeSet::new(),
        }
    }

    /// Sets the model of the rule in this scope and slot.
    pub fn set(&mut self, scope: u32, slot: u32, model: Model) {
        self.models.insert(rule_id(scope, slot), model);
    }

    /// Says that the model of this rule will be changed while frames wait.
    pub fn set_ramping(&mut self, scope: u32, slot: u32) {
        self.ramping.insert(rule_id(scope, slot));
    }

    /// Whether it will be.
    pub fn is_ramping(&self, id: RuleId) -> bool {
        self.ramping.contains(&id)
    }

    /// All models by the number of their rule.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Model)> {
        self.models.iter().map(|(id, model)| (*id, model))
    }
}

impl FromIterator<((u32, u32), Model)> for LineTable {
    fn from_iter<I: IntoIterator<Item = ((u32, u32), Model)>>(models: I) -> Self {
        let models = models
            .into_iter()
            .map(|((scope, slot), model)| (rule_id(scope, slot), model));
        Self {
            models: models.collect(),
            ramping: BTreeSet::new(),
        }
    }
}
