//! What the kernel's verifier says of each program: how much it had to look at, and how deep its stack
//! may become. A program of the tests prints it, and `cargo xtask
//! verifier` holds it against a bound.
//!
//! Each program of the object is loaded on its own, with its statistics asked for, and let go at once;
//! nothing is attached. aya keeps the verifier's log only of programs that are refused, so they are
//! loaded with bpf(2) by hand ([`load`]), on maps that aya has made.
//!
//! A program of a kind that needs a kernel function or tracepoint is verified for the hook that
//! [`points::ALL`] gives it, or for what [`TARGETS`] names; a new program needs a line in one of them.

mod load;

use aya_obj::{
    ProgramSection,
    btf::BtfKind,
    generated::{bpf_attach_type, bpf_prog_type},
};
use serde::Serialize;

use super::{
    Error,
    object::{Callers, Object},
};
use injector_plan::tables::Sizes;
use injector_spec::syscall::points::{self, Point};
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
    /// An iterator: `task_file`.
    Iterator(&'static str),
}

/// Program to its target, beside those of [`points::ALL`].
const TARGETS: [(&str, Target); 11] = [
    ("inj_fork", Target::Tracepoint("sched_process_fork")),
    ("inj_exit", Target::Tracepoint("sched_process_exit")),
    ("inj_retransmit", Target::Tracepoint("tcp_retransmit_skb")),
    ("inj_turned", Target::Tracepoint("inet_sock_set_state")),
    ("inj_relayed", Target::Tracepoint("inet_sock_set_state")),
    ("inj_look", Target::Iterator("task_file")),
    ("inj_park_trial_s", Target::Lsm("file_open")),
    ("inj_call", Target::ModifyReturn("__x64_sys_openat")),
    ("inj_call_enter_s", Target::ModifyReturn("__x64_sys_openat")),
    ("inj_call_exit_s", Target::Exit("__x64_sys_openat")),
    ("inj_call_missed", Target::Exit("__x64_sys_openat")),
];

/// The verifier leaves out what frozen globals switch off, so here they switch all on.
const EVERYBODY: Callers = Callers {
    cgroup_levels: u32::MAX,
    processes: 1,
    spared: 1,
};

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
    let object = Object::load_for(EVERYBODY, Sizes::MOST)?;
    let programs = object.programs()?;
    let mut figures: Vec<Figures> = programs
        .all()
        .map(|(name, program, code)| {
            let verdict = request(name, &program.section, object.btf)
                .and_then(|request| load::statistics(code, programs.types(), &request));
            Figures {
                program: name.to_owned(),
                verdict: verdict.unwrap_or_else(Verdict::Refused),
            }
        })
        .collect();
    figures.sort_by(|one, other| one.program.cmp(&other.program));
    Ok(figures)
}

fn request(name: &str, section: &ProgramSection, kernel: &aya::Btf) -> Result<Request, String> {
    let mut request = match target(name) {
        Some(target) => of_target(target, kernel)?,
        None => of_kind(section)?,
    };
    request.sleepable = matches!(section, ProgramSection::Lsm { sleepable: true });
    Ok(request)
}

/// What a program is verified for; none where its kind says all.
fn target(program: &str) -> Option<Target> {
    let listed = TARGETS.iter().find(|(of, _)| *of == program);
    let at_hook = || {
        let named = |point: &&Point| point.program == program || point.sleeper() == Some(program);
        points::ALL.iter().find(named)
    };
    listed
        .map(|(_, target)| *target)
        .or_else(|| at_hook().map(|point| Target::Lsm(point.hook)))
}

/// How a program is loaded whose kind says all.
fn of_kind(section: &ProgramSection) -> Result<Request, String> {
    use bpf_prog_type as kind;
    let (program, attach) = match section {
        ProgramSection::SchedClassifier => (kind::BPF_PROG_TYPE_SCHED_CLS, None),
        ProgramSection::SockOps => (kind::BPF_PROG_TYPE_SOCK_OPS, None),
        ProgramSection::KProbe
        | ProgramSection::KRetProbe
        | ProgramSection::UProbe { .. }
        | ProgramSection::URetProbe { .. } => (kind::BPF_PROG_TYPE_KPROBE, None),
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
        Target::Iterator(over) => (
            tracing,
            attach::BPF_TRACE_ITER,
            format!("bpf_iter_{over}"),
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
