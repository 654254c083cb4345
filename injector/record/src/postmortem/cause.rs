//! Which causes a journal speaks for, by rules, and in which order to look at them.
//!
//! Each rule has a weight, by what usually explains the rest: what broke the measurement itself comes before what the
//! faults did, and that before how the target bore it. Candidates of the same weight stand in the order of the rules.

use super::facts::{Broken, Facts};
use crate::{
    account::{Grade, Happened, Window, words},
    journal::RunState,
    measure::Fate,
    report::Outcome,
};
use injector_spec::quantity::count;

/// A cause that something in the journal speaks for. Texts are not escaped.
#[derive(Debug)]
pub(super) struct Candidate {
    /// 0 to 100: how far in front it stands.
    weight: u8,
    pub(super) title: String,
    pub(super) evidence: Vec<String>,
    /// How to find out.
    pub(super) check: String,
    /// What would be done about it.
    pub(super) action: String,
}

impl Candidate {
    fn new(weight: u8, title: &str, evidence: Vec<String>, check: &str, action: &str) -> Self {
        Self {
            weight,
            title: title.to_owned(),
            evidence,
            check: check.to_owned(),
            action: action.to_owned(),
        }
    }
}

/// All candidates, the likeliest first.
pub(super) fn ranked(facts: &Facts<'_>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = [
        not_put_back(facts),
        broke_off(facts),
        unsteady(facts),
        shared(facts),
        target_ended(facts),
        halted(facts),
    ]
    .into_iter()
    .flatten()
    .chain(windows(facts))
    .chain(
        [
            no_way_back(facts),
            slow_way_back(facts),
            no_fallback(facts),
            cascade(facts),
            noise(facts),
        ]
        .into_iter()
        .flatten(),
    )
    .collect();
    found.sort_by_key(|cause| std::cmp::Reverse(cause.weight));
    found
}

fn not_put_back(facts: &Facts<'_>) -> Option<Candidate> {
    let report = facts.account.report.iter();
    let errors = report.flat_map(|report| report.undo_errors.clone());
    let left = facts.account.to_restore.iter().map(ToString::to_string);
    let evidence: Vec<String> = errors.chain(left).collect();
    (!evidence.is_empty()).then(|| {
        Candidate::new(
            97,
            "A change of the host outlasted the run",
            evidence,
            "look whether the settings have their old values",
            "Put the settings back (`injector sweep`), and find out what kept the run from it",
        )
    })
}

/// The run itself came to no end.
fn broke_off(facts: &Facts<'_>) -> Option<Candidate> {
    let why = match &facts.account.state {
        RunState::Aborted { why } => why
            .clone()
            .unwrap_or_else(|| "no process was left to say why".to_owned()),
        RunState::Ended {
            outcome: Outcome::Failed { why },
        } => why.clone(),
        RunState::Running | RunState::Ended { .. } => return None,
    };
    let mut evidence = vec![why];
    if let Some(last) = facts.account.last_sign_us() {
        let last = words::since_arming(last);
        evidence.push(format!("the last sign of the run came at {last}"));
    }
    Some(Candidate::new(
        96,
        "The run broke off, so what it shows may be its own end",
        evidence,
        "look in the host's log for what ended the injector: memory, a signal, a reboot",
        "Find out what ended the injector, and run the experiment again",
    ))
}

fn unsteady(facts: &Facts<'_>) -> Option<Candidate> {
    let RunState::Ended {
        outcome: Outcome::Unsteady { why },
    } = &facts.account.state
    else {
        return None;
    };
    Some(Candidate::new(
        98,
        "The steady state did not hold before any fault",
        vec![why.clone()],
        "ask the probe by hand while no run goes on",
        "Mend what made the probe bad without a fault, or correct the probe",
    ))
}

/// What hurts a bystander is no matter of the target alone.
fn shared(facts: &Facts<'_>) -> Option<Candidate> {
    let control = facts.hurt_controls.first()?;
    let first = facts.broken.first();
    let is_first = first.is_none_or(|target| control.at_us <= target.at_us);
    let mut evidence = vec![format!(
        "the control {} turned bad at {}{}",
        words::probe(control.series),
        words::since_arming(control.at_us),
        match first {
            None => ", and no probe of the target did".to_owned(),
            Some(target) if is_first => format!(
                ", no later than the target ({})",
                words::since_arming(target.at_us)
            ),
            Some(target) => format!(", after the target ({})", words::since_arming(target.at_us)),
        }
    )];
    let others = facts.hurt_controls.len() - 1;
    if others > 0 {
        evidence.push(format!(
            "{} turned bad as well",
            count(others, "other control", "other controls")
        ));
    }
    let (weight, title) = if is_first {
        (
            95,
            "What target and bystander share: the host, its network, or a service that both use",
        )
    } else {
        (
            70,
            "The bystander depends on the target, or on what the target used up",
        )
    };
    Some(Candidate::new(
        weight,
        title,
        evidence,
        "look at load, memory pressure and the shared services at that time, and run again on an idle host",
        "Separate what target and bystander share, or correct the control",
    ))
}

fn target_ended(facts: &Facts<'_>) -> Option<Candidate> {
    let ended = facts
        .account
        .timeline
        .iter()
        .find(|moment| matches!(moment.what, Happened::TargetEnded { .. }))?;
    let back = facts.account.timeline.iter().find(|moment| {
        moment.at_us >= ended.at_us && matches!(moment.what, Happened::TargetMet { .. })
    });
    let first = facts.broken.first();
    let is_first = first.is_some_and(|broken| ended.at_us <= broken.at_us.saturating_add(100_000));
    let mut evidence = vec![format!(
        "{} at {}",
        ended.what,
        words::since_arming(ended.at_us)
    )];
    if let (true, Some(first)) = (is_first, first) {
        evidence.push(format!(
            "probe {} turned bad at {}, within 100ms of that or later",
            words::probe(first.series),
            words::since_arming(first.at_us)
        ));
    }
    evidence.push(back.map_or_else(
        || "it did not come back within the run".to_owned(),
        |moment| {
            format!(
                "it was there again at {}",
                words::since_arming(moment.at_us)
            )
        },
    ));
    Some(Candidate::new(
        if is_first { 93 } else { 78 },
        "The target's processes ended",
        evidence,
        "read the target's own log of that moment: an error that was not handled, a signal, a watchdog",
        "Let the target bear the fault without ending, and let a supervisor restart it where it ends",
    ))
}

fn halted(facts: &Facts<'_>) -> Option<Candidate> {
    let RunState::Ended {
        outcome: Outcome::Halted { why },
    } = &facts.account.state
    else {
        return None;
    };
    Some(Candidate::new(
        if facts.broken.is_empty() { 92 } else { 60 },
        "What halted the run",
        vec![why.clone()],
        "compare what the condition watches with its course without a fault",
        "Lower what the condition watches under this fault, or set its bound to what is meant",
    ))
}

/// Each time with faults in which a probe broke: its faults, the one with the most hits first.
fn windows(facts: &Facts<'_>) -> Vec<Candidate> {
    // By the place of the time with faults; of none, an effect that came between two of them or after the last.
    let mut found: Vec<(Option<usize>, Candidate)> = Vec::new();
    for (place, broken) in facts.broken.iter().enumerate() {
        let window = facts.window(broken.at_us);
        let index = window.and_then(|window| {
            let mut windows = facts.account.windows.iter();
            windows.position(|one| one == window)
        });
        let evidence = match window {
            Some(_) => under(facts, broken),
            None => behind(facts, broken),
        };
        if let Some((_, known)) = found.iter_mut().find(|(of, _)| *of == index) {
            known.evidence.extend(evidence);
            continue;
        }
        let Some(window) = window else {
            found.push((index, late_effect(evidence)));
            continue;
        };
        let faults = acting(facts, window);
        let title = match &faults[..] {
            [] => format!("The faults of step {}", window.step),
            [one] => format!("{one}, in step {}", window.step),
            more => format!("One of {}, in step {}", more.join(" and "), window.step),
        };
        let mut all = hits(facts, window);
        all.extend(evidence);
        let check = if faults.len() > 1 {
            "run each fault alone: together they do not tell which one it was"
        } else {
            "run with half of the fault's intensity: an effect of it grows with it"
        };
        let cause = Candidate::new(
            if place == 0 { 90 } else { 75 },
            &title,
            all,
            check,
            "Bound what the target waits for (time-outs, retries with backoff, a fallback) under this fault",
        );
        found.push((index, cause));
    }
    found.into_iter().map(|(_, cause)| cause).collect()
}

/// The impact of a probe, as evidence for the faults that were on.
fn under(facts: &Facts<'_>, broken: &Broken<'_>) -> Vec<String> {
    let since = facts.after_hit(broken.at_us);
    vec![format!(
        "probe {} turned bad at {}{since}",
        words::probe(broken.series),
        words::since_arming(broken.at_us)
    )]
}

/// The impact of a probe that broke when no fault was on, as evidence.
fn behind(facts: &Facts<'_>, broken: &Broken<'_>) -> Vec<String> {
    let mut evidence = under(facts, broken);
    let ends = facts
        .account
        .windows
        .iter()
        .filter_map(|window| window.to_us);
    if let Some(lifted) = ends.filter(|to| *to <= broken.at_us).max() {
        let after = broken.at_us.saturating_sub(lifted).unsigned_abs();
        evidence.push(format!(
            "the last fault before that was off {} earlier",
            words::micros(after)
        ));
    }
    evidence
}

fn late_effect(evidence: Vec<String>) -> Candidate {
    Candidate::new(
        72,
        "An effect that came when the faults were off: a queue, a cache or a time-out that filled under them",
        evidence,
        "watch queues and pools of the target while the fault is on, and after it",
        "Bound what the target queues up under a fault, and drop what is too old",
    )
}

/// The faults of a window that hit something, by name; where the journal does not say, all of them.
fn acting(facts: &Facts<'_>, window: &Window) -> Vec<String> {
    let name = |fault: &str, described: String| format!("{fault} {described}").trim().to_owned();
    if facts.account.report.is_none() {
        let planned = window.on.iter();
        let planned = planned.filter_map(|place| facts.account.faults.get(*place));
        return planned
            .map(|fault| name(&fault.fault, fault.described.parameters.to_string()))
            .collect();
    }
    let mut faults: Vec<_> = facts
        .reported(window)
        .filter(|fault| fault.hit > 0)
        .collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.hit));
    let faults = faults.into_iter();
    faults
        .map(|fault| name(&fault.fault, fault.described.parameters.to_string()))
        .collect()
}

fn hits(facts: &Facts<'_>, window: &Window) -> Vec<String> {
    if facts.account.report.is_none() {
        return vec!["how often its faults hit is not on record".to_owned()];
    }
    let told = facts.reported(window).map(|fault| match fault.hit {
        0 => format!("{} hit nothing, and is ruled out", fault.fault),
        hit => format!("{} hit {hit} of {} that it saw", fault.fault, fault.seen),
    });
    told.collect()
}

fn no_way_back(facts: &Facts<'_>) -> Option<Candidate> {
    let never = facts
        .broken
        .iter()
        .filter_map(|broken| match broken.series.fate {
            Some(Fate::Never { at_least_ms }) => Some((broken, at_least_ms)),
            _ => None,
        });
    let mut evidence: Vec<String> = never
        .map(|(broken, ms)| {
            format!(
                "probe {} was bad for at least {}, until the run ended",
                words::probe(broken.series),
                words::millis(ms)
            )
        })
        .collect();
    if evidence.is_empty() {
        return None;
    }
    if let Some(lifted) = facts.lifted_us {
        evidence.push(format!(
            "the last fault was off at {}, and that did not help",
            words::since_arming(lifted)
        ));
    }
    Some(Candidate::new(
        85,
        "No way back: the target neither reconnects nor restarts by itself",
        evidence,
        "look whether the target tries again at all (`injector audit` has what was hit), and whether a restart by hand mends it",
        "Let the target reconnect with backoff for as long as it lives, or end so that its supervisor restarts it",
    ))
}

fn slow_way_back(facts: &Facts<'_>) -> Option<Candidate> {
    let rto = facts.account.rto_ms()?;
    let late = facts
        .broken
        .iter()
        .filter_map(|broken| match broken.series.fate {
            Some(Fate::Late(took)) => Some((broken, took)),
            _ => None,
        });
    let evidence: Vec<String> = late
        .map(|(broken, took)| {
            let after_lift = took.after_lift_ms.map_or_else(
                || "while the faults were on".to_owned(),
                |ms| format!("{} after the faults were off", words::millis(ms)),
            );
            format!(
                "probe {}: RTA {}, RTO {}, {after_lift}",
                words::probe(broken.series),
                words::millis(took.rta_ms),
                words::millis(rto)
            )
        })
        .collect();
    (!evidence.is_empty()).then(|| {
        Candidate::new(
            84,
            "A way back that takes longer than the objective: time-outs, backoff, or a detection that is slow",
            evidence,
            "add up the target's time-outs and pauses between retries, and compare the sum with the RTA",
            "Shorten time-outs and backoff so that their sum is below the objective, or agree on another objective",
        )
    })
}

fn no_fallback(facts: &Facts<'_>) -> Option<Candidate> {
    let after = facts.broken.iter().filter_map(|broken| {
        let took = broken.series.fate.as_ref()?.recovery()?;
        Some((broken, took.after_lift_ms?))
    });
    let evidence: Vec<String> = after
        .map(|(broken, ms)| {
            format!(
                "probe {} was good again only {} after the faults were off",
                words::probe(broken.series),
                words::millis(ms)
            )
        })
        .collect();
    (!evidence.is_empty()).then(|| {
        Candidate::new(
            66,
            "No fallback: the target is as available as what it depends on",
            evidence,
            "let the fault last longer: without a fallback the impact lasts as long as the fault",
            "Give the target something to do without the dependency: a cache, a second source, a degraded answer",
        )
    })
}

fn cascade(facts: &Facts<'_>) -> Option<Candidate> {
    let [first, .., last] = &facts.broken[..] else {
        return None;
    };
    if first.at_us == last.at_us {
        return None;
    }
    let order = facts.broken.iter().map(|broken| {
        format!(
            "{} at {}",
            words::probe(broken.series),
            words::since_arming(broken.at_us)
        )
    });
    let order: Vec<String> = order.collect();
    Some(Candidate::new(
        64,
        &format!("A cascade that began with {}", words::probe(first.series)),
        vec![order.join(", then ")],
        "look whether those that broke later call the one that broke first",
        "Keep the first to break from taking others along: time-outs and circuit breakers between them",
    ))
}

/// Failures in front of the first fault say that some would have come without one.
fn noise(facts: &Facts<'_>) -> Option<Candidate> {
    let from = facts.account.windows.first()?.from_us;
    let evidence: Vec<String> = facts
        .broken
        .iter()
        .filter_map(|broken| {
            let answers = broken.series.answers.iter();
            let before = answers.filter(|point| point.end_us() < from);
            let failed = before.filter(|point| point.grade != Grade::Right).count();
            (failed > 0).then(|| {
                format!(
                    "probe {} failed {} in the baseline, when no fault was on",
                    words::probe(broken.series),
                    count(failed, "time", "times")
                )
            })
        })
        .collect();
    (!evidence.is_empty()).then(|| {
        Candidate::new(
            50,
            "Noise: the probe fails without a fault, too",
            evidence,
            "run the same experiment with its faults taken out, and count failures",
            "Make the probe quiet: a longer `within`, `fails 2 of 3`, or what makes it fail mended",
        )
    })
}
