//! One loaded copy of the BPF programs and maps.

use aya::{Ebpf, EbpfLoader};

use super::{
    Error,
    btf::Btf,
    kfunc::{self, Kfuncs},
};

/// The compiled programs; empty when the binary was built without them (see `build.rs`).
pub(super) static IMAGE: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/injector.bpf.o"));

/// Programs and maps of one run in one network namespace. Dropping it takes them out of the kernel.
pub struct Object {
    pub(super) ebpf: Ebpf,
    pub(super) btf: aya::Btf,
    kfuncs: Kfuncs,
}

impl Object {
    /// Creates the maps and readies the programs; attaches nothing.
    pub fn load() -> Result<Self, Error> {
        if IMAGE.is_empty() {
            return Err(Error::NoObject);
        }
        let types = Btf::vmlinux()?;
        let offsets = [
            ("OFFSET_TGID", types.offset("task_struct", "tgid")?),
            (
                "OFFSET_LEADER",
                types.offset("task_struct", "group_leader")?,
            ),
            (
                "OFFSET_START",
                types.offset("task_struct", "start_boottime")?,
            ),
            ("OFFSET_SIGNAL", types.offset("task_struct", "signal")?),
            ("OFFSET_LIVE", types.offset("signal_struct", "live")?),
        ];
        let btf = aya::Btf::from_sys_fs().map_err(|error| Error::Btf(error.to_string()))?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf));
        for (name, offset) in &offsets {
            loader.override_global(name, offset, true);
        }
        let mut object = IMAGE.to_vec();
        let kfuncs = kfunc::link(&mut object, &btf);
        let park_available = u32::from(kfuncs == Kfuncs::Park);
        loader.override_global("PARK_AVAILABLE", &park_available, true);
        let ebpf = loader.load(&object).map_err(Box::new)?;
        Ok(Self { ebpf, btf, kfuncs })
    }

    /// Which functions of the kernel's its programs can call.
    pub fn kfuncs(&self) -> Kfuncs {
        self.kfuncs
    }
}
