//! What the thread that attaches has told: of its first round, from which it follows whether the run may begin, and of
//! processes that came later.

use std::{mem, sync::mpsc::Receiver};

use injector_host::targets::process::TaskKey;
use injector_spec::error::Refusal;

use super::NAMED;
use crate::members::Covered;

/// What became of the first look at all processes of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstRound {
    /// All were looked at.
    Made,
    /// It was not at its end within [`super::START`].
    Late,
    /// Its thread ended before.
    Dead,
}

/// In which look at all processes something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// In the first, which has those that were there when the run was armed.
    First,
    /// In one behind it.
    Later,
}

/// One thing that the thread has told.
pub(super) type Told = (Round, Covered);

/// All that it has told, as the run takes it in.
pub(super) struct News {
    told: Receiver<Told>,
    /// What was told before the run began.
    early: Vec<Told>,
    is_begun: bool,
    /// Processes or libraries that were attached to while the run was on.
    joined: u64,
    /// The first of the processes that cannot be attached to, and why.
    refused: Vec<(u32, String)>,
    /// How many more there are.
    more: usize,
}

impl News {
    /// None was taken in yet.
    pub(super) const fn of(told: Receiver<Told>) -> Self {
        Self {
            told,
            early: Vec::new(),
            is_begun: false,
            joined: 0,
            refused: Vec::new(),
            more: 0,
        }
    }

    /// Refuses a run whose first round has reached none of these processes, which were there when it began.
    pub(super) fn check(&mut self, first: FirstRound, members: &[TaskKey]) -> Result<(), Refusal> {
        self.early.extend(self.told.try_iter());
        check(first, &self.early, members)
    }

    /// Takes in what was told since the last time. Processes that cannot be attached to, and why.
    pub(super) fn take(&mut self) -> Vec<(u32, String)> {
        let mut news = Vec::new();
        let early = mem::take(&mut self.early);
        for (round, covered) in early.into_iter().chain(self.told.try_iter()) {
            match covered {
                // A first round that is late goes on while the run does, and its processes are none that joined.
                Covered::By(..) => {
                    self.joined += u64::from(self.is_begun && round == Round::Later);
                }
                Covered::Not(pid, why) => news.push((pid, why)),
                Covered::Gone(_) => {}
            }
        }
        self.is_begun = true;
        let room = NAMED.saturating_sub(self.refused.len()).min(news.len());
        self.refused.extend_from_slice(&news[..room]);
        self.more += news.len() - room;
        news
    }

    /// What the run's report is to say of it.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.joined > 0 {
            words.push(format!(
                "{} processes or libraries came to the target while the run was on; what they asked before they were attached to, some 100 ms (longer in a target of many processes), no fault met",
                self.joined
            ));
        }
        let refused = self.refused.iter();
        words.extend(
            refused.map(|(pid, why)| format!("process {pid} was not met by tls-rewrite: {why}")),
        );
        if self.more > 0 {
            words.push(format!(
                "{} more processes could not be attached to by tls-rewrite",
                self.more
            ));
        }
        words
    }
}

/// Refuses where the first round has found that no process can be reached. One that has no library yet may get one.
fn check(first: FirstRound, told: &[Told], members: &[TaskKey]) -> Result<(), Refusal> {
    let is_any = told.iter().any(|(_, one)| matches!(one, Covered::By(..)));
    match first {
        FirstRound::Dead => Err(Refusal::failed(
            "the thread that puts probes into the target ended by itself; try again",
        )),
        FirstRound::Made | FirstRound::Late if is_any => Ok(()),
        FirstRound::Late => Err(Refusal::failed(
            "tls-rewrite had no probe in the target after 5 s: the kernel lets an attachment wait for threads that sleep in programs elsewhere; try again when other runs have ended, or say --by relay",
        )),
        FirstRound::Made => {
            let refused = |key: &TaskKey| {
                told.iter().find_map(|(_, one)| match one {
                    Covered::Not(pid, why) if *pid == key.tgid => Some((*pid, why.as_str())),
                    Covered::By(..) | Covered::Not(..) | Covered::Gone(_) => None,
                })
            };
            let refused: Option<Vec<_>> = members.iter().map(refused).collect();
            let first = refused.iter().flatten().next();
            first.map_or(Ok(()), |(pid, why)| {
                Err(Refusal::failed(format!(
                    "tls-rewrite reaches no process of the target, process {pid} not because {why}; say --by relay"
                )))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn by(pid: u32) -> Covered {
        Covered::By(pid, "libssl".into())
    }

    fn not(pid: u32) -> Covered {
        Covered::Not(pid, "it is protected".into())
    }

    #[test]
    fn a_run_that_reaches_no_process_is_refused() {
        let key = |tgid| TaskKey {
            tgid,
            start_ticks: 1,
        };
        let words = |first, told: Vec<Covered>, members: &[u32]| {
            let told: Vec<Told> = told.into_iter().map(|one| (Round::First, one)).collect();
            let members: Vec<TaskKey> = members.iter().copied().map(key).collect();
            let refused = check(first, &told, &members).err();
            refused.map(|refusal| refusal.to_string())
        };
        assert_eq!(words(FirstRound::Made, vec![], &[]), None);
        assert_eq!(words(FirstRound::Made, vec![], &[1]), None);
        assert_eq!(words(FirstRound::Made, vec![not(2), by(1)], &[1, 2]), None);
        assert_eq!(words(FirstRound::Late, vec![by(1)], &[1]), None);
        // One that has no library yet may get one.
        assert_eq!(words(FirstRound::Made, vec![not(2)], &[1, 2]), None);
        let refused = words(FirstRound::Made, vec![not(2), not(3)], &[2, 3]).unwrap();
        assert!(refused.contains("process 2") && refused.contains("protected"));
        assert!(words(FirstRound::Late, vec![], &[1]).is_some_and(|why| why.contains("5 s")));
        assert!(words(FirstRound::Dead, vec![by(1)], &[1]).is_some());
    }

    #[test]
    fn only_what_came_behind_the_first_round_has_joined() {
        let (tell, told) = channel();
        let mut news = News::of(told);
        let first = |covered| tell.send((Round::First, covered)).unwrap();
        let later = |covered| tell.send((Round::Later, covered)).unwrap();
        first(by(1));
        news.check(FirstRound::Late, &[]).unwrap();
        // The run is armed, and not on yet.
        later(by(2));
        assert!(news.take().is_empty());
        first(by(3));
        assert!(news.take().is_empty());
        assert!(news.words().is_empty(), "{:?}", news.words());
        later(by(4));
        later(not(5));
        assert_eq!(news.take(), [(5, "it is protected".to_owned())]);
        let words = news.words();
        assert!(words[0].starts_with("1 processes or libraries came"));
        assert!(words[1].contains("process 5") && words[1].contains("protected"));
        for pid in 0..10 {
            later(not(pid));
        }
        assert_eq!(news.take().len(), 10);
        let words = news.words();
        assert_eq!(words.len(), 1 + NAMED + 1);
        assert!(words.last().unwrap().starts_with("6 more"));
    }
}
