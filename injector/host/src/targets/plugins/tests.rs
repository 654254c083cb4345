use std::{
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use injector_spec::experiment::Plugins;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// Names as a fault asks for them.
fn named(globs: &[&str]) -> PluginNames {
    let globs: Vec<_> = globs.iter().map(|&glob| glob.to_owned()).collect();
    Plugins::try_from(globs).unwrap().names()
}

struct Plug(Child);

impl Drop for Plug {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own() -> TaskKey {
    TaskKey::of(std::process::id()).unwrap()
}

/// Waits until the plug-in that begins with this child is found, or is found no more.
fn found(finder: &mut Finder, child: u32) -> Option<Plugin> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let plugins = finder.look(&[own()]);
        let plugin = plugins.into_iter().find(|one| one.root.tgid == child);
        if plugin.is_some() || Instant::now() > deadline {
            return plugin;
        }
    }
}

fn cat(names: &[&str]) -> (Plug, Option<Plugin>) {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = Plug(command.spawn().unwrap());
    let plugin = found(&mut Finder::of(named(names)), child.0.id());
    (child, plugin)
}

#[test]
fn a_child_at_the_other_end_of_pipes_is_a_plug_in() {
    let (mut child, plugin) = cat(&["c?t"]);
    let plugin = plugin.unwrap();
    assert_eq!((plugin.name.as_str(), plugin.members.len()), ("cat", 1));
    assert_eq!(plugin.agent, own());
    assert!(plugin.ends.len() >= 2, "{plugin:?}");
    let has = || Held::by(own()).unwrap().has(&plugin.ends[0]);
    assert_eq!(has(), Some(true));
    drop((child.0.stdin.take(), child.0.stdout.take()));
    assert_eq!(has(), Some(false));
}

/// Sees that a child is no plug-in, by a look that sees another one.
fn is_none(command: &mut Command) {
    let child = Plug(command.arg("60").spawn().unwrap());
    let (other, _) = cat(&[]);
    let mut finder = Finder::of(named(&[]));
    assert!(found(&mut finder, other.0.id()).is_some());
    let plugins = finder.look(&[own()]);
    assert!(
        plugins.iter().all(|one| one.root.tgid != child.0.id()),
        "{plugins:?}"
    );
}

#[test]
fn a_child_that_inherits_what_its_parent_has_is_none() {
    is_none(Command::new("sleep").stdin(Stdio::inherit()));
}

#[test]
fn a_tool_whose_output_is_captured_is_none() {
    is_none(Command::new("sleep").stdout(Stdio::piped()));
}

#[test]
fn a_pair_of_sockets_is_known_by_who_made_it() {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let theirs: OwnedFd = theirs.into();
    let mut command = Command::new("cat");
    command.stdin(theirs.try_clone().unwrap()).stdout(theirs);
    let child = Plug(command.spawn().unwrap());
    drop(command);
    let plugin = found(&mut Finder::of(named(&[])), child.0.id()).unwrap();
    assert_eq!(Held::by(own()).unwrap().has(&plugin.ends[0]), None);
    assert!(!plugin.ends[0].shows_who_listens());
}

#[test]
fn what_is_said_in_its_name_is_heard_and_a_copy_keeps_the_end_away() {
    let (mut child, plugin) = cat(&[]);
    let plugin = plugin.unwrap();
    say(&plugin.ends, b"half a line\n").unwrap();
    let mut heard = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    heard.read_line(&mut line).unwrap();
    assert_eq!(line, "half a line\n");
    let held = copies(&plugin.ends).unwrap();
    assert!(held.len() >= 2, "{held:?}");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let is_at_end = |heard: &BufReader<_>| {
        let mut polled = [PollFd::new(heard.get_ref(), PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now)).unwrap() > 0
    };
    assert!(!is_at_end(&heard), "the copies keep nothing open");
    drop(held);
    assert!(is_at_end(&heard));
}

#[test]
fn an_exit_status_that_is_not_taken_is_seen() {
    let (mut child, plugin) = cat(&[]);
    let root = plugin.unwrap().root;
    assert_eq!(has_ended(root), Some(false));
    child.0.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while has_ended(root) != Some(true) {
        assert!(Instant::now() < deadline, "it does not end");
    }
    assert_eq!(is_unreaped(root), Some(true));
    child.0.wait().unwrap();
    assert_eq!(is_unreaped(root), Some(false));
}

/// A launcher whose fork, which executes nothing, answers, and a child of it that has inherited the output alone.
#[test]
fn what_a_launcher_forks_is_a_part_of_it() {
    let launcher = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/targets/plugins/launcher.sh"
    );
    let mut command = Command::new(launcher);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Plug(command.spawn().unwrap());
    let mut finder = Finder::of(named(&["*launcher*"]));
    let deadline = Instant::now() + Duration::from_secs(5);
    let plugin = loop {
        let plugin = found(&mut finder, child.0.id()).unwrap();
        if plugin.members.len() == 3 {
            break plugin;
        }
        assert!(Instant::now() < deadline, "{plugin:?}");
    };
    assert_eq!(plugin.members[0], plugin.root);
    assert_eq!(plugin.speaker, plugin.root);
    // Born since the machine has started are all of them, and those that are known are no news.
    assert_eq!(Newborn::since(0).of(&plugin), []);
    let alone = Plugin {
        members: vec![plugin.root],
        ..plugin.clone()
    };
    let mut born = Newborn::since(0).of(&alone);
    born.sort_unstable();
    let mut members = plugin.members[1..].to_vec();
    members.sort_unstable();
    assert_eq!(born, members);
    for key in &plugin.members {
        let _ = crate::targets::pidfd::signal(*key, libc::SIGKILL);
    }
    child.0.wait().unwrap();
}

#[test]
fn a_process_that_shows_no_descriptor_gives_no_answer() {
    let mut child = Plug(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap());
    let key = TaskKey::of(child.0.id()).unwrap();
    assert!(Held::by(key).is_some());
    child.0.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while has_ended(key) != Some(true) {
        assert!(Instant::now() < deadline, "it does not end");
    }
    // It is a zombie: as a process whose first thread alone has ended, it has a folder with nothing in it.
    assert!(Held::by(key).is_none());
    child.0.wait().unwrap();
}

#[test]
fn what_a_plug_in_says_of_itself_does_not_show_who_listens() {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = Plug(command.stderr(Stdio::piped()).spawn().unwrap());
    let plugin = found(&mut Finder::of(named(&[])), child.0.id()).unwrap();
    assert_eq!(plugin.ends.len(), 3, "{plugin:?}");
    let show = plugin.ends.iter().filter(|end| end.shows_who_listens());
    assert_eq!(show.count(), 2);
    // A new program has none for a moment.
    assert!(["", "cat"].contains(&plugin.line.as_str()), "{plugin:?}");
}
