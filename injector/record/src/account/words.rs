//! Numbers and names of an account, as both of its texts have them.

use std::time::Duration;

use super::{Account, Series};
use crate::{
    measure::{Fate, Tally},
    report::FaultReport,
};
use injector_spec::{experiment::ProbeRole, printable, quantity::duration};

/// What stands where there is no number.
pub(crate) const NONE: &str = "–";

/// `1.2s`, of microseconds.
pub(crate) fn micros(us: u64) -> String {
    duration::measured(Duration::from_micros(us))
}

/// `1.2s`, of milliseconds.
pub(crate) fn millis(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}

/// `+1.2s`, a time from arming.
pub(crate) fn since_arming(us: i64) -> String {
    let sign = if us < 0 { "−" } else { "+" };
    format!("{sign}{}", micros(us.unsigned_abs()))
}

/// The name on one line, with what a reader should know of the probe's role.
pub(crate) fn probe(series: &Series) -> String {
    named(&series.name, series.role)
}

/// The same of a probe with this name and role.
pub(crate) fn named(name: &str, role: Option<ProbeRole>) -> String {
    let name = printable::line(name);
    match role {
        Some(ProbeRole::Control) => format!("{name} (control)"),
        Some(ProbeRole::SteadyState) | None => name.into_owned(),
    }
}

/// `103ms, 4 of 40 bad`: the median of the right answers, and how many were bad.
pub(crate) fn tally(tally: Tally) -> String {
    match tally {
        Tally { answers: 0, .. } => NONE.to_owned(),
        Tally {
            answers,
            bad: 0,
            p50_us,
            ..
        } if answers > 0 && p50_us > 0 => micros(p50_us),
        Tally {
            answers,
            bad,
            p50_us: 0,
            ..
        } => format!("{bad} of {answers} bad"),
        Tally {
            answers,
            bad,
            p50_us,
            ..
        } => format!("{}, {bad} of {answers} bad", micros(p50_us)),
    }
}

/// The median under the faults by that of the baseline.
pub(crate) fn by_baseline(series: &Series) -> String {
    let quotient = series.under_fault.by(series.baseline);
    quotient.unwrap_or_else(|| NONE.to_owned())
}

/// What became of a probe, in a cell: its RTA with bounds, or why there is none.
pub(crate) fn fate(series: &Series) -> String {
    fate_of(series.fate.as_ref())
}

/// The same of what became of a probe, if it was judged.
pub(crate) fn fate_of(fate: Option<&Fate>) -> String {
    let Some(fate) = fate else {
        return "not judged".to_owned();
    };
    let Some(took) = fate.recovery() else {
        return match fate {
            Fate::NotMet => "met by no fault".to_owned(),
            Fate::Absorbed => "stayed good".to_owned(),
            Fate::Never { at_least_ms } => format!("none within {}", millis(*at_least_ms)),
            Fate::NotMeasurable { .. } => "not measurable".to_owned(),
            Fate::Adapted(_) | Fate::Recovered(_) | Fate::Late(_) => NONE.to_owned(),
        };
    };
    let [rta, least, most] = [took.rta_ms, took.least_ms, took.most_ms].map(millis);
    let how = match fate {
        Fate::Adapted(_) => ", under faults",
        Fate::Late(_) => ", late",
        Fate::Recovered(_)
        | Fate::NotMet
        | Fate::Absorbed
        | Fate::Never { .. }
        | Fate::NotMeasurable { .. } => "",
    };
    if took.least_ms == took.most_ms {
        return format!("{rta}{how}");
    }
    format!("{rta} ({least} to {most}){how}")
}

/// What each stream of operations came to beside its numbers, in a sentence each.
pub(crate) fn operations(account: &Account) -> impl Iterator<Item = String> {
    account.probes.iter().filter_map(|series| {
        let more = series.operations.as_ref()?.to_string();
        (!more.is_empty()).then(|| format!("{}: {more}", probe(series)))
    })
}

/// The head of the column of recoveries, with the objective beside the actual time.
pub(crate) fn recovery_head(account: &Account) -> String {
    account.rto_ms().map_or_else(
        || "recovery (RTA)".to_owned(),
        |rto| format!("recovery (RTA; RTO {})", millis(rto)),
    )
}

/// `net.delay 42`: a fault, and how often it hit.
pub(crate) fn hits(fault: &FaultReport) -> String {
    let name = printable::line(&fault.fault);
    match fault.hit {
        1 => format!("{name} 1 hit"),
        hit => format!("{name} {hit} hits"),
    }
}
