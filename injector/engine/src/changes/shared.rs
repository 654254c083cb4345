//! A setting that several runs may rely on at once: the value to go back to is the one from before the first of
//! them, and the last of them puts it back.
//!
//! Who relies on it is not looked up in journals, which may be on a disk that stands still: each run says so on
//! its TAP in the same namespace ([`TapLabel`]), which vanishes with the run. A run joins by writing on its TAP
//! first and setting the value then, and leaves by taking its word off the TAP first and looking at the others'
//! then, both in one turn. So of two that leave, the second sees no other, in whatever order their steps come.
//!
//! Turns are locks on the namespace itself (flock(2) on its file), which need no file system and end with their
//! holder. A run that leaves waits [`PATIENCE`] for its turn at most, and leaves without it then: a holder that
//! stands still must keep no setting in force. It waits once for each namespace, however much it has to undo there
//! ([`Patience`]).

use std::{
    cell::RefCell,
    collections::BTreeSet,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::Fate;
use injector_host::kernel::{
    Error,
    devices::{self, StrayTap},
    netns::Namespace,
    sysctl,
    tap_label::TapLabel,
};
use injector_spec::error::Refusal;

/// How long a turn is waited for by what has ends to come to.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// How long it is waited for by a run that arms: many may arm at once, and each takes its turns for a few milliseconds.
pub(super) const PATIENCE_TO_ARM: Duration = Duration::from_secs(3);

/// How long a run looks away between two tries.
const BETWEEN: Duration = Duration::from_millis(2);

/// Why a turn did not come.
pub(super) const LOCKED: &str = "another process holds the lock of the network namespace";

/// A change that waits for a turn is refused once it has not come in time: each try would wait as long again, on a thread
/// that has ends to come to.
pub(super) fn no_turn() -> Refusal {
    Refusal::failed(format!("{LOCKED}; start again when it has ended."))
}

/// A setting, and the words of the runs that rely on it.
pub(super) trait Shared {
    /// The right to look and change. It ends with the value.
    type Turn;

    /// Waits for a turn; `None` where it did not come in time.
    fn turn(&self) -> Option<Self::Turn>;

    /// The value now.
    fn value(&self) -> Result<String, Error>;

    /// Sets it.
    fn set(&self, value: &str) -> Result<(), Error>;

    /// The value from before the first run, where another run relies on the setting.
    fn old_of_others(&self) -> Result<Option<String>, Error>;

    /// Says that this run relies on the setting, and what the value was before.
    fn rely(&self, old: &str) -> Result<(), Error>;

    /// Says that it does not any more. Nothing is left to do where the TAP is gone.
    fn leave(&self) -> Result<(), Error>;
}

/// What came of joining.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The setting is in force, and this run relies on it.
    Done,
    /// The value to go back to is not the one that was written down; nothing was changed.
    Otherwise,
    /// The turn did not come in time; nothing was changed.
    NoTurn,
}

/// The value to go back to, were this run to join now; `None` where the host has the value for reasons of its own.
pub(super) fn look(shared: &impl Shared, new: &str) -> Result<Option<String>, Error> {
    if let Some(old) = shared.old_of_others()? {
        return Ok(Some(old));
    }
    let value = shared.value()?;
    Ok((value != new).then_some(value))
}

/// Joins, where the value to go back to is still the one that is written down.
pub(super) fn join(shared: &impl Shared, old: &str, new: &str) -> Result<Joined, Error> {
    let Some(_turn) = shared.turn() else {
        return Ok(Joined::NoTurn);
    };
    if look(shared, new)?.as_deref() != Some(old) {
        return Ok(Joined::Otherwise);
    }
    shared.rely(old)?;
    shared.set(new)?;
    Ok(Joined::Done)
}

/// Leaves: takes this run's word back, and the setting with it where no other run relies on it.
pub(super) fn leave(shared: &impl Shared, old: &str, new: &str) -> Result<Fate, Error> {
    let _turn = shared.turn();
    // A word that cannot be taken back goes with the TAP.
    let left = shared.leave();
    let fate = if shared.old_of_others()?.is_some() {
        Fate::LeftToAnother
    } else {
        match shared.value()? {
            value if value == old => Fate::Restored,
            value if value != new => Fate::ChangedByOthers,
            _ => shared.set(old).map(|()| Fate::Restored)?,
        }
    };
    left.map(|()| fate)
}

/// How long turns are waited for in a list of things to do: once the turn of a namespace has not come in time, those behind it
/// there are taken where they are free and not waited for, so that a holder who stands still costs the whole list one wait. What
/// is to be done in other namespaces has its own: that holder is in no way of it, and another run may be there for a moment.
#[derive(Debug)]
pub struct Patience {
    wait: Duration,
    /// Namespaces whose turn has not come, by inode.
    spent: RefCell<BTreeSet<u64>>,
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(PATIENCE)
    }
}

impl Patience {
    /// As much as this.
    pub(super) const fn of(wait: Duration) -> Self {
        Self {
            wait,
            spent: RefCell::new(BTreeSet::new()),
        }
    }

    /// Waits for the turn of a namespace.
    pub(crate) fn turn(&self, namespace: &Namespace) -> Option<std::fs::File> {
        // An open file of its own: copies of one descriptor share a lock.
        let fd = namespace.fd();
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        let file = std::fs::File::open(path).ok()?;
        let lock = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        self.wait(namespace.inode(), lock).then_some(file)
    }

    /// Tries, and again for as long as there is patience for this namespace; the last try is behind the wait.
    fn wait(&self, inode: u64, lock: impl Fn() -> bool) -> bool {
        let is_spent = self.spent.borrow().contains(&inode);
        let wait = if is_spent { Duration::ZERO } else { self.wait };
        let deadline = Instant::now() + wait;
        while !lock() {
            if Instant::now() >= deadline {
                self.spent.borrow_mut().insert(inode);
                return false;
            }
            std::thread::sleep(BETWEEN);
        }
        true
    }
}

/// A sysctl of `lo`.
pub(super) struct LoopbackSetting<'s> {
    pub(super) namespace: &'s Namespace,
    pub(super) key: &'s str,
    /// The run's name.
    pub(super) run: &'s str,
    /// How long its turn is waited for.
    pub(super) patience: &'s Patience,
}

impl LoopbackSetting<'_> {
    /// The TAPs of the namespace that processes hold open, with their labels.
    fn taps(&self) -> Result<Vec<(StrayTap, TapLabel)>, Error> {
        let taps = self.namespace.run(devices::taps)??;
        Ok(taps
            .into_iter()
            .filter(|tap| tap.is_held)
            .filter_map(|tap| {
                let label = tap.alias.as_deref()?.parse().ok()?;
                Some((tap, label))
            })
            .collect())
    }

    /// Writes on this run's TAP what becomes of its label.
    fn relabel(&self, change: impl Fn(TapLabel) -> TapLabel) -> Result<bool, Error> {
        let mut is_there = false;
        for (tap, label) in self.taps()? {
            if label.run == self.run {
                let text = change(label).to_string();
                self.namespace
                    .run(|| devices::label(tap.ifindex, &text))??;
                is_there = true;
            }
        }
        Ok(is_there)
    }
}

impl Shared for LoopbackSetting<'_> {
    type Turn = std::fs::File;

    fn turn(&self) -> Option<Self::Turn> {
        self.patience.turn(self.namespace)
    }

    fn value(&self) -> Result<String, Error> {
        self.namespace.run(|| sysctl::read(self.key))?
    }

    fn set(&self, value: &str) -> Result<(), Error> {
        self.namespace.run(|| sysctl::write(self.key, value))?
    }

    fn old_of_others(&self) -> Result<Option<String>, Error> {
        let taps = self.taps()?;
        let mut others = taps.iter().filter(|(_, label)| label.run != self.run);
        Ok(others.find_map(|(_, label)| label.old(self.key).map(ToOwned::to_owned)))
    }

    fn rely(&self, old: &str) -> Result<(), Error> {
        if self.relabel(|label| label.with(self.key, old))? {
            return Ok(());
        }
        let what = format!("say on this run's TAP that it relies on {}", self.key);
        let why = std::io::Error::other("the TAP is gone");
        Err(Error::system(what, why))
    }

    fn leave(&self) -> Result<(), Error> {
        self.relabel(|label| label.without(self.key)).map(drop)
    }
}

#[cfg(test)]
mod tests;
