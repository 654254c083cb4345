//! What this host offers, found out by doing it: each program is loaded and attached, in a network
//! namespace of its own where it is for devices, without a lease and without a target.
//!
//! Versions and distribution names are never asked: a 5.14 with backports and a 6.12 without a
//! configuration option are both common.
//!
//! The programs are read and their maps made once for all that is asked in one heartbeat ([`Prober`]); of the programs,
//! each probe loads those that it is about.

mod bench;
pub mod calls;
mod withhold;

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::{
    Error,
    clsact::{self, Attaching, Filters, Place, Qdisc, Side},
    links::{DeviceHook, Links, ProcessHook},
    object::Object,
    uprobe::TlsProbes,
};
use crate::{delay_line::Tap, sleep_server, targets::cgroup};
use bench::Bench;
use injector_plan::{Need, hooks::CgroupHook};

/// One thing that a host may offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub serves: String,
    /// Why it is missing; `None` when it is there.
    pub missing: Option<Missing>,
}

/// Why something is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What the probe met.
    pub why: String,
    /// What would help.
    pub remedy: String,
}

/// Finds out about everything.
pub fn survey() -> Vec<Capability> {
    let mut prober = Prober::default();
    Need::ALL
        .into_iter()
        .map(|need| prober.probe(need))
        .collect()
}

/// Finds out about one thing after the other. Nothing of it is kept in the kernel when it is dropped.
#[derive(Default)]
pub struct Prober(Option<Bench>);

impl Prober {
    /// Finds out about one thing.
    pub fn probe(&mut self, need: Need) -> Capability {
        let found = withhold::check(need).and_then(|()| self.find(need));
        Capability {
            name: need.name().into(),
            serves: need.serves().into(),
            missing: found.err().map(|error| Missing {
                why: first_line(&error.to_string()),
                remedy: if is_withheld(&error) {
                    WITHHELD.into()
                } else {
                    need.remedy().into()
                },
            }),
        }
    }

    /// The programs, which the first probe that needs them reads.
    fn bench(&mut self) -> Result<&mut Bench, Error> {
        Ok(match &mut self.0 {
            Some(bench) => bench,
            none => none.insert(Bench::load()?),
        })
    }

    fn find(&mut self, need: Need) -> Result<(), Error> {
        match need {
            Need::DeviceLinks => {
                let object = &mut self.bench()?.object;
                in_scratch_namespace(|| device_links(object))
            }
            Need::DeviceFilters => {
                let object = &mut self.bench()?.object;
                in_scratch_namespace(|| device_filters(object))
            }
            Need::CgroupLinks => self.cgroup_links(&[
                CgroupHook::BornInCgroup,
                CgroupHook::ClaimOut,
                CgroupHook::Deliver,
            ]),
            Need::ConnectErrno => self.cgroup_links(&[CgroupHook::Connect4, CgroupHook::Connect6]),
            Need::AddressErrno => self.cgroup_links(&[
                CgroupHook::CallConnect4,
                CgroupHook::CallConnect6,
                CgroupHook::CallBind4,
                CgroupHook::CallBind6,
            ]),
            Need::Tap => in_scratch_namespace(|| {
                Tap::create()
                    .map(|_| ())
                    .map_err(|error| Error::Probe(error.to_string()))
            }),
            Need::SocketCopies => socket_copies(),
            Need::Sequence => self.cgroup_links(&[CgroupHook::Sequence]),
            Need::Relay => {
                self.cgroup_links(&[
                    CgroupHook::BornInCgroup,
                    CgroupHook::Connect4,
                    CgroupHook::Connect6,
                    CgroupHook::Peer4,
                    CgroupHook::Peer6,
                ])?;
                let mut links = Links::default();
                links.process(&mut self.bench()?.object, ProcessHook::Relayed)
            }
            Need::TlsRewrite => TlsProbes::writing(&mut self.bench()?.object).map(drop),
            Need::ForkTracepoint => fork_tracepoint(&mut self.bench()?.object),
            Need::Operations => {
                self.cgroup_links(&[
                    CgroupHook::BornInCgroup,
                    CgroupHook::ClaimOut,
                    CgroupHook::Asked,
                    CgroupHook::Answered,
                ])?;
                let mut links = Links::default();
                links.process(&mut self.bench()?.object, ProcessHook::Turned)
            }
            Need::Lsm => calls::lsm(self.bench()?),
            Need::SecurityReturn => calls::security(self.bench()?),
            Need::SyscallReturn => calls::syscall(self.bench()?),
            Need::SleepableSyscall => calls::sleepable_syscall(self.bench()?),
            Need::KprobeOverride => calls::kprobe(self.bench()?),
            Need::ProcessSignals => process_signals(),
            Need::CallSignals => calls::signals(self.bench()?),
            Need::Freezer => cgroup::has_freezer().map_err(|error| Error::Probe(error.to_string())),
            Need::Park => sleep_server::trial::run(),
            Need::Trace => calls::trace(self.bench()?),
            Need::Vector => calls::vector(self.bench()?),
        }
    }

    fn cgroup_links(&mut self, hooks: &[CgroupHook]) -> Result<(), Error> {
        let mount = cgroup::mount_point().map_err(|error| Error::Probe(error.to_string()))?;
        let root = std::fs::File::open(&mount)
            .map_err(|error| Error::system(format!("open {}", mount.display()), error))?;
        let object = &mut self.bench()?.object;
        let mut links = Links::default();
        hooks
            .iter()
            .try_for_each(|hook| links.cgroup(object, *hook, root.as_fd()))
    }
}

/// What helps where the kernel could, and may not.
const WITHHELD: &str = "run as root with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_ADMIN, outside of containers and sandboxes that keep such programs from the kernel; where that is the case already, this host withholds them from everybody";

/// Whether the kernel has refused for want of rights (EPERM), whatever its version can do.
fn is_withheld(error: &Error) -> bool {
    let denied = format!("(os error {})", libc::EPERM);
    matches!(error, Error::Program { why, .. } if why.contains(&denied))
}

/// A refusal is one sentence; the verifier's log is for people who ask for it.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Runs on a thread that leaves for a network namespace of its own, which goes with the thread.
fn in_scratch_namespace(probe: impl FnOnce() -> Result<(), Error> + Send) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: only the network namespace of this thread changes, and the thread ends with it.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .map_err(|errno| {
                    Error::system("make a network namespace to try things in", errno)
                })?;
            probe()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn device_links(object: &mut Object) -> Result<(), Error> {
    let mut links = Links::default();
    links.device(object, DeviceHook::Egress, "lo")?;
    links.device(object, DeviceHook::Ingress, "lo")?;
    links.device(object, DeviceHook::Return, "lo")
}

/// Everything goes with the namespace.
fn device_filters(object: &mut Object) -> Result<(), Error> {
    /// The interface index of `lo` in each namespace (`LOOPBACK_IFINDEX`).
    const LOOPBACK: u32 = 1;
    let filters = Filters::load(object, &[Side::Egress, Side::Ingress])?;
    match clsact::attach(LOOPBACK, Place::first(Qdisc::Missing), &filters, "doctor")? {
        Attaching::Done => Ok(()),
        Attaching::MadeByAnother | Attaching::Otherwise => Err(Error::Probe(
            "the qdisc of classic filters (clsact) cannot be made".into(),
        )),
    }
}

fn fork_tracepoint(object: &mut Object) -> Result<(), Error> {
    let mut links = Links::default();
    links.process(object, ProcessHook::Fork)?;
    links.process(object, ProcessHook::Exit)
}

/// Asks whether this process could send itself a signal, which sends none.
fn process_signals() -> Result<(), Error> {
    use crate::targets::{pidfd, process::TaskKey};
    let own = TaskKey::of(std::process::id()).map_err(|error| Error::Probe(error.to_string()))?;
    pidfd::signal(own, 0).map_err(|errno| Error::system("signal a process by a pidfd", errno))
}

fn socket_copies() -> Result<(), Error> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let failed = |errno| Error::system("copy a descriptor through a pidfd", errno);
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed)?;
    pidfd_getfd(pidfd, 0, PidfdGetfdFlags::empty()).map_err(failed)?;
    Ok(())
}
