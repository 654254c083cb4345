//! Whether what was made to stand still does stand: looked at again and again, never assumed.
//!
//! A signal or a written file is no proof. A process counts as hit when it was seen to stand, and one that
//! another process has let go on (SIGCONT, a thaw) is told with the time that it stood. It is left alone
//! then: that process wants it to go on, and two programs that fight over one process stop neither. That is
//! the rule for limits too.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use injector_common::rule::Counters;
use injector_host::{
    kernel::clock::boot_ns,
    targets::{
        cgroup::Cgroup,
        process::{self, Pose, TaskKey},
    },
};
use injector_spec::quantity::duration::tenths;

/// How long a stand is waited for at once; one that takes longer is seen later. Processes stop when they
/// come back from the kernel, usually within microseconds.
const SEEN_WITHIN: Duration = Duration::from_millis(20);

/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How many that went on are named; the rest is a number.
const NAMED: usize = 8;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A process that was sent SIGSTOP.
    Process(TaskKey),
    /// A cgroup that was told to freeze.
    Cgroup(Cgroup),
}

/// One subject, from when it was told to stand still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spell {
    /// When it was first seen to stand, on the boot clock.
    since: Option<u64>,
}

/// What a look at one subject has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing new.
    Same,
    /// It stands, for the first time.
    Stands,
    /// It went on after so many nanoseconds, and no process of ours let it.
    WentOn(u64),
    /// It is gone; whether it had stood.
    Gone {
        /// Whether it was ever seen to stand.
        has_stood: bool,
    },
}

impl Spell {
    fn look(&mut self, now: u64, pose: Pose) -> News {
        match (pose, self.since) {
            (Pose::Gone, since) => News::Gone {
                has_stood: since.is_some(),
            },
            (Pose::Still, None) => {
                self.since = Some(now);
                News::Stands
            }
            (Pose::Going, Some(since)) => News::WentOn(now.saturating_sub(since)),
            // On its way to a stand, or still there.
            (Pose::Going | Pose::Settling, None) | (Pose::Still | Pose::Settling, Some(_)) => {
                News::Same
            }
        }
    }
}

/// What was seen since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Subjects that stand for the first time.
    stand: u64,
    /// Subjects that ended and were never seen to stand.
    never: u64,
}

/// All subjects of one fault.
#[derive(Debug, Default)]
pub(super) struct Standing {
    open: BTreeMap<Subject, Spell>,
    went_on: Vec<(Subject, u64)>,
}

impl Standing {
    /// Looks at a subject from now on.
    pub(super) fn watch(&mut self, subject: Subject) {
        self.open.insert(subject, Spell::default());
    }

    /// How many were told to stand still and were not seen to do it yet.
    pub(super) fn unconfirmed(&self) -> u64 {
        let unseen = self.open.values().filter(|spell| spell.since.is_none());
        u64::try_from(unseen.count()).unwrap_or(u64::MAX)
    }

    /// Looks at all of them, at this time on the boot clock, and counts as hits what stands now and did not before.
    pub(super) fn look(&mut self, now: u64, counters: &mut Counters) {
        let seen = self.look_by(now, pose);
        for _ in 0..seen.stand {
            counters.hit_at(now);
        }
        counters.missed += seen.never;
    }

    /// Waits a moment for what was just told to stand still.
    pub(super) fn await_stand(&mut self, counters: &mut Counters) {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            self.look(boot_ns(), counters);
            if self.unconfirmed() == 0 || Instant::now() >= deadline {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn look_by(&mut self, now: u64, pose: impl Fn(&Subject) -> Pose) -> Seen {
        let mut seen = Seen::default();
        let went_on = &mut self.went_on;
        self.open.retain(|subject, spell| {
            match spell.look(now, pose(subject)) {
                News::Same => return true,
                News::Stands => {
                    seen.stand += 1;
                    return true;
                }
                News::WentOn(after) => went_on.push((subject.clone(), after)),
                News::Gone { has_stood } => seen.never += u64::from(!has_stood),
            }
            false
        });
        seen
    }

    /// One of them is let go on now. Returns 1 where it was never seen to stand.
    pub(super) fn let_go(&mut self, subject: &Subject) -> u64 {
        let spell = self.open.remove(subject);
        u64::from(spell.is_some_and(|spell| spell.since.is_none()))
    }

    /// Ends it: all are let go on now. Returns how many were never seen to stand.
    pub(super) fn end(&mut self) -> u64 {
        let unseen = self.unconfirmed();
        self.open.clear();
        unseen
    }

    /// Who went on before its time, for the report.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        let more = self.went_on.len().saturating_sub(NAMED);
        let named = self.went_on.iter().take(NAMED).map(|(subject, after)| {
            let after = tenths(*after);
            let by = "by another's hand; it was left alone";
            match subject {
                Subject::Process(key) => {
                    format!("process {} went on after {after}, {by}", key.tgid)
                }
                Subject::Cgroup(cgroup) => {
                    let path = injector_spec::printable::path(&cgroup.directory);
                    format!("cgroup {path} went on after {after}, {by}")
                }
            }
        });
        named.chain((more > 0).then(|| format!("{more} more went on before their time")))
    }
}

fn pose(subject: &Subject) -> Pose {
    match subject {
        Subject::Process(key) => process::pose(*key),
        Subject::Cgroup(cgroup) if !cgroup.is_there() => Pose::Gone,
        Subject::Cgroup(cgroup) => pose_of_cgroup(&cgroup.directory),
    }
}

/// What is asked (`cgroup.freeze`) tells who let it go on; what is (`frozen` of `cgroup.events`,
/// `kernel/cgroup/freezer.c`, `cgroup_update_frozen`) is 0 too while a newcomer is on its way to stand.
fn pose_of_cgroup(directory: &Path) -> Pose {
    let read = |file: &str| fs::read_to_string(directory.join(file));
    let is_gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
    };
    match read("cgroup.freeze") {
        Err(error) if is_gone(&error) => Pose::Gone,
        Err(_) => Pose::Settling,
        Ok(text) if text.trim() != "1" => Pose::Going,
        Ok(_) => {
            let events = read("cgroup.events").unwrap_or_default();
            if events.lines().any(|line| line == "frozen 1") {
                Pose::Still
            } else {
                Pose::Settling
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn subject(tgid: u32) -> Subject {
        Subject::Process(TaskKey {
            tgid,
            start_ticks: 1,
        })
    }

    #[test]
    fn a_signal_is_no_proof_and_a_stand_is() {
        let mut standing = Standing::default();
        standing.watch(subject(7));
        let seen = standing.look_by(SECOND, |_| Pose::Going);
        assert_eq!((seen, standing.unconfirmed()), (Seen::default(), 1));
        let seen = standing.look_by(SECOND, |_| Pose::Still);
        assert_eq!((seen.stand, standing.unconfirmed()), (1, 0));
        let again = standing.look_by(2 * SECOND, |_| Pose::Still);
        assert_eq!(again, Seen::default(), "it is counted once");
        assert_eq!(standing.end(), 0);
    }

    #[test]
    fn who_goes_on_by_anothers_hand_is_told_with_the_time() {
        let mut standing = Standing::default();
        standing.watch(subject(7));
        standing.watch(subject(8));
        standing.look_by(SECOND, |_| Pose::Still);
        let is_seven = |one: &Subject| *one == subject(7);
        standing.look_by(2_300_000_000, |one| {
            if is_seven(one) {
                Pose::Going
            } else {
                Pose::Still
            }
        });
        // Another process makes it stand again: that is not ours to count.
        standing.look_by(3 * SECOND, |_| Pose::Still);
        let told: Vec<String> = standing.remarks().collect();
        assert_eq!(
            told,
            ["process 7 went on after 1.3 s, by another's hand; it was left alone"]
        );
    }

    #[test]
    fn the_dead_do_not_go_on() {
        let mut standing = Standing::default();
        standing.watch(subject(7));
        standing.watch(subject(8));
        standing.look_by(SECOND, |one| {
            if *one == subject(7) {
                Pose::Still
            } else {
                Pose::Settling
            }
        });
        let seen = standing.look_by(2 * SECOND, |_| Pose::Gone);
        assert_eq!(seen, Seen { stand: 0, never: 1 });
        assert_eq!(standing.remarks().count(), 0);
    }

    #[test]
    fn one_that_is_let_go_on_is_in_nobodys_hand() {
        let mut standing = Standing::default();
        standing.watch(subject(7));
        standing.watch(subject(8));
        standing.look_by(1, |one| {
            if *one == subject(7) {
                Pose::Still
            } else {
                Pose::Settling
            }
        });
        assert_eq!(standing.let_go(&subject(7)), 0);
        assert_eq!(standing.let_go(&subject(8)), 1);
        standing.look_by(2, |_| Pose::Going);
        assert_eq!(standing.remarks().count(), 0);
    }

    #[test]
    fn many_are_a_number() {
        let mut standing = Standing::default();
        (1..=20).for_each(|tgid| standing.watch(subject(tgid)));
        standing.look_by(1, |_| Pose::Still);
        standing.look_by(2, |_| Pose::Going);
        let told: Vec<String> = standing.remarks().collect();
        assert_eq!(told.len(), NAMED + 1);
        assert_eq!(told[NAMED], "12 more went on before their time");
    }

    #[test]
    fn a_cgroup_stands_when_the_kernel_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(pose_of_cgroup(path), Pose::Gone);
        fs::write(path.join("cgroup.freeze"), "1\n").unwrap();
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        assert_eq!(pose_of_cgroup(path), Pose::Settling);
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        assert_eq!(pose_of_cgroup(path), Pose::Still);
        fs::write(path.join("cgroup.freeze"), "0\n").unwrap();
        assert_eq!(pose_of_cgroup(path), Pose::Going);
    }
}
