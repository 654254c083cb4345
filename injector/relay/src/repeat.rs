//! What a server can make of the same request when it comes again: whether its effect comes again as well.
//!
//! A key is looked for where clients put it: in the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), and in the
//! body, at its outermost, among the arguments of a call, or in what MCP keeps beside them (`_meta`). Whether the server heeds it is
//! not seen: what is judged is the client.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::{HeaderMap, Method};
use serde::Deserialize;

/// What one request is to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Its method changes nothing more the second time (RFC 9110, section 9.2.2; of MCP, what only reads).
    Idempotent,
    /// It bears this key, hashed.
    Keyed(u64),
    /// It is carried out each time.
    Anew,
}

/// What two of the same task are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    /// As one.
    Harmless,
    /// The server can know the second by its key.
    Known,
    /// Two effects.
    Anew,
}

/// The header of the key.
const HEADER: &str = "idempotency-key";

/// In no body that is longer a key is looked for, in bytes.
const LONGEST: usize = 1 << 20;

/// Where a body may have its key; all else is skipped.
#[derive(Deserialize)]
struct Body {
    #[serde(
        rename = "idempotency_key",
        alias = "idempotencyKey",
        alias = "idempotency-key"
    )]
    key: Option<Key>,
    params: Option<Box<Self>>,
    arguments: Option<Box<Self>>,
    #[serde(rename = "_meta")]
    meta: Option<Box<Self>>,
}

impl Body {
    fn key(self) -> Option<Key> {
        let inner = [self.params, self.arguments, self.meta];
        let mut inner = inner.into_iter().flatten();
        self.key.or_else(|| inner.find_map(|inner| inner.key()))
    }
}

/// A key as JSON has it.
#[derive(Deserialize, Hash)]
#[serde(untagged)]
enum Key {
    Text(String),
    Number(u64),
}

impl Repeat {
    /// Of a request by this method.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, body: &[u8]) -> Self {
        if method.is_idempotent() {
            return Self::Idempotent;
        }
        let mut hash = DefaultHasher::new();
        if let Some(key) = headers.get(HEADER) {
            key.as_bytes().hash(&mut hash);
            return Self::Keyed(hash.finish());
        }
        if body.len() > LONGEST {
            return Self::Anew;
        }
        match serde_json::from_slice::<Body>(body)
            .ok()
            .and_then(Body::key)
        {
            Some(key) => {
                key.hash(&mut hash);
                Self::Keyed(hash.finish())
            }
            None => Self::Anew,
        }
    }

    /// What this and a later one are together.
    pub(crate) fn with(self, later: Self) -> Twice {
        match (self, later) {
            (Self::Idempotent, _) | (_, Self::Idempotent) => Twice::Harmless,
            (Self::Keyed(first), Self::Keyed(second)) if first == second => Twice::Known,
            (Self::Keyed(_) | Self::Anew, Self::Keyed(_) | Self::Anew) => Twice::Anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, header: Option<&'static str>, body: &str) -> Repeat {
        let mut headers = HeaderMap::new();
        if let Some(key) = header {
            headers.insert(HEADER, http::HeaderValue::from_static(key));
        }
        Repeat::of(method, &headers, body.as_bytes())
    }

    #[test]
    fn a_key_is_found_where_clients_put_it() {
        let bodies = [
            r#"{"idempotency_key":"k"}"#,
            r#"{"x":[1],"idempotencyKey":7}"#,
            r#"{"params":{"name":"pay","arguments":{"idempotency-key":"k"}}}"#,
            r#"{"params":{"arguments":{"to":"a"},"_meta":{"idempotencyKey":"k"}}}"#,
        ];
        for body in bodies {
            let keyed = of(&Method::POST, None, body);
            assert!(matches!(keyed, Repeat::Keyed(_)), "{body}");
            assert_eq!(keyed.with(of(&Method::POST, None, body)), Twice::Known);
        }
        for body in ["", "{", "[]", r#"{"key":"k"}"#, r#"{"params":3}"#] {
            assert_eq!(of(&Method::POST, None, body), Repeat::Anew, "{body}");
        }
    }

    #[test]
    fn the_same_key_is_one_effect_and_no_key_two() {
        let post = |key| of(&Method::POST, key, "{}");
        let [bare, one, other] = [post(None), post(Some("1")), post(Some("2"))];
        assert_eq!(one.with(one), Twice::Known);
        for (first, second) in [(bare, bare), (one, other), (one, bare), (bare, one)] {
            assert_eq!(first.with(second), Twice::Anew);
        }
        for method in [&Method::GET, &Method::PUT, &Method::DELETE] {
            let idempotent = of(method, None, "{}");
            assert_eq!(idempotent.with(idempotent), Twice::Harmless);
        }
        assert_eq!(of(&Method::PATCH, None, "{}"), Repeat::Anew);
    }
}
