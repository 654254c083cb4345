//! What faults act on.

use std::time::Duration;

use super::{
    call_damage::CallDamage, call_delay::CallDelay, call_error::CallError, io_short::CallShort,
    net_partition::Peer, on_plugins::OnPlugins, on_requests::OnRequests, proc_kill::Kill,
    proc_kill_at_call::KillAtCall, proc_pause::Pause, proc_starve::Starve,
};
use crate::experiment::{Calls, Flaw};

/// What a fault acts on.
#[derive(Clone, Copy, Debug)]
pub enum ActsOn<'f> {
    /// Packets at devices and sockets.
    Packets(OnPackets<'f>),
    /// Look-ups of names.
    LookUps(OnLookUps<'f>),
    /// `connect(2)`.
    Connects,
    /// Connections that are there.
    Connections,
    /// Requests over HTTP, to language models or to tools.
    Requests(OnRequests<'f>),
    /// System calls, and what they have to be about.
    Calls(OnCalls<'f>, About),
    /// Processes as wholes.
    Processes(OnProcesses<'f>),
}

/// What happens to packets.
#[derive(Clone, Copy, Debug)]
pub struct OnPackets<'f> {
    /// What becomes of them.
    pub fate: Fate,
    /// The far ends, where the fault itself names them and not its filters.
    pub peers: Option<&'f [Peer]>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as soon as it can, changed or not.
    GoesOn,
    /// It is lost: at the wire where it is sent, at the socket where it arrives.
    Lost,
    /// It is held, for this long at most.
    Held(Duration),
}

/// What happens to look-ups.
#[derive(Clone, Copy, Debug)]
pub struct OnLookUps<'f> {
    /// Of names that match one of these globs, or of all names where there is none.
    pub names: &'f [String],
    /// What becomes of the query.
    pub fate: Fate,
}

/// What happens to system calls.
#[derive(Clone, Copy, Debug)]
pub enum OnCalls<'f> {
    /// They fail.
    Error(&'f CallError),
    /// They take longer.
    Delay(&'f CallDelay),
    /// What they return is damaged.
    Damage(&'f CallDamage),
    /// They read or write less than they were asked to.
    Short(&'f CallShort),
    /// Their callers get a signal.
    Signal(&'f KillAtCall),
}

/// What system calls have to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Anything.
    Anything,
    /// Files, which have to be named.
    Files,
    /// Pipes and unix sockets alone.
    Pipes,
}

/// What happens to the processes of a target as wholes.
#[derive(Clone, Copy, Debug)]
pub enum OnProcesses<'f> {
    /// They get a signal.
    Kill(&'f Kill),
    /// They stand still.
    Pause(&'f Pause),
    /// Their cgroup gets less than it wants.
    Starve(&'f Starve),
    /// Their plug-ins feel it.
    Plugins(OnPlugins<'f>),
}

impl ActsOn<'_> {
    /// Packets that its filters mean, of which this becomes.
    pub(crate) const fn packets(fate: Fate) -> Self {
        Self::Packets(OnPackets { fate, peers: None })
    }
}

impl<'f> OnCalls<'f> {
    /// Which calls.
    pub const fn calls(self) -> &'f Calls {
        match self {
            Self::Error(error) => &error.calls,
            Self::Delay(delay) => &delay.calls,
            Self::Damage(damage) => &damage.calls,
            Self::Short(short) => &short.calls,
            Self::Signal(kill) => &kill.calls,
        }
    }
}

impl OnProcesses<'_> {
    /// The flaws that a target can show by it.
    pub(crate) const fn shows(self) -> &'static [Flaw] {
        match self {
            Self::Kill(_) => &[Flaw::Orphans],
            Self::Plugins(on) => on.shows(),
            Self::Pause(_) | Self::Starve(_) => &[],
        }
    }
}
