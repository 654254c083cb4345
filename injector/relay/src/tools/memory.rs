//! What tools have answered, to be answered again.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::call::Called;

/// Tools whose answers are kept at most; further ones are not.
const MOST: usize = 128;

/// The longest answer that is kept, in bytes.
const LONGEST: usize = 256 << 10;

/// Whose answer it is: the target's number, the path, and what is called there.
type Key = (u32, String, Option<(String, Option<String>)>);

/// The last good answer of each tool.
#[derive(Default)]
pub(crate) struct Memory(HashMap<Key, Remembered>);

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remembered {
    /// A result of JSON-RPC.
    Result(Value),
    /// A document, with the type that it says it has.
    Document(Option<HeaderValue>, Bytes),
}

impl Memory {
    /// Keeps an answer in place of the last one.
    pub(crate) fn learn(&mut self, scope: u32, called: &Called, answer: Remembered) {
        let bytes = match &answer {
            Remembered::Result(value) => value.to_string().len(),
            Remembered::Document(_, body) => body.len(),
        };
        let key = key(scope, called);
        let is_full = self.0.len() >= MOST && !self.0.contains_key(&key);
        if bytes <= LONGEST && !is_full {
            self.0.insert(key, answer);
        }
    }

    /// The last answer to such a call.
    pub(crate) fn last(&self, scope: u32, called: &Called) -> Option<Remembered> {
        self.0.get(&key(scope, called)).cloned()
    }
}

fn key(scope: u32, called: &Called) -> Key {
    let message = called.message.as_ref();
    let what = message.map(|message| (message.method.clone(), message.name.clone()));
    (scope, called.path.clone(), what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::call::tests::called;

    #[test]
    fn the_last_answer_of_each_tool_is_kept() {
        let call = |name: &str, id: u64| {
            let params = json!({"name": name, "arguments": {"id": id}});
            let body =
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            called("/mcp", &[], &body)
        };
        let mut memory = Memory::default();
        assert_eq!(memory.last(0, &call("a", 1)), None);
        for (name, answer) in [("a", json!(1)), ("b", json!(2)), ("a", json!(3))] {
            memory.learn(0, &call(name, 1), Remembered::Result(answer));
        }
        let of = |scope, name| memory.last(scope, &call(name, 9));
        assert_eq!(of(0, "a"), Some(Remembered::Result(json!(3))));
        assert_eq!(of(0, "b"), Some(Remembered::Result(json!(2))));
        assert_eq!(of(1, "a"), None);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut memory = Memory::default();
        let at = |number: usize| called(&format!("/{number}"), &[], &json!({}));
        for number in 0..=MOST {
            memory.learn(0, &at(number), Remembered::Result(json!(number)));
        }
        assert_eq!(memory.last(0, &at(MOST)), None);
        memory.learn(0, &at(0), Remembered::Result(json!("x".repeat(LONGEST))));
        assert_eq!(memory.last(0, &at(0)), Some(Remembered::Result(json!(0))));
    }
}
