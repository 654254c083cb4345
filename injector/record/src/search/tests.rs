use proptest::prelude::*;

use super::*;
use crate::{
    measure::Fate,
    trials::tests::{held, trial},
};
use injector_spec::error::Refusal;

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn scale(from: &str, to: &str) -> Scale {
    Scale::new(amount(from), amount(to)).unwrap()
}

fn rules(repeat: usize, most_runs: usize) -> Rules {
    Rules {
        within: "5%".parse().unwrap(),
        repeat,
        most_runs,
    }
}

/// Searches with a victim, which is asked about each value.
fn search(scale: Scale, rules: Rules, mut victim: impl FnMut(Amount) -> Answer) -> (Search, Over) {
    let mut search = Search::new(scale, rules);
    loop {
        match search.next() {
            Next::Run(value) => search.told(value, victim(value)),
            Next::Over(over) => return (search, over),
        }
    }
}

fn answer(breaks: bool) -> Answer {
    if breaks { Answer::Broke } else { Answer::Held }
}

/// Breaks from this value on.
fn hard(limit: Amount) -> impl Fn(Amount) -> Answer {
    move |value| {
        answer(match limit {
            Amount::Rate(_) => value.number() <= limit.number(),
            Amount::Time(_) | Amount::Share(_) => value.number() >= limit.number(),
        })
    }
}

#[test]
fn values_are_round_and_the_ends_come_first() {
    let (search, over) = search(scale("10ms", "10s"), rules(1, 40), hard(amount("700ms")));
    assert_eq!(over, Over::Found);
    let tried: Vec<String> = search
        .tried()
        .iter()
        .map(|tried| tried.value.to_string())
        .collect();
    assert_eq!(
        tried,
        [
            "10ms", "10s", "300ms", "2s", "800ms", "500ms", "630ms", "710ms", "670ms", "690ms"
        ]
    );
    let bracket = search.bracket().unwrap();
    assert_eq!(
        (bracket.holds.value, bracket.breaks.value),
        (amount("690ms"), amount("710ms"))
    );
}

#[test]
fn less_of_a_rate_is_harsher() {
    let (rate, _) = search(
        scale("10kbit", "10mbit"),
        rules(1, 40),
        hard(amount("1mbit")),
    );
    assert_eq!(rate.tried()[0].value, amount("10mbit"));
    let Bracket { holds, breaks } = rate.bracket().unwrap();
    assert!(breaks.value.number() <= 1_000_000 && 1_000_000 < holds.value.number());
}

#[test]
fn ends_that_agree_end_the_search() {
    let long = || scale("1s", "2s");
    let (none, over) = search(long(), rules(3, 40), |_| Answer::Held);
    assert_eq!((over, none.runs()), (Over::NothingBreaks, 6));
    // The harsher end is spared the target.
    let (all, over) = search(long(), rules(3, 40), |_| Answer::Broke);
    assert_eq!(
        (over, all.runs(), all.bracket()),
        (Over::EverythingBreaks, 3, None)
    );
}

#[test]
fn what_does_not_tell_is_made_again_twice() {
    let mut runs = 0;
    let (told, over) = search(scale("1s", "2s"), rules(2, 40), |_| {
        runs += 1;
        if runs <= 2 {
            Answer::Inconclusive
        } else {
            Answer::Held
        }
    });
    assert_eq!(
        (over, told.tried()[0].inconclusive),
        (Over::NothingBreaks, 2)
    );
    assert_eq!(told.runs(), 6);
    let (told, over) = search(scale("1s", "2s"), rules(2, 40), |_| Answer::Inconclusive);
    assert_eq!((over, told.runs()), (Over::Inconclusive, MOST_AGAIN + 1));
}

#[test]
fn runs_have_an_end() {
    let (told, over) = search(scale("10ms", "10s"), rules(3, 10), hard(amount("700ms")));
    assert_eq!((over, told.runs()), (Over::OutOfRuns, 10));
    let Bracket { holds, breaks } = told.bracket().unwrap();
    assert_eq!(
        (holds.value, breaks.value),
        (amount("300ms"), amount("10s"))
    );
    // The last run that there may be can be the one that finds it.
    let (_, over) = search(scale("10ms", "10s"), rules(1, 10), hard(amount("700ms")));
    assert_eq!(over, Over::Found);
}

#[test]
fn most_of_the_runs_decide() {
    let mut runs = 0;
    let (told, _) = search(scale("1s", "1.01s"), rules(4, 40), |_| {
        runs += 1;
        // Two of four at the first value, three of four at the second.
        answer(runs % 2 == 0 || runs == 5)
    });
    assert!(!told.tried()[0].breaks() && told.tried()[1].breaks());
    assert_eq!((told.tried()[1].broke, told.tried()[1].judged()), (3, 4));
}

#[test]
fn ends_have_one_kind_and_an_order() {
    for (from, to, part) in [
        ("10ms", "5%", "are not of one kind"),
        ("1mbit", "1s", "are not of one kind"),
        ("1s", "1s", "is not below"),
        ("1mbit", "1kbit", "is not below"),
    ] {
        let said = Scale::new(amount(from), amount(to))
            .unwrap_err()
            .to_string();
        assert!(said.contains(part), "{said}");
    }
    for text in ["0%", "0.001%", "51%", "100%", "x"] {
        assert!(text.parse::<Within>().is_err(), "{text}");
    }
    assert!("0.01%".parse::<Within>().is_ok() && "50%".parse::<Within>().is_ok());
}

#[test]
fn a_verdict_is_an_answer_or_the_end() {
    let of = |verdict| Answer::of(&trial(verdict, Fate::Absorbed));
    assert_eq!(Answer::of(&held(Fate::Absorbed)), Ok(Answer::Held));
    assert_eq!(of(Verdict::Deviated("x".into())), Ok(Answer::Broke));
    assert_eq!(of(Verdict::Unsafe("x".into())), Ok(Answer::Broke));
    assert_eq!(
        of(Verdict::Inconclusive("x".into())),
        Ok(Answer::Inconclusive)
    );
    let refused = Trial::Refused(Refusal::endangers("no"));
    assert_eq!(Answer::of(&refused), Err("no".into()));
    let ran = |change: &dyn Fn(&mut crate::report::RunReport)| {
        let Trial::Ran(mut report) = trial(Verdict::Halted("x".into()), Fate::Absorbed) else {
            panic!("no report")
        };
        change(&mut report);
        Answer::of(&Trial::Ran(report))
    };
    let halted = |condition: Option<&str>| {
        let condition = condition.map(str::to_owned);
        ran(&|report| {
            report.outcome = Outcome::Halted { why: "why".into() };
            report.halt = Some(Box::new(crate::report::HaltReport {
                condition: condition.clone(),
                seen_boot_ns: 1,
                disarmed_after_us: 1,
                last_hit_after_us: None,
            }));
        })
    };
    assert_eq!(halted(Some("host.load > 8")), Ok(Answer::Broke));
    // A person's `injector halt` says nothing of the value.
    assert_eq!(halted(None), Err("why".into()));
    let left = ran(&|report| report.undo_errors.push("lo".into()));
    assert!(left.unwrap_err().contains("injector sweep"));
    let stopped = ran(&|report| report.outcome = Outcome::Stopped);
    assert!(stopped.unwrap_err().contains("stopped before its time"));
    let unjudged = ran(&|report| report.judgement = None);
    assert!(unjudged.unwrap_err().contains("neither a steady state"));
}

/// A victim by chance, the same at each call with the same seed.
struct Chance(u64);

impl Chance {
    fn is(&mut self, share: f64) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "53 bits of it")]
        let drawn = (self.0 >> 11) as f64 / 2_f64.powi(53);
        drawn < share
    }
}

/// How often a run breaks at a value of so many milliseconds.
type Noise = fn(f64) -> f64;

const NOISES: [(&str, Noise); 4] = [
    // What breaks now and then without a reason, which is told as a limit where chance is not shared out.
    ("seldom", |ms| if ms < 700.0 { 0.04 } else { 1.0 }),
    ("mostly", |ms| if ms < 700.0 { 0.0 } else { 0.9 }),
    ("slope", |ms| 1.0 / (1.0 + (ms / 700.0).powi(-4))),
    ("coin", |ms| {
        if ms < 11.0 {
            0.0
        } else if ms > 9_000.0 {
            1.0
        } else {
            0.5
        }
    }),
];

/// Where a victim is noisy, both statements are true in at least 95 of 100 searches.
#[test]
fn a_noisy_victim_is_told_as_one() {
    const SEARCHES: u32 = 2_000;
    for (name, noise) in NOISES {
        for repeat in [1, 3, 8] {
            let mut wrong = 0;
            let mut told = 0;
            for seed in 0..u64::from(SEARCHES) {
                let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let at = |value: Amount| {
                    noise(f64::from(u32::try_from(value.number() / 1_000).unwrap()) / 1_000.0)
                };
                let (search, _) = search(scale("10ms", "4s"), rules(repeat, 1_000), |value| {
                    answer(chance.is(at(value)))
                });
                let Some((bracket, confidence)) = search.bracket().zip(search.confidence()) else {
                    continue;
                };
                told += 1;
                let breaks = at(bracket.breaks.value);
                let holds = 1.0 - at(bracket.holds.value);
                if breaks < confidence.breaks_least || holds < confidence.holds_least {
                    wrong += 1;
                }
            }
            assert!(told > SEARCHES / 3, "{name}, {repeat}: {told}");
            assert!(
                f64::from(wrong) <= 0.05 * f64::from(told),
                "{name}, {repeat}: {wrong} of {told}"
            );
        }
    }
}

fn ends() -> impl Strategy<Value = (Amount, Amount, Amount)> {
    let three = |strategy: std::ops::Range<u64>| prop::array::uniform3(strategy);
    let sorted = |mut three: [u64; 3]| {
        three.sort_unstable();
        three
    };
    prop_oneof![
        three(1..86_400_000_000_000).prop_map(move |ns| sorted(ns).map(|ns| amount("1s").with(ns))),
        three(0..10_000).prop_map(move |ms| sorted(ms).map(|ms| amount("1s").with(ms * 1_000_000))),
        three(0..10_001).prop_map(move |share| sorted(share).map(|share| amount(&format!(
            "{}.{:02}%",
            share / 100,
            share % 100
        )))),
        three(1..1_000_000_000_000)
            .prop_map(move |bits| sorted(bits).map(|bits| amount("1bit").with(bits))),
    ]
    .prop_map(|[from, limit, to]| (from, limit, to))
}

proptest! {
    /// The bracket of a victim with a limit contains it, and is as narrow as was asked for.
    #[test]
    fn a_limit_is_found((from, limit, to) in ends(), repeat in 1..4_usize, hundredths in 1..5_000_u32) {
        prop_assume!(from.number() < to.number());
        let within: Within = format!("{}.{:02}%", hundredths / 100, hundredths % 100).parse().unwrap();
        let scale = Scale::new(from, to).unwrap();
        let is_descending = scale.mildest() == to;
        // The mildest end has to hold, and the harshest to break.
        let limit = if is_descending && limit == to { from } else if !is_descending && limit == from { to } else { limit };
        let rules = Rules { within, repeat, most_runs: 1_000 };
        let (told, over) = search(scale, rules, hard(limit));
        prop_assert_eq!(over, Over::Found);
        let Bracket { holds, breaks } = told.bracket().unwrap();
        if is_descending {
            prop_assert!(breaks.value.number() <= limit.number() && limit.number() < holds.value.number());
        } else {
            prop_assert!(holds.value.number() < limit.number() && limit.number() <= breaks.value.number());
        }
        let between = [holds.value, breaks.value];
        prop_assert!(scale.is_narrow(between, within) || breaks.value.number().abs_diff(holds.value.number()) == 1);
        prop_assert!(told.runs() == told.tried().len() * repeat);
        prop_assert!(told.tried().len() <= told.most_values() + 1, "{} of {}", told.tried().len(), told.most_values());
        // What a person writes again is what was run.
        for tried in told.tried() {
            prop_assert_eq!(tried.value.to_string().parse::<Amount>(), Ok(tried.value));
        }
    }

    /// Whatever a victim says, the search ends, within its runs.
    #[test]
    fn a_search_ends(seed: u64, repeat in 1..6_usize, most in 1..60_usize) {
        let mut chance = Chance(seed);
        let (told, _) = search(scale("0s", "1h"), rules(repeat, most), |_| {
            if chance.is(0.1) { Answer::Inconclusive } else { answer(chance.is(0.5)) }
        });
        prop_assert!(told.runs() <= most);
        prop_assert!(told.tried().iter().all(|tried| tried.judged() <= repeat && tried.inconclusive <= MOST_AGAIN + 1));
    }
}
