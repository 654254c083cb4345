//! Clients that mean harm or know no better: the server stays small, and every other client is served.

use std::{io::ErrorKind, os::unix::net::UnixListener, time::Instant};

use super::*;

/// A user, and the groups that are let in.
const STRANGER: u32 = 64_001;
const OPERATOR: u32 = 64_002;
const WATCHER: u32 = 64_003;

/// Reads what the other end sends until it closes or breaks the connection; `None` when it does neither
/// within ten seconds.
fn until_closed(stream: &mut UnixStream) -> Option<Vec<u8>> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        _ => Some(answer),
    }
}

/// Sends each beginning on a connection of its own, then nothing, and asks for a proper answer meanwhile.
#[tokio::test]
async fn slow_writers_are_cut_off_and_hold_nobody_up() {
    let server = Server::start();
    let socket = server.socket();
    let slow = tokio::task::spawn_blocking(move || {
        let beginnings = [
            "",
            "GET /v1/status HTTP/1.1\r\nhost: x\r\nx-slow: ",
            "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this",
            "POST /v1/runs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nonly\r\n",
        ];
        let mut streams = beginnings.map(|beginning| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.write_all(beginning.as_bytes()).unwrap();
            stream
        });
        streams.each_mut().map(|stream| {
            let answer = until_closed(stream).expect("a slow writer was never cut off");
            String::from_utf8(answer).unwrap()
        })
    });
    let status = timeout(Duration::from_secs(3), async {
        server.client().await.status().await.unwrap()
    });
    status.await.expect("slow writers held up another client");
    let [_idle, _header, body, chunked] = slow.await.unwrap();
    for answer in [body, chunked] {
        assert!(
            answer.contains("408") && answer.contains("did not arrive within 5 s"),
            "{answer}"
        );
    }
    assert!(server.fake.runs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn headers_have_an_end() {
    let server = Server::start();
    for head in [
        format!("GET /v1/status HTTP/1.1\r\nx: {}", "x".repeat(64 * 1024)),
        format!("GET /v1/status HTTP/1.1{}", "\r\nx: y".repeat(200)),
        format!("GET /{} HTTP/1.1", "x".repeat(64 * 1024)),
    ] {
        let (status, _) = server.raw(&head, "").await;
        assert!((400..500).contains(&status), "{status}");
    }
    server.client().await.status().await.unwrap();
}

/// More connections than there are places: those on top hear so at once, and the places come back.
#[tokio::test]
async fn many_connections_are_turned_away() {
    let server = Server::start();
    let socket = server.socket();
    let crowd: Vec<UnixStream> = {
        let socket = socket.clone();
        let connect = move || {
            (0..200)
                .map(|_| UnixStream::connect(&socket).unwrap())
                .collect()
        };
        tokio::task::spawn_blocking(connect).await.unwrap()
    };
    let asked = Instant::now();
    let refusal = loop {
        // Until the server has seen the whole crowd.
        match server.client().await.status().await {
            Ok(_) => assert!(
                asked.elapsed() < Duration::from_secs(3),
                "nobody is turned away"
            ),
            Err(refusal) => break refusal,
        }
    };
    assert!(refusal.message.contains("as many connections"), "{refusal}");
    drop(crowd);
    let back = async {
        while server.client().await.status().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), back)
        .await
        .expect("the places do not come back");
}

#[tokio::test]
async fn garbage_is_answered_or_closed_and_forgotten() {
    let server = Server::start();
    let socket = server.socket();
    let abuse = tokio::task::spawn_blocking(move || {
        for garbage in [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
            b"\0\0\0\0\0\0\0\0",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            b"DELETE /v1/runs/%00%0a%1b[2J HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ] {
            let mut stream = UnixStream::connect(&socket).unwrap();
            let _ = stream.write_all(garbage);
            assert!(until_closed(&mut stream).is_some(), "{garbage:?} holds a connection");
        }
    });
    abuse.await.unwrap();
    server.client().await.status().await.unwrap();
    assert!(server.fake.runs.lock().unwrap().is_empty());
}

/// A daemon of an older build, which knows neither the path nor the words.
#[tokio::test]
async fn a_daemon_of_another_version_is_named_as_one() {
    for body in [
        r#"{"what":"is this"}"#,
        "not found",
        r#"{"exit":2,"error":"no such path"}"#,
    ] {
        for status in ["200 OK", "404 Not Found"] {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("old.sock");
            let listener = UnixListener::bind(&socket).unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\ninjector-version: 0.0.9\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let old = tokio::task::spawn_blocking(move || {
                // The first connection only looks whether a daemon is there.
                let _look = listener.accept().unwrap();
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let client = Client::connect(&socket).await.unwrap().unwrap();
            let refusal = client.status().await.unwrap_err();
            old.await.unwrap();
            assert!(
                refusal.message.contains("the daemon is version 0.0.9"),
                "{status} {body}: {refusal}"
            );
            assert_eq!(refusal.exit, Exit::Usage);
        }
    }
}

/// Asks as another user, with this group as a supplementary one. The raw calls change the calling thread
/// alone (setuid(2), "C library/kernel differences"), and the kernel notes who a thread is when it connects.
fn as_somebody(socket: &std::path::Path, request: &str, uid: u32, gid: u32) -> String {
    let ask = || {
        // SAFETY: no memory but `gid`, which lives on, is looked at; the thread ends with its new identity.
        let changed = unsafe {
            libc::syscall(libc::SYS_setgroups, 1, &raw const gid) == 0
                && libc::syscall(libc::SYS_setresgid, uid, uid, uid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
        };
        assert!(changed, "{}", std::io::Error::last_os_error());
        match UnixStream::connect(socket) {
            Err(error) => format!("not connected: {error}"),
            Ok(mut stream) => {
                let text = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
                stream.write_all(text.as_bytes()).unwrap();
                let answer = until_closed(&mut stream).unwrap_or_default();
                String::from_utf8(answer).unwrap()
            }
        }
    };
    std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
}

/// Other users are refused by the door or by the daemon; a group's members get what their group may.
#[tokio::test]
async fn the_kernel_says_who_may() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can call as somebody else");
        return;
    }
    let ask = async |server: &Server, request: &'static str, gid: u32| {
        let socket = server.socket();
        // The folder of the test is its maker's alone.
        std::fs::set_permissions(server.folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        tokio::task::spawn_blocking(move || as_somebody(&socket, request, STRANGER, gid))
            .await
            .unwrap()
    };
    let closed = Server::start();
    let answer = ask(&closed, "GET /v1/status", STRANGER).await;
    assert!(
        answer.contains("not connected: Permission denied"),
        "{answer}"
    );
    let open = Server::start_for(Access {
        full: Some(rustix::fs::Gid::from_raw(OPERATOR)),
        read_only: Some(rustix::fs::Gid::from_raw(WATCHER)),
    });
    for (request, gid, expected) in [
        ("GET /v1/status", STRANGER, " 403 "),
        ("DELETE /v1/runs", STRANGER, " 403 "),
        ("GET /v1/status", WATCHER, " 200 "),
        ("DELETE /v1/runs", WATCHER, " 403 "),
        ("POST /v1/runs", WATCHER, " 403 "),
        ("POST /v1/halt", WATCHER, " 403 "),
        ("DELETE /v1/halt", WATCHER, " 403 "),
        ("POST /v1/halt", OPERATOR, " 200 "),
        ("DELETE /v1/halt", OPERATOR, " 200 "),
        ("GET /v1/status", OPERATOR, " 200 "),
        ("DELETE /v1/runs", OPERATOR, " 200 "),
    ] {
        let answer = ask(&open, request, gid).await;
        assert!(answer.contains(expected), "{request} as {gid}: {answer}");
    }
    let by_group = Server::start_for(Access {
        full: Some(rustix::fs::Gid::from_raw(OPERATOR)),
        read_only: None,
    });
    let answer = ask(&by_group, "GET /v1/status", STRANGER).await;
    assert!(
        answer.contains("not connected: Permission denied"),
        "{answer}"
    );
    let answer = ask(&by_group, "DELETE /v1/runs", OPERATOR).await;
    assert!(answer.contains(" 200 "), "{answer}");
}
