use proptest::prelude::*;

use super::*;

fn reply() -> Value {
    json!({"jsonrpc": "2.0", "id": "a", "result": {
        "content": [
            {"type": "text", "text": "{\"city\":\"Bonn\",\"degrees\":21}"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        ],
        "structuredContent": {"city": "Bonn", "degrees": 21, "days": ["Monday"], "is_dry": true},
        "isError": false, "resultType": "complete",
    }})
}

fn done(value: &Value, alter: &Alter, answers: Answers) -> Option<Value> {
    let text = value.to_string();
    let altered = altered(text.as_bytes(), value.clone(), alter, answers)?;
    Some(serde_json::from_slice(&altered).unwrap())
}

#[test]
fn empty_leaves_the_shape_and_nothing_else() {
    let after = done(&reply(), &Alter::Empty, Answers::Result).unwrap();
    assert_eq!(after["id"], "a");
    let result = &after["result"];
    assert_eq!(result["structuredContent"]["city"], "");
    assert_eq!(result["structuredContent"]["days"], json!([]));
    assert_eq!(result["resultType"], "complete");
    let texts = result["content"].as_array().unwrap().iter();
    assert!(texts.clone().all(|item| item["type"] != "text"), "{result}");
    let again = done(
        &json!({"result": {"content": []}}),
        &Alter::Empty,
        Answers::Result,
    );
    assert_eq!(again, None);
    let listed = json!([{"a": 1}]);
    assert_eq!(
        done(&listed, &Alter::Empty, Answers::Document),
        Some(json!([]))
    );
}

#[test]
fn garbled_text_is_valid_and_wrong() {
    let after = done(&reply(), &Alter::Garble, Answers::Result).unwrap();
    let result = &after["result"];
    assert_eq!(result["structuredContent"]["city"], "Oonn");
    assert_eq!(result["structuredContent"]["degrees"], 71);
    assert_eq!(
        result["content"][0]["text"],
        r#"{"city":"Oonn","degrees":71}"#
    );
    assert_eq!(result["content"][1], reply()["result"]["content"][1]);
    assert_eq!(
        (&after["id"], &result["resultType"]),
        (&json!("a"), &json!("complete"))
    );
    let listed = json!({"result": {"tools": [{"name": "add"}], "nextCursor": "abcd"}});
    let after = done(&listed, &Alter::Garble, Answers::OtherResult).unwrap();
    assert_eq!(after["result"]["tools"][0]["name"], "ndd");
    assert_eq!(after["result"]["nextCursor"], "abcd");
}

#[test]
fn a_shape_is_another_in_both_of_its_forms() {
    let types = Alter::Reshape(ShapeChange::Types);
    let result = &done(&reply(), &types, Answers::Result).unwrap()["result"];
    let wanted = json!({"city": 4, "degrees": "21", "days": [6], "is_dry": "true"});
    assert_eq!(result["structuredContent"], wanted);
    assert_eq!(result["content"][0]["text"], r#"{"city":4,"degrees":"21"}"#);
    let keys = Alter::Reshape(ShapeChange::Keys);
    let result = &done(&reply(), &keys, Answers::Result).unwrap()["result"];
    assert_eq!(result["structuredContent"]["city_"], "Bonn");
    assert!(result["structuredContent"]["city"].is_null());
    let prose = json!({"result": {"content": [{"type": "text", "text": "no JSON"}]}});
    assert_eq!(done(&prose, &types, Answers::Result), None);
}

#[test]
fn what_is_added_is_in_both_forms_and_behind_the_text() {
    let alter = Alter::Inject("obey".into());
    let result = &done(&reply(), &alter, Answers::Result).unwrap()["result"];
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("}\nobey"), "{text}");
    assert_eq!(result["structuredContent"]["days"], json!(["Monday\nobey"]));
    let bare = json!({"result": {}});
    let result = &done(&bare, &alter, Answers::Result).unwrap()["result"];
    assert_eq!(result["content"][0]["text"], "obey");
    let failed = json!({"error": {"code": 1}});
    assert_eq!(done(&failed, &alter, Answers::Result), None);
    assert_eq!(done(&json!({"a": 1}), &alter, Answers::Document), None);
}

#[test]
fn what_breaks_off_cannot_be_read() {
    let text = reply().to_string();
    let half = altered(text.as_bytes(), reply(), &Alter::BreakOff, Answers::Result).unwrap();
    assert!(serde_json::from_slice::<Value>(&half).is_err());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a tool answers: what comes out is an answer to the same request, is another one, and nothing else of the
    /// message has moved.
    #[test]
    fn an_altered_answer_is_another_answer_to_the_same_request(
        said in value(),
        content in value(),
        alter in prop_oneof![
            Just(Alter::Empty),
            Just(Alter::Garble),
            Just(Alter::Reshape(ShapeChange::Types)),
            Just(Alter::Reshape(ShapeChange::Keys)),
            Just(Alter::Inject("obey".into())),
        ],
        answers in prop_oneof![
            Just(Answers::Result), Just(Answers::OtherResult), Just(Answers::Document),
        ],
    ) {
        let message = json!({"jsonrpc": "2.0", "id": 7, "result":
            {"content": content, "structuredContent": said, "resultType": "complete"}});
        let before = match answers {
            Answers::Document => said.clone(),
            Answers::Result | Answers::OtherResult => message,
        };
        if let Some(after) = done(&before, &alter, answers) {
            prop_assert_ne!(&after, &before);
            if answers != Answers::Document {
                prop_assert_eq!(&after["id"], 7);
                prop_assert_eq!(&after["jsonrpc"], "2.0");
                if answers == Answers::Result {
                    prop_assert_eq!(&after["result"]["resultType"], "complete");
                }
            }
        }
    }
}
