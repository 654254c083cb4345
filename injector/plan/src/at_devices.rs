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
                "held by no descriptor, for want of TCX: classic filters (clsact), inert without injector's worker, removed by the processes that are left, else by the next start or `injector sweep`; the kernel drops all packets of a device, bystanders' too, for some milliseconds when its clsact is made and when that goes, so make one before (`tc qdisc add dev DEVICE clsact`) where that matters",
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

/// A filter of an injector on a device, as it is written down and found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterId {
    /// Which packets pass it.
    pub side: Side,
    /// Those with a lower one are asked first.
    pub priority: u16,
    /// Its handle, which is the id of its BPF program.
    pub handle: u32,
}

#[cfg(test)]
mod tests {
    use injector_spec::experiment::file;

    use super::*;
    use crate::{Names, Plan};

    #[test]
    fn every_fault_on_packets_has_both_ways() {
        let faults = [
            ("noop: { target: t }", "tcx-count", "clsact-count"),
            (
                "net.loss: { target: t, percent: 1% }",
                "tcx-redirect",
                "clsact-redirect",
            ),
            (
                "net.loss: { target: t, percent: 1%, direction: both }",
                "tcx-redirect+cgroup-ingress",
                "clsact-redirect+cgroup-ingress",
            ),
            (
                "net.corrupt: { target: t, mode: payload, percent: 1% }",
                "tcx-rewrite",
                "clsact-rewrite",
            ),
            (
                "net.duplicate: { target: t, percent: 1% }",
                "tcx-clone",
                "clsact-clone",
            ),
            (
                "net.delay: { target: t, latency: 1ms }",
                "delay-line",
                "clsact-delay-line",
            ),
            // What no program at a device does is the same with both.
            (
                "net.loss: { target: t, percent: 1%, direction: ingress }",
                "cgroup-ingress",
                "cgroup-ingress",
            ),
        ];
        for (fault, by_links, by_filters) in faults {
            let text = format!(
                "name: x\ntargets:\n  t: {{ pid: 1 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - {fault}\n"
            );
            let experiment = file::parse(&text, "x", None).unwrap();
            let plan = |offers: &dyn Fn(Need) -> bool| {
                Plan::make(&experiment, &Names::default(), 1, offers).unwrap()
            };
            let plans = [plan(&|_| true), plan(&|need| need != Need::DeviceLinks)];
            let means = plans.each_ref().map(|plan| plan.rules[0].compiled.means());
            assert_eq!(means, [by_links, by_filters], "{fault}");
            let stands = by_links != by_filters;
            let [links, filters] = plans.each_ref().map(Plan::needs);
            assert_eq!(links.contains(&Need::DeviceLinks), stands, "{fault}");
            assert_eq!(filters.contains(&Need::DeviceFilters), stands, "{fault}");
            assert!(!filters.contains(&Need::DeviceLinks), "{fault}");
            let is_filter = plans[1].hooks(&[0]).attachment == Attachment::Filters;
            assert_eq!(is_filter, stands, "{fault}");
        }
    }

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
