//! The worker's end of a relay: it is started before anything is attached, told which rules there are, and heard.
//!
//! Nothing here waits for the relay but its start and its end, and both have a deadline: a relay that stands still keeps
//! neither the run nor its end waiting.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use injector_host::kernel::{netns::Namespace, relay::RelayMaps};
use injector_record::report::Reaction;
use injector_relay::conversation::{COMMAND, Count, Order, Passed, RuleOrder, Said};
use injector_spec::{config::OpensTls, error::Refusal};

use crate::spawn;

/// How long it may take to start; an emulated machine is slow.
const START: Duration = Duration::from_secs(20);

/// How long a relay may say nothing before it counts as standing still. It says something every 100 ms.
const SILENCE: Duration = Duration::from_secs(2);

/// How long the end of all relays may take: what each gives transfers, and some.
pub(in crate::effects) const END: Duration = Duration::from_millis(1_500);

/// How much of what it says is taken in at one look, in reads of 16 KiB, and the longest line: its peers are not ours.
const READS: usize = 64;
const LONGEST_LINE: usize = 64 << 10;

/// Connections that wait to be taken.
const BACKLOG: i32 = 4096;

/// A relay that runs. Dropped, it is killed.
pub(in crate::effects) struct Relay {
    process: Child,
    /// Programs name the maps by their descriptors until they are loaded.
    _maps: RelayMaps,
    conversation: UnixStream,
    /// What has come of the next line.
    line: Vec<u8>,
    heard_at: Instant,
    /// When it was listened to last: a run that looks late must not take that for silence.
    listened_at: Instant,
    /// The last orders, so that none is said twice.
    ordered: String,
    /// What is still to be said, where the socket had no room.
    unsaid: Vec<u8>,
    /// The orders that come behind that.
    waiting: Option<String>,
    /// By the rule's place in the plan.
    pub(in crate::effects) counts: BTreeMap<usize, Count>,
    pub(in crate::effects) reactions: BTreeMap<usize, Reaction>,
    pub(in crate::effects) passed: Passed,
    /// Transfers that were cut at its end.
    pub(in crate::effects) cut: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starts,
    Serves,
    /// It has said that it is over.
    Ended,
    /// It has said nothing more and its end of the conversation is closed.
    Gone,
}

/// A request that a rule has hit.
#[derive(Clone, Debug)]
pub(in crate::effects) struct RequestHit {
    pub(in crate::effects) rule: usize,
    pub(in crate::effects) number: u64,
    pub(in crate::effects) boot_ns: u64,
    pub(in crate::effects) path: String,
    pub(in crate::effects) model: Option<String>,
    pub(in crate::effects) tool: Option<String>,
}

impl Relay {
    /// Starts a relay in a namespace. It serves when this returns.
    pub(super) fn start(
        namespace: &Namespace,
        mut maps: RelayMaps,
        opens_tls: Option<&OpensTls>,
    ) -> Result<Self, Refusal> {
        let v4 = namespace.run(|| listen(Ipv4Addr::LOCALHOST.into()))?;
        let v4 = v4.map_err(|error| {
            Refusal::usage(format!(
                "the relay cannot listen on 127.0.0.1 in the target's network namespace: {error}; bring its loopback \
                 device up (`ip link set lo up`)"
            ))
        })?;
        // A namespace without IPv6 has no connection that would need it.
        let v6 = namespace.run(|| listen(Ipv6Addr::LOCALHOST.into()))?.ok();
        for listener in [Some(&v4), v6.as_ref()].into_iter().flatten() {
            maps.mark(listener)?;
        }
        let failed = |error: io::Error| {
            Refusal::failed(format!(
                "the relay, which connections go through, cannot be started: {error}; try again."
            ))
        };
        let (conversation, its_end) = UnixStream::pair().map_err(failed)?;
        let mut command: Command = spawn::own(COMMAND);
        spawn::enter(&mut command, &namespace.fd());
        spawn::leave_open(&mut command, "--conversation", &its_end);
        spawn::leave_open(&mut command, "--v4", &v4);
        if let Some(v6) = &v6 {
            spawn::leave_open(&mut command, "--v6", v6);
        }
        spawn::leave_open(&mut command, "--lease", &maps.lease);
        spawn::leave_open(&mut command, "--relay", &maps.relay);
        spawn::leave_open(&mut command, "--relayed", &maps.relayed);
        if let Some(OpensTls {
            ca,
            ca_key,
            peer_ca,
        }) = opens_tls
        {
            command.arg("--ca").arg(ca).arg("--ca-key").arg(ca_key);
            if let Some(peer_ca) = peer_ca {
                command.arg("--peer-ca").arg(peer_ca);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = spawn::start(command, spawn::Lifetime::WithParent).map_err(failed)?;
        // Only the relay's copies are left, so that its end is heard and its listeners go with it.
        drop((its_end, v4, v6));
        let mut relay = Self {
            process,
            _maps: maps,
            conversation,
            line: Vec::new(),
            heard_at: Instant::now(),
            listened_at: Instant::now(),
            ordered: String::new(),
            unsaid: Vec::new(),
            waiting: None,
            counts: BTreeMap::new(),
            reactions: BTreeMap::new(),
            passed: Passed::default(),
            cut: 0,
            state: State::Starts,
        };
        relay.conversation.set_nonblocking(true).map_err(failed)?;
        relay.wait(Instant::now() + START, |state| state != State::Starts);
        if relay.state == State::Serves {
            return Ok(relay);
        }
        Err(failed(io::Error::other("it does not say that it serves")))
    }

    /// Says which rules there are, where that differs from what was said last.
    pub(in crate::effects) fn order(&mut self, rules: Vec<RuleOrder>) {
        let Ok(text) = serde_json::to_string(&Order::Rules(rules)) else {
            return;
        };
        if text != self.ordered {
            self.ordered.clone_from(&text);
            self.waiting = Some(text);
            self.say();
        }
    }

    /// Takes in what it has said, and hands back the hits.
    pub(in crate::effects) fn hear(&mut self) -> Vec<RequestHit> {
        self.say();
        let mut hits = Vec::new();
        let mut bytes = [0; 16 * 1024];
        for _ in 0..READS {
            match self.conversation.read(&mut bytes) {
                Ok(0) => {
                    if self.state != State::Ended {
                        self.state = State::Gone;
                    }
                    break;
                }
                Ok(count) => self.take(&bytes[..count], &mut hits),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.listened_at = Instant::now();
        hits
    }

    /// Why it can serve no more.
    pub(in crate::effects) fn broken(&self) -> Option<&'static str> {
        match self.state {
            State::Gone => Some(
                "the process that connections go through (`injector hold-relay`) was killed; new connections go straight on, and its own have broken off",
            ),
            State::Serves if self.is_silent() => Some(
                "the process that connections go through (`injector hold-relay`) stands still; it is killed, and its connections break off",
            ),
            State::Starts | State::Serves | State::Ended => None,
        }
    }

    fn is_silent(&self) -> bool {
        self.listened_at.saturating_duration_since(self.heard_at) > SILENCE
    }

    /// Asks it to let everything go and end.
    pub(in crate::effects) fn ask_to_end(&mut self) {
        self.waiting = Some(END_ORDER.to_owned());
        self.say();
    }

    /// Waits until it has ended, or this moment, and kills what is left; hands back the last hits.
    pub(in crate::effects) fn end(&mut self, deadline: Instant) -> Vec<RequestHit> {
        let mut hits = self.hear();
        if self.state == State::Serves && !self.is_silent() {
            hits.extend(self.wait(deadline, |state| state != State::Serves));
        }
        self.kill();
        hits
    }

    /// Says as much of what is to be said as the socket has room for.
    fn say(&mut self) {
        if self.unsaid.is_empty()
            && let Some(text) = self.waiting.take()
        {
            self.unsaid = text.into_bytes();
            self.unsaid.push(b'\n');
        }
        while !self.unsaid.is_empty() {
            match self.conversation.write(&self.unsaid) {
                Ok(count) => {
                    self.unsaid.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Later; or it is gone, which is heard.
                Err(_) => return,
            }
        }
    }

    /// Hears it until its state is one of these, or the time is over.
    fn wait(&mut self, deadline: Instant, is_it: impl Fn(State) -> bool) -> Vec<RequestHit> {
        let mut hits = Vec::new();
        while !is_it(self.state) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
            hits.extend(self.hear());
        }
        hits
    }

    fn take(&mut self, bytes: &[u8], hits: &mut Vec<RequestHit>) {
        self.heard_at = Instant::now();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LONGEST_LINE {
                // Not our program any more.
                self.state = State::Gone;
                return;
            }
            if part.ends_with(b"\n") {
                let said = serde_json::from_slice::<Said>(&self.line);
                self.line.clear();
                if let Ok(said) = said {
                    self.learn(said, hits);
                }
            }
        }
    }

    fn learn(&mut self, said: Said, hits: &mut Vec<RequestHit>) {
        match said {
            Said::Ready => self.state = State::Serves,
            Said::Counted { rule, counters } => {
                self.counts.insert(rule, counters);
            }
            Said::Reacted { rule, reaction } => {
                self.reactions.insert(rule, *reaction);
            }
            Said::Hit {
                rule,
                number,
                boot_ns,
                path,
                model,
                tool,
            } => hits.push(RequestHit {
                rule,
                number,
                boot_ns,
                path,
                model,
                tool,
            }),
            Said::Passed(passed) => self.passed = passed,
            Said::Ended { cut } => {
                self.cut = cut;
                self.state = State::Ended;
            }
        }
    }

    fn kill(&mut self) {
        // It may be over already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// [`Order::End`] as it is written.
const END_ORDER: &str = r#""end""#;

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A listener at an address of the loopback device that can be reached.
fn listen(address: std::net::IpAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((address, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    let trial = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(1))?;
    let _ = listener.accept()?;
    drop(trial);
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_written_as_it_is_read() {
        assert_eq!(serde_json::to_string(&Order::End).unwrap(), END_ORDER);
    }
}
