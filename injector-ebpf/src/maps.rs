//! Everything that the programs know, on one screen. All of it belongs to one run in one network
//! namespace, and all of it starts out zero, which means "no target" and "nothing".
//!
//! Sizes are the largest that any run needs; what a run has, its plan says
//! (`injector/plan/src/tables.rs`). A new table that takes memory while it is empty gets a line there.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_CLONE, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::{btf_map, map},
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
};
use injector_common::{
    SCOPES, SLOTS,
    call::{Accept, CallRule, PathEntry, PathKey, Pending, SYSCALLS},
    filter::FilterKey,
    flow::{Flow, Unjudged},
    frame::{DEVICES as DEVICE_SLOTS, Device},
    lease::Lease,
    look::Look,
    operation::Exchange,
    park::{Park, SLOTS as PARK_SLOTS, Sleep, Trial},
    plaintext::{ConnectionKey, TlsCall},
    process::{ProcessKey, TargetProcess},
    relay::{PORTS, Relay, Relayed, Wanted},
    rewrite::{self, Answer, Armed, PathEnd},
    rule::{ActiveSlots, Counters, Rule, RuleState},
    tag::Tag,
    tail,
};

use crate::socket_storage::SocketStorage;

const RULE_SLOTS: u32 = (SCOPES * SLOTS) as u32;

/// The lease; one entry. The relay reads it in its own memory.
#[map]
pub static INJ_LEASE: Array<Lease> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Whose sockets user space looks through just now; one entry.
#[map]
pub static INJ_LOOK: Array<Look> = Array::with_max_entries(1, 0);

/// Which slots of a scope are on.
#[map]
pub static INJ_ACTIVE: Array<ActiveSlots> = Array::with_max_entries(SCOPES as u32, 0);

/// The rules, by rule id. User space maps them into its memory: where a parameter ramps it stores single words, each
/// of which a program reads whole, while an update of the entry is copied byte by byte on some CPUs.
#[map]
pub static INJ_RULES: Array<Rule> = Array::with_max_entries(RULE_SLOTS, BPF_F_MMAPABLE);

/// What rules remember, by rule id.
#[map]
pub static INJ_STATE: Array<RuleState> = Array::with_max_entries(RULE_SLOTS, 0);

/// Seen, matched, hit, by rule id.
#[map]
pub static INJ_COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(RULE_SLOTS, 0);

/// Segments that targets sent again, by scope.
#[map]
pub static INJ_RETRANSMITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(SCOPES as u32, 0);

/// Addresses and ports of all filters.
#[map]
pub static INJ_FILTERS: LpmTrie<FilterKey, u32> = LpmTrie::with_max_entries(65_536, 0);

/// Devices that frames are given back to, by the index that stands in the frame.
#[map]
pub static INJ_DEVICES: Array<Device> = Array::with_max_entries(DEVICE_SLOTS as u32, 0);

/// Index in [`INJ_DEVICES`], by interface index.
#[map]
pub static INJ_DEVICE_AT: HashMap<u32, u32> = HashMap::with_max_entries(DEVICE_SLOTS as u32, 0);

/// Interface index of the delay line's TAP; 0 is none. One entry.
#[map]
pub static INJ_TAP: Array<u32> = Array::with_max_entries(1, 0);

/// The programs behind classic filters, by [`tail`]. The kernel empties it with the last descriptor of it.
#[map]
pub static INJ_TAIL: ProgramArray = ProgramArray::with_max_entries(tail::SLOTS, 0);

/// How packets reach targets, by their ends on the wire: the ends as the target's socket has them. The oldest
/// are forgotten first.
#[map]
pub static INJ_FLOWS: LruHashMap<Flow, Flow> = LruHashMap::with_max_entries(2_048, 0);

/// 1 when [`INJ_FLOWS`] has entries, so that no program looks into it in vain. One entry.
#[map]
pub static INJ_FLOWS_KNOWN: Array<u32> = Array::with_max_entries(1, 0);

/// Packets that reached a target and that no rule was asked about, by scope.
#[map]
pub static INJ_UNJUDGED: PerCpuArray<Unjudged> = PerCpuArray::with_max_entries(SCOPES as u32, 0);

/// Scope of each target cgroup, by cgroup id.
#[map]
pub static INJ_CGROUPS: HashMap<u64, u32> = HashMap::with_max_entries(1_024, 0);

/// Target processes, by thread group id. It takes memory for those that are in it: a followed tree may have very
/// many, and nearly none has.
#[map]
pub static INJ_PROCESSES: HashMap<ProcessKey, TargetProcess> =
    HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Where threads sleep; all zero is nowhere. One entry.
#[map]
pub static INJ_PARK: Array<Park> = Array::with_max_entries(1, 0);

/// Who sleeps and until when, by page of the park. It takes memory for those that do.
#[map]
pub static INJ_SLEEPS: HashMap<u32, Sleep> =
    HashMap::with_max_entries(PARK_SLOTS, BPF_F_NO_PREALLOC);

/// Processes of the park's self-test, by thread group id.
#[map]
pub static INJ_TRIALS: HashMap<u32, Trial> = HashMap::with_max_entries(16, 0);

/// Hits, for people who watch.
#[map]
pub static INJ_EVENTS: RingBuf = RingBuf::with_byte_size(1 << 19, 0);

/// Events that found the ring full; one entry.
#[map]
pub static INJ_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Scratch memory of the packet programs, one entry each. They run with bottom halves off
/// (net/core/dev.c, `__dev_queue_xmit` and the receive path, which sockets' filters belong to), so
/// nothing of the same kind can come between on this CPU; and what they put here the verifier forgets the
/// value of, which keeps its work small.
#[map]
pub static INJ_SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(3, 0);

/// Whose scratch memory.
#[derive(Clone, Copy)]
pub enum Owner {
    /// Packets that leave through a device.
    Egress = 0,
    /// Packets that arrive at a device.
    Ingress = 1,
    /// Packets on their way into a socket.
    Deliver = 2,
}

/// This CPU's scratch memory for a program.
#[inline(always)]
pub fn scratch(owner: Owner) -> Option<&'static mut Scratch> {
    // SAFETY: no other program uses the entry while this one runs, see `INJ_SCRATCH`.
    INJ_SCRATCH
        .get_ptr_mut(owner as u32)
        .map(|scratch| unsafe { &mut *scratch })
}

/// The same memory, of which the compiler knows nothing any more. What it would have kept in registers it reads
/// again, and what the verifier reads from a map it takes for any value: it looks at what follows once, and not once
/// for each way that led here.
#[inline(always)]
pub fn forget(scratch: &mut Scratch) -> &mut Scratch {
    core::hint::black_box(scratch)
}

/// See [`INJ_SCRATCH`].
#[repr(C)]
pub struct Scratch {
    /// The packet's headers.
    pub headers: crate::packet::Headers,
    /// The walk over the rules.
    pub walk: crate::rules::Walk,
    /// Whose a packet that arrives is.
    pub arrival: crate::arrival::Arrival,
}

/// Tags of sockets. aya's own type lacks the clone flag that accepted sockets need.
#[btf_map]
pub static INJ_TAGS: SocketStorage<Tag, { (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize }> =
    SocketStorage::NEW;

/// Exchanges on the connections of targets whose operations are watched; an accepted socket inherits none.
#[btf_map]
pub static INJ_EXCHANGES: SocketStorage<Exchange, { BPF_F_NO_PREALLOC as usize }> =
    SocketStorage::NEW;

/// Which operations are told, by scope, as in [`injector_common::operation::watch`].
#[map]
pub static INJ_WATCHED: Array<u32> = Array::with_max_entries(SCOPES as u32, 0);

/// Operations for user space.
#[map]
pub static INJ_OPERATIONS: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

/// Records of operations that found the ring full, and connections that found no memory; one entry.
#[map]
pub static INJ_OPERATIONS_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// What rules on calls have beside their rule, by rule id; in user space's memory too, as [`INJ_RULES`].
#[map]
pub static INJ_CALLS: Array<CallRule> = Array::with_max_entries(RULE_SLOTS, BPF_F_MMAPABLE);

/// At which operations a native system call is decided, by its number.
#[map]
pub static INJ_ACCEPT: Array<Accept> = Array::with_max_entries(SYSCALLS, 0);

/// Where files lie that rules are about.
#[map]
pub static INJ_PATHS: HashMap<PathKey, PathEntry> = HashMap::with_max_entries(4_096, 0);

/// Threads whose call the first of two programs at its place has met, for the second, which is next.
#[map]
pub static INJ_MET: HashMap<u32, u32> = HashMap::with_max_entries(4_096, 0);

/// What the relay says of itself, which it writes from its own memory; one entry.
#[map]
pub static INJ_RELAY: Array<Relay> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The relay's own listeners: a port may be another's by now, and that one's is not sent anything.
#[btf_map]
pub static INJ_LISTENERS: SocketStorage<u32, { BPF_F_NO_PREALLOC as usize }> = SocketStorage::NEW;

/// Where sockets wanted to go that were sent to the relay.
#[btf_map]
pub static INJ_WANTED: SocketStorage<Wanted, { BPF_F_NO_PREALLOC as usize }> = SocketStorage::NEW;

/// The connections to the relay, see [`injector_common::relay::index`]; the relay reads them in its own memory.
#[map]
pub static INJ_RELAYED: Array<Relayed> = Array::with_max_entries(2 * PORTS, BPF_F_MMAPABLE);

/// Calls of a TLS library's functions that have begun, by thread (`bpf_get_current_pid_tgid`). The oldest are forgotten
/// first: a thread may end inside of one.
#[map]
pub static INJ_TLS_CALLS: LruHashMap<u64, TlsCall> = LruHashMap::with_max_entries(4_096, 0);

/// Connections on which a request was seen, and what they speak. The oldest are forgotten first.
#[map]
pub static INJ_SPEAKERS: LruHashMap<ConnectionKey, u32> = LruHashMap::with_max_entries(4_096, 0);

/// What targets read and write, for `observe`.
#[map]
pub static INJ_PLAINTEXT: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

/// Records of it that found the ring full; one entry.
#[map]
pub static INJ_PLAINTEXT_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Which requests are answered in the target's own memory: the ends of their paths, by rule.
#[map]
pub static INJ_PATH_ENDS: HashMap<rewrite::Key, PathEnd> =
    HashMap::with_max_entries(8_192, BPF_F_NO_PREALLOC);

/// What they are answered, by rule.
#[map]
pub static INJ_ANSWERS: HashMap<rewrite::Key, Answer> =
    HashMap::with_max_entries(8_192, BPF_F_NO_PREALLOC);

/// The number of the first answer of the generation that is in use; one entry.
#[map]
pub static INJ_GENERATION: Array<u32> = Array::with_max_entries(1, 0);

/// Connections that wait for the answer to such a request. The oldest are forgotten first.
#[map]
pub static INJ_ARMED: LruHashMap<ConnectionKey, Armed> = LruHashMap::with_max_entries(4_096, 0);

/// Calls of a TLS library's functions that have begun, by thread, as [`INJ_TLS_CALLS`].
#[map]
pub static INJ_REWRITE_CALLS: LruHashMap<u64, rewrite::Call> =
    LruHashMap::with_max_entries(4_096, 0);

/// Requests and answers that are looked at, by thread.
#[map]
pub static INJ_REWRITES: HashMap<u32, crate::rewrite::Rewrite> = HashMap::with_max_entries(512, 0);

/// Hits whose answer did not fit, so that only its status was changed; by rule id.
#[map]
pub static INJ_DEGRADED: PerCpuArray<u64> = PerCpuArray::with_max_entries(RULE_SLOTS, 0);

/// Connections that begin HTTP/2, whose requests are not read; by scope.
#[map]
pub static INJ_UNREADABLE: PerCpuArray<u64> = PerCpuArray::with_max_entries(SCOPES as u32, 0);

/// How often the self-test of probes in user space was met: at the entry by the first thread and by another, and at
/// the return likewise.
#[map]
pub static INJ_PROBE_TRIAL: Array<u64> = Array::with_max_entries(4, 0);

/// Damage in the making, by thread.
#[map]
pub static INJ_DAMAGES: HashMap<u32, crate::trace::Damage> = HashMap::with_max_entries(1_024, 0);

/// Vectors that are cut, by thread.
#[map]
pub static INJ_VECTORS: HashMap<u32, crate::short::Vector> = HashMap::with_max_entries(1_024, 0);

/// 1 for each rule that lets no program start after a kill, once the rule has killed; by rule id.
#[map]
pub static INJ_KILLED: Array<u32> = Array::with_max_entries(RULE_SLOTS, 0);

/// Calls on their way through the rules, by thread.
#[map]
pub static INJ_WALKS: HashMap<u32, crate::calls::Walk> = HashMap::with_max_entries(2_048, 0);

/// Programs of targets that are running now and may sleep; one entry.
#[map]
pub static INJ_IN_FLIGHT: Array<u64> = Array::with_max_entries(1, 0);

/// What is left to do in a call, by thread.
#[map]
pub static INJ_PENDING: HashMap<u32, Pending> =
    HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Levels of the hierarchy at which a target's cgroup lies, one bit each.
#[unsafe(no_mangle)]
pub static CGROUP_LEVELS: Global<u32> = Global::new(0);
/// 1 where a target is a process.
#[unsafe(no_mangle)]
pub static PROCESS_TARGETS: Global<u32> = Global::new(0);
/// The injector's own process, which no fault on calls meets.
#[unsafe(no_mangle)]
pub static OWN_TGID: Global<u32> = Global::new(0);

// Offsets into kernel structs, from the host's own BTF; constants once loaded.

/// `task_struct::tgid`.
#[unsafe(no_mangle)]
pub static OFFSET_TGID: Global<u32> = Global::new(0);
/// `task_struct::group_leader`.
#[unsafe(no_mangle)]
pub static OFFSET_LEADER: Global<u32> = Global::new(0);
/// `task_struct::start_boottime`.
#[unsafe(no_mangle)]
pub static OFFSET_START: Global<u32> = Global::new(0);
/// `task_struct::signal`.
#[unsafe(no_mangle)]
pub static OFFSET_SIGNAL: Global<u32> = Global::new(0);
/// `signal_struct::live`.
#[unsafe(no_mangle)]
pub static OFFSET_LIVE: Global<u32> = Global::new(0);

/// `task_struct::flags`.
#[unsafe(no_mangle)]
pub static OFFSET_TASK_FLAGS: Global<u32> = Global::new(0);
/// `thread_info::status`, from the task's beginning.
#[unsafe(no_mangle)]
pub static OFFSET_THREAD_STATUS: Global<u32> = Global::new(0);
/// `task_struct::cred`.
#[unsafe(no_mangle)]
pub static OFFSET_CRED: Global<u32> = Global::new(0);
/// `task_struct::real_cred`.
#[unsafe(no_mangle)]
pub static OFFSET_REAL_CRED: Global<u32> = Global::new(0);
/// `task_struct::comm`.
#[unsafe(no_mangle)]
pub static OFFSET_COMM: Global<u32> = Global::new(0);
/// `task_struct::files`.
#[unsafe(no_mangle)]
pub static OFFSET_FILES: Global<u32> = Global::new(0);
/// `files_struct::fdt`.
#[unsafe(no_mangle)]
pub static OFFSET_FDT: Global<u32> = Global::new(0);
/// `fdtable::max_fds`.
#[unsafe(no_mangle)]
pub static OFFSET_FDT_MAX: Global<u32> = Global::new(0);
/// `fdtable::fd`.
#[unsafe(no_mangle)]
pub static OFFSET_FDT_FD: Global<u32> = Global::new(0);
/// `file::f_path.dentry`.
#[unsafe(no_mangle)]
pub static OFFSET_FILE_DENTRY: Global<u32> = Global::new(0);
/// `file::f_inode`.
#[unsafe(no_mangle)]
pub static OFFSET_FILE_INODE: Global<u32> = Global::new(0);
/// `file::private_data`.
#[unsafe(no_mangle)]
pub static OFFSET_FILE_PRIVATE: Global<u32> = Global::new(0);
/// `path::dentry`.
#[unsafe(no_mangle)]
pub static OFFSET_PATH_DENTRY: Global<u32> = Global::new(0);
/// `dentry::d_inode`.
#[unsafe(no_mangle)]
pub static OFFSET_DENTRY_INODE: Global<u32> = Global::new(0);
/// `dentry::d_parent`.
#[unsafe(no_mangle)]
pub static OFFSET_DENTRY_PARENT: Global<u32> = Global::new(0);
/// `dentry::d_name`.
#[unsafe(no_mangle)]
pub static OFFSET_DENTRY_NAME: Global<u32> = Global::new(0);
/// `inode::i_ino`.
#[unsafe(no_mangle)]
pub static OFFSET_INODE_INO: Global<u32> = Global::new(0);
/// `inode::i_mode`.
#[unsafe(no_mangle)]
pub static OFFSET_INODE_MODE: Global<u32> = Global::new(0);
/// `inode::i_op`.
#[unsafe(no_mangle)]
pub static OFFSET_INODE_OP: Global<u32> = Global::new(0);
/// `inode_operations::atomic_open`.
#[unsafe(no_mangle)]
pub static OFFSET_ATOMIC_OPEN: Global<u32> = Global::new(0);
/// `inode::i_sb`.
#[unsafe(no_mangle)]
pub static OFFSET_INODE_SB: Global<u32> = Global::new(0);
/// `super_block::s_dev`.
#[unsafe(no_mangle)]
pub static OFFSET_SB_DEV: Global<u32> = Global::new(0);
/// `socket::file`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCKET_FILE: Global<u32> = Global::new(0);
/// `socket::sk`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCKET_SK: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_family`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_FAMILY: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_dport`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_PORT: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_daddr`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_V4: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_v6_daddr`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_V6: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_rcv_saddr`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_OWN_V4: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_v6_rcv_saddr`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_OWN_V6: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_num`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_OWN_PORT: Global<u32> = Global::new(0);
/// `sock::__sk_common.skc_state`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_STATE: Global<u32> = Global::new(0);
/// `sock::sk_err`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_ERROR: Global<u32> = Global::new(0);
/// `sock::sk_shutdown`.
#[unsafe(no_mangle)]
pub static OFFSET_SOCK_SHUTDOWN: Global<u32> = Global::new(0);
/// `tcp_sock::rcv_nxt`.
#[unsafe(no_mangle)]
pub static OFFSET_TCP_RECEIVED: Global<u32> = Global::new(0);
/// `tcp_sock::copied_seq`.
#[unsafe(no_mangle)]
pub static OFFSET_TCP_COPIED: Global<u32> = Global::new(0);
/// `tcp_sock::write_seq`.
#[unsafe(no_mangle)]
pub static OFFSET_TCP_WRITTEN: Global<u32> = Global::new(0);
/// `tcp_sock::snd_una`.
#[unsafe(no_mangle)]
pub static OFFSET_TCP_UNACKED: Global<u32> = Global::new(0);
/// `tcp_sock::tcp_mstamp`.
#[unsafe(no_mangle)]
pub static OFFSET_TCP_STAMP: Global<u32> = Global::new(0);
/// `msghdr::msg_name`.
#[unsafe(no_mangle)]
pub static OFFSET_MESSAGE_NAME: Global<u32> = Global::new(0);
/// `linux_binprm::file`.
#[unsafe(no_mangle)]
pub static OFFSET_BPRM_FILE: Global<u32> = Global::new(0);

/// The walk of each thread that connects just now.
///
/// Not on the stack, where the verifier follows every value and looks at hundreds of thousands of
/// combinations, and not one for each CPU: a connecting thread may be preempted by another.
#[map]
pub static INJ_CONNECTING: HashMap<u64, crate::rules::Walk> = HashMap::with_max_entries(1_024, 0);

/// 1 where the kernel has the functions that the park calls; a constant once loaded.
#[unsafe(no_mangle)]
pub static PARK_AVAILABLE: Global<u32> = Global::new(0);
