//! Answers that are put into a target's own memory where it reads from a TLS library: which requests they are for, and
//! what they say.
//!
//! Everything that can be decided before is decided by user space: a rule's paths are given by their ends, each with the
//! number of the answer that is made up for it. A program compares the end of a request's path with them, and copies.
//!
//! Rejected: patterns of any shape. A walk over a pattern for each byte of a path runs in the target's thread; ends are
//! compared eight bytes at a time, and those of all known APIs are ends.

use crate::RuleId;

/// The most bytes of a path's end that are compared. A multiple of eight.
pub const END: usize = 64;

/// The most ends of one rule: those of all known APIs, and those of the paths that a person names.
pub const ENDS: u32 = 32;

/// Numbers of one generation of answers. Those in use stand in one and are made anew in the other: an entry that is replaced
/// may be another's at once (`kernel/bpf/hashtab.c` since 6.1, `bpf_mem_cache_free`), and a program may be reading it.
pub const GENERATION: u32 = 64;

/// The most bytes of an answer: two pages at most have to be there, the one of its first byte, which the library has just
/// written, and the one of its last, which is tried first. A power of two.
pub const ANSWER: usize = 2_048;

/// Bytes of the beginning of a request, or of the answer to it, that are looked at. A power of two.
pub const HEAD: usize = 1_024;

/// Places of the length of a body in the head of an answer, so many digits with blanks in front.
pub const DIGITS: usize = 5;

/// The most bytes that are put behind an answer to fill a read.
pub const PADDING: u64 = 20_480;

/// Of which rule, and which of its ends or answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    /// The rule.
    pub rule: RuleId,
    /// The number, from 0.
    pub number: u32,
}

/// The end of a path, as words of eight bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathEnd {
    /// Its bytes, the last of them last, zeros in front.
    pub bytes: [u64; END / 8],
    /// Ones where it has bytes.
    pub mask: [u64; END / 8],
    /// How many it has.
    pub length: u32,
    /// 1 where a path must be as long: it is a whole one.
    pub is_whole: u32,
    /// The answer to such a request; [`NO_ANSWER`] where none can be made up.
    pub answer: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
}

/// A request that is meant and cannot be answered.
pub const NO_ANSWER: u32 = u32::MAX;

impl PathEnd {
    /// The end of these bytes, to which this is the answer; `None` where they are none or too many.
    pub fn new(end: &[u8], is_whole: bool, answer: u32) -> Option<Self> {
        if end.is_empty() || end.len() > END {
            return None;
        }
        let (mut bytes, mut mask) = ([0; END], [0; END]);
        bytes[END - end.len()..].copy_from_slice(end);
        mask[END - end.len()..].fill(0xff);
        Some(Self {
            bytes: words(&bytes),
            mask: words(&mask),
            length: u32::try_from(end.len()).ok()?,
            is_whole: u32::from(is_whole),
            answer,
            pad: 0,
        })
    }

    /// Whether a path of this length ends so; `last` is what stands last in it, and whatever stands before.
    #[inline(always)]
    pub const fn is_of(&self, last: &[u64; END / 8], length: u32) -> bool {
        if length < self.length || self.is_whole != 0 && length != self.length {
            return false;
        }
        let mut differs = 0;
        let mut word = 0;
        while word < END / 8 {
            differs |= (last[word] ^ self.bytes[word]) & self.mask[word];
            word += 1;
        }
        differs == 0
    }
}

/// Bytes as words, as they lie in memory.
fn words(bytes: &[u8; END]) -> [u64; END / 8] {
    let mut words = [0; END / 8];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.try_into().map_or(0, u64::from_ne_bytes);
    }
    words
}

/// An answer, whole: head and body.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many bytes it has.
    pub length: u32,
    /// How many of them are its head.
    pub head: u32,
    /// Where in the head the [`DIGITS`] of the body's length stand.
    pub digits_at: u32,
    /// 1 where the answer of the next number is the same as a stream, for requests that are answered by one.
    pub has_stream: u32,
    /// The digits of its status, where those alone say something in another answer's head; else zeros.
    pub status: [u8; 4],
    /// 1 where nothing may stand behind it: its body is lines, and an empty one would be none of them.
    pub is_exact: u32,
    /// All of it, and zeros behind.
    pub bytes: [u8; ANSWER],
}

/// A request that is to be answered: it waits for the first read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed {
    /// The rule, and the number of its answer within a generation.
    pub key: Key,
    /// When the process was started, in ticks: another may get its number.
    pub start_ticks: u64,
}

/// A thread's call of a function of a TLS library, between its beginning and its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The address of the `SSL`.
    pub ssl: u64,
    /// The caller's buffer.
    pub buffer: u64,
    /// How many bytes it has room for, or has to write.
    pub room: u64,
    /// Where the function puts how many bytes passed; 0 where it returns them.
    pub count: u64,
    /// One of [`crate::plaintext::function`].
    pub function: u64,
}

const _: () = assert!(ANSWER.is_power_of_two() && ANSWER <= 4_096 && HEAD.is_power_of_two());
const _: () = assert!(size_of::<PathEnd>() == 2 * END + 16);
const _: () = assert!(size_of::<Answer>() == 24 + ANSWER);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a program reads of a path: its last bytes, with something else in front.
    fn last(path: &str) -> [u64; END / 8] {
        let mut bytes = [b'x'; END];
        let path = path.as_bytes();
        let shown = &path[path.len().saturating_sub(END)..];
        bytes[END - shown.len()..].copy_from_slice(shown);
        words(&bytes)
    }

    fn is_of(end: &str, is_whole: bool, path: &str) -> bool {
        let end = PathEnd::new(end.as_bytes(), is_whole, 0).unwrap();
        end.is_of(&last(path), u32::try_from(path.len()).unwrap())
    }

    #[test]
    fn what_cannot_be_compared_is_no_end() {
        assert_eq!(PathEnd::new(b"", false, 0), None);
        assert_eq!(PathEnd::new(&[b'a'; END + 1], false, 0), None);
        assert!(PathEnd::new(&[b'a'; END], false, 0).is_some());
    }

    #[test]
    fn what_stands_in_front_of_a_short_path_is_no_part_of_it() {
        assert!(!is_of("x/a", false, "/a"));
        assert!(is_of("/a", true, "/a"));
        assert!(!is_of("/a", true, "/b/a"));
    }

    proptest! {
        #[test]
        fn an_end_is_compared_as_text_is(end in "[a-c/]{1,64}", path in "[a-c/]{1,90}") {
            prop_assert_eq!(is_of(&end, false, &path), path.ends_with(&end));
            prop_assert_eq!(is_of(&end, true, &path), path == end);
        }

        #[test]
        fn each_path_ends_with_its_ends(path in "[ -~]{1,90}", cut in 0usize..90) {
            let cut = cut.min(path.len() - 1).max(path.len().saturating_sub(END));
            prop_assert!(is_of(&path[cut..], false, &path));
        }
    }
}
