//! What worker and supervisor say to each other: short messages over a socket pair, with descriptors.

use std::{
    io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Refusal, executor::Keeper, journal::Journal, kernel::netns::Namespace, worker::Job,
};

/// The longest message; paths are the longest things in one.
const LONGEST: usize = 8_192;

/// Descriptors that one message carries at most.
const DESCRIPTORS: usize = 2;

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// "I am alive."
    Breath,
    /// "The daemon's socket is there."
    Serving,
    /// "Keep this journal": its descriptor.
    Journal {
        /// The file.
        path: PathBuf,
    },
    /// "Keep this TAP": the descriptors of its namespace and of itself.
    Tap {
        /// The journal of its run.
        path: PathBuf,
        /// Which namespace.
        netns_inode: u64,
    },
    /// "Keep this namespace": its descriptor.
    Namespace {
        /// The journal of its run.
        path: PathBuf,
        /// Which namespace.
        netns_inode: u64,
    },
    /// "This run is over": close what belongs to it.
    Release {
        /// Its journal.
        path: PathBuf,
    },
}

impl ToSupervisor {
    /// What a message says. One that cannot be read is taken for a breath.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or(Self::Breath)
    }
}

/// The supervisor's end.
pub struct SupervisorEnd(OwnedFd);

/// The worker's end.
pub struct WorkerEnd {
    socket: OwnedFd,
    /// Held from a question to its answer, so that answers are not mixed up.
    asking: Mutex<()>,
}

/// Makes the two ends; the second is for the worker.
pub fn pair() -> Result<(SupervisorEnd, OwnedFd), Refusal> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| Refusal::failed(format!("a socket pair cannot be made: {errno}.")))?;
    Ok((SupervisorEnd(ours), theirs))
}

impl SupervisorEnd {
    /// Hands the worker its job, in a file of its own: an experiment may be longer than a message.
    pub fn send_job(&self, job: &Job) -> Result<(), Refusal> {
        let failed =
            |what: String| Refusal::failed(format!("the worker cannot be told its job: {what}."));
        // A path is all in a job that may be no text.
        let text = serde_json::to_vec(job).map_err(|_| {
            Refusal::usage(
                "the configuration's path is not UTF-8, and requests and journals are; name it by another \
                 path, as a link.",
            )
        })?;
        let file = memfd_create(c"injector-job", MemfdFlags::CLOEXEC)
            .map_err(|errno| failed(errno.to_string()))?;
        let mut file = std::fs::File::from(file);
        file.write_all(&text)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .map_err(|error| failed(error.to_string()))?;
        send(self.0.as_fd(), b"job", &[file.as_fd()], SendFlags::NOSIGNAL)
            .map_err(|errno| failed(errno.to_string()))
    }

    /// The next message, if one waits. What cannot be read is taken for a breath.
    pub fn receive(&self) -> Option<(ToSupervisor, Vec<OwnedFd>)> {
        let (bytes, descriptors) = receive(self.0.as_fd(), RecvFlags::DONTWAIT).ok()?;
        if bytes.is_empty() {
            return None;
        }
        Some((ToSupervisor::read(&bytes), descriptors))
    }

    /// Tells the worker that its last message was taken in.
    pub fn acknowledge(&self) {
        // A worker that is gone needs no answer.
        let _ = send(
            self.0.as_fd(),
            b"ok",
            &[],
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        );
    }
}

impl AsFd for SupervisorEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl WorkerEnd {
    /// The end whose number the supervisor put on the command line.
    pub fn inherited(number: i32) -> Result<Self, Refusal> {
        if number < 3 {
            return Err(Refusal::usage(
                "`injector worker` is started by injector itself.",
            ));
        }
        // SAFETY: the supervisor left this descriptor open for us and nobody else here knows of it; a
        // wrong number makes the first read fail.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)
            .map_err(|_| Refusal::usage("`injector worker` is started by injector itself."))?;
        Ok(Self {
            socket,
            asking: Mutex::new(()),
        })
    }

    /// Waits for the job.
    pub fn job(&self) -> Result<Job, Refusal> {
        let failed =
            |what: String| Refusal::failed(format!("the worker was not told its job: {what}."));
        let (_, descriptors) = receive(self.socket.as_fd(), RecvFlags::empty())
            .map_err(|errno| failed(errno.to_string()))?;
        let file = descriptors
            .into_iter()
            .next()
            .ok_or_else(|| failed("nothing came".into()))?;
        let mut text = Vec::new();
        std::fs::File::from(file)
            .read_to_end(&mut text)
            .map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }

    /// Breathes. A supervisor that does not listen is not waited for.
    pub fn breathe(&self) {
        if let Ok(text) = serde_json::to_vec(&ToSupervisor::Breath) {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let _ = send(self.socket.as_fd(), &text, &[], flags);
        }
    }

    /// Says that requests are served from here on.
    pub fn serving(&self) -> Result<(), Refusal> {
        self.ask(&ToSupervisor::Serving, &[])
    }

    /// Says something and waits until the supervisor has taken it in.
    fn ask(&self, message: &ToSupervisor, descriptors: &[BorrowedFd<'_>]) -> Result<(), Refusal> {
        let failed =
            |what: String| Refusal::failed(format!("the supervisor does not answer: {what}."));
        let text = serde_json::to_vec(message).map_err(|error| failed(error.to_string()))?;
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        send(self.socket.as_fd(), &text, descriptors, SendFlags::NOSIGNAL)
            .map_err(|errno| failed(errno.to_string()))?;
        let (answer, _) = receive(self.socket.as_fd(), RecvFlags::empty())
            .map_err(|errno| failed(errno.to_string()))?;
        if answer.is_empty() {
            Err(failed("it is gone".into()))
        } else {
            Ok(())
        }
    }
}

impl Keeper for WorkerEnd {
    fn keep_journal(&self, journal: &Journal) -> Result<(), Refusal> {
        let path = journal.path().to_owned();
        self.ask(&ToSupervisor::Journal { path }, &[journal.as_fd()])
    }

    fn keep_tap(
        &self,
        journal: &Journal,
        namespace: &Namespace,
        tap: BorrowedFd<'_>,
    ) -> Result<(), Refusal> {
        let message = ToSupervisor::Tap {
            path: journal.path().to_owned(),
            netns_inode: namespace.inode(),
        };
        let fd = namespace.fd();
        self.ask(&message, &[fd.as_fd(), tap])
    }

    fn keep_namespace(&self, journal: &Journal, namespace: &Namespace) -> Result<(), Refusal> {
        let message = ToSupervisor::Namespace {
            path: journal.path().to_owned(),
            netns_inode: namespace.inode(),
        };
        let fd = namespace.fd();
        self.ask(&message, &[fd.as_fd()])
    }

    fn release(&self, journal: &Journal) -> Result<(), Refusal> {
        let path: &Path = journal.path();
        self.ask(
            &ToSupervisor::Release {
                path: path.to_owned(),
            },
            &[],
        )
    }
}

fn send(
    socket: BorrowedFd<'_>,
    text: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(text)], &mut ancillary, flags).map(|_| ())
}

fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            flags,
        ) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    text.truncate(received.bytes);
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((text, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel_with_messages() {
        let (supervisor, worker) = pair().unwrap();
        let worker = WorkerEnd {
            socket: worker,
            asking: Mutex::new(()),
        };
        worker.breathe();
        assert!(
            matches!(supervisor.receive(), Some((ToSupervisor::Breath, fds)) if fds.is_empty())
        );
        assert!(supervisor.receive().is_none());

        let file = tempfile::tempfile().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                worker.ask(
                    &ToSupervisor::Tap {
                        path: PathBuf::new(),
                        netns_inode: 7,
                    },
                    &[file.as_fd(), file.as_fd()],
                )
            });
            let heard = loop {
                if let Some(heard) = supervisor.receive() {
                    break heard;
                }
                std::thread::yield_now();
            };
            assert!(matches!(heard.0, ToSupervisor::Tap { netns_inode: 7, .. }));
            assert_eq!(heard.1.len(), 2);
            supervisor.acknowledge();
        });
    }

    #[test]
    fn a_worker_whose_supervisor_is_gone_is_told_so() {
        let (supervisor, worker) = pair().unwrap();
        drop(supervisor);
        let worker = WorkerEnd {
            socket: worker,
            asking: Mutex::new(()),
        };
        assert!(worker.ask(&ToSupervisor::Breath, &[]).is_err());
    }
}
