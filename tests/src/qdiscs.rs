//! The qdiscs that filters of devices stand in (`clsact`, `ingress`), asked of the kernel itself: what is left behind must
//! be found without the code that may have left it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};

/// The handle of a qdisc at that place.
const HANDLE: u32 = 0xffff_0000;
/// `sizeof(struct nlmsghdr)` and the same with a `struct tcmsg` behind it.
const HEADER: usize = 16;
const BOTH: usize = HEADER + 20;
/// `NLMSG_DONE` and `NLMSG_ERROR`.
const LAST: [u16; 2] = [3, 2];

/// The interface indices of the calling thread's network namespace that have one.
pub fn devices() -> Result<Vec<u32>> {
    let socket = socket().context("cannot open a netlink socket")?;
    let mut question = [0_u8; BOTH];
    question[0] = u8::try_from(BOTH)?;
    question[4..6].copy_from_slice(&libc::RTM_GETQDISC.to_ne_bytes());
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP)?;
    question[6..8].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the kernel reads as many bytes as the array has.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            question.as_ptr().cast(),
            question.len(),
            0,
        )
    };
    ensure!(
        sent > 0,
        "cannot ask for qdiscs: {}",
        io::Error::last_os_error()
    );
    let mut found = Vec::new();
    let mut answer = vec![0_u8; 1 << 16];
    loop {
        // SAFETY: the kernel writes at most as many bytes as the buffer has.
        let length = unsafe {
            libc::recv(
                socket.as_raw_fd(),
                answer.as_mut_ptr().cast(),
                answer.len(),
                0,
            )
        };
        let length = usize::try_from(length).context("no answer about qdiscs")?;
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
