//! A probe with its last answers, as a row of bars.

use std::{collections::VecDeque, time::Duration};

use injector_record::measure::Sample;

use super::ProbeOutline;
use crate::page::{Line, Role};

/// Answers that are remembered: more than any terminal has room for.
const KEPT: usize = 256;

/// From the quickest answer to one that took as long as it may.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A probe and what it was answered.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) probe: ProbeOutline,
    answers: VecDeque<Bar>,
    /// All answers, and those that were wrong.
    pub(super) count: u64,
    pub(super) wrong: u64,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Bar {
    took: Duration,
    is_right: bool,
}

impl Trace {
    pub(super) fn of(probe: ProbeOutline) -> Self {
        Self {
            probe,
            answers: VecDeque::new(),
            count: 0,
            wrong: 0,
        }
    }

    pub(super) fn answered(&mut self, samples: &[Sample]) {
        for sample in samples {
            let is_right = sample.wrong.is_none();
            self.count += 1;
            self.wrong += u64::from(!is_right);
            if self.answers.len() == KEPT {
                self.answers.pop_front();
            }
            self.answers.push_back(Bar {
                took: Duration::from_micros(sample.took_us),
                is_right,
            });
        }
    }

    /// How long the last answer took, and whether it was right.
    pub(super) fn last(&self) -> Option<(Duration, bool)> {
        self.answers.back().map(|bar| (bar.took, bar.is_right))
    }

    /// The last answers in so many columns, the newest on the right; a wrong one has its full height.
    pub(super) fn bars(&self, line: Line, columns: usize) -> Line {
        let skipped = self.answers.len().saturating_sub(columns);
        let shown = self.answers.len() - skipped;
        let blank = " ".repeat(columns - shown);
        let answers = self.answers.iter().skip(skipped);
        // Where nothing is said, by the slowest of those that are shown.
        let slowest = || {
            answers
                .clone()
                .map(|bar| bar.took)
                .max()
                .unwrap_or_default()
        };
        let most = self.probe.within.unwrap_or_else(slowest);
        answers.fold(line.and(Role::Plain, blank), |line, bar| {
            let (role, glyph) = if bar.is_right {
                (Role::Good, BARS[height(bar.took, most)])
            } else {
                (Role::Bad, BARS[BARS.len() - 1])
            };
            line.and(role, glyph.to_string())
        })
    }
}

/// Which of [`BARS`] stands for an answer that took so long.
fn height(took: Duration, within: Duration) -> usize {
    let steps = u128::try_from(BARS.len()).unwrap_or(1);
    let height = took.as_micros() * steps / within.as_micros().max(1);
    usize::try_from(height).map_or(BARS.len() - 1, |height| height.min(BARS.len() - 1))
}

#[cfg(test)]
mod tests {
    use injector_spec::experiment::ProbeRole;

    use super::{super::HeldTo, *};

    #[test]
    fn the_newest_answer_is_on_the_right_and_a_wrong_one_stands_out() {
        let mut trace = Trace::of(ProbeOutline {
            name: "api".into(),
            role: ProbeRole::SteadyState,
            within: Some(Duration::from_secs(1)),
            held_to: HeldTo::Fails { count: 3, of: 5 },
        });
        let sample = |took_us, wrong: Option<&str>| Sample {
            at_ns: 0,
            took_us,
            wrong: wrong.map(str::to_owned),
        };
        trace.answered(&[sample(1_000, None), sample(500_000, None)]);
        trace.answered(&[sample(900, Some("refused")), sample(5_000_000, None)]);
        assert_eq!(trace.bars(Line::new(), 6).text(), "  ▁▅██");
        let narrow = trace.bars(Line::new(), 3);
        let roles: Vec<_> = narrow
            .parts()
            .map(|(role, text)| (role, text.to_owned()))
            .collect();
        assert_eq!(
            roles[1..]
                .iter()
                .map(|(_, text)| text.as_str())
                .collect::<String>(),
            "▅██"
        );
        assert_eq!(roles[2].0, Role::Bad);
        assert_eq!((trace.count, trace.wrong), (4, 1));
        assert_eq!(trace.last(), Some((Duration::from_secs(5), true)));
        for _ in 0..2 * KEPT {
            trace.answered(&[sample(1, None)]);
        }
        assert_eq!(trace.answers.len(), KEPT);
    }
}
