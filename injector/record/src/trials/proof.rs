//! What so many runs can prove.

use serde::Serialize;

/// What is left to chance.
const ALPHA: f64 = 0.05;

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
pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
