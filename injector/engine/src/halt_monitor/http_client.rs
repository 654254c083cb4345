//! A client for HTTP, in plain text or over TLS: one exchange, in bounded time, with a bounded answer.
//!
//! It is hyper, which the daemon's socket needs anyway, on a runtime of the calling thread; [`tls`](super::tls) has whom a
//! server is trusted by. Rejected: a crate for clients (reqwest), which brings redirects, cookies, pools and proxies from the
//! environment to a question that wants none of them.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request,
    client::conn::http1::handshake,
    header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Builder,
    time::timeout,
};

use super::tls::{self, TlsError, Trust};
use injector_spec::{
    condition::{HttpUrl, Scheme},
    quantity::duration,
};

/// The longest answer that is read.
const LONGEST: usize = 1024 * 1024;

/// Why there is no answer. What stands in the address is not repeated, for it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The server cannot be reached.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The server is not the one that is meant, or speaks no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What comes is no HTTP, or breaks off, or is too long.
    #[error("no answer: {0}")]
    Exchange(String),
    /// More than is read.
    #[error("the body has more than {0} bytes, and no more are read")]
    Long(usize),
    /// It takes too long.
    #[error("no answer within {}", duration::format(*.0))]
    Late(Duration),
    /// This process has too little of something.
    #[error("it could not be asked: {0}")]
    Runtime(io::Error),
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// Asks for a path of a server.
pub(super) fn get(
    server: &HttpUrl,
    path: &str,
    trust: &mut Trust,
    within: Duration,
) -> Result<Answer, HttpError> {
    let request = (Method::GET, path);
    exchange(server, request, Bytes::new(), trust, LONGEST, within)
}

/// Asks for a body of at most so many bytes.
pub fn get_up_to(url: &HttpUrl, most: usize, within: Duration) -> Result<Answer, HttpError> {
    let (request, mut trust) = ((Method::GET, url.path()), Trust::of(url.scheme(), None));
    exchange(url, request, Bytes::new(), &mut trust, most, within)
}

/// Posts a text of JSON; returns the status.
pub fn post_json(url: &HttpUrl, body: String, within: Duration) -> Result<u16, HttpError> {
    let (request, mut trust) = ((Method::POST, url.path()), Trust::of(url.scheme(), None));
    let answer = exchange(url, request, body.into(), &mut trust, LONGEST, within);
    answer.map(|answer| answer.status)
}

fn exchange(
    server: &HttpUrl,
    request: (Method, &str),
    body: Bytes,
    trust: &mut Trust,
    most: usize,
    within: Duration,
) -> Result<Answer, HttpError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .map_err(HttpError::Runtime)?;
    let answer = runtime.block_on(async {
        match timeout(within, connect(server, request, body, trust, most)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Late(within)),
        }
    });
    // A resolver that hangs keeps its thread, and no other thread waits for it.
    runtime.shutdown_background();
    answer
}

async fn connect(
    server: &HttpUrl,
    request: (Method, &str),
    body: Bytes,
    trust: &mut Trust,
    most: usize,
) -> Result<Answer, HttpError> {
    let stream = TcpStream::connect(server.host().as_str())
        .await
        .map_err(HttpError::Connect)?;
    match server.scheme() {
        Scheme::Http => converse(stream, server, request, body, most).await,
        Scheme::Https => {
            let stream = tls::shake_hands(stream, server.host(), trust).await?;
            converse(stream, server, request, body, most).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    server: &HttpUrl,
    (method, path): (Method, &str),
    body: Bytes,
    most: usize,
) -> Result<Answer, HttpError> {
    let broken = |error: &(dyn std::error::Error + 'static)| match TlsError::within(error) {
        Some(tls) => tls.into(),
        None => HttpError::Exchange(error.to_string()),
    };
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // It ends with the exchange; what went wrong with it, the exchange reports.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, server.host().as_str())
        .header(USER_AGENT, "injector")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|error| broken(&error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), most).collect().await;
    let body = body
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => HttpError::Long(most),
            None => broken(error.as_ref()),
        })?
        .to_bytes();
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn plain() -> Trust {
        Trust::of(Scheme::Http, None)
    }

    fn serve(answer: &'static [u8]) -> HttpUrl {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            if answer.is_empty() {
                // Never answers, and never leaves.
                thread::sleep(Duration::from_mins(1));
            }
            let _ = stream.write_all(answer);
        });
        format!("http://{address}/secret?token=1").parse().unwrap()
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let url = serve(b"HTTP/1.1 204 No Content\r\n\r\n");
        let answer = get(&url, url.path(), &mut plain(), Duration::from_secs(5)).unwrap();
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        let url = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(
            post_json(&url, "{}".into(), Duration::from_secs(5)).unwrap(),
            200
        );
    }

    #[test]
    fn silence_ends_in_time_and_no_error_tells_the_address() {
        let url = serve(b"");
        let error = get(&url, url.path(), &mut plain(), Duration::from_millis(100))
            .err()
            .unwrap();
        assert!(matches!(error, HttpError::Late(_)), "{error}");
        let url = serve(b"who are you?\r\n\r\n");
        let error = get(&url, url.path(), &mut plain(), Duration::from_secs(5))
            .err()
            .unwrap();
        assert!(!error.to_string().contains("token"), "{error}");
    }
}
