//! The life of the relay: it gives up what it may do, says that it serves, takes connections, and ends when the worker says
//! so or is gone.
//!
//! One thread does everything. It says that it serves from the same loop that serves connections: where that stands still, no
//! connection is sent here any more after [`injector_common::relay::BEAT_NS`].

use std::{
    cell::{Cell, RefCell},
    collections::{HashSet, VecDeque},
    io,
    net::TcpListener as StdListener,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    rc::Rc,
    time::{Duration, Instant},
};

use injector_common::relay::PORTS;
use injector_host::{
    kernel::relay::{Listener, RelayMemory, Serves},
    privilege,
};
use injector_spec::{config::OpensTls, quantity::duration};
use rustix::process::DumpableBehavior;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixStream, unix::OwnedReadHalf},
    sync::watch,
    task::LocalSet,
};

use crate::{
    conversation::{Order, Passed, Said},
    passage,
    reactions::Reactions,
    rules::{Origin, Rules},
    sealed::{Opens, OpensError},
};

/// How often it says that it serves, and what it has done.
const EVERY: Duration = Duration::from_millis(100);

/// How long transfers may take to end once no fault acts any more. The end of a run waits for them.
const GRACE: Duration = Duration::from_secs(1);

/// What the worker hands over, all of it open.
pub struct Inherited {
    /// The worker's end of the conversation is the other one.
    pub conversation: OwnedFd,
    /// The socket that listens on 127.0.0.1.
    pub listener_v4: Option<OwnedFd>,
    /// The socket that listens on `::1`.
    pub listener_v6: Option<OwnedFd>,
    /// The map of the lease.
    pub lease: OwnedFd,
    /// The map of what the relay says of itself.
    pub relay: OwnedFd,
    /// The map of connections.
    pub relayed: OwnedFd,
    /// What TLS is opened by.
    pub opens_tls: Option<OpensTls>,
}

/// Why the relay could not begin, or went on no longer.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It could not give up what it may do, or read what it was handed.
    #[error("the relay cannot {what}: {source}; it is not for people to start")]
    System {
        /// What it tried, as a sentence's rest.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A map could not be read.
    #[error(transparent)]
    Kernel(#[from] injector_host::kernel::Error),
    /// TLS cannot be opened.
    #[error(transparent)]
    Tls(#[from] OpensError),
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) memory: RelayMemory,
    pub(crate) rules: RefCell<Rules>,
    pub(crate) reactions: RefCell<Reactions>,
    pub(crate) passed: RefCell<Passed>,
    /// What TLS is opened by; it passes unread where there is nothing.
    pub(crate) opens: Option<Opens>,
    /// Connections that were taken of late, so that none is taken twice.
    taken: RefCell<Recent>,
    began: Instant,
    /// Connections that are open.
    open: Cell<u64>,
    /// The number of the last answer that was made up.
    numbered: Cell<u64>,
    ending: watch::Sender<Life>,
}

/// Whether the relay is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    GoesOn,
    Ends,
}

impl Shared {
    /// A number for an answer that is made up, so that no two are the same.
    pub(crate) fn number(&self) -> u64 {
        self.numbered.set(self.numbered.get() + 1);
        self.numbered.get()
    }

    /// Returns when the relay is to end.
    pub(crate) async fn ends(&self) {
        let mut life = self.ending.subscribe();
        // Without a sender it is over as well.
        let _ = life.wait_for(|life| *life == Life::Ends).await;
    }

    /// The time that has passed since the relay began, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        duration::millis(self.began.elapsed())
    }

    /// Whether a rule could take a request from there now.
    pub(crate) fn is_met(&self, origin: Origin) -> bool {
        self.memory.is_live() && self.rules.borrow().concern(origin)
    }

    /// Takes a connection, by its cookie; `false` where it was taken before.
    pub(crate) fn takes(&self, cookie: u64) -> bool {
        self.taken.borrow_mut().insert(cookie)
    }
}

/// The last so many connections that were taken.
#[derive(Default)]
struct Recent {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Recent {
    /// As many as there are ports: an entry is wiped by the next connection of its port.
    const MOST: usize = 2 * PORTS as usize;

    fn insert(&mut self, cookie: u64) -> bool {
        if !self.known.insert(cookie) {
            return false;
        }
        self.order.push_back(cookie);
        if self.order.len() > Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Counts a connection for as long as it is open.
pub(crate) struct Open(Rc<Shared>);

impl Open {
    pub(crate) fn of(shared: &Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// The relay's main function. It returns when the run is over.
pub fn run(inherited: Inherited) -> Result<(), RelayError> {
    let failed = |what| move |source: io::Error| RelayError::System { what, source };
    let Inherited {
        conversation,
        listener_v4,
        listener_v6,
        lease,
        relay,
        relayed,
        opens_tls,
    } = inherited;
    if opens_tls.is_some() {
        // The authority's key comes into its memory: no process without that privilege is to read it, and no core file.
        let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        hidden.map_err(|errno| failed("hide its memory")(errno.into()))?;
    }
    // While it may still read files.
    let opens = opens_tls.as_ref().map(Opens::with).transpose()?;
    let memory = RelayMemory::map(&lease, &relay, &relayed)?;
    drop((lease, relay, relayed));
    let most = raise_limit();
    // When memory is short, it goes before a bystander does: its connections are reset, and the run ends.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    let given_up = privilege::confine_relay();
    given_up.map_err(|errno| failed("give up its privileges")(errno.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("start its runtime"))?;
    let (ending, _) = watch::channel(Life::GoesOn);
    let shared = Rc::new(Shared {
        memory,
        rules: RefCell::default(),
        reactions: RefCell::default(),
        passed: RefCell::default(),
        opens,
        taken: RefCell::default(),
        began: Instant::now(),
        open: Cell::new(0),
        numbered: Cell::new(0),
        ending,
    });
    let serve = async {
        let v4 = listener_v4.map(listener).transpose()?;
        let v6 = listener_v6.map(listener).transpose()?;
        let port = |listener: &Option<TcpListener>| {
            let at = listener.as_ref().and_then(|one| one.local_addr().ok());
            at.map_or(0, |at| at.port())
        };
        shared.memory.listen(port(&v4), port(&v6));
        let conversation = StdUnixStream::from(conversation);
        conversation.set_nonblocking(true)?;
        let conversation = UnixStream::from_std(conversation)?;
        converse(&shared, conversation, (v4, v6), most).await;
        Ok(())
    };
    LocalSet::new()
        .block_on(&runtime, serve)
        .map_err(failed("use what it was handed"))
}

/// As many connections as there may be: each takes two descriptors. Further ones go straight on.
fn raise_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let most_open = match setrlimit(Resource::Nofile, most) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    most_open.unwrap_or(u64::MAX).saturating_sub(SPARE) / 2
}

/// Descriptors that are no connection's.
const SPARE: u64 = 32;

fn listener(descriptor: OwnedFd) -> io::Result<TcpListener> {
    let listener = StdListener::from(descriptor);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Takes connections, says what happens, and hears what is asked, until the end.
async fn converse(
    shared: &Rc<Shared>,
    conversation: UnixStream,
    (v4, v6): (Option<TcpListener>, Option<TcpListener>),
    most: u64,
) {
    let (orders, mut said) = conversation.into_split();
    let mut orders = BufReader::new(orders);
    let mut ticks = tokio::time::interval(EVERY);
    let mut line = Vec::new();
    shared.memory.say(Serves::Now);
    if say(&mut said, &[Said::Ready]).await.is_err() {
        return;
    }
    // Until the next tick, where none could be taken.
    let mut is_full = false;
    loop {
        tokio::select! {
            accepted = accept(v4.as_ref()), if !is_full => is_full = take(shared, accepted, Listener::V4, most),
            accepted = accept(v6.as_ref()), if !is_full => is_full = take(shared, accepted, Listener::V6, most),
            _ = ticks.tick() => {
                is_full = shared.open.get() >= most;
                shared.memory.say(if is_full { Serves::NoMore } else { Serves::Now });
                if say(&mut said, &news(shared)).await.is_err() {
                    return;
                }
            }
            heard = hear(&mut orders, &mut line) => match heard {
                Heard::Order(Order::Rules(rules)) => shared.rules.borrow_mut().set(rules),
                Heard::Order(Order::End) => break,
                Heard::Nothing => {}
                Heard::Gone => return,
            },
        }
        if is_full {
            shared.memory.say(Serves::NoMore);
        }
    }
    shared.memory.say(Serves::NoMore);
    drop((v4, v6));
    shared.rules.borrow_mut().end();
    shared.ending.send_replace(Life::Ends);
    let at_rest = async {
        while shared.open.get() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // What is not over then is cut, and counted.
    let _ = tokio::time::timeout(GRACE, at_rest).await;
    let mut last = news(shared);
    last.push(Said::Ended {
        cut: shared.open.get(),
    });
    let _ = say(&mut said, &last).await;
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Takes a connection; whether no more can be taken for now.
fn take(
    shared: &Rc<Shared>,
    accepted: io::Result<tokio::net::TcpStream>,
    listener: Listener,
    most: u64,
) -> bool {
    let Ok(stream) = accepted else {
        return true;
    };
    let open = Open::of(shared);
    let shared = Rc::clone(shared);
    let is_full = shared.open.get() >= most;
    tokio::task::spawn_local(async move {
        passage::serve(&shared, stream, listener).await;
        drop(open);
    });
    is_full
}

/// What has happened since, and that the relay goes on.
fn news(shared: &Rc<Shared>) -> Vec<Said> {
    let mut news = shared.rules.borrow_mut().news();
    let reactions = shared.reactions.borrow_mut().news(shared.now_ms());
    news.extend(reactions.into_iter().map(|(rule, reaction)| Said::Reacted {
        rule,
        reaction: Box::new(reaction),
    }));
    news.push(Said::Passed(*shared.passed.borrow()));
    news
}

/// What was heard of the worker.
enum Heard {
    Order(Order),
    /// Something that makes no sense.
    Nothing,
    /// There is no worker any more.
    Gone,
}

/// The next thing that the worker asks. May be dropped in the middle: what has come so far stays in the line.
async fn hear(orders: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Heard {
    match orders.read_until(b'\n', line).await {
        Ok(0) | Err(_) => return Heard::Gone,
        Ok(_) => {}
    }
    let order = serde_json::from_slice(line);
    line.clear();
    order.map_or(Heard::Nothing, Heard::Order)
}

async fn say(to: &mut tokio::net::unix::OwnedWriteHalf, all: &[Said]) -> io::Result<()> {
    let mut text = Vec::new();
    for said in all {
        serde_json::to_writer(&mut text, said)?;
        text.push(b'\n');
    }
    to.write_all(&text).await
}

/// Ends a connection at once: its peer sees a reset, and not an answer that is complete.
pub(crate) fn reset(stream: tokio::net::TcpStream) {
    if let Ok(stream) = stream.into_std() {
        let linger = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        // Without it the peer sees an end, which is all that is left to say.
        drop((linger, stream));
    }
}
