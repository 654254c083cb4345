//! The operations of targets, read from the rings of their namespaces.
//!
//! The run's own thread reads, at each of its turns, and never waits. A ring holds what a target does in seconds; what
//! does not fit is counted, and then the operations are not judged.

use std::collections::BTreeMap;

use crate::effects::ground::Ground;
use injector_common::operation::{Told, what};
use injector_host::kernel::clock::boot_ns;
use injector_plan::Watched;
use injector_record::{
    measure::Sample,
    operations::{Second, Stream},
};
use injector_spec::experiment::{OperationKind, SteadyState, operation::MOST_KEPT};

/// The most records of a namespace that are read in one turn: the run has other things to look after.
const AT_ONCE: usize = 65_536;

/// All streams of a run, in the order of the experiment.
#[derive(Default)]
pub(super) struct Streams(Vec<(Watched, Stream)>);

impl Streams {
    /// The streams that an experiment has, none of which has begun.
    pub(super) fn of(steady_state: &SteadyState, watched: Vec<Watched>) -> Self {
        let operations = &steady_state.operations;
        let share = MOST_KEPT / operations.len().max(1);
        let of_its_own = |watched: Watched| {
            let asked = operations.iter().find(|one| one.name == watched.name)?;
            Some((watched, Stream::new(asked, share)))
        };
        Self(watched.into_iter().filter_map(of_its_own).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.0.iter().map(|(_, stream)| stream)
    }

    /// Reads what was told since the last time.
    pub(super) fn read(&mut self, ground: &mut Ground) {
        if self.0.is_empty() {
            return;
        }
        for namespace in &mut ground.namespaces {
            for told in namespace.operations.by_ref().take(AT_ONCE) {
                let its = self.0.iter_mut();
                for (_, stream) in its.filter(|(watched, _)| takes(watched, &told)) {
                    stream.take(&told);
                }
            }
            // One that cannot be read now is read at the next turn.
            let lost = namespace.operations.lost().unwrap_or_default();
            for (watched, stream) in &mut self.0 {
                if lost > 0 && namespace.scopes.contains(&watched.scope) {
                    stream.lost(lost);
                }
            }
        }
        let now = boot_ns();
        for (_, stream) in &mut self.0 {
            stream.look(now);
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self, ended_ns: u64) {
        for (_, stream) in &mut self.0 {
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
        for (watched, stream) in &mut self.0 {
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
        let mut streams = self.0.iter_mut();
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
