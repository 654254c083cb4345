//! How sure a bracket is.

use serde::Serialize;

use super::Bracket;
use crate::trials::proof::{ALPHA, least_share, number};

/// What so many runs prove of the two values of a bracket. Both statements are true at once with at least 95 % confidence.
///
/// Each value of a search could have come to either statement, and those that a bracket tells were chosen by what their
/// runs said. So the 5 % that are left to chance are shared out over two statements for each value that the search can
/// try (Bonferroni), and each share is the exact bound of Clopper and Pearson. Where a victim is noisy, that is what
/// keeps a lucky run from being told as a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confidence {
    /// How sure it is, from 0 to 1.
    pub level: f64,
    /// Values among which the chance is shared out.
    pub values: usize,
    /// At the mildest value that broke, at least this share of runs breaks.
    pub breaks_least: f64,
    /// At the harshest value that held, at least this share of runs holds.
    pub holds_least: f64,
}

impl Confidence {
    pub(super) fn of(bracket: &Bracket, values: usize) -> Self {
        let alpha = ALPHA / (2.0 * number(values.max(1)));
        let Bracket { holds, breaks } = bracket;
        Self {
            level: 1.0 - ALPHA,
            values,
            breaks_least: least_share(breaks.broke, breaks.judged(), alpha),
            holds_least: least_share(holds.held, holds.judged(), alpha),
        }
    }
}
