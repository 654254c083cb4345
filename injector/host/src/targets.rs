//! Targets: from what a person named to processes, cgroups and sockets of this host.
//!
//! [`resolve`] turns a selector into task keys and cgroup ids, [`guard`] refuses what must never be a
//! target, [`process`] and [`cgroup`] read `/proc` and the cgroup hierarchy, [`socket`] reaches the
//! sockets that a target has open already, [`plugins`] finds the processes that it speaks to over pipes, [`pidfd`] signals processes, [`controller`] finds the files that
//! limit a cgroup, [`tls`] the TLS libraries that processes have, [`Places`] says which inodes its paths are,
//! [`Presence`] whether it is there still.
//!
//! Invariant: a process is known by its task key, PID and start time together; wherever a PID is used
//! again later, the start time is checked again.

pub mod cgroup;
pub mod controller;
mod error;
pub mod guard;
pub mod overlap;
pub mod pidfd;
mod place;
pub mod plugins;
mod presence;
pub mod process;
mod resolve;
pub mod socket;
pub mod tls;

pub use error::Error;
pub use place::{Place, PlaceError, Places};
pub use presence::{Presence, Sight};
pub use resolve::{ResolvedTarget, resolve};
