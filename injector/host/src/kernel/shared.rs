//! A table of records in this process's memory, to change what programs read while they read it.
//!
//! An update of a map's entry is a `memcpy` in the kernel (kernel/bpf/arraymap.c, `array_map_update_elem`), which
//! copies byte by byte where the CPU says that it is quick at that: a program may read half of a number. Here each
//! word of eight bytes that differs is stored whole, and the others are left alone.
//!
//! Rejected: a lock in the record (`bpf_spin_lock`), which every packet and call would take; and two records with an
//! index, which every packet and call would look up.

use std::{
    marker::PhantomData,
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use injector_common::{
    RuleId,
    call::{CallRule, REMOTES, RemoteFilter, SYSCALLS, THREAD_NAME},
    rule::Rule,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Error;

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// A record that is nothing but words: its size is a multiple of theirs, its alignment theirs, and it has no padding.
///
/// # Safety
///
/// All of that must hold.
// SAFETY: the trait has no code of its own; each `impl` argues what is above.
pub(super) unsafe trait Words: Copy {}

// SAFETY: `repr(C)` with fields that follow each other without a gap, which the sums below would not find equal.
unsafe impl Words for Rule {}
const _: () = assert!(size_of::<Rule>() == 12 * 4 + 3 * 8 + 2 * 8 && align_of::<Rule>() == WORD);

// SAFETY: the same.
unsafe impl Words for CallRule {}
const _: () = assert!(
    size_of::<CallRule>()
        == SYSCALLS as usize / 8
            + 4 * 8
            + 8 * 4
            + THREAD_NAME
            + REMOTES * size_of::<RemoteFilter>()
        && align_of::<CallRule>() == WORD
);
// A far end has no gap either.
const _: () = assert!(size_of::<RemoteFilter>() == 4 * 8 + 4 * 4);

/// The records of a map by the number of their rule.
pub(super) struct Shared<T> {
    name: &'static str,
    map: OwnedFd,
    /// How many the map has.
    records: usize,
    /// From the first change on: most runs never change a record.
    mapping: Option<Mapping>,
    holds: PhantomData<T>,
}

/// Words of this process's memory that are the map's.
pub(super) struct Mapping {
    words: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: it owns its memory, and all access to it is atomic.
unsafe impl Send for Mapping {}

impl<T: Words> Shared<T> {
    /// The records of a map that was made for it (`BPF_F_MMAPABLE`).
    pub(super) const fn of(map: OwnedFd, records: usize, name: &'static str) -> Self {
        Self {
            name,
            map,
            records,
            mapping: None,
            holds: PhantomData,
        }
    }

    /// Stores each word of a record that differs from what `change` makes of it. A number that the map does not have
    /// changes nothing.
    pub(super) fn change(&mut self, id: RuleId, change: impl FnOnce(T) -> T) -> Result<(), Error> {
        let words = size_of::<T>() / WORD;
        let mapping = match &mut self.mapping {
            Some(mapping) => mapping,
            none => none.insert(Mapping::of(
                &self.map,
                self.records * size_of::<T>(),
                ProtFlags::READ | ProtFlags::WRITE,
                self.name,
            )?),
        };
        let record = id as usize;
        if record >= self.records {
            return Ok(());
        }
        let table = mapping.words(record * words, words);
        let now: Vec<u64> = table
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect();
        // SAFETY: as many words as the record has, of which every pattern is one, and aligned as words are.
        let record = change(unsafe { now.as_ptr().cast::<T>().read() });
        // SAFETY: the record is nothing but words, see `Words`, and lives until the end of this function.
        let wanted =
            unsafe { std::slice::from_raw_parts((&raw const record).cast::<u64>(), words) };
        for ((word, now), wanted) in table.iter().zip(now).zip(wanted) {
            if now != *wanted {
                word.store(*wanted, Ordering::Release);
            }
        }
        Ok(())
    }
}

impl Mapping {
    /// So many bytes of the map, to be read or changed.
    pub(super) fn of(
        map: &OwnedFd,
        bytes: usize,
        access: ProtFlags,
        name: &'static str,
    ) -> Result<Self, Error> {
        let failed = |why: String| Error::Map {
            map: name,
            what: "map into memory",
            why,
        };
        // SAFETY: a new mapping where the kernel finds room; nothing else of this process lies there.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                access,
                MapFlags::SHARED,
                map,
                0,
            )
        };
        let start = start.map_err(|errno| failed(errno.to_string()))?;
        let words = NonNull::new(start.cast()).ok_or_else(|| failed("it lies nowhere".into()))?;
        Ok(Self { words, bytes })
    }

    /// So many words from this one on; what is outside is left out.
    pub(super) fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        let all = self.bytes / WORD;
        // SAFETY: as many words as were mapped, for as long as this lives; programs in the kernel only read them.
        let words = unsafe { std::slice::from_raw_parts(self.words.as_ptr(), all) };
        words.get(first..first + count).unwrap_or_default()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the memory is this one's, and no reference into it outlives it.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use injector_common::threshold::Threshold;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    /// A file in memory stands for the map: both are memory that others see.
    #[test]
    fn a_change_is_seen_by_others_and_leaves_the_rest_alone() {
        let file = memfd_create("rules", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 3 * size_of::<Rule>() as u64).unwrap();
        let copy = file.as_fd().try_clone_to_owned().unwrap();
        let mut shared: Shared<Rule> = Shared::of(file, 3, "rules");
        let wanted = Rule {
            action: 5,
            percent: Threshold(77),
            seed: 1 << 40,
            ..Rule::default()
        };
        shared.change(1, |_| wanted).unwrap();
        shared
            .change(1, |now| Rule {
                correlation: Threshold(9),
                ..now
            })
            .unwrap();
        // There is no such record.
        shared.change(3, |_| wanted).unwrap();
        let mut others: Shared<Rule> = Shared::of(copy, 3, "rules");
        let mut seen = Vec::new();
        for id in 0..3 {
            others
                .change(id, |now| {
                    seen.push(now);
                    now
                })
                .unwrap();
        }
        let changed = Rule {
            correlation: Threshold(9),
            ..wanted
        };
        let untouched = |rule: &Rule| rule.action == 0 && rule.percent.0 == 0 && rule.seed == 0;
        assert_eq!(seen[1], changed);
        assert!(untouched(&seen[0]) && untouched(&seen[2]), "{seen:?}");
    }

    #[test]
    fn what_cannot_be_mapped_is_told() {
        let file = memfd_create("empty", MemfdFlags::CLOEXEC).unwrap();
        let mut shared: Shared<Rule> = Shared::of(file, 0, "INJ_RULES");
        let error = shared.change(0, |now| now).unwrap_err().to_string();
        assert!(error.contains("INJ_RULES"), "{error}");
    }
}
