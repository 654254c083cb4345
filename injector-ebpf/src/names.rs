//! Names: is this thread one that a rule is about?

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_loop, bpf_probe_read_kernel};
use injector_common::{
    call::{CallRule, THREAD_NAME},
    glob,
};

use crate::maps::OFFSET_COMM;

/// Reads a byte of the kernel's; zero where the address is bad.
#[inline(always)]
fn read(address: u64) -> u8 {
    let mut value = 0_u8;
    // SAFETY: the destination is our own; the helper checks the source.
    unsafe {
        bpf_probe_read_kernel((&raw mut value).cast(), 1, address as *const _);
    }
    value
}

/// Whether the calling thread's name matches the rule's pattern.
#[inline(always)]
pub fn is_thread(comparison: &mut Comparison, call: &CallRule) -> bool {
    // SAFETY: the helper has no preconditions; the task is only read from.
    let task = unsafe { bpf_get_current_task() };
    *comparison = Comparison {
        name: task + u64::from(OFFSET_COMM.load()),
        name_length: THREAD_NAME as u32,
        pattern: core::ptr::from_ref(&call.thread) as u64,
        pattern_length: call.thread_length.min(THREAD_NAME as u32),
        walk: glob::Walk::START,
        is_match: 0,
        pad: 0,
    };
    matches(comparison)
}

/// A name and a pattern, on their way through [`glob::Walk`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Comparison {
    /// In kernel memory.
    name: u64,
    /// In a map value, which is kernel memory too.
    pattern: u64,
    /// A zero byte ends the name too.
    name_length: u32,
    pattern_length: u32,
    walk: glob::Walk,
    is_match: u32,
    pad: u32,
}

impl Comparison {
    /// One of nothing with nothing.
    pub const NOTHING: Self = Self {
        name: 0,
        pattern: 0,
        name_length: 0,
        pattern_length: 0,
        walk: glob::Walk::START,
        is_match: 0,
        pad: 0,
    };
}

#[inline(always)]
fn matches(comparison: &mut Comparison) -> bool {
    let mut context: *mut Comparison = comparison;
    // SAFETY: the callback has the signature that the helper asks for, and the context outlives the call.
    unsafe {
        bpf_loop(
            glob::steps(THREAD_NAME, THREAD_NAME),
            compare_one as *mut _,
            (&raw mut context).cast(),
            0,
        );
        (*context).is_match != 0
    }
}

/// One step of the comparison: 0 goes on, 1 ends it.
extern "C" fn compare_one(_: u32, context: *mut *mut Comparison) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `matches` gave it.
    let comparison = unsafe { &mut **context };
    let (at, wanted) = (comparison.walk.name_at, comparison.walk.pattern_at);
    let byte = if at < comparison.name_length {
        let byte = read(comparison.name + u64::from(at));
        (byte != 0).then_some(byte)
    } else {
        None
    };
    let pattern = if wanted < comparison.pattern_length {
        Some(read(comparison.pattern + u64::from(wanted)))
    } else {
        None
    };
    match comparison.walk.step(pattern, byte) {
        glob::Step::GoOn => 0,
        glob::Step::Match => {
            comparison.is_match = 1;
            1
        }
        glob::Step::NoMatch => 1,
    }
}
