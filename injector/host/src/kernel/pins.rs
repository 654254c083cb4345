//! BPF objects that another process has pinned, and whose names are ours.
//!
//! The injector pins nothing, so whatever is found was pinned by another process (`bpftool prog pin`),
//! for reasons of its own. It keeps our programs alive beyond our processes, which is worth knowing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::{maps::MapInfo, programs::ProgramInfo};

/// Where BPF objects are pinned.
const MOUNT: &str = "/sys/fs/bpf";

/// The most directories that are looked into: a file system that others fill must not hold us up.
const MOST_DIRECTORIES: usize = 10_000;

/// A pinned object with a name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Its file.
    pub path: PathBuf,
    /// The object's name in the kernel; of a link, which has none, the file's.
    pub name: String,
}

/// Everything pinned that has a name of ours. What cannot be read is passed over.
pub fn ours() -> Vec<Pin> {
    let mut found = Vec::new();
    let mut queue = vec![PathBuf::from(MOUNT)];
    let mut left = MOST_DIRECTORIES;
    while let Some(directory) = queue.pop()
        && left > 0
    {
        left -= 1;
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => queue.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let path = entry.path();
                    if let Some(name) = name(&path).filter(|name| is_ours(name)) {
                        found.push(Pin { path, name });
                    }
                }
                _ => {}
            }
        }
    }
    found
}

fn name(path: &Path) -> Option<String> {
    let program = || {
        let info = ProgramInfo::from_pin(path).ok()?;
        info.name_as_str().map(str::to_owned)
    };
    let map = || {
        let info = MapInfo::from_pin(path).ok()?;
        info.name_as_str().map(str::to_owned)
    };
    let file = || path.file_name()?.to_str().map(str::to_owned);
    program().or_else(map).or_else(file)
}

pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("inj_") || name.starts_with("INJ_")
}
