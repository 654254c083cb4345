//! `1%,10%,100%,0%`: the Gilbert-Elliott model of loss in bursts.

use std::{fmt, str::FromStr};

use injector_common::threshold::Threshold;

use super::Percent;

/// The four numbers of `tc`'s `netem loss gemodel p r 1-h 1-k`, in that order: from good to bad, from bad
/// to good, loss in bad, loss in good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeModel(pub [Threshold; 4]);

/// Why a text is no Gilbert-Elliott model.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeModelError {
    /// One of the four is no percentage.
    #[error(transparent)]
    Percent(#[from] super::PercentError),
    /// Too few or too many.
    #[error(
        "`{0}` is not a Gilbert-Elliott model; write two to four percentages p,r,1-h,1-k, as in `1%,10%`"
    )]
    Count(String),
}

impl FromStr for GeModel {
    type Err = GeModelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given: Vec<Percent> = text
            .split(',')
            .map(|part| part.trim().parse())
            .collect::<Result<_, _>>()?;
        // As in netem, everything is lost in the bad state and nothing in the good one where not said.
        // netem also guesses r as 1-p; that makes every burst end at once, so here it must be said.
        match given.as_slice() {
            [Percent(p), Percent(r), rest @ ..] if rest.len() <= 2 => {
                let or = |at: usize, default| rest.get(at).map_or(default, |percent| percent.0);
                Ok(Self([
                    *p,
                    *r,
                    or(0, Threshold::ALWAYS),
                    or(1, Threshold::NEVER),
                ]))
            }
            _ => Err(GeModelError::Count(text.to_owned())),
        }
    }
}

impl fmt::Display for GeModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p, r, bad, good] = self.0.map(Percent);
        write!(out, "{p},{r},{bad},{good}")
    }
}

super::as_text!(GeModel);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_to_four_numbers() {
        let short: GeModel = "1%, 10%".parse().unwrap();
        assert_eq!(short, "1%,10%,100%,0%".parse().unwrap());
        for text in ["", "1%", "1,2,3,4,5", "1,,2", "101,1"] {
            assert!(text.parse::<GeModel>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(numbers: [u32; 4]) {
            let model = GeModel(numbers.map(Threshold));
            prop_assert_eq!(model.to_string().parse::<GeModel>(), Ok(model));
        }
    }
}
