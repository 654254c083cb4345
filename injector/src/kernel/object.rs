//! One loaded copy of the BPF programs and maps.

use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
};

use aya::{Ebpf, EbpfLoader, maps::Map};

use super::{
    Error,
    btf::Btf,
    kfunc::{self, Kfuncs},
    offsets,
    trampoline::Trampolines,
};

/// The compiled programs; empty when the binary was built without them (see `build.rs`).
static IMAGE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/injector.bpf.o"));

/// Programs and maps of one run in one network namespace. Dropping it takes them out of the kernel.
pub struct Object {
    pub(super) ebpf: Ebpf,
    pub(super) btf: aya::Btf,
    kfuncs: Kfuncs,
    /// Copies of the maps' descriptors, by name, for programs that aya cannot load.
    maps: HashMap<String, OwnedFd>,
    missing_for_calls: Option<Error>,
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

impl Object {
    /// Creates the maps and readies the programs; attaches nothing.
    pub fn load() -> Result<Self, Error> {
        Self::load_for(Callers::default())
    }

    /// The same, for faults on the calls of these.
    pub fn load_for(callers: Callers) -> Result<Self, Error> {
        if IMAGE.is_empty() {
            return Err(Error::NoObject);
        }
        let offsets = offsets::find(&Btf::vmlinux()?)?;
        let btf = aya::Btf::from_sys_fs().map_err(|error| Error::Btf(error.to_string()))?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf));
        for (name, offset) in &offsets.globals {
            loader.override_global(name, offset, true);
        }
        loader.override_global("CGROUP_LEVELS", &callers.cgroup_levels, true);
        loader.override_global("PROCESS_TARGETS", &callers.processes, true);
        loader.override_global("OWN_TGID", &callers.spared, true);
        let mut image = IMAGE.to_vec();
        let kfuncs = kfunc::link(&mut image, &btf);
        let park_available = u32::from(kfuncs == Kfuncs::Park);
        loader.override_global("PARK_AVAILABLE", &park_available, true);
        let ebpf = loader.load(&image).map_err(Box::new)?;
        let maps = copies(&ebpf)?;
        Ok(Self {
            ebpf,
            btf,
            kfuncs,
            maps,
            missing_for_calls: offsets.missing_for_calls,
        })
    }

    /// The programs for trampolines, on this object's maps.
    pub(super) fn trampolines(&mut self) -> Result<Trampolines, Error> {
        match self.missing_for_calls.take() {
            Some(missing) => Err(missing),
            None => self.programs(),
        }
    }

    /// All programs, on this object's maps, to be loaded by hand.
    pub(super) fn programs(&self) -> Result<Trampolines, Error> {
        let mut image = IMAGE.to_vec();
        kfunc::link(&mut image, &self.btf);
        Trampolines::read(&image, &self.maps)
    }

    /// Which functions of the kernel's its programs can call.
    pub fn kfuncs(&self) -> Kfuncs {
        self.kfuncs
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
        | Map::PerfEventArray(data)) = map
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
