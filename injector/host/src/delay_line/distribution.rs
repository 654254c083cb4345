//! The shapes of jitter.
//!
//! Each maps a uniform 32-bit random number to a deviation from the mean, in units of the jitter, as
//! netem's tables do (iproute2, netem/normal.c and netem/pareto.c): the number is the quantile. The
//! maths is done here instead of in a table of 4096 steps, so values fall between netem's; both end at
//! four units, where netem's 16-bit tables end.

use injector_plan::line::Distribution;

/// The largest deviation, in units of the jitter.
const LIMIT: f64 = 4.0;

/// The deviation for a random number: mean 0 over all numbers.
///
/// - Uniform: evenly from -1 to 1.
/// - Normal: mean 0, standard deviation 1.
/// - Pareto: the Pareto distribution of shape 3 and scale 1, less its mean of 1.5, times 4/3: from -2/3
///   with a long tail up, so that most frames are somewhat early and few are very late. The limit cuts one
///   frame in 90 and lowers the mean by 0.033.
pub fn deviation(distribution: Distribution, random: u32) -> f64 {
    // In the middle of its step, so that neither end is a quantile of 0 or 1.
    let quantile = (f64::from(random) + 0.5) / 4_294_967_296.0;
    match distribution {
        Distribution::Uniform => 2.0 * quantile - 1.0,
        Distribution::Normal => normal(quantile).clamp(-LIMIT, LIMIT),
        Distribution::Pareto => ((quantile.cbrt().recip() - 1.5) * (4.0 / 3.0)).min(LIMIT),
    }
}

/// The standard normal quantile, by Acklam's rational approximation (relative error below 1.2e-9).
fn normal(quantile: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const LOW: f64 = 0.024_25;
    let tail = |q: f64| {
        let r = (-2.0 * q.ln()).sqrt();
        horner(&C, r) / horner(&D, r)
    };
    if quantile < LOW {
        tail(quantile)
    } else if quantile > 1.0 - LOW {
        -tail(1.0 - quantile)
    } else {
        let q = quantile - 0.5;
        q * horner(&A, q * q) / horner(&B, q * q)
    }
}

/// A polynomial, highest power first.
fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small numbers in tests")]
mod tests {
    use super::*;

    fn moments(distribution: Distribution) -> (f64, f64, f64) {
        let values: Vec<f64> = (0..1u32 << 16)
            .map(|n| deviation(distribution, (n << 16) + 0x8000))
            .collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (
            mean,
            variance.sqrt(),
            values.iter().copied().fold(f64::MIN, f64::max),
        )
    }

    #[test]
    fn moments_are_as_documented() {
        let close = |a: f64, b: f64| (a - b).abs() < 0.01;
        let (mean, deviation, most) = moments(Distribution::Uniform);
        assert!(close(mean, 0.0) && close(deviation, 3f64.sqrt().recip()) && close(most, 1.0));
        let (mean, deviation, most) = moments(Distribution::Normal);
        assert!(close(mean, 0.0) && close(deviation, 1.0) && most <= LIMIT);
        let (mean, deviation, most) = moments(Distribution::Pareto);
        assert!(close(mean, -0.033), "{mean}");
        assert!((0.7..1.0).contains(&deviation), "{deviation}");
        assert!(close(most, LIMIT));
    }

    #[test]
    fn normal_quantiles_are_the_textbooks() {
        for (quantile, z) in [
            (0.5, 0.0),
            (0.841_344_746, 1.0),
            (0.977_249_868, 2.0),
            (0.001_349_898, -3.0),
        ] {
            assert!((normal(quantile) - z).abs() < 1e-6, "{quantile}");
        }
    }

    /// `net delay --latency 50ms --jitter 100ms` says that the mean is 56.25 ms: it is what is drawn.
    #[test]
    fn the_mean_that_is_told_is_drawn() {
        let drawn: f64 = (0..1u32 << 12)
            .map(|n| (50.0 + 100.0 * deviation(Distribution::Uniform, n << 20)).max(0.0))
            .sum();
        assert!((drawn / 4096.0 - 56.25).abs() < 0.1, "{}", drawn / 4096.0);
    }
}
