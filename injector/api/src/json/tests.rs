//! What a body may look like, and what is said of one that does not.

use serde_json::{Value, json};

use injector_plan::policy::Override;
use injector_spec::experiment::Experiment;
use serde::Deserialize;

use super::{JsonError, read};
use crate::HaltRequest;

/// Types of every kind, in each other.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    experiment: Experiment,
    #[serde(default)]
    overrides: Vec<Override>,
}

fn start() -> Value {
    json!({"experiment": {
        "name": "x",
        "targets": [{"name": "t", "selector": {"pids": {"pids": [7], "follow": "process"}}}],
        "steps": [{"name": "s", "duration": "5s", "faults": [{
            "target": 0,
            "kind": {"fault": "net.delay", "with": {
                "latency": "5ms", "jitter": "0s", "correlation": "0%", "distribution": "uniform"
            }},
            "direction": "egress",
            "traffic": {},
            "chance": {"percent": "5%", "max_hits": 3}
        }]}]
    }})
}

/// The request with another value in one place.
fn with(place: &str, value: Value) -> Result<Everything, String> {
    let mut request = start();
    *request.pointer_mut(place).expect(place) = value;
    read(&serde_json::to_vec(&request).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn what_the_document_describes_is_read() {
    let plain: Everything = serde_json::from_value(start()).unwrap();
    assert_eq!(with("/experiment/name", json!("x")).as_ref(), Ok(&plain));
    let fault = "/experiment/steps/0/faults/0";
    for (place, value) in [
        (format!("{fault}/target"), json!(0.0)),
        (format!("{fault}/chance/max_hits"), json!(3.0)),
    ] {
        assert_eq!(with(&place, value).as_ref(), Ok(&plain), "{place}");
    }
}

/// A list, field by field, is what derived readers take for an object.
#[test]
fn no_list_stands_for_an_object() {
    let kind = "/experiment/steps/0/faults/0/kind";
    for (place, value) in [
        ("", json!([start()["experiment"], []])),
        ("/experiment/targets/0", json!(["t", {"cgroup": "/a"}])),
        (
            "/experiment/targets/0/selector",
            json!({"pids": [[7], "process"]}),
        ),
        ("/experiment/steps/0", json!(["s", "5s", []])),
        (
            kind,
            json!(["net.loss", {"independent": {"correlation": "0%"}}]),
        ),
        (
            kind,
            json!({"fault": "net.delay", "with": ["5ms", "0s", "0%", "uniform"]}),
        ),
        (
            kind,
            json!({"fault": "net.loss", "with": {"independent": ["0%"]}}),
        ),
        ("/experiment/steps/0/faults/0/traffic", json!([])),
        ("/experiment/steps/0/faults/0/chance", json!(["5%"])),
    ] {
        let said = with(place, value).unwrap_err();
        assert!(
            said.contains("an object is wanted here, not a list"),
            "{place}: {said}"
        );
    }
    assert!(read::<HaltRequest>(br#"["smoke"]"#).is_err());
}

#[test]
fn what_the_document_does_not_describe_is_refused_by_place() {
    let fault = "/experiment/steps/0/faults/0";
    for (place, value, expected) in [
        (
            "/experiment/name",
            json!(7),
            "`experiment.name`: a text is wanted here, not a number",
        ),
        ("/experiment/name", json!(null), "not null"),
        (
            "/experiment/steps/0/duration",
            json!("5"),
            "`experiment.steps[0].duration`: `5` has no unit",
        ),
        (
            &format!("{fault}/target"),
            json!(-1),
            "`experiment.steps[0].faults[0].target`: -1 is not possible here",
        ),
        (
            &format!("{fault}/target"),
            json!(0.5),
            "a whole number is wanted",
        ),
        (
            &format!("{fault}/target"),
            json!(1e300),
            "a whole number is wanted",
        ),
        (
            &format!("{fault}/chance/max_hits"),
            json!(-1.0),
            "a smaller number",
        ),
        (
            &format!("{fault}/chance/max_hits"),
            json!(null),
            "no such field at all",
        ),
        (
            &format!("{fault}/direction"),
            json!("sideways"),
            "`sideways` means nothing here; write one of egress, ingress, both",
        ),
        (
            &format!("{fault}/direction"),
            json!({"egress": null}),
            "has no content",
        ),
        (
            &format!("{fault}/kind"),
            json!({"fault": "net.delay"}),
            "`experiment.steps[0].faults[0].kind`: the field `with` is missing",
        ),
        (
            &format!("{fault}/kind/with"),
            json!({"latency": "5ms", "lag": 1}),
            "there is no field `lag` here; there are latency, jitter",
        ),
        (
            &format!("{fault}/kind"),
            json!({"fault": "net.reorder", "with": {"gap": 1, "latency": "5ms", "lag": 1}}),
            "there is no field `lag` here",
        ),
        (
            &format!("{fault}/kind"),
            json!({"fault": "net.blackhole", "without": 1}),
            "`without` is not possible here",
        ),
        (
            "/experiment/targets/0/selector",
            json!({}),
            "an object with one field",
        ),
        (
            "/experiment/targets/0/selector",
            json!("pids"),
            "needs a content",
        ),
    ] {
        let said = with(place, value).unwrap_err();
        assert!(said.contains(expected), "{place}: {said}");
        for word in [
            "struct", "enum", "variant", "expected", "u32", "u64", "serde",
        ] {
            assert!(!said.contains(word), "{word} in {said}");
        }
    }
}

#[test]
fn what_is_no_json_or_no_object_of_this_kind_is_refused() {
    for (body, expected) in [
        ("{\"reason\": null}", "not null"),
        (
            "{\"reason\": \"a\", \"reason\": \"b\"}",
            "`reason` is there twice",
        ),
        ("{\"reason\": \"a\"", "no JSON from line 1, column 14 on"),
        ("{\"reason\": \"a\"} {}", "no JSON from line 1, column 17"),
        ("\u{1}", "no JSON from line 1, column 1"),
    ] {
        let said = read::<HaltRequest>(body.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(said.contains(expected), "{body}: {said}");
    }
    let deep = "[".repeat(100_000);
    let said = read::<HaltRequest>(deep.as_bytes()).unwrap_err();
    assert!(matches!(said, JsonError::Syntax { .. }));
    // What a client sent is not repeated at length, and not with its control characters.
    let long = format!("{{\"{}\\u001b[2J\": 1}}", "x".repeat(9_000));
    let said = read::<HaltRequest>(long.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(said.len() < 300 && !said.contains('\u{1b}'), "{said}");
}
