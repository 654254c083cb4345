//! Who may do what on the socket.
//!
//! Root and the daemon's own user may do everything; the configuration may let a group in, and another
//! one that may only look. The kernel says who calls (`SO_PEERCRED`, and `SO_PEERGROUPS` for the
//! supplementary groups; unix(7), socket(7)): nothing that a client sends is believed.
//!
//! Rejected: the mode of the socket alone. It knows one group, it cannot tell looking from arming, and a
//! descriptor of a connection that is passed on would pass it.

use std::fs;

use rustix::fs::Gid;

use super::peer::Caller;
use injector_spec::{
    config::{Group, SocketAccess},
    error::Refusal,
};

/// Where groups have their names.
const GROUPS: &str = "/etc/group";

/// The groups that the configuration lets in, beside root and the daemon's own user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its members may do everything.
    pub full: Option<Gid>,
    /// Its members may look: lists, reports, events, but nothing that starts or ends a run.
    pub read_only: Option<Gid>,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Everything, as root or as the daemon's own user: the last to be turned away when it is crowded.
    Owner,
    /// Everything.
    Full,
    /// Look.
    ReadOnly,
}

/// How the socket's file is kept: the kernel turns away the callers that the mode keeps out, before
/// the daemon hears of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// The file's mode.
    pub(super) mode: u32,
    /// The file's group, where it matters.
    pub(super) group: Option<Gid>,
    /// The mode of its directory.
    pub(super) directory_mode: u32,
}

impl Access {
    /// What `[socket]` of the configuration says. A group that does not exist is a refusal: the daemon
    /// would serve fewer people than its owner thinks, or, when the group is made later, others.
    pub fn of(configured: &SocketAccess) -> Result<Self, Refusal> {
        let gid = |group: &Option<Group>| group.as_ref().map(gid).transpose();
        Ok(Self {
            full: gid(&configured.group)?,
            read_only: gid(&configured.read_only_group)?,
        })
    }

    /// What this caller may do; `None` for nothing. `ours` is the daemon's own user id.
    pub(super) fn right(&self, caller: &Caller, ours: u32) -> Option<Right> {
        if caller.asked_by.uid == 0 || caller.asked_by.uid == ours {
            Some(Right::Owner)
        } else if self.full.is_some_and(|group| caller.is_in(group)) {
            Some(Right::Full)
        } else if self.read_only.is_some_and(|group| caller.is_in(group)) {
            Some(Right::ReadOnly)
        } else {
            None
        }
    }

    /// The narrowest door that lets in every caller with a right. A file has one group: where two are let
    /// in, every user may connect, and only [`Access::right`] tells them apart.
    pub(super) fn door(&self) -> Door {
        let (mode, group) = match (self.full, self.read_only) {
            (None, None) => (0o600, None),
            (Some(one), None) | (None, Some(one)) => (0o660, Some(one)),
            (Some(one), Some(other)) if one == other => (0o660, Some(one)),
            (Some(_), Some(_)) => (0o666, None),
        };
        let directory_mode = if mode == 0o600 { 0o700 } else { 0o711 };
        Door {
            mode,
            group,
            directory_mode,
        }
    }
}

/// Reads `/etc/group` itself: a static program has no name service switch, and a daemon with privileges
/// loads no modules of one.
fn gid(group: &Group) -> Result<Gid, Refusal> {
    match group {
        Group::Id(id) => Ok(Gid::from_raw(*id)),
        Group::Name(name) => {
            let groups = fs::read_to_string(GROUPS).map_err(|error| {
                Refusal::usage(format!(
                    "the group `{name}` of the socket cannot be looked up: {GROUPS} cannot be read: {error}"
                ))
            })?;
            numbered(&groups, name).ok_or_else(|| {
                Refusal::usage(format!(
                    "there is no group `{name}` in {GROUPS}, which [socket] of the configuration lets in; \
                     make it with `groupadd {name}`, or write its number"
                ))
            })
        }
    }
}

/// The number of a group in lines of group(5), `name:password:number:members`.
fn numbered(groups: &str, name: &str) -> Option<Gid> {
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let number = line.split(':').nth(2)?.parse().ok()?;
    (number != u32::MAX).then(|| Gid::from_raw(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_engine::worker::AskedBy;

    #[test]
    fn groups_have_their_numbers_by_name() {
        let groups = "root:x:0:\nchaos:x:600:ada,bo\nchaos2:x:601:\nbad\nworse:x:no:\n";
        assert_eq!(numbered(groups, "chaos"), Some(Gid::from_raw(600)));
        for name in ["cha", "bad", "worse", "x", ""] {
            assert_eq!(numbered(groups, name), None, "{name}");
        }
        let configured = SocketAccess {
            group: Some(Group::Id(600)),
            read_only_group: Some(Group::Name("no such group here".into())),
        };
        let refusal = Access::of(&configured).unwrap_err();
        assert!(refusal.message.contains("groupadd"), "{refusal}");
    }

    fn operators() -> Gid {
        Gid::from_raw(600)
    }

    fn watchers() -> Gid {
        Gid::from_raw(700)
    }

    fn caller(uid: u32, gid: u32, supplementary: &[u32]) -> Caller {
        Caller {
            asked_by: AskedBy {
                uid,
                pid: 9,
                login_uid: None,
            },
            gid,
            supplementary: supplementary.to_vec(),
        }
    }

    #[test]
    fn nobody_but_root_and_the_daemons_user_where_nothing_is_configured() {
        let access = Access::default();
        assert_eq!(access.right(&caller(0, 0, &[]), 50), Some(Right::Owner));
        assert_eq!(access.right(&caller(50, 50, &[]), 50), Some(Right::Owner));
        // Root's group is not root.
        assert_eq!(access.right(&caller(51, 0, &[0, 50, 600]), 50), None);
        assert_eq!(access.door().mode, 0o600);
    }

    #[test]
    fn groups_count_wherever_a_process_has_them() {
        let access = Access {
            full: Some(operators()),
            read_only: Some(watchers()),
        };
        for (gid, supplementary, right) in [
            (600, &[][..], Some(Right::Full)),
            (51, &[52, 600][..], Some(Right::Full)),
            (700, &[600][..], Some(Right::Full)),
            (700, &[][..], Some(Right::ReadOnly)),
            (51, &[700][..], Some(Right::ReadOnly)),
            (51, &[52][..], None),
        ] {
            assert_eq!(access.right(&caller(51, gid, supplementary), 0), right);
        }
    }

    #[test]
    fn the_door_is_as_narrow_as_it_can_be() {
        let one = Access {
            full: None,
            read_only: Some(watchers()),
        };
        assert_eq!(
            (one.door().mode, one.door().group),
            (0o660, Some(watchers()))
        );
        let two = Access {
            full: Some(operators()),
            read_only: Some(watchers()),
        };
        assert_eq!((two.door().mode, two.door().directory_mode), (0o666, 0o711));
    }
}
