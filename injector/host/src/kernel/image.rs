//! What every object is loaded from: the compiled programs, tied to the running kernel.
//!
//! The kernel's types are some megabytes that take longer to read than all the rest of arming, and they stay the
//! same while the host is up. So they are read once in a process, at the first object, and kept.

use std::sync::{Mutex, OnceLock, PoisonError};

use miniz_oxide::inflate::decompress_to_vec;

use super::{
    Error,
    btf::Btf,
    kfunc::{self, Kfuncs},
    offsets::{self, Offsets},
};

/// The compiled programs, packed; empty when the binary was built without them (see `build.rs`).
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/injector.bpf.o.deflate"));

/// The programs for this kernel.
pub(super) struct Image {
    /// The ELF file, its calls of kernel functions rewritten.
    pub(super) elf: Vec<u8>,
    /// The kernel's types, as aya reads them.
    pub(super) btf: aya::Btf,
    /// Which functions of the kernel's the programs can call.
    pub(super) kfuncs: Kfuncs,
    /// Where fields of the kernel's structs are.
    pub(super) offsets: Offsets,
}

impl Image {
    /// The one image of this process. A failure is not kept: the next caller tries again.
    pub(super) fn of_this_kernel() -> Result<&'static Self, Error> {
        static KEPT: OnceLock<Image> = OnceLock::new();
        static READING: Mutex<()> = Mutex::new(());
        if let Some(kept) = KEPT.get() {
            return Ok(kept);
        }
        // Two starts in one moment read it once.
        let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = KEPT.get() {
            return Ok(kept);
        }
        let read = Self::read()?;
        Ok(KEPT.get_or_init(|| read))
    }

    fn read() -> Result<Self, Error> {
        if PACKED.is_empty() {
            return Err(Error::NoObject);
        }
        let offsets = offsets::find(&Btf::vmlinux()?)?;
        let btf = aya::Btf::from_sys_fs().map_err(|error| Error::Btf(error.to_string()))?;
        let mut elf = decompress_to_vec(PACKED).map_err(|_how| Error::DamagedObject)?;
        let kfuncs = kfunc::link(&mut elf, &btf);
        Ok(Self {
            elf,
            btf,
            kfuncs,
            offsets,
        })
    }
}
