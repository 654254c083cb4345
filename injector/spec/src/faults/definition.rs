//! What every fault has to say of itself.
//!
//! No method has a default: the compiler names what a new fault still lacks, and nothing is decided for it.

use super::ActsOn;
use crate::experiment::{
    CheckError, Direction, Settings, Target,
    decided::Decided,
    timing::{Span, Timing},
};

/// A fault, for the parts of this crate that know none by name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is in the list of faults and does not say what it is",
    note = "write `impl Definition for {Self}` in its file, as `faults/noop.rs` has it"
)]
pub(crate) trait Definition {
    /// What it acts on, and so which filters let something through to it.
    fn acts_on(&self) -> ActsOn<'_>;

    /// What decides which matches are hit.
    fn drawn(&self) -> Drawn;

    /// Refuses what its types allow and makes no sense on any target.
    fn check(&self) -> Result<(), CheckError>;

    /// Refuses what makes no sense on this target.
    fn check_on(&self, target: &Target) -> Result<(), CheckError>;

    /// What is wrong with its times, and what a person should know about them, in the time that it has.
    fn timing(&self, span: Span) -> Timing;

    /// Says it, by the names of its flags: what is done, and which packets or calls are meant where filters on
    /// traffic do not say so. A test makes the same fault of what is said.
    fn describe(&self, parameters: &mut Settings, filters: &mut Settings);

    /// What a plan says of it besides, a line each.
    fn details(&self, direction: Direction) -> Vec<String>;
}

/// The parameters of a fault that has some.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has parameters and does not say which of them can ramp",
    note = "write `impl Numbers for {Self}` in its file, as `faults/net_reorder.rs` has it"
)]
pub(crate) trait Numbers {
    /// Whether each of its numbers can ramp, or why not. Fields are taken apart without `..`, so that a new one does not
    /// compile before it is decided.
    fn numbers(&mut self) -> Vec<Decided<'_>>;
}

/// What decides which matches are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// The fault's chance.
    ByChance,
    /// A model of its own, on those that the chance lets through.
    ByModel,
    /// Nothing: it is in force or it is not.
    Never,
}
