//! The map form of a probe.
//!
//! ```yaml
//! tasks: { http: "http://127.0.0.1:8080/health", json: "$.queue < 10", body: "ready", within: 500ms, timeout: 1s }
//! api: { http: "https://api.example.com/health", ca: /etc/ssl/own-ca.pem }
//! store: { tcp: "127.0.0.1:5432", fails: "2 of 3" }
//! lag: { command: ["/usr/local/bin/lag", "--seconds"], number: "< 5" }
//! quiet: { file: /var/log/agent.log, absent: "ERROR|panic" }
//! calm: { journald: my-agent, absent: "ERROR|panic" }
//! small: { process: { unit: my-agent }, restarts: "< 2", descriptors: "< 200", rss: "< 1 GiB" }
//! rate: { prometheus: "http://127.0.0.1:9090", query: "sum(rate(errors_total[1m]))", is: "< 5" }
//! ```
//! It becomes the same [`Question`] as a line; each key has its place in complaints. Every bound says what is right.

use std::path::PathBuf;

use super::{
    command,
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node},
    words,
};
use crate::{
    condition::{
        ConditionError, FileProbe, HttpProbe, HttpUrl, JournaldProbe, Lines, Pace, Probe,
        ProcessProbe, Question,
        map::{self, Timing, Timings},
    },
    grammar::ProcessInProbe,
    pattern::Pattern,
};

/// Keys that every probe may have.
pub(super) const OF_ALL: [&str; 4] = ["fails", "every", "within", "timeout"];

/// The kinds, each with its own keys; the first of them names it.
pub(super) const KINDS: [&[&str]; 7] = [
    &["http", "ca", "status", "body", "json"],
    &["tcp"],
    &["command", "number"],
    &["file", "absent", "present"],
    &["journald", "absent", "present"],
    &["process", "alive", "restarts", "descriptors", "rss"],
    &["prometheus", "ca", "query", "is"],
];

/// A probe: a line, or a map.
pub(super) fn question(name: &str, node: &Node) -> Result<Question, Complaint> {
    let Content::Map(entries) = &node.content else {
        let line = node.text(name)?;
        return line.parse().map_err(|error| Complaint::at(node.at, error));
    };
    let is_named = |kind: &&&[&str]| entries.iter().any(|(key, _)| key.text == kind[0]);
    let named: Vec<&&[&str]> = KINDS.iter().filter(is_named).collect();
    let [kind] = named[..] else {
        let kinds: Vec<&str> = KINDS.iter().map(|kind| kind[0]).collect();
        let kinds = kinds.join(", ");
        let sentence = match named[..] {
            [] => format!("a probe says what is asked by one of {kinds}; add it"),
            _ => format!("a probe asks one thing, one of {kinds}; make two probes of it"),
        };
        return Err(Complaint::at(node.at, sentence));
    };
    let fields = Fields::of(node, "a probe", &[*kind, &OF_ALL[..]].concat())?;
    let map = Map(&fields);
    let (probe, usual) = match kind[0] {
        "http" => (http(&map)?, map::PACE),
        "tcp" => (Probe::Tcp(map.parsed("tcp")?), map::PACE),
        "command" => (program(&map)?, map::PACE),
        "file" => (file(&map)?, map::PACE),
        "journald" => (journald(&map)?, map::PACE),
        "process" => (process(&map)?, map::PACE),
        _ => (prometheus(&map)?, map::PROMETHEUS_PACE),
    };
    let fails = map.optional("fails", str::parse)?;
    Ok(Question {
        probe,
        fails: fails.unwrap_or(map::ONE_FAILURE),
        pace: pace(&map, usual)?,
    })
}

fn http(map: &Map<'_>) -> Result<Probe, Complaint> {
    let mut http = HttpProbe::of(map.parsed("http")?);
    http.ca = ca(map, &http.url)?;
    if let Some(status) = map.optional("status", map::status)? {
        http.status = status;
    }
    http.body = map.optional("body", |text| Ok(text.parse()?))?;
    http.json = map.optional("json", |text| Ok(text.parse()?))?;
    Ok(Probe::Http(Box::new(http)))
}

fn ca(map: &Map<'_>, server: &HttpUrl) -> Result<Option<PathBuf>, Complaint> {
    map.optional("ca", |text| map::authorities(text, server))
}

fn program(map: &Map<'_>) -> Result<Probe, Complaint> {
    let node = map.node("command")?;
    let words = command::words(node)?;
    map::program(&words).map_err(|error| Complaint::at(node.at, error))?;
    let number = map.optional("number", |text| map::wanted(text, map::number))?;
    Ok(Probe::Command { words, number })
}

fn file(map: &Map<'_>) -> Result<Probe, Complaint> {
    let path = map.required("file", map::path)?;
    let (pattern, lines) = lines(map, "a file")?;
    Ok(Probe::File(Box::new(FileProbe {
        path,
        pattern,
        lines,
    })))
}

fn journald(map: &Map<'_>) -> Result<Probe, Complaint> {
    let unit = map.required("journald", map::unit)?;
    let (pattern, lines) = lines(map, "the journal")?;
    Ok(Probe::Journald(Box::new(JournaldProbe {
        unit,
        pattern,
        lines,
    })))
}

/// Which lines of something are bad, or good.
fn lines(map: &Map<'_>, of: &str) -> Result<(Pattern, Lines), Complaint> {
    let absent = map.optional("absent", |text| Ok(text.parse()?))?;
    let present = map.optional("present", |text| Ok(text.parse()?))?;
    match (absent, present) {
        (Some(pattern), None) => Ok((pattern, Lines::Absent)),
        (None, Some(pattern)) => Ok((pattern, Lines::Present)),
        (None, None) | (Some(_), Some(_)) => {
            let sentence = format!(
                "a probe of {of} says by one of `absent` and `present` which lines are bad or good, as in `absent: \
                 \"ERROR|panic\"`; write one of them"
            );
            Err(Complaint::at(map.0.at, sentence))
        }
    }
}

fn process(map: &Map<'_>) -> Result<Probe, Complaint> {
    let node = map.node("process")?;
    let parsed: ProcessInProbe = words::parse(&[], node, node.at, "`process`")?;
    let selector = parsed.selector().ok_or_else(|| {
        let sentence = "`process` selects nothing; give it a pid, cgroup, unit, container or process, as under \
                        `targets`";
        Complaint::at(node.at, sentence)
    })?;
    if let Some(node) = map.0.get("alive")
        && node.text("alive")? != "true"
    {
        let sentence = "`alive` is true, for of a process that is not there nothing can be asked; write that, or \
                        leave it out";
        return Err(Complaint::at(node.at, sentence));
    }
    let count = |name| map.optional(name, |text| map::wanted(text, map::whole));
    let probe = ProcessProbe {
        selector,
        restarts: count("restarts")?,
        descriptors: count("descriptors")?,
        rss: map.optional("rss", |text| map::wanted(text, map::size))?,
    };
    probe.check().map_err(|error| {
        let at = map.0.get("restarts").map_or(map.0.at, |node| node.at);
        Complaint::at(at, error)
    })?;
    Ok(Probe::Process(Box::new(probe)))
}

fn prometheus(map: &Map<'_>) -> Result<Probe, Complaint> {
    let query = map.node("query")?;
    let text = query.text("query")?;
    if text.trim().is_empty() {
        let sentence = "`query` is empty; write what is asked, as in `up{job=\"api\"}`";
        return Err(Complaint::at(query.at, sentence));
    }
    let wanted = map.required("is", |text| map::wanted(text, map::number))?;
    let server = map.parsed("prometheus")?;
    Ok(Probe::Prometheus {
        ca: ca(map, &server)?,
        server,
        query: text.to_owned(),
        bound: wanted.opposite(),
    })
}

fn pace(map: &Map<'_>, usual: Pace) -> Result<Pace, Complaint> {
    let mut timings = Timings::default();
    for timing in Timing::ALL {
        map.optional(timing.name(), |text| timings.set(timing, text))?;
    }
    timings.over(usual).map_err(|error| {
        let at = map.0.get(Timing::Timeout.name());
        Complaint::at(at.map_or(map.0.at, |node| node.at), error)
    })
}

/// The fields of a probe, with what is said of them.
struct Map<'m>(&'m Fields<'m>);

impl<'m> Map<'m> {
    fn node(&self, name: &str) -> Result<&'m Node, Complaint> {
        self.0.get(name).ok_or_else(|| {
            let sentence = format!("the probe needs `{name}`; add it");
            Complaint::at(self.0.at, sentence)
        })
    }

    fn required<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, ConditionError>,
    ) -> Result<T, Complaint> {
        read(name, self.node(name)?, parse)
    }

    fn optional<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, ConditionError>,
    ) -> Result<Option<T>, Complaint> {
        let node = self.0.get(name);
        node.map(|node| read(name, node, parse)).transpose()
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T, Complaint>
    where
        ConditionError: From<T::Err>,
    {
        self.required(name, |text| Ok(text.parse()?))
    }
}

fn read<T>(
    name: &str,
    node: &Node,
    parse: impl FnOnce(&str) -> Result<T, ConditionError>,
) -> Result<T, Complaint> {
    parse(node.text(name)?).map_err(|error| Complaint::at(node.at, error))
}
