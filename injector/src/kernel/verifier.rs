//! What the kernel's verifier says of each program: how much it had to look at, and how deep its stack
//! may become. `injector verifier` prints it, `cargo xtask verifier` holds it against a bound.
//!
//! Each program of the object is loaded on its own, with its statistics asked for, and let go at once;
//! nothing is attached. aya keeps the verifier's log only of programs that are refused, so programs are
//! read with aya-obj and loaded with bpf(2) by hand ([`load`]), on maps that aya has made.
//!
//! A program of a kind that needs a kernel function or tracepoint is verified for the one that
//! [`TARGETS`] names; a new program of such a kind needs a line there.

mod load;

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aya::maps::Map;
use aya_obj::{
    ProgramSection,
    btf::BtfKind,
    generated::{bpf_attach_type, bpf_prog_type},
};
use serde::Serialize;

use super::{Error, object::Object};
use crate::syscall::points;
use load::Request;

/// What a program is verified for, where its kind does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A tracepoint with types (`tp_btf`).
    Tracepoint(&'static str),
    /// A hook of BPF LSM: `file_open`.
    Lsm(&'static str),
    /// A function in whose place the program answers (`fmod_ret`).
    ModifyReturn(&'static str),
    /// A function behind which the program runs (`fexit`).
    Exit(&'static str),
}

/// Program to its target; those of the security modules' hooks are in [`points::ALL`].
const TARGETS: [(&str, Target); 7] = [
    ("inj_fork", Target::Tracepoint("sched_process_fork")),
    ("inj_exit", Target::Tracepoint("sched_process_exit")),
    ("inj_park_trial", Target::Lsm("file_open")),
    ("inj_call", Target::ModifyReturn("__x64_sys_openat")),
    ("inj_call_enter_s", Target::ModifyReturn("__x64_sys_openat")),
    ("inj_call_exit_s", Target::Exit("__x64_sys_openat")),
    ("inj_call_missed", Target::Exit("__x64_sys_openat")),
];

fn target_of(program: &str) -> Option<Target> {
    let listed = TARGETS.iter().find(|(of, _)| *of == program);
    listed.map(|(_, target)| *target).or_else(|| {
        let point = points::ALL
            .iter()
            .find(|point| point.program == program || point.sleepable == Some(program))?;
        Some(Target::Lsm(point.hook))
    })
}

/// What the verifier says of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Its name.
    pub program: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The verifier's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was accepted.
    Accepted {
        /// Instructions that were looked at on all paths; the kernel stops at a million.
        instructions: u32,
        /// Bytes of stack of the program and all functions that it calls; the kernel stops a chain of
        /// calls at 512.
        stack: u32,
    },
    /// It was refused; this is the first line of the reason.
    Refused(String),
}

/// Asks the verifier about every program of the object, in the order of their names.
pub fn figures() -> Result<Vec<Figures>, Error> {
    let object = Object::load()?;
    let programs = Programs::read(&object)?;
    let names: BTreeMap<&String, &aya_obj::Program> = programs.parsed.programs.iter().collect();
    let verdicts = names.into_iter().map(|(name, program)| Figures {
        program: name.clone(),
        verdict: verdict(&object, &programs, name, program).unwrap_or_else(Verdict::Refused),
    });
    Ok(verdicts.collect())
}

fn verdict(
    object: &Object,
    programs: &Programs,
    name: &str,
    program: &aya_obj::Program,
) -> Result<Verdict, String> {
    let code = programs.parsed.functions.get(&program.function_key());
    let code = code.ok_or("the object has no such program")?;
    let mut request = match target_of(name) {
        Some(target) => of_target(target, &object.btf)?,
        None => of_kind(&program.section)?,
    };
    request.sleepable = matches!(program.section, ProgramSection::Lsm { sleepable: true });
    load::statistics(code, programs.types.as_fd(), &request)
}

/// The object once more, tied to the maps of the loaded one.
struct Programs {
    parsed: aya_obj::Object,
    /// Their types.
    types: OwnedFd,
}

impl Programs {
    fn read(object: &Object) -> Result<Self, Error> {
        let failed = |error: &dyn std::error::Error| Error::Probe(error.to_string());
        let mut parsed = aya_obj::Object::parse(&object.image()).map_err(|error| failed(&error))?;
        let types = types(&mut parsed)?;
        let declared: Vec<(String, aya_obj::Map)> = parsed.maps.drain().collect();
        let mut tied = Vec::new();
        for (name, map) in &declared {
            let loaded = object.ebpf.map(name).and_then(descriptor);
            let loaded =
                loaded.ok_or_else(|| Error::Probe(format!("the map {name} is not loaded")))?;
            tied.push((name.as_str(), loaded.as_raw_fd(), map));
        }
        let sections: HashSet<usize> = parsed
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        parsed
            .relocate_maps(tied.into_iter(), &sections)
            .map_err(|error| failed(&error))?;
        parsed
            .relocate_calls(&sections)
            .map_err(|error| failed(&error))?;
        Ok(Self { parsed, types })
    }
}

fn types(parsed: &mut aya_obj::Object) -> Result<OwnedFd, Error> {
    let none = || Error::Btf("this kernel takes no types of programs".into());
    let features = aya::features().btf().ok_or_else(none)?;
    let types = parsed
        .fixup_and_sanitize_btf(features)
        .map_err(|error| Error::Btf(error.to_string()))?
        .ok_or_else(|| Error::Btf("the BPF object has no types".into()))?;
    load::types(&types.to_bytes())
        .map_err(|error| Error::system("load the types of the BPF programs", error))
}

fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::RingBuf(data)
        | Map::SkStorage(data)
        | Map::PerfEventArray(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

/// How a program is loaded whose kind says all.
fn of_kind(section: &ProgramSection) -> Result<Request, String> {
    use bpf_prog_type as kind;
    let (program, attach) = match section {
        ProgramSection::SchedClassifier => (kind::BPF_PROG_TYPE_SCHED_CLS, None),
        ProgramSection::SockOps => (kind::BPF_PROG_TYPE_SOCK_OPS, None),
        ProgramSection::KProbe | ProgramSection::KRetProbe => (kind::BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::TracePoint => (kind::BPF_PROG_TYPE_TRACEPOINT, None),
        ProgramSection::RawTracePoint => (kind::BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        ProgramSection::CgroupSkb { attach_type } => (
            kind::BPF_PROG_TYPE_CGROUP_SKB,
            attach_type.map(bpf_attach_type::from),
        ),
        ProgramSection::CgroupSock { attach_type } => (
            kind::BPF_PROG_TYPE_CGROUP_SOCK,
            Some(bpf_attach_type::from(*attach_type)),
        ),
        ProgramSection::CgroupSockAddr { attach_type } => (
            kind::BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
            Some(bpf_attach_type::from(*attach_type)),
        ),
        ProgramSection::CgroupSockopt { attach_type } => (
            kind::BPF_PROG_TYPE_CGROUP_SOCKOPT,
            Some(bpf_attach_type::from(*attach_type)),
        ),
        other => {
            return Err(format!(
                "nothing says for what a program {other:?} is loaded"
            ));
        }
    };
    Ok(Request {
        program,
        attach,
        target: 0,
        sleepable: false,
    })
}

/// How a program is loaded that is for one function of the kernel.
fn of_target(target: Target, kernel: &aya::Btf) -> Result<Request, String> {
    use bpf_attach_type as attach;
    let tracing = bpf_prog_type::BPF_PROG_TYPE_TRACING;
    let (program, attach, name, kind) = match target {
        Target::Tracepoint(name) => (
            tracing,
            attach::BPF_TRACE_RAW_TP,
            format!("btf_trace_{name}"),
            BtfKind::Typedef,
        ),
        Target::Lsm(hook) => (
            bpf_prog_type::BPF_PROG_TYPE_LSM,
            attach::BPF_LSM_MAC,
            format!("bpf_lsm_{hook}"),
            BtfKind::Func,
        ),
        Target::ModifyReturn(function) => (
            tracing,
            attach::BPF_MODIFY_RETURN,
            function.to_owned(),
            BtfKind::Func,
        ),
        Target::Exit(function) => (
            tracing,
            attach::BPF_TRACE_FEXIT,
            function.to_owned(),
            BtfKind::Func,
        ),
    };
    let target = kernel
        .id_by_type_name_kind(&name, kind)
        .map_err(|_| format!("this kernel has no {name}"))?;
    Ok(Request {
        program,
        attach: Some(attach),
        target,
        sleepable: false,
    })
}
