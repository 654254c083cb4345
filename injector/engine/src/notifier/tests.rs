//! Servers that take it, refuse it, and never answer.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixDatagram,
};

use super::{journald::Form, *};

fn report(outcome: Outcome) -> RunReport {
    RunReport {
        armed_for_ms: 5,
        ..RunReport::of("r000000010001".parse().unwrap(), "spike\nTWO=2", outcome)
    }
}

fn halted() -> RunReport {
    report(Outcome::Halted {
        why: "too much".into(),
    })
}

/// A server that answers each caller with the next of these lines; an empty one is silence.
fn serve(answers: &'static [&'static str]) -> (HttpUrl, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 8192];
            let length = stream.read(&mut buffer).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if answer.is_empty() {
                silent.push(stream);
            } else {
                let _ = write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            }
        }
        thread::sleep(Duration::from_secs(30));
    });
    let url = format!("http://{address}/hook/T0K3N?key=S3CR3T");
    (url.parse().unwrap(), asked)
}

fn to(webhook: HttpUrl) -> Escalation {
    Escalation {
        webhook: Some(webhook),
        ..Escalation::default()
    }
}

#[test]
fn only_what_went_wrong_is_told() {
    for outcome in [Outcome::Completed, Outcome::Stopped] {
        let (url, asked) = serve(&["200 OK"]);
        assert!(escalate(&to(url), &report(outcome)).is_empty());
        assert!(asked.try_recv().is_err());
    }
}

#[test]
fn a_webhook_is_tried_again_and_gets_the_report() {
    let (url, asked) = serve(&["503 Busy", "200 OK"]);
    let told = escalate(&to(url), &halted());
    assert_eq!(
        (told.len(), told[0].failed.as_deref()),
        (1, None),
        "{told:?}"
    );
    let first = asked.recv().unwrap();
    assert!(
        first.starts_with("POST /hook/T0K3N?key=S3CR3T HTTP/1.1"),
        "{first}"
    );
    assert!(asked.recv().unwrap().contains("\"why\":\"too much\""));
    let shown = format!("{} {}", told[0], serde_json::to_string(&told).unwrap());
    assert!(
        !shown.contains("T0K3N") && !shown.contains("S3CR3T"),
        "{shown}"
    );
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let (url, asked) = serve(&["404 Not Found", "200 OK"]);
    let told = escalate(&to(url), &halted());
    assert!(
        told[0].failed.as_deref().unwrap().contains("404"),
        "{told:?}"
    );
    assert_eq!(asked.try_iter().count(), 1);
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let (url, _asked) = serve(&["", "", ""]);
    let began = Instant::now();
    let told = escalate(&to(url), &halted());
    assert!(began.elapsed() < WITHIN + Duration::from_secs(1));
    let why = told[0].failed.as_deref().unwrap();
    assert!(why.contains("tried 3 times"), "{why}");
    assert!(
        told[0].to_string().contains("could not tell"),
        "{}",
        told[0]
    );
}

#[test]
fn the_system_log_gets_one_line_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let reader = UnixDatagram::bind(&path).unwrap();
    let report = halted();
    let message = Message {
        run: report.run.to_string(),
        name: report.name,
        outcome: "halted",
        why: "too much".into(),
        body: String::new(),
    };
    let path = path.to_str().unwrap();
    for form in [Form::Native, Form::Syslog] {
        journald::tell(&[("/no/such/socket", Form::Native), (path, form)], &message).unwrap();
        let mut buffer = [0; 1024];
        let length = reader.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains("halted: too much"), "{text}");
        assert!(!text.contains("\nTWO=2"), "a name made a field: {text}");
    }
    let error = journald::tell(&[("/no/such/socket", Form::Native)], &message).unwrap_err();
    assert!(error.contains("/no/such/socket"), "{error}");
}

#[test]
fn a_notifier_that_the_host_does_not_have_is_refused_by_name() {
    let (url, _asked) = serve(&[]);
    let host = to(url);
    let all = |by| check(&host, &[], by);
    assert!(all(WhoAsks::Owner).is_ok() && all(WhoAsks::Guest).is_ok());
    assert!(check(&host, &[Channel::Webhook], WhoAsks::Guest).is_ok());
    let refusal = check(&host, &[Channel::Journald], WhoAsks::Owner).unwrap_err();
    let sentence =
        "`notify` names `journald`, and [escalation] of this host's configuration has webhook";
    assert!(refusal.message.contains(sentence), "{refusal}");
    let none = Escalation::default();
    let refusal = check(&none, &[Channel::Command], WhoAsks::Owner).unwrap_err();
    assert!(refusal.message.contains("has none"), "{refusal}");
}

/// A guest cannot keep from the host's owner what a run of theirs has done.
#[test]
fn only_root_leaves_a_notifier_out() {
    let (url, asked) = serve(&["200 OK"]);
    let host = Escalation {
        journald: true,
        ..to(url)
    };
    let refusal = check(&host, &[Channel::Webhook], WhoAsks::Guest).unwrap_err();
    assert!(
        refusal.message.contains("leaves out `journald`"),
        "{refusal}"
    );
    assert!(check(&host, &[Channel::Webhook], WhoAsks::Owner).is_ok());
    let told = escalate(&host.only(&[Channel::Webhook]), &halted());
    assert_eq!(
        (told.len(), told[0].channel),
        (1, Channel::Webhook),
        "{told:?}"
    );
    assert!(asked.recv().is_ok());
}
