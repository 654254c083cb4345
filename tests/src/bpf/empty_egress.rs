//! A yardstick: a program that does nothing, for what the kernel's accounting itself costs.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};

use super::{Charge, bpf, command, info_of_descriptor, own, put_pointer, put_u32};

/// A program that does nothing but pass packets on, last in line on a device's egress. The kernel
/// charges it what it charges every program, so it shows what the accounting itself costs.
///
/// Detached and freed with the value.
#[derive(Debug)]
pub struct EmptyEgress {
    // Dropped first: the link ends before the program does.
    _link: OwnedFd,
    program: OwnedFd,
}

impl EmptyEgress {
    /// Loads it and attaches it to the interface with this index (TCX, 6.6).
    pub fn attach(interface: u32) -> Result<Self> {
        /// `BPF_PROG_TYPE_SCHED_CLS`.
        const SCHED_CLS: u32 = 3;
        /// `BPF_TCX_EGRESS` of `enum bpf_attach_type`.
        const TCX_EGRESS: u32 = 47;
        /// `r0 = TCX_NEXT; exit`: opcode, registers, offset, immediate.
        const INSTRUCTIONS: [[u8; 8]; 2] = [
            [0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        const LICENSE: &CStr = c"GPL";
        // `attr.prog_type`, `insn_cnt`, `insns`, `license`; the rest is zero.
        let mut load = [0u8; 48];
        put_u32(&mut load, 0, SCHED_CLS);
        put_u32(&mut load, 4, 2);
        put_pointer(&mut load, 8, INSTRUCTIONS.as_ptr());
        put_pointer(&mut load, 16, LICENSE.as_ptr());
        let program = own(bpf(command::PROG_LOAD, &mut load).context("cannot load a program")?)?;
        // `attr.link_create`: program, interface, attach type; no flags, so last in line.
        let mut create = [0u8; 32];
        put_u32(&mut create, 0, program.as_raw_fd().cast_unsigned());
        put_u32(&mut create, 4, interface);
        put_u32(&mut create, 8, TCX_EGRESS);
        let link = bpf(command::LINK_CREATE, &mut create).context("cannot attach a program")?;
        Ok(Self {
            _link: own(link)?,
            program,
        })
    }

    /// What the kernel has charged it.
    pub fn charged(&self) -> Result<Charge> {
        let info = info_of_descriptor(&self.program).context("cannot ask for a program")?;
        Ok(Charge::at(&info))
    }
}
