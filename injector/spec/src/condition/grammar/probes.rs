//! What a probe asks, how often it may fail, and when it is asked.

use std::path::PathBuf;

use super::{
    super::{
        Comparator, Condition, ConditionError, Fails, FileProbe, HttpProbe, HttpUrl, JournaldProbe,
        Lines, Pace, Probe, ProcessProbe, Question, Scheme, lines,
        number::Wanted,
        pace::{Timing, Timings},
        words::{self, Word},
    },
    Line, ONE_FAILURE, PACE, PROMETHEUS_PACE, Unit,
};
use crate::{
    experiment::{Follow, Many, Selector},
    grammar::values,
    pattern::Pattern,
    quantity::bytes,
};

impl Line<'_> {
    pub(super) fn http(&mut self) -> Result<Condition, ConditionError> {
        let url = self
            .plain("an address", "http http://127.0.0.1:8080/health fails 3")?
            .parse()?;
        let mut http = HttpProbe::of(url);
        let mut left = vec!["ca", "status", "body", "json"];
        while let Some(option) = self.option(&mut left) {
            match option {
                "ca" => http.ca = Some(self.ca(&http.url)?),
                "status" => {
                    let text = self.plain("a status", "http http://127.0.0.1:8080/ status 204")?;
                    http.status = status(&text)?;
                }
                "body" => {
                    let example = r#"http http://127.0.0.1:8080/ body "ready""#;
                    let text = self.plain("a regular expression in `\"...\"`", example)?;
                    http.body = Some(text.parse()?);
                }
                _ => {
                    let example = r#"http http://127.0.0.1:8080/ json "$.queue < 10""#;
                    let text = self.plain("a JSON path in `\"...\"`", example)?;
                    http.json = Some(text.parse()?);
                }
            }
        }
        self.probe(Probe::Http(Box::new(http)), self.fails, PACE, &left)
    }

    pub(super) fn command(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = "command [\"/usr/local/bin/check\", \"--fast\"] fails 3";
        let words = match self.next() {
            Some(Word::List(words)) => program(words)?.to_vec(),
            Some(other) => return Err(ConditionError::Command(other.to_string())),
            None => return Err(self.missing("a program and its arguments", EXAMPLE)),
        };
        let mut left = vec!["number"];
        let number = match self.option(&mut left) {
            Some(_) => {
                let bound = self.bound(Unit::Plain)?;
                Some(Wanted {
                    comparator: bound.comparator,
                    number: bound.number,
                })
            }
            None => None,
        };
        self.probe(Probe::Command { words, number }, self.fails, PACE, &left)
    }

    pub(super) fn prometheus(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = "prometheus http://127.0.0.1:9090 \"up{job='api'}\" < 1";
        let server = self.plain("the server's address", EXAMPLE)?.parse()?;
        let ca = match self.option(&mut vec!["ca"]) {
            Some(_) => Some(self.ca(&server)?),
            None => None,
        };
        let query = match self.next() {
            Some(Word::Quoted(query) | Word::Plain(query)) if !query.trim().is_empty() => {
                query.clone()
            }
            _ => return Err(self.missing("a query, in `\"...\"`", EXAMPLE)),
        };
        let bound = self.bound(Unit::Plain)?;
        let probe = Probe::Prometheus {
            server,
            ca,
            query,
            bound,
        };
        self.probe(probe, ONE_FAILURE, PROMETHEUS_PACE, &[])
    }

    pub(super) fn file(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = r#"file "/var/log/agent.log" absent "ERROR""#;
        let path = lines::path(&self.plain("a path", EXAMPLE)?)?;
        let (lines, pattern) = self.lines(EXAMPLE)?;
        let probe = FileProbe {
            path,
            pattern,
            lines,
        };
        self.probe(Probe::File(Box::new(probe)), self.fails, PACE, &[])
    }

    pub(super) fn journald(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = r#"journald my-agent absent "ERROR""#;
        let unit = lines::unit(&self.plain("a unit", EXAMPLE)?)?;
        let (lines, pattern) = self.lines(EXAMPLE)?;
        let probe = JournaldProbe {
            unit,
            pattern,
            lines,
        };
        self.probe(Probe::Journald(Box::new(probe)), self.fails, PACE, &[])
    }

    /// A file of authorities for this server.
    fn ca(&mut self, server: &HttpUrl) -> Result<PathBuf, ConditionError> {
        const EXAMPLE: &str = r#"http https://api.example.com/ ca "/etc/ssl/own-ca.pem""#;
        authorities(&self.plain("a file of certificates", EXAMPLE)?, server)
    }

    /// Which lines are bad, or good.
    fn lines(&mut self, example: &'static str) -> Result<(Lines, Pattern), ConditionError> {
        let lines = match self.option(&mut vec!["absent", "present"]) {
            Some("absent") => Lines::Absent,
            Some(_) => Lines::Present,
            None => return Err(self.missing("`absent` or `present`", example)),
        };
        let pattern = self.plain("a regular expression in `\"...\"`", example)?;
        Ok((lines, pattern.parse()?))
    }

    pub(super) fn process(&mut self) -> Result<Condition, ConditionError> {
        const EXAMPLE: &str = "process unit my-agent restarts < 2 rss < 1gib";
        let by = ["pid", "cgroup", "unit", "container", "process"];
        let Some(by) = self.option(&mut by.to_vec()) else {
            let what = "one of pid, cgroup, unit, container, process";
            return Err(self.missing(what, EXAMPLE));
        };
        let value = self.plain("which processes", EXAMPLE)?;
        let mut probe = ProcessProbe {
            selector: selector(by, &value)?,
            restarts: None,
            descriptors: None,
            rss: None,
        };
        let mut left = vec!["alive", "restarts", "descriptors", "rss"];
        left.extend(match probe.selector {
            Selector::Pids { .. } => &["tree"][..],
            Selector::Process { .. } => &["all", "tree"],
            Selector::Cgroup(_) | Selector::Unit(_) | Selector::Container(_) => &[],
        });
        while let Some(option) = self.option(&mut left) {
            match option {
                "restarts" => probe.restarts = Some(self.whole(whole)?),
                "descriptors" => probe.descriptors = Some(self.whole(whole)?),
                "rss" => probe.rss = Some(self.whole(size)?),
                "tree" => follow_tree(&mut probe.selector),
                "all" => take_all(&mut probe.selector),
                // That one is there is asked anyway.
                _ => {}
            }
        }
        probe.check()?;
        self.probe(Probe::Process(Box::new(probe)), self.fails, PACE, &left)
    }

    /// A sign and a whole number, which may have its unit behind a blank.
    fn whole(
        &mut self,
        parse: impl Fn(&str) -> Result<u64, ConditionError>,
    ) -> Result<Wanted<u64>, ConditionError> {
        const EXAMPLE: &str = "process unit my-agent restarts < 2 rss < 1gib";
        let comparator = self.comparator(EXAMPLE)?;
        let mut text = self.plain("a bound", EXAMPLE)?;
        if let Some(Word::Plain(unit)) = self.rest.first()
            && ["b", "kib", "mib", "gib", "tib"].contains(&unit.to_ascii_lowercase().as_str())
        {
            text = format!("{text} {unit}");
            self.next();
        }
        let number = parse(&text)?;
        Ok(Wanted { comparator, number })
    }

    /// Takes the next word where it is one of these, and strikes it off.
    fn option(&mut self, left: &mut Vec<&'static str>) -> Option<&'static str> {
        let Some(Word::Plain(word)) = self.rest.first() else {
            return None;
        };
        let position = left.iter().position(|option| option == word)?;
        self.next();
        Some(left.remove(position))
    }

    /// `fails N of M`, `every T`, `within T`, `timeout T`, in any order, each once. `more` is what could have stood in
    /// front.
    pub(super) fn probe(
        &mut self,
        probe: Probe,
        mut fails: Fails,
        usual: Pace,
        more: &[&'static str],
    ) -> Result<Condition, ConditionError> {
        let mut left = vec!["fails"];
        left.extend(Timing::ALL.map(Timing::name));
        let mut timings = Timings::default();
        while let Some(word) = self.rest.first() {
            let Some(option) = self.option(&mut left) else {
                let known = [&left[..], more].concat();
                return Err(self.stray(word, &known));
            };
            match Timing::ALL
                .into_iter()
                .find(|timing| timing.name() == option)
            {
                Some(timing) => {
                    let text = self.words_of_time()?;
                    timings.set(timing, &text)?;
                }
                None => fails = self.failures()?,
            }
        }
        let pace = timings.over(usual)?;
        Ok(Condition::Probe(Question { probe, fails, pace }))
    }

    fn failures(&mut self) -> Result<Fails, ConditionError> {
        const EXAMPLE: &str = "tcp 127.0.0.1:5432 fails 3 of 5";
        let count = self.plain("a number of failures", EXAMPLE)?;
        if !self.takes("of") {
            return count.parse();
        }
        let of = self.plain("a number of tries", EXAMPLE)?;
        format!("{count} of {of}").parse()
    }
}

/// A status of HTTP.
pub(crate) fn status(text: &str) -> Result<u16, ConditionError> {
    text.parse()
        .ok()
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| ConditionError::Status(text.to_owned()))
}

/// The file with the authorities that are trusted to know this server.
pub(crate) fn authorities(text: &str, server: &HttpUrl) -> Result<PathBuf, ConditionError> {
    match server.scheme() {
        Scheme::Http => Err(ConditionError::NoCertificate),
        Scheme::Https => lines::path(text),
    }
}

/// A program by its whole path, with its arguments.
pub(crate) fn program(words: &[String]) -> Result<&[String], ConditionError> {
    let is_whole = words.first().is_some_and(|first| first.starts_with('/'));
    let has_nul = words.iter().any(|word| word.contains('\0'));
    if is_whole && !has_nul {
        Ok(words)
    } else {
        Err(ConditionError::Command(words::list(words)))
    }
}

/// A whole number.
pub(crate) fn whole(text: &str) -> Result<u64, ConditionError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| ConditionError::Whole(text.to_owned()))
}

/// A number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, ConditionError> {
    Ok(bytes::parse(text)?)
}

/// `< 5`, as maps write it.
pub(crate) fn wanted<N>(
    text: &str,
    parse: impl Fn(&str) -> Result<N, ConditionError>,
) -> Result<Wanted<N>, ConditionError> {
    let text = text.trim();
    let signs = Comparator::ALL.into_iter();
    let (comparator, number) = signs
        .filter_map(|comparator| Some((comparator, text.strip_prefix(comparator.sign())?)))
        .max_by_key(|(comparator, _)| comparator.sign().len())
        .ok_or_else(|| ConditionError::NoSign(text.to_owned()))?;
    Ok(Wanted {
        comparator,
        number: parse(number.trim())?,
    })
}

/// A number for [`wanted`].
pub(crate) fn number(text: &str) -> Result<super::super::Number, ConditionError> {
    text.parse()
        .map_err(|()| ConditionError::PlainNumber(text.to_owned()))
}

/// The selector that a word and its value mean, as under `targets` of a file.
fn selector(by: &str, value: &str) -> Result<Selector, ConditionError> {
    let wrong = |why: values::ValueError| ConditionError::Selector(why.to_string());
    Ok(match by {
        "pid" => Selector::Pids {
            pids: value
                .split(',')
                .map(values::pid)
                .collect::<Result<_, _>>()
                .map_err(wrong)?,
            follow: Follow::Process,
            pick: None,
        },
        "cgroup" => Selector::Cgroup(values::cgroup(value).map_err(wrong)?),
        "unit" => Selector::Unit(value.to_owned()),
        "container" => Selector::Container(values::container(value).map_err(wrong)?),
        _ => Selector::Process {
            pattern: values::pattern(value).map_err(wrong)?,
            many: Many::ExactlyOne,
            follow: Follow::Process,
            pick: None,
        },
    })
}

fn follow_tree(selector: &mut Selector) {
    match selector {
        Selector::Pids { follow, .. } | Selector::Process { follow, .. } => *follow = Follow::Tree,
        Selector::Cgroup(_) | Selector::Unit(_) | Selector::Container(_) => {}
    }
}

fn take_all(selector: &mut Selector) {
    match selector {
        Selector::Process { many, .. } => *many = Many::All,
        Selector::Pids { .. }
        | Selector::Cgroup(_)
        | Selector::Unit(_)
        | Selector::Container(_) => {}
    }
}
