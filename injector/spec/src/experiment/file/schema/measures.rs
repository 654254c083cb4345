//! What the keys of ledgers, of their objectives and of the detection take.

use serde_json::{Value, json};

use super::{
    super::ledgers::{LEDGER, RPO, SOURCES},
    described, list_of, map, scalar,
};
use crate::experiment::ledger::MOST_LEDGERS;

/// What such a key takes.
pub(super) fn key(key: &str) -> Value {
    match key {
        "detect" => scalar(
            "The probe whose right answer says that the target's own alarm has noticed; under `objectives`, the \
             longest time until then, as in `30s`.",
        ),
        "ledgers" => json!({
            "description": "By name, what the service acknowledged and what it kept; read when the recovery is over.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": MOST_LEDGERS,
            "additionalProperties": map(&LEDGER, &LEDGER[..2]),
        }),
        "acknowledged" => described(
            list(),
            "Ids that the service acknowledged, one a line; behind each may stand the Unix time in seconds.",
        ),
        "kept" => described(list(), "Ids that are there afterwards, one a line."),
        "rpo" => {
            let one = map(&RPO, &RPO[..1]);
            let several = list_of(&one);
            described(
                json!({ "anyOf": [one, several] }),
                "The recovery point objective of a ledger, or of several.",
            )
        }
        "ledger" => scalar("The name of a ledger."),
        "lost" => scalar("How many acknowledged items may be missing; 0 where nothing is said."),
        "torn" => scalar("How many kept lines may be parts of items; 0 where nothing is said."),
        "double" => scalar("How many items may be kept more than once; 0 where nothing is said."),
        "age" => scalar(
            "The longest time from the newest item acknowledged before the impact and kept, to the impact.",
        ),
        // A test finds each of them.
        _ => Value::Bool(false),
    }
}

/// Where a list is read from.
fn list() -> Value {
    let mut list = map(&SOURCES, &[]);
    list["minProperties"] = 1.into();
    list["maxProperties"] = 1.into();
    list
}
