//! Order statistics of measured values.

/// The value below which `share` (0 to 1) of the values lie, by nearest rank; 0 where there are none.
pub fn percentile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank: small, not negative, and exactness does not matter beyond 2^52 values"
    )]
    let rank = (last as f64 * share).round() as usize;
    sorted[rank.min(last)]
}

/// The middle value.
pub fn p50(values: &[u64]) -> u64 {
    percentile(values, 0.50)
}

/// The value that one in a hundred exceeds.
pub fn p99(values: &[u64]) -> u64 {
    percentile(values, 0.99)
}

/// Nanoseconds as milliseconds, for people.
#[expect(
    clippy::cast_precision_loss,
    reason = "for display: 2^52 ns are 52 days"
)]
pub fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// The middle of some ratios or rates; 0 where there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let values: Vec<u64> = (0..=100).rev().collect();
        assert_eq!(p50(&values), 50);
        assert_eq!(p99(&values), 99);
        assert_eq!(percentile(&values, 1.0), 100);
        assert_eq!(p50(&[]), 0);
    }
}
