//! Classic filters on network devices (`clsact`, `cls_bpf`), for kernels without TCX links.
//!
//! A filter stands until a process removes it. So it does nothing by itself ([`programs`]: it jumps through a table that
//! the kernel empties when its owner dies), and whose it is stands on it ([`label`]): the run, and whether an injector
//! made the qdisc as well. Everything here is about the calling thread's network namespace.
//!
//! Invariants:
//! - A filter is known by its device, side, priority, handle and label, and by the id of its program, which is its handle.
//!   What differs in one of them is another's, and is never touched.
//! - The qdisc goes only where an injector made it and no other filter is in it ([`remove`]).
//! - No more than one process of a namespace looks and changes at a time; the callers take turns.
//!
//! Rejected: aya's own way to attach by netlink, which lets the caller set neither the filter's name nor a handle of 32
//! bits, and which takes a filter away when an object is dropped, without a look at whose it is.

mod label;
mod netlink;
mod place;
mod programs;
mod removal;

use std::io;

pub use injector_plan::at_devices::{Clsact, FilterId, Side};
pub use label::Label;
pub use place::{Place, Qdisc, place};
pub use programs::{Filters, attach_return, has_our_program};
pub use removal::{Empty, Meant, Removal, Turn, remove};

use super::Error;

/// What stands at a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The qdisc at the place of `clsact`, by its kind.
    pub qdisc: Option<String>,
    /// The filters on both sides, in no order.
    pub filters: Vec<Standing>,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where packets pass it.
    pub side: Side,
    /// Those with a lower one are asked first.
    pub priority: u16,
    /// Its number within the priority.
    pub handle: u32,
    /// The id of its program; of a filter of another kind, none.
    pub program: Option<u32>,
    /// What stands on it, where it is a label of ours.
    pub label: Option<Label>,
}

impl Look {
    /// The kind of the qdisc, if there is one.
    fn kind(&self) -> Option<&str> {
        self.qdisc.as_deref()
    }
}

impl Standing {
    /// Whether it is an injector's.
    pub fn is_ours(&self) -> bool {
        self.label.is_some() && self.program == Some(self.handle)
    }

    /// What it is found again by.
    pub const fn id(&self) -> FilterId {
        FilterId {
            side: self.side,
            priority: self.priority,
            handle: self.handle,
        }
    }
}

/// The kind of the qdisc that filters of both sides stand in.
const CLSACT: &str = "clsact";

/// Looks at a device. One that is gone has nothing, and where the kernel has no qdiscs none has.
pub fn look(ifindex: u32) -> Result<Look, Error> {
    let failed = |source| Error::system("look at the filters of a network device", source);
    let netlink = netlink::Netlink::open().map_err(failed)?;
    let qdisc = match netlink.qdisc(ifindex) {
        Ok(qdisc) => qdisc,
        // Without CONFIG_NET_SCHED there is none to ask for (net/core/rtnetlink.c, `rtnetlink_rcv_msg`).
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => None,
        Err(error) => return Err(failed(error)),
    };
    let mut filters = Vec::new();
    if qdisc.as_deref() == Some(CLSACT) {
        for side in [Side::Egress, Side::Ingress] {
            match netlink.filters(ifindex, side) {
                Ok(found) => filters.extend(found),
                // It went with the device, or with its qdisc.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(Look { qdisc, filters })
}

/// What came of attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attaching {
    /// The filters stand.
    Done,
    /// Another program made the qdisc since the look: it is not ours, and nothing was changed.
    MadeByAnother,
    /// It is not as it was when it was looked at.
    Otherwise,
}

/// Makes the qdisc where the look saw none, and attaches filters with this label.
pub fn attach(
    ifindex: u32,
    place: Place,
    filters: &Filters,
    run: &str,
) -> Result<Attaching, Error> {
    let failed = |source| Error::system("attach a filter to a network device", source);
    let netlink = netlink::Netlink::open().map_err(failed)?;
    match place.qdisc {
        Qdisc::Stands => {}
        Qdisc::Missing => match netlink.add_qdisc(ifindex) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                return Ok(Attaching::MadeByAnother);
            }
            Err(error) => return Err(failed(error)),
        },
    }
    let label = Label {
        run: run.to_owned(),
        clsact: place.clsact,
    };
    for (side, program) in filters.each() {
        let id = place.id(side, program);
        match netlink.add_filter(ifindex, id, program.fd(), &label.to_string()) {
            Ok(()) => {}
            // The qdisc went, or the place was taken.
            Err(error) if is_otherwise(&error) => return Ok(Attaching::Otherwise),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Attaching::Done)
}

/// The device, its qdisc or the filter is not there any more (`net/sched/cls_api.c`, `tc_del_tfilter`; `EINVAL`: the device
/// has no such qdisc).
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENODEV | libc::ENOENT | libc::EINVAL)
    )
}

fn is_otherwise(error: &io::Error) -> bool {
    is_gone(error) || error.raw_os_error() == Some(libc::EEXIST)
}
