//! The report for people: plain text, at most 100 columns where names allow it.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{FaultReport, HaltReport, Outcome, RunReport};
use injector_spec::quantity::duration;

/// The columns of the table.
const HEAD: [&str; 7] = [
    "step",
    "fault",
    "target",
    "mechanism",
    "seen",
    "matched",
    "hit",
];

/// Columns from here on are numbers and stand to the right.
const NUMBERS: usize = 4;

/// Notes are wrapped before this column.
const WIDTH: usize = 100;

impl Display for RunReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let armed_for = duration::measured(Duration::from_millis(self.armed_for_ms));
        writeln!(
            out,
            "{} ({}) {}, armed for {armed_for}",
            self.run, self.name, self.outcome
        )?;
        let rows: Vec<_> = self.faults.iter().map(row).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        if !rows.is_empty() {
            line(out, &HEAD.map(str::to_owned), &widths)?;
        }
        for (row, fault) in rows.iter().zip(&self.faults) {
            line(out, row, &widths)?;
            let described = fault.described.to_string();
            if !described.is_empty() {
                wrapped(out, &described)?;
            }
            for connection in &fault.connections {
                wrapped(out, &format!("hit {connection}"))?;
            }
            if fault.hit > fault.connections.len() as u64 && !fault.connections.is_empty() {
                let more = fault.hit - fault.connections.len() as u64;
                wrapped(out, &format!("and {more} more connections"))?;
            }
            if let Some(note) = &fault.note {
                wrapped(out, note)?;
            }
        }
        for remark in &self.remarks {
            wrapped(out, remark)?;
        }
        if let Some(halt) = &self.halt {
            wrapped(out, &halt.to_string())?;
        }
        for notice in &self.told {
            wrapped(out, &notice.to_string())?;
        }
        for error in &self.undo_errors {
            writeln!(out, "not restored: {error}")?;
        }
        Ok(())
    }
}

impl Display for HaltReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = |us: u64| format!("{}.{:03} ms", us / 1_000, us % 1_000);
        let disarmed = milliseconds(self.disarmed_after_us);
        match &self.condition {
            Some(condition) => write!(
                out,
                "`{condition}`: disarmed {disarmed} after it was seen, "
            )?,
            None => out.write_str("halted: ")?,
        }
        match self.last_hit_after_us {
            Some(us) => write!(out, "last hit after {}", milliseconds(us)),
            None => out.write_str("no hit after that"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => out.write_str("completed"),
            Self::Stopped => out.write_str("stopped"),
            Self::TargetEnded { why } => write!(out, "ended with its target: {why}"),
            Self::Halted { why } => write!(out, "halted: {why}"),
            Self::Failed { why } => write!(out, "failed: {why}"),
        }
    }
}

fn row(fault: &FaultReport) -> [String; 7] {
    [
        fault.step.clone(),
        fault.fault.clone(),
        fault.target.clone(),
        fault.mechanism.clone(),
        fault.seen.to_string(),
        fault.matched.to_string(),
        fault.hit.to_string(),
    ]
}

fn line(out: &mut Formatter<'_>, cells: &[String; 7], widths: &[usize; 7]) -> fmt::Result {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        text = if column < NUMBERS {
            format!("{text}  {cell:<width$}")
        } else {
            format!("{text}  {cell:>width$}")
        };
    }
    writeln!(out, "{}", text.trim_end())
}

/// A note under its row, wrapped at spaces.
fn wrapped(out: &mut Formatter<'_>, note: &str) -> fmt::Result {
    const INDENT: &str = "   ";
    let mut text = INDENT.to_owned();
    for word in note.split_whitespace() {
        if text.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{text}")?;
            INDENT.clone_into(&mut text);
        }
        text.push(' ');
        text.push_str(word);
    }
    writeln!(out, "{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_spec::experiment::Described;

    fn sample() -> RunReport {
        let fault = |name: &str, hit, note: Option<&str>| FaultReport {
            step: "spike".into(),
            fault: name.into(),
            target: "agent".into(),
            mechanism: "delay-line".into(),
            seen: 1000,
            matched: 900,
            hit,
            missed: 0,
            connections: Vec::new(),
            note: note.map(Into::into),
            described: Described::default(),
        };
        let note = "applied, but the target never met it: it sent nothing while the fault was on";
        RunReport {
            run: "r000000010001".parse().unwrap(),
            name: "spike".into(),
            outcome: Outcome::Completed,
            armed_for_ms: 30_500,
            faults: vec![
                fault("net.delay", 900, None),
                fault("net.loss", 0, Some(note)),
            ],
            remarks: vec![],
            undo_errors: vec!["sysctl x: gone".into()],
            halt: None,
            told: vec![],
        }
    }

    #[test]
    fn the_table_is_aligned_and_narrow() {
        let expected = "\
r000000010001 (spike) completed, armed for 30.5s
  step   fault      target  mechanism   seen  matched  hit
  spike  net.delay  agent   delay-line  1000      900  900
  spike  net.loss   agent   delay-line  1000      900    0
    applied, but the target never met it: it sent nothing while the fault was on
not restored: sysctl x: gone
";
        assert_eq!(sample().to_string(), expected);
        let mut long = sample();
        long.faults[1].note = Some("word ".repeat(60));
        assert!(long.to_string().lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn a_halt_says_how_fast_it_was_and_who_was_told() {
        let halted = RunReport {
            halt: Some(HaltReport {
                condition: Some("hits > 5/s over 1s".into()),
                seen_boot_ns: 7,
                disarmed_after_us: 31_007,
                last_hit_after_us: Some(900),
            }),
            undo_errors: vec![],
            ..sample()
        };
        let text = halted.to_string();
        let line = "    `hits > 5/s over 1s`: disarmed 31.007 ms after it was seen, last hit after 0.900 ms\n";
        assert!(text.ends_with(line), "{text}");
        let json = serde_json::to_value(&halted).unwrap();
        assert_eq!(json["halt"]["disarmed_after_us"], 31_007);
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap(), halted);
    }

    #[test]
    fn json_is_what_scripts_rely_on() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(json["outcome"], "completed");
        assert_eq!(json["armed_for_ms"], 30_500);
        assert_eq!(json["faults"][0]["note"], serde_json::Value::Null);
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap(), sample());
        let halted = Outcome::Halted {
            why: "too much".into(),
        };
        let json = serde_json::to_value(RunReport {
            outcome: halted,
            ..sample()
        })
        .unwrap();
        assert_eq!(
            (&json["outcome"], &json["why"]),
            (&"halted".into(), &"too much".into())
        );
    }
}
