//! The program that tries the park: it puts the processes of a table to sleep whenever they open a file.

use aya::{
    maps::{HashMap, MapData},
    programs::{Lsm, lsm::LsmLink},
};
use injector_common::park::Trial;

use super::{Error, maps, object::Object};

const PROGRAM: &str = "inj_park_trial";
const MAP: &str = "INJ_TRIALS";

/// The program, attached while this lives.
pub struct ParkTrial {
    trials: HashMap<MapData, u32, Trial>,
    _link: LsmLink,
}

impl ParkTrial {
    /// Loads and attaches the program. That this works says nothing about whether it ever runs: kernels that
    /// leave `bpf` out of their list of security modules attach it and never call it.
    pub fn attach(object: &mut Object) -> Result<Self, Error> {
        let failed = |error: aya::programs::ProgramError| Error::program(PROGRAM, &error);
        let trials = maps::take(object, MAP, HashMap::try_from)?;
        let Object { ebpf, btf, .. } = object;
        let program: &mut Lsm = ebpf
            .program_mut(PROGRAM)
            .ok_or(Error::Missing(PROGRAM))?
            .try_into()
            .map_err(failed)?;
        program.load("file_open", btf).map_err(failed)?;
        let id = program.attach().map_err(failed)?;
        let link = program.take_link(id).map_err(failed)?;
        Ok(Self {
            trials,
            _link: link,
        })
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
