//! The picture of one probe: the latency of each answer over time, with the faults behind it.
//!
//! A long series is thinned to what the eye can tell apart. A column of pixels with more than two right answers has
//! its fastest and its slowest, with a line between them; an answer that failed is always there, and two are one mark
//! only where they would stand on the same pixel. The numbers beside the picture count all of them.
//!
//! This is geometry alone. The template `chart.html` makes SVG of it and escapes what is text.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use super::{
    Account, Grade, Point, Series, Window,
    scale::{BOTTOM, HEIGHT, LEFT, LatencyAxis, Mark, RIGHT, TOP, TimeAxis, WIDTH},
    words,
};
use injector_spec::{printable, quantity::count};

/// What the template draws. Places are pixels.
#[derive(Debug)]
pub(super) struct Chart {
    /// The probe's name and role.
    pub(super) title: String,
    /// What it asks.
    pub(super) asks: String,
    /// The picture in words.
    pub(super) said: String,
    /// What makes the ids of this chart differ from those of others.
    pub(super) number: usize,
    pub(super) times: Vec<Mark>,
    pub(super) latencies: Vec<Mark>,
    pub(super) shades: Vec<Shade>,
    /// Where the median of the baseline is, from above.
    pub(super) median: Option<String>,
    pub(super) turns: Vec<Turn>,
    /// The marks, as paths.
    pub(super) right: String,
    pub(super) forgiven: String,
    pub(super) bad: String,
}

/// A time with faults.
#[derive(Debug)]
pub(super) struct Shade {
    pub(super) from: String,
    pub(super) width: String,
    /// Its faults, as far as there is room for them.
    pub(super) label: String,
    /// Its step and faults.
    pub(super) said: String,
}

/// A moment that is marked.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) at: String,
    pub(super) text: String,
    /// Where its text stands, from above.
    pub(super) row: u32,
    /// On which side of the line the text is, as SVG says it.
    pub(super) anchor: &'static str,
}

/// Where texts above the plot stand.
const IMPACT_ROW: u32 = 11;
const RECOVERY_ROW: u32 = 24;

/// How wide a character is, at most.
const CHARACTER: u64 = 7;

impl Chart {
    pub(super) const WIDTH: u32 = WIDTH;
    pub(super) const HEIGHT: u32 = HEIGHT;
    pub(super) const LEFT: u32 = LEFT;
    pub(super) const RIGHT: u32 = RIGHT;
    pub(super) const TOP: u32 = TOP;
    pub(super) const BOTTOM: u32 = BOTTOM;

    /// The pictures of all probes that were answered, on one time axis.
    pub(super) fn all(account: &Account) -> Vec<(&Series, Self)> {
        let asked = || {
            let probes = account.probes.iter();
            probes.filter(|series| !series.answers.is_empty())
        };
        let answered = asked().flat_map(|series| &series.answers);
        let answered = answered.flat_map(|point| [point.at_us, point.end_us()]);
        let windows = account.windows.iter();
        let of_windows = windows.flat_map(|window| [Some(window.from_us), window.to_us]);
        let axis = TimeAxis::over(answered.chain(of_windows.flatten()));
        asked()
            .enumerate()
            .map(|(number, series)| (series, Self::of(series, number, axis, &account.windows)))
            .collect()
    }

    fn of(series: &Series, number: usize, axis: TimeAxis, windows: &[Window]) -> Self {
        let median = series.baseline.p50_us;
        let took = series.answers.iter().map(|point| point.took_us);
        let latency = LatencyAxis::over(took.chain((median > 0).then_some(median)));
        let marks = Marks::of(&series.answers, axis, latency);
        let turn = |at_us: Option<i64>, name, row| at_us.map(|at| turn(name, at, row, axis));
        let impact = turn(series.impact_us, "impact", IMPACT_ROW);
        let recovery = turn(series.recovered_us, "recovery", RECOVERY_ROW);
        Self {
            title: words::probe(series),
            asks: printable::line(&series.asks).into_owned(),
            said: said(series, windows),
            number,
            times: axis.marks(),
            latencies: latency.marks(),
            shades: windows.iter().map(|window| shade(window, axis)).collect(),
            median: (median > 0).then(|| latency.y(median)),
            turns: impact.into_iter().chain(recovery).collect(),
            right: marks.right,
            forgiven: marks.forgiven,
            bad: marks.bad,
        }
    }
}

/// The answers, as paths of SVG.
#[derive(Debug, Default)]
struct Marks {
    right: String,
    forgiven: String,
    bad: String,
}

impl Marks {
    fn of(answers: &[Point], axis: TimeAxis, latency: LatencyAxis) -> Self {
        let mut marks = Self::default();
        let mut columns: BTreeMap<u64, Vec<&Point>> = BTreeMap::new();
        let mut seen = HashSet::new();
        for point in answers {
            let column = axis.column(point.at_us);
            let shape = match point.grade {
                Grade::Right => {
                    let known = columns.entry(column).or_default();
                    known.push(point);
                    thin(known);
                    continue;
                }
                Grade::Forgiven | Grade::Bad => point.grade,
            };
            if !seen.insert((column, latency.row(point.took_us), shape == Grade::Bad)) {
                continue;
            }
            let (x, y) = (axis.x(point.at_us), latency.y(point.took_us));
            // Writing to a string does not fail.
            let _ = match shape {
                Grade::Bad => write!(marks.bad, "M{x} {y}m-3.5-3.5l7 7m0-7l-7 7"),
                Grade::Forgiven | Grade::Right => {
                    write!(marks.forgiven, "M{x} {y}m0-4l4 4l-4 4l-4-4z")
                }
            };
        }
        for points in columns.into_values() {
            let _ = match points[..] {
                // More than two were there, and these are the fastest and the slowest.
                [fastest, _, slowest] => write!(
                    marks.right,
                    "M{} {}V{}",
                    axis.x(fastest.at_us),
                    latency.y(fastest.took_us),
                    latency.y(slowest.took_us)
                ),
                _ => points.iter().try_for_each(|point| {
                    let (x, y) = (axis.x(point.at_us), latency.y(point.took_us));
                    write!(marks.right, "M{x} {y}h0")
                }),
            };
        }
        marks
    }
}

/// Leaves of more than three the fastest, one, and the slowest, in that order.
fn thin(points: &mut Vec<&Point>) {
    if points.len() < 3 {
        return;
    }
    points.sort_by_key(|point| point.took_us);
    if points.len() > 3 {
        points.remove(1);
    }
}

fn turn(name: &str, at_us: i64, row: u32, axis: TimeAxis) -> Turn {
    let text = format!("{name} {}", words::since_arming(at_us));
    let width = CHARACTER * u64::try_from(text.chars().count()).unwrap_or(0);
    let anchor = if axis.column(at_us) + width > u64::from(RIGHT) {
        "end"
    } else {
        "start"
    };
    Turn {
        at: axis.x(at_us),
        text,
        row,
        anchor,
    }
}

fn shade(window: &Window, axis: TimeAxis) -> Shade {
    let to_us = window.to_us.unwrap_or_else(|| axis.end_us());
    let width = axis
        .column(to_us)
        .saturating_sub(axis.column(window.from_us))
        .max(1);
    let faults = printable::line(&window.faults.join(", ")).into_owned();
    let room = usize::try_from(width / CHARACTER).unwrap_or(0);
    let label = if faults.chars().count() <= room {
        faults.clone()
    } else if room > 4 {
        let shown: String = faults.chars().take(room - 1).collect();
        format!("{shown}…")
    } else {
        String::new()
    };
    let until = window.to_us.map_or_else(
        || "its end is not on record".to_owned(),
        |to| format!("to {}", words::since_arming(to)),
    );
    Shade {
        from: axis.x(window.from_us),
        width: width.to_string(),
        label,
        said: format!(
            "step {}: {faults}, from {} {until}",
            printable::line(&window.step),
            words::since_arming(window.from_us)
        ),
    }
}

/// The picture in words, for those who do not see it.
fn said(series: &Series, windows: &[Window]) -> String {
    let bad = series
        .answers
        .iter()
        .filter(|point| point.grade == Grade::Bad);
    let number = series.answers.len();
    let mut said = format!(
        "{} over time, {} of them bad.",
        count(number, "answer", "answers"),
        bad.count()
    );
    if series.baseline.p50_us > 0 {
        let median = words::micros(series.baseline.p50_us);
        let _ = write!(said, " Median of the baseline {median}.");
    }
    let _ = write!(
        said,
        " {} with faults.",
        count(windows.len(), "step", "steps")
    );
    for (name, at) in [
        ("Impact", series.impact_us),
        ("Recovery", series.recovered_us),
    ] {
        if let Some(at) = at {
            let _ = write!(said, " {name} at {}.", words::since_arming(at));
        }
    }
    said
}
