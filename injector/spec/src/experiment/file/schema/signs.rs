//! The schema of signs, and of what they are declared for.

use serde_json::{Value, json};

use super::{
    super::signs::{SIGN, SUCCESS},
    described, list_of, map, scalar, stages,
};
use crate::experiment::sign::MOST_EFFECTS;

/// What a key takes that is about them.
pub(super) fn key(key: &str) -> Value {
    match key {
        "handoff" => described(
            map(&SIGN, &[]),
            "What is seen where a target hands over to a person; one that fails and does not is `silent`.",
        ),
        "success" => described(
            map(&SUCCESS, &["effects"]),
            "What success is; a target that claims it without its effects is a `false-success`.",
        ),
        "claim" => described(
            map(&SIGN, &[]),
            "What is seen where it is claimed; where nothing is said, commands of steps claim it by ending with 0.",
        ),
        "effects" => {
            let sign = map(&SIGN, &[]);
            let mut all = list_of(&sign);
            all["maxItems"] = json!(MOST_EFFECTS);
            described(
                json!({ "anyOf": [sign, all] }),
                "What has to be seen for it to be true.",
            )
        }
        "lines" => scalar("A regular expression: only a line that matches it counts."),
        other => stages::key(other),
    }
}
