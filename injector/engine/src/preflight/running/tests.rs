use std::process::{Child, Command};

use injector_host::kernel::netns::Namespace;
use injector_spec::experiment::Follow;

use super::*;

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn target(pid: u32) -> Vec<ResolvedTarget> {
    vec![ResolvedTarget {
        name: "target".into(),
        selected_by: String::new(),
        processes: vec![TaskKey::of(pid).unwrap()],
        follow: Follow::default(),
        picked: None,
        cgroup: None,
        namespace: Namespace::of_process(pid).unwrap(),
    }]
}

/// What is said of a run that has this state beside one that has that, with these targets.
fn said(ours: (u32, State), theirs: (u32, State)) -> Option<&'static str> {
    clash(
        (&target(ours.0), &BTreeSet::from([ours.1])),
        (&target(theirs.0), &BTreeSet::from([theirs.1])),
    )
}

/// This process is the agent, a child of it what may be its plug-in, another child a bystander.
#[test]
fn runs_that_stop_plug_ins_meet_by_descent_both_ways() {
    let (child, other) = (Sleeper::start(), Sleeper::start());
    let (agent, child, other) = (std::process::id(), child.0.id(), other.0.id());
    let plugins = |pid| (pid, State::Plugins);
    let pause = |pid| (pid, State::Pause);
    for (ours, theirs) in [
        (plugins(agent), plugins(child)),
        (plugins(child), plugins(agent)),
        (plugins(agent), pause(child)),
        (pause(child), plugins(agent)),
    ] {
        let why = said(ours, theirs).unwrap_or_else(|| panic!("{ours:?}, {theirs:?}"));
        assert!(why.contains("started by"), "{why}");
    }
    for (ours, theirs) in [
        (plugins(child), plugins(other)),
        // What is paused is above the plug-ins, and not among them.
        (pause(agent), plugins(child)),
        (plugins(child), pause(agent)),
        (pause(agent), pause(child)),
        ((agent, State::Limits), plugins(child)),
        ((agent, State::Limits), plugins(agent)),
    ] {
        assert_eq!(said(ours, theirs), None, "{ours:?}, {theirs:?}");
    }
}

#[test]
fn runs_with_one_target_meet_by_it() {
    let agent = std::process::id();
    let stands = [State::Plugins, State::Pause];
    for ours in stands {
        for theirs in stands {
            let why = said((agent, ours), (agent, theirs)).unwrap();
            assert!(why.ends_with("the same target"), "{why}");
        }
    }
    for state in [State::Limits, State::Relay] {
        let why = said((agent, state), (agent, state)).unwrap();
        assert!(why.contains("the same target"), "{why}");
    }
}

#[test]
fn a_clash_names_both_runs_and_what_to_do() {
    let run: RunId = "r6b0db0b1f5f2".parse().unwrap();
    let why = State::Plugins.clash();
    let said = refusal("checkout \u{1b}[31m", (&run, "plugin.hang"), why).message;
    assert_eq!(
        said,
        "`checkout \\u{1b}[31m` cannot begin while run r6b0db0b1f5f2 (`plugin.hang`) goes on, which stops plug-ins of the same target; stop that run with `injector stop r6b0db0b1f5f2`, wait for its end, or put both into one experiment file."
    );
}
