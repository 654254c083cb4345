//! `BPF_PROG_LOAD` with the verifier's statistics (`include/uapi/linux/bpf.h`).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::{
    Function,
    generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_type},
};

use super::Verdict;

/// `BPF_LOG_STATS` and `BPF_LOG_LEVEL1` of `include/linux/bpf_verifier.h`.
const STATISTICS: u32 = 4;
const EVERY_STEP: u32 = 1;
/// `BPF_F_SLEEPABLE`.
const SLEEPABLE: u32 = 1 << 4;
/// Some lines of statistics; a refused program's steps may be more, and then only the errno is told.
const LOG_BYTES: usize = 1 << 24;

/// How a program is to be loaded.
pub(super) struct Request {
    pub(super) program: bpf_prog_type,
    pub(super) attach: Option<bpf_attach_type>,
    /// Type id of the kernel function or tracepoint; 0 for none.
    pub(super) target: u32,
    pub(super) sleepable: bool,
}

/// Loads a program and lets it go; an error is the first line of the reason.
pub(super) fn statistics(
    code: &Function,
    types: BorrowedFd<'_>,
    request: &Request,
) -> Result<Verdict, String> {
    let mut log = vec![0; LOG_BYTES];
    match load(code, types, request, STATISTICS, &mut log) {
        Ok(_let_go) => {
            let said = text(&log);
            read(&said).ok_or_else(|| format!("its statistics were not understood: {said}"))
        }
        Err(refused) => {
            log.fill(0);
            // The outcome is known; this time it is about the words.
            let _refused_again = load(code, types, request, EVERY_STEP, &mut log);
            Err(reason(&refused, &text(&log)))
        }
    }
}

fn load(
    code: &Function,
    types: BorrowedFd<'_>,
    request: &Request,
    level: u32,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    // A program that hands the kernel a function of its own must say where it begins.
    let functions = code.func_info.func_info_bytes();
    let mut attributes = zeroed();
    // SAFETY: all members are plain integers, and this is the one that BPF_PROG_LOAD reads.
    let program = unsafe { &mut attributes.__bindgen_anon_3 };
    program.prog_type = request.program as u32;
    program.insns = code.instructions.as_ptr() as u64;
    program.insn_cnt = length(code.instructions.len());
    program.license = c"GPL".as_ptr() as u64;
    program.log_level = level;
    program.log_buf = log.as_mut_ptr() as u64;
    program.log_size = length(log.len());
    program.expected_attach_type = request.attach.map_or(0, |attach| attach as u32);
    program.attach_btf_id = request.target;
    program.prog_flags = if request.sleepable { SLEEPABLE } else { 0 };
    program.prog_btf_fd = types.as_raw_fd().unsigned_abs();
    program.func_info = functions.as_ptr() as u64;
    program.func_info_cnt = length(code.func_info.len());
    program.func_info_rec_size = length(code.func_info_rec_size);
    // SAFETY: the code, the licence and what it says of functions outlive the call, and so does the
    // log, which no other code looks at.
    unsafe { descriptor(bpf_cmd::BPF_PROG_LOAD, &attributes) }
}

fn zeroed() -> bpf_attr {
    // SAFETY: all zero is a valid `bpf_attr`: a union of structs of integers.
    unsafe { std::mem::zeroed() }
}

/// Asks bpf(2) for a descriptor.
///
/// # Safety
///
/// Every pointer in the attributes must be into memory that is as long as is said and outlives the call.
unsafe fn descriptor(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as large as is said; the caller answers for what they point to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<bpf_attr>(),
        )
    };
    match i32::try_from(result) {
        // SAFETY: the kernel has just made this descriptor, and no other code knows of it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn text(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&log[..end.unwrap_or(log.len())]).into_owned()
}

/// `stack depth 72+0+16` (one for each function; seen on 7.3: `stack depth max 96`, of the
/// deepest chain) and `processed 1234 insns (limit 1000000) ...`.
fn read(log: &str) -> Option<Verdict> {
    let after = |start: &str| log.lines().find_map(|line| line.strip_prefix(start));
    let stack = match after("stack depth ") {
        Some(depths) => {
            let depths = depths
                .trim_start_matches("max ")
                .split('+')
                .map(|depth| depth.trim().parse::<u32>());
            depths.sum::<Result<u32, _>>().ok()?
        }
        None => 0,
    };
    let processed = after("processed ")?;
    Some(Verdict::Accepted {
        instructions: processed.split_whitespace().next()?.parse().ok()?,
        stack,
    })
}

/// The verifier's verdict is the last line but for its statistics and, on 7.3, indented advice.
fn reason(error: &io::Error, log: &str) -> String {
    let verdict = log
        .lines()
        .rev()
        .find(|line| !line.is_empty() && !line.starts_with("processed ") && !line.starts_with(' '));
    verdict.map_or_else(
        || error.to_string(),
        |verdict| format!("{error}: {verdict}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read() {
        let log = "verification time 812 usec\nstack depth 72+0+16\n\
                   processed 1234 insns (limit 1000000) max_states_per_insn 4 total_states 100\n";
        let expected = Verdict::Accepted {
            instructions: 1234,
            stack: 88,
        };
        assert_eq!(read(log), Some(expected.clone()));
        let newer = "stack depth max 88\nsubprog 0 (inj_return) main insns_self 71 stack 24\n\
                     processed 1234 insns (limit 1000000) max_states_per_insn 1\n";
        assert_eq!(read(newer), Some(expected));
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_refusal_is_told_in_one_line() {
        let error = io::Error::from_raw_os_error(libc::EACCES);
        let log = "0: R1=ctx() R10=fp0\n0: (b7) r0 = 1\nR1 invalid mem access\nprocessed 2 insns\n";
        assert!(reason(&error, log).ends_with(": R1 invalid mem access"));
        assert_eq!(reason(&error, ""), error.to_string());
    }
}
