//! Where functions begin in a file of the ELF format (elf(5)): 64 bits, little-endian, by its dynamic symbols.
//!
//! The file is a target's, so that all of it may be made up: every length and place is checked before memory is asked for.
//!
//! Rejected: the `object` crate, which reads a symbol's name by a call of its own; Node has some 60 000.

use std::io;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;

/// `SHT_DYNSYM`, `PT_LOAD`, `PF_X`, `STT_FUNC`.
const DYNAMIC_SYMBOLS: u32 = 11;
const LOAD: u32 = 1;
const RUNS: u32 = 1;
const FUNCTION: u8 = 2;

/// The most that is read of a table, and of symbols: several times what the largest programs have.
const LARGEST_TABLE: u64 = 32 << 20;
const MOST_SYMBOLS: u64 = 1 << 20;

/// A runtime whose programs bring their own TLS, which no symbol leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Go: `crypto/tls`, compiled in.
    Go,
    /// Bun: `BoringSSL`, without symbols.
    Bun,
    /// Deno: rustls, compiled in.
    Deno,
}

impl Runtime {
    /// What it is, and what it has for TLS.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Go => "a Go program, with Go's own TLS",
            Self::Bun => "Bun, with BoringSSL that has no symbols",
            Self::Deno => "Deno, with rustls",
        }
    }
}

/// Reads bytes of a file from a place on.
pub(super) type Read<'r> = dyn Fn(u64, &mut [u8]) -> io::Result<()> + 'r;

/// A file's tables.
pub(super) struct Image<'r> {
    read: &'r Read<'r>,
    /// Parts that are loaded to be run: address, place in the file, length there.
    parts: Vec<(u64, u64, u64)>,
    /// Sections: name, kind, place, length, link.
    sections: Vec<Section>,
    names: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Section {
    name: u32,
    kind: u32,
    place: u64,
    length: u64,
    link: u32,
}

impl<'r> Image<'r> {
    /// Reads the headers.
    pub(super) fn read(read: &'r Read<'r>) -> io::Result<Self> {
        let header = table(read, 0, HEADER as u64)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Err(bad());
        }
        let parts = rows(read, u64_at(&header, 32), &header[54..58], PROGRAM_HEADER)?;
        let parts = parts.chunks_exact(PROGRAM_HEADER).filter_map(|part| {
            let is_run = u32_at(part, 0) == LOAD && u32_at(part, 4) & RUNS != 0;
            is_run.then(|| (u64_at(part, 16), u64_at(part, 8), u64_at(part, 32)))
        });
        let parts = parts.collect();
        let sections = rows(read, u64_at(&header, 40), &header[58..62], SECTION_HEADER)?;
        let sections: Vec<Section> = sections
            .chunks_exact(SECTION_HEADER)
            .map(|section| Section {
                name: u32_at(section, 0),
                kind: u32_at(section, 4),
                place: u64_at(section, 24),
                length: u64_at(section, 32),
                link: u32_at(section, 40),
            })
            .collect();
        let names = sections.get(usize::from(u16_at(&header, 62)));
        let names = names.map_or_else(
            || Ok(Vec::new()),
            |names| table(read, names.place, names.length),
        )?;
        Ok(Self {
            read,
            parts,
            sections,
            names,
        })
    }

    /// Those of the named functions that the file has for others, by their place among the names, each with where it
    /// begins in the file. Of several tables of symbols the first counts (the format allows one), and of several symbols of a
    /// name the first.
    pub(super) fn functions(&self, wanted: &[&str]) -> io::Result<Vec<(usize, u64)>> {
        let mut sections = self.sections.iter();
        let Some(section) = sections.find(|one| one.kind == DYNAMIC_SYMBOLS) else {
            return Ok(Vec::new());
        };
        let Some(names) = self.sections.get(section.link as usize) else {
            return Ok(Vec::new());
        };
        if section.length > MOST_SYMBOLS * SYMBOL as u64 {
            return Err(bad());
        }
        let symbols = table(self.read, section.place, section.length)?;
        let names = table(self.read, names.place, names.length)?;
        let mut places = vec![None; wanted.len()];
        for symbol in symbols.chunks_exact(SYMBOL) {
            let is_here = symbol[4] & 0xf == FUNCTION && u16_at(symbol, 6) != 0;
            if !is_here {
                continue;
            }
            let is_it = |one: &&str| is_named(&names, u32_at(symbol, 0), one);
            if let Some(index) = wanted.iter().position(is_it) {
                places[index].get_or_insert(u64_at(symbol, 8));
            }
        }
        let places = places.into_iter().enumerate();
        let found = places.filter_map(|(index, address)| Some((index, self.offset(address?)?)));
        Ok(found.collect())
    }

    /// The runtime that a program of this name is of.
    pub(super) fn runtime(&self, name: &str) -> Option<Runtime> {
        let mut sections = self.sections.iter();
        let has_go = |section: &Section| is_named(&self.names, section.name, ".go.buildinfo");
        if sections.any(has_go) {
            return Some(Runtime::Go);
        }
        match name {
            "bun" => Some(Runtime::Bun),
            "deno" => Some(Runtime::Deno),
            _ => None,
        }
    }

    /// The place in the file of what is loaded at an address.
    fn offset(&self, address: u64) -> Option<u64> {
        self.parts.iter().find_map(|(from, place, length)| {
            let within = address.checked_sub(*from)?;
            (within < *length).then(|| place.checked_add(within))?
        })
    }
}

/// A table of so many rows; `shape` is the length of a row and how many there are.
fn rows(read: &Read<'_>, place: u64, shape: &[u8], row: usize) -> io::Result<Vec<u8>> {
    let (length, count) = (u16_at(shape, 0), u16_at(shape, 2));
    if count == 0 {
        return Ok(Vec::new());
    }
    if usize::from(length) != row {
        return Err(bad());
    }
    table(read, place, row as u64 * u64::from(count))
}

fn table(read: &Read<'_>, place: u64, length: u64) -> io::Result<Vec<u8>> {
    if length > LARGEST_TABLE {
        return Err(bad());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| bad())?];
    read(place, &mut bytes)?;
    Ok(bytes)
}

/// Whether this name stands there. Its end is not looked for: names may be made so long that it takes a second for each.
fn is_named(names: &[u8], at: u32, wanted: &str) -> bool {
    let there = names.get(at as usize..);
    let rest = there.and_then(|there| there.strip_prefix(wanted.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&0))
}

fn bad() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> [u8; BYTES] {
    let mut number = [0; BYTES];
    if let Some(found) = bytes.get(at..at + BYTES) {
        number.copy_from_slice(found);
    }
    number
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use proptest::prelude::*;

    use super::*;

    /// The C library of this process, which every Linux that tests run on has with its symbols.
    fn of_libc() -> Option<File> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.lines().find_map(|line| {
            let path = line.split_whitespace().last()?;
            path.contains("libc.so").then(|| path.to_owned())
        });
        path.map(|path| File::open(path).unwrap())
    }

    #[test]
    fn functions_of_the_c_library_are_found_where_they_run() {
        let Some(file) = of_libc() else {
            return;
        };
        let read = |offset: u64, bytes: &mut [u8]| file.read_exact_at(bytes, offset);
        let image = Image::read(&read).unwrap();
        let found = image.functions(&["getpid", "SSL_read", "strtoul"]).unwrap();
        let mut which: Vec<_> = found.iter().map(|(index, _)| *index).collect();
        which.sort_unstable();
        assert_eq!(which, [0, 2]);
        // What lies at the offset is what is run at the address.
        let offset = found.iter().find(|(index, _)| *index == 0).unwrap().1;
        let mut in_file = [0; 8];
        file.read_exact_at(&mut in_file, offset).unwrap();
        let address = libc::getpid as *const () as usize;
        let memory = File::open("/proc/self/mem").unwrap();
        let mut in_memory = [0; 8];
        memory
            .read_exact_at(&mut in_memory, address as u64)
            .unwrap();
        assert_eq!(in_file, in_memory);
    }

    #[test]
    fn names_are_compared_to_their_end() {
        let names = b"\0SSL_read\0SSL_read_ex\0SSL_free";
        assert!(is_named(names, 1, "SSL_read"));
        assert!(!is_named(names, 10, "SSL_read"));
        assert!(is_named(names, 10, "SSL_read_ex"));
        assert!(!is_named(names, 22, "SSL_free"), "it has no end");
        assert!(!is_named(names, u32::MAX, "SSL_free"));
    }

    #[test]
    fn a_table_of_too_many_symbols_is_refused_before_it_is_read() {
        let read = |_: u64, _: &mut [u8]| -> io::Result<()> { Err(io::ErrorKind::Other.into()) };
        let section = |length| Section {
            name: 0,
            kind: DYNAMIC_SYMBOLS,
            place: 0,
            length,
            link: 0,
        };
        let image = |length| Image {
            read: &read,
            parts: Vec::new(),
            sections: vec![section(length)],
            names: Vec::new(),
        };
        let kind = |length| image(length).functions(&["a"]).unwrap_err().kind();
        assert_eq!(kind(MOST_SYMBOLS * 24), io::ErrorKind::Other);
        assert_eq!(kind(MOST_SYMBOLS * 24 + 24), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn made_up_files_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..400), small: bool) {
            if bytes.len() > 64 {
                bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
                if small {
                    bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
                    bytes[40..48].copy_from_slice(&120u64.to_le_bytes());
                    bytes[54..64].copy_from_slice(&[56, 0, 1, 0, 64, 0, 2, 0, 1, 0]);
                }
            }
            let read = |offset: u64, into: &mut [u8]| {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let source = from.checked_add(into.len()).and_then(|end| bytes.get(from..end));
                source.map(|source| into.copy_from_slice(source)).ok_or_else(bad)
            };
            if let Ok(image) = Image::read(&read) {
                let _ = image.functions(&["SSL_read"]);
                let _ = image.runtime("node");
            }
        }
    }
}
