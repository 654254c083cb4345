//! Faults by which what is read is damaged: `io.corrupt`, `pipe.corrupt`.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    experiment::{
        CallFaultError, Calls, Settings,
        decided::{Decided, Why, stays},
        settings::name,
    },
    grammar::values,
};

/// What calls return is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDamage {
    /// Which.
    pub calls: Calls,
    /// How damage looks.
    pub filling: Filling,
    /// The most bytes of one place, 1 to [`MOST_BYTES`].
    pub max_length: u32,
    /// The most places of one call, 1 to [`MOST_PLACES`].
    pub max_occurrences: u32,
}

/// How damage looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Filling {
    /// Zero bytes.
    Zero,
    /// Random bytes.
    Random,
    /// Each byte with one bit turned over.
    #[default]
    Flip,
}

/// The most bytes that are damaged in one place.
pub(crate) const MOST_BYTES: u32 = 4096;

/// The most places that are damaged in one call.
pub(crate) const MOST_PLACES: u32 = 16;

/// How damage looks.
#[derive(Args, Debug)]
#[command(next_help_heading = "Damage")]
pub(super) struct DamageFlags {
    /// What stands where bytes were read
    #[arg(long, value_enum, default_value = "flip")]
    filling: Filling,
    /// The most bytes of one place
    #[arg(long, value_name = "BYTES", default_value_t = 1, value_parser = values::count::<1, u32>)]
    max_length: u32,
    /// The most places of one call
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<1, u32>)]
    max_occurrences: u32,
}

impl DamageFlags {
    /// The damage to what these calls read.
    pub(super) fn damage(self, calls: Calls) -> CallDamage {
        CallDamage {
            calls,
            filling: self.filling,
            max_length: self.max_length,
            max_occurrences: self.max_occurrences,
        }
    }
}

impl CallDamage {
    /// Checks what the types do not say.
    pub(crate) fn check(&self) -> Result<(), CallFaultError> {
        self.calls.check()?;
        if !(1..=MOST_BYTES).contains(&self.max_length) {
            return Err(CallFaultError::Length(self.max_length));
        }
        if !(1..=MOST_PLACES).contains(&self.max_occurrences) {
            return Err(CallFaultError::Occurrences(self.max_occurrences));
        }
        Ok(())
    }

    /// Says it; the calls only where they are not those that its flags mean.
    pub(super) fn describe(
        &self,
        meant: &[&str],
        parameters: &mut Settings,
        filters: &mut Settings,
    ) {
        parameters.one("filling", name(self.filling));
        parameters.one("max-length", self.max_length);
        parameters.one("max-occurrences", self.max_occurrences);
        if self.calls.syscalls != Calls::named(meant, None).syscalls {
            filters.list("syscall", &self.calls.syscalls);
        }
        self.calls.describe(filters);
    }

    pub(super) fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            calls,
            filling: _,
            max_length: _,
            max_occurrences: _,
        } = self;
        let mut decided = calls.numbers();
        decided.extend(stays(&["max-length", "max-occurrences"], Why::Size));
        decided
    }
}
