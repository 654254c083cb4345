//! What is done to a target: one kind of fault, with what all of them have.

use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, Chance, Direction, Fate, FaultKind, Flaw, OnCalls, OnProcesses, OnRequests,
    Peer, Ramp, Traffic,
};

/// One kind of failure on one target, with its filters and its chance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Index of the target within the experiment.
    pub target: usize,
    /// What is done.
    pub kind: FaultKind,
    /// To packets that go which way.
    pub direction: Direction,
    /// To which of them.
    pub traffic: Traffic,
    /// To how many of those.
    pub chance: Chance,
    /// Which parameters move while it is on; what stands above are the harshest values of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramps: Vec<Ramp>,
    /// How many of the steps behind its own it stays on for; none but where its branch runs beside others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stays_on: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) const fn is_zero(steps: &usize) -> bool {
    *steps == 0
}

impl Fault {
    /// A fault on target 0 that filters on traffic say nothing about.
    pub(crate) fn without_traffic(kind: impl Into<FaultKind>, chance: Chance) -> Self {
        Self {
            target: 0,
            kind: kind.into(),
            direction: Direction::Egress,
            traffic: Traffic::default(),
            chance,
            ramps: Vec::new(),
            stays_on: 0,
        }
    }

    /// The last step in which it is on, where it begins with this one.
    pub const fn last_step(&self, own: usize) -> usize {
        own.saturating_add(self.stays_on)
    }

    /// What a plan says of it besides its description, a line each; what only a host knows is not there.
    pub fn details(&self) -> Vec<String> {
        self.kind.definition().details(self.direction)
    }
}

impl FaultKind {
    /// What it acts on.
    pub fn acts_on(&self) -> ActsOn<'_> {
        self.definition().acts_on()
    }

    /// What it does to system calls; `None` where it does nothing to them.
    pub fn on_calls(&self) -> Option<OnCalls<'_>> {
        match self.acts_on() {
            ActsOn::Calls(done, _) => Some(done),
            ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Processes(_) => None,
        }
    }

    /// What it does to requests over HTTP; `None` where it does nothing to them.
    pub fn on_requests(&self) -> Option<OnRequests<'_>> {
        match self.acts_on() {
            ActsOn::Requests(done) => Some(done),
            ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => None,
        }
    }

    /// The flaws that a target can show by what it does to it.
    pub fn shows(&self) -> &'static [Flaw] {
        match self.acts_on() {
            ActsOn::Requests(on) => on.shows(),
            ActsOn::Processes(on) => on.shows(),
            ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Calls(..) => &[],
        }
    }

    /// What it does to processes as wholes; `None` where it does nothing to them.
    pub fn on_processes(&self) -> Option<OnProcesses<'_>> {
        match self.acts_on() {
            ActsOn::Processes(done) => Some(done),
            ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Calls(..) => None,
        }
    }

    /// Whether each hit is a call of the target that fails with an errno.
    pub fn fails_calls(&self) -> bool {
        matches!(
            self.acts_on(),
            ActsOn::Connects | ActsOn::Calls(OnCalls::Error(_), _)
        )
    }

    /// Whether packets of it are lost: at the wire where they are sent, at the socket where they arrive.
    pub fn loses_packets(&self) -> bool {
        matches!(self.acts_on(), ActsOn::Packets(packets) if packets.fate == Fate::Lost)
    }

    /// The far ends that the fault itself names, where it does so in place of its filters.
    pub fn peers(&self) -> Option<&[Peer]> {
        match self.acts_on() {
            ActsOn::Packets(packets) => packets.peers,
            ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_)
            | ActsOn::Calls(..)
            | ActsOn::Processes(_) => None,
        }
    }

    /// Whether processes of the target may end by it, and not by what they do about it: they get a signal. What it
    /// starves them of makes them wait or fails their calls.
    pub fn may_end_processes(&self) -> bool {
        match self.acts_on() {
            ActsOn::Processes(OnProcesses::Kill(_)) | ActsOn::Calls(OnCalls::Signal(_), _) => true,
            ActsOn::Processes(
                OnProcesses::Pause(_) | OnProcesses::Starve(_) | OnProcesses::Plugins(_),
            )
            | ActsOn::Calls(
                OnCalls::Error(_) | OnCalls::Delay(_) | OnCalls::Damage(_) | OnCalls::Short(_),
                _,
            )
            | ActsOn::Packets(_)
            | ActsOn::LookUps(_)
            | ActsOn::Connects
            | ActsOn::Connections
            | ActsOn::Requests(_) => false,
        }
    }

    /// Whether it is about files that have to be named.
    pub fn is_about_files(&self) -> bool {
        matches!(self.acts_on(), ActsOn::Calls(_, About::Files))
    }

    /// Whether it is about pipes and unix sockets alone.
    pub fn is_about_pipes(&self) -> bool {
        matches!(self.acts_on(), ActsOn::Calls(_, About::Pipes))
    }
}
