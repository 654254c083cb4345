//! Conditions as people write them: what is printed is read back as the same.

use std::{fmt, path::Path, time::Duration};

use super::{
    Bound, Condition, Counted, HttpProbe, Lives, Number, Pressure, Probe, Question, Until,
    grammar::{Unit, pressure_name},
    words,
};
use crate::quantity::duration;

impl Unit {
    pub(super) fn format(self, number: Number) -> String {
        match self {
            Self::Percent => format!("{number}%"),
            Self::PerSecond => format!("{number}/s"),
            Self::Count | Self::Plain => number.to_string(),
        }
    }
}

impl Bound {
    fn written(&self, unit: Unit) -> String {
        format!("{} {}", self.comparator.sign(), unit.format(self.number))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pressure(pressure) => {
                let Pressure {
                    of,
                    resource,
                    stalled,
                    bound,
                    over,
                } = pressure;
                let name = pressure_name(*of, *resource, *stalled);
                write!(out, "{name} {}", bound.written(Unit::Percent))?;
                match over {
                    Some(over) => write!(out, " over {}", duration::format(*over)),
                    None => Ok(()),
                }
            }
            Self::Load(bound) => write!(out, "host.load {}", bound.written(Unit::Plain)),
            Self::Lives { of, bound } => {
                let name = match of {
                    Lives::Exits => "target.exits",
                    Lives::Restarts => "target.restarts",
                };
                write!(out, "{name} {}", bound.written(Unit::Count))
            }
            Self::Rate { of, bound, over } => {
                let (name, bound) = (of.name(), bound.written(Unit::PerSecond));
                write!(out, "{name} {bound} over {}", duration::format(*over))
            }
            Self::Shows(flaw) => out.write_str(flaw.name()),
            Self::Clock(Until::TimeOfDay(time)) => write!(out, "clock >= {time}"),
            Self::Clock(Until::Unix(seconds)) => {
                let time = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds));
                // A date that was read can be written.
                let time = time.map(humantime::format_rfc3339_seconds);
                write!(out, "clock >= {}", time.ok_or(fmt::Error)?)
            }
            Self::Probe(question) => question.fmt(out),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { probe, fails, pace } = self;
        write!(out, "{probe} fails {}", fails.count)?;
        if fails.of != fails.count {
            write!(out, " of {}", fails.of)?;
        }
        let (every, within) = (duration::format(pace.every), duration::format(pace.within));
        write!(out, " every {every} within {within}")?;
        match pace.timeout {
            Some(timeout) => write!(out, " timeout {}", duration::format(timeout)),
            None => Ok(()),
        }
    }
}

impl Counted {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Errnos => "errnos",
            Self::Retransmits => "retransmits",
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(out, "tcp {host}"),
            Self::Http(http) => http.fmt(out),
            Self::Command { words, number } => {
                write!(out, "command {}", words::list(words))?;
                match number {
                    Some(number) => write!(out, " number {number}"),
                    None => Ok(()),
                }
            }
            Self::File(file) => file.fmt(out),
            Self::Journald(journald) => journald.fmt(out),
            Self::Process(process) => process.fmt(out),
            Self::Prometheus {
                server,
                ca,
                query,
                bound,
            } => {
                let (query, bound) = (words::quoted(query), bound.written(Unit::Plain));
                write!(
                    out,
                    "prometheus {server}{} {query} {bound}",
                    authorities(ca.as_deref())
                )
            }
        }
    }
}

/// ` ca "/etc/ssl/own-ca.pem"`, where there is one.
fn authorities(ca: Option<&Path>) -> String {
    ca.map_or_else(String::new, |ca| {
        format!(" ca {}", words::quoted(&ca.to_string_lossy()))
    })
}

impl fmt::Display for HttpProbe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            ca,
            status,
            body,
            json,
        } = self;
        write!(
            out,
            "http {url}{} status {status}",
            authorities(ca.as_deref())
        )?;
        if let Some(body) = body {
            write!(out, " body {}", words::quoted(body.as_str()))?;
        }
        match json {
            Some(json) => write!(out, " json {}", words::quoted(&json.to_string())),
            None => Ok(()),
        }
    }
}
