//! Records of a journal in sentences.
//!
//! A record of a change that was made names it by number. So a reader goes through a journal from its
//! beginning with one [`Reader`], which remembers what was announced, and says what was changed.

use std::collections::BTreeMap;

use injector_record::{
    journal::{HostChange, Record},
    measure::Sample,
    operations::Second,
};
use injector_spec::{experiment::Target, printable, quantity::count};

/// What was announced so far in one journal.
#[derive(Debug, Default)]
pub(super) struct Reader(BTreeMap<u32, HostChange>);

impl Reader {
    /// The next record, on one line, with names escaped.
    pub(super) fn sentence(&mut self, record: &Record) -> String {
        if let Record::Change { id, change } = record {
            self.0.insert(*id, change.clone());
        }
        printable::line(&self.say(record)).into_owned()
    }

    /// What a number stands for.
    fn change(&self, id: u32) -> String {
        match self.0.get(&id) {
            Some(change) => change.to_string(),
            None => format!("change {id}, whose record is damaged"),
        }
    }

    fn say(&self, record: &Record) -> String {
        match record {
            Record::Started {
                name,
                by_uid,
                by_pid,
                login_uid,
                config,
                ..
            } => {
                let login = login_uid.filter(|login| login != by_uid);
                let login =
                    login.map_or_else(String::new, |login| format!(" (logged in as {login})"));
                let limits = config.as_ref().map_or_else(
                    || "the default limits".to_owned(),
                    |file| format!("the limits of {file}"),
                );
                format!(
                    "started {name}, asked by user {by_uid}{login}, process {by_pid}, under {limits}"
                )
            }
            Record::Overridden {
                limit,
                by_uid,
                by_pid,
                lifted,
            } => {
                let what = lifted
                    .as_deref()
                    .unwrap_or("the run keeps that limit anyway");
                format!("user {by_uid}, process {by_pid}, asked for {limit}: {what}")
            }
            Record::Scheduled { drawn } => drawn.to_string(),
            Record::Planned { faults, .. } if faults.is_empty() => "planned".to_owned(),
            Record::Planned { faults, .. } => {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                format!("planned: {}", faults.join(" | "))
            }
            Record::Change { change, .. } => format!("about to change: {change}"),
            Record::TargetEnded {
                target,
                how,
                after_ms,
            } => format!(
                "{} ended after {after_ms} ms: {how}",
                Target::in_words(target)
            ),
            Record::TargetMet { target, after_ms } => {
                format!("{} met again after {after_ms} ms", Target::in_words(target))
            }
            Record::TargetNotMet {
                target,
                why,
                after_ms,
            } => format!(
                "{} back after {after_ms} ms and not met: {why}",
                Target::in_words(target)
            ),
            Record::Changed { id } => format!("made: {}", self.change(*id)),
            Record::Restored { id } => format!("undone: {}", self.change(*id)),
            Record::RestoreFailed { id, why } => {
                format!("could not be undone: {}: {why}", self.change(*id))
            }
            Record::Armed => "armed".to_owned(),
            Record::StepStarted { step } => format!("step {step}"),
            Record::StepEnded { step } => format!("end of step {step}"),
            Record::Sampled { answers } => {
                let of_probe = |(probe, samples): (&String, &Vec<Sample>)| {
                    let wrong = samples.iter().filter_map(|sample| sample.wrong.as_deref());
                    let last = wrong.clone().next_back()?;
                    let answers = count(samples.len(), "answer", "answers");
                    let wrong = wrong.count();
                    Some(format!(
                        "probe {probe}: {wrong} of {answers} wrong, the last one: {last}"
                    ))
                };
                let wrong: Vec<String> = answers.iter().filter_map(of_probe).collect();
                wrong.join("; ")
            }
            Record::Operated { seconds } => operated(seconds),
            Record::GateWaits { step, until } => format!("gate {step} waits for {until}"),
            Record::GateEnded { report } => report.to_string(),
            Record::RolledBack { result } => result.to_string(),
            Record::Escalated { turn } => turn.to_string(),
            Record::Told { notice } => notice.to_string(),
            Record::Ended { report } => match report.verdict() {
                Some(verdict) => format!("ended: {}; {verdict}", report.outcome),
                None => format!("ended: {}", report.outcome),
            },
            Record::Aborted { why } => format!("aborted: {why}"),
            Record::Halted { halt } => halt.to_string(),
            Record::Resumed { by_uid, by_pid } => {
                format!("resumed by user {by_uid}, process {by_pid}")
            }
        }
    }
}

/// How many of the operations under each name were bad.
fn operated(seconds: &BTreeMap<String, Vec<Second>>) -> String {
    let of_stream = |(name, seconds): (&String, &Vec<Second>)| {
        let of = |number: fn(&Second) -> u64| seconds.iter().map(number).sum::<u64>();
        let (good, bad) = (of(|second| second.good), of(|second| second.bad));
        format!(
            "operations {name}: {bad} of {} bad",
            good.saturating_add(bad)
        )
    };
    let told: Vec<String> = seconds.iter().map(of_stream).collect();
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_said_and_not_its_number() {
        let change = HostChange::Sysctl {
            netns_inode: 9,
            key: "net.ipv4.conf.lo.accept_local".into(),
            old: "0".into(),
            new: "1".into(),
        };
        let mut reader = Reader::default();
        let mut say = |record| reader.sentence(&record);
        let why = "read-only\nfile system".to_owned();
        let said = [
            say(Record::Changed { id: 3 }),
            say(Record::Change { id: 3, change }),
            say(Record::Changed { id: 3 }),
            say(Record::Restored { id: 3 }),
            say(Record::RestoreFailed { id: 3, why }),
        ];
        let what = "sysctl net.ipv4.conf.lo.accept_local from 0 to 1";
        assert_eq!(
            said,
            [
                "made: change 3, whose record is damaged".to_owned(),
                format!("about to change: {what}"),
                format!("made: {what}"),
                format!("undone: {what}"),
                format!("could not be undone: {what}: read-only\\nfile system"),
            ]
        );
    }
}
