//! Tries probes on a child of ours before a target is met, and finds the way that works.
//!
//! Two things are known to go wrong, and neither can be read from a version. Kernels from 6.11 to some of 6.12 and 6.13 let a
//! probed function return by a system call of their own (`uretprobe`, 335 on `x86_64`), which a seccomp filter that does not
//! know it takes for the process's: the process is killed, or goes on into nowhere. And links of 6.6 before 6.6.35 are met by
//! one thread of a process alone. So the child is under such a filter, and calls from two threads. Where programs are to write,
//! they write into the child's memory, and what is counted is what the kernel has written.

use std::{fs::File, io, num::NonZeroU32};

use aya::maps::{Array, MapData};

use super::{By, Loaded, Pair, Places};
use crate::{
    kernel::{Error, maps, object::Object},
    trial_child::{self, TrialChild},
};

/// How the hidden command is called.
pub const COMMAND: &str = "try-probe";

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tries {
    /// That programs are met.
    Looks,
    /// That they may write, too.
    Writes,
}

impl Tries {
    const fn programs(self) -> Pair {
        match self {
            Self::Looks => Pair {
                enter: "inj_probe_trial",
                leave: "inj_probe_tried",
            },
            Self::Writes => Pair {
                enter: "inj_write_trial",
                leave: "inj_write_tried",
            },
        }
    }
}

const MAP: &str = "INJ_PROBE_TRIAL";

/// The system call by which a probed function returns (`arch/x86/entry/syscalls/syscall_64.tbl`).
const URETPROBE: u32 = 335;

/// What of the child's calls was met: at the entry by its first thread and by another, at the return likewise.
type Met = [u64; 4];

/// The way that works, or why none does. The programs and the map of the trial are the object's own.
pub(super) fn find(object: &mut Object, tries: Tries) -> Result<By, Error> {
    find_way(object, tries).map_err(|error| match tries {
        Tries::Looks => error,
        Tries::Writes => forbidden(error),
    })
}

/// The helper that writes to a process, which the kernel withholds where it is locked down (`kernel/trace/bpf_trace.c`,
/// `bpf_tracing_func_proto`).
const HELPER: &str = "bpf_probe_write_user";

/// Says it in words where the kernel forbids to write. It also withholds the helper from a process without the capability.
fn forbidden(error: Error) -> Error {
    if !error.to_string().contains(HELPER) {
        return error;
    }
    let why = match locked_down() {
        Some(level) => format!("this kernel is locked down ({level})"),
        None => "this process has no CAP_SYS_ADMIN, or the kernel is locked down and does not show it in /sys/kernel/security/lockdown".to_owned(),
    };
    Error::Probe(format!(
        "{why}: programs may look into a process and not write to it"
    ))
}

/// The name of the kernel's lockdown, where it is on; the file has it in brackets.
fn locked_down() -> Option<String> {
    let levels = std::fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = levels.split_once('[')?;
    let (level, _) = rest.split_once(']')?;
    (level != "none").then(|| level.to_owned())
}

fn find_way(object: &mut Object, tries: Tries) -> Result<By, Error> {
    // Held until both ways are tried: the programs have the number of this descriptor.
    let mut met: Array<MapData, u64> = maps::take(object, MAP, Array::try_from)?;
    match try_once(object, &mut met, tries, By::Link) {
        Ok(met) if is_met(met) => return Ok(By::Link),
        // A process that dies of one way dies of the other.
        Err(dead @ Error::Probe(_)) => return Err(dead),
        // There are no such links, or they are met by one thread.
        Ok(_) | Err(_) => {}
    }
    let met = try_once(object, &mut met, tries, By::PerfEvents)?;
    if is_met(met) {
        return Ok(By::PerfEvents);
    }
    Err(Error::Probe(format!(
        "probes in user space can be attached here and are not met by all threads of a process, or cannot write to it ({met:?}); nothing was attached to the target"
    )))
}

fn is_met(met: Met) -> bool {
    met.iter().all(|times| *times > 0)
}

fn try_once(
    object: &Object,
    met: &mut Array<MapData, u64>,
    tries: Tries,
    by: By,
) -> Result<Met, Error> {
    let loaded = Loaded::load(object, tries.programs(), by)?;
    // The other way may have been met before.
    for place in 0..met.len() {
        met.set(place, 0, 0).map_err(maps::write_error(MAP))?;
    }
    let file =
        File::open("/proc/self/exe").map_err(|error| Error::system("open this program", error))?;
    let place = place_of_tried()
        .map_err(|error| Error::system("find a function of this program", error))?;
    let mut child = TrialChild::start(COMMAND)
        .map_err(|error| Error::system("start a process to try probes on", error))?;
    let pid = NonZeroU32::new(child.id())
        .ok_or_else(|| Error::Probe("the process to try probes on has no id".into()))?;
    let places = Places {
        enter: vec![(place, 0)],
        leave: vec![(place, 0)],
    };
    let probed = loaded.attach(pid, &file, &places)?;
    call(&mut child)?;
    drop(probed);
    let mut all = Met::default();
    for (place, met_there) in (0..).zip(&mut all) {
        *met_there = met.get(&place, 0).map_err(maps::read_error(MAP))?;
    }
    Ok(all)
}

/// Lets the child call the probed function from two threads.
fn call(child: &mut TrialChild) -> Result<(), Error> {
    child.ask().map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Error::Probe(
            "this kernel kills processes under seccomp where a probed function returns (6.11 to some of 6.12 and 6.13 do): a process of injector's own died of it, and nothing was attached to the target; run a newer kernel of the series".into(),
        ),
        _ => Error::system("hear from the process to try probes on", error),
    })
}

/// The function that is probed.
#[inline(never)]
extern "C" fn tried(word: &mut u64) -> u64 {
    *std::hint::black_box(word)
}

/// Where it begins in this program's file.
fn place_of_tried() -> io::Result<u64> {
    let address = tried as *const () as u64;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let hex = |word: &str| u64::from_str_radix(word, 16).ok();
    let place = maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let (from, to) = (hex(from)?, hex(to)?);
        let offset = hex(words.nth(1)?)?;
        (from..to)
            .contains(&address)
            .then(|| address - from + offset)
    });
    place.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The child's main function: calls the probed function from another thread and from its first when it is told to, and ends with
/// its parent.
pub fn child() -> io::Result<()> {
    forbid_returns()?;
    trial_child::answer(|| {
        let other = std::thread::spawn(|| tried(std::hint::black_box(&mut 0)));
        if other.join().is_err() {
            return Err(io::ErrorKind::Other.into());
        }
        std::hint::black_box(tried(std::hint::black_box(&mut 0)));
        Ok(())
    })
}

/// A seccomp filter that kills this process for the system call of probed functions, and lets all others pass.
fn forbid_returns() -> io::Result<()> {
    let statement = |code: u32, jump_true: u8, value: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: jump_true,
        jf: 0,
        k: value,
    };
    // The call's number is the first word of `struct seccomp_data`.
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, URETPROBE),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        statement(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_KILL_PROCESS,
        ),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: a plain switch of this process.
    let without_gains = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives until the call has returned.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if without_gains != 0 || filtered != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
