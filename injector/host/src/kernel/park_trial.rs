//! The program that tries the park: it puts the processes of a table to sleep whenever they open a file.

use std::os::fd::OwnedFd;

use aya::maps::{HashMap, MapData};
use injector_common::{call::turn, park::Trial};

use super::{
    Error, maps,
    object::Object,
    trampoline::{Trampolines, Way},
};

const PROGRAM: &str = "inj_park_trial_s";
const MAP: &str = "INJ_TRIALS";

/// Where the program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// At the security modules' hook for opening files, as one of them.
    Hook,
    /// In place of the system call `openat` (`fmod_ret`, sleepable).
    Call,
}

impl Stand {
    /// What stands there, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hook => "LSM programs",
            Self::Call => "programs on system calls",
        }
    }

    const fn place(self) -> (Way, &'static str) {
        match self {
            Self::Hook => (Way::Lsm, "bpf_lsm_file_open"),
            Self::Call => (Way::ModifyReturn, "__x64_sys_openat"),
        }
    }
}

/// The program, attached while this lives.
pub struct ParkTrial {
    trials: HashMap<MapData, u32, Trial>,
    programs: Trampolines,
    link: Option<OwnedFd>,
}

impl ParkTrial {
    /// Readies the program.
    pub fn ready(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            programs: object.programs()?,
            trials: maps::take(object, MAP, HashMap::try_from)?,
            link: None,
        })
    }

    /// Loads and attaches it, here and nowhere else any more. That this works says nothing about whether it ever
    /// runs: kernels that leave `bpf` out of their list of security modules attach it there and never call it.
    pub fn stand(&mut self, object: &Object, stand: Stand) -> Result<(), Error> {
        let (way, function) = stand.place();
        self.link = None;
        let attached = self
            .programs
            .attach(PROGRAM, way, turn::ALONE, function, object.btf)?;
        self.link = Some(attached.1);
        Ok(())
    }

    /// From now on the process sleeps that long, in nanoseconds, each time that it opens a file.
    pub fn put(&mut self, pid: u32, ns: u64) -> Result<(), Error> {
        let trial = Trial {
            ns,
            ..Trial::default()
        };
        self.trials
            .insert(pid, trial, 0)
            .map_err(maps::write_error(MAP))
    }

    /// What has happened to a process.
    pub fn look(&self, pid: u32) -> Result<Trial, Error> {
        self.trials.get(&pid, 0).map_err(maps::read_error(MAP))
    }
}
