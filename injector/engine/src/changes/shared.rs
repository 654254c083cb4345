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
//! stands still must keep no setting in force.

use std::{
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

/// How long a turn is waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a run looks away between two tries.
const BETWEEN: Duration = Duration::from_millis(2);

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
    let turn = shared.turn();
    if turn.is_none() || look(shared, new)?.as_deref() != Some(old) {
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

/// Waits for the turn of a namespace.
pub(crate) fn turn(namespace: &Namespace) -> Option<std::fs::File> {
    // An open file of its own: copies of one descriptor share a lock.
    let fd = namespace.fd();
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let file = std::fs::File::open(path).ok()?;
    let deadline = Instant::now() + PATIENCE;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(BETWEEN);
    }
    Some(file)
}

/// A sysctl of `lo`.
pub(super) struct LoopbackSetting<'s> {
    pub(super) namespace: &'s Namespace,
    pub(super) key: &'s str,
    /// The run's name.
    pub(super) run: &'s str,
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
        turn(self.namespace)
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
