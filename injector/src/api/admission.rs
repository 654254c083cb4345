//! How many connections there may be at once, and what those are told that come on top.
//!
//! Each connection costs a task, a buffer and at worst a body, so their number bounds the daemon's
//! memory. Some places are kept for the owner, so that a group's members cannot keep root from
//! `injector stop` by taking all of them.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{access::Right, reply::Failure};
use crate::error::Refusal;

/// The most connections that are served at once.
const MOST: usize = 192;

/// How many of them are the owner's alone.
const OWNERS: usize = 32;

/// The most connections that are being told why they are not served. What comes on top is closed without
/// a word.
const MOST_REFUSED: usize = 64;

/// The places that are left.
pub(super) struct Admission {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
    refused: Arc<Semaphore>,
}

/// A place, until it is dropped.
pub(super) struct Place(
    #[expect(dead_code, reason = "held, not looked at")] Vec<OwnedSemaphorePermit>,
);

/// What becomes of a connection.
pub(super) enum Admitted {
    /// It is served.
    Served(Right, Place),
    /// It is told why not.
    Refused(Failure, Place),
    /// It is closed.
    Closed,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            others: Arc::new(Semaphore::new(MOST - OWNERS)),
            refused: Arc::new(Semaphore::new(MOST_REFUSED)),
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
        self.refuse(Failure::new(StatusCode::SERVICE_UNAVAILABLE, sentence))
    }

    fn place(&self, right: Right) -> Option<Place> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        Some(Place(match right {
            Right::Owner => vec![take(&self.all)?],
            Right::Full | Right::ReadOnly => vec![take(&self.others)?, take(&self.all)?],
        }))
    }

    fn refuse(&self, failure: Failure) -> Admitted {
        match Arc::clone(&self.refused).try_acquire_owned() {
            Ok(place) => Admitted::Refused(failure, Place(vec![place])),
            Err(_) => Admitted::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_leave_places_to_the_owner() {
        let admission = Admission::default();
        let mut served = Vec::new();
        while let Admitted::Served(_, place) = admission.admit(Some(Right::Full)) {
            served.push(place);
        }
        assert_eq!(served.len(), MOST - OWNERS);
        while let Admitted::Served(_, place) = admission.admit(Some(Right::Owner)) {
            served.push(place);
        }
        assert_eq!(served.len(), MOST);
        served.clear();
        assert!(matches!(
            admission.admit(Some(Right::ReadOnly)),
            Admitted::Served(Right::ReadOnly, _)
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
