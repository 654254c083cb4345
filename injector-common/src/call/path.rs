//! Files that rules are about, and how a file is found among them.

use crate::RuleId;

/// Key of the table of paths: a rule and an inode, as the kernel names it (`super_block::s_dev`,
/// `inode::i_ino`, which `/proc/PID/fdinfo` shows too).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathKey {
    /// Inode number.
    pub inode: u64,
    /// Device of the file system.
    pub device: u32,
    /// The rule.
    pub rule: u16,
    /// Which of the inode's entries, from 0 on; all but the last have [`reach::MORE`].
    pub nth: u16,
}

impl PathKey {
    /// The key of an inode's `nth` entry.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rules are fewer than 65 536, entries of an inode at most `MOST_TWINS`"
    )]
    pub const fn new(rule: RuleId, device: u32, inode: u64, nth: u32) -> Self {
        Self {
            inode,
            device,
            rule: rule as u16,
            nth: nth as u16,
        }
    }
}

/// What of an inode in the table of paths matches.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathEntry {
    /// Bits of [`reach`].
    pub reach: u32,
    /// Length of `name`; 0 is any name.
    pub name_length: u32,
    /// Pattern of the last component, see [`crate::glob`].
    pub name: [u8; NAME],
}

/// What an entry says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// It is not meant.
    No,
    /// It is meant, whatever its name.
    Yes,
    /// It is meant if its name matches the entry's.
    ByName,
}

impl PathEntry {
    /// What the entry says about a file that lies `level` levels below the entry's inode; 0 is the inode itself.
    #[inline(always)]
    pub const fn meets(&self, level: u32) -> Meets {
        let wanted = match level {
            0 => reach::ITSELF,
            1 => reach::CHILDREN | reach::BELOW,
            _ => reach::BELOW,
        };
        if self.reach & wanted == 0 {
            Meets::No
        } else if level == 0 || self.name_length == 0 {
            Meets::Yes
        } else {
            Meets::ByName
        }
    }
}

/// Longest pattern of a file's name.
pub const NAME: usize = 64;

/// Bits of [`PathEntry::reach`].
pub mod reach {
    /// The inode itself.
    pub const ITSELF: u32 = 1;
    /// What lies directly in it, if its name matches.
    pub const CHILDREN: u32 = 2;
    /// What lies anywhere below it, if its name matches.
    pub const BELOW: u32 = 4;
    /// The same inode has another entry.
    pub const MORE: u32 = 8;
}

/// How many directories above a file are looked at; deeper trees are refused by the planner.
pub const DEPTH: u32 = 128;

/// How many entries the inodes of a rule may have beyond one each: as often a climb looks at an inode again.
pub const MOST_TWINS: u32 = 64;
