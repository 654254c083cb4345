//! One connection of a target's, from the target to where it wanted to go.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use hyper::{
    Request, Response, body::Incoming, client::conn::http1 as client,
    server::conn::http1 as server, service::service_fn,
};
use hyper_util::rt::TokioIo;
use injector_host::kernel::relay::{Arrival, Listener};
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
};

use crate::{
    deed,
    process::{Life, Shared, reset},
    stream::{Broken, Passing},
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
    let Ok(peer) = TcpStream::connect(remote).await else {
        shared.passed.borrow_mut().unreached += 1;
        reset(target);
        return;
    };
    // Small pieces go on as they come.
    let _ = (target.set_nodelay(true), peer.set_nodelay(true));
    match spoken(&target, &peer).await {
        Spoken::Http => http(shared, arrival.scope, target, peer).await,
        Spoken::Http2 => {
            shared.passed.borrow_mut().http2 += 1;
            pass(target, peer).await;
        }
        Spoken::Tls => {
            shared.passed.borrow_mut().sealed += 1;
            pass(target, peer).await;
        }
        Spoken::Other => pass(target, peer).await,
    }
}

/// What the kernel has written down of a connection. Both of its ends have to be those: a port alone is another's as well.
fn arrival(shared: &Shared, target: &TcpStream, listener: Listener) -> Option<Arrival> {
    let far = target.peer_addr().ok()?;
    let own = target.local_addr().ok()?;
    let arrival = shared.memory.arrival(listener, far.port())?;
    let to_itself = arrival.port == own.port() && arrival.remote.to_canonical() == own.ip();
    let is_it = arrival.local.to_canonical() == canonical(far.ip());
    (is_it && !to_itself).then_some(arrival)
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_canonical(),
        IpAddr::V4(_) => address,
    }
}

/// How long to wait for the rest of a first word that came in parts.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits for the first bytes of either side. A peer that speaks first is no HTTP server.
async fn spoken(target: &TcpStream, peer: &TcpStream) -> Spoken {
    let mut begin = [0; 8];
    loop {
        tokio::select! {
            biased;
            count = target.peek(&mut begin) => match count {
                Ok(0) | Err(_) => return Spoken::Other,
                Ok(count) => match read(&begin[..count]) {
                    Some(spoken) => return spoken,
                    None => tokio::time::sleep(PAUSE).await,
                },
            },
            _ = peer.readable() => {
                let mut byte = [0];
                // Readable may mean nothing; then the target is asked again.
                match peer.try_read(&mut []) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Ok(_) | Err(_) if peer.peek(&mut byte).await.is_ok() => return Spoken::Other,
                    Ok(_) | Err(_) => return Spoken::Other,
                }
            }
        }
    }
}

/// `None` as long as it may be several.
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
    let known = METHODS
        .into_iter()
        .map(|method| (method, Spoken::Http))
        .chain([(HTTP2, Spoken::Http2), (TLS, Spoken::Tls)]);
    let mut may_come = false;
    for (word, spoken) in known {
        if begin.starts_with(word) {
            return Some(spoken);
        }
        may_come |= word.starts_with(begin);
    }
    (!may_come).then_some(Spoken::Other)
}

/// Passes bytes on, both ways, until both have ended.
async fn pass(mut target: TcpStream, mut peer: TcpStream) {
    // How it ended, both ends have seen.
    let _ = tokio::io::copy_bidirectional(&mut target, &mut peer).await;
}

/// Serves requests.
async fn http(shared: &Rc<Shared>, scope: u32, target: TcpStream, peer: TcpStream) {
    let handshake = client::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(peer))
        .await;
    let Ok((sender, connection)) = handshake else {
        reset(target);
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
        async move { deed::answer(&shared, scope, request, &upstream).await }
    });
    let connection = server::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(target), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut life = shared.life();
    let over = async {
        tokio::select! {
            // The peer closes: the target is to see that where it has no answer to wait for.
            _ = &mut has_closed => {}
            _ = life.wait_for(|life| *life == Life::Ends) => {}
        }
    };
    tokio::select! {
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
        assert_eq!(read(b"POST /v1"), Some(Spoken::Http));
        assert_eq!(read(b"PO"), None);
        assert_eq!(read(b"PRI * HT"), Some(Spoken::Http2));
        assert_eq!(read(&[0x16, 3, 1]), Some(Spoken::Tls));
        assert_eq!(read(&[0x16]), None);
        assert_eq!(read(b"SSH-2.0-"), Some(Spoken::Other));
        assert_eq!(read(b"\0"), Some(Spoken::Other));
    }
}
