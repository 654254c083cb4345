//! What probes try things on: one copy of the programs with their maps, inert but for the moment of a trial.

use injector_plan::tables::Sizes;

use crate::kernel::{
    Error,
    calls::CallPrograms,
    maps::{EventRing, LeaseMap, Maps},
    object::{Callers, Object},
};

/// The programs and their maps. Each trial has a rule of its own, so that none reads what another has counted.
pub(super) struct Bench {
    pub(super) object: Object,
    pub(super) maps: Maps,
    pub(super) lease: LeaseMap,
    /// Open for as long as programs may be loaded, which name it by its descriptor.
    _events: EventRing,
    programs: Option<Result<CallPrograms, String>>,
    trials: u32,
}

impl Bench {
    /// Reads the programs and makes the maps; loads no program.
    pub(super) fn load() -> Result<Self, Error> {
        // A trial is about a thread of this process.
        let callers = Callers {
            processes: 1,
            ..Callers::default()
        };
        let mut object = Object::load_for(callers, Sizes::TRIAL)?;
        let (maps, lease, events) = Maps::take(&mut object)?;
        Ok(Self {
            object,
            maps,
            lease,
            _events: events,
            programs: None,
            trials: 0,
        })
    }

    /// The programs on calls, and what they are attached to.
    pub(super) fn programs(&mut self) -> Result<(&CallPrograms, &mut Object), Error> {
        let object = &mut self.object;
        let programs = self
            .programs
            .get_or_insert_with(|| CallPrograms::of(object).map_err(|error| error.to_string()));
        match programs {
            Ok(programs) => Ok((programs, object)),
            Err(why) => Err(Error::Probe(why.clone())),
        }
    }

    /// A slot that no trial has had yet.
    pub(super) fn slot(&mut self) -> u32 {
        let slot = self.trials;
        self.trials += 1;
        slot
    }
}
