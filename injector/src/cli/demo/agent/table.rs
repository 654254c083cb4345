//! What the demo with agents prints, in 80 columns.

use injector_engine::page::{Line, Page, Role};
use injector_spec::experiment::flaw;

use super::{
    super::verdict::Finding,
    faults::Fault,
    play::{Both, Met},
};

/// Columns of a fault's name.
pub(super) const NAME: usize = 25;

/// Columns of what the naive agent shows.
const SHOWN: usize = 23;

/// Who takes part, and the head of the table.
pub(super) fn opening() -> Page {
    [
        Line::all(
            Role::Strong,
            "Two agents do the same work, each fault on both at once.",
        ),
        Line::plain("The naive one has no deadline, tries again at once, takes half an answer for"),
        Line::plain("the whole, and has no key for its calls. The careful one does none of that."),
        Line::plain("The verdicts come from outside: no SDK, no proxy setting, no log."),
        Line::plain(""),
        Line::all(
            Role::Strong,
            format!("  {:<NAME$} {:<SHOWN$} {}", "fault", "naive", "careful"),
        ),
    ]
    .into_iter()
    .collect()
}

/// What both made of a fault. The first flaw that the fault is there for stands in the row, others below it.
pub(super) fn row(fault: &Fault, both: &Both) -> Page {
    let [naive, careful] = both;
    let [left, right] = [naive, careful].map(cell);
    let rows = left.len().max(right.len());
    let line = |index: usize| {
        let name = if index == 0 { fault.name } else { "" };
        let mut line = Line::plain(format!("  {name:<NAME$} "));
        let (role, text) = left
            .get(index)
            .cloned()
            .unwrap_or((Role::Plain, String::new()));
        line = line.and(role, format!("{text:<SHOWN$}"));
        if let Some((role, text)) = right.get(index) {
            line = line.and(Role::Plain, " ").and(*role, text);
        }
        line
    };
    (0..rows).map(line).collect()
}

/// What one agent made of it, a line each.
fn cell(met: &Met) -> Vec<(Role, String)> {
    let flaws = met.flaws();
    if !flaws.is_empty() {
        let name = |flaw: &flaw::Flaw| (Role::Bad, flaw.name().to_owned());
        return flaws.iter().map(name).collect();
    }
    let good = |text: String| vec![(Role::Good, text)];
    match met.reaction {
        None => vec![(Role::Dim, "nothing to say".to_owned())],
        Some(reaction) if reaction.is_made_good() => good("made-good".into()),
        Some(reaction) if reaction.gave_up.later > 0 => good(format!(
            "stopped after {} tries",
            reaction.gave_up.most_tries
        )),
        Some(_) => good("no flaw".into()),
    }
}

/// What holds, and where the record is.
pub(super) fn closing(findings: &[Finding], last: Option<&Met>) -> Page {
    let mut lines = vec![Line::plain("")];
    for finding in findings {
        let (role, mark) = if finding.is_good {
            (Role::Good, "ok  ")
        } else {
            (Role::Bad, "FAIL")
        };
        let line = Line::plain("  ").and(role, mark);
        let text = format!(" {:<33} {}", finding.what, finding.evidence);
        lines.push(line.and(Role::Plain, text));
    }
    if let Some(last) = last {
        lines.push(Line::plain(""));
        let text = format!(
            "  each run is on record, with its evidence: injector report {}",
            last.report.run
        );
        lines.push(Line::all(Role::Dim, text));
    }
    lines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use injector_record::report::{Reaction, RunReport};

    use super::*;

    fn met(reaction: Option<&Reaction>) -> Met {
        let report = serde_json::json!({
            "run": "r0123456789ab", "name": "llm.cut", "outcome": "completed", "armed_for_ms": 1, "faults": [],
            "undo_errors": [],
        });
        Met {
            report: serde_json::from_value::<RunReport>(report).unwrap(),
            reaction: reaction.copied(),
        }
    }

    #[test]
    fn a_cell_names_each_flaw_and_what_is_good() {
        let texts = |reaction: Option<&Reaction>| {
            let cell = cell(&met(reaction)).into_iter();
            cell.map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts(None), ["nothing to say"]);
        let mut reaction = Reaction {
            tasks: 1,
            retryable: 1,
            ..Reaction::default()
        };
        assert_eq!(texts(Some(&reaction)), ["no flaw"]);
        reaction.gave_up.add(3);
        assert_eq!(texts(Some(&reaction)), ["stopped after 3 tries"]);
        reaction.gave_up.add(1);
        reaction.accepted_truncations = 1;
        assert_eq!(texts(Some(&reaction)), ["accepted-truncation", "gave-up"]);
        let good = Reaction {
            tasks: 1,
            made_good: 1,
            ..Reaction::default()
        };
        assert_eq!(texts(Some(&good)), ["made-good"]);
    }

    #[test]
    fn the_longest_verdict_fits_its_column() {
        let longest = flaw::Flaw::ALL.iter().map(|flaw| flaw.name().len()).max();
        assert!(longest < Some(SHOWN));
        assert!(2 + NAME + 1 + SHOWN + 1 + "stopped after 3 tries".len() <= 80);
    }
}
