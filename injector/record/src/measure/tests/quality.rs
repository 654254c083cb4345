//! Objectives of success and latency, against answers of which it is known how many were right and what they took.

use super::*;
use crate::measure::{Quality, quality::quality};
use injector_spec::experiment::{Latency, Quantile};

/// Of the 500 answers behind the hit `wrong` are not right, and `slow` of the right ones take 900 ms.
fn told(wrong: usize, slow: usize, objectives: &Objectives) -> Option<Quality> {
    let probe = probe("api", ProbeRole::SteadyState);
    let mut answers = asked(100, 0, |_| false);
    let behind = answers.iter_mut().filter(|one| one.begun_ns >= 10 * SECOND);
    for (place, answer) in behind.enumerate() {
        answer.is_right = place >= wrong;
        if (wrong..wrong + slow).contains(&place) {
            answer.ended_ns = answer.begun_ns + 900 * MS;
        }
    }
    let measured = Measured {
        what: What::Probe(&probe),
        answers: answers.into(),
    };
    quality(&measured, &TIMES, objectives)
}

fn objectives(success: Option<&str>, p99_ms: Option<u64>) -> Objectives {
    Objectives {
        success: success.map(|share| share.parse().unwrap()),
        latency: p99_ms.map(|ms| Latency {
            quantile: Quantile::P99,
            within: Duration::from_millis(ms),
        }),
        ..Objectives::default()
    }
}

#[test]
fn a_share_and_a_quantile_are_held_to_their_objectives() {
    let standing = |wrong, slow, success, p99| {
        let told = told(wrong, slow, &objectives(success, p99)).unwrap();
        assert_eq!(told.answers, 500);
        assert_eq!(told.right, 500 - wrong as u64);
        told.standing().deviated().map(str::to_owned)
    };
    assert_eq!(standing(5, 0, Some("99%"), None), None);
    assert_eq!(
        standing(6, 0, Some("99%"), None).unwrap(),
        "`api` has 494 of 500 answers right, where 99% have to be"
    );
    assert_eq!(standing(0, 5, None, Some(500)), None);
    assert_eq!(
        standing(0, 6, None, Some(500)).unwrap(),
        "`api` has a p99 of 900ms, where 500ms may be"
    );
    // What fails at once makes no quantile better.
    assert_eq!(standing(5, 0, None, Some(500)), None);
    assert_eq!(
        standing(6, 0, None, Some(500)).unwrap(),
        "`api` has a p99 behind its wrong answers, where 500ms may be"
    );
    let both = standing(6, 0, Some("99%"), Some(500)).unwrap();
    assert!(both.contains("right") && both.contains("p99"), "{both}");
}

#[test]
fn it_is_told_in_one_line_and_read_again() {
    assert_eq!(told(3, 6, &Objectives::default()), None);
    let told = told(3, 6, &objectives(Some("99.5%"), Some(500))).unwrap();
    assert_eq!(
        told.to_string(),
        "from the first hit on, `api`: 497 of 500 answers right (objective 99.5%), p99 900ms (objective 500ms)"
    );
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(serde_json::from_value::<Quality>(json).unwrap(), told);
}

#[test]
fn a_run_deviates_by_it_though_it_recovered_in_time() {
    let probe = probe("api", ProbeRole::SteadyState);
    let verdict = |success| {
        let measured = [Measured {
            what: What::Probe(&probe),
            answers: asked(100, 0, down_between(12_000, 14_000)).into(),
        }];
        let steady_state = SteadyState {
            probes: vec![probe.clone()],
            operations: Vec::new(),
            objectives: objectives(Some(success), None),
            detect: None,
            ledgers: Vec::new(),
        };
        let judged = judge(&Case {
            steady_state: &steady_state,
            measured: &measured,
            alarm: &[],
            times: TIMES,
            planned: 1,
            met: 1,
            cut_short: None,
        });
        judged.verdict.name()
    };
    // 20 of 500 answers are wrong.
    assert_eq!((verdict("96%"), verdict("96.1%")), ("held", "deviated"));
}
