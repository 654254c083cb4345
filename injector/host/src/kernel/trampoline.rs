//! Programs on trampolines: BPF LSM, `fmod_ret` and `fexit`, attached to any function that the kernel
//! lets them have.
//!
//! aya 0.14 has no `fmod_ret`, loads a program once only, and ties a program's way of attaching to the
//! name of its section. Here the same instructions serve several ways, and in copies, so programs are
//! read with aya-obj and loaded with bpf(2) by hand, on the maps that aya has made. Each attachment is a
//! descriptor; dropping it detaches.

pub(super) mod bpf;

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aya_obj::{Function, Program, btf::BtfKind};

use super::Error;

/// How a program is attached to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// As a hook of the BPF security module.
    Lsm,
    /// In place of the function, when it returns anything but 0 (`fmod_ret`).
    ModifyReturn,
    /// Behind the function (`fexit`).
    Exit,
    /// At functions in user space, by one link for many of them (`uprobe.multi`).
    Probes,
    /// At functions in user space, by a perf event for each.
    SingleProbes,
}

/// Whether a program may sleep. The program's own name says so too: `..._s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleeps {
    Never,
    Sometimes,
}

impl Sleeps {
    fn of(program: &str) -> Self {
        if program.ends_with("_s") {
            Self::Sometimes
        } else {
            Self::Never
        }
    }
}

/// The programs of an object, ready to be loaded.
pub struct Trampolines {
    object: aya_obj::Object,
    types: OwnedFd,
}

impl Trampolines {
    /// Reads the programs of an ELF image and ties them to maps that were made from the same image.
    pub fn read(image: &[u8], maps: &HashMap<String, OwnedFd>) -> Result<Self, Error> {
        let failed = |what: &dyn std::fmt::Display| Error::Trampoline(what.to_string());
        let mut object = aya_obj::Object::parse(image).map_err(|error| failed(&error))?;
        let features = aya::features()
            .btf()
            .ok_or_else(|| failed(&"the kernel takes no type information of programs"))?;
        let types = object
            .fixup_and_sanitize_btf(features)
            .map_err(|error| failed(&error))?
            .map(aya_obj::btf::Btf::to_bytes)
            .ok_or_else(|| failed(&"the object has no type information"))?;
        let types = bpf::load_types(&types)?;
        let declared: Vec<(String, aya_obj::Map)> = object.maps.drain().collect();
        let sections: HashSet<usize> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let tied = declared.iter().filter_map(|(name, map)| {
            let fd = maps.get(name)?.as_raw_fd();
            Some((name.as_str(), fd, map))
        });
        object
            .relocate_maps(tied, &sections)
            .map_err(|error| failed(&error))?;
        object
            .relocate_calls(&sections)
            .map_err(|error| failed(&error))?;
        Ok(Self { object, types })
    }

    /// Every program with its name and its code.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Program, &Function)> {
        self.object.programs.iter().filter_map(|(name, program)| {
            let code = self.object.functions.get(&program.function_key())?;
            Some((name.as_str(), program, code))
        })
    }

    /// The type information of all of them.
    pub(super) fn types(&self) -> BorrowedFd<'_> {
        self.types.as_fd()
    }

    /// Loads a program for a function. The kernel runs what was attached last first.
    pub fn load(
        &self,
        program: &'static str,
        way: Way,
        function: &str,
        kernel: &aya::Btf,
    ) -> Result<OwnedFd, Error> {
        let target = kernel
            .id_by_type_name_kind(function, BtfKind::Func)
            .map_err(|_| Error::NoFunction(function.to_owned()))?;
        self.load_at(program, way, target)
    }

    /// Loads a program for functions in user space, to be attached in this way.
    pub(super) fn load_probe(&self, program: &'static str, way: Way) -> Result<OwnedFd, Error> {
        self.load_at(program, way, 0)
    }

    /// Loads a program. `function` is the type id of the one that it is for; 0 for those in user space.
    fn load_at(&self, program: &'static str, way: Way, function: u32) -> Result<OwnedFd, Error> {
        let (_, _, code) = self
            .all()
            .find(|(name, _, _)| *name == program)
            .ok_or(Error::Missing(program))?;
        let request = bpf::Program {
            name: program,
            code,
            types: self.types.as_fd(),
            way,
            function,
            sleeps: Sleeps::of(program),
        };
        request
            .load()
            .map_err(|why| Error::Program { program, why })
    }

    /// Loads a program and attaches it: the program and the attachment. The program can ask for the cookie.
    pub fn attach(
        &self,
        program: &'static str,
        way: Way,
        cookie: u64,
        function: &str,
        kernel: &aya::Btf,
    ) -> Result<(OwnedFd, OwnedFd), Error> {
        let loaded = self.load(program, way, function, kernel)?;
        let link = bpf::attach(&loaded, way, cookie).map_err(|error| {
            if error.raw_os_error() == Some(libc::E2BIG) {
                return Error::Crowded(function.to_owned());
            }
            Error::Program {
                program,
                why: format!("attaching it to {function} failed: {error}"),
            }
        })?;
        Ok((loaded, link))
    }
}
