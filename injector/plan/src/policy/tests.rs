//! Each limit refuses what exceeds it and nothing else, and its own override lifts it and no other.

use std::time::Duration;

use injector_common::threshold::Threshold;
use proptest::prelude::*;

use super::*;
use injector_spec::{
    config::{ConfigError, Day, TimeOfDay},
    experiment::file,
};

mod blast_radius;

const EVERY_OVERRIDE: [fn() -> Override; 8] = [
    || Override::ManyProcesses,
    || Override::LargeShare,
    || Override::ManyHits,
    || Override::ManyExperiments,
    || Override::Long,
    || Override::OutsideHours,
    || Override::Fault("net.loss".into()),
    || Override::Protected("agent".into()),
];

fn config(text: &str) -> Config {
    let parsed: Result<_, ConfigError> = Config::parse(text, "injector.toml");
    parsed.unwrap()
}

fn experiment(seconds: u64, hits: u64) -> Experiment {
    let text = format!(
        "targets: {{ a: {{ pid: 7 }} }}\nduration: {seconds}s\nfaults: [net.loss: {{ percent: 1%, max-hits: {hits} }}]\n"
    );
    file::parse(&text, "x.yaml", None).unwrap()
}

/// A target by process: the first `members` of a cgroup with `population` processes.
fn footprint(members: usize) -> Footprint {
    let member = |pid| Member {
        pid,
        comm: "agent".into(),
        cgroup: "/agent.slice/a.scope".into(),
    };
    Footprint {
        target: "a".into(),
        picked: None,
        cgroup: None,
        members: (1..).take(members).map(member).collect(),
    }
}

/// A question; what it leaves out is within every limit.
struct Asked {
    config: Config,
    seconds: u64,
    hits: u64,
    members: usize,
    population: usize,
    running: usize,
    hour: u16,
    door: Door,
    uid: u32,
    overrides: Vec<Override>,
    /// The experiment's own word.
    own: Option<BlastRadius>,
}

impl Asked {
    fn of(text: &str) -> Self {
        Self {
            config: config(text),
            seconds: 10,
            hits: 5,
            members: 2,
            population: 4,
            running: 0,
            hour: 12,
            door: Door::OneShot,
            uid: 0,
            overrides: Vec::new(),
            own: None,
        }
    }

    fn decide(&self) -> Verdict {
        self.ask(decide)
    }

    fn ask(&self, question: fn(&Case<'_>) -> Verdict) -> Verdict {
        let experiment = Experiment {
            blast_radius: self.own.map(Box::new),
            ..experiment(self.seconds, self.hits)
        };
        let experiment = bound(experiment, &self.config);
        let cgroup = PathBuf::from("/agent.slice/a.scope");
        question(&Case {
            config: &self.config,
            experiment: &experiment,
            footprints: &[footprint(self.members)],
            populations: &BTreeMap::from([(cgroup, self.population)]),
            running: self.running,
            now: Moment {
                day: Day::Wed,
                time: TimeOfDay::new(self.hour, 0).unwrap(),
            },
            door: self.door,
            uid: self.uid,
            overrides: &self.overrides,
        })
    }
}

/// Limits that the usual question exceeds, each with the override that lifts it.
fn exceeded() -> Vec<(&'static str, Override)> {
    let texts = [
        "[limits]\nmax_processes = 1",
        "[limits]\nmax_share = \"49%\"",
        "[limits]\nmax_hits = 4",
        "[limits]\nmax_experiments = 1",
        "[limits]\nmax_duration = \"9s\"",
        "[hours]\nfrom = \"13:00\"",
        "[faults]\nallow = [\"net.delay\", \"dns.*\"]",
        "[protected]\nprocesses = [\"agent\"]",
    ];
    texts
        .into_iter()
        .zip(EVERY_OVERRIDE.map(|make| make()))
        .collect()
}

fn usual(text: &str) -> Asked {
    Asked {
        running: 1,
        ..Asked::of(text)
    }
}

#[test]
fn the_usual_question_is_within_the_defaults() {
    let verdict = usual("").decide();
    assert_eq!(verdict.refusal(), None);
    let Radius {
        processes,
        shares,
        picked: _,
        faults,
        max_hits,
        duration,
    } = verdict.radius;
    assert_eq!((processes, max_hits), (2, 5));
    assert_eq!(
        shares,
        [Share {
            cgroup: "/agent.slice/a.scope".into(),
            processes: 2,
            of: 4
        }]
    );
    assert_eq!(faults.into_iter().collect::<Vec<_>>(), ["net.loss"]);
    assert_eq!(duration, Duration::from_secs(10));
}

#[test]
fn each_limit_refuses_and_its_own_override_lifts_it() {
    for (text, own) in exceeded() {
        let asked = usual(text);
        let verdict = asked.decide();
        assert_eq!(verdict.refused.len(), 1, "{text}: {:?}", verdict.refused);
        let refusal = verdict.refusal().unwrap();
        assert_eq!(refusal.exit, injector_spec::error::Exit::Unsafe);
        assert!(refusal.message.contains(&own.to_string()), "{refusal}");
        for other in EVERY_OVERRIDE.map(|make| make()) {
            let lifts = other == own;
            let verdict = Asked {
                overrides: vec![other.clone()],
                ..usual(text)
            }
            .decide();
            assert_eq!(verdict.refusal().is_none(), lifts, "{text} by {other}");
            assert_eq!(
                verdict.lifted_by(&other).is_some(),
                lifts,
                "{text} by {other}"
            );
        }
    }
}

#[test]
fn an_override_by_others_than_root_lifts_nothing() {
    for (text, own) in exceeded() {
        let asked = Asked {
            uid: 1000,
            overrides: vec![own],
            ..usual(text)
        };
        let verdict = asked.decide();
        let is_about_it = |violation: &Violation| {
            matches!(violation, Violation::OverrideByOthers { uid: 1000, .. })
        };
        assert!(verdict.refused.iter().any(is_about_it), "{text}");
    }
}

#[test]
fn the_daemons_gates_are_both_needed_and_lifted_by_nothing() {
    let open = "[daemon]\nenabled = true\nallow = [\"/other.slice\", \"/agent.slice\"]";
    for (text, expected) in [
        ("", false),
        ("[daemon]\nenabled = true", false),
        ("[daemon]\nallow = [\"/agent.slice\"]", false),
        (
            "[daemon]\nenabled = true\nallow = [\"/other.slice\"]",
            false,
        ),
        (open, true),
    ] {
        let asked = Asked {
            door: Door::Daemon,
            overrides: EVERY_OVERRIDE.map(|make| make()).to_vec(),
            ..usual(text)
        };
        assert_eq!(asked.decide().refusal().is_none(), expected, "{text}");
        assert!(usual(text).decide().refusal().is_none(), "{text}");
    }
}

/// An empty cgroup is a target of the daemon's only below an allowed root.
#[test]
fn the_gate_asks_for_the_cgroup_itself() {
    let config = config("[daemon]\nenabled = true\nallow = [\"/agent.slice\"]");
    let experiment = bound(experiment(1, 1), &config);
    let decided = |path: &str| {
        let footprint = Footprint {
            target: "a".into(),
            picked: None,
            cgroup: Some(path.into()),
            members: vec![],
        };
        decide(&Case {
            config: &config,
            experiment: &experiment,
            footprints: &[footprint],
            populations: &BTreeMap::new(),
            running: 0,
            now: Moment {
                day: Day::Wed,
                time: TimeOfDay::new(1, 0).unwrap(),
            },
            door: Door::Daemon,
            uid: 0,
            overrides: &[],
        })
        .refusal()
    };
    assert_eq!(decided("/agent.slice/new.scope"), None);
    assert!(decided("/agent.slice2").is_some());
    assert!(decided("/").is_some());
}

#[test]
fn what_is_protected_is_found_from_above_and_below() {
    let config = |cgroup: &str| {
        config(&format!(
            "[protected]\ncgroups = [\"{cgroup}\"]\nunits = [\"db\"]"
        ))
    };
    let decided = |config: &Config, own: Option<&str>, member: &str| {
        let experiment = bound(experiment(1, 1), config);
        let footprint = Footprint {
            target: "a".into(),
            picked: None,
            cgroup: own.map(Into::into),
            members: vec![Member {
                pid: 7,
                comm: "x".into(),
                cgroup: member.into(),
            }],
        };
        let verdict = decide(&Case {
            config,
            experiment: &experiment,
            footprints: &[footprint],
            populations: &BTreeMap::new(),
            running: 0,
            now: Moment {
                day: Day::Sun,
                time: TimeOfDay::new(0, 0).unwrap(),
            },
            door: Door::OneShot,
            uid: 0,
            overrides: &[],
        });
        verdict.refusal().is_some()
    };
    let inside = config("/a.slice/b.scope");
    assert!(decided(&inside, None, "/a.slice/b.scope/c"));
    assert!(
        decided(&inside, Some("/a.slice"), "/a.slice/x"),
        "from above"
    );
    assert!(!decided(&inside, Some("/a.slice/x"), "/a.slice/x"));
    assert!(decided(&inside, None, "/system.slice/db.service"));
    assert!(!decided(&inside, None, "/system.slice/db2.service"));
}

#[test]
fn a_fault_without_a_budget_gets_the_hosts() {
    let text = "targets: { a: { pid: 7 } }\nduration: 1s\nfaults: [net.blackhole]\n";
    let experiment = file::parse(text, "x.yaml", None).unwrap();
    let bounded = bound(experiment, &config("[limits]\nmax_hits = 77"));
    assert_eq!(bounded.steps[0].faults[0].chance.max_hits, Some(77));
}

#[test]
fn a_share_that_is_just_allowed_is_allowed() {
    let asked = Asked {
        members: 1,
        population: 5,
        ..Asked::of("[limits]\nmax_share = \"20%\"")
    };
    assert_eq!(asked.decide().refused, []);
}

proptest! {
    /// The verdict is what the numbers say, one by one.
    #[test]
    fn limits_are_kept_exactly(
        seconds in 1u64..50, hits in 1u64..50, members in 0usize..12, others in 0usize..12,
        running in 0usize..6, hour in 0u16..24,
        most_seconds in 1u64..50, most_hits in 0u64..50, most_processes in 1usize..12,
        most_percent in 0usize..=100, most_running in 1usize..6, from in 0u16..24,
    ) {
        let text = format!(
            "[limits]\nmax_duration = \"{most_seconds}s\"\nmax_hits = {most_hits}\n\
             max_processes = {most_processes}\nmax_share = \"{most_percent}%\"\n\
             max_experiments = {most_running}\n[hours]\nfrom = \"{from:02}:00\"\n"
        );
        let population = members + others;
        let asked = Asked {
            seconds, hits, members, population, running, hour, ..Asked::of(&text)
        };
        let verdict = asked.decide();
        let expected = [
            (seconds > most_seconds, Override::Long),
            (hits > most_hits, Override::ManyHits),
            (members > most_processes, Override::ManyProcesses),
            // A threshold of some percent is rounded to 2^-32; no share of so few lies that close.
            (members * 100 > most_percent * population, Override::LargeShare),
            (running >= most_running, Override::ManyExperiments),
            (hour < from, Override::OutsideHours),
        ];
        for (is_refused, by) in expected {
            let found = verdict.refused.iter().any(|v| v.lifted_by().as_ref() == Some(&by));
            prop_assert_eq!(found, is_refused, "{} {:?}", by, &verdict);
        }
        prop_assert_eq!(verdict.radius.processes, members);
    }

    /// A larger limit never refuses what a smaller one lets through.
    #[test]
    fn a_share_is_monotonous(processes in 0usize..1000, others in 0usize..1000, most: u32) {
        let share = Share {
            cgroup: PathBuf::new(),
            processes,
            of: processes + others,
        };
        prop_assert!(!share.exceeds(Threshold::ALWAYS));
        prop_assert_eq!(share.exceeds(Threshold(0)), processes > 0);
        if share.exceeds(Threshold(most)) {
            prop_assert!(share.exceeds(Threshold(most / 2)));
        }
    }
}

/// Of a target that was made again it is asked which processes it reaches, and not when and what for.
#[test]
fn whom_a_run_reaches_is_asked_once_more() {
    let again = |text: &str, door| {
        let asked = Asked {
            door,
            ..Asked::of(text)
        };
        asked.ask(once_more).refusal()
    };
    for text in [
        "[limits]\nmax_processes = 1",
        "[limits]\nmax_share = \"49%\"",
        "[protected]\nprocesses = [\"agent\"]",
        "[protected]\ncgroups = [\"/agent.slice\"]",
    ] {
        assert!(again(text, Door::OneShot).is_some(), "{text}");
    }
    for text in [
        "[limits]\nmax_hits = 4",
        "[limits]\nmax_duration = \"9s\"",
        "[hours]\nfrom = \"13:00\"",
        "[faults]\nallow = [\"net.delay\"]",
    ] {
        assert_eq!(again(text, Door::OneShot), None, "{text}");
    }
    let elsewhere = "[daemon]\nenabled = true\nallow = [\"/other.slice\"]";
    assert!(again(elsewhere, Door::Daemon).is_some());
    assert_eq!(again(elsewhere, Door::OneShot), None);
    let protected = "[protected]\nprocesses = [\"agent\"]";
    let lifted = Asked {
        overrides: vec![Override::Protected("agent".into())],
        ..Asked::of(protected)
    };
    assert_eq!(lifted.ask(once_more).refusal(), None);
}

/// The kernel's names may have odd bytes; the configuration writes them as they are.
#[test]
fn a_protected_name_with_odd_characters_is_found() {
    let config = config("[protected]\nprocesses = [\"it's caf\u{e9}\"]");
    let mut footprint = footprint(1);
    footprint.members[0].comm = "it's caf\u{e9}".escape_default().to_string();
    let experiment = bound(experiment(10, 5), &config);
    let case = Case {
        config: &config,
        experiment: &experiment,
        footprints: &[footprint],
        populations: &BTreeMap::new(),
        running: 0,
        now: Moment {
            day: Day::Wed,
            time: TimeOfDay::new(12, 0).unwrap(),
        },
        door: Door::OneShot,
        uid: 0,
        overrides: &[],
    };
    assert!(decide(&case).refusal().is_some());
}

#[test]
fn what_is_reached_beside_a_target_is_asked_where_it_is_and_whether_it_is_protected() {
    let asked = |text: &str, door| Asked {
        door,
        // No limit of how many counts for it.
        members: 1_000,
        running: 1_000,
        ..Asked::of(text)
    };
    let refused = |asked: &Asked| asked.ask(beside).refusal().is_some();
    let root = Door::OneShot;
    assert!(!refused(&asked("", root)));
    assert!(refused(&asked(
        "[protected]\nprocesses = [\"agent\"]",
        root
    )));
    assert!(refused(&asked(
        "[protected]\ncgroups = [\"/agent.slice\"]",
        root
    )));
    let daemon = |allow| {
        let text = format!("[daemon]\nenabled = true\nallow = [\"{allow}\"]");
        asked(&text, Door::Daemon)
    };
    assert!(!refused(&daemon("/agent.slice")));
    assert!(refused(&daemon("/other.slice")));
}
