//! The conversation with the kernel's traffic control: six questions over one `NETLINK_ROUTE` socket
//! (`rtnetlink.h`, `pkt_sched.h` and `pkt_cls.h` of include/uapi/linux).
//!
//! By hand, because what is not understood must count as another program's and never be left out: a library that parses
//! all attributes of all kinds of filters fails where one of them is new to it. Synchronous, because the guardian asks
//! too.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{CLSACT, FilterId, Side, Standing, is_gone};

/// `sizeof(struct nlmsghdr)`, `sizeof(struct tcmsg)`, `sizeof(struct nlattr)`.
const HEADER: usize = 16;
const TC_HEADER: usize = 20;
const ATTRIBUTE: usize = 4;

/// `TC_H_CLSACT`, which is `TC_H_INGRESS`: the place of the qdisc.
const PLACE: u32 = 0xffff_fff1;
/// The handle that a qdisc has there.
const QDISC: u32 = 0xffff_0000;
/// `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)` and `TC_H_MIN_EGRESS`.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// `enum` of `TCA_BPF_...`.
const BPF_FD: u16 = 6;
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const BPF_FLAGS_GEN: u16 = 9;
const BPF_ID: u16 = 11;
/// `TCA_BPF_FLAG_ACT_DIRECT`: what the program returns is what is done.
const DIRECT_ACTION: u32 = 1;
/// `TCA_CLS_FLAGS_SKIP_HW`: no network card is asked to run it.
const SKIP_HARDWARE: u32 = 1;

/// The kind of filters whose program is BPF.
const BPF: &str = "bpf";

/// The largest answer: the kernel fills buffers of at most 32 KiB (`net/netlink/af_netlink.c`, `netlink_dump`).
const ANSWER: usize = 1 << 16;

/// How often a change is asked for while another thread of the kernel's works on the same qdisc.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(2);

/// A socket.
pub(super) struct Netlink(OwnedFd);

/// What a message is about: `struct tcmsg`.
#[derive(Clone, Copy, Default)]
struct About {
    ifindex: u32,
    handle: u32,
    parent: u32,
    info: u32,
}

impl Netlink {
    /// In the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self(socket))
    }

    /// The kind of the qdisc at the place of `clsact`. Asked for by itself: a list of all, which the kernel tells in parts,
    /// may miss one where others come and go meanwhile.
    pub(super) fn qdisc(&self, ifindex: u32) -> io::Result<Option<String>> {
        let about = About {
            ifindex,
            parent: PLACE,
            ..About::default()
        };
        // Older kernels answer by a notice (`qdisc_notify`), which the asking socket hears only with this flag.
        let message = Message::new(libc::RTM_GETQDISC, libc::NLM_F_ECHO, about);
        rustix::net::send(&self.0, &message.0, SendFlags::empty())?;
        let mut found = None;
        let answered = self.each_answer(|about, attributes| {
            if about.ifindex == ifindex && about.handle == QDISC {
                found = Some(text(attribute(attributes, libc::TCA_KIND)));
            }
        });
        match answered {
            Ok(()) => Ok(found),
            // There never was one, or only the kernel's placeholder for none is left (net/sched/sch_api.c,
            // `tc_get_qdisc`, `qdisc_get_notify`).
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The filters on one side of a device.
    pub(super) fn filters(&self, ifindex: u32, side: Side) -> io::Result<Vec<Standing>> {
        let mut found = Vec::new();
        let about = About {
            ifindex,
            parent: parent(side),
            ..About::default()
        };
        self.dump(libc::RTM_GETTFILTER, about, |about, attributes| {
            found.extend(standing(side, about, attributes));
        })?;
        Ok(found)
    }

    /// Makes the qdisc; `EEXIST` where one is there.
    pub(super) fn add_qdisc(&self, ifindex: u32) -> io::Result<()> {
        let mut message = Message::new(
            libc::RTM_NEWQDISC,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            of_qdisc(ifindex),
        );
        message.attribute(libc::TCA_KIND, &zero_ended(CLSACT));
        self.change(&message)
    }

    /// Removes the qdisc with all filters in it; the kernel refuses where it is of another kind.
    pub(super) fn delete_qdisc(&self, ifindex: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELQDISC, 0, of_qdisc(ifindex));
        message.attribute(libc::TCA_KIND, &zero_ended(CLSACT));
        self.change(&message)
    }

    /// Attaches a program; `EEXIST` where a filter of this priority has the handle.
    pub(super) fn add_filter(
        &self,
        ifindex: u32,
        id: FilterId,
        program: BorrowedFd<'_>,
        name: &str,
    ) -> io::Result<()> {
        let mut message = Message::new(
            libc::RTM_NEWTFILTER,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            of_filter(ifindex, id),
        );
        message.attribute(libc::TCA_KIND, &zero_ended(BPF));
        let mut options = Vec::new();
        put(&mut options, BPF_FD, &program.as_raw_fd().to_ne_bytes());
        put(&mut options, BPF_NAME, &zero_ended(name));
        put(&mut options, BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes());
        put(&mut options, BPF_FLAGS_GEN, &SKIP_HARDWARE.to_ne_bytes());
        message.attribute(libc::TCA_OPTIONS, &options);
        self.change(&message)
    }

    /// Removes one filter.
    pub(super) fn delete_filter(&self, ifindex: u32, id: FilterId) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELTFILTER, 0, of_filter(ifindex, id));
        message.attribute(libc::TCA_KIND, &zero_ended(BPF));
        self.change(&message)
    }

    /// Asks for a change and hears what came of it.
    fn change(&self, message: &Message) -> io::Result<()> {
        let mut tries = TRIES;
        loop {
            rustix::net::send(&self.0, &message.0, SendFlags::empty())?;
            let answered = self.each_answer(|_, _| {});
            match answered {
                Err(error)
                    if tries > 0
                        && matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN)) =>
                {
                    tries -= 1;
                    std::thread::sleep(BETWEEN);
                }
                other => return other,
            }
        }
    }

    /// Asks for a list.
    fn dump(&self, kind: u16, about: About, each: impl FnMut(About, &[u8])) -> io::Result<()> {
        let message = Message::new(kind, libc::NLM_F_DUMP, about);
        rustix::net::send(&self.0, &message.0, SendFlags::empty())?;
        self.each_answer(each)
    }

    /// Reads up to the end of a list, or to the word on a change.
    fn each_answer(&self, mut each: impl FnMut(About, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0; ANSWER];
        loop {
            let (read, length) = rustix::net::recv(&self.0, &mut buffer[..], RecvFlags::TRUNC)?;
            if length > read {
                return Err(io::Error::other("the kernel's answer is too long"));
            }
            let mut rest = &buffer[..read];
            while let Some((kind, body, behind)) = first_message(rest) {
                rest = behind;
                match i32::from(kind) {
                    libc::NLMSG_DONE | libc::NLMSG_ERROR => return outcome(body),
                    _ => {
                        if let Some((about, attributes)) = tc_message(body) {
                            each(about, attributes);
                        }
                    }
                }
            }
        }
    }
}

/// What the last message of an answer says: an errno, negative, or 0.
fn outcome(body: &[u8]) -> io::Result<()> {
    match u32_at(body, 0).map(u32::cast_signed) {
        Some(0..) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        None => Err(io::Error::other("the kernel's answer is cut off")),
    }
}

/// A message to the kernel.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: i32, about: About) -> Self {
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        let flags = u16::try_from(flags).unwrap_or_default();
        let mut bytes = vec![0; HEADER + TC_HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        let words = [about.ifindex, about.handle, about.parent, about.info];
        for (number, word) in words.into_iter().enumerate() {
            let at = HEADER + 4 + 4 * number;
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let mut message = Self(bytes);
        message.set_length();
        message
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        put(&mut self.0, kind, value);
        self.set_length();
    }

    fn set_length(&mut self) {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
    }
}

const fn of_qdisc(ifindex: u32) -> About {
    About {
        ifindex,
        handle: QDISC,
        parent: PLACE,
        info: 0,
    }
}

/// A filter is found by its priority and protocol, which for all packets is `ETH_P_ALL` in the wire's order.
fn of_filter(ifindex: u32, id: FilterId) -> About {
    let protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    About {
        ifindex,
        handle: id.handle,
        parent: parent(id.side),
        info: u32::from(id.priority) << 16 | u32::from(protocol),
    }
}

const fn parent(side: Side) -> u32 {
    match side {
        Side::Egress => EGRESS,
        Side::Ingress => INGRESS,
    }
}

/// Adds an attribute.
fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn zero_ended(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The filter that a message tells of. Of each priority with BPF programs the kernel tells first, without a handle: that
/// is none.
fn standing(side: Side, about: About, attributes: &[u8]) -> Option<Standing> {
    let is_bpf = text(attribute(attributes, libc::TCA_KIND)) == BPF;
    if is_bpf && about.handle == 0 {
        return None;
    }
    let options = attribute(attributes, libc::TCA_OPTIONS)
        .filter(|_| is_bpf)
        .unwrap_or_default();
    let program = attribute(options, BPF_ID).and_then(|id| u32_at(id, 0));
    Some(Standing {
        side,
        priority: u16::try_from(about.info >> 16).unwrap_or_default(),
        handle: about.handle,
        program,
        label: text(attribute(options, BPF_NAME)).parse().ok(),
    })
}

/// The first message of some, and what comes behind it.
fn first_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let kind = u16_at(bytes, 4)?;
    let body = bytes.get(HEADER..length)?;
    let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, behind))
}

fn tc_message(body: &[u8]) -> Option<(About, &[u8])> {
    let about = About {
        ifindex: u32_at(body, 4)?,
        handle: u32_at(body, 8)?,
        parent: u32_at(body, 12)?,
        info: u32_at(body, 16)?,
    };
    Some((about, body.get(TC_HEADER..)?))
}

/// The value of the first attribute of a kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    /// `NLA_TYPE_MASK`.
    const KIND: u16 = 0x3fff;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let value = attributes.get(ATTRIBUTE..length)?;
        if kind & KIND == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// A text up to its closing zero; empty where there is none.
fn text(value: Option<&[u8]>) -> String {
    let value = value.unwrap_or_default();
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::clsact::Label;
    use injector_plan::at_devices::Clsact;

    /// A message as the kernel tells of a filter.
    fn told(kind: &str, options: &[u8]) -> Vec<u8> {
        let id = FilterId {
            side: Side::Egress,
            priority: 7,
            handle: 500,
        };
        let mut message = Message::new(libc::RTM_NEWTFILTER, 0, of_filter(3, id));
        message.attribute(libc::TCA_KIND, &zero_ended(kind));
        // TCA_CHAIN.
        message.attribute(11, &0_u32.to_ne_bytes());
        message.attribute(libc::TCA_OPTIONS, options);
        message.0
    }

    fn read(message: &[u8]) -> Option<Standing> {
        let (_, body, behind) = first_message(message)?;
        assert!(behind.is_empty());
        let (about, attributes) = tc_message(body)?;
        assert_eq!(about.ifindex, 3);
        standing(Side::Egress, about, attributes)
    }

    #[test]
    fn a_filter_of_ours_is_read_with_all_that_it_is_known_by() {
        let label = Label {
            run: "r000000010001".into(),
            clsact: Clsact::Made,
        };
        let mut options = Vec::new();
        put(&mut options, BPF_NAME, &zero_ended(&label.to_string()));
        // TCA_BPF_TAG, of eight bytes.
        put(&mut options, 10, &[1; 8]);
        put(&mut options, BPF_ID, &500_u32.to_ne_bytes());
        let found = read(&told("bpf", &options)).unwrap();
        assert!(found.is_ours());
        assert_eq!((found.priority, found.handle), (7, 500));
        assert_eq!(found.label, Some(label));
    }

    #[test]
    fn what_is_not_understood_counts_as_anothers() {
        let mut options = Vec::new();
        put(&mut options, BPF_NAME, &zero_ended("bpf_lxc.o:[egress]"));
        put(&mut options, BPF_ID, &500_u32.to_ne_bytes());
        for (kind, options) in [("bpf", &options[..]), ("flower", &[0xff; 3]), ("new", &[])] {
            let found = read(&told(kind, options)).unwrap();
            assert!(!found.is_ours(), "{kind}");
        }
    }

    #[test]
    fn a_priority_without_a_handle_is_no_filter() {
        let about = About {
            ifindex: 3,
            info: 7 << 16,
            ..About::default()
        };
        let mut message = Message::new(libc::RTM_NEWTFILTER, 0, about);
        message.attribute(libc::TCA_KIND, &zero_ended("bpf"));
        assert_eq!(read(&message.0), None);
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            while let Some((_, body, behind)) = first_message(rest) {
                prop_assert!(behind.len() < rest.len());
                rest = behind;
                if let Some((about, attributes)) = tc_message(body) {
                    let _ = standing(Side::Ingress, about, attributes);
                }
            }
        }
    }
}
