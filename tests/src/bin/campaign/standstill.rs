//! What injector writes to stands still: the disk of its journals is frozen, or the reader of its output stops
//! reading. Then the run is stopped, or one of its processes is killed; the fault ends all the same.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use injector_common::decide::random64;
use injector_tests::boot_clock::now_ns;
use injector_tests::disk::{self, Disk};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Companion, Injector, send};
use injector_tests::lack::Lack;
use injector_tests::mortal::Mortal;
use injector_tests::snapshot::Snapshot;
use rustix::process::Signal;

use crate::ending::SOON;
use crate::oracle::{self, NotHere, Outcome};
use crate::pace::Pace;
use crate::scene::Scene;

/// From the signal, or from the death of the process that it kills, to the last operation that feels the fault. A
/// process is dead when its last thread is, and until then its programs may act.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The latest moment of the signal, in milliseconds.
const LATEST_MS: u64 = 200;

/// What stands still.
#[derive(Clone, Copy, Debug)]
enum Still {
    /// The file system of the journals.
    Disk,
    /// The process that reads standard output and standard error, whose pipe is full.
    Reader,
}

/// What then ends the run.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Ctrl-C.
    Stop,
    /// kill -9 of the command.
    CommandKilled,
    /// kill -9 of one of the others. The recorder is not among them: one that waits for a frozen disk cannot be
    /// killed, and holds nothing.
    Killed(Companion),
}

const WAYS: [(Still, End); 8] = [
    (Still::Disk, End::Stop),
    (Still::Reader, End::Stop),
    (Still::Disk, End::CommandKilled),
    (Still::Reader, End::CommandKilled),
    (Still::Disk, End::Killed(Companion::Worker)),
    (Still::Reader, End::Killed(Companion::Worker)),
    (Still::Disk, End::Killed(Companion::Guardian)),
    (Still::Reader, End::Killed(Companion::Guardian)),
];

impl End {
    /// Sends the signal; returns when the process that it kills is dead.
    fn bring(self, supervisor: u32) -> Result<()> {
        let killed = match self {
            Self::Stop => return send(supervisor, Signal::INT),
            Self::CommandKilled => supervisor,
            Self::Killed(companion) => companion.of(supervisor)?,
        };
        let mortal = Mortal::of(killed)?;
        send(killed, Signal::KILL)?;
        mortal.await_death(SOON)
    }
}

/// Plays `runs` runs of every fault in turns; the moments come from the seed.
pub(crate) fn campaign(seed: u64, runs: u64, only: &str) -> Result<Outcome> {
    if disk::lacks().is_some() {
        bail!(NotHere(
            "this host has no loop devices, or no tools to freeze one"
        ));
    }
    let injector = Injector::new()?;
    let mut disk = Disk::mount(&injector.runs())?;
    let mut scenes = Scene::all(Pace::QUICK, only)?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let mut number = 0;
    while outcome.runs < runs && !scenes.is_empty() {
        let mut possible = Vec::new();
        for mut scene in scenes {
            let way = WAYS[number % WAYS.len()];
            let random = random64(seed, number as u64);
            number += 1;
            let what = format!("{}, {way:?}, seed {seed}", scene.fault);
            match play(&mut scene, &injector, &mut disk, way, random)
                .with_context(|| what.clone())?
            {
                Some(played) => {
                    outcome.add(played);
                    possible.push(scene);
                }
                None => outcome.refused.push(scene.fault),
            }
            outcome.check(&what, oracle::journals(&injector, outcome.runs));
            outcome.check(&what, before.assert_same());
        }
        // So that each fault meets each way.
        number += usize::from(possible.len().is_multiple_of(2));
        scenes = possible;
    }
    Ok(outcome)
}

/// One run; `None` where the host cannot do the fault.
fn play(
    scene: &mut Scene,
    injector: &Injector,
    disk: &mut Disk,
    (still, end): (Still, End),
    random: u64,
) -> Result<Option<Outcome>> {
    match still {
        Still::Disk => {
            let Some(running) = scene.arm(injector)? else {
                return Ok(None);
            };
            disk.freeze()?;
            let outcome = judged(scene, running.pid(), (still, end), random);
            disk.thaw()?;
            let outcome = outcome?;
            running.wait_within(SOON)?;
            Ok(Some(outcome))
        }
        Still::Reader => {
            let Some(unread) = Unread::arm(scene, injector)? else {
                return Ok(None);
            };
            let outcome = judged(scene, unread.child.id(), (still, end), random)?;
            unread.read_at_last()?;
            Ok(Some(outcome))
        }
    }
}

/// Both clients work on while the end comes.
fn judged(
    scene: &mut Scene,
    supervisor: u32,
    (still, end): (Still, End),
    random: u64,
) -> Result<Outcome> {
    scene.agent.ask()?;
    scene.control.ask()?;
    sleep(scene.lead + Duration::from_millis(20 + random % LATEST_MS));
    end.bring(supervisor)?;
    let moment = now_ns();
    let what = format!("{}, {end:?} while the {still:?} stands still", scene.fault);
    // One that is not lifted by then is found below.
    let lifted = || Ok((!scene.is_limited()?).then_some(()));
    let _late = eventually("the limit to be lifted", AT_ONCE, lifted);
    let grace = u64::try_from(AT_ONCE.as_nanos())?;
    scene.judge(&what, moment, grace)
}

/// A command whose output no process reads: one pipe for all of it, which is full.
struct Unread {
    child: Child,
    output: BufReader<PipeReader>,
}

impl Unread {
    /// Arms a scene's fault, then fills the pipe; `None` where the host cannot do it.
    fn arm(scene: &Scene, injector: &Injector) -> Result<Option<Self>> {
        let words = scene.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (reader, writer) = pipe()?;
        let mut command = injector.command(&words);
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().context("cannot start the injector")?;
        // The command holds the other ends of the pipe.
        drop(command);
        let mut output = BufReader::new(reader);
        let mut said = String::new();
        loop {
            let told = said.len();
            if output.read_line(&mut said)? == 0 {
                let status = child.wait()?;
                ensure!(
                    Lack::find(status.code(), &said).is_some(),
                    "it was not armed: {said}"
                );
                return Ok(None);
            }
            if said[told..].contains("\"armed\"") {
                break;
            }
        }
        let unread = Self { child, output };
        unread.fill()?;
        Ok(Some(unread))
    }

    fn fill(&self) -> Result<()> {
        let again = format!("/proc/self/fd/{}", self.output.get_ref().as_raw_fd());
        let mut writer = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(again)?;
        for piece in [&[b'x'; 4096][..], b"x"] {
            while writer.write(piece).is_ok() {}
        }
        Ok(())
    }

    /// The reader is gone, and the command ends.
    fn read_at_last(self) -> Result<()> {
        let Self { mut child, output } = self;
        drop(output);
        eventually("the command to end", SOON, || Ok(child.try_wait()?)).map(drop)
    }
}
