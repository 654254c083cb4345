//! How often is asked again what was asked before.

/// Asks at the first, the second, the fourth time and so on, and at each 64th then: what may take time is not done in each look,
/// and what has changed is seen before long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    times: u32,
}

/// The longest wait, in times; with a look each 50 ms it is some seconds.
const LONGEST: u32 = 64;

impl Patience {
    /// One time more; whether it is to be asked.
    pub(super) const fn is_over(&mut self) -> bool {
        self.times = self.times.saturating_add(1);
        self.times.is_power_of_two() || self.times.is_multiple_of(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_less_and_less_often_and_never_no_more() {
        let mut patience = Patience::default();
        let asked: Vec<u32> = (1..=256).filter(|_| patience.is_over()).collect();
        assert_eq!(asked, [1, 2, 4, 8, 16, 32, 64, 128, 192, 256]);
    }
}
