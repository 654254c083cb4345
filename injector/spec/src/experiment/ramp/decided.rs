//! What is decided about each number of a fault: whether it can ramp, and why where it cannot.

use std::time::Duration;

use injector_common::threshold::Threshold;

use super::{Amount, Parameter};
use crate::quantity::Rate;

/// Where its value stands in a fault.
pub(crate) enum Place<'f> {
    /// As a time.
    Time(&'f mut Duration),
    /// As a share.
    Share(&'f mut Threshold),
    /// As a rate.
    Rate(&'f mut Rate),
}

/// What is decided about a parameter.
pub(crate) enum Decided<'f> {
    /// It can ramp.
    Ramps(Parameter, Place<'f>),
    /// It is a number, and cannot.
    Stays(&'static str, Why),
}

/// Why a number cannot ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It says what is meant, which is looked up by many entries of a table.
    Filter,
    /// It counts over the whole step, or numbers it.
    Count,
    /// It says how large a cut is.
    Size,
    /// It is several numbers that hang together.
    Several,
    /// It is a time at which this process acts, not a setting that a packet or call reads.
    Schedule,
    /// It is a limit of a cgroup, whose old value is put back.
    Limit,
    /// It is asked once for each connection or process.
    Once,
    /// It is a word of an answer, which a client reads as it stands.
    Told,
}

impl Why {
    /// The reason, for people.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Filter => "it says which packets or calls are meant",
            Self::Count => "it counts over the whole step",
            Self::Size => "it is the size of a cut",
            Self::Several => "it is several numbers that hang together",
            Self::Schedule => "it is a time at which the injector's own process acts",
            Self::Limit => "it is a limit of a cgroup, written once and put back once",
            Self::Told => "it is a word of the answer, which a client reads as it stands",
            Self::Once => {
                "it is asked once for each connection or process, not at each packet or call"
            }
        }
    }
}

/// These stay, all for one reason.
pub(crate) fn stays(names: &[&'static str], why: Why) -> Vec<Decided<'static>> {
    let stay = |name: &&'static str| Decided::Stays(name, why);
    names.iter().map(stay).collect()
}

impl Place<'_> {
    pub(super) fn value(&self) -> Amount {
        match self {
            Self::Time(time) => Amount::Time(**time),
            Self::Share(share) => Amount::Share(**share),
            Self::Rate(rate) => Amount::Rate(**rate),
        }
    }

    pub(super) fn set(self, amount: Amount) {
        match (self, amount) {
            (Self::Time(place), Amount::Time(time)) => *place = time,
            (Self::Share(place), Amount::Share(share)) => *place = share,
            (Self::Rate(place), Amount::Rate(rate)) => *place = rate,
            // `check_ramps` has refused it.
            (Self::Time(_) | Self::Share(_) | Self::Rate(_), _) => {}
        }
    }
}
