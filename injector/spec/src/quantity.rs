//! Numbers with units, as people write them, and nothing that could be mistaken for another.
//!
//! Each type parses from the text that the command line and the experiment file share, displays as the
//! same text, and travels through JSON as that text, so that a journal reads like a command.

mod count;
mod cpu;
mod errno;
mod gemodel;
mod http_status;
pub mod io;
mod percent;
mod portion;
mod ports;
mod rate;
mod signal;
mod size;
pub mod when;

pub mod bytes;
pub mod duration;

pub use count::count;
pub use cpu::{CpuMax, CpuMaxError};
pub use errno::{Errno, ErrnoError};
pub use gemodel::{GeModel, GeModelError};
pub use http_status::{HttpStatus, HttpStatusError, invites_another_try};
pub use io::{IoMax, IoMaxError};
pub use percent::{Percent, PercentError, threshold};
pub use portion::{Portion, PortionError};
pub use ports::{PortRange, PortRangeError};
pub use rate::{Rate, RateError};
pub use signal::{Signal, SignalError};
pub use size::{Size, SizeError};
pub use when::{WhenError, format_when, parse_when};

/// Serialises a type by its `Display` and `FromStr`.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_text;
