//! The picture at several sizes.

use std::{collections::BTreeMap, time::Duration};

use injector_record::{
    event::{EventKind, Limits, RunEvent},
    gate::{GateEnd, GateReport},
    measure::Sample,
};
use injector_spec::experiment::{Placed, ProbeRole};
use proptest::prelude::*;
use ratatui_core::{backend::TestBackend, terminal::Terminal};
use unicode_width::UnicodeWidthStr as _;

use super::*;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000 * SECOND;

fn step(name: &str, seconds: u64) -> StepOutline {
    StepOutline {
        name: name.into(),
        duration: Duration::from_secs(seconds),
    }
}

fn probe(name: &str, role: ProbeRole) -> ProbeOutline {
    ProbeOutline {
        name: name.into(),
        role,
        within: Some(Duration::from_secs(1)),
        held_to: HeldTo::Fails { count: 3, of: 5 },
    }
}

fn outline() -> Outline {
    Outline {
        name: "checkout-latency".into(),
        targets: vec!["unit checkout".into()],
        steps: vec![
            step("baseline", 20),
            step("slow and lossy", 60),
            step("recovery", 30),
        ],
        probes: vec![
            probe("checkout", ProbeRole::SteadyState),
            probe("search", ProbeRole::Control),
        ],
    }
}

fn placed(step: &str, fault: &str) -> Placed {
    serde_json::from_value(serde_json::json!({
        "step": step, "fault": fault, "target": "checkout", "mechanism": "delay-line",
        "parameters": {"latency": "100ms"}, "chance": {"max-hits": "5000"},
    }))
    .unwrap()
}

fn event(at_ns: u64, what: EventKind) -> RunEvent {
    RunEvent {
        run: "r000000010001".parse().unwrap(),
        boot_ns: at_ns,
        what,
    }
}

fn sample(took_ms: u64, wrong: Option<&str>) -> Sample {
    Sample {
        at_ns: NOW,
        took_us: took_ms * 1_000,
        wrong: wrong.map(str::to_owned),
    }
}

/// A run in its second step of three.
fn board(viewer: Viewer) -> Board {
    let mut board = Board::new(outline(), viewer, NOW - 30 * SECOND);
    let started = |name: &str| EventKind::StepStarted { step: name.into() };
    let limits = Limits {
        hits_a_second: Some(1_000),
        bytes: Some(1 << 30),
        processes: Some(64),
    };
    let faults = vec![
        placed("slow and lossy", "net.delay"),
        placed("slow and lossy", "net.loss"),
    ];
    let samples = |samples: Vec<Sample>, probe: &str| BTreeMap::from([(probe.to_owned(), samples)]);
    let good = || (0..20).map(|_| sample(5, None)).collect::<Vec<_>>();
    let mixed = vec![
        sample(400, None),
        sample(900, Some("refused")),
        sample(500, None),
    ];
    for (at, what) in [
        (NOW - 22 * SECOND, EventKind::Armed { faults, limits }),
        (NOW - 22 * SECOND, started("baseline")),
        (
            NOW - 2 * SECOND,
            EventKind::StepEnded {
                step: "baseline".into(),
            },
        ),
        (NOW - 2 * SECOND, started("slow and lossy")),
        (
            NOW - SECOND,
            EventKind::Sampled {
                answers: samples(good(), "checkout"),
            },
        ),
        (
            NOW - SECOND,
            EventKind::Sampled {
                answers: samples(good(), "search"),
            },
        ),
        (
            NOW,
            EventKind::Sampled {
                answers: samples(mixed, "checkout"),
            },
        ),
        (
            NOW,
            EventKind::Progress {
                hits: 1234,
                by_fault: vec![1200, 34],
                bytes: 3 << 20,
                step_until_boot_ns: NOW + 58 * SECOND,
                lease_until_boot_ns: NOW + SECOND + 900_000_000,
            },
        ),
        (
            NOW,
            EventKind::DeviceCovered {
                device: "veth7".into(),
            },
        ),
    ] {
        board.turn(&event(at, what));
    }
    board
}

/// The rows of a terminal, as they are read.
fn rows(board: &Board, columns: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, height)).unwrap();
    terminal
        .draw(|frame| board.draw(NOW, frame.area(), frame.buffer_mut()))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| {
        let cells = (0..columns).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(row).collect()
}

/// Operations of target and bystander stand where their probes do; what is too long is known from the baseline, so the slowest
/// that is shown is the highest.
#[test]
fn operations_have_a_row_each() {
    let calls = |role, name: &str| ProbeOutline {
        name: name.into(),
        role,
        within: None,
        held_to: HeldTo::Share("99%".parse().unwrap()),
    };
    let outline = Outline {
        probes: vec![
            calls(ProbeRole::SteadyState, "calls"),
            calls(ProbeRole::Control, "beside"),
        ],
        ..outline()
    };
    let mut board = Board::new(outline, Viewer::Owner, NOW);
    let told = vec![sample(10, None), sample(40, Some("late")), sample(40, None)];
    let answers = BTreeMap::from([("calls".to_owned(), told)]);
    board.turn(&event(NOW, EventKind::Sampled { answers }));
    let rows = rows(&board, 100, 40);
    let row = |name: &str| rows.iter().find(|row| row.trim_start().starts_with(name));
    let calls = row("calls").unwrap();
    assert!(
        calls.contains("▃██") && calls.contains("40ms    1 bad  >= 99%"),
        "{calls}"
    );
    assert!(
        row("beside").unwrap().contains("no answer yet"),
        "{rows:#?}"
    );
}

#[test]
fn a_wide_terminal_has_everything() {
    let rows = rows(&board(Viewer::Owner), 100, 40);
    let expected = [
        "checkout-latency  run r000000010001",
        "on unit checkout",
        "1m 28s left | lease 1.9s | 1234 hits, 41/s",
        "",
        "Steps",
        "  1  baseline        20s, over",
        "> 2  slow and lossy  58s of 1m left  ━───────────────────",
        "  3  recovery        30s",
        "",
        "Target",
        "BARS  500ms of 1s    1 of 23 wrong  fails 3 of 5",
        "",
        "Controls",
        "BARS    5ms of 1s    0 of 20 wrong  fails 3 of 5",
        "",
        "Faults",
        "  net.delay  1200 hits of 5000, 55/s     on checkout, step slow and lossy: latency 100ms",
        "  net.loss     34 hits of 5000, 1.5/s    on checkout, step slow and lossy: latency 100ms",
        "",
        "Limits",
        "  41 of 1000 hits/s | 3mib of 1gib hit | 64 processes",
        "",
        "Told",
        "  device veth7 appeared and is covered",
    ];
    for (row, expected) in rows.iter().zip(expected) {
        match expected.strip_prefix("BARS") {
            Some(end) => assert!(
                row.ends_with(end) && row.chars().count() == 100 && row.contains('▁'),
                "{rows:#?}"
            ),
            None => assert_eq!(row, expected, "{rows:#?}"),
        }
    }
    assert_eq!(rows[39], "q halt this run   Ctrl-C halt it at once");
    // The last answers are on the right, and the one that was wrong has its full height.
    assert!(rows[10].contains("▁▁▄█▅  500ms"), "{rows:#?}");
}

#[test]
fn a_fault_without_parameters_ends_without_a_colon() {
    let file = "targets: { checkout: { unit: checkout } }\nsteps:\n  - name: lossy\n    duration: 20s\n    faults: [ \
                net.loss: { protocol: udp, percent: 15%, max-hits: 5000 } ]\n";
    let experiment = injector_spec::experiment::file::parse(file, "shown", None).unwrap();
    let mut board = Board::new(Outline::of(&experiment), Viewer::Owner, NOW);
    // As it comes to the process that draws.
    let armed = event(
        NOW,
        EventKind::Armed {
            faults: experiment.describe(),
            limits: Limits::default(),
        },
    );
    let armed = serde_json::to_string(&armed).unwrap();
    board.turn(&serde_json::from_str(&armed).unwrap());
    let rows = rows(&board, 100, 20);
    assert!(
        rows.iter()
            .any(|row| row.ends_with("on checkout, step lossy")),
        "{rows:#?}"
    );
}

#[test]
fn sixty_columns_say_less() {
    let rows = rows(&board(Viewer::Reader), 60, 15);
    let has = |text: &str| {
        assert!(
            rows.iter().any(|row| row.contains(text)),
            "{text}: {rows:#?}"
        );
    };
    has("1m 28s left | lease 1.9s | 1234 hits, 41/s");
    has("> 2  slow and lossy  58s of 1m left");
    has("1 of 23 wrong");
    has("Controls");
    has("  net.delay  1200 hits of 5000, 55/s");
    assert_eq!(rows[14], "q leave, and the run goes on   h halt this run");
    for row in &rows {
        assert!(!row.contains("step slow"), "{row}");
    }
}

#[test]
fn a_gate_says_what_it_waits_for() {
    let mut board = board(Viewer::Owner);
    let until = "a person, at most 5m: `injector approve r000000010001` lets it go on";
    let waits = EventKind::GateWaits {
        step: "slow and lossy".into(),
        until: until.into(),
    };
    board.turn(&event(NOW, waits));
    let seen = rows(&board, 100, 30);
    assert_eq!(seen[3], format!("waits for {until}"));
    assert!(
        seen.iter()
            .any(|row| row.contains("waits, at most 58s more")),
        "{seen:#?}"
    );
    let report = GateReport {
        step: "slow and lossy".into(),
        waited_ms: 5,
        end: GateEnd::Answered,
    };
    board.turn(&event(NOW, EventKind::GateEnded { report }));
    assert!(!rows(&board, 100, 30)[3].contains("waits"));
}

#[test]
fn an_end_is_asked_for_twice() {
    let mut owner = board(Viewer::Owner);
    assert_eq!(owner.key(b'y'), None);
    assert_eq!(owner.key(b'q'), None);
    assert_eq!(rows(&owner, 60, 15)[14], "halt this run? y/n");
    assert_eq!(owner.key(b'n'), None);
    assert!(rows(&owner, 60, 15)[14].starts_with("q halt this run"));
    assert_eq!(
        (owner.key(b'q'), owner.key(b'x'), owner.key(b'Y')),
        (None, None, Some(Wish::Halt))
    );
    assert_eq!(rows(&owner, 60, 15)[14], "halting: everything is put back");
    // Once is enough, and Ctrl-Z leaves no fault behind a command that stands still.
    assert_eq!((owner.key(b'y'), owner.key(0x1a)), (None, None));

    let mut reader = board(Viewer::Reader);
    assert_eq!(reader.key(0x1a), Some(Wish::Suspend));
    assert_eq!((reader.key(b'h'), reader.key(b'q')), (None, None));
    assert_eq!(reader.key(b'q'), Some(Wish::Leave));
    assert_eq!(
        (reader.key(b'h'), reader.key(b'y')),
        (None, Some(Wish::Halt))
    );
    assert_eq!(reader.asking, board::Asking::Halting);
    reader.go_on();
    assert_eq!(reader.key(b'q'), Some(Wish::Leave));
}

#[test]
fn what_no_journal_has_is_not_made_up() {
    let mut board = Board::new(outline(), Viewer::Reader, NOW);
    let faults = vec![placed("baseline", "net.delay")];
    let limits = Limits::default();
    board.turn(&event(NOW, EventKind::Armed { faults, limits }));
    let rows = rows(&board, 100, 40);
    assert!(
        rows.iter()
            .any(|row| row.contains("hits are told at the end")),
        "{rows:#?}"
    );
    assert!(
        !rows
            .iter()
            .any(|row| row.contains("lease") || row.contains("0 hits")),
        "{rows:#?}"
    );
    assert!(
        rows.iter().any(|row| row.contains("no answer yet")),
        "{rows:#?}"
    );
}

#[test]
fn of_many_steps_the_one_at_hand_is_seen() {
    let mut outline = outline();
    outline.steps = (1..=40)
        .map(|number| step(&format!("round {number}"), 10))
        .collect();
    let mut board = Board::new(outline, Viewer::Owner, NOW);
    for number in 1..=33 {
        let what = EventKind::StepStarted {
            step: format!("round {number}"),
        };
        board.turn(&event(NOW, what));
    }
    for height in [8, 15, 40] {
        let rows = rows(&board, 80, height);
        assert!(
            rows.iter().any(|row| row.contains("> 33  round 33")),
            "{rows:#?}"
        );
        assert!(
            rows.iter()
                .any(|row| row.starts_with("Steps ") && row.ends_with(" of 40")),
            "{rows:#?}"
        );
    }
}

#[test]
fn a_name_brings_no_control_sequence() {
    let mut outline = outline();
    outline.name = "a\x1b[2Jb".into();
    outline.steps[0].name = "a\x1b[2Jb\n".into();
    let mut board = Board::new(outline, Viewer::Owner, NOW);
    board.remember("a\x1b[2J".into());
    for row in rows(&board, 100, 30) {
        assert!(!row.contains('\x1b'), "{row:?}");
    }
}

/// The words that a whole row of a wide terminal may have, without marks and bars.
fn is_whole(word: &str, known: &[String]) -> bool {
    let is_drawn = |glyph: char| "▁▂▃▄▅▆▇█━─…>|".contains(glyph);
    let is_range = |glyph: char| glyph.is_ascii_digit() || glyph == '-';
    word.chars().all(is_drawn)
        || word.chars().all(is_range)
        || known
            .iter()
            .any(|row| row.split_whitespace().any(|whole| whole == word))
}

proptest! {
    /// At any size the keys are on the last row, nothing is wider than the terminal, and each word is one that a wide
    /// terminal has: none is cut.
    #[test]
    fn no_word_is_cut(columns in 24u16..140, height in 1u16..50, is_owner: bool, is_asked: bool) {
        let viewer = if is_owner { Viewer::Owner } else { Viewer::Reader };
        let mut board = board(viewer);
        if is_asked {
            board.key(b'h');
        }
        let mut known = rows(&board, 400, 60);
        known.extend(["on 1 target", "q leave h halt", "halt? y/n", "halting", "wrong"].map(String::from));
        let seen = rows(&board, columns, height);
        let last = seen.last().unwrap();
        prop_assert!(last.starts_with("q ") || last.starts_with("halt"), "{seen:#?}");
        for row in &seen {
            prop_assert!(row.width() <= usize::from(columns));
            for word in row.split_whitespace().map(|word| word.trim_end_matches([',', ':'])) {
                let is_known = is_whole(word, &known)
                    || known.iter().any(|row| row.split_whitespace().any(|whole| whole.trim_end_matches([',', ':']) == word));
                // Bars stand beside nothing but spaces.
                prop_assert!(is_known || word.ends_with('…'), "{word} is cut in {seen:#?}");
            }
        }
    }

    /// Nothing is too small, and nothing too long.
    #[test]
    fn drawing_is_total(columns in 1u16..30, height in 1u16..12, name in "\\PC{0,40}") {
        let mut outline = outline();
        outline.name.clone_from(&name);
        outline.steps[1].name.clone_from(&name);
        outline.probes[0].name = name;
        let mut board = Board::new(outline, Viewer::Owner, NOW);
        board.turn(&event(NOW, EventKind::StepStarted { step: String::new() }));
        prop_assert_eq!(rows(&board, columns, height).len(), usize::from(height));
    }
}
