//! The operations of targets, read from the rings of their namespaces.
//!
//! The run's own thread reads, at each of its turns, and never waits. A ring holds what a target does in seconds; what
//! does not fit is counted, and then the operations are not judged. What has no end is judged by the time up to which
//! all was read: an end that is still in the ring would look as if there were none.

use std::collections::BTreeMap;

use crate::{effects::ground::Ground, signs::Signs};
use injector_common::operation::{Told, what};
use injector_host::kernel::clock::boot_ns;
use injector_plan::{For, Watched};
use injector_record::{
    measure::Sample,
    operations::{Second, Stream},
};
use injector_spec::experiment::{OperationKind, SteadyState, operation::MOST_KEPT};

/// The most records of a namespace that are read in one turn: the run has other things to look after. No ring holds
/// more than that.
const AT_ONCE: usize = 65_536;

/// All streams of a run, in the order of the experiment.
#[derive(Default)]
pub(super) struct Streams {
    all: Vec<(Watched, Stream)>,
    /// All that was told up to here was read; on the boot clock, in nanoseconds.
    seen_ns: u64,
}

impl Streams {
    /// The streams that an experiment has, none of which has begun.
    pub(super) fn of(steady_state: &SteadyState, watched: Vec<Watched>) -> Self {
        let operations = &steady_state.operations;
        let share = MOST_KEPT / operations.len().max(1);
        let of_its_own = |watched: Watched| {
            if watched.what_for != For::Operations {
                return None;
            }
            let asked = operations.iter().find(|one| one.name == watched.name)?;
            Some((watched, Stream::new(asked, share)))
        };
        Self {
            all: watched.into_iter().filter_map(of_its_own).collect(),
            seen_ns: 0,
        }
    }

    /// Up to when all that was told was read, on the boot clock, in nanoseconds.
    pub(super) const fn seen_ns(&self) -> u64 {
        self.seen_ns
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.all.iter().map(|(_, stream)| stream)
    }

    /// Reads what was told since the last time.
    pub(super) fn read(&mut self, ground: &mut Ground, signs: &Signs) {
        if self.all.is_empty() && !signs.listens() {
            return;
        }
        let namespaces = ground.namespaces.iter_mut();
        self.take(
            namespaces.map(|namespace| namespace.operations.by_ref()),
            signs,
        );
        for namespace in &ground.namespaces {
            // One that cannot be read now is read at the next turn.
            let lost = namespace.operations.lost().unwrap_or_default();
            signs.lost(lost, &namespace.scopes);
            for (watched, stream) in &mut self.all {
                if lost > 0 && namespace.scopes.contains(&watched.scope) {
                    stream.lost(lost);
                }
            }
        }
    }

    /// Takes from each ring what one turn allows. Where something is left behind, it is not said that more was seen.
    fn take<R: Iterator<Item = Told>>(&mut self, rings: impl Iterator<Item = R>, signs: &Signs) {
        // Before the first is read: what is told meanwhile may be left out.
        let now = boot_ns();
        let mut is_all = true;
        for ring in rings {
            let mut left = AT_ONCE;
            for told in ring.take(AT_ONCE) {
                left -= 1;
                signs.take(&told);
                let its = self.all.iter_mut();
                for (_, stream) in its.filter(|(watched, _)| takes(watched, &told)) {
                    stream.take(&told);
                }
            }
            is_all &= left > 0;
        }
        if is_all {
            self.seen_ns = now;
        }
        for (_, stream) in &mut self.all {
            stream.look(self.seen_ns);
        }
    }

    /// Notes that a target has ended at this time, and no fault may have ended it.
    pub(super) fn target_ended(&mut self, target: &str, at_ns: u64) {
        let its = self.all.iter_mut().map(|(_, stream)| stream);
        for stream in its.filter(|stream| stream.asked().of == target) {
            stream.target_ended(at_ns);
        }
    }

    /// Nothing more comes: reads the last of it, for which one turn is enough.
    pub(super) fn close(&mut self, ended_ns: u64, ground: &mut Ground, signs: &Signs) {
        self.read(ground, signs);
        for (_, stream) in &mut self.all {
            stream.close(ended_ns);
        }
    }

    /// What the journal is to have since the last time: samples are added, and the seconds that are over come back.
    pub(super) fn collect(
        &mut self,
        samples: &mut BTreeMap<String, Vec<Sample>>,
    ) -> BTreeMap<String, Vec<Second>> {
        let now = boot_ns();
        let mut all = BTreeMap::new();
        for (watched, stream) in &mut self.all {
            let (single, seconds) = stream.for_journal(now);
            if !single.is_empty() {
                samples.insert(watched.name.clone(), single);
            }
            if !seconds.is_empty() {
                all.insert(watched.name.clone(), seconds);
            }
        }
        all
    }

    /// Finds from the baseline what is too long, where the experiment does not say it; why it cannot, where it cannot.
    pub(super) fn find_limits(&mut self) -> Option<String> {
        let mut streams = self.all.iter_mut();
        streams.find_map(|(_, stream)| stream.find_limit().err())
    }
}

/// Whether a record is about a stream's operations. What only says that one has ended does not say where: the stream
/// knows which of them have begun.
fn takes(watched: &Watched, told: &Told) -> bool {
    let kind = match told.what {
        what::REQUEST_BEGAN | what::REQUEST_ANSWERED | what::REQUEST_FAILED => {
            OperationKind::Request
        }
        _ => OperationKind::Connect,
    };
    let says_where = matches!(
        told.what,
        what::REQUEST_BEGAN | what::CONNECT_BEGAN | what::CONNECT_REFUSED
    );
    watched.scope == told.scope
        && watched.kind == kind
        && (!says_where || watched.is_for(told.remote, told.port))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[test]
    fn no_more_is_seen_than_was_there_when_the_reading_began() {
        let mut streams = Streams::default();
        let mut read_ns = None;
        let ring = iter::from_fn(|| {
            read_ns.get_or_insert_with(boot_ns);
            None
        });
        streams.take(iter::once(ring), &Signs::default());
        let seen = streams.seen_ns();
        assert!(seen > 0 && seen <= read_ns.unwrap());
        // Of two rings, one is read up to what a turn allows.
        let full = |records: usize| iter::repeat_n(Told::default(), records);
        streams.take([full(AT_ONCE), full(0)].into_iter(), &Signs::default());
        assert_eq!(streams.seen_ns(), seen);
        streams.take([full(AT_ONCE - 1), full(0)].into_iter(), &Signs::default());
        assert!(streams.seen_ns() > seen);
    }
}
