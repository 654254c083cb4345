//! Where the fields of kernel structs are, from the kernel's own type information.
//!
//! Rust's BPF target has no CO-RE relocations, so the offsets are looked up here and handed to the
//! programs as frozen globals; the verifier then checks each access against the same types. aya's
//! parser keeps members to itself, so the few record kinds that matter are walked here
//! (Documentation/bpf/btf.rst).

use std::collections::HashMap;

use super::Error;

/// The kernel's types.
pub struct Btf {
    data: Vec<u8>,
    /// Offset of each type's record, by type id; id 0 is `void` and has none.
    types: Vec<usize>,
    strings: usize,
    /// Ids of structs, by name.
    structs: HashMap<String, Vec<usize>>,
}

const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// The longest chain of modifiers that is followed.
const MOST_MODIFIERS: usize = 32;
/// The deepest that anonymous structs and unions are followed into each other; real ones stop at four.
const DEEPEST: u32 = 16;
/// The most members that are looked at for one field; the kernel's largest struct has some hundred.
const MOST_MEMBERS: u32 = 1 << 16;
/// typedef, volatile, const, restrict, type tag: they stand in front of another type.
const MODIFIERS: [u32; 5] = [8, 9, 10, 11, 18];

impl Btf {
    /// Reads the running kernel's types.
    pub fn vmlinux() -> Result<Self, Error> {
        let data = std::fs::read("/sys/kernel/btf/vmlinux")
            .map_err(|error| Error::Btf(error.to_string()))?;
        Self::parse(data).ok_or_else(|| Error::Btf("it is not well-formed".into()))
    }

    /// Reads types from these bytes; `None` where they are not well-formed.
    pub fn parse(data: Vec<u8>) -> Option<Self> {
        let header = usize::try_from(u32_at(&data, 4)?).ok()?;
        let field = |at| Some(header + usize::try_from(u32_at(&data, at)?).ok()?);
        let (start, strings) = (field(8)?, field(16)?);
        let end = start + usize::try_from(u32_at(&data, 12)?).ok()?;
        let mut types = vec![0];
        let mut at = start;
        while at < end {
            types.push(at);
            let info = u32_at(&data, at + 4)?;
            let members = usize::try_from(info & 0xffff).ok()?;
            at += 12
                + match info >> 24 & 31 {
                    1 | 14 | 17 => 4,
                    3 => 12,
                    STRUCT | UNION | 15 | 19 => 12 * members,
                    6 | 13 => 8 * members,
                    _ => 0,
                };
        }
        let mut parsed = Self {
            data,
            types,
            strings,
            structs: HashMap::new(),
        };
        parsed.structs = parsed.by_name();
        Some(parsed)
    }

    /// The structs that have a name. Two may share one.
    fn by_name(&self) -> HashMap<String, Vec<usize>> {
        let mut structs = HashMap::<String, Vec<usize>>::new();
        for id in 1..self.types.len() {
            if self.kind(id) == Some(STRUCT)
                && let Some(name) = self.name(id)
            {
                structs.entry(name.to_owned()).or_default().push(id);
            }
        }
        structs
    }

    /// Byte offset of a struct's field; members of anonymous structs and unions count as its own. A field
    /// of a field that is a struct itself is `a.b`.
    pub fn offset(&self, type_name: &str, field: &str) -> Result<u32, Error> {
        self.structs
            .get(type_name)
            .into_iter()
            .flatten()
            .find_map(|id| self.path(*id, field))
            .ok_or_else(|| Error::Btf(format!("there is no {type_name}::{field}")))
    }

    fn path(&self, id: usize, path: &str) -> Option<u32> {
        let Some((first, rest)) = path.split_once('.') else {
            return self.search(id, path).map(|(offset, _)| offset);
        };
        let (offset, inner) = self.search(id, first)?;
        offset.checked_add(self.path(self.unmodified(inner)?, rest)?)
    }

    /// Offset and type of a member.
    fn search(&self, id: usize, wanted: &str) -> Option<(u32, u32)> {
        let mut left = MOST_MEMBERS;
        self.member(id, wanted, DEEPEST, &mut left)
    }

    /// Damaged data may have a struct inside itself, or many in many, so depth and effort have an end.
    fn member(&self, id: usize, wanted: &str, depth: u32, left: &mut u32) -> Option<(u32, u32)> {
        let depth = depth.checked_sub(1)?;
        let record = *self.types.get(id)?;
        let info = u32_at(&self.data, record + 4)?;
        if ![STRUCT, UNION].contains(&(info >> 24 & 31)) {
            return None;
        }
        // With the kind flag set, the upper byte of a member's offset is its bitfield size.
        let mask = if info >> 31 == 0 {
            u32::MAX
        } else {
            0x00ff_ffff
        };
        (0..usize::try_from(info & 0xffff).ok()?).find_map(|index| {
            *left = left.checked_sub(1)?;
            let member = record + 12 + 12 * index;
            let name = u32_at(&self.data, member)?;
            let offset = (u32_at(&self.data, member + 8)? & mask) / 8;
            if self.string(name)? == wanted {
                return Some((offset, u32_at(&self.data, member + 4)?));
            }
            if name != 0 {
                return None;
            }
            let inner = self.unmodified(u32_at(&self.data, member + 4)?)?;
            let (within, kind) = self.member(inner, wanted, depth, left)?;
            Some((offset.checked_add(within)?, kind))
        })
    }

    fn unmodified(&self, id: u32) -> Option<usize> {
        let mut id = usize::try_from(id).ok()?;
        // Real chains have three or four; damaged data may have a circle.
        for _ in 0..MOST_MODIFIERS {
            if !MODIFIERS.contains(&self.kind(id)?) {
                return Some(id);
            }
            id = usize::try_from(u32_at(&self.data, self.types[id] + 8)?).ok()?;
        }
        None
    }

    fn kind(&self, id: usize) -> Option<u32> {
        Some(u32_at(&self.data, self.types.get(id)? + 4)? >> 24 & 31)
    }

    fn name(&self, id: usize) -> Option<&str> {
        self.string(u32_at(&self.data, *self.types.get(id)?)?)
    }

    fn string(&self, at: u32) -> Option<&str> {
        let bytes = self.data.get(self.strings + usize::try_from(at).ok()?..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&bytes[..end]).ok()
    }
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; struct { long b; }; }` by hand.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0b\0";
        let mut types = Vec::new();
        let mut push = |words: &[u32]| {
            types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        push(&[1, 1 << 24, 4, 32]); // id 1: int
        push(&[0, STRUCT << 24 | 1, 8, 13, 1, 0]); // id 2: anonymous, member b
        push(&[5, STRUCT << 24 | 2, 16, 11, 1, 0, 0, 2, 64]); // id 3: outer, a and the anonymous one
        let length = u32::try_from(types.len()).unwrap();
        let header = [0xeb9f_u32 | 1 << 16, 24, 0, length, length, 15];
        let mut data: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn finds_members_and_members_of_anonymous_members() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.offset("outer", "a").unwrap(), 0);
        assert_eq!(btf.offset("outer", "b").unwrap(), 8);
        assert!(btf.offset("outer", "a.b").is_err());
        assert!(btf.offset("outer", "c").is_err());
        assert!(btf.offset("inner", "a").is_err());
    }

    #[test]
    fn a_struct_inside_itself_is_not_followed_for_ever() {
        let mut data = sample();
        // The anonymous member of `outer` (id 3) becomes `outer` itself, and stays without a name.
        let at = 24 + 16 + 24 + 12 + 12 + 4;
        data[at..at + 4].copy_from_slice(&3_u32.to_le_bytes());
        assert!(Btf::parse(data).unwrap().offset("outer", "b").is_err());
    }

    #[test]
    fn damaged_data_is_an_error_and_no_panic() {
        let whole = sample();
        for length in 0..whole.len() {
            if let Some(btf) = Btf::parse(whole[..length].to_vec()) {
                let _ = btf.offset("outer", "b");
            }
        }
    }
}
