//! What reads bytes that come from outside, one function for each: it must never panic, and what it accepts
//! must hold together.
//!
//! The functions are called twice: by libFuzzer (`fuzz/`, a workspace of its own, with a nightly compiler)
//! for hours, and on the stable compiler in each test run, on a corpus and on mutations of it
//! (`injector/tests/fuzz_bodies.rs`). Nothing else calls them.
//!
//! They take bytes and return nothing, as libFuzzer wants it. A broken promise is a panic.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is how these functions answer, as the module says"
)]

use std::ops::ControlFlow;

use injector_common::event::{Event, Hit};
use injector_common::plaintext::{HEAD, Heading, Heard, what};

use injector_engine::observe::{Exchange, Hearing, Listener, Note};
use injector_engine::{halt_monitor, rendering, supervisor::link::ToSupervisor, worker::Job};
use injector_host::{
    delay_line::{dns, segment},
    kernel::btf::Btf,
};
use injector_plan::{Names, Plan, line::Rcode};
use injector_record::{event::EventKind, journal::Replay, measure::loss};
use injector_spec::{
    condition::Condition,
    config::Config,
    experiment::{Experiment, Setting, Values, file},
};

/// A body, by its name: that of the libFuzzer target and of the folder of its corpus.
pub type Body = (&'static str, fn(&[u8]));

/// Every body.
pub const ALL: [Body; 12] = [
    ("answer", prometheus_answer),
    ("api", api_request),
    ("btf", kernel_types),
    ("condition", halt_condition),
    ("config", configuration),
    ("event", kernel_event),
    ("experiment", experiment_file),
    ("frame", held_frame),
    ("journal", journal_file),
    ("ledger", ledger_lists),
    ("link", link_message),
    ("plaintext", observed_plaintext),
];

/// An experiment file is parsed, checked and planned, or refused with a place in the file.
pub fn experiment_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match file::parse(text, "fuzz.yaml", None) {
        Ok(experiment) => holds_together(&experiment),
        Err(error) => assert!(error.to_string().starts_with("fuzz.yaml:"), "{error}"),
    }
}

/// What parsing and checking have let through can be planned or refused, sent and stored.
fn holds_together(experiment: &Experiment) {
    assert_eq!(experiment.check(), Ok(()));
    // Without names no host name has an address, so that one that is used is refused; nothing else may break.
    if let Ok(plan) = Plan::make(experiment, &Names::default(), 1, &|_| true) {
        let nobody: Vec<_> = experiment
            .targets
            .iter()
            .map(|_| Err("nobody".to_owned()))
            .collect();
        assert!(!rendering::render(&plan, experiment, &nobody).is_empty());
    }
    if let Ok(sent) = serde_json::to_vec(experiment) {
        match serde_json::from_slice::<Experiment>(&sent) {
            Ok(received) => assert_eq!(&received, experiment),
            Err(error) => panic!("what was sent cannot be received: {error}"),
        }
    }
}

/// The body of a request: JSON, or YAML after a first byte that says so, with a line in front that sets a value after
/// another one.
pub fn api_request(bytes: &[u8]) {
    let mut values = Values::default();
    let (format, body) = match bytes {
        [b'Y', body @ ..] => (injector_api::Format::Yaml, body),
        [b'S', rest @ ..] => {
            let mut parts = rest.splitn(2, |byte| *byte == b'\n');
            let line = str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
            match line.parse::<Setting>() {
                Ok(setting) => {
                    assert_eq!(setting.to_string().parse(), Ok(setting.clone()));
                    values.settings.push(setting);
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            (injector_api::Format::Yaml, parts.next().unwrap_or_default())
        }
        body => (injector_api::Format::Json, body),
    };
    match injector_api::read(format, body, &values) {
        Ok(asked) => holds_together(&asked.experiment),
        Err(failure) => assert!(!failure.message().is_empty()),
    }
}

/// The two lists of a ledger, with the line `---` between them: no more is lost than was acknowledged, and nothing is lost
/// of a list that is kept as it is.
pub fn ledger_lists(bytes: &[u8]) {
    const BETWEEN: &[u8] = b"---\n";
    let at = bytes
        .windows(BETWEEN.len())
        .position(|part| part == BETWEEN);
    let (acknowledged, kept) = at.map_or((bytes, &[][..]), |at| {
        (&bytes[..at], &bytes[at + BETWEEN.len()..])
    });
    if let Ok(found) = loss::loss(acknowledged, kept, Some(100_000_000_000)) {
        assert!(found.lost <= found.acknowledged, "{found:?}");
        assert!(found.unacknowledged <= found.kept, "{found:?}");
        assert!(found.double <= found.kept, "{found:?}");
    }
    let ids: Vec<&[u8]> = acknowledged
        .split(|byte| *byte == b'\n')
        .map(|line| {
            line.split(u8::is_ascii_whitespace)
                .find(|word| !word.is_empty())
                .unwrap_or_default()
        })
        .collect();
    if let Ok(same) = loss::loss(acknowledged, &ids.join(&b'\n'), None) {
        assert_eq!(
            (same.lost, same.torn, same.unacknowledged),
            (0, 0, 0),
            "{same:?}"
        );
    }
}

/// A halt condition reads back as it was written.
pub fn halt_condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Condition>() {
        Ok(condition) => assert_eq!(condition.to_string().parse(), Ok(condition)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What a server that says that it is Prometheus answers.
pub fn prometheus_answer(bytes: &[u8]) {
    if let Err(why) = halt_monitor::values(bytes) {
        assert!(!why.is_empty());
    }
}

/// What worker and supervisor say to each other.
pub fn link_message(bytes: &[u8]) {
    let message = ToSupervisor::read(bytes);
    if let Ok(said) = serde_json::to_vec(&message) {
        let heard = ToSupervisor::read(&said);
        assert_eq!(format!("{message:?}"), format!("{heard:?}"));
    }
    // An error is an answer.
    let _ = serde_json::from_slice::<Job>(bytes);
}

/// A record of the kernel's ring buffer.
pub fn kernel_event(bytes: &[u8]) {
    let Some(hit) = Hit::decode(bytes) else {
        return;
    };
    assert_eq!(bytes.len(), size_of::<Event>());
    let hit = EventKind::hit("net.loss", "agent", &hit);
    if let Ok(told) = serde_json::to_vec(&hit) {
        assert_eq!(serde_json::from_slice::<EventKind>(&told).ok(), Some(hit));
    }
}

/// A journal, whatever a crash or another program has left of it.
pub fn journal_file(bytes: &[u8]) {
    let replay = Replay::of(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(replay.records.len() <= lines);
    // A line that is there may follow on lines that are missing, which is damage as well.
    assert!(replay.damaged.len() <= lines);
    let next = replay.next_seq();
    assert!(replay.records.iter().all(|stamped| stamped.seq <= next));
    let mut ids: Vec<_> = replay.to_restore().iter().map(|(id, _)| *id).collect();
    assert!(
        ids.is_sorted_by(|one, other| one > other),
        "not the last first"
    );
    ids.dedup();
    assert!(ids.len() <= replay.records.len());
}

/// The kernel's types.
pub fn kernel_types(bytes: &[u8]) {
    if let Some(btf) = Btf::parse(bytes.to_vec()) {
        for (name, field) in [("sock", "sk_cgrp_data"), ("outer", "b"), ("", "")] {
            let _ = btf.offset(name, field);
        }
    }
}

/// The limits of a host.
pub fn configuration(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(error) = Config::parse(text, "fuzz.toml")
    {
        assert!(error.to_string().starts_with("fuzz.toml:"), "{error}");
    }
}

/// A frame in the delay line, of which any process or host that talks to the target may choose the bytes.
pub fn held_frame(bytes: &[u8]) {
    let mut answered = bytes.to_vec();
    let length = dns::answer(&mut answered, Rcode::NxDomain);
    assert!(length <= bytes.len());
    if dns::queried_name(bytes).is_none() {
        assert_eq!(answered, bytes);
    }
    let mut scratch = segment::Scratch::new();
    let mut ended = 0;
    segment::damage(bytes, 0x0123_4567_89ab_cdef, &mut scratch, |_, is_last| {
        assert_eq!(ended, 0, "a segment after the last");
        ended += u32::from(is_last);
    });
}

/// What a connection says: lines that begin with `w` are written, with `r` read, with `g` read behind bytes that were not
/// looked at, and `c` closes it. Each request that is told has text that can be shown, and none of what is secret.
pub fn observed_plaintext(bytes: &[u8]) {
    let (mut requests, mut listener) = (Hearing::default(), Shown);
    for (at, call) in (0..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let Some((kind, said)) = call.split_first() else {
            continue;
        };
        let said = &said[..said.len().min(HEAD)];
        let gap = if *kind == b'g' { 77 } else { 0 };
        let what = match kind {
            b'w' => what::WRITTEN,
            b'c' => what::CLOSED,
            _ => what::READ,
        };
        let heading = Heading {
            boot_ns: at,
            began_ns: at,
            what,
            length: u32::try_from(said.len()).unwrap_or_default() + gap,
            ..Heading::default()
        };
        let (head, tail) = if gap == 0 {
            (said, &[][..])
        } else {
            (&[][..], said)
        };
        requests.hear(
            &Heard {
                heading,
                head,
                tail,
            },
            &mut listener,
        );
    }
    requests.end(&mut listener);
}

/// Looks at what is told.
struct Shown;

impl Listener for Shown {
    fn exchange(&mut self, exchange: &Exchange) {
        let texts = [
            Some(&exchange.method),
            Some(&exchange.path),
            exchange.host.as_ref(),
            exchange.model.as_ref(),
            exchange.retry_after.as_ref(),
        ];
        for text in texts.into_iter().flatten() {
            assert!(text.len() <= 256, "{exchange:?}");
            assert!(
                text.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "{exchange:?}"
            );
        }
        assert!(!exchange.path.contains('?'), "{exchange:?}");
    }

    fn note(&mut self, _note: Note) {}

    fn has_enough(&self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
