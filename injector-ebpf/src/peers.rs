//! The far end of a socket or call, for the filters that packets have too.

use crate::{
    maps::{OFFSET_SOCK_DADDR, OFFSET_SOCK_DADDR6, OFFSET_SOCK_DPORT, OFFSET_SOCK_FAMILY},
    packet::v4_mapped,
    subject::{Subject, read},
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Address (IPv6 or v4-mapped) and port of the far end: the one that the call names, else the one that
/// the socket is connected to; zeros where there is none.
#[inline(always)]
pub fn of(subject: &Subject) -> ([u8; 16], u16) {
    if subject.address != 0 {
        return of_address(subject.address);
    }
    if subject.sock == 0 {
        return ([0; 16], 0);
    }
    let port = u16::from_be(read(subject.sock + u64::from(OFFSET_SOCK_DPORT.load())));
    let remote = match read::<u16>(subject.sock + u64::from(OFFSET_SOCK_FAMILY.load())) {
        AF_INET => v4_mapped(read(subject.sock + u64::from(OFFSET_SOCK_DADDR.load()))),
        AF_INET6 => read(subject.sock + u64::from(OFFSET_SOCK_DADDR6.load())),
        _ => [0; 16],
    };
    (remote, port)
}

/// `struct sockaddr_in` and `sockaddr_in6` (include/uapi/linux/in.h, in6.h).
#[inline(always)]
fn of_address(address: u64) -> ([u8; 16], u16) {
    let port = u16::from_be(read(address + 2));
    match read::<u16>(address) {
        AF_INET => (v4_mapped(read(address + 4)), port),
        AF_INET6 => (read(address + 8), port),
        _ => ([0; 16], 0),
    }
}
