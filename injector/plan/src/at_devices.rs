//! Programs on network devices: by which way they stand there, and on which side.

use serde::{Deserialize, Serialize};

use crate::Need;

/// How programs stand on devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachment {
    /// By TCX links: a descriptor holds each, and the kernel lets go of it with its owner.
    #[default]
    Links,
    /// By classic filters (`clsact`), for kernels without TCX: they do nothing without their owner, and are a change of
    /// the host that is undone.
    Filters,
}

impl Attachment {
    /// The better one of those that the host offers. Where it offers none, the refusal is about the better one.
    pub(crate) fn choose(offers: &dyn Fn(Need) -> bool) -> Self {
        if !offers(Need::DeviceLinks) && offers(Need::DeviceFilters) {
            Self::Filters
        } else {
            Self::Links
        }
    }

    /// What it needs.
    pub(crate) const fn need(self) -> Need {
        match self {
            Self::Links => Need::DeviceLinks,
            Self::Filters => Need::DeviceFilters,
        }
    }

    /// What a person should know of it, if anything.
    pub const fn remark(self) -> Option<&'static str> {
        match self {
            Self::Links => None,
            Self::Filters => Some(
                "held by no descriptor, for want of TCX: classic filters (clsact), inert at once without injector's worker, and removed within a second",
            ),
        }
    }
}

/// A side of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Packets that leave through it.
    Egress,
    /// Packets that arrive at it.
    Ingress,
}

/// Where the qdisc comes from that classic filters stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clsact {
    /// An injector made it; the last filter of one takes it along.
    Made,
    /// It is another program's, and stays.
    Found,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_first_and_are_what_a_refusal_is_about() {
        let only = |one: Need| move |need: Need| need == one;
        assert_eq!(Attachment::choose(&|_| true), Attachment::Links);
        assert_eq!(Attachment::choose(&|_| false), Attachment::Links);
        let filters = Attachment::choose(&only(Need::DeviceFilters));
        assert_eq!(filters, Attachment::Filters);
        assert_eq!(filters.need(), Need::DeviceFilters);
    }
}
