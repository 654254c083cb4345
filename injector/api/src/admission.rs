//! How many connections there may be at once, and what those are told that come on top.
//!
//! Each connection costs a task, a buffer and at worst a body, so their number bounds the daemon's
//! memory. Who may only look cannot take all places from those who act, a group's members cannot take them
//! from the owner, and when all are taken, there are some left for requests that end something: `stop` and
//! `halt` get through a crowd.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{access::Right, reply::Failure};
use injector_spec::error::Refusal;

/// The most connections that are served at once.
const MOST: usize = 192;

/// How many of them are the owner's alone.
const OWNERS: usize = 32;

/// How many of them those may have who only look.
const LOOKERS: usize = 96;

/// The most connections on top that are served where they end something, and are told why not otherwise.
const CROWD: usize = 64;

/// How many of these are the owner's alone.
const OWNERS_IN_CROWD: usize = 16;

/// The most connections of those without a right, or without the right to end anything, that are being
/// told why they are not served. What comes on top is closed without a word.
const MOST_REFUSED: usize = 64;

/// The places that are left.
pub(super) struct Admission {
    all: Places,
    others: Places,
    lookers: Places,
    crowd: Places,
    others_in_crowd: Places,
    refused: Places,
}

/// Some places.
struct Places(Arc<Semaphore>);

impl Places {
    fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// A place, until it is dropped.
pub(super) struct Place(
    #[expect(dead_code, reason = "held, not looked at")] Vec<OwnedSemaphorePermit>,
);

/// What becomes of a connection.
pub(super) enum Admitted {
    /// It is served.
    Served(Right, Place),
    /// It is served where it ends something, and told why not where it does not.
    InCrowd(Right, Failure, Place),
    /// It is told why not.
    Refused(Failure, Place),
    /// It is closed.
    Closed,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            all: Places::new(MOST),
            others: Places::new(MOST - OWNERS),
            lookers: Places::new(LOOKERS),
            crowd: Places::new(CROWD),
            others_in_crowd: Places::new(CROWD - OWNERS_IN_CROWD),
            refused: Places::new(MOST_REFUSED),
        }
    }
}

impl Admission {
    /// Finds a place for a caller with this right; `None` has none.
    pub(super) fn admit(&self, right: Option<Right>) -> Admitted {
        let Some(right) = right else {
            let sentence = "this socket serves root, the daemon's own user, and the groups that its \
                            configuration names; use sudo, or ask for membership of the group";
            return self.refuse(Refusal::endangers(sentence).into());
        };
        if let Some(place) = self.place(right) {
            return Admitted::Served(right, place);
        }
        let sentence = "the daemon has as many connections as it serves at once; try again, or end the \
                        programs that hold them";
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, sentence);
        match right {
            Right::ReadOnly => self.refuse(failure),
            Right::Owner | Right::Full => match self.place_in_crowd(right) {
                Some(place) => Admitted::InCrowd(right, failure, place),
                None => Admitted::Closed,
            },
        }
    }

    fn place(&self, right: Right) -> Option<Place> {
        Some(Place(match right {
            Right::Owner => vec![self.all.take()?],
            Right::Full => vec![self.others.take()?, self.all.take()?],
            Right::ReadOnly => {
                vec![self.lookers.take()?, self.others.take()?, self.all.take()?]
            }
        }))
    }

    fn place_in_crowd(&self, right: Right) -> Option<Place> {
        Some(Place(match right {
            Right::Owner => vec![self.crowd.take()?],
            Right::Full | Right::ReadOnly => {
                vec![self.others_in_crowd.take()?, self.crowd.take()?]
            }
        }))
    }

    fn refuse(&self, failure: Failure) -> Admitted {
        match self.refused.take() {
            Some(place) => Admitted::Refused(failure, Place(vec![place])),
            None => Admitted::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(admission: &Admission, right: Right) -> Vec<Place> {
        let mut places = Vec::new();
        while let Admitted::Served(_, place) = admission.admit(Some(right)) {
            places.push(place);
        }
        places
    }

    #[test]
    fn each_leaves_places_to_those_with_more_rights() {
        let admission = Admission::default();
        let mut served = fill(&admission, Right::ReadOnly);
        assert_eq!(served.len(), LOOKERS);
        served.extend(fill(&admission, Right::Full));
        assert_eq!(served.len(), MOST - OWNERS);
        served.extend(fill(&admission, Right::Owner));
        assert_eq!(served.len(), MOST);
        served.clear();
        assert!(matches!(
            admission.admit(Some(Right::ReadOnly)),
            Admitted::Served(Right::ReadOnly, _)
        ));
    }

    #[test]
    fn a_crowd_has_places_for_those_who_may_end_something() {
        let admission = Admission::default();
        let _served = [
            fill(&admission, Right::Full),
            fill(&admission, Right::Owner),
        ];
        assert!(matches!(
            admission.admit(Some(Right::ReadOnly)),
            Admitted::Refused(..)
        ));
        let mut crowd = Vec::new();
        while let Admitted::InCrowd(_, _, place) = admission.admit(Some(Right::Full)) {
            crowd.push(place);
        }
        assert_eq!(crowd.len(), CROWD - OWNERS_IN_CROWD);
        assert!(matches!(
            admission.admit(Some(Right::Owner)),
            Admitted::InCrowd(Right::Owner, ..)
        ));
    }

    #[test]
    fn refusing_is_bounded_too() {
        let admission = Admission::default();
        let mut refused = Vec::new();
        while let Admitted::Refused(_, place) = admission.admit(None) {
            refused.push(place);
        }
        assert_eq!(refused.len(), MOST_REFUSED);
        assert!(matches!(admission.admit(None), Admitted::Closed));
    }
}
