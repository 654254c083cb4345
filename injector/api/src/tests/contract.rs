//! What a request has to look like, and what is answered to one that does not.

use tokio::{io::AsyncReadExt, io::AsyncWriteExt};

use super::*;

const JSON: &str = "content-type: application/json";

fn request() -> Value {
    serde_json::to_value(StartBody::of(&asking(7)).unwrap()).unwrap()
}

/// A body is what its header says that it is; one that says nothing, or two things, could be anything.
#[tokio::test]
async fn a_body_is_read_by_its_content_type_alone() {
    let server = Server::start();
    let body = request().to_string();
    for (kind, expected) in [
        ("x: y", 415),
        ("content-type: text/plain", 415),
        ("content-type: application/x-www-form-urlencoded", 415),
        ("content-type: application/jsonx", 415),
        ("content-type: not-yaml-at-all", 415),
        (&format!("{JSON}\r\n{JSON}"), 415),
        (JSON, 201),
        ("content-type: Application/JSON; charset=utf-8", 201),
    ] {
        let head = format!("POST /v1/runs HTTP/1.1\r\n{kind}");
        let (status, said) = server.raw(&head, &body).await;
        assert_eq!(status, expected, "{kind}: {said}");
    }
    for (kind, body, expected) in [
        ("x: y", "", 200),
        ("x: y", "{}", 415),
        ("content-type: application/yaml", "{}", 415),
        (JSON, "{}", 200),
        (JSON, "{\"reason\": null}", 400),
        (JSON, "[\"smoke\"]", 400),
    ] {
        let head = format!("POST /v1/halt HTTP/1.1\r\n{kind}");
        let (status, said) = server.raw(&head, body).await;
        assert_eq!(status, expected, "{kind} {body}: {said}");
    }
}

/// 400 for what is no request, 422 for what is no experiment, 409 for a clash.
#[tokio::test]
async fn each_refusal_has_its_status() {
    let server = Server::start();
    let head = format!("POST /v1/runs HTTP/1.1\r\n{JSON}");
    let with = |place: &str, value: Value| {
        let mut request = request();
        *request.pointer_mut(place).unwrap() = value;
        request.to_string()
    };
    for (body, expected) in [
        ("[]".to_owned(), 400),
        (with("/experiment", Value::Null), 422),
        (
            with(
                "/experiment/steps/0/faults/0/net.blackhole/target",
                "b".into(),
            ),
            422,
        ),
        (with("/experiment/steps/0/duration", 5.into()), 422),
        (
            with("/experiment/steps/0/duration", "5 parsecs".into()),
            422,
        ),
        (with("/experiment/name", "twice".into()), 201),
        (with("/experiment/name", "twice".into()), 409),
        (with("/experiment/name", "x".repeat(129).into()), 422),
        (
            with(
                "/experiment/targets",
                serde_json::json!({"x".repeat(129): {"pid": 7}}),
            ),
            422,
        ),
        (
            with("/experiment/steps/0/name", "ü".repeat(129).into()),
            422,
        ),
        (
            with("/experiment/steps/0/name", "ü".repeat(128).into()),
            201,
        ),
    ] {
        let (status, said) = server.raw(&head, &body).await;
        assert_eq!(status, expected, "{body}: {said}");
    }
}

/// Other clients than our command have sent fields, and are told of fields.
#[tokio::test]
async fn other_programs_are_answered_in_their_words() {
    let server = Server::start();
    let ask = "GET /v1/runs/r0000000000ff HTTP/1.1";
    let (_, said) = server.raw(ask, "").await;
    assert!(said.contains("`GET /v1/runs` shows"), "{said}");
    let ours = format!("{ask}\r\ninjector-version: {VERSION}");
    let (_, said) = server.raw(&ours, "").await;
    assert!(said.contains("`injector list` shows"), "{said}");
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start();
    for (hosts, expected) in [
        ("host: x\r\nhost: y\r\n", 400),
        ("host: x\r\nhost: x\r\n", 400),
        ("", 400),
        ("host: anything.example:9\r\n", 200),
    ] {
        let text = format!("GET /v1/status HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let (status, said) = server.exchange(text).await;
        assert_eq!(status, expected, "{hosts}: {said}");
    }
    let old = "GET /v1/status HTTP/1.0\r\n\r\n".to_owned();
    assert_eq!(server.exchange(old).await.0, 200);
}

/// As `printf ... | socat -t1 - UNIX-CONNECT:SOCKET` does it.
#[tokio::test]
async fn a_client_that_closes_its_half_gets_the_answer() {
    let server = Server::start();
    let body = request().to_string();
    for text in [
        "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/doctor HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        format!(
            "POST /v1/runs HTTP/1.1\r\nhost: x\r\n{JSON}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    ] {
        let mut stream = tokio::net::UnixStream::connect(server.socket())
            .await
            .unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(8), read)
            .await
            .unwrap()
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{text}: {answer}");
    }
    // Its events go on, too.
    let mut stream = tokio::net::UnixStream::connect(server.socket())
        .await
        .unwrap();
    let text = b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = vec![0; 8];
    stream.read_exact(&mut answer).await.unwrap();
    server
        .client()
        .await
        .start(&asking(7), Lifetime::Detached)
        .await
        .unwrap();
    let armed = async {
        while !String::from_utf8_lossy(&answer).contains("\"armed\"") {
            let mut more = [0; 512];
            let count = stream.read(&mut more).await.unwrap();
            assert!(count > 0, "the stream ended");
            answer.extend_from_slice(&more[..count]);
        }
    };
    timeout(Duration::from_secs(5), armed).await.unwrap();
}

/// A file is read with the values of the query, and JSON as a file is.
#[tokio::test]
async fn a_file_is_read_with_the_values_of_the_query() {
    let server = Server::start();
    let yaml = "name: slow\ntargets: { a: { pid: 7 } }\nvariables: { slow: 1s, of: 5s }\n\
                profiles: { ci: { set: { of: 9s } } }\nduration: '${of}'\nfaults: [net.delay: { latency: '${slow}' }]\n";
    let staged = "targets: { a: { pid: 7 } }\nstages: { one: { set: { of: 2s } }, two: { set: { of: 3s }, approve: true } }\n\
                  variables: { of: 5s }\nname: '${of}'\nduration: '${of}'\nfaults: [net.delay: { latency: 1s }]\n";
    let json = request().to_string();
    let mut chosen = request();
    chosen["experiment"]["profiles"] = serde_json::json!({"ci": {"set": {}}});
    let chosen = chosen.to_string();
    for (query, kind, body, expected, part) in [
        ("?profile=ci&set=slow%3D2s", "yaml", yaml, 201, "\"slow\""),
        (
            "?set=steps%5B0%5D.latency%3D3s&set=of=6s",
            "yaml",
            &yaml.replace("slow\n", "other\n"),
            201,
            "\"other\"",
        ),
        (
            "?set=fast%3D2s",
            "yaml",
            yaml,
            422,
            "no variable is called `fast`",
        ),
        (
            "?set=steps%5B1%5D.latency%3D3s",
            "yaml",
            yaml,
            422,
            "there is no step 1",
        ),
        ("?set=slow", "yaml", yaml, 422, "`slow` sets nothing"),
        (
            "?profile=cd",
            "yaml",
            yaml,
            422,
            "no profile is called `cd`",
        ),
        (
            "?profile=ci&profile=ci",
            "yaml",
            yaml,
            400,
            "may be there once",
        ),
        ("", "yaml", staged, 201, "\"2s\""),
        ("?stage=two&approved-by=ann", "yaml", staged, 201, "\"3s\""),
        (
            "?stage=two",
            "yaml",
            staged,
            422,
            "needs the name of a person",
        ),
        ("?stage=six", "yaml", staged, 422, "`six`"),
        (
            "?approved-by=ann",
            "yaml",
            staged,
            400,
            "which is not named",
        ),
        ("?profile=ci", "json", &chosen, 201, "\"fake\""),
        (
            "?set=slow%3D2s",
            "json",
            &json,
            422,
            "no variable is called `slow`",
        ),
        (
            "?profile=ci",
            "json",
            &json,
            422,
            "no profile is called `ci`",
        ),
    ] {
        let head = format!("POST /v1/runs{query} HTTP/1.1\r\ncontent-type: application/{kind}");
        let (status, said) = server.raw(&head, body).await;
        assert!(
            status == expected && said.contains(part),
            "{query}: {status} {said}"
        );
    }
}
