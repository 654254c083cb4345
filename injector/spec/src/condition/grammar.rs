//! The grammar: from a line to a [`Condition`], and back.

mod names;
pub(crate) mod probes;

use std::{str::FromStr, time::Duration};

pub(super) use names::pressure_name;
use names::{pressure, unknown};

use super::{
    Bound, Comparator, Condition, ConditionError, Counted, Fails, Lives, Number, Pace, Pressure,
    Probe, Question, Until,
    words::{self, Word},
};
use crate::{experiment::Flaw, nearest::nearest, quantity::duration};

/// How often rates are formed where nothing is said.
const RATE_OVER: Duration = Duration::from_secs(1);
/// When probes are asked, and how long they have.
pub(crate) const PACE: Pace = Pace {
    every: Duration::from_secs(1),
    within: Duration::from_secs(1),
    timeout: None,
};
pub(crate) const PROMETHEUS_PACE: Pace = Pace {
    every: Duration::from_secs(5),
    within: Duration::from_secs(2),
    timeout: None,
};
const FAILS: Fails = Fails { count: 3, of: 3 };
pub(crate) const ONE_FAILURE: Fails = Fails { count: 1, of: 1 };

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(line: &str) -> Result<Self, ConditionError> {
        parse(line, FAILS)
    }
}

impl FromStr for Question {
    type Err = ConditionError;

    fn from_str(line: &str) -> Result<Self, ConditionError> {
        match parse(line, ONE_FAILURE)? {
            Condition::Probe(question) => Ok(question),
            Condition::Pressure(_)
            | Condition::Load(_)
            | Condition::Lives { .. }
            | Condition::Rate { .. }
            | Condition::Shows(_)
            | Condition::Clock(_) => Err(ConditionError::NoProbe(line.trim().to_owned())),
        }
    }
}

/// Reads a line; a probe fails so often where the line does not say it.
fn parse(line: &str, fails: Fails) -> Result<Condition, ConditionError> {
    let words = words::cut(line)?;
    let (subject, rest) = match words.split_first() {
        Some((Word::Plain(subject), rest)) => (subject.as_str(), rest),
        Some((other, _)) => return Err(unknown(&other.to_string())),
        None => return Err(ConditionError::Empty),
    };
    let mut line = Line {
        subject,
        rest,
        fails,
    };
    let condition = line.condition()?;
    match line.rest.first() {
        None => Ok(condition),
        Some(word) => Err(line.stray(word, &[])),
    }
}

/// How the number of a bound is written.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Percent,
    PerSecond,
    Count,
    Plain,
}

/// A line while it is read.
struct Line<'l> {
    subject: &'l str,
    rest: &'l [Word],
    /// How often a probe fails where nothing is said.
    fails: Fails,
}

impl Line<'_> {
    fn condition(&mut self) -> Result<Condition, ConditionError> {
        if let Some((of, resource, stalled)) = pressure(self.subject) {
            let bound = self.upwards(Unit::Percent)?;
            let over = self.over()?;
            return Ok(Condition::Pressure(Pressure {
                of,
                resource,
                stalled,
                bound,
                over,
            }));
        }
        Ok(match self.subject {
            "host.load" => Condition::Load(self.upwards(Unit::Plain)?),
            "target.exits" => self.lives(Lives::Exits)?,
            "target.restarts" => self.lives(Lives::Restarts)?,
            "hits" => self.rate(Counted::Hits)?,
            "errnos" => self.rate(Counted::Errnos)?,
            "retransmits" => self.rate(Counted::Retransmits)?,
            "clock" => self.clock()?,
            "tcp" => {
                let probe = Probe::Tcp(
                    self.plain("a host and a port", "tcp 127.0.0.1:5432 fails 3")?
                        .parse()?,
                );
                self.probe(probe, self.fails, PACE, &[])?
            }
            "http" => self.http()?,
            "command" => self.command()?,
            "prometheus" => self.prometheus()?,
            "file" => self.file()?,
            "journald" => self.journald()?,
            "process" => self.process()?,
            other => match Flaw::of_name(other).filter(|flaw| flaw.is_seen_live()) {
                Some(flaw) => Condition::Shows(flaw),
                None => return Err(unknown(other)),
            },
        })
    }

    fn lives(&mut self, of: Lives) -> Result<Condition, ConditionError> {
        let bound = self.upwards(Unit::Count)?;
        Ok(Condition::Lives { of, bound })
    }

    fn rate(&mut self, of: Counted) -> Result<Condition, ConditionError> {
        let bound = self.upwards(Unit::PerSecond)?;
        let over = self.over()?.unwrap_or(RATE_OVER);
        Ok(Condition::Rate { of, bound, over })
    }

    fn clock(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = "clock >= 18:00";
        match self.next() {
            Some(Word::Sign(sign)) if sign == ">=" || sign == ">" => {}
            Some(Word::Sign(_)) => return Err(self.downwards()),
            _ => return Err(self.missing("`>=` and a time", EXAMPLE)),
        }
        let text = self.plain("a time", EXAMPLE)?;
        let unix = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH)
                .map(|since| Until::Unix(since.as_secs()))
                .ok()
        };
        let date = || humantime::parse_rfc3339(&text).ok().and_then(unix);
        let until = text.parse().ok().map(Until::TimeOfDay).or_else(date);
        until
            .map(Condition::Clock)
            .ok_or(ConditionError::Clock(text))
    }

    /// A bound that only too much exceeds.
    fn upwards(&mut self, unit: Unit) -> Result<Bound, ConditionError> {
        let bound = self.bound(unit)?;
        if matches!(bound.comparator, Comparator::Below | Comparator::AtMost) {
            return Err(self.downwards());
        }
        let (number, is_inclusive) = (bound.number.get(), bound.comparator == Comparator::AtLeast);
        let pointless = |why| ConditionError::Pointless {
            subject: self.subject.to_owned(),
            sign: bound.comparator.sign(),
            number: unit.format(bound.number),
            why,
        };
        if number < 0.0 || number == 0.0 && is_inclusive {
            return Err(pointless("would hold always"));
        }
        if matches!(unit, Unit::Percent) && (number > 100.0 || number >= 100.0 && !is_inclusive) {
            return Err(pointless("would never hold"));
        }
        Ok(bound)
    }

    fn bound(&mut self, unit: Unit) -> Result<Bound, ConditionError> {
        let example = unit.example();
        let comparator = self.comparator(example)?;
        let text = self.plain("a bound", example)?;
        let number = unit.parse(&text).ok_or_else(|| ConditionError::Number {
            subject: self.subject.to_owned(),
            text,
            what: unit.what(),
            example,
        })?;
        Ok(Bound { comparator, number })
    }

    fn comparator(&mut self, example: &'static str) -> Result<Comparator, ConditionError> {
        match self.next() {
            Some(Word::Sign(sign)) => Comparator::ALL
                .into_iter()
                .find(|known| known.sign() == sign),
            _ => None,
        }
        .ok_or_else(|| self.missing("one of > >= < <= and a bound", example))
    }

    fn over(&mut self) -> Result<Option<Duration>, ConditionError> {
        if !self.takes("over") {
            return Ok(None);
        }
        self.time("over", Duration::from_millis(200), Duration::from_mins(10))
            .map(Some)
    }

    /// A time of one or more words: `1m 30s`.
    fn time(
        &mut self,
        option: &'static str,
        least: Duration,
        most: Duration,
    ) -> Result<Duration, ConditionError> {
        let text = self.words_of_time()?;
        let time = duration::parse(&text).map_err(|why| ConditionError::Time {
            option: option.to_owned(),
            why,
        })?;
        if time < least || time > most {
            return Err(ConditionError::Range {
                option,
                given: text,
                least: duration::format(least),
                most: duration::format(most),
            });
        }
        Ok(time)
    }

    fn words_of_time(&mut self) -> Result<String, ConditionError> {
        let begins = |word: &Word| matches!(word, Word::Plain(text) if text.starts_with(|c: char| c.is_ascii_digit()));
        let mut text = self.plain("a time", "every 500ms")?;
        while let Some(Word::Plain(more)) = self.rest.first().filter(|word| begins(word)) {
            text = format!("{text} {more}");
            self.next();
        }
        Ok(text)
    }

    fn next(&mut self) -> Option<&Word> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(word)
    }

    /// Takes a word where it comes next.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(self.rest.first(), Some(Word::Plain(next)) if next == word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn plain(
        &mut self,
        what: &'static str,
        example: &'static str,
    ) -> Result<String, ConditionError> {
        match self.rest.first() {
            Some(Word::Plain(text) | Word::Quoted(text)) => {
                let text = text.clone();
                self.next();
                Ok(text)
            }
            _ => Err(self.missing(what, example)),
        }
    }

    fn missing(&self, what: &'static str, example: &'static str) -> ConditionError {
        ConditionError::Missing {
            subject: self.subject.to_owned(),
            what,
            example,
        }
    }

    fn downwards(&self) -> ConditionError {
        ConditionError::Downwards {
            subject: self.subject.to_owned(),
        }
    }

    fn stray(&self, word: &Word, known: &[&str]) -> ConditionError {
        let word = word.to_string();
        let over = match self.subject {
            subject if pressure(subject).is_some() => &["over"][..],
            "hits" | "errnos" | "retransmits" => &["over"],
            _ => known,
        };
        let hint = match nearest(&word, over.iter().copied()) {
            Some(like) => format!("did you mean `{like}`?"),
            None if over.is_empty() => "leave it out".to_owned(),
            None => format!("what may stand there: {}", over.join(", ")),
        };
        ConditionError::Stray {
            subject: self.subject.to_owned(),
            word,
            hint,
        }
    }
}

impl Unit {
    fn parse(self, text: &str) -> Option<Number> {
        let number = match self {
            Self::Percent => text.strip_suffix('%')?,
            Self::PerSecond => text.strip_suffix("/s")?,
            Self::Count | Self::Plain => text,
        };
        let number: Number = number.parse().ok()?;
        let is_whole = number.get().fract() == 0.0;
        (is_whole || !matches!(self, Self::Count)).then_some(number)
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Percent => "host.psi.cpu.some > 40%",
            Self::PerSecond => "hits > 500/s",
            Self::Count => "target.exits >= 1",
            Self::Plain => "host.load > 8",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Percent => "a share with its sign",
            Self::PerSecond => "how many a second",
            Self::Count => "a whole number",
            Self::Plain => "a number",
        }
    }
}
