//! What a server can make of the same request when it comes again: whether its effect comes again as well.
//!
//! A key is looked for where clients put it: in the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), and in the
//! body, at its outermost, among the arguments of a call, or in what MCP keeps beside them (`_meta`). Whether the server heeds it is
//! not seen: what is judged is the client.

use std::{
    borrow::Cow,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use http::{HeaderMap, Method};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// What one request is to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Its method changes nothing more the second time (RFC 9110, section 9.2.2; of MCP, what only reads).
    Idempotent,
    /// It bears this key, hashed.
    Keyed(u64),
    /// A model answers it each time, and has no other effect than that; it bears this key, hashed.
    Answer(Option<u64>),
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
    /// Two answers of a model, both of which are paid for.
    Paid,
    /// Two effects.
    Anew,
}

/// The header of the key.
const HEADER: &str = "idempotency-key";

/// In no body that is longer a key is looked for, in bytes.
const LONGEST: usize = 1 << 20;

/// What a key is called.
const KEYS: [&str; 3] = ["idempotency_key", "idempotencyKey", "idempotency-key"];

/// Where a body may have it deeper inside, in the order in which they are asked.
const WITHIN: [&str; 3] = ["params", "arguments", "_meta"];

/// What is found in a value of JSON; all else in it is skipped, whatever it is.
#[derive(Default)]
struct Found {
    /// What it would be as a key, hashed: a text or a number is one.
    as_key: Option<u64>,
    /// The key that it has inside, as an object.
    inside: Option<u64>,
}

impl Found {
    fn key(of: impl Hash) -> Self {
        let mut hash = DefaultHasher::new();
        of.hash(&mut hash);
        Self {
            as_key: Some(hash.finish()),
            inside: None,
        }
    }

    /// The key of a body; `None` where it has none, or is not JSON.
    fn in_body(body: &[u8]) -> Option<u64> {
        if body.len() > LONGEST {
            return None;
        }
        serde_json::from_slice::<Self>(body).ok()?.inside
    }
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Finder)
    }
}

struct Finder;

impl<'de> Visitor<'de> for Finder {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(Found::key(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        Ok(Found::key(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        Ok(Found::key(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(Found::key(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        let (mut own, mut within) = (None, [None; WITHIN.len()]);
        while let Some(name) = all.next_key::<Cow<'de, str>>()? {
            if KEYS.contains(&&*name) {
                own = own.or(all.next_value::<Found>()?.as_key);
            } else if let Some(place) = WITHIN.iter().position(|one| *one == name) {
                within[place] = within[place].or(all.next_value::<Found>()?.inside);
            } else {
                all.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Found {
            as_key: None,
            inside: own.or(within.into_iter().flatten().next()),
        })
    }
}

/// Takes the key out of what bears one: it may be another with each try, which is the same request all the same.
pub(crate) fn take_key_out(of: &mut Value) {
    let Value::Object(all) = of else {
        return;
    };
    for name in KEYS {
        let is_key = |value: &Value| value.is_string() || value.is_number();
        if all.get(name).is_some_and(is_key) {
            all.remove(name);
        }
    }
    for name in WITHIN {
        if let Some(inner) = all.get_mut(name) {
            take_key_out(inner);
        }
    }
}

/// A body with its key taken out; `None` where it has none.
pub(crate) fn without_key(body: &[u8]) -> Option<String> {
    Found::in_body(body)?;
    let mut value = serde_json::from_slice(body).ok()?;
    take_key_out(&mut value);
    Some(value.to_string())
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
        Found::in_body(body).map_or(Self::Anew, Self::Keyed)
    }

    /// The same, of a request to a model.
    pub(crate) const fn of_a_model(self) -> Self {
        match self {
            Self::Keyed(key) => Self::Answer(Some(key)),
            Self::Anew => Self::Answer(None),
            Self::Idempotent | Self::Answer(_) => self,
        }
    }

    /// What this and a later one are together.
    pub(crate) fn with(self, later: Self) -> Twice {
        match (self, later) {
            (Self::Idempotent, _) | (_, Self::Idempotent) => Twice::Harmless,
            (Self::Keyed(first), Self::Keyed(second))
            | (Self::Answer(Some(first)), Self::Answer(Some(second)))
                if first == second =>
            {
                Twice::Known
            }
            (Self::Answer(_), _) | (_, Self::Answer(_)) => Twice::Paid,
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
    fn what_stands_beside_a_key_does_not_hide_it() {
        for body in [
            r#"{"idempotency_key":"k","params":[1]}"#,
            r#"{"params":"x","idempotency_key":"k","_meta":null}"#,
            r#"{"idempotency_key":"k","arguments":[{"idempotency_key":{}}],"arguments":7}"#,
            r#"{"idempotency_key":"k","idempotencyKey":"other"}"#,
            r#"{"idempotency_key":["x"],"idempotencyKey":"k"}"#,
        ] {
            let keyed = of(&Method::POST, None, body);
            let plain = of(&Method::POST, None, r#"{"idempotency_key":"k"}"#);
            assert_eq!(keyed, plain, "{body}");
        }
        let keys = ["-3", "1.5", "18446744073709551615", "\"a\\n\""];
        for key in keys {
            let body = format!(r#"{{"idempotency_key":{key}}}"#);
            let keyed = of(&Method::POST, None, &body);
            assert!(matches!(keyed, Repeat::Keyed(_)), "{body}");
        }
        // An array is no object, and a key of another kind is none.
        for body in [
            r#"["k",null]"#,
            r#"{"params":["k"]}"#,
            r#"{"idempotency_key":{"a":1}}"#,
            r#"{"idempotency_key":null}"#,
        ] {
            assert_eq!(of(&Method::POST, None, body), Repeat::Anew, "{body}");
        }
    }

    #[test]
    fn the_key_is_no_part_of_what_is_asked() {
        let body = |key: &str| format!(r#"{{"to":"a","params":{{"idempotencyKey":"{key}"}}}}"#);
        assert_eq!(
            without_key(body("1").as_bytes()).as_deref(),
            Some(r#"{"params":{},"to":"a"}"#)
        );
        assert_eq!(
            without_key(body("1").as_bytes()),
            without_key(body("2").as_bytes())
        );
        assert_eq!(without_key(br#"{"to":"a"}"#), None);
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
