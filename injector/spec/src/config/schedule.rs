//! Experiments that the daemon starts by itself.

use std::{ops::Range, path::PathBuf, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use super::{CgroupRoot, Hours, Rule, protected};
use crate::experiment::Selector;

/// The most starts a day: one a minute.
const MOST_A_DAY: u32 = 24 * 60;

/// `[schedule]`. Off where nothing is said: who lets failures begin by themselves has said so on this host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Whether the daemon starts experiments.
    enabled: Spanned<bool>,
    /// The folder that has them.
    suite: Option<Spanned<PathBuf>>,
    /// When.
    hours: Hours,
    /// How many in a day.
    at_most_a_day: Spanned<u32>,
    /// Units that may be the victim.
    #[serde(deserialize_with = "protected::units")]
    units: Vec<String>,
    /// cgroups that may be the victim.
    cgroups: Spanned<Vec<CgroupRoot>>,
    /// Line and column of the suite, both from 1.
    #[serde(skip)]
    suite_at: (usize, usize),
}

/// A schedule that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleInForce {
    /// The folder of experiments, its path absolute.
    pub suite: PathBuf,
    /// Where the configuration names it: line and column, both from 1.
    pub suite_at: (usize, usize),
    /// When experiments start.
    pub hours: Hours,
    /// How many in a day, at least one.
    pub at_most_a_day: u32,
    /// Who may be the victim, at least one: units, then cgroups, in the order of the file.
    pub victims: Vec<Selector>,
}

impl ScheduleInForce {
    /// Starts of so many days may be of the same day of the calendar, whatever summer time does.
    pub const LOOKS_BACK_DAYS: u32 = 2;

    /// Whether another says the same, wherever in its file it does.
    pub fn is_the_same(&self, other: &Self) -> bool {
        let in_place = Self {
            suite_at: self.suite_at,
            ..other.clone()
        };
        *self == in_place
    }

    /// Starts are counted in journals. What is wrong with a rule by which those that count would be deleted.
    ///
    /// # Errors
    /// A sentence with its remedy, about `[journal]`.
    pub fn check_journals(&self, rule: Rule) -> Result<(), String> {
        let days = Self::LOOKS_BACK_DAYS;
        if rule.max_age < Duration::from_hours(24) * days {
            return Err(format!(
                "the schedule counts its starts in the journals of {days} days, and `max_age` of [journal] \
                 deletes them before; write `max_age = \"{days}d\"` or more there"
            ));
        }
        let least = self.at_most_a_day.saturating_mul(days);
        if rule.keep < usize::try_from(least).unwrap_or(usize::MAX) {
            return Err(format!(
                "the schedule counts its starts in journals, {} a day for {days} days, and `keep` of [journal] \
                 leaves {} of them; write `keep = {least}` or more there, or a smaller `at_most_a_day`",
                self.at_most_a_day, rule.keep
            ));
        }
        Ok(())
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            enabled: Spanned::new(0..0, false),
            suite: None,
            hours: Hours::default(),
            at_most_a_day: Spanned::new(0..0, 1),
            units: Vec::new(),
            cgroups: Spanned::new(0..0, Vec::new()),
            suite_at: (0, 0),
        }
    }
}

impl Schedule {
    /// The schedule, where it is on.
    pub fn in_force(&self) -> Option<ScheduleInForce> {
        let suite = self.suite.as_ref().filter(|_| *self.enabled.get_ref())?;
        let units = self.units.iter().cloned().map(Selector::Unit);
        let cgroups = self.cgroups.get_ref().iter();
        let cgroups = cgroups.map(|cgroup| Selector::Cgroup(cgroup.path().to_owned()));
        Some(ScheduleInForce {
            suite: suite.get_ref().clone(),
            suite_at: self.suite_at,
            hours: self.hours.clone(),
            at_most_a_day: *self.at_most_a_day.get_ref(),
            victims: units.chain(cgroups).collect(),
        })
    }

    /// Takes down where the suite is named; `place` knows line and column of a byte.
    pub(super) fn locate(&mut self, place: impl Fn(usize) -> (usize, usize)) {
        if let Some(suite) = &self.suite {
            self.suite_at = place(suite.span().start);
        }
    }

    /// What no key alone can know: where it is wrong, in bytes, and what.
    pub(super) fn check(&self) -> Result<(), (Range<usize>, String)> {
        let wrong = |at: Range<usize>, what: &str| Err((at, what.to_owned()));
        if !(1..=MOST_A_DAY).contains(self.at_most_a_day.get_ref()) {
            let what =
                format!("a day has 1 to {MOST_A_DAY} starts; write so many, or `enabled = false`");
            return Err((self.at_most_a_day.span(), what));
        }
        if let Some(suite) = &self.suite
            && !suite.get_ref().is_absolute()
        {
            return wrong(
                suite.span(),
                "a suite is a folder by its whole path, as in \"/etc/injector/suite\"; write it so",
            );
        }
        if self.cgroups.get_ref().iter().any(CgroupRoot::is_whole_host) {
            return wrong(
                self.cgroups.span(),
                "`/` is every process of this host and no victim; name cgroups below it",
            );
        }
        if !*self.enabled.get_ref() {
            return Ok(());
        }
        if self.suite.is_none() {
            return wrong(
                self.enabled.span(),
                "a schedule needs experiments; name their folder, as in suite = \"/etc/injector/suite\"",
            );
        }
        if self.units.is_empty() && self.cgroups.get_ref().is_empty() {
            return wrong(
                self.enabled.span(),
                "a schedule needs victims that were opted in by name; list them as `units` or `cgroups`",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError};

    fn read(keys: &str) -> Result<Option<ScheduleInForce>, (usize, usize, String)> {
        match Config::parse(&format!("[schedule]\n{keys}"), "f.toml") {
            Ok(config) => Ok(config.schedule.in_force()),
            Err(ConfigError::Mistake {
                line, column, what, ..
            }) => Err((line, column, what)),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn it_is_off_unless_it_is_switched_on() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("suite = \"/a\"\nunits = [\"a.service\"]\n"), Ok(None));
        let on = read(
            "enabled = true\nsuite = \"/a\"\nat_most_a_day = 3\nunits = [\"a.service\"]\ncgroups = [\"/b.slice\"]\n",
        );
        let on = on.unwrap().unwrap();
        assert_eq!((on.at_most_a_day, on.suite_at), (3, (3, 9)));
        let victims = [
            Selector::Unit("a.service".into()),
            Selector::Cgroup("/b.slice".into()),
        ];
        assert_eq!(on.victims, victims);
    }

    fn in_force(keys: &str) -> ScheduleInForce {
        let needed = "enabled = true\nsuite = \"/a\"\nunits = [\"a.service\"]\n";
        read(&format!("{needed}{keys}")).unwrap().unwrap()
    }

    #[test]
    fn what_says_the_same_elsewhere_is_the_same() {
        let once = in_force("at_most_a_day = 2\n");
        let moved = "at_most_a_day = 2\nunits = [\"a.service\"]\nenabled = true\nsuite = \"/a\"\n";
        let moved = read(moved).unwrap().unwrap();
        assert_ne!(once, moved);
        assert!(once.is_the_same(&moved));
        for other in [
            "at_most_a_day = 3\n",
            "at_most_a_day = 2\ncgroups = [\"/b.slice\"]\n",
            "at_most_a_day = 2\nhours = { from = \"08:00\" }\n",
        ] {
            assert!(!once.is_the_same(&in_force(other)), "{other}");
        }
    }

    #[test]
    fn starts_that_count_are_not_deleted() {
        let days = |days: u64| Duration::from_hours(24 * days);
        let few = in_force("at_most_a_day = 3\n");
        let rule = |keep, max_age| Rule { keep, max_age };
        assert_eq!(few.check_journals(rule(6, days(2))), Ok(()));
        let young = few.check_journals(rule(6, days(2).saturating_sub(Duration::from_secs(1))));
        assert!(young.unwrap_err().contains("write `max_age = \"2d\"`"));
        let scarce = few.check_journals(rule(5, days(2))).unwrap_err();
        assert!(
            scarce.contains("leaves 5 of them; write `keep = 6`"),
            "{scarce}"
        );
        let default = Config::default().journal.rule();
        assert_eq!(
            in_force("at_most_a_day = 500\n").check_journals(default),
            Ok(())
        );
        assert!(
            in_force("at_most_a_day = 501\n")
                .check_journals(default)
                .is_err()
        );
    }

    #[test]
    fn what_is_missing_has_its_place() {
        for (keys, line, column, part) in [
            (
                "enabled = true\nunits = [\"a\"]\n",
                2,
                11,
                "a schedule needs experiments",
            ),
            (
                "suite = \"/a\"\nenabled = true\n",
                3,
                11,
                "opted in by name",
            ),
            ("at_most_a_day = 0\n", 2, 17, "1 to 1440 starts"),
            ("at_most_a_day = 1441\n", 2, 17, "1 to 1440 starts"),
            ("suite = \"a\"\n", 2, 9, "whole path"),
            ("cgroups = [\"/\"]\n", 2, 11, "every process"),
        ] {
            let (at, from, what) = read(keys).unwrap_err();
            assert_eq!((at, from), (line, column), "{keys}{what}");
            assert!(what.contains(part), "{keys}{what}");
        }
    }
}
