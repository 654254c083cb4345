//! What so many runs can prove.

use serde::Serialize;

/// What is left to chance.
pub(crate) const ALPHA: f64 = 0.05;

/// The quantile of the normal distribution that goes with [`ALPHA`] on both sides.
const Z: f64 = 1.959_963_984_540_054;

/// The share of runs in which the hypothesis holds, as far as so many runs tell; 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// Runs in which it held.
    pub held: usize,
    /// Runs that were judged.
    pub judged: usize,
    /// The share is not smaller, from 0 to 1.
    pub least: f64,
    /// The share is not larger.
    pub most: f64,
}

impl Proof {
    /// `None` where no run was judged.
    pub fn of(held: usize, judged: usize) -> Option<Self> {
        if judged == 0 {
            return None;
        }
        let (k, n) = (number(held), number(judged));
        let bound = ALPHA.powf(n.recip());
        let (least, most) = if held == judged {
            (bound, 1.0)
        } else if held == 0 {
            (0.0, 1.0 - bound)
        } else {
            wilson(k, n)
        };
        Some(Self {
            held,
            judged,
            least,
            most,
        })
    }

    /// How many runs without a failure show that at least this share holds.
    pub fn runs_for(share: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share below one gives a small positive number"
        )]
        let runs = (ALPHA.ln() / share.clamp(0.01, 0.9999).ln()).ceil() as u64;
        runs
    }
}

/// The share that is not smaller with this little left to chance, where `k` of `n` had it: the exact bound on one side
/// (Clopper and Pearson), `alpha^(1/n)` where all had it. 0 where none had.
pub(crate) fn least_share(k: usize, n: usize, alpha: f64) -> f64 {
    if k == 0 || n == 0 {
        return 0.0;
    }
    if k >= n {
        return alpha.powf(number(n).recip());
    }
    // The chance of so many or more grows with the share: the bound is where it passes alpha.
    let (mut low, mut high) = (0.0, number(k) / number(n));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if chance_of_at_least(k, n, middle) < alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Enough for all digits of a share.
const HALVINGS: usize = 60;

/// How likely `k` or more of `n` are where each is with this share.
fn chance_of_at_least(k: usize, n: usize, share: f64) -> f64 {
    // By logarithms: of many runs a single way is less likely than a number can be small.
    let mut ways = 0.0;
    let mut chance = 0.0;
    for hits in 0..=n {
        if hits > 0 {
            ways += (number(n - hits + 1) / number(hits)).ln();
        }
        if hits >= k {
            let one = ways + number(hits) * share.ln() + number(n - hits) * (1.0 - share).ln();
            chance += one.exp();
        }
    }
    chance
}

/// Wilson's interval.
fn wilson(k: f64, n: f64) -> (f64, f64) {
    let share = k / n;
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z2 / n;
    (
        ((middle - half) / whole).max(0.0),
        ((middle + half) / whole).min(1.0),
    )
}

/// Counts of runs are small.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Figures of the usual tables (Clopper and Pearson, one side, 95 %).
    #[test]
    fn bounds_are_those_of_the_tables() {
        for (k, n, least) in [
            (1, 1, 0.05),
            (3, 3, 0.368_4),
            (2, 3, 0.135_4),
            (9, 10, 0.605_8),
            (5, 10, 0.222_4),
            (0, 10, 0.0),
            (950, 1_000, 0.937_1),
        ] {
            let told = least_share(k, n, ALPHA);
            assert!((told - least).abs() < 1e-4, "{k} of {n}: {told}");
        }
    }

    proptest! {
        /// Whatever the share is, the bound is above it in at most that part of all cases.
        #[test]
        fn a_bound_is_wrong_as_seldom_as_it_says(n in 1..40_usize, share in 0.01..0.99_f64, alpha in 0.001..0.2_f64) {
            let above = (0..=n).find(|k| least_share(*k, n, alpha) > share + 1e-9);
            let wrong = above.map_or(0.0, |k| chance_of_at_least(k, n, share));
            prop_assert!(wrong <= alpha + 1e-9, "{wrong}");
        }
    }
}
