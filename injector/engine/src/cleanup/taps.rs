//! Devices of delay lines that outlived their run: a process made them persistent, or the kernel did not
//! let go.

use super::{Fate, Leftover, Sweeping, What, known::Known};
use injector_host::kernel::{
    Error,
    devices::{self, StrayTap},
    netns::Namespace,
    tap_label::TapLabel,
};
use injector_record::journal::RunState;
use injector_spec::error::Refusal;

/// Looks in these network namespaces.
pub(super) fn sweep(sweeping: Sweeping, known: &Known) -> Result<Vec<Leftover>, Refusal> {
    let mut found = Vec::new();
    for namespace in &known.namespaces {
        for tap in namespace.run(devices::taps)?? {
            let state = run_of(&tap).and_then(|run| known.state(&run));
            // A device of a run that goes on, here or elsewhere, is no leftover.
            let fate = match judge(&tap, state) {
                Judgement::InUse => continue,
                Judgement::NotOurs(why) => Fate::Left { why: why.into() },
                Judgement::Stray => match sweeping {
                    Sweeping::FindOnly => Fate::Found,
                    Sweeping::Remove => remove(namespace, tap.ifindex),
                },
            };
            let what = What::Tap {
                device: tap.name,
                netns_inode: namespace.inode(),
                label: tap.alias,
            };
            found.push(Leftover { what, fate });
        }
    }
    Ok(found)
}

/// What the evidence says about a device.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// A process holds it, or its run goes on.
    InUse,
    /// It is a dead run's.
    Stray,
    /// No process holds it, and nothing says that it is ours.
    NotOurs(&'static str),
}

fn run_of(tap: &StrayTap) -> Option<String> {
    let label: TapLabel = tap.alias.as_deref()?.parse().ok()?;
    Some(label.run)
}

/// `state` is that of the run on the label, where this state directory knows it.
fn judge(tap: &StrayTap, state: Option<&RunState>) -> Judgement {
    if tap.is_held || state == Some(&RunState::Running) {
        return Judgement::InUse;
    }
    match (run_of(tap), state) {
        (Some(_), Some(_)) => Judgement::Stray,
        (Some(_), None) => Judgement::NotOurs(
            "its run has no journal in this state directory; `ip link delete` removes it",
        ),
        (None, _) => Judgement::NotOurs(
            "it has the name of a delay line and no label of ours; `ip link delete` removes it",
        ),
    }
}

fn remove(namespace: &Namespace, ifindex: u32) -> Fate {
    let removed: Result<(), Error> = namespace
        .run(|| devices::delete(ifindex))
        .and_then(|removed| removed);
    match removed {
        Ok(()) => Fate::Removed {
            how: "it was removed".into(),
        },
        Err(error) => Fate::Failed {
            why: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dead_runs_device_is_stray() {
        let tap = |alias: Option<&str>, is_held| StrayTap {
            ifindex: 7,
            name: "inj0".into(),
            alias: alias.map(Into::into),
            is_held,
        };
        let dead = RunState::Aborted { why: None };
        let ours = tap(Some("injector run r000000010001"), false);
        assert_eq!(run_of(&ours).as_deref(), Some("r000000010001"));
        assert_eq!(judge(&ours, Some(&dead)), Judgement::Stray);
        assert_eq!(judge(&ours, Some(&RunState::Running)), Judgement::InUse);
        assert!(matches!(judge(&ours, None), Judgement::NotOurs(_)));
        let held = tap(Some("injector run r000000010001"), true);
        assert_eq!(judge(&held, Some(&dead)), Judgement::InUse);
        for alias in [None, Some("my vpn"), Some("injector")] {
            let other = tap(alias, false);
            assert!(matches!(judge(&other, None), Judgement::NotOurs(_)));
        }
    }
}
