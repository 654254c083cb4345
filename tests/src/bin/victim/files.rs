//! System calls on a file, for their own sake.

use std::fs::{File, OpenOptions, Permissions};
use std::hint::black_box;
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::thread;

use anyhow::Result;
use injector_tests::observation::Summary;

use crate::Rounds;
use crate::speak::{operations, rounds};

/// Which call.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Call {
    /// `openat`.
    Open,
    /// `pread64`, and whether it reads what was there at first.
    Read,
    /// `pwrite64` of what was there at first.
    Write,
    /// `pread64`, a million times; an operation is all of them.
    ReadAMillionTimes,
    /// `preadv`, and whether it reads all, and leaves its vector as it was.
    ReadVector,
    /// `pwritev`, likewise.
    WriteVector,
    /// `fsync`.
    Fsync,
    /// `unlink` of a file that it makes before.
    Unlink,
    /// All that changes names in its folder or the file's mode.
    Change,
    /// All that looks at files: makes a new one, asks what it is, locks it.
    Look,
    /// What others do meanwhile: makes a file beside it, removes it, and writes to the file.
    Beside,
    /// `openat` by several threads at once; an operation is all of them.
    OpenByThreads,
}

/// How many threads `open-by-threads` has.
const THREADS: usize = 64;

/// Makes the call again and again.
pub(crate) fn repeat(path: &Path, call: Call, options: &Rounds) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut first = [0; LENGTH];
    file.read_at(&mut first, 0)?;
    rounds(options.wait, || {
        round(path, &mut file, &first, call, options)
    })
}

/// How much of the file is read and written.
const LENGTH: usize = 16;

fn round(
    path: &Path,
    file: &mut File,
    first: &[u8; LENGTH],
    call: Call,
    options: &Rounds,
) -> Result<Summary> {
    operations(options, |number| match call {
        Call::Open => File::open(path).map(drop),
        Call::Read => {
            let mut now = [0; LENGTH];
            file.read_at(&mut now, 0)?;
            if now == *first {
                Ok(())
            } else {
                Err(ErrorKind::InvalidData.into())
            }
        }
        Call::Write => file.write_all_at(first, 0),
        Call::ReadAMillionTimes => {
            (0..1_000_000).try_for_each(|_| file.read_at(&mut [0; LENGTH], 0).map(drop))
        }
        Call::ReadVector => {
            let (mut one, mut two) = ([0; LENGTH / 2], [0; LENGTH / 2]);
            let mut vector = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            let count = rustix::io::preadv(&*file, &mut vector, 0)?;
            whole(count, black_box(&vector).iter().map(|piece| piece.len()))
        }
        Call::WriteVector => {
            let vector = [IoSlice::new(&first[..4]), IoSlice::new(&first[4..])];
            let count = rustix::io::pwritev(&*file, black_box(&vector), 0)?;
            whole(count, black_box(&vector).iter().map(|piece| piece.len()))
        }
        Call::Fsync => {
            file.write_all(b"x")?;
            file.sync_all()
        }
        Call::Unlink => {
            let other = path.with_extension(number.to_string());
            File::create(&other)?;
            // Left behind where the call is refused; the folder goes with the test.
            std::fs::remove_file(&other)
        }
        Call::Change => change(path, number),
        Call::Look => look(path, number),
        Call::Beside => {
            let other = path.with_extension(format!("beside-{number}"));
            File::create(&other)?;
            std::fs::remove_file(&other)?;
            file.write_all_at(first, 0)
        }
        Call::OpenByThreads => thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| scope.spawn(|| File::open(path).map(drop)))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or(Ok(())))
        }),
    })
}

/// `chmod`, `symlink`, `rename`, `rmdir` and `unlink`, each once.
fn change(path: &Path, number: u64) -> std::io::Result<()> {
    let name = |what: &str| path.with_extension(format!("{what}-{number}"));
    let (link, renamed, folder) = (name("link"), name("renamed"), name("folder"));
    std::fs::set_permissions(path, Permissions::from_mode(0o644))?;
    symlink(path, &link)?;
    std::fs::rename(&link, &renamed)?;
    std::fs::create_dir(&folder)?;
    std::fs::remove_dir(&folder)?;
    std::fs::remove_file(&renamed)
}

/// `openat` that makes a file, `statx` and `flock`, each once.
fn look(path: &Path, number: u64) -> std::io::Result<()> {
    let file = File::create(path.with_extension(format!("look-{number}")))?;
    file.metadata()?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(())
}

/// Whether a call has moved all of its vector, and left it as it was.
fn whole(count: usize, lengths: impl Iterator<Item = usize>) -> std::io::Result<()> {
    if lengths.sum::<usize>() != LENGTH {
        return Err(Error::other("the vector is not what it was"));
    }
    if count == LENGTH {
        Ok(())
    } else {
        Err(Error::other(format!("{count} bytes")))
    }
}
