//! Connections that are sealed by TLS: the relay stands between with an authority that the target trusts, or lets them pass.
//!
//! The far end is asked first, with what the target has said of it. Only where it shows a certificate that is trusted does the
//! target see one of the authority's; else the target's own first words go on, and it judges the far end itself. So no fault
//! hides a server whose certificate is expired, another's or of no authority that the relay trusts. Whom the target trusts beyond
//! or short of that is not asked: see LIMITS.md.
//!
//! What cannot be opened passes unread from then on: connections of the same target to the same server and port, until the run
//! ends. That is a target that does not take the authority or the TLS that the relay speaks, a far end that is not trusted or
//! asks the target for a certificate, and one that does not agree on HTTP/1.1. A handshake that breaks off or takes too long
//! withdraws nothing: with the far end that one connection passes unread, and with the target it has ended.

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
    passage::gone,
    process::{Shared, reset},
};

/// HTTP/2, as a client and a server agree on it (RFC 9113, section 3.1).
const HTTP2: &[u8] = b"h2";

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
    withdrawn: RefCell<HashSet<(u32, String, u16)>>,
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
    pub(crate) fn withdraw(&self, scope: u32, server: &str, port: u16) {
        let mut withdrawn = self.withdrawn.borrow_mut();
        if withdrawn.len() >= MOST_WITHDRAWN {
            withdrawn.clear();
        }
        withdrawn.insert((scope, server.to_owned(), port));
    }

    fn has_withdrawn(&self, scope: u32, server: &str, port: u16) -> bool {
        let withdrawn = self.withdrawn.borrow();
        withdrawn.contains(&(scope, server.to_owned(), port))
    }

    /// Agrees with the far end as the target would.
    async fn agree(
        &self,
        asked: &Asked,
        peer: TcpStream,
    ) -> Result<ToPeer<TcpStream>, Disagreement> {
        let wanted = Arc::new(Wanted::default());
        let mut config = self.peers.clone();
        config.client_auth_cert_resolver = Arc::clone(&wanted) as Arc<dyn ResolvesClientCert>;
        if asked.agrees_on == Agrees::OnHttp {
            config.alpn_protocols = vec![HTTP1.to_vec()];
        }
        let server = ServerName::try_from(asked.server.clone());
        let server = server.map_err(|_| Disagreement::Lasting)?;
        let agreed = TlsConnector::from(Arc::new(config)).connect(server, peer);
        let agreed = timeout(PATIENCE, agreed).await;
        let agreed = agreed.map_err(|_| Disagreement::Passing)?;
        if wanted.is_wanted() {
            return Err(Disagreement::Lasting);
        }
        agreed.map_err(|error| match rustls_error(&error) {
            Some(_) => Disagreement::Lasting,
            None => Disagreement::Passing,
        })
    }
}

/// Why the relay and the far end do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disagreement {
    /// The next time will be as this one: what one of them has said is not to the other's liking.
    Lasting,
    /// The connection broke off.
    Passing,
}

/// What rustls has to say of a connection that failed; nothing where that is its end alone.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
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
    /// HTTP/2, and not HTTP/1.1.
    OnHttp2,
    /// Others alone.
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
            Some(protocols) => {
                let protocols: Vec<_> = protocols.collect();
                if protocols.contains(&HTTP1) {
                    Agrees::OnHttp
                } else if protocols.contains(&HTTP2) {
                    Agrees::OnHttp2
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
    /// The server's name.
    pub(crate) server: String,
    /// Its port.
    pub(crate) port: u16,
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
    let has_withdrawn = opens.has_withdrawn(arrival.scope, &asked.server, arrival.port);
    match asked.agrees_on {
        Agrees::OnHttp2 => {
            shared.passed.borrow_mut().http2 += 1;
            return passes(target, peer);
        }
        Agrees::Unsaid | Agrees::OnHttp if !has_withdrawn => {}
        Agrees::Unsaid | Agrees::OnHttp | Agrees::OnOthers => {
            shared.passed.borrow_mut().sealed += 1;
            return passes(target, peer);
        }
    }
    let withdraw = || opens.withdraw(arrival.scope, &asked.server, arrival.port);
    let shown = opens.authority.of_server(&asked.server);
    let agreed = tokio::select! {
        agreed = opens.agree(&asked, peer) => agreed,
        () = gone(&target) => return Opening::Over,
        () = shared.ends() => return Opening::Over,
    };
    let agreed = match (shown, agreed) {
        (Some(shown), Ok(peer)) => Ok((shown, peer)),
        (None, Ok(_)) => Err(Disagreement::Lasting),
        (_, Err(why)) => Err(why),
    };
    let (shown, peer) = match agreed {
        Ok(both) => both,
        Err(why) => {
            shared.passed.borrow_mut().unopened += 1;
            if why == Disagreement::Lasting {
                withdraw();
            }
            let again = tokio::select! {
                again = timeout(PATIENCE, TcpStream::connect(remote)) => again,
                () = shared.ends() => return Opening::Over,
            };
            let Ok(Ok(peer)) = again else {
                shared.passed.borrow_mut().unreached += 1;
                reset(target);
                return Opening::Over;
            };
            return passes(target, peer);
        }
    };
    let agreed = StartHandshake::from_parts(accepted, target).into_stream(shown);
    let agreed = tokio::select! {
        agreed = timeout(PATIENCE, agreed) => agreed,
        () = shared.ends() => return Opening::Over,
    };
    let error = match agreed {
        Ok(Ok(target)) => {
            shared.passed.borrow_mut().opened += 1;
            return Opening::Opened(Box::new(Opened {
                target,
                peer,
                server: asked.server,
                port: arrival.port,
            }));
        }
        Ok(Err(error)) => error,
        Err(_) => return Opening::Over,
    };
    // Where TLS has no word for it, the target has gone.
    if rustls_error(&error).is_some() {
        shared.passed.borrow_mut().distrusted += 1;
        withdraw();
    }
    Opening::Over
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
