//! The server against a socket pair in place of `/dev/fuse`, which keeps messages apart as well.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

use super::*;
use crate::sleep_server::protocol::testing::{interrupt, read};

const PAGE: u64 = 4096;
const SECOND: u64 = 1_000_000_000;

/// The kernel's side of a server.
struct Kernel {
    socket: OwnedFd,
    sessions: Arc<Sessions>,
    server: JoinHandle<()>,
}

/// When sleepers wake, by slot.
type Sleeps = Arc<Mutex<HashMap<u32, u64>>>;

impl Kernel {
    fn new() -> Self {
        let flags = SocketFlags::CLOEXEC;
        let (socket, device) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        rustix::io::ioctl_fionbio(&device, true).unwrap();
        let sessions = Arc::new(Sessions::new().unwrap());
        let server = Server::new(device, Arc::clone(&sessions), 4096)
            .start()
            .unwrap();
        Self {
            socket,
            sessions,
            server,
        }
    }

    fn session(&self) -> (usize, Sleeps) {
        let sleeps = Sleeps::default();
        let asked = Arc::clone(&sleeps);
        let lookup = move |slot: u32| asked.lock().unwrap().get(&slot).copied();
        (self.sessions.take(Box::new(lookup)).unwrap(), sleeps)
    }

    fn ask(&self, bytes: &[u8]) {
        send(&self.socket, bytes, SendFlags::empty()).unwrap();
    }

    /// A sleeper in a slot of a session, whose request has the slot's number.
    fn sleep(&self, session: usize, sleeps: &Sleeps, slot: u32, wake_boot_ns: u64) {
        sleeps.lock().unwrap().insert(slot, wake_boot_ns);
        let page = session as u64 * u64::from(SLOTS) + u64::from(slot);
        self.ask(&read(u64::from(slot), page * PAGE));
    }

    /// The number of the next request that is answered, if one is in time.
    fn woken(&self, within: Duration) -> Option<u64> {
        let timeout = Timespec::try_from(within).unwrap();
        let mut descriptors = [PollFd::new(&self.socket, PollFlags::IN)];
        if poll(&mut descriptors, Some(&timeout)).unwrap() == 0 {
            return None;
        }
        let mut bytes = [0; 256];
        let (_, length) = recv(&self.socket, &mut bytes, RecvFlags::empty()).unwrap();
        assert_eq!(length, 16, "an error has no body");
        Some(u64::from_le_bytes(bytes[8..16].try_into().unwrap()))
    }

    fn all_woken(&self, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| self.woken(PATIENCE).expect("an answer"))
            .collect()
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn sleepers_wake_in_order_and_not_early() {
    let kernel = Kernel::new();
    let (session, sleeps) = kernel.session();
    let start = boot_ns();
    for (slot, delay_ms) in [(1, 60), (2, 20), (3, 40), (4, 20)] {
        kernel.sleep(session, &sleeps, slot, start + delay_ms * 1_000_000);
    }
    for (expected, delay_ms) in [(2, 20), (4, 20), (3, 40), (1, 60)] {
        assert_eq!(kernel.woken(PATIENCE), Some(expected));
        assert!(boot_ns() >= start + delay_ms * 1_000_000);
    }
}

#[test]
fn a_signal_wakes_at_once_and_only_whom_it_meets() {
    let kernel = Kernel::new();
    let (session, sleeps) = kernel.session();
    for slot in [1, 2] {
        kernel.sleep(session, &sleeps, slot, boot_ns() + 9 * SECOND);
    }
    kernel.ask(&interrupt(100, 2));
    // A signal to one that is not there, and a second one to the same, wake no sleeper.
    kernel.ask(&interrupt(101, 77));
    kernel.ask(&interrupt(102, 2));
    let asked = Instant::now();
    assert_eq!(kernel.woken(PATIENCE), Some(2));
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(kernel.woken(Duration::from_millis(50)), None);
}

#[test]
fn who_has_not_said_until_when_is_no_sleeper() {
    let kernel = Kernel::new();
    let (session, _sleeps) = kernel.session();
    kernel.ask(&read(1, session as u64 * u64::from(SLOTS) * PAGE));
    assert_eq!(kernel.woken(PATIENCE), Some(1));
    // A session that no run has, and one that there is not.
    kernel.ask(&read(2, 5 * u64::from(SLOTS) * PAGE));
    kernel.ask(&read(3, u64::MAX));
    assert_eq!(kernel.all_woken(2), [2, 3]);
}

#[test]
fn the_end_of_a_run_wakes_its_sleepers_and_no_others() {
    let kernel = Kernel::new();
    let (first, of_first) = kernel.session();
    let (second, of_second) = kernel.session();
    assert_ne!(first, second);
    kernel.sleep(first, &of_first, 1, boot_ns() + 9 * SECOND);
    kernel.sleep(second, &of_second, 2, boot_ns() + 9 * SECOND);
    // Answered only after the server has read the two before.
    kernel.ask(&read(3, u64::MAX));
    assert_eq!(kernel.woken(PATIENCE), Some(3));
    kernel.sessions.leave(first);
    assert_eq!(kernel.woken(PATIENCE), Some(1));
    assert_eq!(kernel.woken(Duration::from_millis(50)), None);
    let (again, _) = kernel.session();
    assert_eq!(again, first);
}

#[test]
fn closing_wakes_everybody_and_ends() {
    let kernel = Kernel::new();
    let (session, sleeps) = kernel.session();
    for slot in 0..200 {
        kernel.sleep(session, &sleeps, slot, boot_ns() + 9 * SECOND);
    }
    kernel.ask(&read(999, u64::MAX));
    assert_eq!(kernel.woken(PATIENCE), Some(999));
    kernel.sessions.close();
    let mut woken = kernel.all_woken(200);
    woken.sort_unstable();
    assert!(woken.into_iter().eq(0..200));
    kernel.server.join().unwrap();
}

#[test]
fn no_sleep_is_longer_than_the_longest() {
    let kernel = Kernel::new();
    let (session, _sleeps) = kernel.session();
    let mut server = Server::new(kernel.socket, Arc::clone(&kernel.sessions), 4096);
    let greedy = kernel.sessions.take(Box::new(|_| Some(u64::MAX)));
    assert_eq!(greedy, Some(session + 1));
    let numbered = Numbered {
        unique: 1,
        request: Request::Read(0),
    };
    server.lull(numbered, (session as u64 + 1) * u64::from(SLOTS) * PAGE);
    assert!(server.queue.next_wake().unwrap() <= boot_ns() + MAX_SLEEP_NS);
}
