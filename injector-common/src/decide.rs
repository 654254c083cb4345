//! The decision: does the n-th match of a rule take the fault?
//!
//! Pure and total: the same rule, number and memory always give the same verdict, so a seed repeats a
//! run as long as packets come in the same order. The random numbers are a hash of the seed and the
//! match's number, not the kernel's generator, for that reason.

use crate::rule::{Rule, loss_model};

/// What a rule remembers from one match to the next. Two CPUs may race for it; the worst outcome is
/// that one match's draw is correlated with a slightly older one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The last random number after correlation.
    pub last: u32,
    /// Bit 31: the Gilbert-Elliott chain is in its bad state. Other bits: packets since the last
    /// reordered one.
    pub chain: u32,
}

/// The bad-state bit of [`Memory::chain`].
const BAD: u32 = 1 << 31;

/// The `n`-th random number of a seed: `SplitMix64` (Steele, Lea, Flood 2014), its high half.
#[inline(always)]
pub const fn random(seed: u64, n: u64) -> u32 {
    (random64(seed, n) >> 32) as u32
}

/// The `n`-th 64-bit random number of a seed.
#[inline(always)]
pub const fn random64(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// netem's correlated random number: `rho` of the last one, the rest of the fresh one
/// (`net/sched/sch_netem.c`, `get_crandom`).
#[inline(always)]
pub const fn correlated(fresh: u32, last: u32, rho: u32) -> u32 {
    if rho == 0 {
        return fresh;
    }
    let rho = rho as u64 + 1;
    let mixed = fresh as u64 * ((1 << 32) - rho) + last as u64 * rho;
    (mixed >> 32) as u32
}

/// Whether the `n`-th match (from 1) takes the fault, before its budget is asked.
#[inline(always)]
pub fn decide(rule: &Rule, n: u64, memory: &mut Memory) -> bool {
    if !rule.when.includes(n) {
        return false;
    }
    if rule.loss_model == loss_model::GILBERT_ELLIOTT {
        return gilbert_elliott(rule, n, memory);
    }
    if rule.gap > 1 {
        let since = memory.chain + 1;
        if since < rule.gap {
            memory.chain = since;
            return false;
        }
    }
    let drawn = correlated(random(rule.seed, n), memory.last, rule.correlation.0);
    memory.last = drawn;
    let hit = rule.percent.hits(drawn);
    if hit && rule.gap > 1 {
        memory.chain = 0;
    }
    hit
}

/// One step of the chain, as `netem loss gemodel p r 1-h 1-k` does (`net/sched/sch_netem.c`,
/// `loss_gilb_ell`): the packet's fate is drawn in the state that it found, the next one finds the
/// state that this step leaves.
#[inline(always)]
fn gilbert_elliott(rule: &Rule, n: u64, memory: &mut Memory) -> bool {
    let [to_bad, to_good, loss_in_bad, loss_in_good] = rule.gemodel;
    let bits = random64(rule.seed, n);
    let (step, draw) = ((bits >> 32) as u32, (bits & 0xffff_ffff) as u32);
    if memory.chain & BAD == 0 {
        if to_bad.hits(step) {
            memory.chain |= BAD;
        }
        loss_in_good.hits(draw)
    } else {
        if to_good.hits(step) {
            memory.chain &= !BAD;
        }
        loss_in_bad.hits(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rule::When, threshold::Threshold};
    use proptest::prelude::*;

    /// Draws, and fewer where each is interpreted.
    const MANY: u32 = if cfg!(miri) { 1_000 } else { 100_000 };

    fn rule(percent: Threshold, seed: u64) -> Rule {
        Rule {
            percent,
            seed,
            when: When::ALWAYS,
            max_hits: u64::MAX,
            ..Rule::default()
        }
    }

    fn percent(percent: u32) -> Threshold {
        Threshold::from_fraction_of_2_pow_32((u64::from(percent) << 32) / 100)
    }

    fn hits(rule: &Rule, n: u64) -> u32 {
        let mut memory = Memory::default();
        (1..=n)
            .map(|n| u32::from(decide(rule, n, &mut memory)))
            .sum()
    }

    proptest! {
        #[test]
        fn never_and_always_are_exact(seed: u64) {
            prop_assert_eq!(hits(&rule(Threshold::NEVER, seed), 2000), 0);
            prop_assert_eq!(hits(&rule(Threshold::ALWAYS, seed), 2000), 2000);
        }

        /// Within four sigma of the asked rate over many draws, for any seed and percentage.
        #[test]
        fn the_rate_is_kept(seed: u64, asked in 1u32..100) {
            let p = f64::from(asked) / 100.0;
            let n = f64::from(MANY);
            let sigma = (n * p * (1.0 - p)).sqrt();
            let seen = f64::from(hits(&rule(percent(asked), seed), MANY.into()));
            // 4.5 sigma: one in 150 000 draws of proptest, so the test itself stays quiet.
            prop_assert!((seen - n * p).abs() < 4.5 * sigma + 1.0, "{seen} of {n} at {p}");
        }

        #[test]
        fn a_seed_repeats_the_run(seed: u64, percent: u32, rho: u32) {
            let rule = Rule { correlation: Threshold(rho), ..rule(Threshold(percent), seed) };
            let run = || {
                let mut memory = Memory::default();
                (1..500).map(|n| decide(&rule, n, &mut memory)).collect::<Vec<_>>()
            };
            prop_assert_eq!(run(), run());
        }

        #[test]
        fn reorder_waits_for_its_gap(gap in 2u32..20, seed: u64) {
            let rule = Rule { gap, ..rule(Threshold::ALWAYS, seed) };
            let mut memory = Memory::default();
            for n in 1..200u64 {
                prop_assert_eq!(decide(&rule, n, &mut memory), n % u64::from(gap) == 0);
            }
        }
    }

    #[test]
    fn full_correlation_repeats_the_last_draw() {
        assert_eq!(correlated(5, 1_000_000, u32::MAX), 1_000_000);
        assert_eq!(correlated(5, 1_000_000, 0), 5);
    }

    #[test]
    #[cfg_attr(
        miri,
        ignore = "a statistic of 200 000 draws, for which an interpreter is too slow"
    )]
    fn gilbert_elliott_loses_in_bursts() {
        // p = 1 %, r = 10 %: the chain is bad for p/(p+r) = 1/11 of the time, ten packets a burst.
        let rule = Rule {
            loss_model: loss_model::GILBERT_ELLIOTT,
            gemodel: [percent(1), percent(10), Threshold::ALWAYS, Threshold::NEVER],
            ..rule(Threshold::NEVER, 42)
        };
        let mut memory = Memory::default();
        let lost: Vec<bool> = (1..=200_000)
            .map(|n| decide(&rule, n, &mut memory))
            .collect();
        let total: f64 = lost.iter().map(|lost| f64::from(*lost)).sum();
        let bursts: f64 = lost.windows(2).map(|w| f64::from(!w[0] && w[1])).sum();
        assert!((total / 200_000.0 - 1.0 / 11.0).abs() < 0.01, "{total}");
        assert!((total / bursts - 10.0).abs() < 1.0, "{}", total / bursts);
    }
}
