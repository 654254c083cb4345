//! The slots of the table through which a classic filter reaches the programs behind it.
//!
//! A filter on a device (`clsact`) outlives the process that attached it. What it does must not, so it does nothing by
//! itself: it jumps to the program in its slot, and the kernel empties the table when the last descriptor of it is
//! closed (kernel/bpf/arraymap.c, `prog_array_map_clear`). A jump through an empty slot goes on behind it.

/// For packets that leave.
pub const EGRESS: u32 = 0;

/// For packets that arrive.
pub const INGRESS: u32 = 1;

/// How many slots there are.
pub const SLOTS: u32 = 2;
