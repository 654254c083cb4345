//! The first look, before anything is armed: a condition that holds already refuses the run.
//!
//! | condition | first look |
//! | --- | --- |
//! | pressure without `over`, load, clock | read at once, in the dry run too |
//! | probes | asked before arming: one right answer within the failures that would halt, and within 10 s |
//! | pressure `over` a time, rates | a time has to pass: read once more before the lease is live, and they halt as soon as they hold |
//! | flaws of a target | shown by what it does under a fault: none is, before the lease is live |
//! | ends and restarts of processes | counted from when the targets were found; read before the lease is live |
//!
//! A time of day holds until midnight: a person who writes `clock >= 18:00` to keep the evening free does not mean
//! that a run may begin at seven. Rejected: taking the next time that it is so late, which let such a run go
//! on for 23 hours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    OwnHits, ShownFlaws, Surroundings, ask,
    sensors::{Around, Sensor},
};
use crate::surroundings;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{ResolvedTarget, guard::Guard},
};
use injector_spec::{
    condition::{Condition, Question, Until},
    error::Refusal,
    quantity::duration,
};

/// How long a start waits for the right answer of a probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much longer than its time a thread's answer may take to come.
const SLACK: Duration = Duration::from_millis(500);

/// Refuses what holds already, as far as it can be read at once.
///
/// # Errors
/// A refusal by the condition's own words (exit code 3).
pub fn refuse_held(conditions: &[Condition], targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    let surroundings = Surroundings {
        targets,
        counting: Vec::new(),
        own_hits: OwnHits::default(),
        flaws: ShownFlaws::default(),
    };
    let around = Arc::new(Around::of(surroundings, conditions));
    for condition in conditions {
        let why = match condition {
            Condition::Clock(until) => so_late(*until)?,
            Condition::Probe(_) => None,
            Condition::Pressure(_)
            | Condition::Load(_)
            | Condition::Lives { .. }
            | Condition::Rate { .. }
            | Condition::Shows(_) => {
                let now = boot_ns();
                let look = Sensor::of(condition, targets, &around, now).look(now);
                look.map_err(|why| {
                    Refusal::usage(format!(
                        "the halt condition `{condition}` cannot be looked at: {why}."
                    ))
                })?
            }
        };
        if let Some(why) = why {
            return Err(held(condition, &why));
        }
    }
    Ok(())
}

/// Asks all probes, each on a thread of its own, and refuses where one has no right answer.
///
/// # Errors
/// As [`refuse_held`].
pub fn refuse_failing(conditions: &[Condition], guard: &Guard) -> Result<(), Refusal> {
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut asked = Vec::new();
    for condition in conditions {
        if let Condition::Probe(question) = condition {
            let Question { fails, pace, .. } = question;
            let answer = begin(question, guard, &is_over)?;
            asked.push((condition, *fails, *pace, answer));
        }
    }
    let result = asked
        .into_iter()
        .try_for_each(|(condition, fails, pace, answer)| {
            let patience = (pace.patience() * u32::from(fails.count)).min(PATIENCE) + SLACK;
            let left = patience.saturating_sub(begun.elapsed());
            match answer.recv_timeout(left) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => Err(held(condition, &why)),
                Err(_) => {
                    let patience = duration::format(patience.saturating_sub(SLACK));
                    let why = format!("it has not given a right answer within {patience}");
                    Err(held(condition, &why))
                }
            }
        });
    // A thread that still waits for an answer, or for a program, ends that wait.
    is_over.store(true, Ordering::Relaxed);
    result
}

fn held(condition: &Condition, why: &str) -> Refusal {
    Refusal::endangers(format!(
        "the halt condition `{condition}` holds already: {why}; nothing was armed. Start again when it does not \
         hold any more, or change the condition."
    ))
}

/// Asks until there is a right answer, or as many wrong ones as would halt the run.
fn begin(
    Question { probe, fails, pace }: &Question,
    guard: &Guard,
    is_over: &Arc<AtomicBool>,
) -> Result<Receiver<Result<(), String>>, Refusal> {
    let (post, answer) = mpsc::channel();
    let (fails, pace, is_over) = (*fails, *pace, Arc::clone(is_over));
    let (probe, guard) = (probe.clone(), guard.clone());
    let asking = move || {
        // Here, for it reads files, which may hang.
        let mut asker = ask::Asker::of(&probe, &guard);
        let mut last = String::new();
        for _ in 0..fails.count {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            match asker.ask(pace, &is_over) {
                Ok(()) => {
                    // Where the receiver is gone, the start was refused already.
                    let _ = post.send(Ok(()));
                    return;
                }
                Err(why) => last = why,
            }
        }
        let count = fails.count;
        let _ = post.send(Err(format!(
            "{count} of the first {count} answers were failures: {last}"
        )));
    };
    thread::Builder::new()
        .name("probe".into())
        .spawn(asking)
        .map_err(|error| Refusal::failed(format!("a thread cannot be started: {error}.")))?;
    Ok(answer)
}

/// Whether it is so late already, in words.
fn so_late(until: Until) -> Result<Option<String>, Refusal> {
    match until {
        Until::Unix(seconds) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let is_over = now.is_ok_and(|now| now.as_secs() >= seconds);
            Ok(is_over.then(|| "that time is over; write a later one".to_owned()))
        }
        Until::TimeOfDay(time) => {
            let now = surroundings::now()?.time;
            Ok(is_later(now.minutes(), time.minutes()).then(|| {
                format!(
                    "it is {now} here, and that holds until midnight; for a time of tomorrow write the date, as \
                     in `clock >= 2030-01-31T06:00:00Z`"
                )
            }))
        }
    }
}

/// Minutes since midnight; `24:00` is never reached.
const fn is_later(now: u16, then: u16) -> bool {
    now >= then
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{super::sensors, *};
    use injector_spec::error::Exit;

    fn conditions(lines: &[&str]) -> Vec<Condition> {
        lines.iter().map(|line| line.parse().unwrap()).collect()
    }

    fn refusal(line: &str) -> Option<Refusal> {
        let conditions = conditions(&[line]);
        refuse_held(&conditions, &[])
            .and_then(|()| refuse_failing(&conditions, &Guard::new(std::process::id())))
            .err()
    }

    /// Each kind of condition that can hold before a run, held. (Rates, ends and restarts cannot: they count from the
    /// run's beginning. Commands are started by this program's own file, which here is the test's:
    /// `halt::what_holds_already_attaches_nothing`.)
    #[test]
    fn every_kind_that_holds_refuses_by_name() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let tcp = format!("tcp {closed} fails 2");
        let http = format!("http http://{closed}/ fails 1");
        let prometheus = format!("prometheus http://{closed} \"up\" < 1");
        let held: &[(&str, &str)] = &[
            ("host.load > 0", "the load of the last minute"),
            ("clock >= 2001-01-01T00:00:00Z", "write a later one"),
            ("clock >= 00:00", "until midnight"),
            (&tcp, "2 of the first 2"),
            (&http, "1 of the first 1"),
            (&prometheus, "1 of the first 1"),
        ];
        for (line, part) in held {
            // An idle machine has no load.
            let is_idle = line.starts_with("host.load") && sensors::load() == Ok(0.0);
            match refusal(line) {
                Some(refusal) => {
                    assert_eq!(refusal.exit, Exit::Unsafe, "{refusal}");
                    let written = line.parse::<Condition>().unwrap().to_string();
                    assert!(refusal.message.contains(&written), "{refusal}");
                    assert!(refusal.message.contains("holds already"), "{refusal}");
                    assert!(refusal.message.contains(part), "{refusal}");
                }
                None => assert!(is_idle, "{line} was let through"),
            }
        }
    }

    #[test]
    fn what_does_not_hold_lets_the_run_begin() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = format!("tcp {} fails 1", listener.local_addr().unwrap());
        for line in [
            "host.load > 100000",
            "clock >= 2999-01-01T00:00:00Z",
            "clock >= 24:00",
            "hits > 0/s",
            "errnos > 0/s",
            "retransmits > 0/s over 5s",
            "target.exits >= 1",
            "target.restarts >= 1",
            "retry-storm",
            &tcp,
        ] {
            if let Some(refusal) = refusal(line) {
                panic!("{refusal}");
            }
        }
    }

    /// A web server that gives the first client the first answer, and the next client the second.
    fn web(answers: [&'static str; 2]) -> std::net::SocketAddr {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (stream, answer) in listener.incoming().flatten().zip(answers) {
                let mut stream = stream;
                let _asked = stream.read(&mut [0; 1024]);
                let _told = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    const FINE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const BROKEN: &str = "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn one_right_answer_among_the_failures_is_enough() {
        let http = |answers, fails| format!("http http://{}/ fails {fails}", web(answers));
        assert_eq!(refusal(&http([BROKEN, FINE], 2)), None);
        let refused = refusal(&http([BROKEN, FINE], 1)).unwrap();
        assert!(refused.message.contains("503"), "{refused}");
        let refused = refusal(&http([BROKEN, BROKEN], 2)).unwrap();
        assert!(refused.message.contains("2 of the first 2"), "{refused}");
    }

    #[test]
    fn a_probe_that_hangs_keeps_a_start_no_longer_than_its_time() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        let address = silent.local_addr().unwrap();
        let hangs = format!("http http://{address}/ fails 1 within 200ms");
        let refusal = refusal(&hangs).unwrap();
        assert_eq!(refusal.exit, Exit::Unsafe);
        assert!(begun.elapsed() < Duration::from_secs(5), "{refusal}");
    }

    #[test]
    fn a_time_of_day_holds_until_midnight() {
        assert!(is_later(18 * 60, 18 * 60));
        assert!(is_later(23 * 60 + 59, 18 * 60));
        assert!(!is_later(17 * 60 + 59, 18 * 60));
        assert!(!is_later(24 * 60 - 1, 24 * 60));
    }
}
