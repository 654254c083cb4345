//! What is told of a target, and when it is wrong.

use super::*;

#[test]
fn a_patient_target_has_no_flaw() {
    let reaction = Reaction {
        tasks: 2,
        tries: 5,
        most_tries: 3,
        shortest_gap_ms: Some(1_000),
        longest_gap_ms: Some(2_000),
        told_to_wait: 3,
        made_good: 2,
        ..Reaction::default()
    };
    assert!(reaction.flaws().is_empty());
    let said = "5 tries for 2 tasks, 3 at most for one, 1s to 2s apart; 2 made good, 0 given up";
    let good = "made-good: all 2 tasks were answered well by a later try";
    assert_eq!(reaction.words(), [good, said]);
}

#[test]
fn to_give_up_at_once_is_a_flaw_and_after_some_tries_a_fact() {
    let mut reaction = Reaction {
        tasks: 3,
        tries: 5,
        most_tries: 3,
        retryable: 3,
        given_up: 2,
        made_good: 1,
        ..Reaction::default()
    };
    reaction.gave_up.add(3);
    reaction.undecided.add(1);
    assert!(reaction.flaws().is_empty());
    assert!(reaction.could_show(Flaw::GaveUp));
    let words = reaction.words();
    assert!(
        words[0].ends_with("1 made good, 2 given up (1 after 3 tries at most)"),
        "{words:?}"
    );
    reaction.target_has_ended();
    assert_eq!(reaction.flaws(), [Flaw::GaveUp]);
    assert_eq!(reaction.undecided, Left::default());
    let words = reaction.words();
    assert!(words[0].starts_with("gave-up: 1 of 3 tasks"), "{words:?}");
}

#[test]
fn what_cannot_be_told_yet_could_not_be_shown() {
    let mut reaction = Reaction {
        tasks: 1,
        retryable: 1,
        ..Reaction::default()
    };
    reaction.undecided.add(1);
    assert!(!reaction.could_show(Flaw::GaveUp));
    // Neither could one whose answer came when the fault ended, nor one that waits for it.
    for (late, going_on, could) in [(1, 0, false), (0, 1, false), (0, 0, true)] {
        let reaction = Reaction {
            tasks: 1,
            retryable: 1,
            late,
            going_on,
            ..Reaction::default()
        };
        assert_eq!(reaction.could_show(Flaw::GaveUp), could, "{reaction:?}");
    }
}

#[test]
fn an_effect_that_came_twice_is_told_and_one_with_a_key_is_not_wrong() {
    let reaction = Reaction {
        tasks: 1,
        unacknowledged: 1,
        duplicates: 2,
        ..Reaction::default()
    };
    assert_eq!(reaction.flaws(), [Flaw::DuplicateEffect]);
    assert!(
        reaction.words()[0].starts_with("duplicate-effect: 2 tries of 1 request"),
        "{:?}",
        reaction.words()
    );
    let keyed = Reaction {
        duplicates: 0,
        keyed: 2,
        ..reaction
    };
    assert!(keyed.flaws().is_empty() && keyed.could_show(Flaw::DuplicateEffect));
    let paid = Reaction {
        duplicates: 0,
        paid_twice: 1,
        ..reaction
    };
    assert!(paid.flaws().is_empty());
    assert!(
        paid.words()[1].ends_with("was answered again, and paid for twice"),
        "{:?}",
        paid.words()
    );
    assert!(keyed.words()[1].starts_with("2 other tries of 1 request"));
}

#[test]
fn an_answer_that_is_held_now_may_show_that_the_target_hangs() {
    let holding = Reaction {
        holding_ms: Some(HUNG_MS + 1_000),
        ..Reaction::default()
    };
    assert_eq!(holding.flaws(), [Flaw::Hung]);
}

#[test]
fn each_flaw_is_named_with_its_evidence() {
    let reaction = Reaction {
        tasks: 1,
        tries: 7,
        most_tries: 7,
        shortest_gap_ms: Some(10),
        longest_gap_ms: Some(10),
        told_to_wait: 6,
        too_early: 5,
        given_up: 1,
        never_let_go: 1,
        longest_held_ms: Some(HUNG_MS + 1),
        accepted_truncations: 2,
        ..Reaction::default()
    };
    let words = reaction.words();
    assert!(
        words[0].starts_with("ignored-retry-after: 5 of 6 tries"),
        "{words:?}"
    );
    assert!(words[1].starts_with("retry-storm: 7 tries"), "{words:?}");
    assert!(words[2].starts_with("hung: "), "{words:?}");
    assert!(
        words[3].starts_with("accepted-truncation: 2 answers"),
        "{words:?}"
    );
    assert!(
        words[4].contains("10ms apart") && words[4].contains("1 given up"),
        "{words:?}"
    );
}

#[test]
fn the_same_call_again_and_again_makes_no_progress() {
    let reaction = Reaction {
        tasks: 2,
        tries: 7,
        most_tries: STORM,
        of_no_use: 7,
        given_up: 2,
        ..Reaction::default()
    };
    assert_eq!(reaction.flaws(), [Flaw::NoProgress]);
    let words = reaction.words();
    assert!(words[0].starts_with("no-progress: 6 calls"), "{words:?}");
    assert_eq!(
        words[1],
        "7 calls with 2 sets of arguments, 6 at most for one"
    );
}

#[test]
fn an_answer_that_is_still_waited_for_at_the_end_is_no_flaw() {
    let waits = Reaction {
        let_go: 5,
        longest_wait_ms: Some(20_000),
        never_let_go: 1,
        longest_held_ms: Some(15_000),
        ..Reaction::default()
    };
    assert!(waits.flaws().is_empty());
    let short = Reaction {
        never_let_go: 1,
        longest_held_ms: Some(900),
        ..Reaction::default()
    };
    assert!(short.flaws().is_empty());
    let hangs = Reaction {
        longest_held_ms: Some(20_001),
        ..waits
    };
    assert_eq!(hangs.flaws(), [Flaw::Hung]);
}

#[test]
fn a_target_that_lets_go_early_once_may_wait_later() {
    let reaction = Reaction {
        let_go: 1,
        longest_wait_ms: Some(200),
        never_let_go: 1,
        longest_held_ms: Some(HUNG_MS),
        ..Reaction::default()
    };
    assert!(reaction.flaws().is_empty());
}

#[test]
fn nothing_met_is_nothing_said() {
    assert!(Reaction::default().words().is_empty());
}
