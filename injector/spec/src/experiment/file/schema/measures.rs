//! What the keys of objectives, of ledgers, of the detection and of the blast radius take.

use serde_json::{Value, json};

use super::{
    super::{
        blast_radius,
        ledgers::{LEDGER, RPO, SOURCES},
        steady_state,
    },
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
        "objectives" => described(objectives(), "What counts as good enough."),
        "rto" => scalar("The recovery time objective, as in `5s`."),
        "latency" => described(
            map(&steady_state::QUANTILES, &[]),
            "What one quantile of their times may be, as in `{p99: 500ms}`.",
        ),
        quantile if steady_state::QUANTILES.contains(&quantile) => {
            scalar("The longest that it may be, as in `500ms`.")
        }
        blast_radius::KEY => described(
            map(&blast_radius::BLAST_RADIUS, &[]),
            "How far the run may reach, besides what the host allows.",
        ),
        "processes" => scalar("The most processes of all targets together."),
        "share" => scalar("The largest share of one cgroup's processes, as in `50%`."),
        "hits" => scalar("The most hits of one fault, and the budget of one that was given none."),
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

/// `success` is a share here, and a sign of its own at the outermost.
fn objectives() -> Value {
    let mut objectives = map(&steady_state::OBJECTIVES, &[]);
    objectives["properties"]["success"] =
        scalar("The share of the answers behind the first hit that is right, as in `99%`.");
    objectives
}

/// Where a list is read from.
fn list() -> Value {
    let mut list = map(&SOURCES, &[]);
    list["minProperties"] = 1.into();
    list["maxProperties"] = 1.into();
    list
}
