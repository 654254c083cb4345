//! The BPF programs: gather inputs, call the shared decision, act, emit.
//!
//! Reading order follows a packet: [`maps`] is everything the programs know, [`gate`] says whether a
//! packet belongs to a target, [`packet`] reads its headers, [`rules`] asks each of the target's
//! rules, [`act`] carries the verdict out, [`emit`] tells user space. The programs themselves are in
//! [`device`] (TCX, or behind a classic [`filter`]), [`cgroup`] and [`process`]; [`arrival`] says whose a packet is that arrives at a device, from
//! what [`flows`] has learnt at the sockets, [`look`] goes through open ones, and [`operations`] watches what targets ask and when it is answered. [`park`] puts the calling thread to sleep. [`relay`] sends connections through a process of ours.
//!
//! A system call is met in [`lsm`], [`syscall`] or [`trace`]: [`caller`] is the gate, [`subject`] says what
//! the call is about and [`names`] whether a rule means that, [`calls`] asks the rules, [`carry`] does what
//! they say, [`kill`] is for signals, [`twice`] is why most programs stand at their place two times. [`address`]
//! meets connect(2) and bind(2) where nothing better is allowed.
//!
//! [`tls`] and [`plain`] only look: they tell what a target says over TLS and over sockets, by [`plaintext`].
//!
//! Every program passes what it does not understand through unharmed.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "aya's macros hand each program its context by value"
)]
#![expect(
    internal_features,
    reason = "BPF has no core::sync::atomic::*::fetch_add"
)]

mod act;
mod address;
mod answer;
mod arrival;
mod caller;
mod calls;
mod carry;
mod cgroup;
mod claim;
#[cfg(feature = "debug-log")]
mod debug;
mod device;
mod emit;
mod ends;
mod filter;
mod flight;
mod flows;
mod gate;
mod kill;
mod look;
mod lsm;
mod maps;
mod names;
mod operations;
mod packet;
mod park;
mod plain;
mod plaintext;
mod process;
mod relay;
mod retransmit;
mod rewrite;
mod rules;
mod sequence;
mod short;
mod socket_storage;
mod subject;
mod syscall;
mod tls;
mod trace;
mod twice;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // SAFETY: no code path panics: the verifier would refuse a program that can reach this loop.
    unsafe { core::hint::unreachable_unchecked() }
}

// The kernel lends its GPL-only helpers (probe reads, socket look-ups) only to programs that say so.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
