//! Connections that are sealed by TLS: the relay stands between with an authority that the target trusts, or lets them pass.
//!
//! The far end is asked first, with what the target has said of it. Only where it shows a certificate that is trusted does the
//! target see one of the authority's; else the target's own first words go on, and it judges the far end itself. So nothing is
//! hidden from a target that it would have refused.
//!
//! What cannot be opened passes unread from then on: connections of the same target to the same server, until the run ends.
//! That is a target that does not trust the authority, or a far end that asks the target for a certificate.

use std::{
    cell::RefCell,
    collections::HashSet,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use injector_host::kernel::relay::Arrival;
use injector_spec::config::OpensTls;
use rustls::{
    ClientConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    crypto::ring,
    pki_types::ServerName,
    server::{Accepted, Acceptor, ClientHello},
    sign::CertifiedKey,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector, client::TlsStream as ToPeer, server::StartHandshake,
    server::TlsStream as ToTarget,
};

use crate::{
    authorities::{self, AuthoritiesError},
    authority::{self, Authority, AuthorityError, HTTP1},
    begun::Begun,
    process::{Shared, reset},
};

/// The longest first word of a client; with keys for times after quantum computers it has two kilobytes.
const LONGEST_HELLO: usize = 64 << 10;

/// How long a client may take for it once it has begun, and how long the far end may take to agree.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most servers that pass unread before the list begins anew.
const MOST_WITHDRAWN: usize = 4096;

/// How the relay opens TLS.
pub(crate) struct Opens {
    authority: Authority,
    /// For the far ends.
    peers: ClientConfig,
    /// Targets and servers between which TLS passes unread.
    withdrawn: RefCell<HashSet<(u32, String)>>,
}

/// Why TLS cannot be opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum OpensError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Peers(#[from] AuthoritiesError),
    #[error("this host's TLS cannot be set up; report that with `injector --version`")]
    Versions,
}

/// Whether TLS can be opened with these files; the error says why not, and what to do.
pub fn check(files: &OpensTls) -> Result<(), OpensError> {
    Opens::with(files).map(drop)
}

impl Opens {
    pub(crate) fn with(files: &OpensTls) -> Result<Self, OpensError> {
        let authority = Authority::open(files)?;
        let trusted = authorities::read(files.peer_ca.as_deref())?;
        let provider = Arc::new(ring::default_provider());
        let versions =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut peers = versions
            .map_err(|_| OpensError::Versions)?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        peers.resumption = Resumption::disabled();
        Ok(Self {
            authority,
            peers,
            withdrawn: RefCell::default(),
        })
    }

    /// Lets this target's connections to this server pass unread from now on.
    pub(crate) fn withdraw(&self, scope: u32, server: &str) {
        let mut withdrawn = self.withdrawn.borrow_mut();
        if withdrawn.len() >= MOST_WITHDRAWN {
            withdrawn.clear();
        }
        withdrawn.insert((scope, server.to_owned()));
    }

    fn has_withdrawn(&self, scope: u32, server: &str) -> bool {
        self.withdrawn
            .borrow()
            .contains(&(scope, server.to_owned()))
    }

    /// Agrees with the far end as the target would.
    async fn agree(&self, asked: &Asked, peer: TcpStream) -> Option<ToPeer<TcpStream>> {
        let wanted = Arc::new(Wanted::default());
        let mut config = self.peers.clone();
        config.client_auth_cert_resolver = Arc::clone(&wanted) as Arc<dyn ResolvesClientCert>;
        if asked.agrees_on == Agrees::OnHttp {
            config.alpn_protocols = vec![HTTP1.to_vec()];
        }
        let server = ServerName::try_from(asked.server.clone()).ok()?;
        let agreed = TlsConnector::from(Arc::new(config)).connect(server, peer);
        let agreed = timeout(PATIENCE, agreed).await.ok()?.ok()?;
        (!wanted.is_wanted()).then_some(agreed)
    }
}

/// Notes that the far end asks for a certificate, and has none.
#[derive(Debug, Default)]
struct Wanted(AtomicBool);

impl Wanted {
    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Wanted {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// What the target's first word asks for.
struct Asked {
    /// A name, or the address where it says none.
    server: String,
    agrees_on: Agrees,
}

/// Which protocols inside it would speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agrees {
    /// It does not say.
    Unsaid,
    /// HTTP/1.1 is one of them.
    OnHttp,
    /// Others alone, as HTTP/2.
    OnOthers,
}

impl Asked {
    fn of(hello: &ClientHello<'_>, remote: SocketAddr) -> Self {
        let server = match hello.server_name() {
            Some(name) => name.to_owned(),
            None => authority::of_address(remote.ip()),
        };
        let agrees_on = match hello.alpn() {
            None => Agrees::Unsaid,
            Some(mut protocols) => {
                if protocols.any(|one| one == HTTP1) {
                    Agrees::OnHttp
                } else {
                    Agrees::OnOthers
                }
            }
        };
        Self { server, agrees_on }
    }
}

/// What became of a connection.
pub(crate) enum Opening {
    /// Its text is open.
    Opened(Box<Opened>),
    /// It passes unread between these two.
    Passes(Begun<TcpStream>, TcpStream),
    /// It has ended.
    Over,
}

/// A connection whose text is open.
pub(crate) struct Opened {
    pub(crate) target: ToTarget<TcpStream>,
    pub(crate) peer: ToPeer<TcpStream>,
    pub(crate) server: String,
}

/// Opens a connection of which TLS was heard.
pub(crate) async fn open(
    shared: &Rc<Shared>,
    arrival: &Arrival,
    mut target: TcpStream,
    (remote, peer): (SocketAddr, TcpStream),
) -> Opening {
    let Some(opens) = &shared.opens else {
        shared.passed.borrow_mut().sealed += 1;
        return Opening::Passes(Begun::new(Vec::new(), target), peer);
    };
    let mut begin = Vec::new();
    let hello = hello(&mut target, &mut begin);
    let hello = tokio::select! {
        hello = timeout(PATIENCE, hello) => hello.ok().flatten(),
        () = shared.ends() => return Opening::Over,
    };
    // The target's words go on as they came, and it hears what the far end says of them.
    let passes = |target, peer| Opening::Passes(Begun::new(begin, target), peer);
    let Some(accepted) = hello else {
        shared.passed.borrow_mut().sealed += 1;
        return passes(target, peer);
    };
    let asked = Asked::of(&accepted.client_hello(), remote);
    if asked.agrees_on == Agrees::OnOthers {
        shared.passed.borrow_mut().http2 += 1;
        return passes(target, peer);
    }
    if opens.has_withdrawn(arrival.scope, &asked.server) {
        shared.passed.borrow_mut().sealed += 1;
        return passes(target, peer);
    }
    let shown = opens.authority.of_server(&asked.server);
    let agreed = tokio::select! {
        agreed = opens.agree(&asked, peer) => agreed,
        () = shared.ends() => return Opening::Over,
    };
    let (Some(shown), Some(peer)) = (shown, agreed) else {
        shared.passed.borrow_mut().unopened += 1;
        opens.withdraw(arrival.scope, &asked.server);
        let again = tokio::select! {
            again = timeout(PATIENCE, TcpStream::connect(remote)) => again,
            () = shared.ends() => return Opening::Over,
        };
        let Ok(Ok(peer)) = again else {
            reset(target);
            return Opening::Over;
        };
        return passes(target, peer);
    };
    let agreed = StartHandshake::from_parts(accepted, target).into_stream(shown);
    let agreed = tokio::select! {
        agreed = timeout(PATIENCE, agreed) => agreed,
        () = shared.ends() => return Opening::Over,
    };
    match agreed {
        Ok(Ok(target)) => {
            shared.passed.borrow_mut().opened += 1;
            Opening::Opened(Box::new(Opened {
                target,
                peer,
                server: asked.server,
            }))
        }
        Ok(Err(_)) => {
            shared.passed.borrow_mut().distrusted += 1;
            opens.withdraw(arrival.scope, &asked.server);
            Opening::Over
        }
        Err(_) => Opening::Over,
    }
}

/// The target's first word, whose bytes are left in `begin`; nothing where it is none.
async fn hello(target: &mut TcpStream, begin: &mut Vec<u8>) -> Option<Accepted> {
    let mut acceptor = Acceptor::default();
    loop {
        let known = begin.len();
        if known > LONGEST_HELLO || target.read_buf(begin).await.ok()? == 0 {
            return None;
        }
        let mut new = &begin[known..];
        while !new.is_empty() {
            if take_in(&mut acceptor, &mut new).ok()? == 0 {
                return None;
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Some(accepted),
            Ok(None) => {}
            Err(_) => return None,
        }
    }
}

fn take_in(acceptor: &mut Acceptor, new: &mut &[u8]) -> io::Result<usize> {
    acceptor.read_tls(new)
}
