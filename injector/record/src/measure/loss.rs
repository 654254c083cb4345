//! What a service acknowledged, held against what it kept: the recovery point actual (RPA).
//!
//! | term | meaning |
//! | --- | --- |
//! | id | 1 to [`LONGEST_ID`] bytes of UTF-8 without blanks and control characters; one a line, blank lines are passed over |
//! | acknowledged | the ids of the one list; `ID TIME` says when, in seconds since 1970, with a fraction where it has one |
//! | kept | the ids of the other list that are no torn lines |
//! | torn | a kept line that is no id, or that is not acknowledged itself and is a proper beginning of an id that is |
//! | lost | an acknowledged id that is not kept, and of which no torn line is a beginning: each torn line accounts for one |
//! | double | an id that is kept more than once |
//! | age | from the newest item that was acknowledged no later than the impact and is kept, to the impact |
//!
//! Where one id is the beginning of another, as of `1` and `10`, a torn line cannot be told from an item that was kept
//! and never acknowledged: ids of one length are exact.
//!
//! Rejected: counting lines. A list that lost one item and doubled another would come out even.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use serde::{Deserialize, Serialize};

/// The most items of a list.
pub const MOST_ITEMS: usize = 100_000;
/// The longest id, in bytes.
pub const LONGEST_ID: usize = 128;
/// The most bytes of a list.
pub const MOST_BYTES: usize = 16 << 20;

/// Items that are named of each kind.
const NAMED: usize = 5;
/// Characters of an id, or of a torn line, that people are told.
pub(super) const TOLD: usize = 40;

/// What is missing, damaged, or there twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Different ids that were acknowledged.
    pub acknowledged: u64,
    /// Different ids that are kept.
    pub kept: u64,
    /// Acknowledged ids that are not kept.
    pub lost: u64,
    /// Kept lines that are parts of items.
    pub torn: u64,
    /// Ids that are kept more than once.
    pub double: u64,
    /// Kept ids that are not acknowledged: of a service whose answer did not arrive, or that has written them between the
    /// reading of the two lists.
    pub unacknowledged: u64,
    /// How old what is kept was at the impact.
    pub age: Age,
    /// The first lost ids, in the order of the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_ids: Vec<String>,
    /// The first torn lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torn_lines: Vec<String>,
    /// The first double ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub double_ids: Vec<String>,
}

/// How old the newest item was at the impact that was acknowledged before it and is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Age {
    /// There was no impact.
    NoImpact,
    /// A line of the acknowledged list has no time.
    Untimed,
    /// Nothing was acknowledged before the impact.
    NothingBefore,
    /// So old.
    Known {
        /// In milliseconds.
        ms: u64,
    },
    /// None is kept of all that were acknowledged before the impact; the oldest of them was so old.
    AtLeast {
        /// In milliseconds.
        ms: u64,
    },
}

/// Which of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What was acknowledged.
    Acknowledged,
    /// What is there.
    Kept,
}

impl Which {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Kept => "kept",
        }
    }
}

/// Why two lists cannot be held against each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum LossError {
    #[error(
        "the {} list has more than {MOST_BYTES} bytes; let it have the items of the run alone", .0.name()
    )]
    Long(Which),
    #[error(
        "the {} list has more than {MOST_ITEMS} items; let it have those of the run alone", .0.name()
    )]
    Many(Which),
    #[error(
        "line {line} of the acknowledged list is neither an id nor an id with the Unix time in seconds; correct what \
         writes it"
    )]
    Line { line: usize },
}

/// An acknowledged item.
struct Item<'l> {
    id: &'l str,
    at_ns: Option<u64>,
}

/// Holds the lists against each other; `impact_ns` is the impact by the clock of the acknowledged list's times, in
/// nanoseconds since 1970.
///
/// # Errors
/// A list is too long, or a line of the acknowledged one is no item.
pub fn loss(acknowledged: &[u8], kept: &[u8], impact_ns: Option<u64>) -> Result<Loss, LossError> {
    let items = items(acknowledged)?;
    let known: BTreeSet<&[u8]> = items.iter().map(|item| item.id.as_bytes()).collect();
    let kept = Kept::of(kept, &known)?;
    let mut missing: BTreeSet<&[u8]> = items
        .iter()
        .filter(|item| !kept.ids.contains_key(item.id))
        .map(|item| item.id.as_bytes())
        .collect();
    for part in kept.parts() {
        let whole = whole(part, &missing);
        whole.map(|whole| missing.remove(whole));
    }
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let doubled = kept.ids.values().filter(|seen| seen.times > 1);
    let mut double_ids: Vec<_> = kept.ids.iter().filter(|(_, seen)| seen.times > 1).collect();
    double_ids.sort_by_key(|(_, seen)| seen.first);
    let never = kept.ids.keys().filter(|id| !known.contains(id.as_bytes()));
    let mut named = BTreeSet::new();
    let lost_ids = items
        .iter()
        .filter(|item| missing.contains(item.id.as_bytes()) && named.insert(item.id));
    Ok(Loss {
        acknowledged: number(known.len()),
        kept: number(kept.ids.len()),
        lost: number(missing.len()),
        torn: number(kept.torn.len()),
        double: number(doubled.count()),
        unacknowledged: number(never.count()),
        age: age(&items, &kept, impact_ns),
        lost_ids: lost_ids
            .take(NAMED)
            .map(|item| item.id.to_owned())
            .collect(),
        torn_lines: kept
            .torn
            .iter()
            .take(NAMED)
            .map(|line| told(line))
            .collect(),
        double_ids: double_ids
            .into_iter()
            .take(NAMED)
            .map(|(id, _)| (*id).to_owned())
            .collect(),
    })
}

/// The lines that say something, from 1, without what ends them.
fn lines(list: &[u8], which: Which) -> Result<Vec<(usize, &[u8])>, LossError> {
    if list.len() > MOST_BYTES {
        return Err(LossError::Long(which));
    }
    let all = list.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<_> = (1..)
        .zip(all)
        .filter(|(_, line)| !line.is_empty())
        .collect();
    if lines.len() > MOST_ITEMS {
        return Err(LossError::Many(which));
    }
    Ok(lines)
}

fn items(list: &[u8]) -> Result<Vec<Item<'_>>, LossError> {
    let lines = lines(list, Which::Acknowledged)?;
    let item = |(line, bytes)| item(bytes).ok_or(LossError::Line { line });
    lines.into_iter().map(item).collect()
}

/// `ID` or `ID TIME`.
fn item(line: &[u8]) -> Option<Item<'_>> {
    let text = str::from_utf8(line).ok()?;
    let mut words = text.split_ascii_whitespace();
    let id = id(words.next()?.as_bytes())?;
    let at_ns = words.next().map(unix_ns);
    match (at_ns, words.next()) {
        (None, None) => Some(Item { id, at_ns: None }),
        (Some(Some(at_ns)), None) => Some(Item {
            id,
            at_ns: Some(at_ns),
        }),
        (Some(None), _) | (_, Some(_)) => None,
    }
}

/// The id that these bytes are.
fn id(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    let is_id = (1..=LONGEST_ID).contains(&text.len())
        && !text.contains(|sign: char| sign.is_whitespace() || sign.is_control());
    is_id.then_some(text)
}

/// `1764466477.25`, in nanoseconds; digits behind the ninth are passed over.
fn unix_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = &fraction[..fraction.len().min(9)];
    let nanoseconds: u64 = format!("{digits:0<9}").parse().ok()?;
    let seconds: u64 = whole.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// The kept list, taken apart.
struct Kept<'l> {
    /// How often each id is there.
    ids: HashMap<&'l str, Seen>,
    torn: Vec<&'l [u8]>,
}

struct Seen {
    times: u64,
    /// The first line that has it.
    first: usize,
}

impl<'l> Kept<'l> {
    fn of(list: &'l [u8], acknowledged: &BTreeSet<&[u8]>) -> Result<Self, LossError> {
        let mut kept = Self {
            ids: HashMap::new(),
            torn: Vec::new(),
        };
        for (line, bytes) in lines(list, Which::Kept)? {
            let is_part = !acknowledged.contains(bytes) && whole(bytes, acknowledged).is_some();
            match id(bytes) {
                Some(id) if !is_part => {
                    let seen = kept.ids.entry(id);
                    seen.and_modify(|seen| seen.times += 1).or_insert(Seen {
                        times: 1,
                        first: line,
                    });
                }
                Some(_) | None => kept.torn.push(bytes),
            }
        }
        Ok(kept)
    }

    /// The torn lines, the longest first: what a long one may be a part of, a shorter one that is its beginning may be,
    /// too, and not the other way round.
    fn parts(&self) -> Vec<&'l [u8]> {
        let mut parts = self.torn.clone();
        parts.sort_by_key(|part| Reverse(part.len()));
        parts
    }
}

/// The first id of which this is a proper beginning: byte by byte, for a line is torn inside a character, too.
fn whole<'l>(part: &[u8], ids: &BTreeSet<&'l [u8]>) -> Option<&'l [u8]> {
    let behind = (Bound::Excluded(part), Bound::Unbounded);
    let next = ids.range::<[u8], _>(behind).next().copied();
    next.filter(|id| id.starts_with(part))
}

fn age(items: &[Item<'_>], kept: &Kept<'_>, impact_ns: Option<u64>) -> Age {
    let Some(impact) = impact_ns else {
        return Age::NoImpact;
    };
    let timed: Option<Vec<(&str, u64)>> = items
        .iter()
        .map(|item| Some((item.id, item.at_ns?)))
        .collect();
    let Some(mut before) = timed else {
        return Age::Untimed;
    };
    before.retain(|(_, at)| *at <= impact);
    let ms = |at: u64| impact.saturating_sub(at) / 1_000_000;
    let there = before.iter().filter(|(id, _)| kept.ids.contains_key(id));
    match (
        there.map(|(_, at)| *at).max(),
        before.iter().map(|(_, at)| *at).min(),
    ) {
        (Some(newest), _) => Age::Known { ms: ms(newest) },
        (None, Some(oldest)) => Age::AtLeast { ms: ms(oldest) },
        (None, None) => Age::NothingBefore,
    }
}

/// A line that is no id, as a text of bounded length.
fn told(line: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(line), TOLD)
}

/// The beginning of a text that has more than so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
