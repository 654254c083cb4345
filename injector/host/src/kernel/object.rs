//! One loaded copy of the BPF programs and maps.

use std::{
    borrow::Borrow,
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use aya::{Ebpf, EbpfLoader, maps::Map};

use super::{Error, image::Image, kfunc::Kfuncs, trampoline::Trampolines};
use crate::targets::{self, ResolvedTarget, cgroup};
use injector_plan::tables::Sizes;

/// Programs and maps of one run in one network namespace. Dropping it takes them out of the kernel.
pub struct Object {
    pub(super) ebpf: Ebpf,
    pub(super) btf: &'static aya::Btf,
    image: &'static Image,
    /// Copies of the maps' descriptors, by name, for programs that aya cannot load.
    maps: HashMap<String, OwnedFd>,
}

/// Whose calls the programs look at; frozen into them, so that the rest costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Callers {
    /// Levels of the cgroup hierarchy at which targets lie, one bit each; the root is level 0.
    pub cgroup_levels: u32,
    /// 1 where a target is a process.
    pub processes: u32,
    /// A process that no fault on calls meets.
    pub spared: u32,
}

impl Callers {
    /// The processes of these targets, and never this one.
    pub fn of<T: Borrow<ResolvedTarget>>(
        targets: impl Iterator<Item = T>,
    ) -> Result<Self, targets::Error> {
        let mut callers = Self {
            spared: std::process::id(),
            ..Self::default()
        };
        for target in targets {
            match &target.borrow().cgroup {
                None => callers.processes = 1,
                Some(cgroup) => {
                    callers.cgroup_levels |= level(&cgroup.directory, &cgroup::mount_point()?);
                }
            }
        }
        Ok(callers)
    }
}

/// The level at which a cgroup lies, as a bit.
fn level(directory: &Path, root: &Path) -> u32 {
    let below = directory.strip_prefix(root);
    let level = below.map_or(0, |path| path.components().count());
    let bit = u32::try_from(level).ok();
    bit.and_then(|level| 1_u32.checked_shl(level))
        .unwrap_or_default()
}

impl Object {
    /// Creates the maps, as small as may be, and readies the programs; attaches nothing.
    pub fn load() -> Result<Self, Error> {
        Self::load_for(Callers::default(), Sizes::LEAST)
    }

    /// The same, for faults on the calls of these, with tables of these sizes.
    pub fn load_for(callers: Callers, sizes: Sizes) -> Result<Self, Error> {
        let image = Image::of_this_kernel()?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&image.btf));
        for (name, offset) in &image.offsets.globals {
            loader.override_global(name, offset, true);
        }
        loader.override_global("CGROUP_LEVELS", &callers.cgroup_levels, true);
        loader.override_global("PROCESS_TARGETS", &callers.processes, true);
        loader.override_global("OWN_TGID", &callers.spared, true);
        let park_available = u32::from(image.kfuncs == Kfuncs::Park);
        loader.override_global("PARK_AVAILABLE", &park_available, true);
        for (table, entries) in sizes.tables() {
            loader.map_max_entries(table, entries);
        }
        let ebpf = loader.load(&image.elf).map_err(Box::new)?;
        let maps = copies(&ebpf)?;
        Ok(Self {
            ebpf,
            btf: &image.btf,
            image,
            maps,
        })
    }

    /// The programs for trampolines, on this object's maps.
    pub(super) fn trampolines(&self) -> Result<Trampolines, Error> {
        self.ensure_calls()?;
        self.programs()
    }

    /// An error where faults and looks at system calls cannot be had.
    pub(super) fn ensure_calls(&self) -> Result<(), Error> {
        match &self.image.offsets.missing_for_calls {
            Some(missing) => Err(Error::Btf(missing.clone())),
            None => Ok(()),
        }
    }

    /// Why looks through open sockets cannot be had, if a field that they need is missing.
    pub(super) fn missing_for_looks(&self) -> Option<&str> {
        self.image.offsets.missing_for_looks.as_deref()
    }

    /// Why operations cannot be watched, if a field that this needs is missing.
    pub(super) fn missing_for_operations(&self) -> Option<&str> {
        self.image.offsets.missing_for_operations.as_deref()
    }

    /// Why connections cannot be sent through a relay, if a field that this needs is missing.
    pub(super) fn missing_for_relays(&self) -> Option<&str> {
        self.image.offsets.missing_for_relays.as_deref()
    }

    /// All programs, on this object's maps, to be loaded by hand.
    pub(super) fn programs(&self) -> Result<Trampolines, Error> {
        Trampolines::read(&self.image.elf, &self.maps)
    }

    /// Which functions of the kernel's its programs can call.
    pub fn kfuncs(&self) -> Kfuncs {
        self.image.kfuncs
    }
}

/// Copies of the descriptors of all maps.
fn copies(ebpf: &Ebpf) -> Result<HashMap<String, OwnedFd>, Error> {
    let mut copies = HashMap::new();
    for (name, map) in ebpf.maps() {
        let (Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::RingBuf(data)
        | Map::SkStorage(data)
        | Map::PerfEventArray(data)
        | Map::ProgramArray(data)) = map
        else {
            continue;
        };
        let copy = data.fd().as_fd().try_clone_to_owned();
        let copy =
            copy.map_err(|error| Error::system("copy the descriptor of a BPF map", error))?;
        copies.insert(name.to_owned(), copy);
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_from_the_mount() {
        let level = |directory: &str| level(directory.as_ref(), "/sys/fs/cgroup".as_ref());
        assert_eq!(level("/sys/fs/cgroup"), 1);
        assert_eq!(level("/sys/fs/cgroup/a/b"), 1 << 2);
        let deep = format!("/sys/fs/cgroup{}", "/a".repeat(32));
        assert_eq!(level(&deep), 0, "deeper than there are bits");
    }
}
