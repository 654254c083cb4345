//! The same for look-ups of names: from the words of an experiment file to the decision about a query for a name, as the
//! delay line reads it (`injector_host::delay_line::dns` has the tests of that).

use std::fmt::Write as _;

use ipnet::IpNet;
use proptest::{prelude::*, sample::select};

use super::packets::{Sent, decides, few, holds, network, sent, texts};
use crate::line::DnsFault;
use crate::{LineModel, Names, Plan};
use injector_spec::experiment::file;

/// A part of a pattern for names.
#[derive(Clone, Debug)]
enum Piece {
    /// These letters.
    Text(&'static str),
    /// Anything, dots included.
    Any,
    /// One letter.
    One,
    /// One of these letters, or none of them.
    Set(&'static str, bool),
    /// One of these texts.
    Choice(&'static [&'static str]),
}

/// A pattern as a person means it.
#[derive(Clone, Debug)]
struct Pattern {
    pieces: Vec<Piece>,
    /// A dot behind it says what all of these names are: complete.
    is_complete: bool,
    /// Written in capitals.
    is_loud: bool,
}

impl Pattern {
    /// As a person writes it.
    fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(letters) => text.push_str(letters),
                Piece::Any => text.push('*'),
                Piece::One => text.push('?'),
                Piece::Set(letters, true) => _ = write!(text, "[{letters}]"),
                Piece::Set(letters, false) => _ = write!(text, "[!{letters}]"),
                Piece::Choice(texts) => _ = write!(text, "{{{}}}", texts.join(",")),
            }
        }
        if self.is_loud {
            text.make_ascii_uppercase();
        }
        if self.is_complete {
            text.push('.');
        }
        text
    }

    fn means(&self, name: &str) -> bool {
        fits(&self.pieces, &name.to_ascii_lowercase())
    }

    /// Whether no name can be like that, which is refused.
    fn is_of_no_name(&self) -> bool {
        let says_all = |piece: &Piece| !matches!(piece, Piece::Set(..) | Piece::Choice(_));
        let text = self.text();
        let bare = text.strip_suffix('.').unwrap_or(&text);
        self.pieces.iter().all(says_all) && bare.split('.').any(str::is_empty)
    }
}

/// Whether a name is what these pieces say, in small letters.
fn fits(pieces: &[Piece], name: &str) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return name.is_empty();
    };
    let mut letters = name.chars();
    let first = letters.next();
    match piece {
        Piece::Text(text) => name.strip_prefix(text).is_some_and(|name| fits(rest, name)),
        Piece::Any => (0..=name.len()).any(|taken| fits(rest, &name[taken..])),
        Piece::One => first.is_some() && fits(rest, letters.as_str()),
        Piece::Set(set, is_in) => {
            first.is_some_and(|first| set.contains(first) == *is_in) && fits(rest, letters.as_str())
        }
        Piece::Choice(texts) => texts
            .iter()
            .any(|text| name.strip_prefix(text).is_some_and(|name| fits(rest, name))),
    }
}

/// Filters as a person writes them.
#[derive(Clone, Debug)]
struct Asked {
    names: Vec<Pattern>,
    servers: Vec<IpNet>,
    exclude: Vec<IpNet>,
    answer: &'static str,
}

impl Asked {
    fn means(&self, name: &str, sent: &Sent) -> bool {
        let at = |servers: &[IpNet]| servers.iter().any(|net| holds(net, sent.remote));
        sent.protocol == "udp"
            && sent.remote_port == 53
            && (self.servers.is_empty() || at(&self.servers))
            && !at(&self.exclude)
            && (self.names.is_empty() || self.names.iter().any(|pattern| pattern.means(name)))
    }
}

/// What the planner makes of the filters; `None` where they are refused before.
fn planned(asked: &Asked) -> Option<(Plan, DnsFault)> {
    let mut words = format!("type: {}", asked.answer);
    for (name, values) in [
        ("hostname", asked.names.iter().map(Pattern::text).collect()),
        ("dest-ip", texts(&asked.servers)),
        ("exclude-ip", texts(&asked.exclude)),
    ] {
        if !values.is_empty() {
            let _ = write!(words, ", {name}: {values:?}");
        }
    }
    let text = format!(
        "name: x\ntargets:\n  t: {{ pid: 1 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - dns.error: {{ target: t, {words} }}\n"
    );
    let experiment = file::parse(&text, "x", None).ok()?;
    let plan = Plan::make(&experiment, &Names::of(&[]), 1, &|_| true).ok()?;
    let Some(LineModel::Dns(fault)) = plan.rules[0].compiled.line.clone() else {
        panic!("no fault on look-ups: {plan:?}");
    };
    Some((plan, fault))
}

/// Whether the kernel sends the query to the delay line, and that fails it.
fn fails((plan, fault): &(Plan, DnsFault), name: &str, sent: &Sent) -> bool {
    decides(plan, sent) && fault.names(name)
}

/// Names that meet: each other's beginnings, ends and neighbours.
const NAMES: [&str; 14] = [
    "example.com",
    "api.example.com",
    "API.Example.COM",
    "a.api.example.com",
    "apis.example.com",
    "badexample.com",
    "example.com.evil",
    "api1.example.com",
    "api2.example.com",
    "api.example",
    "localhost",
    "com",
    "xn--mnchen-3ya.de",
    "",
];

fn pattern() -> impl Strategy<Value = Pattern> {
    let exact = select(vec!["example.com", "api.example.com", "localhost", "com"]);
    let choice = select(vec![
        &["api", "apis"][..],
        &["", "api."],
        &["1", "2", ""],
        &["com"],
    ])
    .prop_map(Piece::Choice);
    let piece = prop_oneof![
        4 => select(vec!["api", "example", ".", ".com", ".example.com", "1", "com", "s"])
            .prop_map(Piece::Text),
        2 => Just(Piece::Any),
        1 => Just(Piece::One),
        1 => (select(vec!["12", "a-m", "s."]), any::<bool>()).prop_map(|(set, is_in)| match set {
            "a-m" => Piece::Set("abcdefghijklm", is_in),
            set => Piece::Set(set, is_in),
        }),
        1 => choice.clone(),
    ];
    let pieces = prop_oneof![
        1 => exact.prop_map(|name| vec![Piece::Text(name)]),
        1 => Just(vec![Piece::Any, Piece::Text(".example.com")]),
        1 => choice.clone().prop_map(|choice| vec![choice, Piece::Text("example.com")]),
        1 => choice.prop_map(|choice| vec![Piece::Text("api"), choice, Piece::Text(".example.com")]),
        3 => prop::collection::vec(piece, 1..6),
    ];
    (pieces, any::<bool>(), any::<bool>()).prop_map(|(mut pieces, is_complete, is_loud)| {
        // A dot at the end is what `is_complete` says.
        if let Some(Piece::Text(".")) = pieces.last() {
            pieces.pop();
            pieces.push(Piece::Any);
        }
        Pattern {
            pieces,
            is_complete,
            is_loud,
        }
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let servers = || prop_oneof![3 => Just(vec![]), 1 => few(network())];
    let answer = select(vec!["nxdomain", "servfail", "timeout"]);
    (few(pattern()), servers(), servers(), answer).prop_map(|(names, servers, exclude, answer)| {
        Asked {
            names,
            servers,
            exclude,
            answer,
        }
    })
}

/// Queries and other packets; most are queries.
fn query() -> impl Strategy<Value = (&'static str, Sent)> {
    (select(&NAMES[..]), sent(), 0..4).prop_map(|(name, sent, draw)| {
        let query = Sent {
            protocol: "udp",
            remote_port: 53,
            ..sent
        };
        (name, if draw == 0 { sent } else { query })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_name_pattern_acts_on_what_it_says(
        asked in asked(), queries in prop::collection::vec(query(), 20),
    ) {
        let is_refused = asked.names.iter().any(Pattern::is_of_no_name);
        let plan = planned(&asked);
        if asked.exclude.is_empty() {
            prop_assert_eq!(plan.is_none(), is_refused);
        }
        if let Some(plan) = plan {
            for (name, sent) in queries {
                let is_failed = fails(&plan, name, &sent);
                prop_assert_eq!(is_failed, asked.means(name, &sent), "{:?}, {:?}", name, sent);
            }
        }
    }
}

#[test]
fn the_model_meets_look_ups_of_both_kinds() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut draw = || {
        let asked = asked().new_tree(&mut runner).unwrap().current();
        let (name, sent) = query().new_tree(&mut runner).unwrap().current();
        let is_narrow = !asked.names.is_empty();
        Some((is_narrow, fails(&planned(&asked)?, name, &sent)))
    };
    let decided: Vec<_> = (0..600).filter_map(|_| draw()).collect();
    let count = |wanted| decided.iter().filter(|one| **one == wanted).count();
    let counts = [
        count((true, true)),
        count((true, false)),
        count((false, true)),
        count((false, false)),
    ];
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
