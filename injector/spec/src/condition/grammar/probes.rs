//! What a probe asks, how often it may fail, and when it is asked.

use std::time::Duration;

use super::{
    super::{
        Condition, ConditionError, Fails, Pace, Probe, Question,
        words::{self, Word},
    },
    Line, ONE_FAILURE, PACE, PROMETHEUS_PACE, Unit,
};

impl Line<'_> {
    pub(super) fn http(&mut self) -> Result<Condition, ConditionError> {
        let url = self
            .plain("an address", "http http://127.0.0.1:8080/health fails 3")?
            .parse()?;
        let mut status = 200;
        if self.takes("status") {
            let text = self.plain("a status", "http http://127.0.0.1:8080/ status 204")?;
            status = text
                .parse()
                .ok()
                .filter(|status| (100..600).contains(status))
                .ok_or(ConditionError::Status(text))?;
        }
        self.probe(Probe::Http { url, status }, self.fails, PACE)
    }

    pub(super) fn command(&mut self) -> Result<Probe, ConditionError> {
        match self.next() {
            Some(Word::List(words))
                if words
                    .first()
                    .is_some_and(|program| program.starts_with('/')) =>
            {
                let has_nul = words.iter().any(|word| word.contains('\0'));
                if has_nul {
                    return Err(ConditionError::Command(words::list(words)));
                }
                Ok(Probe::Command(words.clone()))
            }
            Some(other) => Err(ConditionError::Command(other.to_string())),
            None => Err(self.missing(
                "a program and its arguments",
                "command [\"/usr/local/bin/check\", \"--fast\"] fails 3",
            )),
        }
    }

    pub(super) fn prometheus(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = "prometheus http://127.0.0.1:9090 \"up{job='api'}\" < 1";
        let server = self.plain("the server's address", EXAMPLE)?.parse()?;
        let query = match self.next() {
            Some(Word::Quoted(query) | Word::Plain(query)) if !query.trim().is_empty() => {
                query.clone()
            }
            _ => return Err(self.missing("a query, in `\"...\"`", EXAMPLE)),
        };
        let bound = self.bound(Unit::Plain)?;
        let probe = Probe::Prometheus {
            server,
            query,
            bound,
        };
        self.probe(probe, ONE_FAILURE, PROMETHEUS_PACE)
    }

    /// `fails N of M`, `every T`, `within T`, in any order, each once.
    pub(super) fn probe(
        &mut self,
        probe: Probe,
        mut fails: Fails,
        mut pace: Pace,
    ) -> Result<Condition, ConditionError> {
        let mut left = vec!["fails", "every", "within"];
        while let Some(word) = self.rest.first() {
            let option = match word {
                Word::Plain(text) => left.iter().position(|option| option == text),
                _ => None,
            };
            let Some(position) = option else {
                return Err(self.stray(word, &left));
            };
            self.next();
            match left.remove(position) {
                "fails" => fails = self.failures()?,
                "every" => {
                    pace.every =
                        self.time("every", Duration::from_millis(100), Duration::from_hours(1))?;
                }
                _ => {
                    pace.within =
                        self.time("within", Duration::from_millis(10), Duration::from_mins(1))?;
                }
            }
        }
        Ok(Condition::Probe(Question { probe, fails, pace }))
    }

    fn failures(&mut self) -> Result<Fails, ConditionError> {
        const EXAMPLE: &str = "tcp 127.0.0.1:5432 fails 3 of 5";
        let count = self.plain("a number of failures", EXAMPLE)?;
        let of = if self.takes("of") {
            Some(self.plain("a number of tries", EXAMPLE)?)
        } else {
            None
        };
        let number = |text: &str| text.parse::<u8>().ok();
        let parsed = number(&count).zip(number(of.as_deref().unwrap_or(&count)));
        match parsed {
            Some((count, of)) if 1 <= count && count <= of && of <= Fails::MOST => {
                Ok(Fails { count, of })
            }
            _ => Err(ConditionError::Fails(match of {
                Some(of) => format!("{count} of {of}"),
                None => count,
            })),
        }
    }
}
