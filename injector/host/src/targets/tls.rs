//! TLS libraries of processes: which file of a process has OpenSSL's functions, and where in it they begin.
//!
//! A file is reached through the process's own mapping of it (`/proc/PID/map_files`), so it is the very file whose
//! code runs there: one in a container's image, one that an upgrade has replaced, one that was deleted.
//!
//! Rejected: to look the path up, here or under `/proc/PID/root`. Both name what lies there now, which may be another
//! file by then; probes on that one are attached and never met.

mod elf;
mod mapped;

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    rc::Rc,
};

use injector_common::plaintext::function;

pub use elf::Runtime;
use mapped::Mapped;

/// The functions through which a process reads and writes in the clear, and the one that lets a connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `SSL_read`.
    Read,
    /// `SSL_read_ex`.
    ReadEx,
    /// `SSL_write`.
    Write,
    /// `SSL_write_ex`.
    WriteEx,
    /// `SSL_free`.
    Free,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::ReadEx,
        Self::Write,
        Self::WriteEx,
        Self::Free,
    ];

    /// Its symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Read => "SSL_read",
            Self::ReadEx => "SSL_read_ex",
            Self::Write => "SSL_write",
            Self::WriteEx => "SSL_write_ex",
            Self::Free => "SSL_free",
        }
    }

    /// What its probe tells the program, one of [`function`].
    pub const fn cookie(self) -> u64 {
        match self {
            Self::Read => function::READ,
            Self::ReadEx => function::READ_EX,
            Self::Write => function::WRITE,
            Self::WriteEx => function::WRITE_EX,
            Self::Free => function::FREE,
        }
    }

    /// Whether its return is met too.
    pub const fn returns(self) -> bool {
        !matches!(self, Self::Free)
    }
}

/// A file, as long as nothing else gets its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    /// Last change of its contents, in seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileId {
    /// The file itself, whatever is done to it: device and inode.
    pub const fn inode(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// A TLS library of a process.
#[derive(Clone, Debug)]
pub struct Library {
    /// The file, open: its descriptor's path in `/proc/self/fd` names it and no other.
    pub file: Rc<File>,
    /// Which one it is.
    pub id: FileId,
    /// Its name, as the process has it mapped.
    pub name: String,
    /// Its functions, and where in the file they begin.
    pub functions: Rc<[(Function, u64)]>,
}

/// What a process has for TLS.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Files with OpenSSL's functions.
    pub libraries: Vec<Library>,
    /// A runtime that brings its own TLS, where its program is one that is known.
    pub runtime: Option<Runtime>,
}

/// Finds TLS libraries, and remembers files that were looked at: most processes share theirs.
#[derive(Default)]
pub struct Libraries {
    /// Nothing where a file cannot be read as one: it is not tried again.
    known: HashMap<FileId, Option<Contents>>,
}

#[derive(Clone)]
struct Contents {
    functions: Rc<[(Function, u64)]>,
    runtime: Option<Runtime>,
}

/// As many files as are remembered before all are forgotten.
const REMEMBERED: usize = 1_024;

impl Libraries {
    /// What a process has mapped now. A process that ends meanwhile has nothing.
    pub fn of(&mut self, pid: u32) -> io::Result<Found> {
        let mut found = Found::default();
        for mapped in mapped::candidates(pid)? {
            // It may be unmapped again, or the process gone; the next look finds what is there then.
            let Ok(file) = File::open(&mapped.link) else {
                continue;
            };
            if let Ok((id, contents)) = self.contents(&file, &mapped) {
                found.runtime = found.runtime.or(contents.runtime);
                if speaks(&contents.functions) {
                    found.libraries.push(Library {
                        file: Rc::new(file),
                        id,
                        name: mapped.name,
                        functions: contents.functions,
                    });
                }
            }
        }
        Ok(found)
    }

    fn contents(&mut self, file: &File, mapped: &Mapped) -> io::Result<(FileId, Contents)> {
        let metadata = file.metadata()?;
        let id = FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        };
        if let Some(known) = self.known.get(&id) {
            let known = known.clone().ok_or(io::ErrorKind::InvalidData)?;
            return Ok((id, known));
        }
        let contents = read_contents(file, mapped);
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(id, contents.as_ref().ok().cloned());
        Ok((id, contents?))
    }
}

fn read_contents(file: &File, mapped: &Mapped) -> io::Result<Contents> {
    let read = |offset: u64, bytes: &mut [u8]| file.read_exact_at(bytes, offset);
    let image = elf::Image::read(&read)?;
    Ok(Contents {
        functions: image
            .functions(&Function::ALL.map(Function::symbol))?
            .into_iter()
            .map(|(index, offset)| (Function::ALL[index], offset))
            .collect(),
        runtime: mapped
            .is_program
            .then(|| image.runtime(&mapped.name))
            .flatten(),
    })
}

/// Whether a process can be heard through these: it reads by one and writes by another.
fn speaks(functions: &[(Function, u64)]) -> bool {
    let has = |one, other| {
        functions
            .iter()
            .any(|(function, _)| *function == one || *function == other)
    };
    has(Function::Read, Function::ReadEx) && has(Function::Write, Function::WriteEx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_one_that_reads_and_writes() {
        assert!(speaks(&[(Function::ReadEx, 1), (Function::Write, 2)]));
        assert!(!speaks(&[(Function::Read, 1), (Function::Free, 2)]));
        assert!(!speaks(&[]));
    }

    #[test]
    fn this_process_has_no_openssl() {
        let found = Libraries::default().of(std::process::id()).unwrap();
        assert!(found.libraries.is_empty());
        assert_eq!(found.runtime, None, "a test is no program of Go");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Libraries::default().of(u32::MAX).is_err());
    }
}
