//! Classic filters that outlived their run: all of its processes died at once, or what should have removed them could not.
//!
//! One is ours by its label, by its handle, which is the id of its program, and by that program's name. Filters of a run
//! that goes on are in use; those of other programs are never told of.

use std::collections::BTreeMap;

use super::{Fate, Leftover, Sweeping, What, known::Known};
use crate::changes::{Patience, qdisc_stays};
use injector_host::kernel::{
    Error,
    clsact::{self, Clsact, Empty, FilterId, Label, Meant, Removal, Side, Standing, Turn},
    devices::{self, Coverage, NetDevice},
    netns::Namespace,
};
use injector_record::journal::RunState;
use injector_spec::error::Refusal;

/// Looks in these network namespaces.
pub(super) fn sweep(sweeping: Sweeping, known: &Known) -> Result<Vec<Leftover>, Refusal> {
    let mut found = Vec::new();
    for namespace in &known.namespaces {
        // One process that holds the lock costs one wait.
        let patience = Patience::default();
        for (device, stray) in namespace.run(standing)?? {
            let stray = match stray {
                Ok(stray) => stray,
                Err(error) => {
                    found.push(unseen(&device, namespace.inode(), &error));
                    continue;
                }
            };
            for ((run, clsact), ids) in by_run(&stray) {
                let fate = match judge(known.state(&run)) {
                    Judgement::InUse => continue,
                    Judgement::Unknown => Fate::Left {
                        why: format!(
                            "its run has no journal in this state directory that can be read; if that run does not go on elsewhere, {}",
                            by_hand(&device.name, &ids)
                        ),
                    },
                    Judgement::Stray => match sweeping {
                        Sweeping::FindOnly => Fate::Found,
                        Sweeping::Remove => {
                            let device = (namespace, device.ifindex);
                            remove(device, clsact, &ids, &run, &patience)
                        }
                    },
                };
                let what = What::Filters {
                    device: device.name.clone(),
                    netns_inode: namespace.inode(),
                    run,
                };
                found.push(Leftover { what, fate });
            }
        }
    }
    Ok(found)
}

/// A device, and the filters of ours there or why they cannot be seen.
type Seen = (NetDevice, Result<Vec<Standing>, Error>);

/// What is seen on each device of the calling thread's network namespace.
fn standing() -> Result<Vec<Seen>, Error> {
    let ours = |ifindex| {
        let mut ours = clsact::look(ifindex)?.filters;
        ours.retain(|one| one.is_ours() && clsact::has_our_program(one));
        Ok(ours)
    };
    Ok(standing_on(devices::list()?, ours))
}

/// The devices on which something stands, or may. A delay line's TAP takes its own along.
fn standing_on(
    devices: Vec<NetDevice>,
    ours: impl Fn(u32) -> Result<Vec<Standing>, Error>,
) -> Vec<Seen> {
    devices
        .into_iter()
        .filter(|device| device.coverage != Coverage::DelayLine)
        .map(|device| {
            let ours = ours(device.ifindex);
            (device, ours)
        })
        .filter(|(_, ours)| ours.as_ref().map_or(true, |ours| !ours.is_empty()))
        .collect()
}

/// A device that cannot be looked at keeps nothing else from being cleaned up.
fn unseen(device: &NetDevice, netns_inode: u64, error: &Error) -> Leftover {
    let what = What::UnseenDevice {
        device: device.name.clone(),
        netns_inode,
    };
    let why = error.to_string();
    let fate = Fate::Failed { why };
    Leftover { what, fate }
}

/// The filters of each run, with what they say of the qdisc.
fn by_run(filters: &[Standing]) -> BTreeMap<(String, Clsact), Vec<FilterId>> {
    let mut runs = BTreeMap::<_, Vec<_>>::new();
    for filter in filters {
        if let Some(Label { run, clsact }) = filter.label.clone() {
            runs.entry((run, clsact)).or_default().push(filter.id());
        }
    }
    runs
}

/// What the evidence says about a filter of ours.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// Its run goes on.
    InUse,
    /// It is a dead run's.
    Stray,
    /// Its run may go on elsewhere.
    Unknown,
}

/// `state` is that of its run, where this state directory knows it.
fn judge(state: Option<&RunState>) -> Judgement {
    match state {
        Some(RunState::Running) => Judgement::InUse,
        Some(_) => Judgement::Stray,
        None => Judgement::Unknown,
    }
}

/// How a person removes these filters and no others: without side, priority and handle `tc filter del` takes all.
fn by_hand(device: &str, ids: &[FilterId]) -> String {
    let lines: Vec<String> = ids
        .iter()
        .map(|id| {
            let side = match id.side {
                Side::Egress => "egress",
                Side::Ingress => "ingress",
            };
            format!(
                "`tc filter del dev {device} {side} protocol all pref {} handle {:#x} bpf`",
                id.priority, id.handle
            )
        })
        .collect();
    match lines.len() {
        1 => format!("{} removes it", lines.concat()),
        _ => format!("{} remove them", lines.join(" and ")),
    }
}

fn remove(
    (namespace, ifindex): (&Namespace, u32),
    clsact: Clsact,
    ids: &[FilterId],
    run: &str,
    patience: &Patience,
) -> Fate {
    // A person has time for another try; what a running injector does meanwhile is not to be met.
    let Some(_turn) = patience.turn(namespace) else {
        return Fate::Failed {
            why: "another process holds the lock of their network namespace; try again".into(),
        };
    };
    let meant = Meant {
        run,
        filters: ids,
        clsact,
        empty: Empty::Unknown,
        turn: Turn::Ours,
    };
    let removed = namespace
        .run(|| clsact::remove(ifindex, &meant))
        .and_then(|removed| removed);
    match removed {
        Ok(Removal::Removed | Removal::Gone) => Fate::Removed {
            how: "they were removed".into(),
        },
        Ok(Removal::QdiscStays) => Fate::Failed {
            why: qdisc_stays(ifindex).to_string(),
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
    fn only_a_dead_runs_filters_are_stray() {
        let dead = RunState::Aborted { why: None };
        assert_eq!(judge(Some(&dead)), Judgement::Stray);
        assert_eq!(judge(Some(&RunState::Running)), Judgement::InUse);
        assert_eq!(judge(None), Judgement::Unknown);
    }

    #[test]
    fn a_device_that_cannot_be_seen_hides_no_other() {
        let device = |ifindex, coverage| NetDevice {
            ifindex,
            name: format!("eth{ifindex}"),
            mac: [0; 6],
            coverage,
        };
        let devices = vec![
            device(1, Coverage::Covered),
            device(2, Coverage::Covered),
            device(3, Coverage::DelayLine),
            device(4, Coverage::SeenAbove),
        ];
        let seen = standing_on(devices, |ifindex| match ifindex {
            1 => Err(Error::Probe("it is not to be seen".into())),
            2 => Ok(Vec::new()),
            _ => Ok(vec![filter("r1", 4)]),
        });
        let seen: Vec<_> = seen
            .iter()
            .map(|(device, ours)| (device.ifindex, ours.is_ok()))
            .collect();
        assert_eq!(seen, [(1, false), (4, true)]);
        let error = Error::Probe("it is not to be seen".into());
        let told = unseen(&device(1, Coverage::Covered), 9, &error);
        assert_eq!(
            told.to_string(),
            format!("device eth1, where filters (clsact) may stand; not removed: {error}")
        );
    }

    #[test]
    fn the_advice_is_about_these_filters_and_no_others() {
        let id = |side, handle| FilterId {
            side,
            priority: 7,
            handle,
        };
        let one = id(Side::Egress, 500);
        assert_eq!(
            by_hand("eth0", &[one]),
            "`tc filter del dev eth0 egress protocol all pref 7 handle 0x1f4 bpf` removes it"
        );
        assert_eq!(
            by_hand("eth0", &[one, id(Side::Ingress, 16)]),
            "`tc filter del dev eth0 egress protocol all pref 7 handle 0x1f4 bpf` and \
             `tc filter del dev eth0 ingress protocol all pref 7 handle 0x10 bpf` remove them"
        );
    }

    fn filter(run: &str, handle: u32) -> Standing {
        Standing {
            side: Side::Egress,
            priority: 7,
            handle,
            program: Some(handle),
            label: Some(Label {
                run: run.into(),
                clsact: Clsact::Made,
            }),
        }
    }

    #[test]
    fn filters_are_taken_by_run() {
        let all = [filter("r1", 4), filter("r2", 5), filter("r1", 6)];
        let runs = by_run(&all);
        let handles = |run: &str| -> Vec<u32> {
            let ids = &runs[&(run.to_owned(), Clsact::Made)];
            ids.iter().map(|id| id.handle).collect()
        };
        assert_eq!((handles("r1"), handles("r2")), (vec![4, 6], vec![5]));
    }
}
