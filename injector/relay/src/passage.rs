//! One connection of a target's, from the target to where it wanted to go.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::{
    Request, Response, body::Incoming, client::conn::http1 as client,
    server::conn::http1 as server, service::service_fn,
};
use hyper_util::rt::TokioIo;
use injector_host::kernel::relay::{Arrival, Listener};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    sync::{Mutex, oneshot},
    time::timeout,
};

use crate::{
    begun::Begun,
    deed,
    process::{Shared, reset},
    rules::Origin,
    sealed::{self, Opened, Opening},
    stream::{Broken, Passing},
    tunnel,
};

/// The way to the peer, for one request after the other.
pub(crate) struct Upstream(Mutex<client::SendRequest<Passing>>);

impl Upstream {
    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn ask(
        &self,
        request: Request<Passing>,
    ) -> Result<Response<Incoming>, Broken> {
        let mut sender = self.0.lock().await;
        sender.ready().await.map_err(|_| Broken)?;
        let answer = sender.send_request(request);
        drop(sender);
        answer.await.map_err(|_| Broken)
    }
}

/// What the first bytes of a connection say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http,
    Http2,
    Tls,
    Other,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(shared: &Rc<Shared>, target: TcpStream, listener: Listener) {
    let Some(arrival) = arrival(shared, &target, listener) else {
        shared.passed.borrow_mut().strangers += 1;
        reset(target);
        return;
    };
    shared.passed.borrow_mut().connections += 1;
    let remote = SocketAddr::new(arrival.remote.to_canonical(), arrival.port);
    let reached = tokio::select! {
        reached = TcpStream::connect(remote) => Some(reached),
        () = gone(&target) => None,
        () = shared.ends() => None,
    };
    let peer = match reached {
        Some(Ok(peer)) => peer,
        Some(Err(_)) => {
            shared.passed.borrow_mut().unreached += 1;
            reset(target);
            return;
        }
        // The target or the run is over, whatever the peer would have said.
        None => {
            reset(target);
            return;
        }
    };
    // Small pieces go on as they come.
    let _ = (target.set_nodelay(true), peer.set_nodelay(true));
    let spoken = tokio::select! {
        biased;
        spoken = spoken(&target, &peer) => spoken,
        // Nothing was said yet: it ends as it would by its peer's leave.
        () = shared.ends() => return,
    };
    match spoken {
        Spoken::Http => http(shared, &arrival, target, peer).await,
        Spoken::Http2 => {
            shared.passed.borrow_mut().http2 += 1;
            tunnel::pass(shared, target, peer).await;
        }
        Spoken::Tls => match sealed::open(shared, &arrival, target, (remote, peer)).await {
            Opening::Opened(opened) => inside(shared, &arrival, *opened).await,
            Opening::Passes(target, peer) => tunnel::pass(shared, target, peer).await,
            Opening::Over => {}
        },
        Spoken::Other => tunnel::pass(shared, target, peer).await,
    }
}

/// How soon a target that does not trust what it was shown closes the connection, where it does not say so: Node.js agrees
/// first and looks at the certificate then.
const DISTRUST: Duration = Duration::from_secs(2);

/// Serves a connection whose text was sealed.
async fn inside(shared: &Rc<Shared>, arrival: &Arrival, opened: Opened) {
    let Opened {
        mut target,
        mut peer,
        server,
        port,
    } = opened;
    let began = Instant::now();
    let (mut of_target, mut of_peer) = (Vec::new(), Vec::new());
    let spoken = tokio::select! {
        biased;
        spoken = first_words(&mut target, &mut of_target) => spoken,
        // A peer that speaks first is no HTTP server; one that ends has no more to say.
        _ = peer.read_buf(&mut of_peer) => Some(Spoken::Other),
        () = shared.ends() => return,
    };
    let Some(spoken) = spoken else {
        if let Some(opens) = &shared.opens
            && began.elapsed() < DISTRUST
        {
            let mut passed = shared.passed.borrow_mut();
            passed.opened -= 1;
            passed.distrusted += 1;
            opens.withdraw(arrival.scope, &server, port);
        }
        return;
    };
    let target = Begun::new(of_target, target);
    match spoken {
        Spoken::Http => http(shared, arrival, target, peer).await,
        Spoken::Http2 => {
            shared.passed.borrow_mut().http2 += 1;
            tunnel::pass(shared, target, Begun::new(of_peer, peer)).await;
        }
        Spoken::Tls | Spoken::Other => {
            tunnel::pass(shared, target, Begun::new(of_peer, peer)).await;
        }
    }
}

/// What the first bytes say that it is; nothing where the target has closed its end without a word. May be dropped in the
/// middle: what has come so far stays.
async fn first_words<T: AsyncRead + Unpin>(target: &mut T, said: &mut Vec<u8>) -> Option<Spoken> {
    while said.len() < LOOK {
        let left = if said.is_empty() {
            Duration::MAX
        } else {
            PATIENCE
        };
        match timeout(left, target.read_buf(said)).await {
            Ok(Ok(1..)) => {}
            Ok(_) if said.is_empty() => return None,
            Ok(_) | Err(_) => return Some(Spoken::Other),
        }
        let look = &said[..said.len().min(LOOK)];
        if let Some(spoken) = read(look) {
            return Some(spoken);
        }
    }
    Some(Spoken::Other)
}

/// Returns when the target has closed its end without a word.
pub(crate) async fn gone(target: &TcpStream) {
    loop {
        match target.peek(&mut [0]).await {
            Ok(0) | Err(_) => return,
            // It has said something, and waits for the peer.
            Ok(_) => std::future::pending().await,
        }
    }
}

/// What the kernel has written down of a connection. Both of its ends have to be those: a port alone is another's as well.
fn arrival(shared: &Shared, target: &TcpStream, listener: Listener) -> Option<Arrival> {
    let far = target.peer_addr().ok()?;
    let own = target.local_addr().ok()?;
    let arrival = shared.memory.arrival(listener, far.port())?;
    let to_itself = arrival.port == own.port() && arrival.remote.to_canonical() == own.ip();
    let is_it = arrival.local.to_canonical() == canonical(far.ip());
    (is_it && !to_itself && shared.takes(arrival.cookie)).then_some(arrival)
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_canonical(),
        IpAddr::V4(_) => address,
    }
}

/// How long to wait for the rest of a first line that came in parts, and how often.
const PATIENCE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(5);

/// How many bytes are looked at.
const LOOK: usize = 512;

/// Waits for the first bytes of either side. A peer that speaks first is no HTTP server.
async fn spoken(target: &TcpStream, peer: &TcpStream) -> Spoken {
    let mut begin = [0; LOOK];
    let mut byte = [0];
    tokio::select! {
        biased;
        count = target.peek(&mut begin) => {
            if !matches!(count, Ok(1..)) {
                return Spoken::Other;
            }
        }
        _ = peer.peek(&mut byte) => return Spoken::Other,
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let Ok(count) = target.peek(&mut begin).await else {
            return Spoken::Other;
        };
        match read(&begin[..count]) {
            Some(spoken) => return spoken,
            None if tokio::time::Instant::now() >= deadline => return Spoken::Other,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// `None` as long as it may be several. Other protocols have methods of the same names, so a whole line of HTTP says so at
/// its end; one that is longer than this looks is taken for one.
fn read(begin: &[u8]) -> Option<Spoken> {
    const METHODS: [&[u8]; 7] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"PATCH ",
        b"DELETE ",
        b"OPTIONS ",
    ];
    const HTTP2: &[u8] = b"PRI * HT";
    const TLS: &[u8] = &[0x16, 0x03];
    if begin.starts_with(HTTP2) {
        return Some(Spoken::Http2);
    }
    if begin.starts_with(TLS) {
        return Some(Spoken::Tls);
    }
    if METHODS.iter().any(|method| begin.starts_with(method)) {
        let end = begin.iter().position(|byte| *byte == b'\n');
        return match end {
            Some(end) => {
                let line = begin[..end].trim_ascii_end();
                let is_http = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
                Some(if is_http { Spoken::Http } else { Spoken::Other })
            }
            None if begin.len() >= LOOK => Some(Spoken::Http),
            None => None,
        };
    }
    let mut words = METHODS.into_iter().chain([HTTP2, TLS]);
    let may_come = words.any(|word| word.starts_with(begin));
    (!may_come).then_some(Spoken::Other)
}

/// Headers that a message may have: more than any client or server allows.
const HEADERS: usize = 256;

/// Serves requests.
async fn http<T, P>(shared: &Rc<Shared>, arrival: &Arrival, target: T, peer: P)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let origin = Origin {
        scope: arrival.scope,
        slots: arrival.slots,
        far: SocketAddr::new(arrival.remote.to_canonical(), arrival.port),
    };
    let handshake = client::Builder::new()
        .preserve_header_case(true)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(peer))
        .await;
    let Ok((sender, connection)) = handshake else {
        return;
    };
    let (closed, mut has_closed) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let _ = connection.with_upgrades().await;
        let _ = closed.send(());
    });
    let upstream = Rc::new(Upstream(Mutex::new(sender)));
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, upstream) = (Rc::clone(shared), Rc::clone(&upstream));
        async move { deed::answer(&shared, origin, request, &upstream).await }
    });
    let connection = server::Builder::new()
        .preserve_header_case(true)
        .max_headers(HEADERS)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(target), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let over = async {
        tokio::select! {
            // The peer closes: the target is to see that where it has no answer to wait for.
            _ = &mut has_closed => {}
            () = shared.ends() => {}
        }
    };
    tokio::select! {
        // What lies there is read before it is told to stop.
        biased;
        _ = connection.as_mut() => return,
        () = over => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_known_by_its_first_bytes() {
        assert_eq!(read(b"POST /v1 HTTP/1.1\r\n"), Some(Spoken::Http));
        assert_eq!(read(b"POST /v1"), None);
        assert_eq!(read(b"PO"), None);
        assert_eq!(read(b"GET key\r\n"), Some(Spoken::Other));
        assert_eq!(read(b"OPTIONS sip:a RTSP/1.0\r\n"), Some(Spoken::Other));
        assert_eq!(read(b"PRI * HT"), Some(Spoken::Http2));
        assert_eq!(read(&[0x16, 3, 1]), Some(Spoken::Tls));
        assert_eq!(read(&[0x16]), None);
        assert_eq!(read(b"SSH-2.0-"), Some(Spoken::Other));
        assert_eq!(read(b"\0"), Some(Spoken::Other));
    }
}
