//! Patterns of names: `*` for any bytes, `?` for any one byte, everything else for itself.
//!
//! The walk keeps one place to come back to, the last star; that is enough, because what an earlier star
//! took can stay as it is when a later one is reached. It is written as single steps, so that a BPF
//! program can take them one by one with `bpf_loop`.

/// A match in the making.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Next byte of the pattern.
    pub pattern_at: u32,
    /// Next byte of the name.
    pub name_at: u32,
    /// Where the pattern goes on behind its last star, plus one; 0 is no star yet.
    pub star: u32,
    /// How much of the name the last star has taken.
    pub taken_to: u32,
}

/// What a step found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More steps are needed.
    GoOn,
    /// The name matches.
    Match,
    /// It does not.
    NoMatch,
}

/// How many steps a match of a pattern and a name of at most these lengths can take.
#[expect(
    clippy::cast_possible_truncation,
    reason = "names are at most 255 bytes"
)]
pub const fn steps(pattern: usize, name: usize) -> u32 {
    ((pattern + 2) * (name + 2)) as u32
}

impl Walk {
    /// Nothing is compared yet.
    pub const START: Self = Self {
        pattern_at: 0,
        name_at: 0,
        star: 0,
        taken_to: 0,
    };

    /// Takes one step. `pattern_byte` and `name_byte` are the bytes at [`Self::pattern_at`] and
    /// [`Self::name_at`], and `None` behind the ends.
    #[inline(always)]
    pub fn step(&mut self, pattern_byte: Option<u8>, name_byte: Option<u8>) -> Step {
        match (pattern_byte, name_byte) {
            (Some(b'*'), _) => {
                self.pattern_at += 1;
                self.star = self.pattern_at + 1;
                self.taken_to = self.name_at;
                return Step::GoOn;
            }
            (Some(wanted), Some(byte)) if wanted == b'?' || wanted == byte => {
                self.pattern_at += 1;
                self.name_at += 1;
                return Step::GoOn;
            }
            (None, None) => return Step::Match,
            (_, None) => return Step::NoMatch,
            _ => {}
        }
        if self.star == 0 {
            return Step::NoMatch;
        }
        self.taken_to += 1;
        self.name_at = self.taken_to;
        self.pattern_at = self.star - 1;
        Step::GoOn
    }
}

/// Whether a name matches a pattern.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut walk = Walk::default();
    loop {
        let pattern_byte = pattern.get(walk.pattern_at as usize).copied();
        let name_byte = name.get(walk.name_at as usize).copied();
        match walk.step(pattern_byte, name_byte) {
            Step::GoOn => {}
            Step::Match => return true,
            Step::NoMatch => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, slow and plain.
    fn defined(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|taken| defined(rest, &name[taken..])),
            Some((wanted, rest)) => name.split_first().is_some_and(|(byte, name)| {
                (*wanted == b'?' || wanted == byte) && defined(rest, name)
            }),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            pattern in "[ab*?]{0,8}", name in "[abc]{0,10}",
        ) {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(pattern, name), defined(pattern, name));
        }

        #[test]
        fn ends_within_its_steps(
            pattern in "[ab*]{0,20}", name in "[ab]{0,20}",
        ) {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            let mut walk = Walk::default();
            let mut taken = 0;
            while walk.step(
                pattern.get(walk.pattern_at as usize).copied(),
                name.get(walk.name_at as usize).copied(),
            ) == Step::GoOn {
                taken += 1;
                prop_assert!(taken <= steps(pattern.len(), name.len()));
            }
        }
    }
}
