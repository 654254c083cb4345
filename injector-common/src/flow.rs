//! What is known of how packets reach a target's sockets, so that packets of others are left alone.
//!
//! A device's program sees a packet before the host has decided whether it is for this host at all. A socket
//! that is connected to the packet's sender is proof. One that listens on any address is not: the packet may be
//! forwarded, or its address be translated to another's. There the proof is that the target's sockets have got
//! such packets before, or have sent to where this one comes from.

/// The two ends of a flow on the wire, as a packet that arrives has them; or, with a remote end of zeros, a
/// *door*: an address and port at which packets of any sender have reached a target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The far end, IPv6 or v4-mapped, in network order.
    pub remote: [u8; 16],
    /// The target's end.
    pub local: [u8; 16],
    /// Port of the far end.
    pub remote_port: u16,
    /// Port of the target's end.
    pub local_port: u16,
    /// IP protocol number.
    pub protocol: u32,
}

impl Flow {
    /// The door of this flow's own end.
    #[inline(always)]
    #[must_use]
    pub const fn door(&self) -> Self {
        Self {
            remote: [0; 16],
            remote_port: 0,
            ..*self
        }
    }
}

/// Packets that reached a target's socket while faults on what arrives were on, and that no rule was asked
/// about.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unjudged {
    /// The first at a door: until then nothing said that such packets are the target's.
    pub first: u64,
    /// Multicast and broadcast, which other sockets get too.
    pub shared: u64,
    /// Translated on their way (NAT), handed over by address (TPROXY), or through a device that is not covered.
    pub elsewhere: u64,
}

impl Unjudged {
    /// Adds another CPU's.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self {
            first: self.first + other.first,
            shared: self.shared + other.shared,
            elsewhere: self.elsewhere + other.elsewhere,
        }
    }
}

const _: () = assert!(size_of::<Flow>() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_forgets_who_comes() {
        let flow = Flow {
            remote: [1; 16],
            local: [2; 16],
            remote_port: 3,
            local_port: 4,
            protocol: 6,
        };
        let other = Flow {
            remote: [9; 16],
            remote_port: 9,
            ..flow
        };
        assert_eq!(flow.door(), other.door());
        assert_ne!(flow.door(), flow);
    }
}
