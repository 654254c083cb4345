//! How user space asks for the sequence number that a connection expects next: a socket option that
//! does not exist, answered by a BPF program (`inj_sequence`) on the copy of a target's socket.

/// `SOL_TCP`.
pub const LEVEL: i32 = 6;

/// The name of the option, far from any that TCP has. The value is a `u32`: `rcv_nxt`.
pub const NAME: i32 = 0x1a9e_0001;
