//! The TAP device that frames pass through.
//!
//! Made in the *calling thread's* network namespace; it is gone with its last descriptor. It has no
//! address, answers no ARP and has no IPv6 of its own, so that the host's own chatter (six to eight
//! frames on a fresh device, measured) never mixes with the target's frames. Offloads are on, so that
//! 64 KiB frames and unfinished checksums pass whole.

use std::{
    ffi::{CStr, c_int, c_short, c_uint},
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketFlags, SocketType},
};

use super::Error;

/// The kernel puts the lowest free number for `%d`.
const NAME: &[u8] = b"inj%d\0";

/// The largest that a TAP takes: 65535 less an Ethernet header (drivers/net/tun.c, `tun_net_init`).
/// Redirected frames are not held to it; it only has to be no smaller than other devices'.
const MTU: c_int = 65_521;

/// Frames that may wait to be read. The default of 1000 overflows when the reader is off the CPU for
/// a few milliseconds.
pub(super) const QUEUE: c_int = 10_000;

/// Without these, frames would be segmented and summed before they reach us.
const OFFLOADS: c_uint =
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;

/// UDP segmentation, from Linux 6.2; older kernels refuse the whole set with it.
const UDP_OFFLOADS: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// Requests of netdevice(7), as wide as the C library at hand takes them: glibc an unsigned long, musl an int.
const SIOCSIFMTU: libc::Ioctl = libc::SIOCSIFMTU as libc::Ioctl;
const SIOCSIFTXQLEN: libc::Ioctl = libc::SIOCSIFTXQLEN as libc::Ioctl;
const SIOCSIFFLAGS: libc::Ioctl = libc::SIOCSIFFLAGS as libc::Ioctl;
const SIOCGIFINDEX: libc::Ioctl = libc::SIOCGIFINDEX as libc::Ioctl;

/// A TAP device that is up and empty.
#[derive(Debug)]
pub struct Tap {
    /// Reads and writes whole frames, each behind a `virtio_net_hdr`; never blocks. The device lives
    /// as long as any copy of it.
    pub fd: OwnedFd,
    /// Its interface index in its network namespace.
    pub ifindex: u32,
    /// Its name there.
    pub name: String,
}

impl Tap {
    /// Makes a TAP device in the calling thread's network namespace and brings it up.
    pub fn create() -> Result<Self, Error> {
        let fd = rustix::fs::open(
            c"/dev/net/tun",
            OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| Error::NoTun(errno.into()))?;
        let mut request = Request::named(NAME);
        request.set_flags(libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR);
        request.send(fd.as_fd(), libc::TUNSETIFF, "creating it")?;
        set_offloads(fd.as_fd())?;
        let name = request.name();
        silence_ipv6(&name)?;

        let control = rustix::net::socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| Error::Tap {
            step: "opening a control socket",
            source: errno.into(),
        })?;
        let control = control.as_fd();
        request.set_int(MTU);
        request.send(control, SIOCSIFMTU, "setting its MTU")?;
        request.set_int(QUEUE);
        request.send(control, SIOCSIFTXQLEN, "setting its queue length")?;
        request.set_flags(libc::IFF_NOARP);
        request.send(control, SIOCSIFFLAGS, "switching ARP off")?;
        request.set_flags(libc::IFF_NOARP | libc::IFF_UP);
        request.send(control, SIOCSIFFLAGS, "bringing it up")?;
        request.send(control, SIOCGIFINDEX, "asking for its index")?;
        Ok(Self {
            fd,
            ifindex: request.int().cast_unsigned(),
            name,
        })
    }
}

/// Switches the offloads on, with those for UDP where the kernel has them.
fn set_offloads(tap: BorrowedFd<'_>) -> Result<(), Error> {
    for offloads in [OFFLOADS | UDP_OFFLOADS, OFFLOADS] {
        // SAFETY: TUNSETOFFLOAD takes its bits by value and touches no memory of ours.
        if unsafe {
            libc::ioctl(
                tap.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(offloads),
            )
        } == 0
        {
            return Ok(());
        }
    }
    Err(Error::Tap {
        step: "switching its offloads on",
        source: io::Error::last_os_error(),
    })
}

/// Keeps the kernel from configuring IPv6 on the device. /proc/sys/net shows the namespace of the
/// thread that opens it, which is the device's.
fn silence_ipv6(name: &str) -> Result<(), Error> {
    match fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1") {
        // A kernel without IPv6 has nothing to switch off.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Tap {
            step: "switching its IPv6 off",
            source: error,
        }),
        _ => Ok(()),
    }
}

/// The argument of the interface ioctls.
struct Request(libc::ifreq);

impl Request {
    fn named(name: &[u8]) -> Self {
        // SAFETY: `ifreq` is made of integers, arrays and a union of those; all zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = from.cast_signed();
        }
        Self(request)
    }

    fn name(&self) -> String {
        let bytes = self.0.ifr_name.map(i8::cast_unsigned);
        CStr::from_bytes_until_nul(&bytes).map_or_else(
            |_| String::new(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "these flags fit the field's 16 bits"
    )]
    fn set_flags(&mut self, flags: c_int) {
        self.0.ifr_ifru.ifru_flags = flags as c_short;
    }

    fn set_int(&mut self, value: c_int) {
        self.0.ifr_ifru.ifru_ifindex = value;
    }

    fn int(&self) -> c_int {
        // SAFETY: read after SIOCGIFINDEX, which writes this member; any bits are a valid integer.
        unsafe { self.0.ifr_ifru.ifru_ifindex }
    }

    fn send(
        &mut self,
        to: BorrowedFd<'_>,
        request: libc::Ioctl,
        step: &'static str,
    ) -> Result<(), Error> {
        // SAFETY: every request sent here takes a pointer to an `ifreq`, which `self.0` is.
        match unsafe { libc::ioctl(to.as_raw_fd(), request, &raw mut self.0) } {
            0 => Ok(()),
            _ => Err(Error::Tap {
                step,
                source: io::Error::last_os_error(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs CAP_NET_ADMIN and CAP_SYS_ADMIN; run the ignored tests as root"]
    fn a_tap_is_up_silent_and_gone_with_its_descriptor() {
        std::thread::spawn(|| {
            // SAFETY: moves only this thread, which ends with the test, to a fresh namespace.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            let tap = Tap::create().unwrap();
            assert!(tap.name.starts_with("inj"), "{}", tap.name);
            assert!(tap.ifindex > 1);
            let setting = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", tap.name);
            if let Ok(ipv6) = fs::read_to_string(&setting) {
                assert_eq!(ipv6.trim(), "1");
            }
            let devices = || fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            assert!(devices().contains(&tap.name));
            // No process talks: a read finds nothing.
            let read = rustix::io::read(&tap.fd, &mut [0; 2048]);
            assert_eq!(read, Err(rustix::io::Errno::AGAIN));
            let (second, name) = (Tap::create().unwrap(), tap.name);
            assert_ne!(second.name, name);
            drop(tap.fd);
            assert!(!devices().contains(&name));
        })
        .join()
        .unwrap();
    }
}
