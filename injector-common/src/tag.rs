//! The tag on a socket: whose it is.
//!
//! A socket of a target carries a tag in its BPF socket storage; the kernel frees it with the socket
//! or with the map, whichever goes first. An accepted socket inherits its listener's tag
//! (`BPF_F_CLONE`). This is the only notion of "target" that packet programs have, so non-targets
//! pay one look-up.

/// The value in a socket's storage. All zero is "no target".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The scope plus one; 0 is no target.
    pub scope_plus_one: u32,
    /// [`Tag::EXISTING`] or [`Tag::NEW`].
    pub origin: u32,
    /// Cookie of the socket that was tagged; a clone with another cookie was accepted later.
    pub cookie: u64,
    /// Slots of resets that have asked this connection, one bit each: each asks it once.
    pub asked: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
}

impl Tag {
    /// The socket was there when the run was armed.
    pub const EXISTING: u32 = 0;
    /// The socket was made while the run was armed.
    pub const NEW: u32 = 1;

    /// A tag for a socket of `scope`.
    pub const fn new(scope: u32, origin: u32, cookie: u64) -> Self {
        Self {
            scope_plus_one: scope + 1,
            origin,
            cookie,
            asked: 0,
            pad: 0,
        }
    }

    /// The scope, if the socket belongs to a target at all.
    #[inline(always)]
    pub const fn scope(&self) -> Option<u32> {
        self.scope_plus_one.checked_sub(1)
    }

    /// Whether a socket with this tag and this cookie has a connection that began after arming.
    #[inline(always)]
    pub const fn is_new(&self, cookie: u64) -> bool {
        self.origin == Self::NEW || self.cookie != cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_nobody() {
        assert_eq!(Tag::default().scope(), None);
        assert_eq!(Tag::new(0, Tag::NEW, 7).scope(), Some(0));
    }

    #[test]
    fn a_clone_of_an_existing_listener_is_a_new_connection() {
        let tag = Tag::new(3, Tag::EXISTING, 7);
        assert!(!tag.is_new(7));
        assert!(tag.is_new(8));
    }
}
