//! A host that cannot do what a fault needs: the injector must say so by name and attach nothing.
//!
//! Such a refusal is no failure of a test, and no skip either: it is an answer, and it is shown as one.

use std::error::Error;
use std::fmt;

/// How the injector ends that refuses for want of something on the host.
const EXIT_CODE: i32 = 2;

/// What the host lacks, in the injector's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack(String);

impl Lack {
    /// Finds it in what an injector left: `FAULT needs CAPABILITY, which this host lacks: ...`, and
    /// the exit code that goes with it. Without the code it is no refusal, whatever was printed.
    pub fn find(code: Option<i32>, said: &str) -> Option<Self> {
        let (before, _) = said.split_once(", which this host lacks")?;
        let (_, what) = before.rsplit_once(" needs ")?;
        (code == Some(EXIT_CODE)).then(|| Self(what.to_owned()))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Lack {}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str =
        "injector: net.delay needs tcx, which this host lacks: Invalid argument; run …";

    #[test]
    fn a_refusal_by_name_is_told_from_other_ends() {
        let lack = Lack::find(Some(2), SAID);
        assert_eq!(lack.map(|lack| lack.to_string()).as_deref(), Some("tcx"));
        assert_eq!(Lack::find(Some(1), SAID), None);
        assert_eq!(Lack::find(None, SAID), None);
        assert_eq!(Lack::find(Some(2), "injector: it needs a target"), None);
    }
}
