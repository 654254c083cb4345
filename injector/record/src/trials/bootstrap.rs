//! The interval of a mean by resampling: what the mean would have been, had other runs of the same kind come.
//!
//! The draws have one seed, so that the same runs always give the same interval.

/// How often the mean is drawn anew.
const DRAWS: usize = 2_000;

/// The numbers of Steele, Lea and Flood's SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<'v, T>(&mut self, values: &'v [T]) -> Option<&'v T> {
        let count = u64::try_from(values.len()).ok()?;
        let index = self.next().checked_rem(count)?;
        values.get(usize::try_from(index).ok()?)
    }
}

/// The 2.5th and the 97.5th percentile of the mean of the groups' means; `None` where a group has a single value, which
/// says nothing of how far values lie apart.
pub(super) fn interval(groups: &[Vec<f64>]) -> Option<(f64, f64)> {
    if groups.is_empty() || groups.iter().any(|group| group.len() < 2) {
        return None;
    }
    let mut draw = Draw(1);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let group = |values: &Vec<f64>| {
                let drawn = values.iter().filter_map(|_| draw.of(values).copied());
                mean(&drawn.collect::<Vec<_>>())
            };
            mean(&groups.iter().map(group).collect::<Vec<_>>())
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Some((means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40]))
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / super::proof::number(values.len())
}
