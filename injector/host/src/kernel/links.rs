//! Attaches programs. Every attachment is a descriptor in [`Links`]; dropping it detaches.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr,
    CgroupSockopt, KProbe, Program, RawTracePoint, SchedClassifier, TcAttachType,
    cgroup_skb::CgroupSkbLink,
    cgroup_sock::CgroupSockLink,
    cgroup_sock_addr::CgroupSockAddrLink,
    cgroup_sockopt::CgroupSockoptLink,
    kprobe::KProbeLink,
    links::LinkOrder,
    raw_trace_point::RawTracePointLink,
    tc::{SchedClassifierLink, TcAttachOptions},
    tp_btf::BtfTracePointLink,
};

use injector_plan::hooks::CgroupHook;

use super::{Error, object::Object};

/// A program that is attached to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceHook {
    /// Packets that leave through the device.
    Egress,
    /// Packets that arrive at the device.
    Ingress,
    /// Frames that the delay line gives back, at its TAP.
    Return,
}

/// A tracepoint, of processes or of what they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessHook {
    /// Children of followed processes.
    Fork,
    /// The dead.
    Exit,
    /// Segments that targets send again.
    Retransmit,
    /// Connections of targets that change their state.
    Turned,
    /// Connections that were sent to the relay, likewise.
    Relayed,
}

/// Attachments. Dropped in the order in which they were made.
#[derive(Default)]
pub struct Links {
    attached: Vec<Attached>,
    /// Programs that decide about calls, for [`Links::skipped`].
    deciding: Vec<(&'static str, OwnedFd)>,
}

/// Calls that a program was not run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The program.
    pub program: &'static str,
    /// How many calls of the host, by any thread.
    pub calls: u64,
}

/// Only held: what an attachment is worth is its being open.
#[expect(dead_code, reason = "the descriptors are held for their Drop")]
enum Attached {
    Device(SchedClassifierLink),
    CgroupSkb(CgroupSkbLink),
    CgroupSock(CgroupSockLink),
    CgroupSockAddr(CgroupSockAddrLink),
    CgroupSockopt(CgroupSockoptLink),
    Tracepoint(BtfTracePointLink),
    RawTracepoint(RawTracePointLink),
    Probe(KProbeLink),
    Trampoline(OwnedFd),
}

impl DeviceHook {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Egress => "inj_egress",
            Self::Ingress => "inj_ingress",
            Self::Return => "inj_return",
        }
    }
}

impl Links {
    /// How many attachments are held.
    pub fn len(&self) -> usize {
        self.attached.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.attached.is_empty()
    }

    /// Attaches to a device of the calling thread's network namespace, first in line.
    ///
    /// TCX only (6.6): what aya would fall back to outlives its maker without a record of it ([`super::clsact`] has one).
    pub fn device(
        &mut self,
        object: &mut Object,
        hook: DeviceHook,
        name: &str,
    ) -> Result<(), Error> {
        let attach_type = if hook == DeviceHook::Egress {
            TcAttachType::Egress
        } else {
            TcAttachType::Ingress
        };
        let program = load(object, hook.program())?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program
            .attach_with_options(name, attach_type, options)
            .map_err(|error| Error::program(hook.program(), &error))?;
        let link = program
            .take_link(id)
            .map_err(|error| Error::program(hook.program(), &error))?;
        self.attached.push(Attached::Device(link));
        Ok(())
    }

    /// Attaches to a cgroup; programs of other owners stay and run too.
    ///
    /// A link (5.7) is implicitly "multi"; the kernel refuses flags with it (kernel/bpf/cgroup.c,
    /// `cgroup_bpf_link_attach`), hence `Single`.
    pub fn cgroup(
        &mut self,
        object: &mut Object,
        hook: CgroupHook,
        cgroup: impl AsFd,
    ) -> Result<(), Error> {
        let name = hook.program();
        let failed = |error: aya::programs::ProgramError| Error::program(name, &error);
        let mode = CgroupAttachMode::Single;
        self.attached.push(match hook {
            CgroupHook::BornInCgroup | CgroupHook::BornOfProcess => {
                let program: &mut CgroupSock = program(object, name)?;
                ensure_loaded(name, program.fd().is_ok(), || program.load())?;
                let id = program.attach(cgroup, mode).map_err(failed)?;
                Attached::CgroupSock(program.take_link(id).map_err(failed)?)
            }
            CgroupHook::ClaimOut
            | CgroupHook::ClaimIn
            | CgroupHook::Deliver
            | CgroupHook::LearnIn
            | CgroupHook::LearnOut
            | CgroupHook::Asked
            | CgroupHook::Answered => {
                let leaves = matches!(
                    hook,
                    CgroupHook::ClaimOut | CgroupHook::LearnOut | CgroupHook::Asked
                );
                let attach_type = if leaves {
                    CgroupSkbAttachType::Egress
                } else {
                    CgroupSkbAttachType::Ingress
                };
                let program: &mut CgroupSkb = program(object, name)?;
                ensure_loaded(name, program.fd().is_ok(), || program.load())?;
                let id = program.attach(cgroup, attach_type, mode).map_err(failed)?;
                Attached::CgroupSkb(program.take_link(id).map_err(failed)?)
            }
            CgroupHook::Sequence => {
                let program: &mut CgroupSockopt = program(object, name)?;
                ensure_loaded(name, program.fd().is_ok(), || program.load())?;
                let id = program.attach(cgroup, mode).map_err(failed)?;
                Attached::CgroupSockopt(program.take_link(id).map_err(failed)?)
            }
            CgroupHook::Connect4
            | CgroupHook::Connect6
            | CgroupHook::CallConnect4
            | CgroupHook::CallConnect6
            | CgroupHook::CallBind4
            | CgroupHook::CallBind6
            | CgroupHook::Peer4
            | CgroupHook::Peer6 => {
                let program: &mut CgroupSockAddr = program(object, name)?;
                ensure_loaded(name, program.fd().is_ok(), || program.load())?;
                let id = program.attach(cgroup, mode).map_err(failed)?;
                Attached::CgroupSockAddr(program.take_link(id).map_err(failed)?)
            }
        });
        Ok(())
    }

    /// Keeps a program that decides about calls, to be asked how many calls it was not run for.
    pub(super) fn watch(&mut self, name: &'static str, program: OwnedFd) {
        self.deciding.push((name, program));
    }

    /// What the kernel has not run the deciding programs for: while one runs for a thread, it is skipped for all
    /// others on its CPU (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; `bpf_prog_show_fdinfo` of
    /// kernel/bpf/syscall.c tells how often). Programs without such a guard, BPF LSM and cgroups, are never in it.
    pub fn skipped(&self) -> Vec<Skipped> {
        let all = self.deciding.iter().map(|(program, fd)| Skipped {
            program,
            calls: misses(fd).unwrap_or_default(),
        });
        all.filter(|skipped| skipped.calls > 0).collect()
    }

    /// Holds a program on a trampoline.
    pub(super) fn trampoline(&mut self, link: OwnedFd) {
        self.attached.push(Attached::Trampoline(link));
    }

    /// Attaches to a tracepoint by its raw arguments: of all system calls' beginnings or ends. Returns a copy of
    /// the program's descriptor, where one could be had.
    pub(super) fn raw_tracepoint(
        &mut self,
        object: &mut Object,
        name: &'static str,
        tracepoint: &'static str,
    ) -> Result<Option<OwnedFd>, Error> {
        let failed = |error: aya::programs::ProgramError| Error::program(name, &error);
        let program: &mut RawTracePoint = program(object, name)?;
        ensure_loaded(name, program.fd().is_ok(), || program.load())?;
        let id = program.attach(tracepoint).map_err(failed)?;
        let copy = program.fd().map_err(failed)?.as_fd().try_clone_to_owned();
        self.attached.push(Attached::RawTracepoint(
            program.take_link(id).map_err(failed)?,
        ));
        Ok(copy.ok())
    }

    /// Attaches to a function by a kprobe. A perf link (5.15), which goes with its descriptor.
    pub(super) fn kprobe(
        &mut self,
        object: &mut Object,
        name: &'static str,
        function: &str,
    ) -> Result<(), Error> {
        let failed = |error: aya::programs::ProgramError| Error::program(name, &error);
        let program: &mut KProbe = program(object, name)?;
        ensure_loaded(name, program.fd().is_ok(), || program.load())?;
        let id = program.attach(function, 0).map_err(failed)?;
        self.attached
            .push(Attached::Probe(program.take_link(id).map_err(failed)?));
        Ok(())
    }

    /// Attaches to a tracepoint.
    pub fn process(&mut self, object: &mut Object, hook: ProcessHook) -> Result<(), Error> {
        let (name, tracepoint) = match hook {
            ProcessHook::Fork => ("inj_fork", "sched_process_fork"),
            ProcessHook::Exit => ("inj_exit", "sched_process_exit"),
            ProcessHook::Retransmit => ("inj_retransmit", "tcp_retransmit_skb"),
            ProcessHook::Turned => ("inj_turned", "inet_sock_set_state"),
            ProcessHook::Relayed => ("inj_relayed", "inet_sock_set_state"),
        };
        let failed = |error: aya::programs::ProgramError| Error::program(name, &error);
        let missing = match hook {
            ProcessHook::Turned => object.missing_for_operations(),
            ProcessHook::Relayed => object.missing_for_relays(),
            ProcessHook::Fork | ProcessHook::Exit | ProcessHook::Retransmit => None,
        };
        if let Some(missing) = missing {
            return Err(Error::Btf(missing.to_owned()));
        }
        let Object { ebpf, btf, .. } = object;
        let program: &mut BtfTracePoint = ebpf
            .program_mut(name)
            .ok_or(Error::Missing(name))?
            .try_into()
            .map_err(failed)?;
        ensure_loaded(name, program.fd().is_ok(), || program.load(tracepoint, btf))?;
        let id = program.attach().map_err(failed)?;
        self.attached
            .push(Attached::Tracepoint(program.take_link(id).map_err(failed)?));
        Ok(())
    }
}

/// How often the kernel's recursion guard has kept a program from running; `None` where the kernel does not say.
fn misses(program: &OwnedFd) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let told = std::fs::read_to_string(path).ok()?;
    told.lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?
        .trim()
        .parse()
        .ok()
}

/// A program for devices, loaded.
pub(super) fn load<'o>(
    object: &'o mut Object,
    name: &'static str,
) -> Result<&'o mut SchedClassifier, Error> {
    let program: &mut SchedClassifier = program(object, name)?;
    ensure_loaded(name, program.fd().is_ok(), || program.load())?;
    Ok(program)
}

/// A program of this kind.
pub(super) fn program<'o, P>(object: &'o mut Object, name: &'static str) -> Result<&'o mut P, Error>
where
    &'o mut P: TryFrom<&'o mut Program, Error = aya::programs::ProgramError>,
{
    object
        .ebpf
        .program_mut(name)
        .ok_or(Error::Missing(name))?
        .try_into()
        .map_err(|error| Error::program(name, &error))
}

/// Loads a program the first time that it is attached, so that only what a run needs is loaded.
pub(super) fn ensure_loaded(
    name: &'static str,
    is_loaded: bool,
    load: impl FnOnce() -> Result<(), aya::programs::ProgramError>,
) -> Result<(), Error> {
    if is_loaded {
        return Ok(());
    }
    load().map_err(|error| Error::program(name, &error))
}
