//! What tells that two runs were asked the same: a digest of an experiment's content.
//!
//! It covers all that a run does and is held against, the flaws it fails on and what is declared of its targets included, and
//! leaves out what is words or chance: the experiment's name
//! and hypothesis, its owner and labels, the names of variables, the ids of processes, which are other ones in each run, and seeds, so that a run is asked the same
//! when it is done again with the seeds that it drew. Halt conditions are no part of it either: hosts have some of their
//! own, and a run that none of them has ended went as it would have gone without, and neither are the blast radius, the
//! commands of a rollback and the names of notifiers. It is made anew from the experiment
//! that a journal keeps, so it is the same for a file that an earlier version has run: fields that were not there then
//! are absent, and what is absent or empty is not part of it. A test pins one, for the journals' index keeps them.
//!
//! Rejected: a digest of the file's bytes, by which a comment makes another experiment, and which a run by command
//! does not have.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Experiment, Selector};

/// The first 64 bits of a SHA-256, told as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(u64);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint of an experiment has 16 hexadecimal digits")]
pub struct FingerprintError;

impl Fingerprint {
    /// The digest as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The digest that is this number.
    pub const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The digest of the same content under a name: that of one experiment, where the content alone may be another's.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0.to_be_bytes());
        hasher.update(name);
        Self::finish(hasher)
    }

    fn finish(hasher: Sha256) -> Self {
        let digest = hasher.finalize();
        let bits = digest.iter().take(8);
        Self(bits.fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }
}

impl Experiment {
    /// The digest of what is asked.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut asked = self.clone();
        asked.name.clear();
        asked.hypothesis = None;
        asked.owner = None;
        asked.labels.clear();
        // Their values stand where they were asked for.
        asked.variables = None;
        asked.stage = None;
        asked.blast_radius = None;
        asked.halt.clear();
        asked.rollback.clear();
        asked.notify.clear();
        asked.escalate.clear();
        for target in &mut asked.targets {
            if let Selector::Pids { pids, .. } = &mut target.selector {
                pids.clear();
            }
            if let Some(pick) = target.selector.pick_mut() {
                pick.seed = None;
            }
        }
        for fault in asked.steps.iter_mut().flat_map(|step| &mut step.faults) {
            fault.chance.seed = None;
        }
        // Experiments always serialise: their maps have texts for keys.
        let value = serde_json::to_value(&asked).unwrap_or_default();
        let mut hasher = Sha256::new();
        feed(&mut hasher, &value);
        Fingerprint::finish(hasher)
    }
}

/// Hashes a value without what says nothing, its names in order, and each part with its kind and its length.
fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let text = value.to_string();
            hasher.update(format!("v{}:{text}", text.len()));
        }
        Value::Array(values) => {
            hasher.update(format!("a{}:", values.len()));
            for value in values {
                feed(hasher, value);
            }
        }
        Value::Object(values) => {
            let mut said: Vec<_> = values.iter().filter(|(_, value)| !is_idle(value)).collect();
            said.sort_unstable_by_key(|(name, _)| *name);
            hasher.update(format!("o{}:", said.len()));
            for (name, value) in said {
                hasher.update(format!("k{}:{name}", name.len()));
                feed(hasher, value);
            }
        }
    }
}

/// Whether a field with this value says as little as one that is not there.
fn is_idle(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(FingerprintError);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| FingerprintError)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::file;

    const FILE: &str = "name: a\nhypothesis: It holds.\ntargets: { agent: { pid: 7 } }\nprobes: { web: 'tcp \
        127.0.0.1:80 every 100ms within 100ms' }\nsteady-state: [web]\nobjectives: { rto: 5s }\nbaseline: 10s\nrecovery: \
        15s\nsteps:\n  - { name: slow, duration: 10s, faults: [ net.delay: { latency: 100ms } ] }\n";

    fn of(text: &str) -> String {
        let experiment = file::parse(text, "x.yaml", None).unwrap();
        experiment.fingerprint().to_string()
    }

    /// If this fails, rows of the journals' index that earlier versions wrote have other fingerprints for the same
    /// experiments: count up the index's version, and then change this text.
    #[test]
    fn it_is_the_same_in_each_version() {
        assert_eq!(of(FILE), "60dd2082e25ef827");
    }

    #[test]
    fn words_process_ids_and_seeds_are_no_part_of_it() {
        let same = [
            ("name: a", "name: b"),
            ("It holds.", "It answers."),
            ("pid: 7", "pid: [8, 9]"),
            ("steps:", "# A comment.\nsteps:"),
            ("steps:", "owner: payments\nlabels: { tier: gold }\nsteps:"),
            ("steps:", "halt: [ 'host.load > 80' ]\nsteps:"),
            ("100ms } ]", "100ms, seed: 7 } ]"),
        ];
        let picked = |seed| FILE.replace("pid: 7", &format!("pid: [7, 8], pick: 1{seed}"));
        assert_eq!(of(&picked(", seed: 8")), of(&picked("")));
        for (old, new) in same {
            assert_eq!(of(&FILE.replace(old, new)), of(FILE), "{new}");
        }
        let other = [
            ("pid: 7", "unit: web.service"),
            ("pid: 7", "pid: [7, 8], pick: 1"),
            ("rto: 5s", "rto: 6s"),
            ("100ms }", "101ms }"),
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("baseline: 10s", "baseline: 11s"),
            ("name: slow", "name: slower"),
        ];
        for (old, new) in other {
            assert_ne!(of(&FILE.replace(old, new)), of(FILE), "{new}");
        }
    }

    /// A run that does not ask about a flaw says nothing of it.
    #[test]
    fn what_a_run_fails_on_is_a_part_of_it() {
        let kill = FILE.replace("net.delay: { latency: 100ms }", "plugin.kill: {}");
        let strict = kill.replace("steps:", "fail-on: [orphans]\nsteps:");
        assert_ne!(of(&strict), of(&kill));
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let text = of(FILE);
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        for text in [
            "",
            "0123456789abcde",
            "0123456789ABCDEF",
            "+123456789abcdef",
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
