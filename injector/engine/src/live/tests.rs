use super::*;

const NOW: u64 = 1_000 * SECOND;

fn met() -> Met {
    Met {
        hits: 1234,
        per_second: 12.34,
        lease_until_boot_ns: NOW + SECOND + 900_000_000,
    }
}

fn of_one_step(met: Option<Met>) -> Live {
    Live {
        step: None,
        until_boot_ns: NOW + 3 * SECOND + 1,
        met,
    }
}

fn of_three_steps() -> Live {
    Live {
        step: Some(LiveStep {
            name: "slow and lossy".into(),
            number: 2,
            count: 3,
            until_boot_ns: NOW + 58 * SECOND,
        }),
        until_boot_ns: NOW + 88 * SECOND,
        met: Some(met()),
    }
}

/// The line as it is read.
fn read(live: &Live, width: usize) -> String {
    let shown = live.line(NOW, Look::Full(width)).unwrap_or_default();
    let mut parts = shown.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, part| {
        read + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn one_fault_needs_no_step() {
    let line = read(&of_one_step(Some(met())), 100);
    assert_eq!(line, "4s left | 1234 hits, 12/s | lease 1.9s");
    assert_eq!(read(&of_one_step(None), 100), "4s left");
}

#[test]
fn a_narrow_terminal_gets_less_and_no_word_is_cut() {
    let live = of_three_steps();
    for (width, expected) in [
        (
            100,
            "step 2/3 slow and lossy, 58s left | run 1m 28s left | 1234 hits, 12/s | lease 1.9s",
        ),
        (
            75,
            "step 2/3, 58s left | run 1m 28s left | 1234 hits, 12/s | lease 1.9s",
        ),
        (
            63,
            "step 2/3, 58s left | run 1m 28s left | 1234 hits | lease 1.9s",
        ),
        (40, "step 2/3, 58s left | lease 1.9s"),
        (20, "run 1m 28s left"),
        (10, ""),
    ] {
        assert_eq!(read(&live, width), expected);
    }
}

#[test]
fn a_worker_that_stands_still_is_seen_by_its_lease() {
    let live = of_one_step(Some(met()));
    let later = live.line(NOW + 2 * SECOND, Look::Full(100)).unwrap();
    assert!(
        later.contains("2s left") && later.contains("lease over"),
        "{later}"
    );
    let before = live.line(NOW + SECOND, Look::Full(100)).unwrap();
    assert!(before.contains("lease 0.9s"), "{before}");
}

#[test]
fn what_takes_no_control_sequence_gets_no_line() {
    let live = of_three_steps();
    assert_eq!(live.line(NOW, Look::Pipe), None);
    assert_eq!(live.line(NOW, Look::Bare(100)), None);
}

#[test]
fn a_rate_is_of_the_last_seconds() {
    let mut rate = Rate::since(0);
    assert!(rate.now(0, 0) < 0.01);
    let fast: Vec<f64> = (1..=20u64)
        .map(|tick| rate.now(tick * SECOND / 4, tick * 25))
        .collect();
    assert!(
        fast.iter().all(|rate| (rate - 100.0).abs() < 1.0),
        "{fast:?}"
    );
    let slow: Vec<f64> = (21..=30u64)
        .map(|tick| rate.now(tick * SECOND / 4, 500))
        .collect();
    assert!(slow.last().unwrap().abs() < 0.01, "{slow:?}");
}

#[test]
fn texts_stand_above_the_live_line() {
    let mut screen = Screen::default();
    let mut bytes = screen.text(b"armed\n", None);
    bytes.extend(screen.draw(Some("3s left")));
    bytes.extend(screen.draw(Some("2s left")));
    bytes.extend(screen.text(b"a device\n", Some("1s left")));
    bytes.extend(screen.draw(None));
    bytes.extend(screen.text(b"the card\n", None));
    let away = "\r\x1b[K";
    let expected = format!("armed\n3s left{away}2s left{away}a device\n1s left{away}the card\n");
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn half_a_line_of_another_is_not_overwritten() {
    let mut screen = Screen::default();
    let bytes = screen.text(b"panicked at", Some("1s left"));
    assert_eq!(bytes, b"panicked at\n1s left");
    assert!(screen.is_live());
}
