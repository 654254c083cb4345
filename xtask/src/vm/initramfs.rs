//! What runs inside: busybox, the programs under test, their libraries, modules, and a first process.
//!
//! Built in memory as a map from path to entry, so that two programs share a library, and written as
//! one archive (cpio, "newc", Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use cpio::{NewcBuilder, newc};

use super::{debian, libraries, modules};
use crate::{paths::Project, process};

const INIT: &str = include_str!("init.sh");

/// Mount points and what programs expect to find.
const FOLDERS: [&str; 10] = [
    "/proc", "/sys", "/dev", "/tmp", "/run", "/var", "/root", "/etc", "/bin", "/sbin",
];

const FOLDER_MODE: u32 = 0o040_755;
const PROGRAM_MODE: u32 = 0o100_755;
const CONSOLE_MODE: u32 = 0o020_600;

enum Entry {
    Folder,
    /// Standard input and output of the first process (5:1, Documentation/admin-guide/devices.txt).
    Console,
    File(Content),
}

enum Content {
    Here(Vec<u8>),
    At(PathBuf),
}

/// An archive in the making.
pub(super) struct Initramfs {
    entries: BTreeMap<PathBuf, Entry>,
    busybox: PathBuf,
}

impl Initramfs {
    /// One that boots, with `ip` and nothing to run yet.
    pub(super) fn new(project: &Project) -> Result<Self> {
        let busybox = debian::busybox(project).context("the guest's user space is missing")?;
        let mut this = Self {
            entries: BTreeMap::new(),
            busybox,
        };
        for folder in FOLDERS {
            this.folder(Path::new(folder));
        }
        this.insert("/dev/console", Entry::Console);
        this.insert("/bin/busybox", at(&this.busybox));
        this.insert("/init", here(INIT));
        this.program("/sbin/ip", &ip()?);
        // busybox has one of this name too, that knows nothing of filters with programs.
        if let Some(tc) = process::find("tc") {
            this.program("/sbin/tc", &tc);
        }
        // Where this machine has none, what needs a disk that can be frozen is a skip with its reason.
        if let Some(mkfs) = process::find("mkfs.ext4") {
            this.program("/sbin/mkfs.ext4", &mkfs);
        }
        Ok(this)
    }

    /// A program of the host, with its libraries where its loader looks for them.
    pub(super) fn program(&mut self, path: &str, program: &Path) {
        self.insert(path, at(program));
        for library in libraries::of(program) {
            let content = at(&library);
            self.insert(library, content);
        }
    }

    /// A file or folder of the host, at the same path in the guest.
    pub(super) fn same(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            self.insert(path, at(path));
            return Ok(());
        }
        let entries =
            fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
        for entry in entries.filter_map(Result::ok) {
            self.same(&entry.path())?;
        }
        Ok(())
    }

    /// The shell script whose exit code is the machine's.
    pub(super) fn command(&mut self, script: &str) {
        self.insert("/command", here(script));
    }

    /// Modules that the first process loads, and those that they need.
    pub(super) fn modules(&mut self, folder: &Path, names: &[&str]) -> Result<()> {
        let modules = modules::in_order(folder, names, &self.busybox)?;
        for (place, module) in modules.into_iter().enumerate() {
            // The first process loads them in the order of their names.
            let path = format!("/modules/{place:02}-{}.ko", module.name);
            self.insert(path, Entry::File(Content::Here(module.content)));
        }
        Ok(())
    }

    fn insert(&mut self, path: impl Into<PathBuf>, entry: Entry) {
        let path = path.into();
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        self.entries.insert(path, entry);
    }

    fn folder(&mut self, path: &Path) {
        for folder in path.ancestors() {
            if folder.file_name().is_some() {
                self.entries.insert(folder.to_owned(), Entry::Folder);
            }
        }
    }

    /// Writes the archive.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut archive = BufWriter::new(File::create(path)?);
        // A map is sorted, so a folder comes before what is in it.
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            let header = NewcBuilder::new(&name(path)?).ino(number).nlink(1);
            archive = match entry {
                Entry::Folder => header.mode(FOLDER_MODE).write(archive, 0).finish()?,
                Entry::Console => {
                    let device = header.mode(CONSOLE_MODE).rdev_major(5).rdev_minor(1);
                    device.write(archive, 0).finish()?
                }
                Entry::File(content) => {
                    let bytes = content
                        .read()
                        .with_context(|| format!("{} cannot be packed", path.display()))?;
                    let length = u32::try_from(bytes.len())
                        .with_context(|| format!("{} is too long", path.display()))?;
                    let mut file = header.mode(PROGRAM_MODE).write(archive, length);
                    file.write_all(&bytes)?;
                    file.finish()?
                }
            };
        }
        newc::trailer(archive)?.flush()?;
        Ok(())
    }
}

impl Content {
    fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Here(bytes) => Ok(bytes.clone()),
            Self::At(path) => fs::read(path),
        }
    }
}

fn here(text: &str) -> Entry {
    Entry::File(Content::Here(text.as_bytes().to_owned()))
}

fn at(path: &Path) -> Entry {
    Entry::File(Content::At(path.to_owned()))
}

/// A path as archives have it: relative to the root.
fn name(path: &Path) -> Result<String> {
    let relative: PathBuf = path
        .components()
        .filter(|component| *component != Component::RootDir)
        .collect();
    relative
        .into_os_string()
        .into_string()
        .map_err(|odd| anyhow!("{} is no name for an archive", odd.display()))
}

/// The real `ip`: busybox has one of the same name that knows no namespaces.
fn ip() -> Result<PathBuf> {
    process::find("ip").context("there is no ip on this machine; install the package iproute2")
}
