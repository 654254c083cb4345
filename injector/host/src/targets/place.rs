//! Where the files of a fault lie: from paths, as the target sees them, to inodes, as the kernel does.
//!
//! The BPF programs climb from a file to the root of its file system and ask for each directory on the way
//! whether it is one of these. So relative paths, symbolic links and bind mounts on the target's side make
//! no difference. Each file system that is mounted below a folder is one more place to climb to.
//!
//! An inode is held open as long as its place lives: its number cannot become another file's meanwhile.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use injector_common::call::{MOST_TWINS, NAME, PathEntry, reach};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};

use super::ResolvedTarget;
use crate::kernel::mounts::{self, Mount};
use injector_spec::experiment::{Calls, Depth, FilePattern, Presence};

/// Why a place cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is no such file.
    #[error(
        "the target sees no {path}: {error}; correct --path, or say --future if it is to come (its folder has to be there)"
    )]
    Nowhere {
        /// The path, escaped.
        path: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// Its name is too long for a file that is not there.
    #[error("the name of {0} is longer than {NAME} bytes; name its folder")]
    LongName(String),
    /// Too many patterns in one folder.
    #[error(
        "{0} is one pattern too many in its folder: {MOST_TWINS} are the most beside the first; name the folder"
    )]
    TooMany(String),
    /// Something else went wrong.
    #[error(
        "{path} cannot be looked at: {error}; check that /proc is mounted and belongs to this kernel"
    )]
    Unreadable {
        /// The path, escaped.
        path: String,
        /// What the kernel said.
        error: io::Error,
    },
}

/// An inode by the kernel's numbers: `super_block::s_dev` and `inode::i_ino`, which stat(2) does not always
/// show (btrfs, overlayfs).
type Inode = (u32, u64);

/// One entry of the table of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file system's device, as the kernel numbers it.
    pub device: u32,
    /// The inode's number.
    pub inode: u64,
    /// Which of the inode's entries.
    pub nth: u32,
}

/// The places of a fault.
#[derive(Debug, Default)]
pub struct Places {
    /// What of each inode is meant: whatever one of its entries says.
    meant: BTreeMap<Inode, Vec<PathEntry>>,
    held: Vec<OwnedFd>,
}

impl Places {
    /// Finds the places of all paths, as the target's processes see them: each mount namespace of theirs is
    /// asked. A target without processes sees what we see.
    pub fn of(calls: &Calls, target: &ResolvedTarget) -> Result<Self, PlaceError> {
        let mut views = BTreeMap::new();
        for key in target.members() {
            if let Ok(namespace) = fs::read_link(format!("/proc/{}/ns/mnt", key.tgid)) {
                views.entry(namespace).or_insert(key.tgid);
            }
        }
        let pids = if views.is_empty() {
            vec![std::process::id()]
        } else {
            views.into_values().collect()
        };
        let mut places = Self::default();
        for pattern in &calls.paths {
            let mut missed = None;
            let mut is_found = false;
            for pid in &pids {
                match View::of(*pid, pattern)
                    .and_then(|view| places.add(pattern, calls.presence, &view))
                {
                    Ok(()) => is_found = true,
                    Err(error @ PlaceError::Nowhere { .. }) => missed = Some(error),
                    Err(error) => return Err(error),
                }
            }
            if let (false, Some(error)) = (is_found, missed) {
                return Err(error);
            }
        }
        Ok(places)
    }

    /// What the programs have to know.
    pub fn entries(&self) -> BTreeMap<Place, PathEntry> {
        let mut entries = BTreeMap::new();
        for ((device, inode), all) in &self.meant {
            let last = all.len().saturating_sub(1);
            for ((nth, at), entry) in (0..).zip(0..).zip(all) {
                let more = if at < last { reach::MORE } else { 0 };
                let place = Place {
                    device: *device,
                    inode: *inode,
                    nth,
                };
                let reach = entry.reach | more;
                entries.insert(place, PathEntry { reach, ..*entry });
            }
        }
        entries
    }

    fn add(
        &mut self,
        pattern: &FilePattern,
        presence: Presence,
        view: &View,
    ) -> Result<(), PlaceError> {
        if let Some((folder, name, depth)) = pattern.named() {
            let reach = match depth {
                Depth::Folder => reach::CHILDREN,
                Depth::Tree => reach::CHILDREN | reach::BELOW,
            };
            let folder = view.open(folder)?;
            if depth == Depth::Tree {
                self.add_mounts(view, &folder, name, reach, pattern)?;
            }
            return self.insert(view, folder, name, reach, pattern);
        }
        let path = pattern.exact().unwrap_or(Path::new("/"));
        let file = match view.open(path) {
            Ok(file) => file,
            Err(PlaceError::Nowhere { .. }) if presence == Presence::Future => {
                let mut ways = view.ways(path).into_iter();
                return ways.try_for_each(|way| self.add_by_name(view, &way, pattern));
            }
            Err(error) => return Err(error),
        };
        let is_folder = fstat(&file)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if is_folder {
            let all = reach::ITSELF | reach::CHILDREN | reach::BELOW;
            self.add_mounts(view, &file, "", all, pattern)?;
            return self.insert(view, file, "", all, pattern);
        }
        self.insert(view, file, "", reach::ITSELF, pattern)?;
        // A program that saves a file by writing another one and renaming it makes a new inode of the same name.
        for way in view.ways(path) {
            match self.add_by_name(view, &way, pattern) {
                // The inode has to do.
                Ok(()) | Err(PlaceError::LongName(_) | PlaceError::Nowhere { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A file by its name in its folder.
    fn add_by_name(
        &mut self,
        view: &View,
        path: &Path,
        pattern: &FilePattern,
    ) -> Result<(), PlaceError> {
        let folder = view.open(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.insert(view, folder, &name, reach::CHILDREN, pattern)
    }

    /// The roots of what is mounted below a folder.
    fn add_mounts(
        &mut self,
        view: &View,
        folder: &OwnedFd,
        name: &str,
        reach: u32,
        pattern: &FilePattern,
    ) -> Result<(), PlaceError> {
        let Ok(top) = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())) else {
            return Ok(());
        };
        let below: Vec<PathBuf> = view
            .mounts
            .iter()
            .map(|mount| mount.point.clone())
            .filter(|point| *point != top && point.starts_with(&top))
            .collect();
        for point in below {
            // What is mounted over, or gone since, has nothing that a process could reach.
            if let Ok(root) = view.open(&point) {
                self.insert(view, root, name, reach, pattern)?;
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        view: &View,
        file: OwnedFd,
        name: &str,
        reach: u32,
        pattern: &FilePattern,
    ) -> Result<(), PlaceError> {
        let inode = view.inode(&file, pattern)?;
        let mut entry = PathEntry {
            reach,
            name_length: u32::try_from(name.len()).unwrap_or(u32::MAX),
            name: [0; NAME],
        };
        entry
            .name
            .get_mut(..name.len())
            .ok_or_else(|| PlaceError::LongName(pattern.to_string()))?
            .copy_from_slice(name.as_bytes());
        let all = self.meant.entry(inode).or_default();
        if !all.iter().any(|other| covers(other, &entry)) {
            all.retain(|other| !covers(&entry, other));
            all.push(entry);
        }
        let twins: usize = self.meant.values().map(|all| all.len() - 1).sum();
        if twins > MOST_TWINS as usize {
            return Err(PlaceError::TooMany(pattern.to_string()));
        }
        self.held.push(file);
        Ok(())
    }
}

/// Whether an entry means all that another of the same inode means.
fn covers(entry: &PathEntry, other: &PathEntry) -> bool {
    let is_name_alike = (entry.name_length, entry.name) == (other.name_length, other.name);
    entry.reach & other.reach == other.reach && (entry.name_length == 0 || is_name_alike)
}

/// The kernel follows no more symbolic links than this (include/linux/namei.h, `MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// The file systems as a process sees them.
struct View {
    root: OwnedFd,
    mounts: Vec<Mount>,
}

impl View {
    fn of(pid: u32, pattern: &FilePattern) -> Result<Self, PlaceError> {
        let unreadable = |error: io::Error| PlaceError::Unreadable {
            path: pattern.to_string(),
            error,
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty())
            .map_err(|errno| unreadable(errno.into()))?;
        let mounts = mounts::of(&pid.to_string()).map_err(unreadable)?;
        Ok(Self { root, mounts })
    }

    /// Opens a path for its name only: no file is read, and no device wakes up.
    fn open(&self, path: &Path) -> Result<OwnedFd, PlaceError> {
        openat2(
            &self.root,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
        .map_err(|errno| PlaceError::Nowhere {
            path: path.to_string_lossy().escape_debug().to_string(),
            error: errno.into(),
        })
    }

    /// A path, and where the symbolic links at its end lead: each is a name by which another file may come.
    fn ways(&self, path: &Path) -> Vec<PathBuf> {
        let mut ways = vec![path.to_owned()];
        while ways.len() <= MOST_LINKS
            && let Some(next) = ways.last().and_then(|way| self.link(way))
        {
            ways.push(next);
        }
        ways
    }

    /// Where a symbolic link leads; `None` where it is none.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let parent = path.parent()?;
        let folder = self.open(parent).ok()?;
        let text = readlinkat(&folder, path.file_name()?, Vec::new()).ok()?;
        Some(parent.join(std::ffi::OsStr::from_bytes(text.to_bytes())))
    }

    /// What the kernel calls the inode. The mount says which file system it is on
    /// (fs/proc/fd.c, `seq_show`; `fs/proc_namespace.c`, `show_mountinfo`).
    fn inode(&self, file: impl AsFd, pattern: &FilePattern) -> Result<Inode, PlaceError> {
        let unreadable = |why: &str| PlaceError::Unreadable {
            path: pattern.to_string(),
            error: io::Error::other(why.to_owned()),
        };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd()))
            .map_err(|error| unreadable(&error.to_string()))?;
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        let inode = field("ino:")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| unreadable("this kernel does not tell inode numbers (5.14 does)"))?;
        let mount = field("mnt_id:")
            .and_then(|text| text.parse().ok())
            .and_then(|id: i32| self.mounts.iter().find(|mount| mount.id == id))
            .ok_or_else(|| unreadable("it is on no mount of the target's"))?;
        Ok((mount.device, inode))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn places(patterns: &[&str], presence: Presence) -> Result<Places, PlaceError> {
        let mut places = Places::default();
        for pattern in patterns {
            let pattern = pattern.parse().unwrap();
            let view = View::of(std::process::id(), &pattern)?;
            places.add(&pattern, presence, &view)?;
        }
        Ok(places)
    }

    #[test]
    fn a_file_is_its_inode_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let text = path.to_str().unwrap();
        let found = places(&[text], Presence::Now).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let entries = found.entries();
        let entry = |inode| entries.iter().find(|(key, _)| key.inode == inode);
        assert_eq!(entry(inode).unwrap().1.reach, reach::ITSELF);
        let above = fs::metadata(folder.path()).unwrap().ino();
        let (_, above) = entry(above).unwrap();
        assert_eq!((above.reach, above.name_length), (reach::CHILDREN, 4));
    }

    #[test]
    fn what_is_not_there_is_refused_or_awaited() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("later\u{7}").display().to_string();
        let error = places(&[&text], Presence::Now).unwrap_err().to_string();
        assert!(
            error.contains("--future") && !error.contains('\u{7}'),
            "{error}"
        );
        let found = places(&[&text], Presence::Future).unwrap();
        assert_eq!(found.entries().len(), 1);
        let deeper = format!("{text}/x");
        assert!(places(&[&deeper], Presence::Future).is_err());
    }

    #[test]
    fn patterns_of_one_folder_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| folder.path().join(name).display().to_string();
        let found = places(&[&text("*.a"), &text("*.b")], Presence::Now).unwrap();
        let more: Vec<_> = found
            .entries()
            .values()
            .map(|entry| entry.reach & reach::MORE)
            .collect();
        assert_eq!(more, [reach::MORE, 0]);
        // The whole folder is more than either.
        let whole = folder.path().display().to_string();
        for patterns in [[&whole, &text("*.b")], [&text("*.b"), &whole]] {
            let patterns = patterns.map(String::as_str);
            let entries = places(&patterns, Presence::Now).unwrap().entries();
            let lengths: Vec<_> = entries.values().map(|entry| entry.name_length).collect();
            assert_eq!(lengths, [0]);
        }
        let many: Vec<String> = (0..66).map(|n| text(&format!("{n}*"))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(places(&many[..65], Presence::Now).is_ok());
        let error = places(&many, Presence::Now).unwrap_err();
        assert!(matches!(error, PlaceError::TooMany(_)), "{error}");
    }

    #[test]
    fn symbolic_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let found = places(&[link.to_str().unwrap()], Presence::Now).unwrap();
        let inode = fs::metadata(&file).unwrap().ino();
        assert!(found.entries().keys().any(|key| key.inode == inode));
    }
}
