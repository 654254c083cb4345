//! What declared signs have told of a run: whether a target that failed handed over to a person, and whether its success is true.

use injector_spec::{
    experiment::Flaw,
    quantity::{count, duration},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the signs of an experiment have told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// Whether the target handed over; absent where the experiment does not say how it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
    /// Whether its success is true; absent where the experiment does not say what success is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Claimed>,
}

/// Whether a target that failed handed over to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "handoff", rename_all = "kebab-case")]
pub enum Handoff {
    /// It did, behind the first hit, and had a reason to.
    Escalated {
        /// What was seen.
        sign: String,
        /// How long after the first hit, in milliseconds.
        after_ms: u64,
        /// Tasks that a fault met and that were not made good.
        #[serde(default)]
        failed: u64,
    },
    /// It did, behind the first hit, and no task failed for good: it had nothing to hand over, or did for another reason.
    Unprompted {
        /// What was seen.
        sign: String,
        /// How long after the first hit, in milliseconds.
        after_ms: u64,
    },
    /// It did not.
    Silent {
        /// What was not seen.
        sign: String,
        /// Tasks that a fault met and that were not made good.
        failed: u64,
    },
    /// No task failed for good.
    NothingToTell,
    /// It cannot be told.
    Unseen {
        /// Why not.
        why: String,
    },
}

/// Whether the success that a target claims is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "success", rename_all = "kebab-case")]
pub enum Claimed {
    /// It is: all its effects were seen.
    True {
        /// So many.
        effects: usize,
    },
    /// It is not.
    False {
        /// How it was claimed.
        claim: String,
        /// Effects that were not seen.
        missing: Vec<String>,
    },
    /// None was claimed.
    NotClaimed,
    /// It cannot be told.
    Unseen {
        /// Why not.
        why: String,
    },
}

impl Signs {
    /// What the target did wrong.
    pub fn flaws(&self) -> Vec<Flaw> {
        let silent = matches!(self.handoff, Some(Handoff::Silent { .. }));
        let is_false = matches!(self.success, Some(Claimed::False { .. }));
        let flaws = [(silent, Flaw::Silent), (is_false, Flaw::FalseSuccess)];
        let flaws = flaws.into_iter().filter(|(is_one, _)| *is_one);
        flaws.map(|(_, flaw)| flaw).collect()
    }

    /// The flaws that it would have shown, had it had them.
    pub fn could_show(&self) -> Vec<Flaw> {
        let failed = match &self.handoff {
            Some(Handoff::Escalated { .. } | Handoff::Silent { .. }) => Some(Flaw::Silent),
            Some(Handoff::Unprompted { .. } | Handoff::NothingToTell | Handoff::Unseen { .. })
            | None => None,
        };
        let claimed = match &self.success {
            Some(Claimed::True { .. } | Claimed::False { .. }) => Some(Flaw::FalseSuccess),
            Some(Claimed::NotClaimed | Claimed::Unseen { .. }) | None => None,
        };
        failed.into_iter().chain(claimed).collect()
    }

    /// Why a flaw that is judged by signs could not show, in words; `None` where it could, and of others.
    pub(super) fn why_unseen(&self, flaw: Flaw) -> Option<String> {
        match flaw {
            Flaw::Silent => match self.handoff.as_ref()? {
                Handoff::Escalated { .. } | Handoff::Silent { .. } => None,
                Handoff::Unprompted { .. } | Handoff::NothingToTell => Some(
                    "no task failed for good before the run ended, so there was nothing to tell a person"
                        .to_owned(),
                ),
                Handoff::Unseen { why } => Some(why.clone()),
            },
            Flaw::FalseSuccess => match self.success.as_ref()? {
                Claimed::True { .. } | Claimed::False { .. } => None,
                Claimed::NotClaimed => {
                    Some("no success was claimed, so there was none to be false".to_owned())
                }
                Claimed::Unseen { why } => Some(why.clone()),
            },
            Flaw::IgnoredRetryAfter
            | Flaw::RetryStorm
            | Flaw::NoProgress
            | Flaw::Hung
            | Flaw::AcceptedTruncation
            | Flaw::DeathUnnoticed
            | Flaw::Orphans
            | Flaw::GaveUp
            | Flaw::DuplicateEffect => None,
        }
    }

    /// All of it in words, a sentence each.
    pub fn words(&self) -> Vec<String> {
        let handoff = self.handoff.as_ref().and_then(|handoff| match handoff {
            Handoff::Escalated { sign, after_ms, .. } => Some(format!(
                "escalated: {sign}, {} after the first hit",
                duration::measured(Duration::from_millis(*after_ms))
            )),
            Handoff::Unprompted { sign, after_ms } => Some(format!(
                "there was {sign}, {} after the first hit, and no task failed for good",
                duration::measured(Duration::from_millis(*after_ms))
            )),
            Handoff::Silent { sign, failed } => {
                let tasks = count(*failed, "task", "tasks");
                Some(format!(
                    "silent: {tasks} failed for good, and there was not {sign}"
                ))
            }
            Handoff::NothingToTell => None,
            Handoff::Unseen { why } => Some(format!(
                "whether the target handed over to a person cannot be told: {why}"
            )),
        });
        let success = self.success.as_ref().and_then(|success| match success {
            Claimed::True { effects } => Some(format!(
                "success was claimed, and {} seen",
                match effects {
                    1 => "its effect was".to_owned(),
                    effects => format!("all its {effects} effects were"),
                }
            )),
            Claimed::False { claim, missing } => Some(format!(
                "false-success: success was claimed by {claim}, and there was not {}",
                missing.join(", nor ")
            )),
            Claimed::NotClaimed => None,
            Claimed::Unseen { why } => {
                Some(format!("whether a success is true cannot be told: {why}"))
            }
        });
        handoff.into_iter().chain(success).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handoff(handoff: Handoff) -> Signs {
        Signs {
            handoff: Some(handoff),
            success: None,
        }
    }

    fn success(success: Claimed) -> Signs {
        Signs {
            handoff: None,
            success: Some(success),
        }
    }

    #[test]
    fn silence_is_a_flaw_and_a_word_is_none() {
        let sign = || "a change of /var/log/alerts".to_owned();
        let silent = handoff(Handoff::Silent {
            sign: sign(),
            failed: 2,
        });
        assert_eq!(silent.flaws(), [Flaw::Silent]);
        assert_eq!(
            silent.words(),
            ["silent: 2 tasks failed for good, and there was not a change of /var/log/alerts"]
        );
        let escalated = handoff(Handoff::Escalated {
            sign: sign(),
            after_ms: 1_200,
            failed: 1,
        });
        assert!(escalated.flaws().is_empty());
        assert_eq!(escalated.could_show(), [Flaw::Silent]);
        assert!(escalated.words()[0].starts_with("escalated: a change of"));
        let unasked = handoff(Handoff::Unprompted {
            sign: sign(),
            after_ms: 1_200,
        });
        assert!(unasked.flaws().is_empty() && unasked.could_show().is_empty());
        assert!(unasked.words()[0].ends_with("no task failed for good"));
        for open in [
            handoff(Handoff::NothingToTell),
            handoff(Handoff::Unseen { why: "x".into() }),
            Signs::default(),
        ] {
            assert!(open.flaws().is_empty() && open.could_show().is_empty());
        }
        assert!(handoff(Handoff::NothingToTell).words().is_empty());
    }

    #[test]
    fn a_success_without_its_effects_is_false() {
        let is_false = success(Claimed::False {
            claim: "a line".into(),
            missing: vec!["a".into(), "b".into()],
        });
        assert_eq!(is_false.flaws(), [Flaw::FalseSuccess]);
        assert!(is_false.words()[0].ends_with("there was not a, nor b"));
        let is_true = success(Claimed::True { effects: 1 });
        assert_eq!(is_true.could_show(), [Flaw::FalseSuccess]);
        assert!(is_true.flaws().is_empty());
        assert_eq!(
            is_true.words(),
            ["success was claimed, and its effect was seen"]
        );
        for open in [Claimed::NotClaimed, Claimed::Unseen { why: "x".into() }] {
            let open = success(open);
            assert!(open.flaws().is_empty() && open.could_show().is_empty());
        }
    }

    #[test]
    fn it_is_read_back() {
        let signs = Signs {
            handoff: Some(Handoff::NothingToTell),
            success: Some(Claimed::NotClaimed),
        };
        let json = serde_json::to_string(&signs).unwrap();
        assert_eq!(serde_json::from_str::<Signs>(&json).unwrap(), signs);
    }
}
