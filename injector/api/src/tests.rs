//! A real server on a real socket, with a daemon that only remembers what it was asked.

mod abuse;
mod contract;
mod crowd;
mod document;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{broadcast, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{client::Told, wire::StartBody, *};
use injector_engine::worker::AskedBy;
use injector_record::{
    event::{EventKind, Limits, RunEvent},
    journal::{RunId, RunState},
    report::{Outcome, RunReport},
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::{Selector, file},
};

/// Remembers who asked for what; runs nothing.
#[derive(Clone)]
struct Fake {
    runs: Arc<Mutex<Vec<ListedRun>>>,
    callers: Arc<Mutex<Vec<AskedBy>>>,
    kill_switch: Arc<Mutex<Option<Halt>>>,
    lanes: Lanes,
    /// How many surveys there were, each of which takes a while.
    surveys: Arc<AtomicU32>,
    events: broadcast::Sender<RunEvent>,
}

impl Fake {
    fn new() -> Self {
        let (events, _) = broadcast::channel(16);
        Self {
            runs: Arc::default(),
            callers: Arc::default(),
            kill_switch: Arc::default(),
            lanes: Lanes::default(),
            surveys: Arc::default(),
            events,
        }
    }

    fn end(listed: &mut ListedRun) -> RunReport {
        listed.state = RunState::Ended {
            outcome: Outcome::Stopped,
        };
        RunReport {
            armed_for_ms: 7,
            ..RunReport::of(listed.run.clone(), listed.name.clone(), Outcome::Stopped)
        }
    }
}

impl Control for Fake {
    fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    async fn start(&self, asked: StartRequest, by: AskedBy, _: Tie) -> Result<RunId, Refusal> {
        let experiment = asked.experiment;
        if matches!(experiment.targets[0].selector, Selector::Pids { ref pids, .. } if *pids == [1])
        {
            return Err(Refusal::endangers(
                "PID 1 is never a target; choose another process",
            ));
        }
        let mut runs = self.runs.lock().unwrap();
        if experiment.name == "twice" && !runs.is_empty() {
            return Err(Refusal::clash(
                "another run acts on the same target; stop it",
            ));
        }
        let run: RunId = format!("r00000000{:04x}", runs.len()).parse().unwrap();
        runs.push(ListedRun {
            run: run.clone(),
            name: experiment.name,
            state: RunState::Running,
            started_unix_ms: Some(5),
            supervisor: None,
            asked: None,
            to_restore: vec![],
            faults: vec![],
            damaged_lines: 0,
            report: None,
        });
        self.callers.lock().unwrap().push(by);
        let event = RunEvent {
            run: run.clone(),
            boot_ns: 9,
            what: EventKind::Armed {
                faults: vec![],
                limits: Limits::default(),
            },
        };
        // There may be no listener.
        let _ = self.events.send(event);
        Ok(run)
    }

    fn carries_out(&self, run: &RunId) -> bool {
        let runs = self.runs.lock().unwrap();
        runs.iter()
            .any(|listed| listed.run == *run && listed.state == RunState::Running)
    }

    async fn stop(&self, run: &RunId) -> Result<RunReport, Refusal> {
        let mut runs = self.runs.lock().unwrap();
        Ok(Self::end(
            runs.iter_mut().find(|listed| listed.run == *run).unwrap(),
        ))
    }

    async fn stop_all(&self) -> Result<Vec<RunReport>, Refusal> {
        let mut runs = self.runs.lock().unwrap();
        let on = runs
            .iter_mut()
            .filter(|listed| listed.state == RunState::Running);
        Ok(on.map(Self::end).collect())
    }

    async fn halt(&self, halt: Halt) -> Result<Halt, Refusal> {
        *self.kill_switch.lock().unwrap() = Some(halt.clone());
        Ok(halt)
    }

    async fn resume(&self, _by: AskedBy) -> Result<Option<Halt>, Refusal> {
        Ok(self.kill_switch.lock().unwrap().take())
    }

    fn events(&self) -> broadcast::Receiver<RunEvent> {
        self.events.subscribe()
    }

    async fn list(&self) -> Result<Vec<ListedRun>, Refusal> {
        Ok(self.runs.lock().unwrap().clone())
    }

    async fn find(&self, run: &RunId, _: &Lane) -> Result<Option<ListedRun>, Refusal> {
        let runs = self.runs.lock().unwrap();
        Ok(runs.iter().find(|listed| listed.run == *run).cloned())
    }

    async fn halted(&self) -> Result<Option<Halt>, Refusal> {
        Ok(self.kill_switch.lock().unwrap().clone())
    }

    async fn capabilities(
        &self,
    ) -> Result<Vec<injector_host::kernel::capability::Capability>, Refusal> {
        self.surveys.fetch_add(1, Ordering::Relaxed);
        let survey = || std::thread::sleep(Duration::from_millis(300));
        self.lanes.look.run(survey).await.unwrap();
        Ok(vec![])
    }
}

/// A server, its socket and its end.
struct Server {
    folder: tempfile::TempDir,
    fake: Fake,
    end: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    fn start() -> Self {
        Self::start_for(Access::default())
    }

    fn start_for(access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::new();
        let Bound { listener, .. } =
            bind(&folder.path().join("run/injector.sock"), access).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let (end, ended) = oneshot::channel();
        let served = serve(
            listener,
            fake.clone(),
            access,
            async move { drop(ended.await) },
        );
        Self {
            folder,
            fake,
            end,
            task: tokio::spawn(served),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/injector.sock")
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket())
            .await
            .unwrap()
            .expect("there is a daemon")
    }

    /// Speaks HTTP by hand, as any program may.
    async fn raw(&self, head: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let text = format!(
            "{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.exchange(text).await
    }

    /// Sends a text, and reads what comes until the server closes the connection.
    async fn exchange(&self, text: String) -> (u16, String) {
        let socket = self.socket();
        let exchange = tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            // A server that has refused a large body does not read the rest of it.
            let _ = stream.write_all(text.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        });
        let answer = exchange.await.unwrap();
        let status = answer
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect(&answer);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }
}

fn experiment(pid: u32) -> Experiment {
    let text =
        format!("targets: {{ a: {{ pid: {pid} }} }}\nduration: 5s\nfaults: [net.blackhole]\n");
    file::parse(&text, "fake.yaml", None).unwrap()
}

fn asking(pid: u32) -> StartRequest {
    StartRequest {
        experiment: experiment(pid),
        overrides: vec![],
    }
}

#[tokio::test]
async fn a_run_is_started_followed_listed_and_stopped() {
    let server = Server::start();
    let client = server.client().await;
    let mut events = client.events(true).await.unwrap();
    let started = client.start(&asking(7), Lifetime::Client).await.unwrap();
    assert_eq!(
        (started.name.as_str(), &started.state),
        ("fake", &RunState::Running)
    );
    let told = timeout(Duration::from_secs(5), events.next())
        .await
        .unwrap()
        .unwrap();
    let Some(Told::Event(event)) = told else {
        panic!("{told:?}")
    };
    assert_eq!(
        (&event.run, &event.what),
        (
            &started.run,
            &EventKind::Armed {
                faults: vec![],
                limits: Limits::default()
            }
        )
    );
    let caller = server.fake.callers.lock().unwrap()[0];
    assert_eq!(caller.pid, std::process::id());
    assert_eq!(
        client.status().await.unwrap().running,
        std::slice::from_ref(&started)
    );
    assert_eq!(client.show(&started.run).await.unwrap(), started);
    let report = client.stop(&started.run).await.unwrap();
    assert_eq!((report.outcome, report.armed_for_ms), (Outcome::Stopped, 7));
    let again = client.stop(&started.run).await.unwrap_err();
    assert!(again.message.contains("is over already"), "{again}");
    client.start(&asking(8), Lifetime::Detached).await.unwrap();
    assert_eq!(client.stop_all().await.unwrap().len(), 1);
    assert_eq!(client.list().await.unwrap().len(), 2);
    // The end of the server ends the stream that is still open.
    server.end.send(()).unwrap();
    timeout(Duration::from_secs(5), server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    // The second run's event is still there; then comes the end.
    let mut left = 0;
    while timeout(Duration::from_secs(5), events.next())
        .await
        .unwrap()
        .unwrap()
        .is_some()
    {
        left += 1;
    }
    assert_eq!(left, 1);
}

#[tokio::test]
async fn the_kill_switch_is_pulled_and_released_by_name() {
    let server = Server::start();
    let client = server.client().await;
    let asked = HaltRequest {
        reason: Some("smoke".into()),
    };
    let halt = client.halt(&asked).await.unwrap();
    assert_eq!(
        (halt.by_pid, halt.reason.as_deref()),
        (std::process::id(), Some("smoke"))
    );
    assert_eq!(client.status().await.unwrap().halted.as_ref(), Some(&halt));
    assert_eq!(client.resume().await.unwrap().was_halted, Some(halt));
    assert_eq!(client.resume().await.unwrap().was_halted, None);
    for body in [
        "{\"why\":1}",
        "7",
        &format!("{{\"reason\":\"{}\"}}", "x".repeat(5_000)),
    ] {
        let head = "POST /v1/halt HTTP/1.1\r\ncontent-type: application/json";
        let (status, said) = server.raw(head, body).await;
        assert_eq!(status, 400, "{said}");
    }
    assert_eq!(server.raw("POST /v1/halt HTTP/1.1", "").await.0, 200);
}

#[tokio::test]
async fn a_refusal_arrives_as_it_was_said() {
    let server = Server::start();
    let client = server.client().await;
    let refusal = client
        .start(&asking(1), Lifetime::Client)
        .await
        .unwrap_err();
    assert_eq!(
        refusal,
        Refusal::endangers("PID 1 is never a target; choose another process")
    );
    let unknown = client
        .show(&"r0000000000ff".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(unknown.exit, Exit::Usage);
    // What the types let through, the check does not.
    let mut nobody = experiment(7);
    nobody.steps.clear();
    let refusal = client
        .start(
            &StartRequest {
                experiment: nobody,
                overrides: vec![],
            },
            Lifetime::Client,
        )
        .await
        .unwrap_err();
    assert!(
        refusal
            .message
            .contains("`experiment.steps`: `steps` is a list of at least one step"),
        "{refusal}"
    );
    assert!(server.fake.runs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn any_program_may_speak_http() {
    let server = Server::start();
    let yaml = "targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\n";
    let post = "POST /v1/runs HTTP/1.1\r\ncontent-type: application/yaml";
    let (status, body) = server.raw(post, yaml).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = server.raw(post, "targets: {}\nstops: 1\n").await;
    assert!(
        status == 422 && body.contains("experiment.yaml:2:1"),
        "{body}"
    );
    for (head, body, expected) in [
        ("GET /v1/nothing HTTP/1.1", "", 404),
        ("PUT /v1/runs HTTP/1.1", "", 405),
        ("GET /v1/runs/../../etc HTTP/1.1", "", 404),
        ("GET /v1/events?run=x HTTP/1.1", "", 400),
        ("GET /v1/events?runs=x HTTP/1.1", "", 400),
        ("GET /v2/status HTTP/1.1", "", 404),
        (
            "GET /v1/status HTTP/1.1\r\ninjector-version: 0.0.0",
            "",
            400,
        ),
        ("POST /v1/runs?lifetime=x HTTP/1.1", "", 400),
        (
            "POST /v1/runs HTTP/1.1\r\ncontent-type: application/json",
            "{}",
            400,
        ),
        ("POST /v1/runs HTTP/1.1", &"x".repeat(256 * 1024 + 1), 413),
    ] {
        let (status, said) = server.raw(head, body).await;
        assert_eq!(status, expected, "{head}: {said}");
        let refusal: Refusal = serde_json::from_str(&said).expect(&said);
        assert_eq!(refusal.exit, Exit::Usage, "{head}: {said}");
    }
}

#[tokio::test]
async fn the_socket_is_the_owners_and_outlives_a_dead_daemon_only() {
    let server = Server::start();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(server.socket()),
            mode(server.folder.path().join("run"))
        ),
        (0o600, 0o700)
    );
    let refusal = bind(&server.socket(), Access::default()).unwrap_err();
    assert!(refusal.message.contains("a daemon answers at"), "{refusal}");
    server.end.send(()).unwrap();
    server.task.await.unwrap().unwrap();
    let socket = server.folder.path().join("run/injector.sock");
    assert!(Client::connect(&socket).await.unwrap().is_none());
    let _second = bind(&socket, Access::default()).unwrap();
    assert!(Client::connect(&socket).await.unwrap().is_some());
    assert!(
        Client::connect(&socket.with_extension("none"))
            .await
            .unwrap()
            .is_none()
    );
}
