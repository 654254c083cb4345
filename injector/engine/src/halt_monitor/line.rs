//! Lines out of bytes that come as they come, and what is told of one.

use injector_spec::printable;

/// What of a line is looked at, in bytes: no program that writes fills this one's memory.
pub(super) const LONGEST: usize = 64 << 10;

/// How much of a line is told, in characters.
const TOLD: usize = 120;

/// That a sign of life is missing.
pub(super) const MISSING: &str = "no line was written that matches since the last question";

/// The beginning of a line that has no end yet.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
}

impl Line {
    /// Takes bytes, and shows each line that they complete, up to its [`LONGEST`] first bytes.
    pub(super) fn take(&mut self, bytes: &[u8], look: &mut impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = LONGEST - self.bytes.len();
            self.bytes.extend(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                look(&self.bytes);
                self.bytes.clear();
            }
        }
    }
}

/// The beginning of a line, for people.
pub(super) fn told(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let start: String = text.trim().chars().take(TOLD).collect();
    printable::line(&start).into_owned()
}

/// That a line was written which tells of an error.
pub(super) fn written(line: &str) -> String {
    format!("a line was written that matches: `{line}`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_without_an_end_fills_no_memory() {
        let mut line = Line::default();
        let mut lengths = Vec::new();
        for bytes in [&vec![b'a'; 3 * LONGEST][..], b"\nb\n"] {
            line.take(bytes, &mut |line: &[u8]| lengths.push(line.len()));
        }
        assert_eq!(lengths, [LONGEST, 1]);
    }

    proptest! {
        /// However a text is cut into reads, the lines are the same.
        #[test]
        fn lines_do_not_hang_on_reads(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut lines = Vec::new();
            let mut line = Line::default();
            for pair in cuts.windows(2) {
                line.take(&text.as_bytes()[pair[0]..pair[1]], &mut |line: &[u8]| lines.push(line.to_vec()));
            }
            let mut expected: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            expected.pop();
            prop_assert_eq!(lines, expected);
        }
    }
}
