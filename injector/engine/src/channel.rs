//! Conversations between the processes of one command: messages with descriptors over a socket pair.
//!
//! A message is a JSON text. One that is longer than a socket takes travels in a file in memory, as the
//! last descriptor of its message, so that no report is too long. Each call says how long it may wait:
//! most processes here must wait for no other.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// The longest text that travels in the socket itself, in bytes.
const INLINE: usize = 16 * 1024;

/// Descriptors that one message carries at most, the file of a long text included.
const DESCRIPTORS: usize = 5;

/// What a message begins with: where its text is.
const HERE: u8 = b'h';
const IN_FILE: u8 = b'f';

/// Why nothing was said or heard.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other process has closed its end, or is gone.
    #[error("the other process is gone")]
    Closed,
    /// Nothing could be said or heard in the time that was given.
    #[error("the other process does not answer")]
    Late,
    /// The kernel refused, or a message makes no sense.
    #[error("{0}")]
    Broken(io::Error),
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::Late,
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Self::Closed,
            other => Self::Broken(other.into()),
        }
    }
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until this moment.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl Wait {
    /// At most this long from now.
    pub fn at_most(length: Duration) -> Self {
        Self::Until(Instant::now() + length)
    }
}

/// One end of a conversation. Messages are kept apart and come in order.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Makes both ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(one), Self(other)))
    }

    /// The end that a parent process left open under this number for this process alone.
    pub fn inherited(number: i32) -> io::Result<Self> {
        if number < 3 {
            return Err(Errno::BADF.into());
        }
        // SAFETY: the parent left this descriptor open for this process, which has no other owner for it; a
        // wrong number makes the first call fail.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self(socket))
    }

    /// Says something.
    pub fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> Result<(), ChannelError> {
        let text =
            serde_json::to_vec(message).map_err(|error| ChannelError::Broken(error.into()))?;
        if text.len() <= INLINE {
            let parts = [IoSlice::new(&[HERE]), IoSlice::new(&text)];
            return self.send_parts(&parts, descriptors, wait);
        }
        let file = in_memory(&text).map_err(ChannelError::Broken)?;
        let mut all = descriptors.to_vec();
        all.push(file.as_fd());
        self.send_parts(&[IoSlice::new(&[IN_FILE])], &all, wait)
    }

    fn send_parts(
        &self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> Result<(), ChannelError> {
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.0, parts, &mut ancillary, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.until(PollFlags::OUT, wait)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Hears the next message and what came with it.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] once everything was heard and the other end is closed.
    pub fn receive<T: DeserializeOwned>(
        &self,
        wait: Wait,
    ) -> Result<(T, Vec<OwnedFd>), ChannelError> {
        let mut text = vec![0; INLINE + 1];
        let (length, mut descriptors) = loop {
            match self.receive_part(&mut text) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.until(PollFlags::IN, wait)?,
                received => break received?,
            }
        };
        text.truncate(length);
        let value = match text.split_first() {
            None => return Err(ChannelError::Closed),
            Some((&IN_FILE, _)) => {
                let file = descriptors.pop().ok_or(Errno::BADMSG)?;
                let mut long = Vec::new();
                std::fs::File::from(file)
                    .read_to_end(&mut long)
                    .map_err(ChannelError::Broken)?;
                serde_json::from_slice(&long)
            }
            Some((_, here)) => serde_json::from_slice(here),
        };
        value
            .map(|value| (value, descriptors))
            .map_err(|error| ChannelError::Broken(error.into()))
    }

    fn receive_part(&self, text: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(text)], &mut ancillary, flags)?;
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Ok((received.bytes, descriptors))
    }

    /// Whether the other end is closed. What it said before may still wait to be heard.
    pub fn is_closed(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut polled, Some(&none)), Ok(1..))
            && polled[0]
                .revents()
                .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
    }

    fn until(&self, what: PollFlags, wait: Wait) -> Result<(), ChannelError> {
        let left = match wait {
            Wait::No => return Err(ChannelError::Late),
            Wait::Forever => None,
            Wait::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ChannelError::Late);
                }
                Some(left)
            }
        };
        let timeout = left.map(|left| Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut polled = [PollFd::new(&self.0, what)];
        match poll(&mut polled, timeout.as_ref()) {
            // Whether it was worth it is seen by the next try.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

fn in_memory(text: &[u8]) -> io::Result<std::fs::File> {
    let file = memfd_create(c"injector-message", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(text)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_travel_with_descriptors_and_in_order() {
        let (one, other) = Channel::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        for length in [0, 1, INLINE - 2, INLINE - 1, INLINE, 3_000_000] {
            let text = "x".repeat(length);
            one.send(&text, &[file.as_fd()], Wait::No).unwrap();
            one.send(&length, &[], Wait::No).unwrap();
            let (heard, came): (String, _) = other.receive(Wait::No).unwrap();
            assert_eq!((heard, came.len()), (text, 1));
            let (heard, came): (usize, _) = other.receive(Wait::No).unwrap();
            assert_eq!((heard, came.len()), (length, 0));
        }
    }

    #[test]
    fn a_call_waits_as_long_as_it_may() {
        let (one, other) = Channel::pair().unwrap();
        let heard = one.receive::<u8>(Wait::No);
        assert!(matches!(heard, Err(ChannelError::Late)), "{heard:?}");
        let began = Instant::now();
        let heard = one.receive::<u8>(Wait::at_most(Duration::from_millis(20)));
        assert!(matches!(heard, Err(ChannelError::Late)), "{heard:?}");
        assert!(began.elapsed() >= Duration::from_millis(20));
        // A reader that stands still fills its socket, and holds up no sender that may not wait.
        let full = (0..1_000_000)
            .map(|_| one.send(&7u8, &[], Wait::No))
            .find(Result::is_err);
        assert!(matches!(full, Some(Err(ChannelError::Late))), "{full:?}");
        drop(other);
    }

    #[test]
    fn an_end_is_heard_after_what_was_said_before_it() {
        let (one, other) = Channel::pair().unwrap();
        assert!(!one.is_closed());
        other.send(&7u8, &[], Wait::No).unwrap();
        drop(other);
        assert!(one.is_closed());
        assert_eq!(one.receive::<u8>(Wait::No).unwrap().0, 7);
        let heard = one.receive::<u8>(Wait::Forever);
        assert!(matches!(heard, Err(ChannelError::Closed)), "{heard:?}");
        let said = one.send(&7u8, &[], Wait::No);
        assert!(matches!(said, Err(ChannelError::Closed)), "{said:?}");
    }
}
