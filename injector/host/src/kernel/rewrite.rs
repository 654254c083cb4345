//! The tables of answers in a target's own memory: what is answered to what, and what became of it.

use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use injector_common::{
    RuleId,
    plaintext::ConnectionKey,
    rewrite::{Answer, Armed, ENDS as MOST, GENERATION, Key, PathEnd},
};

use super::{
    Error,
    maps::{read_error, take, write_error},
    object::Object,
};

const ENDS: &str = "INJ_PATH_ENDS";
const ANSWERS: &str = "INJ_ANSWERS";
const IN_USE: &str = "INJ_GENERATION";
const ARMED: &str = "INJ_ARMED";
const DEGRADED: &str = "INJ_DEGRADED";
const UNREADABLE: &str = "INJ_UNREADABLE";

/// The tables, taken out of an object. The programs that read them are loaded by copies of their descriptors.
pub struct RewriteMaps {
    ends: HashMap<MapData, Key, PathEnd>,
    answers: HashMap<MapData, Key, Answer>,
    in_use: Array<MapData, u32>,
    armed: HashMap<MapData, ConnectionKey, Armed>,
    /// The number of the first answer of the generation that is written next.
    next: u32,
    degraded: PerCpuArray<MapData, u64>,
    unreadable: PerCpuArray<MapData, u64>,
}

impl RewriteMaps {
    /// Takes the maps out of an object.
    pub fn take(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            ends: take(object, ENDS, HashMap::try_from)?,
            answers: take(object, ANSWERS, HashMap::try_from)?,
            in_use: take(object, IN_USE, Array::try_from)?,
            armed: take(object, ARMED, HashMap::try_from)?,
            next: GENERATION,
            degraded: take(object, DEGRADED, PerCpuArray::try_from)?,
            unreadable: take(object, UNREADABLE, PerCpuArray::try_from)?,
        })
    }

    /// Says which paths a rule means, in the order in which they are compared.
    ///
    /// # Errors
    /// Where there are more than are compared, or the map refuses them.
    pub fn write_ends(&mut self, rule: RuleId, ends: &[PathEnd]) -> Result<(), Error> {
        if ends.len() > MOST as usize {
            return Err(Error::Map {
                map: ENDS,
                what: "write",
                why: format!("{} ends of paths are more than {MOST}", ends.len()),
            });
        }
        for (number, end) in (0..).zip(ends) {
            self.ends
                .insert(Key { rule, number }, end, 0)
                .map_err(write_error(ENDS))?;
        }
        Ok(())
    }

    /// Says what all rules answer from now on. What they answered before stays until the next call, for programs that read it:
    /// they are done within microseconds, and the calls are to be a second apart.
    ///
    /// # Errors
    /// Where a map refuses them; what was answered before is answered on then.
    pub fn write_answers(&mut self, all: &[(RuleId, Vec<Answer>)]) -> Result<(), Error> {
        for (rule, answers) in all {
            for (number, answer) in (self.next..).zip(answers) {
                let key = Key {
                    rule: *rule,
                    number,
                };
                self.answers
                    .insert(key, answer, 0)
                    .map_err(write_error(ANSWERS))?;
            }
        }
        self.in_use
            .set(0, self.next, 0)
            .map_err(write_error(IN_USE))?;
        self.next = GENERATION - self.next;
        Ok(())
    }

    /// Requests that rules have taken and whose answers were not met yet, each by its rule. The oldest of many may be forgotten.
    pub fn armed(&self) -> Vec<RuleId> {
        // One that goes meanwhile was met.
        let armed = self.armed.iter().filter_map(Result::ok);
        armed.map(|(_, armed)| armed.key.rule).collect()
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
