//! Names and places: does a file lie where a rule says, does a name match a pattern?
//!
//! Where a file lies is asked of inodes and not of text: from the file up to the root of its file
//! system, each directory is looked up in the table of paths. So relative paths, symbolic links and bind
//! mounts make no difference, and neither does the length of a path.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_loop};
use injector_common::{
    RuleId,
    call::{CallRule, DEPTH, MOST_TWINS, Meets, NAME, PathEntry, PathKey, THREAD_NAME, reach},
    glob,
};

use crate::{
    maps::{
        INJ_PATHS, OFFSET_COMM, OFFSET_DENTRY_INODE, OFFSET_DENTRY_NAME, OFFSET_DENTRY_PARENT,
        OFFSET_INODE_INO, OFFSET_INODE_SB, OFFSET_SB_DEV,
    },
    subject::read,
};

/// The way up from a file. It lies in the map entry of a walk, see [`crate::calls`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Climb {
    /// Room for a look at a name.
    comparison: Comparison,
    /// The directory entry that the climb has come to.
    at: u64,
    /// The one that it began at.
    from: u64,
    rule: RuleId,
    level: u32,
    is_found: u32,
    /// Which entry of the inode is looked at.
    nth: u32,
}

impl Climb {
    /// One that has not begun.
    pub const NOWHERE: Self = Self {
        comparison: Comparison::NOTHING,
        at: 0,
        from: 0,
        rule: 0,
        level: 0,
        is_found: 0,
        nth: 0,
    };
}

/// Whether a directory entry lies where the rule says.
#[inline(always)]
pub fn lies_in(climb: &mut Climb, rule: RuleId, dentry: u64) -> bool {
    if dentry == 0 {
        return false;
    }
    climb.at = dentry;
    climb.from = dentry;
    climb.rule = rule;
    climb.level = 0;
    climb.is_found = 0;
    climb.nth = 0;
    let mut context: *mut Climb = climb;
    // SAFETY: the callback has the signature that the helper asks for, and the context outlives the call.
    unsafe {
        bpf_loop(
            DEPTH + MOST_TWINS,
            climb_one as *mut _,
            (&raw mut context).cast(),
            0,
        );
        (*context).is_found != 0
    }
}

/// One look at an inode, and a step up behind its last entry: 0 goes on, 1 ends it.
extern "C" fn climb_one(_: u32, context: *mut *mut Climb) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `lies_in` gave it.
    let climb = unsafe { &mut **context };
    let inode: u64 = read(climb.at + u64::from(OFFSET_DENTRY_INODE.load()));
    if inode != 0 {
        match look(climb, inode) {
            Look::Found => {
                climb.is_found = 1;
                return 1;
            }
            Look::Again => {
                climb.nth += 1;
                return 0;
            }
            Look::Up => {}
        }
    }
    climb.nth = 0;
    let parent: u64 = read(climb.at + u64::from(OFFSET_DENTRY_PARENT.load()));
    // The root of a file system is its own parent.
    if parent == climb.at || parent == 0 {
        return 1;
    }
    climb.at = parent;
    climb.level += 1;
    0
}

/// What a look at an inode's entry came to.
enum Look {
    /// The file is meant.
    Found,
    /// The inode has another entry.
    Again,
    /// It has not.
    Up,
}

#[inline(always)]
fn look(climb: &mut Climb, inode: u64) -> Look {
    let super_block: u64 = read(inode + u64::from(OFFSET_INODE_SB.load()));
    let key = PathKey::new(
        climb.rule,
        read(super_block + u64::from(OFFSET_SB_DEV.load())),
        read(inode + u64::from(OFFSET_INODE_INO.load())),
        climb.nth,
    );
    // SAFETY: values are written before the run is armed, and whole where a target's places change later.
    let Some(entry) = (unsafe { INJ_PATHS.get(key) }) else {
        return Look::Up;
    };
    let is_meant = match entry.meets(climb.level) {
        Meets::No => false,
        Meets::Yes => true,
        Meets::ByName => has_name(&mut climb.comparison, entry, climb.from),
    };
    if is_meant {
        Look::Found
    } else if entry.reach & reach::MORE != 0 {
        Look::Again
    } else {
        Look::Up
    }
}

/// Whether the last component of a directory entry matches an entry's pattern.
#[inline(always)]
fn has_name(comparison: &mut Comparison, entry: &PathEntry, dentry: u64) -> bool {
    /// `struct qstr` is hash and length, then the pointer (include/linux/dcache.h).
    const QSTR_LENGTH: u64 = 4;
    const QSTR_NAME: u64 = 8;
    let qstr = dentry + u64::from(OFFSET_DENTRY_NAME.load());
    *comparison = Comparison {
        name: read(qstr + QSTR_NAME),
        name_length: read(qstr + QSTR_LENGTH),
        pattern: core::ptr::from_ref(&entry.name) as u64,
        pattern_length: entry.name_length.min(NAME as u32),
        walk: glob::Walk::START,
        is_match: 0,
        pad: 0,
    };
    matches(comparison)
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
            glob::steps(NAME, LONGEST_NAME),
            compare_one as *mut _,
            (&raw mut context).cast(),
            0,
        );
        (*context).is_match != 0
    }
}

/// `NAME_MAX` (include/uapi/linux/limits.h).
const LONGEST_NAME: usize = 255;

/// One step of the comparison: 0 goes on, 1 ends it.
extern "C" fn compare_one(_: u32, context: *mut *mut Comparison) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `matches` gave it.
    let comparison = unsafe { &mut **context };
    let (at, wanted) = (comparison.walk.name_at, comparison.walk.pattern_at);
    let byte = if at < comparison.name_length {
        let byte: u8 = read(comparison.name + u64::from(at));
        (byte != 0).then_some(byte)
    } else {
        None
    };
    let pattern = if wanted < comparison.pattern_length && wanted < NAME as u32 {
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
