//! Tells user space which sequence number a connection expects next, so that a reset can be sent that
//! the kernel accepts (RFC 5961: exactly that number). The kernel offers it in no other harmless way:
//! `TCP_REPAIR` would let the target's own calls fail meanwhile.

use aya_ebpf::{
    helpers::generated::bpf_tcp_sock, macros::cgroup_sockopt, programs::SockoptContext,
};
use injector_common::sequence::{LEVEL, NAME};

use crate::gate;

/// The kernel goes on with the call.
const PASS: i32 = 1;

/// Longer buffers than this the kernel hands over cut; a length of 0 tells it to keep its own answer
/// (`Documentation/bpf/prog_cgroup_sockopt.rst`).
const PAGE: i32 = 4096;

/// Answers one option that does not exist, and leaves every other call alone.
#[cgroup_sockopt(getsockopt)]
pub fn inj_sequence(ctx: SockoptContext) -> i32 {
    let call = ctx.sockopt;
    // SAFETY: plain context fields; the socket and its TCP part are checked for null, and the value is
    // written only where the verifier has seen that it fits.
    unsafe {
        if (*call).optname != NAME || (*call).level != LEVEL {
            if (*call).optlen > PAGE {
                (*call).optlen = 0;
            }
            return PASS;
        }
        let sk = (*call).__bindgen_anon_1.sk;
        if sk.is_null() || !gate::is_armed() {
            return PASS;
        }
        let tcp = bpf_tcp_sock(sk);
        let value = (*call).__bindgen_anon_2.optval.cast::<u32>();
        if tcp.is_null() || value.add(1).cast() > (*call).__bindgen_anon_3.optval_end {
            return PASS;
        }
        *value = (*tcp).rcv_nxt;
        // One by one: a compiler that joins the two makes an access that the kernel refuses.
        core::ptr::write_volatile(&raw mut (*call).optlen, 4);
        core::ptr::write_volatile(&raw mut (*call).retval, 0);
    }
    PASS
}
