//! What faults on requests over HTTP share: the families `llm` and `tool`.

use super::{ActsOn, Definition, Drawn, OnRequests};
use crate::experiment::{
    CheckError, Direction, Settings, Target,
    timing::{Span, Timing},
};

/// What a fault on requests has to say of itself; the rest is the same for all of them.
pub(crate) trait RequestFault {
    /// What it does to them.
    fn on_requests(&self) -> OnRequests<'_>;

    /// Refuses what its types allow and makes no sense.
    fn check(&self) -> Result<(), CheckError>;

    /// Says its parameters, by the names of its flags.
    fn describe(&self, parameters: &mut Settings);

    /// What a plan says of it besides, a line each.
    fn details(&self) -> Vec<String>;
}

impl<T: RequestFault> Definition for T {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Requests(self.on_requests())
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        RequestFault::check(self)
    }

    fn check_on(&self, _: &Target) -> Result<(), CheckError> {
        Ok(())
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        RequestFault::describe(self, parameters);
        self.on_requests().describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        let mut lines = RequestFault::details(self);
        lines.push(THROUGH_THE_RELAY.to_owned());
        lines
    }
}

/// What a plan says of every fault on requests that the relay carries out.
pub const THROUGH_THE_RELAY: &str = "each new TCP connection of the target that its filters mean goes through a process of the injector's for the whole run; `--dest-port` or `--hostname` leaves others alone";
