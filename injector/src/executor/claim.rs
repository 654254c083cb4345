//! Tags the sockets that targets have open: at arming, and again while the run goes on, because a
//! socket may come over a unix socket, or be opened by a process that was just being followed.

use std::collections::HashSet;

use injector_common::tag::Tag;

use crate::{
    kernel::maps::Maps,
    target::{process::TaskKey, socket},
};

/// Sockets that were looked at already, by inode.
#[derive(Default)]
pub(super) struct Claimed {
    known: HashSet<u64>,
}

impl Claimed {
    /// Tags the sockets of these processes that were not looked at before. A socket that cannot be
    /// tagged stays a bystander's.
    pub(super) fn claim(&mut self, members: &[TaskKey], scope: u32, origin: u32, maps: &mut Maps) {
        for key in members {
            socket::visit_new(*key, &mut self.known, |socket| {
                let _ = maps.tag(&socket.fd, Tag::new(scope, origin, socket.cookie));
            });
        }
    }
}
