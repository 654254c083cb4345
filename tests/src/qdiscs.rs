//! The qdiscs that filters of devices stand in (`clsact`, `ingress`), asked of the kernel itself: what is left behind must
//! be found without the code that may have left it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};

/// The handle of a qdisc at that place.
const HANDLE: u32 = 0xffff_0000;
/// `sizeof(struct nlmsghdr)` and the same with a `struct tcmsg` behind it.
const HEADER: usize = 16;
const BOTH: usize = HEADER + 20;
/// `NLMSG_DONE` and `NLMSG_ERROR`.
const LAST: [u16; 2] = [3, 2];

/// `TC_H_CLSACT`, the place of the qdisc; `TCA_KIND` and its value, with its closing zero and up to a multiple of four.
const PLACE: u32 = 0xffff_fff1;
const KIND: [u8; 12] = *b"\x0b\0\x01\0clsact\0\0";

/// A `clsact` on a device of the calling thread's network namespace, for as long as the value lives. An injector that finds
/// one uses it and leaves it; to make and remove one, the kernel drops the device's packets for some milliseconds.
#[derive(Debug)]
pub struct Clsact(u32);

impl Clsact {
    /// Makes it.
    pub fn make(device: u32) -> Result<Self> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        change(libc::RTM_NEWQDISC, flags, device).context("cannot make a clsact")?;
        Ok(Self(device))
    }
}

impl Drop for Clsact {
    fn drop(&mut self) {
        if let Err(error) = change(libc::RTM_DELQDISC, 0, self.0) {
            eprintln!("a clsact is left: {error:#}");
        }
    }
}

/// The interface indices of the calling thread's network namespace that have such a qdisc.
pub fn devices() -> Result<Vec<u32>> {
    let socket = socket().context("cannot open a netlink socket")?;
    let mut question = [0_u8; BOTH];
    fill(&mut question, libc::RTM_GETQDISC, libc::NLM_F_DUMP)?;
    send(&socket, &question)?;
    let mut found = Vec::new();
    let mut answer = vec![0_u8; 1 << 16];
    loop {
        let length = receive(&socket, &mut answer)?;
        let mut rest = &answer[..length];
        while rest.len() >= HEADER {
            let length = usize::try_from(word(rest, 0))?;
            if LAST.contains(&u16::from_ne_bytes([rest[4], rest[5]])) {
                return Ok(found);
            }
            if length >= BOTH && word(rest, HEADER + 8) == HANDLE {
                found.push(word(rest, HEADER + 4));
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn change(kind: u16, flags: i32, device: u32) -> Result<()> {
    let socket = socket().context("cannot open a netlink socket")?;
    let mut message = [0_u8; BOTH + KIND.len()];
    fill(&mut message, kind, flags | libc::NLM_F_ACK)?;
    for (at, word) in [(4, device), (8, HANDLE), (12, PLACE)] {
        message[HEADER + at..HEADER + at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    message[BOTH..].copy_from_slice(&KIND);
    send(&socket, &message)?;
    let mut answer = [0_u8; 1024];
    receive(&socket, &mut answer)?;
    match word(&answer, HEADER).cast_signed() {
        0 => Ok(()),
        errno => bail!(io::Error::from_raw_os_error(-errno)),
    }
}

/// Writes the header of a message.
fn fill(message: &mut [u8], kind: u16, flags: i32) -> Result<()> {
    message[0] = u8::try_from(message.len())?;
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    let flags = u16::try_from(flags | libc::NLM_F_REQUEST)?;
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    Ok(())
}

fn send(socket: &OwnedFd, message: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as the message has.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
        )
    };
    let error = io::Error::last_os_error();
    ensure!(sent > 0, "cannot ask the kernel: {error}");
    Ok(())
}

fn receive(socket: &OwnedFd, into: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let length = unsafe { libc::recv(socket.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), 0) };
    usize::try_from(length).context("no answer of the kernel's")
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: a system call without memory.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and no other code knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_ne_bytes(bytes.unwrap_or_default())
}
