//! The order of the asking, by a clock that is set by hand.

use std::sync::mpsc::{self, Receiver, Sender};

use injector_record::escalation::{Acknowledgement, Answer, Escalated, Matter};
use proptest::prelude::*;

use super::{
    asking::{Surroundings, ask},
    *,
};

const SECOND: u64 = 1_000_000_000;

/// What telling one comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Works,
    Fails,
    Hangs,
    /// Works after three seconds.
    Slow,
}

struct Play {
    now: u64,
    tellings: Vec<Telling>,
    /// Those that hang.
    kept: Vec<Sender<Result<(), String>>>,
    /// Those that are slow, and when they have worked.
    slow: Vec<(u64, Sender<Result<(), String>>)>,
    answered_at: Option<u64>,
    over_at: u64,
    turns: Vec<Escalated>,
}

impl Play {
    fn of(tellings: &[Telling]) -> Self {
        Self {
            now: 7 * SECOND,
            tellings: tellings.to_vec(),
            kept: Vec::new(),
            slow: Vec::new(),
            answered_at: None,
            over_at: u64::MAX,
            turns: Vec::new(),
        }
    }

    /// Asks one after the other, who have ten seconds each.
    fn asked(self) -> Vec<Escalated> {
        self.asked_within(Duration::from_secs(10))
    }

    fn asked_within(mut self, within: Duration) -> Vec<Escalated> {
        let chain = chain(self.tellings.len(), within);
        ask(&chain, Matter::Halted, &mut self);
        self.turns
    }
}

fn chain(length: usize, within: Duration) -> Chain {
    let link = |number| Link {
        to: format!("n{number}").parse().unwrap(),
        way: NotifierWay::Journald,
        within,
    };
    Chain((0..length).map(link).collect())
}

impl Surroundings for Play {
    fn now_ns(&self) -> u64 {
        self.now
    }

    fn rest(&mut self) {
        self.now += SECOND / 20;
        let now = self.now;
        for (_, sender) in self.slow.extract_if(.., |(at, _)| *at <= now) {
            let _ = sender.send(Ok(()));
        }
    }

    fn tell(&mut self, _link: &Link) -> Receiver<Result<(), String>> {
        let (sender, receiver) = mpsc::channel();
        match self.tellings.remove(0) {
            Telling::Works => drop(sender.send(Ok(()))),
            Telling::Fails => drop(sender.send(Err("refused".into()))),
            Telling::Hangs => self.kept.push(sender),
            Telling::Slow => self.slow.push((self.now + 3 * SECOND, sender)),
        }
        receiver
    }

    fn answer(&mut self) -> Option<Answer> {
        let is_there = self.answered_at.is_some_and(|at| self.now >= at);
        is_there.then(|| Answer::Acknowledged {
            acknowledgement: acknowledgement(self.now),
        })
    }

    fn is_over(&self) -> bool {
        self.now >= self.over_at
    }

    fn turn(&mut self, turn: Escalated) {
        self.turns.push(turn);
    }
}

fn acknowledgement(boot_ns: u64) -> Acknowledgement {
    Acknowledgement {
        by_uid: 0,
        by_name: None,
        by_pid: 1,
        login_uid: None,
        boot_ns,
    }
}

/// Whom was asked, and when, in milliseconds.
fn asked(turns: &[Escalated]) -> Vec<(String, u64)> {
    let one = |turn: &Escalated| match turn {
        Escalated::Asked { to, after_ms, .. } => Some((to.to_string(), *after_ms)),
        _ => None,
    };
    turns.iter().filter_map(one).collect()
}

#[test]
fn one_who_hangs_or_fails_keeps_the_next_waiting_for_no_longer_than_its_time() {
    let turns = Play::of(&[
        Telling::Hangs,
        Telling::Works,
        Telling::Fails,
        Telling::Works,
    ])
    .asked();
    let expected = [("n0", 0), ("n1", 10_000), ("n2", 20_000), ("n3", 20_000)];
    let expected: Vec<_> = expected
        .iter()
        .map(|(to, at)| ((*to).to_owned(), *at))
        .collect();
    assert_eq!(asked(&turns), expected, "{turns:#?}");
    assert_eq!(
        turns.last(),
        Some(&Escalated::Unanswered { after_ms: 30_000 })
    );
    let is_not_reached =
        |turn: &&Escalated| matches!(turn, Escalated::NotReached { to, .. } if to.as_str() == "n2");
    assert_eq!(turns.iter().filter(is_not_reached).count(), 1);
}

#[test]
fn the_last_one_is_told_though_telling_takes_longer_than_an_answer_may() {
    let second = Duration::from_secs(1);
    let turns = Play::of(&[Telling::Slow]).asked_within(second);
    let to = || "n0".parse().unwrap();
    let expected = [
        Escalated::Reached {
            to: to(),
            after_ms: 3_000,
        },
        Escalated::Unanswered { after_ms: 3_000 },
    ];
    assert_eq!(turns[1..], expected, "{turns:#?}");
    // What never comes is on record by name, and waited for no longer than telling may take.
    let turns = Play::of(&[Telling::Hangs]).asked_within(second);
    let expected = [
        Escalated::NotReached {
            to: to(),
            after_ms: 5_000,
            why: "no answer within 5s".into(),
        },
        Escalated::Unanswered { after_ms: 5_000 },
    ];
    assert_eq!(turns[1..], expected, "{turns:#?}");
    let mut play = Play::of(&[Telling::Hangs]);
    play.answered_at = Some(7 * SECOND + 2 * SECOND);
    let turns = play.asked_within(second);
    assert!(
        matches!(
            turns.last(),
            Some(Escalated::Answered {
                after_ms: 2_000,
                ..
            })
        ),
        "{turns:#?}"
    );
}

#[test]
fn the_first_answer_ends_it() {
    let mut play = Play::of(&[Telling::Works, Telling::Hangs, Telling::Works]);
    play.answered_at = Some(7 * SECOND + 12 * SECOND);
    let turns = play.asked();
    assert_eq!(asked(&turns).len(), 2, "{turns:#?}");
    assert!(
        matches!(
            turns.last(),
            Some(Escalated::Answered {
                after_ms: 12_000,
                ..
            })
        ),
        "{turns:#?}"
    );
}

#[test]
fn what_is_over_is_not_asked_about() {
    let mut play = Play::of(&[Telling::Hangs, Telling::Works]);
    play.over_at = 8 * SECOND;
    let turns = play.asked();
    assert_eq!(asked(&turns).len(), 1, "{turns:#?}");
    assert!(!turns.iter().any(Escalated::is_last), "{turns:#?}");
}

proptest! {
    /// Each is asked once, in order, no later than by the times of those before it, and there is one last turn.
    #[test]
    fn every_one_is_asked_in_time(tellings in prop::collection::vec(
        prop_oneof![Just(Telling::Works), Just(Telling::Fails), Just(Telling::Hangs), Just(Telling::Slow)], 1..8)) {
        let turns = Play::of(&tellings).asked();
        let asked = asked(&turns);
        prop_assert_eq!(asked.len(), tellings.len());
        let mut latest = 0;
        for ((to, at), (number, telling)) in asked.iter().zip(tellings.iter().enumerate()) {
            prop_assert_eq!(to, &format!("n{number}"));
            prop_assert_eq!(*at, latest);
            latest += if *telling == Telling::Fails { 0 } else { 10_000 };
        }
        prop_assert_eq!(turns.iter().filter(|turn| turn.is_last()).count(), 1);
    }
}

const CONFIG: &str = "[[notifier]]\nname = \"on-call\"\nkind = \"journald\"\n[[notifier]]\nname = \"lead\"\n\
                      kind = \"command\"\ncommand = [\"/bin/true\"]\n\
                      [escalation]\nescalate = [{ to = \"lead\", within = \"2m\" }]\n";

fn step(to: &str) -> EscalationStep {
    EscalationStep {
        to: to.parse().unwrap(),
        within: Duration::from_mins(1),
    }
}

#[test]
fn an_experiment_goes_before_the_host_and_a_guest_leaves_no_owner_out() {
    let config = Config::parse(CONFIG, "f.toml").unwrap();
    let whom = |named: &[EscalationStep]| {
        let chain = Chain::of(&config, named).0;
        chain
            .iter()
            .map(|link| (link.to.to_string(), link.within.as_secs()))
            .collect::<Vec<_>>()
    };
    assert_eq!(whom(&[]), [("lead".to_owned(), 120)]);
    assert_eq!(whom(&[step("on-call")]), [("on-call".to_owned(), 60)]);
    assert!(Chain::of(&Config::default(), &[]).is_empty());
    let refused = |named: &[EscalationStep], by| check(&config, named, by).unwrap_err();
    let unknown = refused(&[step("on-call"), step("boss")], WhoAsks::Owner);
    assert!(
        unknown.message.contains("`escalate[1].to` names `boss`"),
        "{unknown}"
    );
    assert!(unknown.message.contains("has on-call, lead"), "{unknown}");
    let left_out = refused(&[step("on-call")], WhoAsks::Guest);
    assert!(left_out.message.contains("leaves out `lead`"), "{left_out}");
    for (named, by) in [
        (vec![], WhoAsks::Guest),
        (vec![step("on-call"), step("lead")], WhoAsks::Guest),
        (vec![step("on-call")], WhoAsks::Owner),
    ] {
        assert!(check(&config, &named, by).is_ok());
    }
}
