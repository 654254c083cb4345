use super::*;

const SECOND: u64 = 1_000_000_000;

fn key(tgid: u32) -> TaskKey {
    TaskKey {
        tgid,
        start_ticks: 1,
    }
}

fn death(at: u64) -> Death {
    Death {
        agent: key(1),
        root: key(2),
        name: "cat".into(),
        line: "cat".into(),
        ends: Vec::new(),
        at,
        reaped: None,
        closed: None,
        restarted: None,
        ended_behind: None,
    }
}

fn owned(members: &[u32]) -> Owned {
    Owned {
        name: "cat".into(),
        members: members.iter().map(|pid| key(*pid)).collect(),
        free_since: 0,
    }
}

fn said(death: Death, looked: u64) -> PluginReaction {
    let watch = Watch {
        deaths: vec![death],
        looked,
        ..Watch::default()
    };
    watch.reaction().unwrap()
}

#[test]
fn each_answer_counts_from_the_death() {
    let mut one = death(SECOND);
    let reaped = Seen {
        is_reaped: true,
        ..Seen::default()
    };
    one.look(SECOND + 60 * MS, reaped);
    let closed = Seen {
        is_closed: true,
        ..reaped
    };
    one.look(SECOND + 110 * MS, closed);
    let reaction = said(one, 60 * SECOND);
    assert_eq!(
        (reaction.longest_reaped_ms, reaction.longest_closed_ms),
        (Some(60), Some(110))
    );
    assert_eq!((reaction.unnoticed, reaction.restarted), (0, 0));
}

#[test]
fn nothing_for_long_enough_is_unnoticed_and_for_less_it_is_open() {
    let late = said(death(SECOND), 11 * SECOND);
    assert_eq!((late.unnoticed, late.unjudged), (1, 0));
    assert_eq!(late.longest_unnoticed_ms, Some(10_000));
    let early = said(death(SECOND), 11 * SECOND - MS);
    assert_eq!((early.unnoticed, early.unjudged), (0, 1));
}

#[test]
fn an_agent_that_ends_behind_its_plug_in_has_answered_nothing() {
    let gone = Seen {
        has_agent_ended: true,
        // As it looks when all of it is gone.
        is_reaped: true,
        is_closed: true,
        is_restarted: false,
    };
    let mut one = death(SECOND);
    one.look(2 * SECOND, gone);
    let soon = said(one, 60 * SECOND);
    assert_eq!(
        (soon.ended_behind, soon.unnoticed, soon.reaped, soon.closed),
        (1, 0, 0, 0)
    );
    let mut one = death(SECOND);
    one.look(20 * SECOND, gone);
    assert_eq!(said(one, 60 * SECOND).unnoticed, 1);
}

#[test]
fn what_lives_on_is_an_orphan_when_its_time_is_over() {
    let left = |looked| {
        let agent = Agent {
            plugins: BTreeMap::from([(key(7), owned(&[7, 8]))]),
            ended: Some(SECOND),
            ended_with: vec![40 * MS],
            ..Agent::default()
        };
        let watch = Watch {
            agents: BTreeMap::from([(key(1), agent)]),
            looked,
            ..Watch::default()
        };
        watch.reaction().unwrap()
    };
    let late = left(3 * SECOND);
    assert_eq!((late.orphans, late.orphans_unjudged), (1, 0));
    assert_eq!(
        (late.orphans_named[0].pid, late.orphans_named[0].outlived_ms),
        (7, 2_000)
    );
    assert_eq!((late.ended_with, late.longest_outlived_ms), (1, Some(40)));
    let early = left(3 * SECOND - MS);
    assert_eq!((early.orphans, early.orphans_unjudged), (0, 1));
}

/// A look, 8 s behind the end of an agent that had plug-ins of these processes.
fn left_behind(plugins: &[&[u32]]) -> Watch {
    let plugins = plugins
        .iter()
        .map(|members| (key(members[0]), owned(members)));
    let agent = Agent {
        plugins: plugins.collect(),
        ended: Some(SECOND),
        ..Agent::default()
    };
    Watch {
        agents: BTreeMap::from([(key(1), agent)]),
        looked: 9 * SECOND,
        ..Watch::default()
    }
}

#[test]
fn a_time_of_standing_still_is_not_held_against_a_plug_in() {
    let mut watch = left_behind(&[&[7], &[8]]);
    watch.let_go(key(7), 8 * SECOND);
    let reaction = watch.reaction().unwrap();
    assert_eq!((reaction.orphans, reaction.orphans_unjudged), (1, 1));
    assert_eq!(reaction.orphans_named[0].pid, 8);
}

#[test]
fn what_the_fault_itself_has_hit_is_neither_orphan_nor_ended() {
    let mut watch = left_behind(&[&[7, 8], &[9]]);
    watch.forget(key(7));
    watch.forget(key(9));
    let reaction = watch.reaction().unwrap();
    assert_eq!((reaction.orphans, reaction.ended_with), (1, 0));
    assert_eq!(reaction.orphans_named[0].pid, 8);
    watch.forget(key(8));
    let reaction = watch.reaction().unwrap();
    assert_eq!((reaction.orphans, reaction.ended_with), (0, 0));
    assert!(!reaction.is_empty());
    // A look that finds it while it is dying does not bring it back.
    let found = Plugin {
        agent: key(1),
        root: key(9),
        speaker: key(9),
        members: vec![key(9)],
        name: "cat".into(),
        line: "cat".into(),
        ends: Vec::new(),
    };
    watch.look(9 * SECOND, &[found]);
    assert_eq!(watch.reaction().unwrap().ended_with, 0);
}

#[test]
fn one_start_answers_one_death() {
    let another = Plugin {
        agent: key(1),
        root: TaskKey {
            tgid: u32::MAX,
            start_ticks: 200,
        },
        speaker: key(3),
        members: Vec::new(),
        name: "cat".into(),
        line: "cat".into(),
        ends: Vec::new(),
    };
    let mut one = death(SECOND);
    let nothing = Remembered::default();
    let found = [another];
    assert_eq!(one.successor(&found, &nothing), Some(found[0].root));
    let mut taken = Remembered::default();
    taken.insert(found[0].root);
    assert_eq!(one.successor(&found, &taken), None);
    one.line = "cat another".into();
    assert_eq!(one.successor(&found, &nothing), None);
    one.line = "cat".into();
    one.at = 3 * SECOND;
    assert_eq!(one.successor(&found, &nothing), None);
}

#[test]
fn what_was_gone_in_the_look_before_its_agent_has_ended_with_it() {
    // No process has such an id.
    let agent = Agent {
        lately: vec![0],
        ..Agent::default()
    };
    let mut watch = Watch {
        agents: BTreeMap::from([(key(u32::MAX), agent)]),
        ..Watch::default()
    };
    watch.look(SECOND, &[]);
    let reaction = watch.reaction().unwrap();
    assert_eq!((reaction.agents_ended, reaction.ended_with), (1, 1));
    watch.look(2 * SECOND, &[]);
    assert_eq!(watch.reaction().unwrap().ended_with, 1);
}

/// An agent that lives, and ends when it is killed; its plug-in has ended before the first look.
struct Tidy {
    agent: std::process::Child,
    watch: Watch,
    key: TaskKey,
}

impl Tidy {
    fn new() -> Self {
        let mut command = std::process::Command::new("sleep");
        let agent = command.arg("60").spawn().unwrap();
        let key = TaskKey::of(agent.id()).unwrap();
        // No process has such an id.
        let plugins = BTreeMap::from([(self::key(u32::MAX), owned(&[u32::MAX]))]);
        let state = Agent {
            plugins,
            ..Agent::default()
        };
        let watch = Watch {
            agents: BTreeMap::from([(key, state)]),
            ..Watch::default()
        };
        Self { agent, watch, key }
    }

    /// What is said when the agent has ended two looks after its plug-in.
    fn two_looks_later(mut self) -> PluginReaction {
        for look in 1..=3 {
            self.watch.look(look * SECOND, &[]);
        }
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
        self.watch.look(4 * SECOND, &[]);
        self.watch.reaction().unwrap()
    }
}

#[test]
fn an_agent_that_is_told_to_end_may_end_its_plug_ins_first() {
    let mut told = Tidy::new();
    told.watch.forget(told.key);
    let reaction = told.two_looks_later();
    assert_eq!((reaction.agents_ended, reaction.ended_with), (1, 1));
    assert_eq!(
        (reaction.orphans, reaction.longest_outlived_ms),
        (0, Some(0))
    );
}

#[test]
fn what_ended_long_before_an_agent_that_nobody_told_shows_nothing() {
    let reaction = Tidy::new().two_looks_later();
    assert_eq!((reaction.agents_ended, reaction.ended_with), (1, 0));
}
