//! What a server can make of the same request when it comes again: whether its effect comes again as well.
//!
//! A key is looked for where clients put it: in the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), and in the
//! body, at its outermost, among the arguments of a call, or in what MCP keeps beside them (`_meta`). Whether the server heeds it is
//! not seen: what is judged is the client.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use http::{HeaderMap, Method};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
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

/// A body as it is told from others, read once: two that differ by their key alone, or by how they are written, are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its key, hashed. It may be another with each try, or stand in some of them alone, which are the same request all the same.
    pub(crate) key: Option<u64>,
    /// All the rest, hashed.
    pub(crate) rest: u64,
}

impl Content {
    /// Of a body; one that is no JSON, or is too long to be read, is what its bytes are.
    pub(crate) fn of(body: &[u8]) -> Self {
        let read = || {
            let mut from = serde_json::Deserializer::from_slice(body);
            let found = Place::MayBear.deserialize(&mut from).ok()?;
            from.end().ok()?;
            Some(found.content())
        };
        let is_read = body.len() <= LONGEST;
        is_read.then(read).flatten().unwrap_or_else(|| Self {
            key: None,
            rest: hash(body),
        })
    }

    /// Of what was read already.
    pub(crate) fn of_value(value: &Value) -> Self {
        let found = Place::MayBear.deserialize(value);
        found.map_or_else(
            // A value can be read.
            |_| Self::of(value.to_string().as_bytes()),
            Found::content,
        )
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    hash.finish()
}

/// What is found in a value of JSON.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// What it would be as a key, hashed: a text or a number is one.
    as_key: Option<u64>,
    /// The key that it has inside, as an object.
    inside: Option<u64>,
    /// All of it but that, hashed; nothing where it is an object without anything else.
    rest: Option<u64>,
}

impl Found {
    fn content(self) -> Content {
        Content {
            key: self.inside,
            rest: hash(self.rest),
        }
    }

    fn of(kind: &str, rest: impl Hash) -> Self {
        Self {
            as_key: None,
            inside: None,
            rest: Some(hash((kind, rest))),
        }
    }

    fn of_text(kind: &str, text: &str) -> Self {
        Self {
            as_key: Some(hash(text)),
            ..Self::of(kind, text)
        }
    }
}

/// Where a value stands, as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A key may stand in it.
    MayBear,
    /// None is looked for.
    Below,
}

impl<'de> DeserializeSeed<'de> for Place {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(Found::of("bool", value))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::of("null", ()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(Found::of_text("number", &number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        Ok(Found::of_text("number", &number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        Ok(Found::of_text("number", &number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(Found::of_text("text", text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        let mut rest = DefaultHasher::new();
        while let Some(one) = all.next_element_seed(Self::Below)? {
            one.rest.hash(&mut rest);
        }
        Ok(Found::of("list", rest.finish()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        let (mut own, mut within) = (None, [None; WITHIN.len()]);
        // Whatever their order.
        let (mut members, mut rest) = (0_u64, 0_u64);
        while let Some(Name { hashed, is }) = all.next_key::<Name>()? {
            let is = if self == Self::MayBear { is } else { Is::Other };
            let value = match is {
                Is::Key => {
                    let value = all.next_value_seed(Self::Below)?;
                    if value.as_key.is_some() {
                        own = own.or(value.as_key);
                        continue;
                    }
                    value
                }
                Is::Within(place) => {
                    let value = all.next_value_seed(Self::MayBear)?;
                    within[place] = within[place].or(value.inside);
                    if value.rest.is_none() {
                        continue;
                    }
                    value
                }
                Is::Other => all.next_value_seed(Self::Below)?,
            };
            members += 1;
            rest = rest.wrapping_add(hash((hashed, value.rest)));
        }
        Ok(Found {
            as_key: None,
            inside: own.or(within.into_iter().flatten().next()),
            rest: (members > 0).then(|| hash(("object", members, rest))),
        })
    }
}

/// The name of a member.
struct Name {
    hashed: u64,
    is: Is,
}

/// What stands behind a name where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// A key, where it is of that kind.
    Key,
    /// What may have one inside, by its place in [`WITHIN`].
    Within(usize),
    /// Something else.
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Namer)
    }
}

struct Namer;

impl Visitor<'_> for Namer {
    type Value = Name;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let is = if KEYS.contains(&name) {
            Is::Key
        } else {
            let place = WITHIN.iter().position(|one| *one == name);
            place.map_or(Is::Other, Is::Within)
        };
        let hashed = hash(name);
        Ok(Name { hashed, is })
    }
}

impl Repeat {
    /// Of a request by this method, whose body has this key.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, in_body: Option<u64>) -> Self {
        if method.is_idempotent() {
            return Self::Idempotent;
        }
        let mut hash = DefaultHasher::new();
        if let Some(key) = headers.get(HEADER) {
            key.as_bytes().hash(&mut hash);
            return Self::Keyed(hash.finish());
        }
        in_body.map_or(Self::Anew, Self::Keyed)
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
        Repeat::of(method, &headers, Content::of(body.as_bytes()).key)
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
        let rest = |body: &str| Content::of(body.as_bytes()).rest;
        let bare = rest(r#"{"to": "a", "n": [1, {"x": null}]}"#);
        for same in [
            r#"{"n":[1,{"x":null}],"to":"a"}"#,
            r#"{"idempotency_key":"1","to":"a","n":[1,{"x":null}]}"#,
            r#"{"idempotency_key":2,"to":"a","n":[1,{"x":null}],"_meta":{"idempotencyKey":"k"}}"#,
        ] {
            assert_eq!(rest(same), bare, "{same}");
            let value = serde_json::from_str(same).unwrap();
            let content = Content::of(same.as_bytes());
            assert_eq!(Content::of_value(&value), content, "{same}");
        }
        for other in [
            r#"{"to":"a","n":[1,{"x":null}],"idempotency_key":{}}"#,
            r#"{"to":"a","n":[1,{"x":null,"idempotency_key":"k"}]}"#,
            r#"{"to":"a","n":[1,{"x":null}],"params":{"b":1}}"#,
            r#"{"to":"a","n":[{"x":null},1]}"#,
            r#"{"to":"a","n":["1",{"x":null}]}"#,
            r#"{"to":"b","n":[1,{"x":null}]}"#,
            r#"{"n":"a","to":[1,{"x":null}]}"#,
            r#"{"to":"a"}"#,
            r#"{"to": "a""#,
            "",
        ] {
            assert_ne!(rest(other), bare, "{other}");
        }
        assert_eq!(Content::of(b"to=a").rest, Content::of(b"to=a").rest);
        assert_ne!(Content::of(b"to=a").rest, Content::of(b"to=b").rest);
        // As far down as JSON is read.
        let deep = "[".repeat(300) + &"]".repeat(300);
        assert_eq!(Content::of(deep.as_bytes()).key, None);
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
