//! The schema of stages, and of whom decisions are asked of.

use serde_json::{Value, json};

use super::{
    super::{STAGE, STAGES_STAGE, escalate},
    described, key_of_step, map, one_of, scalar,
};
use crate::{
    escalation::MOST_STEPS,
    experiment::{Ground, stage},
};

/// What a key takes that is about either.
pub(super) fn key(key: &str) -> Value {
    match key {
        "stages" => json!({
            "description": "What comes first where nothing can be lost, and then where it counts; `--stage` chooses one.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": stage::MOST_STAGES,
            "additionalProperties": map(&STAGES_STAGE, &[]),
        }),
        "stage" => described(
            map(&STAGE, &["name", "asks"]),
            "A stage that was chosen, as documents have it.",
        ),
        "asks" | "after-asks" => scalar("A digest of what a stage asks, in 16 hexadecimal digits."),
        "after" => scalar("The stage in front of this one whose last run must have held."),
        "approved-by" => scalar("Who answers for the run."),
        "ground" => described(
            one_of(&Ground::WORDS.map(|(word, _)| word)),
            "Where its targets have to be; `sandbox` is verified.",
        ),
        "escalate" => json!({
            "description": "Whom a decision is asked of, one after the other: names of `[[notifier]]` in the host's configuration.",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_STEPS,
            "items": map(&escalate::STEP, &escalate::STEP),
        }),
        "to" => scalar("The notifier, as in `on-call`."),
        other => key_of_step(other),
    }
}
