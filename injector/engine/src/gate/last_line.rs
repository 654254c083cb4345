//! The last line of what a program prints.
//!
//! Invariant: it holds [`MOST`] bytes at most, however much is printed.

/// The most bytes of a line that are kept: its beginning is left out where it is longer.
const MOST: usize = 512;

/// The last line with something in it, so far.
#[derive(Debug, Default)]
pub(super) struct LastLine {
    /// The last one that has ended.
    ended: Vec<u8>,
    /// The one that goes on.
    open: Vec<u8>,
}

impl LastLine {
    /// Takes in more of what is printed.
    pub(super) fn push(&mut self, printed: &[u8]) {
        let mut lines = printed.split(|byte| *byte == b'\n');
        self.extend(lines.next().unwrap_or_default());
        for line in lines {
            if !self.open.trim_ascii().is_empty() {
                self.ended = std::mem::take(&mut self.open);
            }
            self.open.clear();
            self.extend(line);
        }
    }

    fn extend(&mut self, part: &[u8]) {
        self.open.extend(part);
        let too_many = self.open.len().saturating_sub(MOST);
        self.open.drain(..too_many);
    }

    /// The line, without blanks around it; `None` where nothing was printed.
    pub(super) fn text(&self) -> Option<String> {
        let open = self.open.trim_ascii();
        let line = if open.is_empty() {
            self.ended.trim_ascii()
        } else {
            open
        };
        (!line.is_empty()).then(|| String::from_utf8_lossy(line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_last_one_with_something_in_it() {
        for (printed, last) in [
            ("", None),
            ("\n \n", None),
            ("a", Some("a")),
            ("a\nb\n", Some("b")),
            ("a\n b \n\n \n", Some("b")),
            ("a\nb", Some("b")),
        ] {
            let mut line = LastLine::default();
            line.push(printed.as_bytes());
            assert_eq!(line.text().as_deref(), last, "{printed:?}");
        }
    }

    proptest! {
        /// In whatever pieces it comes, and however long it is.
        #[test]
        fn it_is_the_same_in_any_pieces(
            lines in prop::collection::vec("[a-z ]{0,40}", 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            long in 0_usize..2000,
        ) {
            let mut printed = lines.join("\n");
            printed.push_str(&"x".repeat(long));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(printed.len() + 1)).collect();
            cuts.push(printed.len());
            cuts.sort_unstable();
            let mut line = LastLine::default();
            let mut from = 0;
            for to in cuts {
                line.push(&printed.as_bytes()[from..to]);
                from = to;
            }
            let whole = printed.lines().map(str::trim).rfind(|line| !line.is_empty());
            match (line.text(), whole) {
                (Some(kept), Some(whole)) => {
                    prop_assert!(whole.ends_with(&kept) && kept.len() <= MOST);
                    prop_assert!(kept.len() == whole.len() || whole.len() >= MOST - 40);
                }
                (kept, whole) => prop_assert_eq!(kept.as_deref(), whole),
            }
        }
    }
}
