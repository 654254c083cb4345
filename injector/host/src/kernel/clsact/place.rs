//! Which place a new filter takes among those that stand at a device: first, and beside no other program's.
//!
//! Within a priority the kernel asks the newest first (`net/sched/cls_bpf.c`, `cls_bpf_change`), and all filters of a
//! priority are of one kind and one protocol. So runs of injectors share a priority, and no other program's is joined:
//! what its owner adds or removes there must not meet ours.

use super::{CLSACT, Clsact, FilterId, Look, Side, Standing, programs::Loaded};

/// The priority of an injector's filters where nothing is in front. Low, so that what others add later comes behind, and
/// none that manuals have in their examples, so that it keeps no other filter from its place.
const PRIORITY: u16 = 7;

/// Whether the qdisc is there by the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qdisc {
    /// It is.
    Stands,
    /// It is to be made.
    Missing,
}

/// Where filters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the qdisc comes from, or will.
    pub clsact: Clsact,
    /// Whether it is there.
    pub qdisc: Qdisc,
    /// The priority of a filter for packets that leave.
    pub egress: u16,
    /// The same of one for packets that arrive.
    pub ingress: u16,
}

impl Place {
    /// The first place of all, on a device of the caller's own.
    pub(crate) const fn first(qdisc: Qdisc) -> Self {
        Self {
            clsact: Clsact::Made,
            qdisc,
            egress: 1,
            ingress: 1,
        }
    }

    /// What the filter of a program is known by there.
    pub(super) const fn id(self, side: Side, program: &Loaded) -> FilterId {
        FilterId {
            side,
            priority: self.priority(side),
            handle: program.id(),
        }
    }

    /// The priority on a side.
    const fn priority(self, side: Side) -> u16 {
        match side {
            Side::Egress => self.egress,
            Side::Ingress => self.ingress,
        }
    }
}

/// The place of a new filter on each of these sides.
///
/// # Errors
/// Why there is none, in words.
pub fn place(look: &Look, sides: &[Side]) -> Result<Place, String> {
    let (clsact, qdisc) = match look.kind() {
        None => (Clsact::Made, Qdisc::Missing),
        Some(CLSACT) => {
            let mut labels = look.filters.iter().filter(|one| one.is_ours());
            let is_made = |one: &Standing| {
                let label = one.label.as_ref();
                label.is_some_and(|label| label.clsact == Clsact::Made)
            };
            let clsact = if labels.any(is_made) {
                Clsact::Made
            } else {
                Clsact::Found
            };
            (clsact, Qdisc::Stands)
        }
        Some(other) => {
            return Err(format!(
                "another program has the qdisc `{other}` there, beside which Linux lets no clsact stand"
            ));
        }
    };
    let mut place = Place {
        clsact,
        qdisc,
        egress: PRIORITY,
        ingress: PRIORITY,
    };
    for side in sides {
        let priority = first(look, *side)?;
        match side {
            Side::Egress => place.egress = priority,
            Side::Ingress => place.ingress = priority,
        }
    }
    Ok(place)
}

/// The priority in front of all others of a side.
fn first(look: &Look, side: Side) -> Result<u16, String> {
    let here = || look.filters.iter().filter(|one| one.side == side);
    let Some(lowest) = here().map(|one| one.priority).min() else {
        return Ok(PRIORITY);
    };
    let mut with_it = here().filter(|one| one.priority == lowest);
    if with_it.all(Standing::is_ours) {
        return Ok(lowest);
    }
    match lowest.saturating_sub(1).min(PRIORITY) {
        // 0 asks the kernel to choose.
        0 => Err(
            "the first filter there (priority 1) is another program's, and what it decides would not be met".into(),
        ),
        priority => Ok(priority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::clsact::Label;

    fn ours(priority: u16, clsact: Clsact) -> Standing {
        Standing {
            side: Side::Egress,
            priority,
            handle: 9,
            program: Some(9),
            label: Some(Label {
                run: "r000000010001".into(),
                clsact,
            }),
        }
    }

    fn foreign(priority: u16) -> Standing {
        Standing {
            handle: 1,
            label: None,
            ..ours(priority, Clsact::Found)
        }
    }

    fn at(qdisc: Option<&str>, filters: Vec<Standing>) -> Result<Place, String> {
        let look = Look {
            qdisc: qdisc.map(Into::into),
            filters,
        };
        place(&look, &[Side::Egress, Side::Ingress])
    }

    #[test]
    fn a_qdisc_is_ours_while_a_filter_says_so() {
        let clsact = |qdisc, filters| at(qdisc, filters).map(|place| place.clsact);
        let here = Some("clsact");
        assert_eq!(clsact(None, vec![]), Ok(Clsact::Made));
        assert_eq!(clsact(here, vec![]), Ok(Clsact::Found));
        assert_eq!(clsact(here, vec![foreign(3)]), Ok(Clsact::Found));
        let made = vec![foreign(30), ours(7, Clsact::Made)];
        assert_eq!(clsact(here, made), Ok(Clsact::Made));
        let found = vec![ours(7, Clsact::Found)];
        assert_eq!(clsact(here, found), Ok(Clsact::Found));
        assert!(clsact(Some("ingress"), vec![]).is_err());
        // Made by another run, it is not made once more.
        let qdisc = |kind, filters| at(kind, filters).map(|place| place.qdisc);
        assert_eq!(qdisc(None, vec![]), Ok(Qdisc::Missing));
        let made = vec![ours(7, Clsact::Made)];
        assert_eq!(qdisc(here, made), Ok(Qdisc::Stands));
    }

    #[test]
    fn the_place_is_the_first_and_shared_with_injectors_alone() {
        let egress = |filters| at(Some("clsact"), filters).map(|place| place.egress);
        assert_eq!(egress(vec![]), Ok(PRIORITY));
        assert_eq!(egress(vec![foreign(49152)]), Ok(PRIORITY));
        assert_eq!(egress(vec![foreign(PRIORITY)]), Ok(PRIORITY - 1));
        assert_eq!(egress(vec![foreign(2)]), Ok(1));
        assert!(egress(vec![foreign(1)]).is_err());
        // The newest of a priority is asked first, so a second run comes before the first one.
        assert_eq!(egress(vec![ours(3, Clsact::Made)]), Ok(3));
        assert_eq!(egress(vec![ours(3, Clsact::Made), foreign(4)]), Ok(3));
        assert_eq!(egress(vec![ours(3, Clsact::Made), foreign(3)]), Ok(2));
        assert_eq!(egress(vec![foreign(2), ours(3, Clsact::Made)]), Ok(1));
        // What stands on the other side is in no way.
        let place = at(Some("clsact"), vec![foreign(3)]).unwrap();
        assert_eq!(place.priority(Side::Ingress), PRIORITY);
        let look = Look {
            qdisc: Some("clsact".into()),
            filters: vec![foreign(1)],
        };
        assert!(place_on(&look, Side::Ingress).is_ok());
    }

    fn place_on(look: &Look, side: Side) -> Result<Place, String> {
        place(look, &[side])
    }
}
