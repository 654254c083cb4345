//! How long a rule holds a frame: pure arithmetic on times in nanoseconds.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "bounded by LONGEST, so exact; negative holds become 0 on purpose"
)]

use std::{num::NonZeroU64, time::Duration};

use injector_common::decide::{correlated, random};

use super::distribution::deviation;
use injector_plan::line::{Bandwidth, Delay};

/// The longest that one rule holds a frame. The wheel reaches somewhat further.
pub const LONGEST: Duration = injector_spec::experiment::LONGEST_HOLD;

/// The most that may wait in front of a slow link, in nanoseconds of sending: a frame that finds more is
/// lost. Without a limit TCP would fill the queue for minutes (nothing ever tells it to slow down).
pub const QUEUE_NS: u64 = 1_000_000_000;

/// What a delay remembers from one frame to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// Numbers drawn so far.
    count: u64,
    /// The last one, after correlation.
    last: u32,
}

/// How long a delay holds the next frame, in nanoseconds: netem's `tabledist`, never negative. Without
/// jitter no number is drawn.
pub fn hold(delay: &Delay, draws: &mut Draws) -> u64 {
    let latency = nanoseconds(delay.latency);
    let jitter = nanoseconds(delay.jitter);
    if jitter == 0 {
        return latency;
    }
    let fresh = random(delay.seed, draws.count);
    // The first number has none before it to be like.
    let first = draws.count == 0;
    draws.last = if first {
        fresh
    } else {
        correlated(fresh, draws.last, delay.correlation.0)
    };
    draws.count += 1;
    // Below 2^50, so exact in a float; a negative sum becomes 0 in the conversion.
    let held = latency as f64 + jitter as f64 * deviation(delay.distribution, draws.last);
    (held as u64).min(nanoseconds(LONGEST))
}

/// A duration in nanoseconds, at most [`LONGEST`].
pub fn nanoseconds(duration: Duration) -> u64 {
    // Ten minutes fit.
    duration.min(LONGEST).as_nanos() as u64
}

/// A slow link: when it has sent all that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    free_at: u64,
}

impl Link {
    /// When a frame of `bytes` that comes at `now` has been sent; `None` if it finds the queue full.
    pub fn send(&mut self, bandwidth: Bandwidth, now: u64, bytes: u64) -> Option<u64> {
        if self.free_at.saturating_sub(now) > QUEUE_NS {
            return None;
        }
        self.free_at = self
            .free_at
            .max(now)
            .saturating_add(sending(bandwidth.bits_per_second, bytes));
        Some(self.free_at)
    }
}

/// How long a frame of `bytes` takes on the link, in nanoseconds.
fn sending(bits_per_second: NonZeroU64, bytes: u64) -> u64 {
    bytes
        .saturating_mul(8_000_000_000)
        .div_ceil(bits_per_second.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_common::threshold::Threshold;
    use injector_plan::line::Distribution;
    use proptest::prelude::*;

    fn delay(latency: u64, jitter: u64, distribution: Distribution, seed: u64) -> Delay {
        Delay {
            latency: Duration::from_micros(latency),
            jitter: Duration::from_micros(jitter),
            correlation: Threshold::NEVER,
            distribution,
            seed,
        }
    }

    fn holds(delay: &Delay, n: usize) -> Vec<u64> {
        let mut draws = Draws::default();
        (0..n).map(|_| hold(delay, &mut draws)).collect()
    }

    fn distributions() -> impl Strategy<Value = Distribution> {
        prop::sample::select(vec![
            Distribution::Uniform,
            Distribution::Normal,
            Distribution::Pareto,
        ])
    }

    proptest! {
        #[test]
        fn without_jitter_all_wait_alike(latency in 0u64..600_000_000, d in distributions(), seed: u64) {
            let all = holds(&delay(latency, 0, d, seed), 20);
            prop_assert!(all.iter().all(|held| *held == latency * 1000));
        }

        #[test]
        fn jitter_stays_in_its_bounds(
            latency in 0u64..10_000_000, jitter in 1u64..10_000_000, d in distributions(), seed: u64,
        ) {
            let reach = if d == Distribution::Uniform { jitter } else { 4 * jitter };
            for held in holds(&delay(latency, jitter, d, seed), 200) {
                prop_assert!(held <= (latency + reach) * 1000);
                prop_assert!(held + 1 >= latency.saturating_sub(reach) * 1000);
            }
        }

        #[test]
        fn the_mean_is_the_latency(jitter in 1u64..10_000, d in distributions(), seed: u64) {
            let all = holds(&delay(100_000, jitter, d, seed), 20_000);
            let mean = all.iter().sum::<u64>() as f64 / 20_000.0 / 1000.0;
            // Six standard errors of the widest shape, and what the limit cuts from Pareto's mean.
            let allowed = jitter as f64 * (6.0 / 20_000f64.sqrt() + 0.04);
            prop_assert!((mean - 100_000.0).abs() < allowed, "{mean} with {jitter}");
        }

        #[test]
        fn a_seed_repeats_the_jitter(d in distributions(), seed: u64, rho: u32) {
            let delay = Delay { correlation: Threshold(rho), ..delay(5_000, 5_000, d, seed) };
            prop_assert_eq!(holds(&delay, 100), holds(&delay, 100));
        }

        /// Frames leave a link in order, each no earlier than it came plus its sending time, and all
        /// together no faster than the rate.
        #[test]
        fn a_link_keeps_order_and_rate(
            rate in 1_000u64..10_000_000_000,
            frames in prop::collection::vec((0u64..1_000_000_000, 14u64..65_536), 1..100),
        ) {
            let bandwidth = Bandwidth { bits_per_second: NonZeroU64::new(rate).unwrap() };
            let (mut link, mut now, mut last, mut sent) = (Link::default(), 0, 0, 0);
            for (gap, bytes) in frames {
                now += gap;
                let backlog = last.max(now) - now;
                match link.send(bandwidth, now, bytes) {
                    Some(at) => {
                        sent += bytes;
                        prop_assert!(backlog <= QUEUE_NS && at >= last);
                        prop_assert!(at >= now + sending(bandwidth.bits_per_second, bytes));
                        prop_assert!(u128::from(at) * u128::from(rate) >= u128::from(sent) * 8_000_000_000);
                        last = at;
                    }
                    None => prop_assert!(backlog > QUEUE_NS),
                }
            }
        }
    }

    #[test]
    fn full_correlation_repeats_the_first_hold() {
        let delay = Delay {
            correlation: Threshold::ALWAYS,
            ..delay(1000, 500, Distribution::Uniform, 7)
        };
        let all = holds(&delay, 50);
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_megabit_takes_a_second_at_a_megabit_a_second() {
        let bandwidth = Bandwidth {
            bits_per_second: NonZeroU64::new(1_000_000).unwrap(),
        };
        assert_eq!(
            Link::default().send(bandwidth, 5, 125_000),
            Some(1_000_000_005)
        );
    }
}
