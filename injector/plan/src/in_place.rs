//! How faults on requests are carried out: by the relay, or by answers in the target's own memory.
//!
//! The relay does all of them, in plain text and in TLS that it opens. The other way is taken where a person asks for it by
//! `--by tls-rewrite`, and serves faults whose answer is made up as a whole, and whose meaning is known from the first line of
//! a request.
//!
//! Rejected: to take it by itself where the target has a TLS library. Every Node has one and every Python that has imported
//! `ssl`, and what such a target asks in plain text, which the relay meets, would be met no more. Rejected: both for one fault.
//! Its numbers (`--when`, `--max-hits`, `--percent`) would be drawn in two places.

use std::fmt;

use injector_common::rewrite::END;
use injector_spec::experiment::{
    Activity, Connections, Fault, Flaw, GUARDED_PORTS, OnModels, OnRequests, Protocol, RequestsBy,
    Traffic,
};

use super::{Error, Mechanism};

/// As many paths as one fault may name. Each is compared with the end of a request's, besides those of all known APIs.
pub const PATHS: usize = 16;

/// Why a fault cannot be done in the target's own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// What it does is done to the server's own answer, or to the time that it takes.
    ServersAnswer,
    /// It is about calls of tools.
    Tools,
    /// It means requests for some models alone.
    Models,
    /// It means connections to some far ends alone; the filter.
    FarEnd(&'static str),
    /// It means paths by a pattern of another shape.
    Path(String),
    /// It names so many paths.
    Paths(usize),
    /// The experiment fails on what the target does about it.
    FailOn(Flaw),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServersAnswer => out.write_str(
                "it changes the server's own answer or holds it back, and there an answer is made up as a whole",
            ),
            Self::Tools => out.write_str("calls of tools are known by their bodies, which are not read there"),
            Self::Models => out.write_str(
                "`--model` is about a name in the body of a request, of which the first line alone is read there",
            ),
            Self::FarEnd(filter) => write!(
                out,
                "`--{filter}` is about the connection, which is not known where a library reads and writes"
            ),
            Self::Path(glob) => write!(
                out,
                "`--request-path {glob}` is neither a whole path nor `*` and an end of one, {END} bytes at most"
            ),
            Self::Paths(count) => write!(
                out,
                "it has {count} of `--request-path`, and {PATHS} are compared there at most"
            ),
            Self::FailOn(flaw) => write!(
                out,
                "the experiment fails on {}, and what a target does about an answer is not measured there",
                flaw.name()
            ),
        }
    }
}

/// An end that paths have, or a path as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTail {
    /// Its text; empty is the end of every path.
    pub text: String,
    /// Whether it is a whole path.
    pub extent: Extent,
}

/// How much of a path a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its end.
    End,
}

impl PathTail {
    /// Of a glob: `*` and an end, or a whole path; `None` of every other.
    pub fn of(glob: &str) -> Option<Self> {
        let (text, extent) = match glob.strip_prefix('*') {
            Some(end) => (end, Extent::End),
            None => (glob, Extent::Whole),
        };
        let is_literal = !text.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
        (is_literal && text.len() <= END).then(|| Self {
            text: text.to_owned(),
            extent,
        })
    }

    /// Whether every path that the other means is meant by this.
    pub fn covers(&self, other: &Self) -> bool {
        match self.extent {
            Extent::Whole => self == other,
            Extent::End => other.text.ends_with(&self.text),
        }
    }

    /// The paths that have this end and that one.
    pub fn and(&self, end: &str) -> Option<Self> {
        if self.text.ends_with(end) {
            Some(self.clone())
        } else if self.extent == Extent::End && end.ends_with(&self.text) {
            Some(Self {
                text: end.to_owned(),
                extent: Extent::End,
            })
        } else {
            None
        }
    }
}

/// The mechanism of a fault on requests; `None` of every other fault. `fail_on` is what the experiment fails on.
pub(super) fn choose(fault: &Fault, fail_on: &[Flaw]) -> Result<Option<Mechanism>, Error> {
    let Some(on) = fault.kind.on_requests() else {
        return Ok(None);
    };
    let asked = match on {
        OnRequests::Models(on) => on.requests().by,
        OnRequests::Tools(_) => None,
    };
    match asked {
        None | Some(RequestsBy::Relay) => Ok(Some(Mechanism::Relay)),
        Some(RequestsBy::TlsRewrite) => match obstacle(fault, on, fail_on) {
            None => Ok(Some(Mechanism::TlsRewrite)),
            Some(why) => Err(Error::NotInPlace {
                fault: fault.kind.name(),
                why,
            }),
        },
    }
}

/// Whether a fault could be asked for by `--by tls-rewrite`, whatever the experiment fails on.
#[must_use]
pub fn can_serve(fault: &Fault) -> bool {
    let on = fault.kind.on_requests();
    on.is_some_and(|on| obstacle(fault, on, &[]).is_none())
}

fn obstacle(fault: &Fault, on: OnRequests<'_>, fail_on: &[Flaw]) -> Option<Obstacle> {
    let OnRequests::Models(on) = on else {
        return Some(Obstacle::Tools);
    };
    if !is_whole(on) {
        return Some(Obstacle::ServersAnswer);
    }
    let requests = on.requests();
    if !requests.models.is_empty() {
        return Some(Obstacle::Models);
    }
    if let Some(filter) = far_end(&fault.traffic) {
        return Some(Obstacle::FarEnd(filter));
    }
    let mut paths = requests.paths.iter();
    if let Some(glob) = paths.find(|glob| PathTail::of(glob).is_none()) {
        return Some(Obstacle::Path(glob.clone()));
    }
    if requests.paths.len() > PATHS {
        return Some(Obstacle::Paths(requests.paths.len()));
    }
    let shown = OnRequests::Models(on).shows();
    let flaw = fail_on.iter().find(|flaw| shown.contains(*flaw));
    flaw.copied().map(Obstacle::FailOn)
}

/// Whether all of its answer is made up.
const fn is_whole(on: OnModels<'_>) -> bool {
    match on {
        OnModels::RateLimit(_)
        | OnModels::ModelError(_)
        | OnModels::Malformed(_)
        | OnModels::Empty(_) => true,
        OnModels::Overload(fault) => fault.after_tokens.is_none(),
        OnModels::Timeout(_)
        | OnModels::Slow(_)
        | OnModels::Stall(_)
        | OnModels::Cut(_)
        | OnModels::WrongModel(_) => false,
    }
}

/// The first filter on connections. Ports that are excluded unless named are no port of a model's API.
fn far_end(traffic: &Traffic) -> Option<&'static str> {
    let Traffic {
        dest,
        hostnames,
        exclude,
        dest_ports,
        source_ports,
        exclude_ports,
        protocol,
        connections,
        activity,
    } = traffic;
    let excludes = exclude_ports
        .iter()
        .any(|range| range.first() != range.last() || !GUARDED_PORTS.contains(&range.first()));
    let filters = [
        (!dest.is_empty(), "dest-ip"),
        (!hostnames.is_empty(), "hostname"),
        (!exclude.is_empty(), "exclude-ip"),
        (!dest_ports.is_empty(), "dest-port"),
        (!source_ports.is_empty(), "source-port"),
        (excludes, "exclude-port"),
        (*protocol != Protocol::Any, "protocol"),
        (
            *connections != Connections::Any || *activity != Activity::Any,
            "connection",
        ),
    ];
    let mut filters = filters.into_iter().filter(|(is_there, _)| *is_there);
    filters.next().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use injector_spec::experiment::{Experiment, file};
    use proptest::prelude::*;

    use super::*;
    use crate::{Names, Need, Plan};

    fn experiment(fault: &str, head: &str) -> Experiment {
        let text = format!(
            "targets: {{ agent: {{ cgroup: /a }} }}\nduration: 1s\n{head}faults:\n  - llm.{fault}\n"
        );
        file::parse(&text, "in-place.yaml", None).unwrap()
    }

    fn planned(fault: &str, head: &str) -> Result<Mechanism, String> {
        let experiment = experiment(fault, head);
        let plan = Plan::make(&experiment, &Names::default(), 1, &|_| true);
        plan.map(|plan| plan.rules[0].compiled.mechanism)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_done_where_it_is_asked_for_or_refused() {
        let by = |by: &str| format!("rate-limit: {{ target: agent{by} }}");
        assert_eq!(planned(&by(""), ""), Ok(Mechanism::Relay));
        assert_eq!(planned(&by(", by: relay"), ""), Ok(Mechanism::Relay));
        let asked = by(", by: tls-rewrite");
        assert_eq!(planned(&asked, ""), Ok(Mechanism::TlsRewrite));
        let paths: Vec<String> = (0..=PATHS).map(|path| format!("/{path}")).collect();
        let paths = format!("error: {{ request-path: {paths:?}");
        for (fault, words) in [
            ("slow: { latency: 1s", "server's own answer"),
            ("stall: { after-tokens: 1", "server's own answer"),
            ("overload: { after-tokens: 1", "server's own answer"),
            ("error: { model: 'gpt-*'", "`--model`"),
            ("error: { dest-port: 443", "`--dest-port`"),
            ("error: { exclude-port: 8080", "`--exclude-port`"),
            ("error: { hostname: a.example", "`--hostname`"),
            (
                "error: { request-path: '/v1/*/x'",
                "`--request-path /v1/*/x`",
            ),
            (&paths, "17 of `--request-path`"),
        ] {
            let asked = format!("{fault}, target: agent, by: tls-rewrite }}");
            let refused = planned(&asked, "").unwrap_err();
            assert!(
                refused.contains(words) && refused.contains("--by relay"),
                "{refused}"
            );
            let left = format!("{fault}, target: agent }}");
            assert_eq!(planned(&left, ""), Ok(Mechanism::Relay), "{left}");
            assert!(!can_serve(&experiment(&left, "").steps[0].faults[0]));
        }
        let fails = "fail-on: [retry-storm]\n";
        assert_eq!(planned(&by(""), fails), Ok(Mechanism::Relay));
        let refused = planned(&asked, fails).unwrap_err();
        assert!(refused.contains("retry-storm"), "{refused}");
        assert!(can_serve(&experiment(&by(""), fails).steps[0].faults[0]));
    }

    #[test]
    fn a_rule_is_asked_where_requests_are() {
        let experiment = experiment("error: { target: agent, by: tls-rewrite, max-hits: 3 }", "");
        let plan = Plan::make(&experiment, &Names::default(), 1, &|_| true).unwrap();
        let compiled = &plan.rules[0].compiled;
        assert_eq!((compiled.hooks.request, compiled.hooks.connect), (1, 0));
        assert_eq!(compiled.rule.max_hits, 3);
        assert!(plan.needs().contains(&Need::TlsRewrite));
        let hooks = plan.hooks(&[0]);
        assert!(hooks.rewrite && !hooks.relay && !hooks.connect);
    }

    proptest! {
        /// A tail means what its glob means.
        #[test]
        fn tails_are_globs(glob in r"\*?[a/:.]{0,5}", path in "[a/:.]{0,8}", end in "[a/:.]{1,4}") {
            let tail = PathTail::of(&glob).unwrap();
            let matcher = globset::Glob::new(&glob).unwrap().compile_matcher();
            let takes = |tail: &PathTail, path: &str| match tail.extent {
                Extent::Whole => path == tail.text,
                Extent::End => path.ends_with(&tail.text),
            };
            prop_assert_eq!(takes(&tail, &path), matcher.is_match(&path));
            let other = PathTail::of(&end).unwrap();
            prop_assert!(!tail.covers(&other) || !takes(&other, &path) || takes(&tail, &path));
            let both = tail.and(&end).is_some_and(|both| takes(&both, &path));
            prop_assert_eq!(both, takes(&tail, &path) && path.ends_with(&end));
        }
    }
}
