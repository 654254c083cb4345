//! Reads the ledgers of a run, when its recovery is over.
//!
//! They are read when nothing fires any more and everything is put back. Of each ledger the acknowledged list is read
//! first, and the kept list behind it: what was acknowledged by then must be there, and a service that goes on writing
//! meanwhile loses nothing by that.
//!
//! Invariants:
//! - No list delays the end of a fault: all of them come after it.
//! - No list is waited for beyond its time: each ledger has a deadline and a thread of its own, which is left behind
//!   where a file system or a resolver hangs. Where the run is asked to end meanwhile, none is waited for any more.
//! - A list that cannot be read whole is not measurable, and never empty.
//!
//! Rejected: reading at the end of the last step, while everything is still armed. A list on a disk that stands still
//! would then hold what the faults have changed on the host.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::fs::OFlags;

use injector_host::kernel::clock::boot_ns;
use injector_record::{
    measure::{
        Reconciliation, Rpa,
        loss::{self, MOST_BYTES},
    },
    report::{Outcome, RunReport},
};
use injector_spec::{
    experiment::{Ledger, Source},
    quantity::{duration, duration::nanos},
};

use crate::{
    executor::Order,
    halt_monitor::{Ending, ExecHelper, get_up_to},
    measures,
};

/// How often it is looked whether the run is asked to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a reader may be late before it is given up.
const SLACK: Duration = Duration::from_millis(500);

/// How often both clocks are looked at.
const CLOCK_LOOKS: usize = 5;

/// How often a file is read again whose last line has no end, for its writer may be about to write it.
const TRIES: usize = 3;
/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(50);

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// The two lists of a ledger, or why one of them cannot be had.
type Lists = Result<(Vec<u8>, Vec<u8>), String>;

/// Reads the ledgers, and has the report judged with what they say. Returns when the run was asked to end meanwhile, if it was.
pub fn reconcile(
    ledgers: &[Ledger],
    report: &mut RunReport,
    orders: &Receiver<Order>,
) -> Option<Instant> {
    let judgement = report.judgement.as_mut()?;
    if ledgers.is_empty() {
        return None;
    }
    let impact = judgement.impact.as_ref().map(|impact| impact.at_ns);
    let (lists, asked_to_end) = match &report.outcome {
        Outcome::Completed => read(ledgers, orders),
        Outcome::Stopped
        | Outcome::TargetEnded { .. }
        | Outcome::Unsteady { .. }
        | Outcome::GateShut { .. }
        | Outcome::Halted { .. }
        | Outcome::Failed { .. } => {
            let why = "the run ended before its time, so its recovery was not over";
            (vec![Err(why.to_owned()); ledgers.len()], None)
        }
    };
    let impact = impact.map(unix_ns);
    let told = ledgers.iter().zip(lists).map(|(ledger, lists)| {
        let loss = lists.and_then(|(acknowledged, kept)| {
            loss::loss(&acknowledged, &kept, impact).map_err(|error| error.to_string())
        });
        Reconciliation {
            ledger: ledger.name.clone(),
            rpo: ledger.rpo,
            rpa: loss.map_or_else(|why| Rpa::NotMeasurable { why }, Rpa::Measured),
        }
    });
    let cut_short = measures::cut_short(&report.outcome);
    judgement.reconcile(told.collect(), cut_short.as_ref());
    asked_to_end
}

/// A time of the boot clock on the wall clock, as both are now: of several looks at both the one in which the least time
/// passed between them, for on a busy host this thread may stand still there.
fn unix_ns(boot: u64) -> u64 {
    let look = || {
        let before = boot_ns();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = nanos(now);
        let passed = boot_ns().saturating_sub(before);
        (passed, now.saturating_sub(before.saturating_sub(boot)))
    };
    let looks = (0..CLOCK_LOOKS).map(|_| look());
    looks.min().map_or(0, |(_, unix)| unix)
}

/// All lists, in the order of the ledgers.
fn read(ledgers: &[Ledger], orders: &Receiver<Order>) -> (Vec<Lists>, Option<Instant>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let (sender, lists) = mpsc::channel();
    let mut found: Vec<Option<Lists>> = vec![None; ledgers.len()];
    for (index, ledger) in ledgers.iter().enumerate() {
        let (ledger, sender, is_over) = (ledger.clone(), sender.clone(), Arc::clone(&is_over));
        let begun = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || send(index, &ledger, &sender, &is_over));
        if let Err(error) = begun {
            found[index] = Some(Err(format!("a thread cannot be started: {error}")));
        }
    }
    drop(sender);
    let now = Instant::now();
    let its_own = |ledger: &Ledger| now + ledger.within * 2 + SLACK;
    let deadlines: Vec<Instant> = ledgers.iter().map(its_own).collect();
    let asked_to_end = gather(&mut found, &deadlines, &lists, orders);
    is_over.store(true, Ordering::Relaxed);
    let missing = |ledger: &Ledger| match asked_to_end {
        Some(_) => "the run was asked to end while it was read".to_owned(),
        None => late(ledger.within),
    };
    let all = ledgers.iter().zip(found);
    let all = all.map(|(ledger, list)| list.unwrap_or_else(|| Err(missing(ledger))));
    (all.collect(), asked_to_end)
}

/// Waits for the lists that are not found yet, for each until its own deadline: one that comes later is none, however
/// long another is waited for. Returns when the run was asked to end meanwhile, if it was.
fn gather(
    found: &mut [Option<Lists>],
    deadlines: &[Instant],
    lists: &Receiver<(usize, Lists)>,
    orders: &Receiver<Order>,
) -> Option<Instant> {
    let is_awaited =
        |list: &Option<Lists>, deadline: &Instant| list.is_none() && Instant::now() < *deadline;
    while found
        .iter()
        .zip(deadlines)
        .any(|(list, deadline)| is_awaited(list, deadline))
    {
        if let Ok((index, list)) = lists.recv_timeout(LOOK_EVERY)
            && is_awaited(&found[index], &deadlines[index])
        {
            found[index] = Some(list);
        }
        match orders.try_recv() {
            Ok(Order::Stop) => return Some(Instant::now()),
            // No process is left that could ask, or none does.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
    }
    None
}

fn send(index: usize, ledger: &Ledger, sender: &Sender<(usize, Lists)>, is_over: &AtomicBool) {
    let list = |what: &str, source: &Source| {
        list(source, ledger.within, is_over)
            .map_err(|why| format!("the {what} list cannot be read: {why}"))
    };
    let lists = list("acknowledged", &ledger.acknowledged)
        .and_then(|acknowledged| Ok((acknowledged, list("kept", &ledger.kept)?)));
    // A run that does not wait any more needs no answer.
    let _ = sender.send((index, lists));
}

/// A list, at most one byte longer than it may be.
fn list(source: &Source, within: Duration, is_over: &AtomicBool) -> Result<Vec<u8>, String> {
    match source {
        Source::File(path) => file(path, within, is_over),
        Source::Command(words) => {
            let program = ExecHelper::new(words);
            match program.hear_up_to(MOST_BYTES + 1, within, is_over) {
                (Ending::Code(0), said) => Ok(said),
                (other, _) => Err(other.to_string()),
            }
        }
        Source::Http(url) => {
            let answer = get_up_to(url, MOST_BYTES, within).map_err(|error| error.to_string())?;
            match answer.status {
                200 => Ok(answer.body.to_vec()),
                other => Err(format!("the status is {other}")),
            }
        }
    }
}

/// A file to its end; again where its last line has none.
fn file(path: &Path, within: Duration, is_over: &AtomicBool) -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + within;
    let mut text = Vec::new();
    for _ in 0..TRIES {
        text = whole(path, deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => late(within),
            _ => error.to_string(),
        })?;
        if text.last().is_none_or(|last| *last == b'\n') || is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(text)
}

fn whole(path: &Path, deadline: Instant) -> io::Result<Vec<u8>> {
    // A FIFO or a device would keep its reader waiting.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while text.len() <= MOST_BYTES {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => text.extend(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(text)
}

fn late(within: Duration) -> String {
    format!("it could not be read within {}", duration::format(within))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    fn ledger(acknowledged: Source, kept: Source) -> Ledger {
        Ledger {
            name: "orders".into(),
            acknowledged,
            kept,
            within: WITHIN,
            rpo: None,
        }
    }

    fn serve(answer: Vec<u8>) -> Source {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        });
        Source::Http(format!("http://{address}/ids").parse().unwrap())
    }

    fn one(ledger: &Ledger) -> Lists {
        let (_orders, inbox) = mpsc::channel();
        let (mut lists, asked_to_end) = read(std::slice::from_ref(ledger), &inbox);
        assert_eq!((lists.len(), asked_to_end), (1, None));
        lists.remove(0)
    }

    #[test]
    fn a_file_and_an_answer_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        fs::write(&path, "a\nb\n").unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\nb".to_vec();
        let lists = one(&ledger(Source::File(path.clone()), serve(answer))).unwrap();
        assert_eq!(lists, (b"a\nb\n".to_vec(), b"a\nb".to_vec()));
        // A last line without an end counts, and what is empty is.
        fs::write(&path, "a\nb").unwrap();
        let empty = folder.path().join("none");
        fs::write(&empty, "").unwrap();
        let lists = one(&ledger(Source::File(path), Source::File(empty))).unwrap();
        assert_eq!(lists, (b"a\nb".to_vec(), Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_never_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        fs::write(&path, "a\n").unwrap();
        let there = || Source::File(path.clone());
        let gone = Source::File(folder.path().join("gone"));
        let dir = Source::File(folder.path().to_owned());
        let refused = serve(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec());
        let no_http = serve(b"who are you?\r\n\r\n".to_vec());
        for (kept, part) in [
            (gone.clone(), "No such file"),
            (dir, "no regular file"),
            (refused, "the status is 404"),
            (no_http, "no answer"),
        ] {
            let why = one(&ledger(there(), kept)).unwrap_err();
            assert!(why.starts_with("the kept list cannot be read: "), "{why}");
            assert!(why.contains(part), "{why}");
        }
        let why = one(&ledger(gone, there())).unwrap_err();
        assert!(why.starts_with("the acknowledged list"), "{why}");
    }

    #[test]
    fn a_list_that_is_too_long_is_told_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        fs::File::create(&path)
            .unwrap()
            .set_len(2 * u64::try_from(MOST_BYTES).unwrap())
            .unwrap();
        let empty = folder.path().join("none");
        fs::write(&empty, "").unwrap();
        let lists = one(&ledger(Source::File(empty), Source::File(path)));
        let (acknowledged, kept) = lists.unwrap();
        assert!(kept.len() > MOST_BYTES && kept.len() <= MOST_BYTES + CHUNK);
        let error = loss::loss(&acknowledged, &kept, None).unwrap_err();
        assert!(error.to_string().contains("more than 16777216 bytes"));
    }

    #[test]
    fn a_list_that_comes_behind_its_own_deadline_is_none() {
        let (sender, lists) = mpsc::channel();
        let (_orders, inbox) = mpsc::channel();
        for index in 0..2 {
            sender.send((index, Ok((Vec::new(), Vec::new())))).unwrap();
        }
        let now = Instant::now();
        let mut found = vec![None; 2];
        assert_eq!(
            gather(&mut found, &[now, now + WITHIN], &lists, &inbox),
            None
        );
        assert_eq!(found, [None, Some(Ok((Vec::new(), Vec::new())))]);
    }

    #[test]
    fn a_run_that_is_asked_to_end_waits_for_no_list() {
        // It takes the connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let silent_list = Source::Http(url.parse().unwrap());
        let (orders, inbox) = mpsc::channel();
        orders.send(Order::Stop).unwrap();
        let ledgers = [ledger(silent_list.clone(), silent_list)];
        let begun = Instant::now();
        let (lists, asked_to_end) = read(&ledgers, &inbox);
        assert!(begun.elapsed() < WITHIN && asked_to_end.is_some());
        let why = lists[0].as_ref().unwrap_err();
        assert!(why.contains("asked to end"), "{why}");
    }

    #[test]
    fn the_impact_is_told_on_the_wall_clock() {
        let now = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let impact = unix_ns(boot_ns() - 3_000_000_000);
        let ago = now - impact;
        assert!((2_900_000_000..4_000_000_000).contains(&ago), "{ago}");
    }
}
