//! The values of a rule while its fault ramps, at one time.
//!
//! They come from the fault as it is then ([`Fault::at`]), by the same functions as at the beginning. What hangs on the
//! harshest values and cannot change while programs are attached (filters, hooks, mechanism, the copies that a chain of
//! sleeps takes) is the plan's, once.

use std::time::Duration;

use injector_common::{call::CallRule, rule::Rule};
use injector_spec::experiment::Fault;

use super::{Compiled, Error, LineModel, Plan, PlannedRule, calls, compile, rows::Chosen};

/// What programs and the delay line read of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The record.
    pub rule: Rule,
    /// What the delay line does.
    pub line: Option<LineModel>,
    /// What a rule on calls has besides.
    pub call: Option<CallRule>,
}

impl PlannedRule {
    /// Whether any parameter ramps.
    pub const fn is_ramping(&self) -> bool {
        !self.fault.ramps.is_empty()
    }

    /// Its values when it has been on for so long.
    pub fn values(&self, elapsed: Duration) -> Result<Values, Error> {
        values(&self.fault.at(elapsed), &self.compiled)
    }
}

impl Plan {
    /// How soon the next values of a step's ramps are due where those of `elapsed` are set; `None` where all ramps have
    /// come to their ends.
    pub fn ramps_again_after(&self, step: usize, elapsed: Duration) -> Option<Duration> {
        let rules = self.of_step(step);
        let ramps = rules.flat_map(|rule| {
            let on = self.since(rule, step, elapsed);
            rule.fault.ramps.iter().map(move |ramp| (ramp, on))
        });
        let moving = ramps.filter(|(ramp, on)| ramp.over > *on);
        moving.map(|(ramp, _)| ramp.pace()).min()
    }
}

/// The values of a fault that differs from the compiled one in what ramps.
pub(super) fn values(fault: &Fault, compiled: &Compiled) -> Result<Values, Error> {
    let mut rule = compile::record(fault, compiled.rule.filters, compiled.rule.seed);
    let row = compile::row(fault, Some(compiled.mechanism));
    let line = row.model(&rule, compiled.line.as_ref())?;
    row.write(&mut rule);
    if compiled.exec_deny.is_some() {
        rule.errno = compile::DENIED;
    }
    let planned = compiled.calls.as_ref().map(|calls| calls.record);
    let call = match (row.mechanism, planned) {
        (Chosen::ByHost(done, _), Some(planned)) => Some(calls::again(&fault.kind, done, &planned)),
        (Chosen::ByHost(..) | Chosen::ByFault(_), planned) => planned,
    };
    Ok(Values { rule, line, call })
}

#[cfg(test)]
mod tests;
