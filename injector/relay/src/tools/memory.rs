//! What tools have answered, to be answered again.
//!
//! Answers are a server's, who may have made them so that they cost much: they are kept as text, each target has its own
//! bounds, and of a target that is at one of them the oldest answer goes.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use bytes::Bytes;
use http::{HeaderValue, Method};

use super::call::Called;

/// Tools of a target whose answers are kept at most.
const MOST: usize = 128;

/// Bytes of answers that are kept for a target at most.
const MOST_BYTES: usize = 8 << 20;

/// The longest answer that is kept, in bytes.
const LONGEST: usize = 256 << 10;

/// The longest type of an answer that is kept, in bytes.
const LONGEST_TYPE: usize = 256;

/// Whose answer it is: between whom, by which method of HTTP, the path, and what is called there.
type Key = (u64, Method, String, Option<(String, Option<String>)>);

/// The last good answers of each target's tools, the newest at the end.
#[derive(Default)]
pub(crate) struct Memory(HashMap<u32, VecDeque<(Key, Remembered)>>);

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remembered {
    /// A result of JSON-RPC, in JSON of one line.
    Result(Rc<str>),
    /// A document, with the type that it says it has.
    Document(Option<HeaderValue>, Bytes),
}

impl Remembered {
    /// A document of its own memory: what was read lies in buffers that are larger.
    pub(crate) fn document(kind: Option<&HeaderValue>, body: &[u8]) -> Self {
        let kind = kind.filter(|kind| kind.len() <= LONGEST_TYPE);
        let kind = kind.and_then(|kind| HeaderValue::from_bytes(kind.as_bytes()).ok());
        let is_kept = body.len() <= LONGEST;
        // One that is too long is not copied to be dropped.
        Self::Document(
            kind,
            if is_kept {
                Bytes::copy_from_slice(body)
            } else {
                Bytes::new()
            },
        )
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Result(text) => text.len(),
            Self::Document(_, body) => body.len(),
        }
    }
}

impl Memory {
    /// Keeps an answer in place of the last one.
    pub(crate) fn learn(&mut self, scope: u32, called: &Called, answer: Remembered) {
        if answer.bytes() > LONGEST || answer.bytes() == 0 {
            return;
        }
        let key = key(called);
        let all = self.0.entry(scope).or_default();
        all.retain(|(other, _)| *other != key);
        all.push_back((key, answer));
        let mut bytes: usize = all.iter().map(|(_, answer)| answer.bytes()).sum();
        while all.len() > MOST || bytes > MOST_BYTES {
            let Some((_, oldest)) = all.pop_front() else {
                return;
            };
            bytes -= oldest.bytes();
        }
    }

    /// The last answer to such a call.
    pub(crate) fn last(&self, scope: u32, called: &Called) -> Option<Remembered> {
        let key = key(called);
        let mut all = self.0.get(&scope)?.iter();
        let found = all.find(|(other, _)| *other == key);
        found.map(|(_, answer)| answer.clone())
    }
}

fn key(called: &Called) -> Key {
    let message = called.message.as_ref();
    let what = message.map(|message| (message.method.clone(), message.name.clone()));
    (
        called.between,
        called.verb.clone(),
        called.path.clone(),
        what,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tools::call::tests::{called, called_from};

    fn answer(text: &str) -> Remembered {
        Remembered::Result(text.into())
    }

    fn body(name: &str, id: u64) -> Value {
        let params = json!({"name": name, "arguments": {"id": id}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    }

    #[test]
    fn the_last_answer_of_each_tool_is_kept() {
        let call = |name: &str, id: u64| called("/mcp", &[], &body(name, id));
        let mut memory = Memory::default();
        assert_eq!(memory.last(0, &call("a", 1)), None);
        for (name, said) in [("a", "1"), ("b", "2"), ("a", "3")] {
            memory.learn(0, &call(name, 1), answer(said));
        }
        let of = |scope, name| memory.last(scope, &call(name, 9));
        assert_eq!(of(0, "a"), Some(answer("3")));
        assert_eq!(of(0, "b"), Some(answer("2")));
        assert_eq!(of(1, "a"), None);
    }

    #[test]
    fn no_other_server_session_or_client_is_given_it() {
        let at =
            |port, headers: &[(&str, &str)]| called_from(0, port, "/mcp", headers, &body("a", 1));
        let session = [("mcp-session-id", "one")];
        let mut memory = Memory::default();
        memory.learn(0, &at(8000, &session), answer("1"));
        assert_eq!(memory.last(0, &at(8000, &session)), Some(answer("1")));
        for other in [
            at(9000, &session),
            at(8000, &[]),
            at(8000, &[("mcp-session-id", "two")]),
            at(8000, &[("mcp-session-id", "one"), ("authorization", "x")]),
        ] {
            assert_eq!(memory.last(0, &other), None);
        }
    }

    #[test]
    fn the_oldest_goes_and_no_other_targets() {
        let mut memory = Memory::default();
        let at = |number: usize| called(&format!("/{number}"), &[], &json!({}));
        memory.learn(1, &at(0), answer("0"));
        for number in 0..=MOST {
            memory.learn(0, &at(number), answer("1"));
        }
        assert_eq!(memory.last(0, &at(0)), None);
        assert_eq!(memory.last(0, &at(1)), Some(answer("1")));
        assert_eq!(memory.last(0, &at(MOST)), Some(answer("1")));
        assert_eq!(memory.last(1, &at(0)), Some(answer("0")));
    }

    #[test]
    fn long_answers_are_not_kept_and_all_have_a_bound() {
        let mut memory = Memory::default();
        let at = |number: usize| called(&format!("/{number}"), &[], &json!({}));
        memory.learn(0, &at(0), answer("0"));
        memory.learn(0, &at(0), answer(&"x".repeat(LONGEST + 1)));
        memory.learn(0, &at(0), Remembered::document(None, &vec![0; LONGEST + 1]));
        assert_eq!(memory.last(0, &at(0)), Some(answer("0")));
        for number in 1..=MOST_BYTES / LONGEST {
            memory.learn(0, &at(number), answer(&"x".repeat(LONGEST)));
        }
        assert_eq!(memory.last(0, &at(0)), None);
        assert!(memory.last(0, &at(1)).is_some());
    }
}
