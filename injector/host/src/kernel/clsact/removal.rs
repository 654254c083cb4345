//! Removing the filters of a run, and the qdisc with the last one where an injector made it.
//!
//! What is to be done is decided from one look, by a pure function ([`decide`]). The window between that look and the
//! deed includes the wait for the kernel's lock on all devices (RTNL): what another program attaches meanwhile to a qdisc
//! that is about to go, goes with it.

use std::io;

use super::{CLSACT, Clsact, Error, FilterId, Look, Standing, is_gone, look, netlink::Netlink};

/// Whose a qdisc without any filter is, by the record of the run that was about to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// That run's: it died before it could attach the first one.
    Ours,
    /// It is too long ago to tell, or its filters stood already; another program may have made it since.
    Unknown,
}

/// Whether other injectors keep their hands off the filters of the namespace meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They do: it is the caller's turn.
    Ours,
    /// The turn did not come in time, so another may be attaching.
    Missing,
}

/// What is to go.
#[derive(Clone, Copy, Debug)]
pub struct Meant<'m> {
    /// The run.
    pub run: &'m str,
    /// Its filters.
    pub filters: &'m [FilterId],
    /// Where the qdisc comes from that they stand in.
    pub clsact: Clsact,
    /// Whose the qdisc is where nothing stands in it.
    pub empty: Empty,
    /// Whether it is the caller's turn.
    pub turn: Turn,
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Something was there, and is not any more.
    Removed,
    /// Nothing was there.
    Gone,
    /// No filter of the run is there any more; its qdisc is, empty: without its turn a removal leaves it.
    QdiscStays,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Deed {
    /// The qdisc goes, with all that stands in it.
    Qdisc,
    /// These filters go, one by one.
    Filters(Vec<FilterId>),
}

fn decide(look: &Look, meant: &Meant<'_>) -> Deed {
    let is_meant = |one: &&Standing| {
        let is_its = one
            .label
            .as_ref()
            .is_some_and(|label| label.run == meant.run);
        one.is_ours() && is_its && meant.filters.contains(&one.id())
    };
    let found: Vec<FilterId> = look
        .filters
        .iter()
        .filter(is_meant)
        .map(Standing::id)
        .collect();
    let is_evident = !found.is_empty() || meant.empty == Empty::Ours;
    let is_alone = meant.clsact == Clsact::Made && found.len() == look.filters.len() && is_evident;
    if is_alone && meant.turn == Turn::Ours {
        // In one step, so that no process that dies meanwhile leaves the one without the other.
        return Deed::Qdisc;
    }
    Deed::Filters(found)
}

/// Removes these filters of a run, and the qdisc with the last one where an injector made it. What is another's stays.
pub fn remove(ifindex: u32, meant: &Meant<'_>) -> Result<Removal, Error> {
    let failed = |source| Error::system("remove a filter from a network device", source);
    let before = look(ifindex)?;
    if before.kind() != Some(CLSACT) {
        return Ok(Removal::Gone);
    }
    let netlink = Netlink::open().map_err(failed)?;
    let filters = match decide(&before, meant) {
        Deed::Qdisc => return delete_qdisc(&netlink, ifindex).map_err(failed),
        Deed::Filters(filters) => filters,
    };
    let removal = each(&filters, |id| netlink.delete_filter(ifindex, id)).map_err(failed)?;
    let is_due = removal == Removal::Removed || meant.empty == Empty::Ours;
    if meant.clsact != Clsact::Made || !is_due {
        return Ok(removal);
    }
    let after = look(ifindex)?;
    if after.kind() != Some(CLSACT) || !after.filters.is_empty() {
        return Ok(removal);
    }
    match (meant.turn, removal) {
        // Two that removed without their turn have each seen the other's filter.
        (Turn::Ours, Removal::Removed) => delete_qdisc(&netlink, ifindex).map_err(failed),
        (Turn::Ours, other) => Ok(other),
        (Turn::Missing, _) => Ok(Removal::QdiscStays),
    }
}

/// Removes each; one that cannot be removed keeps no other from it. Tells the last error.
fn each(
    filters: &[FilterId],
    mut delete: impl FnMut(FilterId) -> io::Result<()>,
) -> io::Result<Removal> {
    let (mut removal, mut last) = (Removal::Gone, None);
    for id in filters {
        match delete(*id) {
            Ok(()) => removal = Removal::Removed,
            Err(error) if is_gone(&error) => {}
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(removal), Err)
}

fn delete_qdisc(netlink: &Netlink, ifindex: u32) -> io::Result<Removal> {
    match netlink.delete_qdisc(ifindex) {
        Ok(()) => Ok(Removal::Removed),
        Err(error) if is_gone(&error) => Ok(Removal::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::clsact::{Label, Side};

    const RUN: &str = "r000000010001";

    fn id(handle: u32) -> FilterId {
        FilterId {
            side: Side::Egress,
            priority: 7,
            handle,
        }
    }

    fn of(run: &str, handle: u32) -> Standing {
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

    fn foreign(handle: u32) -> Standing {
        Standing {
            label: None,
            ..of(RUN, handle)
        }
    }

    fn at(filters: Vec<Standing>) -> Look {
        Look {
            qdisc: Some(CLSACT.into()),
            filters,
        }
    }

    const MADE: Meant<'_> = Meant {
        run: RUN,
        filters: &[],
        clsact: Clsact::Made,
        empty: Empty::Unknown,
        turn: Turn::Ours,
    };

    #[test]
    fn the_qdisc_goes_with_the_last_filter_and_never_with_anothers() {
        let ids = [id(4), id(5)];
        let meant = Meant {
            filters: &ids,
            ..MADE
        };
        let both = || vec![of(RUN, 4), of(RUN, 5)];
        let filters = Deed::Filters(ids.to_vec());
        assert_eq!(decide(&at(both()), &meant), Deed::Qdisc);
        for other in [foreign(6), of("r000000010002", 6), of(RUN, 6)] {
            let all = [both(), vec![other]].concat();
            assert_eq!(decide(&at(all), &meant), filters);
        }
        let found = Meant {
            clsact: Clsact::Found,
            ..meant
        };
        assert_eq!(decide(&at(both()), &found), filters);
        let without_turn = Meant {
            turn: Turn::Missing,
            ..meant
        };
        assert_eq!(decide(&at(both()), &without_turn), filters);
    }

    #[test]
    fn a_filter_goes_only_where_all_that_it_is_known_by_is_the_same() {
        let ids = [id(4)];
        let meant = Meant {
            filters: &ids,
            ..MADE
        };
        let differing = [
            foreign(4),
            of("r000000010002", 4),
            of(RUN, 5),
            Standing {
                program: Some(9),
                ..of(RUN, 4)
            },
            Standing {
                side: Side::Ingress,
                ..of(RUN, 4)
            },
            Standing {
                priority: 8,
                ..of(RUN, 4)
            },
        ];
        for other in differing {
            let told = format!("{other:?}");
            let deed = decide(&at(vec![other]), &meant);
            assert_eq!(deed, Deed::Filters(vec![]), "{told}");
        }
    }

    #[test]
    fn an_empty_qdisc_goes_only_where_its_run_never_attached_and_it_is_its_turn() {
        let nothing = Deed::Filters(vec![]);
        let ours = Meant {
            empty: Empty::Ours,
            ..MADE
        };
        assert_eq!(decide(&at(vec![]), &MADE), nothing);
        assert_eq!(decide(&at(vec![]), &ours), Deed::Qdisc);
        assert_eq!(decide(&at(vec![foreign(4)]), &ours), nothing);
        for kept in [
            Meant {
                turn: Turn::Missing,
                ..ours
            },
            Meant {
                clsact: Clsact::Found,
                ..ours
            },
        ] {
            assert_eq!(decide(&at(vec![]), &kept), nothing, "{kept:?}");
        }
    }

    #[test]
    fn one_that_cannot_be_removed_keeps_no_other_from_it() {
        let mut tried = Vec::new();
        let refused = || io::Error::from_raw_os_error(libc::EPERM);
        let result = each(&[id(4), id(5)], |one| {
            tried.push(one.handle);
            if one.handle == 4 {
                Err(refused())
            } else {
                Ok(())
            }
        });
        assert_eq!(tried, [4, 5]);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
        let gone = || io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(each(&[id(4)], |_| Err(gone())).unwrap(), Removal::Gone);
        assert_eq!(each(&[id(4)], |_| Ok(())).unwrap(), Removal::Removed);
    }
}
