use super::{
    super::{
        End,
        ends::{Between, Standard, Stream},
    },
    *,
};

const fn key(tgid: u32) -> TaskKey {
    TaskKey {
        tgid,
        start_ticks: 1,
    }
}

const fn stream(which: Standard, pipe: u64) -> Stream {
    Stream {
        which,
        what: Between::Pipe(pipe),
    }
}

const AGENT: TaskKey = key(10);
const ROOT: TaskKey = key(20);

/// It hears by the pipe 1, says by 2, and says of itself by 3.
fn plugin() -> Plugin {
    let streams = [
        stream(Standard::Input, 1),
        stream(Standard::Output, 2),
        stream(Standard::Errors, 3),
    ];
    Plugin {
        agent: AGENT,
        root: ROOT,
        speaker: ROOT,
        members: vec![ROOT],
        name: "server".into(),
        line: "server".into(),
        ends: streams
            .map(|stream| End {
                holder: ROOT,
                stream,
            })
            .to_vec(),
    }
}

/// Whether a process with this parent and these streams is found to be the plug-in's.
fn is_its(parent: u32, streams: &[Stream]) -> bool {
    let mut look = Newborn::default();
    // 30 is the other plug-in of the agent, 21 is below the first one and no member.
    for (pid, parent) in [
        (1, 0),
        (10, 1),
        (20, 10),
        (21, 20),
        (30, 10),
        (31, 30),
        (99, parent),
    ] {
        look.parents.insert(pid, (key(pid), parent));
    }
    look.born.push((key(99), streams.to_vec()));
    let found = look.of(&plugin());
    assert!(found.is_empty() || found == [key(99)], "{found:?}");
    !found.is_empty()
}

#[test]
fn what_is_below_a_member_is_known_by_any_end() {
    for pipe in 1..=3 {
        assert!(is_its(20, &[stream(Standard::Errors, pipe)]), "{pipe}");
        assert!(is_its(21, &[stream(Standard::Errors, pipe)]), "{pipe}");
    }
    assert!(!is_its(20, &[stream(Standard::Errors, 4)]));
}

#[test]
fn an_orphan_is_known_by_what_it_hears_or_says_on_the_same_side() {
    assert!(is_its(1, &[stream(Standard::Input, 1)]));
    assert!(is_its(1, &[stream(Standard::Output, 2)]));
    // Its parent has ended, and no look has seen which process took it over.
    assert!(is_its(77, &[stream(Standard::Output, 2)]));
    assert!(!is_its(1, &[stream(Standard::Output, 1)]));
    assert!(!is_its(1, &[stream(Standard::Input, 2)]));
    assert!(!is_its(1, &[stream(Standard::Errors, 3)]));
}

/// As a launcher that was just started, its server, and what the agent took over.
#[test]
fn what_is_below_the_agent_by_another_way_is_another_plug_in() {
    let shared = stream(Standard::Errors, 3);
    for parent in [10, 30, 31] {
        assert!(!is_its(parent, &[shared]), "{parent}");
        let all = [
            stream(Standard::Input, 1),
            stream(Standard::Output, 2),
            shared,
        ];
        assert!(!is_its(parent, &all), "{parent}");
    }
}

#[test]
fn a_member_is_no_news_and_a_pid_of_a_member_may_be_anothers_by_now() {
    let mut look = Newborn::default();
    let streams = vec![stream(Standard::Errors, 3)];
    look.parents.insert(20, (ROOT, 10));
    look.born.push((ROOT, streams.clone()));
    assert_eq!(look.of(&plugin()), []);
    let another = TaskKey {
        start_ticks: 2,
        ..ROOT
    };
    look.parents.insert(20, (another, 1));
    look.parents.insert(99, (key(99), 20));
    look.born = vec![(key(99), streams)];
    assert_eq!(look.of(&plugin()), []);
}
