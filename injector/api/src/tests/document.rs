//! `configs/openapi.json` says what the routes do.

use super::*;
use injector_spec::experiment::FaultKind;

/// Every route of the document answers, every method that it does not name is refused, and no route is
/// missing from it.
#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let methods = ["get", "put", "post", "patch", "delete"];
    let described: BTreeMap<&str, BTreeSet<&str>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, item)| {
            (
                path.as_str(),
                methods
                    .into_iter()
                    .filter(|method| !item[*method].is_null())
                    .collect(),
            )
        })
        .collect();
    let mut routed: Vec<&str> = routes::routes::<Fake>()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    routed.push(routes::stream::<Fake>().0);
    routed.sort_unstable();
    assert_eq!(described.keys().copied().collect::<Vec<_>>(), routed);
    let server = Server::start();
    for (path, known) in &described {
        // A stream would not end; a query that it refuses is an answer, too.
        let path = path
            .replace("{id}", "r000000000000")
            .replace("events", "events?run=x");
        for method in methods {
            let head = format!("{} {path} HTTP/1.1", method.to_uppercase());
            let (status, body) = server.raw(&head, "").await;
            assert_eq!(
                status != 405,
                known.contains(method),
                "{head}: {status} {body}"
            );
        }
    }
    for reference in references(&document) {
        let pointer = reference.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let here = fields
                .get("$ref")
                .and_then(Value::as_str)
                .map(str::to_owned);
            here.into_iter()
                .chain(fields.values().flat_map(references))
                .collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// What the document shows as a request is one: `cargo xtask openapi` starts it.
#[tokio::test]
async fn the_documents_example_is_a_request() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let example = "/paths/~1v1~1runs/post/requestBody/content/application~1json/example";
    let body = document.pointer(example).unwrap().to_string();
    let server = Server::start();
    let head = "POST /v1/runs HTTP/1.1\r\ncontent-type: application/json";
    let (status, said) = server.raw(head, &body).await;
    assert_eq!(status, 201, "{said}");
}

/// What the document says of an experiment is what one looks like.
#[test]
fn every_field_of_an_experiment_is_described() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let experiment = serde_json::to_value(experiment(7)).unwrap();
    let described = |schema: &str| document["components"]["schemas"][schema]["properties"].clone();
    let fault = &experiment["steps"][0]["faults"][0];
    for (schema, value) in [
        ("Experiment", &experiment),
        ("Target", &experiment["targets"][0]),
        ("Step", &experiment["steps"][0]),
        ("Fault", fault),
        ("Traffic", &fault["traffic"]),
        ("Chance", &fault["chance"]),
    ] {
        for field in value.as_object().unwrap().keys() {
            assert!(
                described(schema).get(field).is_some(),
                "{schema} does not describe {field}"
            );
        }
    }
}

/// Every fault has its shape in the document.
#[test]
fn every_fault_is_described() {
    // What a name that no fault has is told lists those that there are.
    let unknown = r#"{"fault":""}"#;
    let told = serde_json::from_str::<FaultKind>(unknown).unwrap_err();
    let told = told.to_string();
    let (_, listed) = told.split_once("expected one of ").unwrap();
    let faults: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert!(faults.len() > 25, "{told}");
    for fault in faults {
        let shape = format!("\"const\": \"{fault}\"");
        assert!(
            OPENAPI.contains(&shape),
            "{fault} has no shape in configs/openapi.json"
        );
    }
}
