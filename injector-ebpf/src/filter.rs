//! The programs of classic filters (`clsact`), for kernels whose programs on devices no descriptor can hold.
//!
//! Each jumps to the program that stands at the device on newer kernels. The table that it jumps through is emptied by
//! the kernel when its owner is gone ([`injector_common::tail`]); the filter itself stays until a process removes it, and
//! lets every packet go on to the filters behind it.

use aya_ebpf::{bindings::tcx_action_base::TCX_NEXT, macros::classifier, programs::TcContext};
use injector_common::tail;

use crate::maps::INJ_TAIL;

/// `TCX_NEXT` is `TC_ACT_UNSPEC`: the next filter is asked (`net/sched/cls_bpf.c`, `cls_bpf_classify`).
#[inline(always)]
fn go_on(ctx: &TcContext, slot: u32) -> i32 {
    // SAFETY: the context is the program's own, and the table has this slot.
    unsafe { INJ_TAIL.tail_call(ctx, slot) };
    TCX_NEXT
}

/// In front of [`crate::device::inj_egress`].
#[classifier]
pub fn inj_clsact_out(ctx: TcContext) -> i32 {
    go_on(&ctx, tail::EGRESS)
}

/// In front of [`crate::device::inj_ingress`].
#[classifier]
pub fn inj_clsact_in(ctx: TcContext) -> i32 {
    go_on(&ctx, tail::INGRESS)
}
