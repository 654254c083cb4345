//! Two runs and one setting, in every order in which their steps can come: the code that runs on hosts, on a setting
//! that lets a test decide which run takes its next step.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard},
};

use super::*;

/// The setting, and who is about to do what with it.
#[derive(Default)]
struct Stage {
    value: String,
    /// What runs have on their TAPs, by run.
    labels: BTreeMap<usize, String>,
    turn: Option<usize>,
    /// What each run is about to do.
    next: Vec<Next>,
    /// The run that may take its step.
    may: Option<usize>,
    /// Runs whose targets need the setting now.
    in_force: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It is on its way there.
    Unknown,
    /// Something that it can do now.
    Step,
    /// To take the turn, once it is free.
    Turn,
    /// Nothing any more.
    Over,
}

#[derive(Default)]
struct Play {
    stage: Mutex<Stage>,
    changed: Condvar,
}

/// The setting as one run sees it.
struct Seen<'p> {
    play: &'p Play,
    run: usize,
}

struct Held<'p>(&'p Play);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.stage.lock().unwrap().turn = None;
        self.0.changed.notify_all();
    }
}

impl Play {
    fn wait<'p>(
        &'p self,
        stage: MutexGuard<'p, Stage>,
        until: impl Fn(&Stage) -> bool,
    ) -> MutexGuard<'p, Stage> {
        self.changed
            .wait_while(stage, |stage| !until(stage))
            .unwrap()
    }
}

impl Seen<'_> {
    fn step<T>(&self, next: Next, act: impl FnOnce(&mut Stage) -> T) -> T {
        let mut stage = self.play.stage.lock().unwrap();
        stage.next[self.run] = next;
        self.play.changed.notify_all();
        let mut stage = self.play.wait(stage, |stage| stage.may == Some(self.run));
        let value = act(&mut stage);
        stage.may = None;
        stage.next[self.run] = Next::Unknown;
        self.play.changed.notify_all();
        value
    }
}

impl<'p> Shared for Seen<'p> {
    type Turn = Held<'p>;

    fn turn(&self) -> Option<Held<'p>> {
        self.step(Next::Turn, |stage| stage.turn = Some(self.run));
        Some(Held(self.play))
    }

    fn value(&self) -> Result<String, Error> {
        Ok(self.step(Next::Step, |stage| stage.value.clone()))
    }

    fn set(&self, value: &str) -> Result<(), Error> {
        self.step(Next::Step, |stage| stage.value = value.to_owned());
        Ok(())
    }

    fn old_of_others(&self) -> Result<Option<String>, Error> {
        Ok(self.step(Next::Step, |stage| {
            let mut others = stage.labels.iter().filter(|(run, _)| **run != self.run);
            others.next().map(|(_, old)| old.clone())
        }))
    }

    fn rely(&self, old: &str) -> Result<(), Error> {
        self.step(Next::Step, |stage| {
            stage.labels.insert(self.run, old.to_owned())
        });
        Ok(())
    }

    fn leave(&self) -> Result<(), Error> {
        self.step(Next::Step, |stage| {
            stage.in_force[self.run] = false;
            stage.labels.remove(&self.run)
        });
        Ok(())
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It undoes its change.
    InOrder,
    /// Its worker is killed, its TAP vanishes, and the guardian undoes the change.
    Killed,
}

/// A run: from the first look, as often as joining takes, to its end.
fn live(seen: &Seen<'_>, end: End) {
    for _ in 0..TRIES {
        let Some(old) = look(seen, "1").unwrap() else {
            return;
        };
        if join(seen, &old, "1").unwrap() == Joined::Otherwise {
            continue;
        }
        // Only watched, so it is no step; the run goes on to its end when it is its turn again.
        seen.play.stage.lock().unwrap().in_force[seen.run] = true;
        if matches!(end, End::Killed) {
            seen.step(Next::Step, |stage| {
                stage.in_force[seen.run] = false;
                stage.labels.remove(&seen.run);
            });
        }
        leave(seen, &old, "1").unwrap();
        return;
    }
    panic!("joining never ended");
}

/// One order: the choices to begin with, and the first possible one from there on. Returns how many there were to choose
/// from at each step, and which was chosen.
fn perform(host: &str, ends: &[End], choices: &[usize]) -> Vec<(usize, usize)> {
    let play = Play::default();
    {
        let mut stage = play.stage.lock().unwrap();
        stage.value = host.to_owned();
        stage.next = vec![Next::Unknown; ends.len()];
        stage.in_force = vec![false; ends.len()];
    }
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        for (run, end) in ends.iter().enumerate() {
            let play = &play;
            scope.spawn(move || {
                live(&Seen { play, run }, *end);
                play.stage.lock().unwrap().next[run] = Next::Over;
                play.changed.notify_all();
            });
        }
        loop {
            let stage = play.stage.lock().unwrap();
            let mut stage = play.wait(stage, |stage| {
                stage.may.is_none() && !stage.next.contains(&Next::Unknown)
            });
            if stage.in_force.contains(&true) {
                assert_eq!(stage.value, "1", "after {taken:?}");
            }
            let possible: Vec<usize> = (0..ends.len())
                .filter(|run| match stage.next[*run] {
                    Next::Step => true,
                    Next::Turn => stage.turn.is_none(),
                    Next::Unknown | Next::Over => false,
                })
                .collect();
            if possible.is_empty() {
                assert!(
                    stage.next.iter().all(|next| *next == Next::Over),
                    "no run can go on after {taken:?}"
                );
                assert_eq!(stage.value, host, "after {taken:?}");
                assert!(stage.labels.is_empty());
                return;
            }
            let choice = choices.get(taken.len()).copied().unwrap_or_default();
            taken.push((possible.len(), choice));
            stage.may = Some(possible[choice]);
            play.changed.notify_all();
        }
    });
    taken
}

/// All orders, each once; how many there were.
fn perform_all(host: &str, ends: &[End]) -> usize {
    let mut choices = Vec::new();
    let mut orders = 0;
    loop {
        let taken = perform(host, ends, &choices);
        orders += 1;
        // The last step that could have gone to another run goes there next.
        let Some(at) = taken
            .iter()
            .rposition(|(possible, choice)| choice + 1 < *possible)
        else {
            return orders;
        };
        choices = taken[..at].iter().map(|(_, choice)| *choice).collect();
        choices.push(taken[at].1 + 1);
    }
}

const TRIES: usize = 10;

#[test]
fn the_setting_is_there_while_a_run_needs_it_and_the_hosts_own_afterwards() {
    for ends in [
        [End::InOrder, End::InOrder],
        [End::Killed, End::InOrder],
        [End::Killed, End::Killed],
    ] {
        let orders = perform_all("0", &ends);
        eprintln!("{orders} orders of {ends:?}");
        assert!(orders > 50, "only {orders} orders of {ends:?}");
    }
}

#[test]
fn what_the_host_has_for_reasons_of_its_own_stays() {
    perform_all("1", &[End::InOrder, End::Killed]);
}

#[test]
fn a_turn_that_does_not_come_is_waited_for_once() {
    let (tries, is_free) = (Cell::new(0), Cell::new(false));
    let lock = || {
        tries.set(tries.get() + 1);
        is_free.get()
    };
    let patience = Patience::default();
    let (here, elsewhere) = (1, 2);
    assert!(!patience.wait(here, lock));
    tries.set(0);
    assert!(!patience.wait(here, lock));
    assert_eq!(tries.get(), 1);
    tries.set(0);
    assert!(!patience.wait(elsewhere, lock));
    assert!(tries.get() > 1, "another namespace is waited for");
    is_free.set(true);
    assert!(patience.wait(here, lock), "a lock that is free is taken");
}
