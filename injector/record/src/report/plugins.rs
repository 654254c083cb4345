//! What a target did about plug-ins of its that died, and what became of its plug-ins when it ended itself.
//!
//! A plug-in is a child process that the target speaks to over pipes. What is seen is what the kernel shows of the two: whether the
//! exit status was taken, whether the target still holds its ends of the pipes, whether it has started another plug-in of the
//! same name. What it tells its user is not.

use std::{fmt::Write as _, time::Duration};

use injector_spec::{
    experiment::Flaw,
    quantity::{count, duration},
};
use serde::{Deserialize, Serialize};

/// A target that does nothing about a death for so long, in milliseconds, has not noticed it. With less time behind a death
/// nothing is said of it.
pub const UNNOTICED_MS: u64 = 10_000;

/// A plug-in that lives so much longer than its agent, in milliseconds, is an orphan. It is what clients of MCP give a server
/// between the end of its input and SIGTERM.
pub const ORPHAN_MS: u64 = 2_000;

/// So many orphans are named.
pub const MOST_ORPHANS: usize = 16;

/// Deaths of plug-ins under one fault, and their lives behind the end of their target. Times are in milliseconds, as they were
/// seen: up to 50 ms late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginReaction {
    /// Plug-ins that the fault has killed.
    pub deaths: u64,
    /// Those whose exit status the target has taken.
    pub reaped: u64,
    /// How long it took to, the longest.
    pub longest_reaped_ms: Option<u64>,
    /// Those of whose pipes the target has closed its ends.
    pub closed: u64,
    /// How long it took to, the longest.
    pub longest_closed_ms: Option<u64>,
    /// Those behind which the target has started another one.
    pub restarted: u64,
    /// How long it took to, the longest.
    pub longest_restarted_ms: Option<u64>,
    /// Those behind which the target itself has ended before it did anything else about it.
    pub ended_behind: u64,
    /// Those about which it has done nothing, for [`UNNOTICED_MS`] at least.
    pub unnoticed: u64,
    /// For how long, the longest.
    pub longest_unnoticed_ms: Option<u64>,
    /// Those about which it had done nothing when the run was over, too soon for a judgement.
    pub unjudged: u64,
    /// Processes of the target that had plug-ins and have ended.
    pub agents_ended: u64,
    /// Plug-ins that lived when their agent ended, and have ended since.
    pub ended_with: u64,
    /// How long they lived on, the longest.
    pub longest_outlived_ms: Option<u64>,
    /// Plug-ins that lived still when the run was over, [`ORPHAN_MS`] behind the end of their agent at least.
    pub orphans: u64,
    /// The first of them.
    pub orphans_named: Vec<Orphan>,
    /// Plug-ins that lived still, and it was too soon for a judgement.
    pub orphans_unjudged: u64,
}

/// A plug-in that lives on without its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// How long it had lived on when the run was over, in milliseconds.
    pub outlived_ms: u64,
}

fn shown(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}

impl PluginReaction {
    /// Whether there is anything to say.
    pub fn is_empty(&self) -> bool {
        self.deaths == 0 && self.agents_ended == 0
    }

    /// Whether the target was brought into a place where it could show this flaw, for long enough.
    pub(super) const fn could_show(&self, flaw: Flaw) -> bool {
        match flaw {
            // A target that ended soon behind a death had no time to show it.
            Flaw::DeathUnnoticed => self.deaths > self.unjudged.saturating_add(self.ended_behind),
            Flaw::Orphans => self.ended_with + self.orphans > 0,
            Flaw::IgnoredRetryAfter
            | Flaw::RetryStorm
            | Flaw::NoProgress
            | Flaw::Hung
            | Flaw::AcceptedTruncation
            | Flaw::GaveUp
            | Flaw::DuplicateEffect
            | Flaw::Silent
            | Flaw::FalseSuccess => false,
        }
    }

    /// What it did wrong.
    pub fn flaws(&self) -> Vec<Flaw> {
        let flaws = [
            (self.unnoticed > 0, Flaw::DeathUnnoticed),
            (self.orphans > 0, Flaw::Orphans),
        ];
        let flaws = flaws.into_iter().filter(|(is_one, _)| *is_one);
        flaws.map(|(_, flaw)| flaw).collect()
    }

    /// All of it in words, a sentence each; the flaws first.
    pub fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.unnoticed > 0 {
            lines.push(format!(
                "{}: {} died, and for {} the target has neither taken the exit status, nor closed its pipes, nor started another",
                Flaw::DeathUnnoticed.name(),
                count(self.unnoticed, "plug-in", "plug-ins"),
                shown(self.longest_unnoticed_ms.unwrap_or(0))
            ));
        }
        if self.orphans > 0 {
            lines.push(format!(
                "{}: {} on without the agent: {}",
                Flaw::Orphans.name(),
                count(self.orphans, "plug-in lives", "plug-ins live"),
                self.named()
            ));
        }
        if self.deaths > 0 {
            lines.push(self.about_deaths());
        }
        if self.unjudged > 0 {
            lines.push(format!(
                "{} less than {} before the end of the run; whether the target notices is not measurable",
                count(self.unjudged, "plug-in died", "plug-ins died"),
                shown(UNNOTICED_MS)
            ));
        }
        if self.ended_with > 0 {
            lines.push(format!(
                "{} within {} of the agent",
                count(self.ended_with, "plug-in ended", "plug-ins ended"),
                shown(self.longest_outlived_ms.unwrap_or(0))
            ));
        }
        if self.orphans_unjudged > 0 {
            lines.push(format!(
                "{} when the run was over, less than {} behind the agent; whether it is an orphan is not measurable",
                count(self.orphans_unjudged, "plug-in lived", "plug-ins lived"),
                shown(ORPHAN_MS)
            ));
        }
        lines
    }

    /// What was done about the deaths.
    fn about_deaths(&self) -> String {
        let mut text = count(self.deaths, "plug-in died", "plug-ins died");
        let done = [
            (self.reaped, self.longest_reaped_ms, "exit status taken"),
            (self.closed, self.longest_closed_ms, "pipes closed"),
            (self.restarted, self.longest_restarted_ms, "another started"),
        ];
        for (position, (times, longest, what)) in done.into_iter().enumerate() {
            let mark = if position == 0 { ':' } else { ',' };
            let _ = match (times, longest) {
                (0, _) | (_, None) => write!(text, "{mark} {what}: never"),
                (times, Some(longest)) if times == self.deaths => {
                    write!(text, "{mark} {what} within {}", shown(longest))
                }
                (times, Some(longest)) => write!(
                    text,
                    "{mark} {what} within {} ({times} of {})",
                    shown(longest),
                    self.deaths
                ),
            };
        }
        if self.ended_behind > 0 {
            let _ = write!(
                text,
                "; the target itself ended behind {}",
                self.ended_behind
            );
        }
        text
    }

    fn named(&self) -> String {
        let named = self.orphans_named.iter().map(|orphan| {
            format!(
                "`{}` (process {}) for {}",
                injector_spec::printable::line(&orphan.name),
                orphan.pid,
                shown(orphan.outlived_ms)
            )
        });
        let mut text = named.collect::<Vec<_>>().join(", ");
        let told = u64::try_from(self.orphans_named.len()).unwrap_or(u64::MAX);
        if self.orphans > told {
            let _ = write!(text, " and {} more", self.orphans - told);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_notices_has_no_flaw() {
        let careful = PluginReaction {
            deaths: 2,
            reaped: 2,
            longest_reaped_ms: Some(60),
            closed: 2,
            longest_closed_ms: Some(110),
            restarted: 1,
            longest_restarted_ms: Some(310),
            ..PluginReaction::default()
        };
        assert!(careful.flaws().is_empty());
        assert!(careful.could_show(Flaw::DeathUnnoticed));
        assert!(!careful.could_show(Flaw::Orphans));
        assert_eq!(
            careful.words(),
            [
                "2 plug-ins died: exit status taken within 60ms, pipes closed within 110ms, another started within 310ms (1 of 2)"
            ]
        );
    }

    #[test]
    fn a_death_that_nothing_is_done_about_is_named() {
        let naive = PluginReaction {
            deaths: 1,
            unnoticed: 1,
            longest_unnoticed_ms: Some(25_000),
            ..PluginReaction::default()
        };
        assert_eq!(naive.flaws(), [Flaw::DeathUnnoticed]);
        let words = naive.words();
        assert!(
            words[0].starts_with("death-unnoticed: 1 plug-in died, and for 25s"),
            "{words:?}"
        );
        assert!(words[1].contains("exit status taken: never"), "{words:?}");
    }

    #[test]
    fn too_short_a_time_proves_nothing() {
        let short = PluginReaction {
            deaths: 1,
            unjudged: 1,
            agents_ended: 1,
            orphans_unjudged: 1,
            ..PluginReaction::default()
        };
        assert!(short.flaws().is_empty());
        assert!(!short.could_show(Flaw::DeathUnnoticed));
        assert!(!short.could_show(Flaw::Orphans));
        let words = short.words().join("\n");
        assert_eq!(words.matches("not measurable").count(), 2, "{words}");
    }

    #[test]
    fn a_target_that_ended_behind_a_death_could_not_show_a_flaw() {
        let ended = PluginReaction {
            deaths: 2,
            ended_behind: 1,
            unjudged: 1,
            ..PluginReaction::default()
        };
        assert!(!ended.could_show(Flaw::DeathUnnoticed));
        let more = PluginReaction { deaths: 3, ..ended };
        assert!(more.could_show(Flaw::DeathUnnoticed));
    }

    #[test]
    fn orphans_are_named_and_many_are_a_number() {
        let orphan = |pid| Orphan {
            pid,
            name: "mcp-server".into(),
            outlived_ms: 5_200,
        };
        let left = PluginReaction {
            agents_ended: 1,
            ended_with: 1,
            longest_outlived_ms: Some(40),
            orphans: 3,
            orphans_named: vec![orphan(7), orphan(8)],
            ..PluginReaction::default()
        };
        assert_eq!(left.flaws(), [Flaw::Orphans]);
        assert_eq!(
            left.words(),
            [
                "orphans: 3 plug-ins live on without the agent: `mcp-server` (process 7) for 5.2s, `mcp-server` (process 8) for 5.2s and 1 more",
                "1 plug-in ended within 40ms of the agent"
            ]
        );
        let json = serde_json::to_value(&left).unwrap();
        assert_eq!(
            serde_json::from_value::<PluginReaction>(json).unwrap(),
            left
        );
        assert_eq!(
            serde_json::from_str::<PluginReaction>("{}").unwrap(),
            PluginReaction::default()
        );
    }
}
