//! The client: what every command does when a daemon is there.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::handshake,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use super::{
    HaltRequest, Lifetime, Resumed, StartRequest, Status, VERSION, VERSION_HEADER, socket::foreign,
    wire::StartBody,
};
use injector_host::kernel::capability::Capability;
use injector_record::halt::Halt;
use injector_record::{
    event::RunEvent,
    journal::{ListedRun, RunId},
    report::RunReport,
};
use injector_spec::error::Refusal;

/// The longest that an answer may take; the server gives up earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);

/// A daemon that answered.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    /// What has arrived and is no whole line yet.
    rest: BytesMut,
}

/// One line of the stream.
#[derive(Debug)]
pub enum Told {
    /// Something happened.
    Event(Box<RunEvent>),
    /// Some events were lost because we read too slowly.
    Lost,
}

impl Client {
    /// The daemon at a socket; `None` where there is none.
    pub async fn connect(socket: &Path) -> Result<Option<Self>, Refusal> {
        match UnixStream::connect(socket).await {
            Ok(_) => Ok(Some(Self {
                socket: socket.to_owned(),
            })),
            // Something that is no socket refuses connections, too (`unix_find_bsd` in net/unix/af_unix.c).
            Err(error) if is_absence(&error) => {
                foreign(socket).map_or(Ok(None), |error| Err(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Refusal::usage(format!(
                    "the daemon at {} serves root, its own user, and the groups that its configuration names; \
                     use sudo",
                    socket.display()
                )))
            }
            Err(error) => Err(Refusal::usage(format!(
                "the daemon at {} cannot be reached: {error}; check the path",
                socket.display()
            ))),
        }
    }

    /// Starts a run that lives as long as is said.
    pub async fn start(
        &self,
        asked: &StartRequest,
        lifetime: Lifetime,
    ) -> Result<ListedRun, Refusal> {
        // Texts, numbers and maps of these always serialise.
        let body = serde_json::to_vec(&StartBody::of(asked)?).unwrap_or_default();
        let path = match lifetime {
            Lifetime::Detached => "/v1/runs",
            Lifetime::Client => "/v1/runs?lifetime=client",
        };
        self.ask(Method::POST, path, body.into()).await
    }

    /// Every run.
    pub async fn list(&self) -> Result<Vec<ListedRun>, Refusal> {
        self.ask(Method::GET, "/v1/runs", Bytes::new()).await
    }

    /// One run.
    pub async fn show(&self, run: &RunId) -> Result<ListedRun, Refusal> {
        self.ask(Method::GET, &format!("/v1/runs/{run}"), Bytes::new())
            .await
    }

    /// Ends a run.
    pub async fn stop(&self, run: &RunId) -> Result<RunReport, Refusal> {
        self.ask(Method::DELETE, &format!("/v1/runs/{run}"), Bytes::new())
            .await
    }

    /// Ends every run of the daemon.
    pub async fn stop_all(&self) -> Result<Vec<RunReport>, Refusal> {
        self.ask(Method::DELETE, "/v1/runs", Bytes::new()).await
    }

    /// Pulls the kill switch; returns who has.
    pub async fn halt(&self, asked: &HaltRequest) -> Result<Halt, Refusal> {
        // A text and nothing else always serialises.
        let body = serde_json::to_vec(asked).unwrap_or_default();
        self.ask(Method::POST, "/v1/halt", body.into()).await
    }

    /// Releases it.
    pub async fn resume(&self) -> Result<Resumed, Refusal> {
        self.ask(Method::DELETE, "/v1/halt", Bytes::new()).await
    }

    /// Who answers.
    pub async fn status(&self) -> Result<Status, Refusal> {
        self.ask(Method::GET, "/v1/status", Bytes::new()).await
    }

    /// What the daemon's machine offers.
    pub async fn doctor(&self) -> Result<Vec<Capability>, Refusal> {
        self.ask(Method::GET, "/v1/doctor", Bytes::new()).await
    }

    /// What happens from now on: what happens after this returns is told, even before it is read.
    pub async fn events(&self, hits: bool) -> Result<Events, Refusal> {
        self.listen(&format!("/v1/events?hits={hits}")).await
    }

    /// The turns of runs and how they stand, without single hits; from now on, too.
    pub async fn turns_and_progress(&self) -> Result<Events, Refusal> {
        self.listen("/v1/events?hits=false&progress=true").await
    }

    async fn listen(&self, path: &str) -> Result<Events, Refusal> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        if response.status().is_success() {
            return Ok(Events {
                body: response.into_body(),
                rest: BytesMut::new(),
            });
        }
        Err(self.refused(response).await)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Refusal> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            if !response.status().is_success() {
                return Err(self.refused(response).await);
            }
            let skew = skew(&response);
            let body = self.whole(response).await?;
            // What another version answers may be another thing.
            serde_json::from_slice(&body)
                .map_err(|error| skew.unwrap_or_else(|| self.broken(&error)))
        };
        timeout(ANSWER_LIMIT, answer).await.unwrap_or_else(|_| {
            Err(Refusal::failed(format!(
                "the daemon at {} did not answer within 35 s; look at its log, or restart it",
                self.socket.display()
            )))
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Refusal> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.broken(&error))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // It ends with the exchange; what went wrong with it, the exchange reports.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "injector")
            .header(CONTENT_TYPE, "application/json")
            .header(VERSION_HEADER, VERSION)
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))
    }

    /// Why a request was refused. A daemon of another version may know neither the path nor the words.
    async fn refused(&self, response: Response<Incoming>) -> Refusal {
        let (status, skew) = (response.status(), skew(&response));
        match self.whole(response).await {
            Ok(body) => skew.unwrap_or_else(|| refusal(status, &body)),
            Err(broken) => broken,
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, Refusal> {
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.broken(&error))?;
        Ok(body.to_bytes())
    }

    fn broken(&self, error: &dyn std::error::Error) -> Refusal {
        Refusal::failed(format!(
            "the conversation with the daemon at {} broke: {error}; `injector status` tells whether it lives",
            self.socket.display()
        ))
    }
}

impl Events {
    /// The next line; `None` when the daemon has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Told>, Refusal> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                // What is no event is the note that some were lost.
                return Ok(Some(
                    serde_json::from_slice(&line)
                        .map_or(Told::Lost, |event| Told::Event(Box::new(event))),
                ));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.rest.extend_from_slice(&data);
                }
                Some(Err(error)) => {
                    return Err(Refusal::failed(format!(
                        "the daemon broke off: {error}; its supervisor ends what it had armed"
                    )));
                }
                None => return Ok(None),
            }
        }
    }
}

/// Whether there is simply no daemon: no socket, or one that a dead daemon left.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// The sentence about a daemon of another version, if it is one. Every daemon tells its version in every
/// answer, but for the answer to a caller that it does not serve.
fn skew(response: &Response<Incoming>) -> Option<Refusal> {
    let theirs = response.headers().get(VERSION_HEADER)?.to_str().ok()?;
    (theirs != VERSION).then(|| {
        Refusal::usage(format!(
            "the daemon is version {} and this command is version {VERSION}; restart the daemon from the same \
             build",
            theirs.escape_default()
        ))
    })
}

/// The refusal in an answer; a daemon of another version may word it differently.
fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        Refusal::failed(format!(
            "the daemon answered {status} and no reason; restart it from the same build as this command"
        ))
    })
}
