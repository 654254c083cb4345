//! Many clients, slow or greedy: a client that ends something does not wait behind them.

use std::time::Instant;

use super::*;

/// How long an end may take while others crowd the socket. The machine is busy with the crowd as well.
const PROMPT: Duration = Duration::from_secs(2);

/// Sends the same beginning on so many connections, and keeps them.
async fn crowd(server: &Server, count: usize, text: &'static str) -> Vec<UnixStream> {
    let socket = server.socket();
    let connect = move || {
        let open = |_| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            // One that is closed at once has heard enough.
            let _ = stream.write_all(text.as_bytes());
            stream
        };
        (0..count).map(open).collect()
    };
    tokio::task::spawn_blocking(connect).await.unwrap()
}

async fn ends_get_through(server: &Server) {
    let client = server.client().await;
    let run = "r000000000000".parse().unwrap();
    let asked = Instant::now();
    client.stop(&run).await.unwrap();
    client.halt(&HaltRequest::default()).await.unwrap();
    client.stop_all().await.unwrap();
    assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
}

/// Each connection asks again and again; the survey of the host takes 300 ms.
const DOCTORS: &str = "GET /v1/doctor HTTP/1.1\r\nhost: x\r\n\r\n\
                       GET /v1/doctor HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn surveys_are_shared_and_keep_no_end_waiting() {
    let server = Server::start();
    let started = server
        .client()
        .await
        .start(&asking(7), Lifetime::Detached)
        .await;
    started.unwrap();
    let doctors = crowd(&server, 96, DOCTORS).await;
    ends_get_through(&server).await;
    drop(doctors);
    server.client().await.doctor().await.unwrap();
    // 193 questions in less than the time for which one survey is good.
    assert_eq!(server.fake.surveys.load(Ordering::Relaxed), 1);
}

/// A client that leaves does not let the next survey begin while its own goes on.
#[tokio::test]
async fn clients_that_leave_start_no_second_survey() {
    let server = Server::start();
    for _ in 0..8 {
        let hasty = crowd(&server, 1, DOCTORS).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(hasty);
    }
    server.client().await.doctor().await.unwrap();
    assert_eq!(server.fake.surveys.load(Ordering::Relaxed), 1);
}

/// Every place is taken by a client that says nothing.
#[tokio::test]
async fn ends_get_through_a_full_house() {
    let server = Server::start();
    let started = server
        .client()
        .await
        .start(&asking(7), Lifetime::Detached)
        .await;
    started.unwrap();
    let crowd = crowd(&server, 192, "").await;
    let full = async {
        while server.client().await.status().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(3), full).await.unwrap();
    ends_get_through(&server).await;
    let refusal = server.client().await.status().await.unwrap_err();
    assert!(refusal.message.contains("as many connections"), "{refusal}");
    drop(crowd);
}

/// All lanes but those of ends are full of work that stands still.
#[tokio::test]
async fn work_that_stands_still_keeps_no_end_waiting() {
    let server = Server::start();
    let started = server
        .client()
        .await
        .start(&asking(7), Lifetime::Detached)
        .await;
    started.unwrap();
    let (lanes, (release, released)) =
        (server.fake.lanes.clone(), std::sync::mpsc::channel::<()>());
    let released = Arc::new(Mutex::new(released));
    for lane in [&lanes.look, &lanes.start] {
        for _ in 0..THREADS {
            let (lane, released) = (lane.clone(), Arc::clone(&released));
            tokio::spawn(async move {
                let stand_still = move || released.lock().unwrap().recv().is_ok();
                lane.run(stand_still).await
            });
        }
    }
    tokio::task::yield_now().await;
    let ended = lanes.end.run(|| 7);
    let ended = timeout(PROMPT, ended).await.expect("ends wait for looks");
    assert!(matches!(ended, Ok(7)));
    let moved = timeout(PROMPT, lanes.kill_switch.run(|| 8))
        .await
        .expect("the kill switch waits");
    assert!(matches!(moved, Ok(8)));
    ends_get_through(&server).await;
    drop(release);
}
