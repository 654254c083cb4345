//! The tables of answers in a target's own memory: what is answered to what, and what became of it.

use aya::maps::{HashMap, MapData, PerCpuArray};
use injector_common::{
    RuleId,
    rewrite::{Answer, Key, PathEnd},
};

use super::{
    Error,
    maps::{read_error, take, write_error},
    object::Object,
};

const ENDS: &str = "INJ_PATH_ENDS";
const ANSWERS: &str = "INJ_ANSWERS";
const DEGRADED: &str = "INJ_DEGRADED";
const UNREADABLE: &str = "INJ_UNREADABLE";

/// The tables, taken out of an object. The programs that read them are loaded by copies of their descriptors.
pub struct RewriteMaps {
    ends: HashMap<MapData, Key, PathEnd>,
    answers: HashMap<MapData, Key, Answer>,
    degraded: PerCpuArray<MapData, u64>,
    unreadable: PerCpuArray<MapData, u64>,
}

impl RewriteMaps {
    /// Takes the maps out of an object.
    pub fn take(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            ends: take(object, ENDS, HashMap::try_from)?,
            answers: take(object, ANSWERS, HashMap::try_from)?,
            degraded: take(object, DEGRADED, PerCpuArray::try_from)?,
            unreadable: take(object, UNREADABLE, PerCpuArray::try_from)?,
        })
    }

    /// Says which paths a rule means, in the order in which they are compared.
    pub fn write_ends(&mut self, rule: RuleId, ends: &[PathEnd]) -> Result<(), Error> {
        for (number, end) in (0..).zip(ends) {
            self.ends
                .insert(Key { rule, number }, end, 0)
                .map_err(write_error(ENDS))?;
        }
        Ok(())
    }

    /// Says what is answered. A program that reads one of these has it whole, the former or this.
    pub fn write_answers(&mut self, rule: RuleId, answers: &[Answer]) -> Result<(), Error> {
        for (number, answer) in (0..).zip(answers) {
            self.answers
                .insert(Key { rule, number }, answer, 0)
                .map_err(write_error(ANSWERS))?;
        }
        Ok(())
    }

    /// Hits of a rule whose answer did not fit, so that its status alone was changed.
    pub fn degraded(&self, rule: RuleId) -> Result<u64, Error> {
        let values = self.degraded.get(&rule, 0).map_err(read_error(DEGRADED))?;
        Ok(values.iter().sum())
    }

    /// Connections of a target that began HTTP/2.
    pub fn unreadable(&self, scope: u32) -> Result<u64, Error> {
        let values = self
            .unreadable
            .get(&scope, 0)
            .map_err(read_error(UNREADABLE))?;
        Ok(values.iter().sum())
    }
}
