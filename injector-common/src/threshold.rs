//! A probability as a 32-bit threshold, exact at both ends.

/// A probability: an event happens when a uniform 32-bit random number is below the threshold.
///
/// 0 never happens. [`Threshold::ALWAYS`] always happens: `u32::MAX` is compared apart, because a
/// random number equal to it would otherwise be let through once in 2^32.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(pub u32);

impl Threshold {
    /// Probability 0.
    pub const NEVER: Self = Self(0);
    /// Probability 1.
    pub const ALWAYS: Self = Self(u32::MAX);

    /// The threshold for a fraction of 2^32; 2^32 and above is [`Threshold::ALWAYS`].
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is the other branch's"
    )]
    pub const fn from_fraction_of_2_pow_32(fraction: u64) -> Self {
        if fraction >= u32::MAX as u64 {
            Self::ALWAYS
        } else {
            Self(fraction as u32)
        }
    }

    /// Whether the event happens for this uniform random number.
    #[inline(always)]
    pub const fn hits(self, random: u32) -> bool {
        self.0 == u32::MAX || random < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_exact() {
        for random in [0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
            assert!(!Threshold::NEVER.hits(random));
            assert!(Threshold::ALWAYS.hits(random));
        }
    }

    #[test]
    fn a_half_is_a_half() {
        let half = Threshold::from_fraction_of_2_pow_32(1 << 31);
        assert!(half.hits((1 << 31) - 1));
        assert!(!half.hits(1 << 31));
    }
}
