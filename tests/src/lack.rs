//! A host that cannot do what a fault needs: the injector must say so by name and attach nothing.
//!
//! Such a refusal is no failure of a test, and no skip either: it is an answer, and it is shown as one. That holds as well
//! where the fault was not what the test is about, and only its means: the injector was asked, refused by name, and
//! the test could go no further. So each thread keeps the refusal of the last injector that it heard, and forgets it where a
//! later one is armed, or ends in another way: what fails then is broken.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;

thread_local! {
    static LAST: RefCell<Option<Lack>> = const { RefCell::new(None) };
}

/// How the injector ends that refuses for want of something on the host.
const EXIT_CODE: i32 = 2;

/// What the host lacks, in the injector's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack(String);

impl Lack {
    /// Finds it in what an injector left: `FAULT needs CAPABILITY, which this host lacks: ...`, and
    /// the exit code that goes with it. Without the code it is no refusal, whatever was printed.
    pub fn find(code: Option<i32>, said: &str) -> Option<Self> {
        let lack = Self::named_in(said)?;
        (code == Some(EXIT_CODE)).then_some(lack)
    }

    /// This capability, of which `injector doctor` has said that the host lacks it.
    pub fn of(capability: &str) -> Self {
        Self(capability.to_owned())
    }

    /// Keeps what an injector of this thread said of the host, for a test that stumbles over it later.
    pub(crate) fn overhear(said: &str) {
        if let Some(lack) = Self::named_in(said) {
            LAST.set(Some(lack));
        }
    }

    /// Keeps the refusal that an injector of this thread has ended with, or forgets an earlier one where it ended otherwise.
    pub(crate) fn hear_the_end(code: Option<i32>, said: [&str; 2]) {
        let heard = |said: &&str| Self::find(code, said).or_else(|| Self::rehearsed(code, said));
        LAST.set(said.iter().find_map(heard));
    }

    /// Finds it in what a dry run says of a run that would be refused now; it ends well itself.
    fn rehearsed(code: Option<i32>, said: &str) -> Option<Self> {
        let is_told = said.contains("would be refused now: ") || said.contains("\"refusal\":{");
        Self::named_in(said).filter(|_| code == Some(0) && is_told)
    }

    fn named_in(said: &str) -> Option<Self> {
        let (before, _) = said.split_once(", which this host lacks")?;
        let (_, what) = before.rsplit_once(" needs ")?;
        Some(Self(what.to_owned()))
    }

    /// What this thread keeps in place of an error that came of it: for a test with threads of its own.
    pub fn in_place_of(error: anyhow::Error) -> anyhow::Error {
        Self::take_last().map_or(error, Into::into)
    }

    /// What this thread keeps, which it then forgets.
    pub fn take_last() -> Option<Self> {
        LAST.take()
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

    #[test]
    fn the_last_refusal_is_kept_once() {
        Lack::overhear("injector: it needs a target");
        assert_eq!(Lack::take_last(), None);
        Lack::overhear(SAID);
        // What says nothing of the host does not take its place.
        Lack::overhear("armed net.connect");
        assert_eq!(Lack::take_last(), Lack::find(Some(2), SAID));
        assert_eq!(Lack::take_last(), None);
        let rehearsed = "a run would be refused now: net.delay needs tcx, which this host lacks: Invalid argument";
        Lack::hear_the_end(Some(0), [rehearsed, ""]);
        assert!(Lack::take_last().is_some());
        for (code, kept) in [(0, None), (1, None), (2, Lack::find(Some(2), SAID))] {
            Lack::overhear(SAID);
            Lack::hear_the_end(Some(code), ["", SAID]);
            assert_eq!(Lack::take_last(), kept, "exit code {code}");
        }
    }

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
