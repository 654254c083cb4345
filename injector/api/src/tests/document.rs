//! `configs/openapi.json` says what the routes do.

use super::*;

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

/// What the document says of an experiment is the schema of files, and nothing else.
#[test]
fn an_experiment_is_described_as_its_file_is() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let described = &document["components"]["schemas"];
    let parts = parts_of_schema();
    for (name, part) in &parts {
        if described[name] != *part {
            let wanted = serde_json::to_string_pretty(&parts).unwrap();
            panic!(
                "configs/openapi.json has another {name} than `injector schema`; these are right:\n{wanted}"
            );
        }
    }
    let of_experiments = described.as_object().unwrap().keys();
    let of_experiments = of_experiments.filter(|name| name.starts_with("Experiment"));
    assert_eq!(of_experiments.count(), parts.len(), "one is left over");
}

/// The schema of files, its definitions as parts of a document of an interface.
fn parts_of_schema() -> BTreeMap<String, Value> {
    let mut schema = file::schema();
    let fields = schema.as_object_mut().unwrap();
    fields.remove("$schema");
    let definitions = fields.remove("$defs").unwrap();
    let definitions = definitions.as_object().unwrap().clone();
    let own = [("Experiment".to_owned(), schema)].into_iter();
    let parts = own.chain(
        definitions
            .into_iter()
            .map(|(name, part)| (name_of_part(&name), part)),
    );
    parts
        .map(|(name, mut part)| {
            lift(&mut part);
            (name, part)
        })
        .collect()
}

/// `ExperimentStep` for `step`.
fn name_of_part(definition: &str) -> String {
    let (first, rest) = definition.split_at(1);
    format!("Experiment{}{rest}", first.to_uppercase())
}

fn lift(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "$ref" => {
                        let definition = text.strip_prefix("#/$defs/").unwrap();
                        *text = format!("#/components/schemas/{}", name_of_part(definition));
                    }
                    value => lift(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(lift),
        _ => {}
    }
}
