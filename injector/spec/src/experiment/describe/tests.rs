use std::collections::BTreeSet;

use clap::{Arg, ArgAction, Command, CommandFactory, Parser};
use injector_common::decide::random64;

use super::*;
use crate::{
    faults::lines::{leaves, values_of},
    grammar::FaultInFile,
};

/// A number that the seed and what was drawn before decide.
struct Dice(u64, u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        usize::try_from(random64(self.0, self.1) % n as u64).unwrap()
    }

    fn of<'v>(&mut self, values: &[&'v str]) -> &'v str {
        // Good ones often, or hardly any line would be a fault.
        if self.below(3) > 0 {
            values[0]
        } else {
            values[self.below(values.len())]
        }
    }
}

fn word(flag: &Arg, dice: &mut Dice) -> String {
    let name = flag.get_long().unwrap();
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        return format!("--{name}");
    }
    let choices: Vec<String> = flag
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !choices.is_empty() {
        return format!("--{name}={}", choices[dice.below(choices.len())]);
    }
    format!("--{name}={}", dice.of(values_of(name)))
}

fn line(path: &[String], command: &Command, dice: &mut Dice) -> Vec<String> {
    let mut words = path.to_vec();
    let flags = command.get_arguments();
    for flag in flags.filter(|flag| !matches!(flag.get_long(), None | Some("target"))) {
        let times = if flag.is_required_set() {
            1
        } else {
            usize::from(dice.below(4) == 0)
        };
        for _ in 0..times {
            words.push(word(flag, dice));
        }
    }
    words
}

fn parsed(words: &[String]) -> Result<Fault, clap::Error> {
    FaultInFile::try_parse_from(words).map(|parsed| parsed.split().0)
}

/// For any line that is a fault: what is said of it is that fault again, and what is printed is read back.
/// And no line, whatever it holds, makes anything panic.
#[test]
fn what_is_said_is_the_fault_that_was_asked_for() {
    let mut command = FaultInFile::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    let (mut told, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for (path, leaf) in &found {
        for seed in 0..300 {
            let words = line(path, leaf, &mut Dice(seed, 0));
            let Ok(fault) = parsed(&words) else {
                continue;
            };
            told.insert(path.clone());
            let described = fault.describe();
            let said = described.words(fault.kind.name());
            let again = parsed(&said)
                .unwrap_or_else(|error| panic!("{words:?} is said as {said:?}: {error}"));
            assert_eq!(again, fault, "{words:?} is said as {said:?}");
            let json = serde_json::to_string(&described).unwrap();
            assert_eq!(serde_json::from_str::<Described>(&json).unwrap(), described);
            assert_eq!(described.to_string().lines().count().max(1), 1);
            if described.to_string().is_empty() && words.len() > path.len() {
                silent.insert(path.clone());
            }
            // What is refused is refused in a sentence.
            if let Err(error) = fault.check() {
                assert!(error.to_string().len() > 20, "{error}");
            }
        }
    }
    assert_eq!(told.len(), found.len(), "a fault that was never made");
    assert!(silent.is_empty(), "nothing is said of {silent:?}");
}

fn fault(line: &str) -> Fault {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parsed(&words).unwrap()
}

#[test]
fn every_parameter_and_filter_is_said() {
    let delay = fault(
        "net delay --latency 5m --jitter 5us --dest-port 443 --dest-ip 10.0.0.0/8 --direction both",
    );
    assert_eq!(
        delay.describe().to_string(),
        "latency 5m, jitter 5us, distribution uniform, correlation 0%; dest-ip 10.0.0.0/8, \
         dest-port 443, exclude-port 22,53, direction both; percent 100%"
    );
    let json = serde_json::to_value(delay.describe()).unwrap();
    assert_eq!(json["parameters"]["latency"], "5m");
    assert_eq!(
        json["filters"]["exclude-port"],
        serde_json::json!(["22", "53"])
    );
}

#[test]
fn what_became_of_the_guard_is_said() {
    let remarks = |line: &str| fault(line).describe().remarks.join("; ");
    assert_eq!(remarks("net blackhole"), "");
    let range = remarks("net blackhole --dest-port 1-65535");
    assert!(range.contains("port 22 stays excluded"), "{range}");
    assert!(range.contains("port 53 stays excluded"), "{range}");
    let source = remarks("net blackhole --source-port 20-30");
    assert!(source.starts_with("port 22 stays excluded"), "{source}");
    let named = remarks("net blackhole --dest-port 22");
    assert_eq!(named, "port 22 is named by itself, so it is not excluded");
}

#[test]
fn a_small_share_is_said_in_full() {
    let remarks = |percent: &str| {
        let line = format!("net loss --percent {percent}");
        fault(&line).describe().remarks.join("; ")
    };
    assert_eq!(
        remarks("0.05"),
        "0.05% is 1 match in 2000; if 5% was meant, write that"
    );
    assert_eq!(remarks("0.001%"), "0.001% is 1 match in 100000");
    assert!(remarks("0").contains("never fires"));
    assert_eq!(remarks("1"), "");
    assert_eq!(remarks("5%"), "");
}
