//! What is told of clients whose habits are known.

use injector_spec::experiment::Flaw;
use proptest::prelude::*;
use serde_json::Value;

use super::{halves::MOST_REQUESTS, *};

/// An answer that clients are to try again, of a request that was not carried out.
fn failed(wait_ms: Option<u64>) -> Failed {
    Failed {
        wait_ms,
        next: Next::Invited,
        effect: Effect::None,
    }
}

/// The target has let go of an answer, and nothing was carried out.
const LET_GO: Held = Held::LetGo(Effect::None);

fn one(reactions: &Reactions) -> Reaction {
    reactions.so_far(0).get(&0).copied().unwrap_or_default()
}

#[test]
fn a_client_that_waits_and_comes_again_makes_good() {
    let mut reactions = Reactions::default();
    reactions.comes(7, 0);
    reactions.fails(0, 7, failed(Some(1_000)), 0);
    reactions.comes(7, 990);
    reactions.fails(0, 7, failed(Some(1_000)), 1_000);
    reactions.comes(7, 1_500);
    assert_eq!(one(&reactions).given_up, 0);
    reactions.goes_well(7);
    let reaction = one(&reactions);
    assert_eq!(
        (reaction.tasks, reaction.tries, reaction.most_tries),
        (1, 3, 3)
    );
    assert_eq!((reaction.told_to_wait, reaction.too_early), (2, 1));
    assert_eq!(
        (reaction.shortest_gap_ms, reaction.longest_gap_ms),
        (Some(500), Some(990))
    );
    assert_eq!((reaction.made_good, reaction.given_up), (1, 0));
    // The same words again are another task.
    reactions.comes(7, 5_000);
    reactions.fails(0, 7, failed(None), 5_000);
    let reaction = one(&reactions);
    assert_eq!(
        (reaction.tasks, reaction.most_tries, reaction.given_up),
        (2, 3, 1)
    );
}

#[test]
fn answers_of_no_use_are_counted_where_their_tasks_are() {
    let mut reactions = Reactions::default();
    for task in 0..=MOST as u64 {
        reactions.is_of_no_use(0, task, 0);
    }
    let reaction = one(&reactions);
    assert_eq!((reaction.tasks, reaction.of_no_use), (4096, 4096));
}

#[test]
fn what_is_held_is_let_go_of_or_not() {
    let mut reactions = Reactions::default();
    for (held, after_ms) in [(LET_GO, 600), (LET_GO, 400), (Held::UntilTheEnd, 700)] {
        let number = reactions.holds(0, 7, 0);
        reactions.was_held(number, held, after_ms);
    }
    let reaction = one(&reactions);
    assert_eq!(
        (
            reaction.let_go,
            reaction.longest_wait_ms,
            reaction.never_let_go
        ),
        (2, Some(600), 1)
    );
}

#[test]
fn an_answer_is_told_to_be_held_once_it_has_been_for_long() {
    let mut reactions = Reactions::default();
    let number = reactions.holds(0, 7, 1_000);
    let at = |reactions: &Reactions, now| {
        let all = reactions.so_far(now);
        all.get(&0).and_then(|reaction| reaction.holding_ms)
    };
    assert_eq!(at(&reactions, 1_000 + HUNG_MS), None);
    assert_eq!(at(&reactions, 1_001 + HUNG_MS), Some(HUNG_MS + 1));
    assert_eq!(at(&reactions, 16_900), Some(15_000));
    reactions.was_held(number, LET_GO, 16_900);
    assert_eq!(at(&reactions, 20_000), None);
}

#[test]
fn a_task_whose_answer_is_held_back_is_not_given_up() {
    let mut reactions = Reactions::default();
    reactions.comes(7, 0);
    let number = reactions.holds(0, 7, 0);
    let waits = reactions.so_far(REST_MS * 6)[&0];
    assert_eq!((waits.given_up, waits.gave_up.tasks()), (0, 0));
    assert_eq!((waits.retryable, waits.going_on), (1, 1));
    assert!(!waits.flaws().contains(&Flaw::GaveUp), "{waits:?}");
    // It lets go: from now on it could come again.
    reactions.was_held(number, LET_GO, REST_MS * 6);
    let at = |now: u64| reactions.so_far(now)[&0].gave_up.at_once;
    assert_eq!([at(REST_MS * 7), at(REST_MS * 7 + 1)], [0, 1]);
}

#[test]
fn the_same_request_beside_one_that_is_held_is_no_other_try() {
    let mut reactions = Reactions::default();
    let held: Vec<_> = (0..8)
        .map(|now| {
            reactions.comes(7, now);
            reactions.holds(0, 7, now)
        })
        .collect();
    assert_eq!(one(&reactions).tries, 1);
    // One after the other they are let go of; what comes meanwhile is beside those that are held still.
    for (now, number) in (100..).zip(held) {
        assert_eq!(one(&reactions).tries, 1);
        reactions.was_held(number, LET_GO, now);
        if now < 107 {
            reactions.comes(7, now);
        }
    }
    reactions.comes(7, 200);
    let reaction = one(&reactions);
    assert_eq!((reaction.tries, reaction.let_go), (2, 8));
    assert_eq!(reaction.shortest_gap_ms, Some(93));
    assert!(
        !reaction.flaws().contains(&Flaw::RetryStorm),
        "{reaction:?}"
    );
    // Nor is one that another fault has made fail meanwhile.
    let mut reactions = Reactions::default();
    let number = reactions.holds(0, 7, 0);
    for now in 1..9 {
        reactions.comes(7, now);
        reactions.fails(1, 7, failed(None), now);
    }
    let tries = |reactions: &Reactions| reactions.so_far(0)[&1].tries;
    assert_eq!(tries(&reactions), 1);
    reactions.was_held(number, LET_GO, 10);
    reactions.comes(7, 20);
    assert_eq!(tries(&reactions), 2);
}

#[test]
fn what_was_carried_out_and_let_go_of_is_not_heard_of() {
    let mut reactions = Reactions::default();
    let number = reactions.holds(0, 7, 0);
    let effect = Effect::Unacknowledged(Repeat::Anew);
    reactions.was_held(number, Held::LetGo(effect), 10);
    reactions.comes(7, 20);
    reactions.is_carried_out(7, Repeat::Anew);
    let reaction = one(&reactions);
    assert_eq!((reaction.unacknowledged, reaction.duplicates), (1, 1));
}

#[test]
fn a_try_without_an_answer_has_ended_and_not_another_in_its_place() {
    let mut reactions = Reactions::default();
    let first = reactions.comes(7, 0);
    reactions.fails(0, 7, failed(None), 0);
    let second = reactions.comes(7, 10);
    // What is left of the first goes away late.
    reactions.goes_wrong(7, first, 20);
    assert_eq!((one(&reactions).going_on, one(&reactions).given_up), (1, 0));
    reactions.goes_wrong(7, second, 30);
    let reaction = reactions.so_far(31 + REST_MS)[&0];
    assert_eq!((reaction.going_on, reaction.given_up), (0, 1));
    assert_eq!(reaction.gave_up.later, 1);
}

#[test]
fn a_task_that_failed_just_now_may_be_tried_again_whatever_it_was_told() {
    let mut reactions = Reactions::default();
    let no_use = Failed {
        next: Next::Open,
        ..failed(None)
    };
    reactions.fails(0, 1, no_use, 0);
    reactions.fails(0, 2, failed(None), 0);
    let failed = |now: u64| reactions.so_far(now)[&0].failed_for_good();
    assert_eq!([failed(1), failed(REST_MS), failed(REST_MS + 1)], [0, 0, 2]);
    let mut ended = reactions.so_far(1)[&0];
    ended.target_has_ended();
    assert_eq!(ended.failed_for_good(), 2);
}

#[test]
fn a_task_is_given_up_when_no_other_try_is_to_come() {
    let mut reactions = Reactions::default();
    reactions.fails(0, 1, failed(None), 0);
    reactions.fails(0, 2, failed(Some(60_000)), 0);
    reactions.fails(0, 3, failed(None), 0);
    reactions.comes(3, 8_000);
    reactions.fails(0, 3, failed(None), 8_000);
    // No other try helps against this.
    let never = Failed {
        next: Next::Open,
        ..failed(None)
    };
    reactions.fails(0, 4, never, 0);
    let at = |now: u64| {
        let reaction = reactions.so_far(now)[&0];
        let Reaction {
            gave_up, undecided, ..
        } = reaction;
        let left = [gave_up.at_once, gave_up.later, gave_up.most_tries];
        (reaction.given_up, left, undecided.tasks())
    };
    assert_eq!(at(REST_MS), (4, [0, 0, 0], 3));
    assert_eq!(at(REST_MS + 1), (4, [1, 0, 1], 2));
    assert_eq!(at(8_000 + 24_001), (4, [1, 1, 2], 1));
    assert_eq!(at(60_001), (4, [2, 1, 2], 0));
    assert_eq!(reactions.so_far(0)[&0].retryable, 3);
}

#[test]
fn an_answer_that_comes_late_leaves_no_task_open() {
    let mut reactions = Reactions::default();
    reactions.fails(0, 7, failed(None), 0);
    reactions.comes_late(7);
    reactions.comes(7, 50);
    let reaction = one(&reactions);
    assert_eq!((reaction.tasks, reaction.tries), (1, 1));
    assert_eq!((reaction.late, reaction.given_up), (1, 0));
}

/// What a client that sends its requests so is told of two tries, of which the first has lost its answer.
fn twice(first: Repeat, second: Repeat) -> [u64; 3] {
    let mut reactions = Reactions::default();
    reactions.comes(7, 0);
    reactions.is_carried_out(7, first);
    let cut = Failed {
        effect: Effect::Unacknowledged(first),
        ..failed(None)
    };
    reactions.fails(0, 7, cut, 0);
    reactions.comes(7, 10);
    reactions.is_carried_out(7, second);
    reactions.goes_well(7);
    // The same words again are another task.
    reactions.comes(7, 20);
    reactions.is_carried_out(7, second);
    let reaction = one(&reactions);
    [reaction.unacknowledged, reaction.duplicates, reaction.keyed]
}

#[test]
fn an_effect_comes_twice_without_a_key_and_once_with_one() {
    assert_eq!(twice(Repeat::Anew, Repeat::Anew), [1, 1, 0]);
    assert_eq!(twice(Repeat::Keyed(1), Repeat::Keyed(1)), [1, 0, 1]);
    assert_eq!(twice(Repeat::Keyed(1), Repeat::Keyed(2)), [1, 1, 0]);
    assert_eq!(twice(Repeat::Idempotent, Repeat::Idempotent), [0, 0, 0]);
    // What a model answers twice is paid for twice, and no effect.
    let [bare, keyed] = [Repeat::Answer(None), Repeat::Answer(Some(1))];
    assert_eq!(twice(bare, bare), [1, 0, 0]);
    assert_eq!(twice(keyed, bare), [1, 0, 0]);
    assert_eq!(twice(keyed, keyed), [1, 0, 1]);
}

#[test]
fn what_the_server_never_got_has_no_effect_twice() {
    let mut reactions = Reactions::default();
    reactions.fails(0, 7, failed(None), 0);
    reactions.comes(7, 10);
    reactions.is_carried_out(7, Repeat::Anew);
    reactions.goes_well(7);
    let reaction = one(&reactions);
    assert_eq!((reaction.duplicates, reaction.made_good), (0, 1));
}

#[test]
fn half_an_answer_is_taken_for_the_whole_where_it_comes_back_as_one() {
    const HALF: &str = "All is well, but";
    let said = |messages: Value| serde_json::json!({ "messages": messages }).to_string();
    let body = |text: &str| {
        let block = serde_json::json!([{"type": "text", "text": text}]);
        said(serde_json::json!([
            {"role": "assistant", "content": block},
            {"role": "user", "content": "go on"},
        ]))
    };
    let last = said(serde_json::json!([{"role": "assistant", "content": HALF}]));
    let of_user = said(serde_json::json!([{"role": "user", "content": HALF}, {"role": "user"}]));
    let accepted = |reactions: &Reactions| one(reactions).accepted_truncations;
    let mut reactions = Reactions::default();
    // Two tries that were both cut are one answer.
    reactions.truncated(0, 1, 7, "All is well, but ");
    reactions.truncated(0, 1, 7, "All is well, but ");
    // The same request again is a try, and others of another target are another's.
    reactions.says(1, 7, body(HALF).as_bytes());
    reactions.says(2, 8, body(HALF).as_bytes());
    // It has got the rest by another way, or was told so by its user.
    for other in [&body("All is well, but not here"), HALF, &of_user] {
        reactions.says(1, 8, other.as_bytes());
    }
    assert_eq!(accepted(&reactions), 0);
    for _ in 0..2 {
        reactions.says(1, 8, body(HALF).as_bytes());
        assert_eq!(accepted(&reactions), 1);
    }
    // It has the model go on: it has noticed.
    reactions.truncated(0, 1, 7, HALF);
    reactions.fails(0, 7, failed(None), 0);
    reactions.says(1, 8, last.as_bytes());
    let reaction = one(&reactions);
    assert_eq!((reaction.gone_on, reaction.given_up), (1, 0));
    reactions.says(1, 8, body(HALF).as_bytes());
    assert_eq!(accepted(&reactions), 1);
    // Too short, made good by another try, and long ago.
    reactions.truncated(0, 1, 9, "ok");
    reactions.says(1, 10, body("ok").as_bytes());
    reactions.truncated(0, 1, 9, HALF);
    reactions.goes_well(9);
    reactions.says(1, 10, body(HALF).as_bytes());
    reactions.truncated(0, 1, 9, HALF);
    for _ in 0..MOST_REQUESTS {
        reactions.says(1, 10, body("else").as_bytes());
    }
    reactions.says(1, 10, body(HALF).as_bytes());
    assert_eq!(accepted(&reactions), 1);
}

proptest! {
    /// Each task that a rule has met is made good, given up or goes on, once.
    #[test]
    fn every_task_is_accounted_for(acts in proptest::collection::vec((0u64..4, 0u8..7), 0..60)) {
        let mut reactions = Reactions::default();
        let mut numbers = HashMap::<Task, Number>::new();
        let mut held = Vec::new();
        for (now, (task, act)) in (0..).zip(acts) {
            let number = numbers.get(&task).copied().unwrap_or_default();
            match act {
                0 => {
 numbers.insert(task, reactions.comes(task, now));
}
                1 => reactions.fails(0, task, failed(None), now),
                2 => reactions.goes_well(task),
                3 => reactions.comes_late(task),
                4 => held.push(reactions.holds(0, task, now)),
                5 => {
                    if let Some(one) = held.pop() {
                        reactions.was_held(one, LET_GO, now);
                    }
                }
                _ => reactions.goes_wrong(task, number, now),
            }
        }
        let open = reactions.open.values();
        let going_on = open.filter(|one| !matches!(one.last, Last::Ended(_))).count() as u64;
        let reaction = one(&reactions);
        prop_assert_eq!(reaction.tasks, reaction.made_good + reaction.given_up + reaction.late + going_on);
        prop_assert!(reaction.tries >= reaction.tasks && reaction.most_tries <= reaction.tries);
    }

    /// Nothing is said of tasks that no fault meets, whatever is asked for them, how often, and how their server answers: what is
    /// said of another task of the same target, which a fault meets, is the same without them.
    #[test]
    fn of_a_quiet_history_nothing_is_said(
        acts in proptest::collection::vec((0u64..4, 0u8..6, 0u64..20_000), 4..100),
    ) {
        const MET: Task = 9;
        let (mut reactions, mut alone) = (Reactions::default(), Reactions::default());
        let mut now = 0;
        let mut last = Number::default();
        let quarter = acts.len() / 4;
        let lost = Failed { effect: Effect::Unacknowledged(Repeat::Anew), ..failed(Some(1_000)) };
        for (place, (task, act, passes)) in (0..).zip(acts) {
            now += passes;
            for both in [&mut reactions, &mut alone] {
                match place {
                    0 => {
 both.comes(MET, now);
}
                    place if place == quarter => {
                        both.fails(0, MET, lost, now);
                        both.truncated(0, 0, MET, "All is well, but");
                    }
                    place if place == 2 * quarter => {
 both.comes(MET, now);
}
                    place if place == 3 * quarter => both.is_carried_out(MET, Repeat::Anew),
                    _ => {}
                }
            }
            match act {
                0 | 1 => last = reactions.comes(task, now),
                2 => reactions.is_carried_out(task, Repeat::Anew),
                3 => reactions.goes_well(task),
                4 => reactions.is_unacknowledged(0, task, Repeat::Anew),
                _ => reactions.goes_wrong(task, last, now),
            }
            let body = r#"{"messages":[{"role":"assistant","content":"All is well"},{}]}"#;
            reactions.says(0, task, body.as_bytes());
        }
        let (all, of_one) = (reactions.so_far(now + 1), alone.so_far(now + 1));
        prop_assert_eq!(of_one[&0].tasks, 1);
        prop_assert_eq!(all, of_one);
    }

    /// A client that tries thrice at most, waits as it is told, has a key for each task and gets an answer in the end has no
    /// flaw, whatever it is met by; one that leaves a task behind its first failure has.
    #[test]
    fn a_careful_client_has_no_flaw(
        tasks in proptest::collection::vec((1u8..3, 0u8..3, 0u64..5_000, any::<bool>()), 1..40),
    ) {
        let mut reactions = Reactions::default();
        let mut now = 0;
        for (task, (fails, how, wait, is_carried_out)) in (0..).zip(tasks) {
            let repeat = Repeat::Keyed(task);
            for _ in 0..fails {
                reactions.comes(task, now);
                let mut failed = failed((how == 0).then_some(wait));
                if is_carried_out {
                    reactions.is_carried_out(task, repeat);
                    failed.effect = Effect::Unacknowledged(repeat);
                }
                if how == 1 {
                    let number = reactions.holds(0, task, now);
                    reactions.was_held(number, Held::LetGo(failed.effect), now + wait);
                } else {
                    reactions.fails(0, task, failed, now);
                }
                now += wait;
            }
            reactions.comes(task, now);
            reactions.is_carried_out(task, repeat);
            reactions.goes_well(task);
        }
        let reaction = reactions.so_far(now + 100_000)[&0];
        prop_assert!(reaction.flaws().is_empty(), "{:?}", reaction.words());
        prop_assert!(reaction.is_made_good());
        reactions.comes(u64::MAX, now);
        reactions.fails(0, u64::MAX, failed(None), now);
        let flaws = reactions.so_far(now + 100_000)[&0].flaws();
        prop_assert_eq!(flaws, [Flaw::GaveUp]);
    }
}
