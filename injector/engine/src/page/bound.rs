//! A page in no more rows than it may take.
//!
//! Whole lines are left out, of the lowest rank first and from the end; the first line is cut between two rows where
//! it alone is too long.

use unicode_width::UnicodeWidthStr as _;

use super::{Bound, Line, Look, Rank};

/// What a line that goes on elsewhere ends with.
const MORE: &str = " ...";

pub(super) fn rows(lines: &[Line], bound: &Bound, width: usize, look: Look) -> Vec<String> {
    let mut shown: Vec<(Rank, Vec<String>)> = lines
        .iter()
        .map(|line| (line.rank, line.rows(look)))
        .collect();
    let count = |shown: &[(Rank, Vec<String>)]| shown.iter().map(|(_, rows)| rows.len()).sum();
    let total: usize = count(&shown);
    if total <= bound.rows {
        return shown.into_iter().flat_map(|(_, rows)| rows).collect();
    }
    let rest = bound.rest.rows(look);
    let room = bound.rows.saturating_sub(rest.len());
    while shown.len() > 1 && count(&shown) > room {
        let lowest = shown.iter().skip(1).map(|(rank, _)| *rank).max();
        let last = shown
            .iter()
            .rposition(|(rank, _)| Some(*rank) == lowest)
            .filter(|at| *at > 0);
        match last {
            Some(at) => drop(shown.remove(at)),
            None => break,
        }
    }
    let mut rows: Vec<String> = shown.into_iter().flat_map(|(_, rows)| rows).collect();
    if rows.len() > room {
        rows = cut(lines.first(), room.max(1), width);
    }
    rows.extend(rest);
    rows
}

/// The first rows of a line, without colours, so that no colour is left on where it is cut.
fn cut(line: Option<&Line>, room: usize, width: usize) -> Vec<String> {
    let rows = line.map(|line| line.rows(Look::Bare(width)));
    let mut rows = rows.unwrap_or_default();
    rows.truncate(room);
    if let Some(last) = rows.last_mut() {
        // Where the row is full, the mark takes the place of a word.
        while last.width() + MORE.len() > width {
            match last.trim_end().rfind(' ') {
                Some(at) => last.truncate(at),
                None => break,
            }
        }
        last.push_str(MORE);
    }
    rows
}
