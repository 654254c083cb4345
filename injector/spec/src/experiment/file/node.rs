//! YAML as it stands in the file: texts, lists and maps, each with its place.
//!
//! Scalars stay texts: `8080`, `0.5%` and `12e45` (the beginning of a container's id) all go to the same
//! parsers as on the command line. Where YAML sees a number, the text is cut out of the source again.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{complaint::Complaint, yaml};

/// A place in the file, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// The key of a map.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) at: Place,
    pub(super) text: String,
}

/// Anything else.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Nothing, or `null`.
    Null,
    /// A text, a number, `true` or `false`, as written.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Word, Node)>),
}

impl Node {
    pub(super) fn list(&self) -> Option<&[Self]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a scalar that the file calls `name`.
    pub(super) fn text(&self, name: &str) -> Result<&str, Complaint> {
        match &self.content {
            Content::Scalar(text) => Ok(text),
            Content::Null => Err(self.complain(format!(
                "`{name}` has no value; give it one, or leave it out"
            ))),
            _ => Err(self.complain(format!(
                "`{name}` is one value, not a list or a map; write one"
            ))),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries
                .iter()
                .find(|(word, _)| word.text == key)
                .map(|(_, node)| node),
            Content::Null | Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.content {
            Content::Map(entries) => entries
                .iter_mut()
                .find(|(word, _)| word.text == key)
                .map(|(_, node)| node),
            Content::Null | Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// Where the value of a key stands.
    pub(super) fn value_place(&self, key: &str) -> Option<Place> {
        self.get(key).map(|node| node.at)
    }

    fn complain(&self, sentence: String) -> Complaint {
        Complaint::at(self.at, sentence)
    }
}

/// Parses one document.
pub(super) fn parse(source: &str) -> Result<Node, Complaint> {
    // What does not fit is an attack on the daemon.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: yaml::MOST_NODES, max_depth: yaml::DEEPEST },
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options) {
        Ok(root) => Ok(node(root, source)),
        Err(error) => {
            let at = error.location().map_or(Place { line: 1, column: 1 }, place);
            Err(Complaint::at(at, yaml::sentence(&error)))
        }
    }
}

fn place(location: Location) -> Place {
    Place {
        line: location.line(),
        column: location.column(),
    }
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let Spanned {
        value,
        referenced,
        defined,
    } = raw;
    let content = match value {
        Raw::Null => Content::Null,
        Raw::Text(text) => Content::Scalar(text),
        Raw::Plain(text) => Content::Scalar(written(source, defined).unwrap_or(text)),
        Raw::List(items) => {
            Content::List(items.into_iter().map(|item| node(item, source)).collect())
        }
        Raw::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (
                        Word {
                            at: place(key.referenced),
                            text: key.value,
                        },
                        node(value, source),
                    )
                })
                .collect(),
        ),
    };
    Node {
        at: place(referenced),
        content,
    }
}

/// The scalar as it stands in the source.
fn written(source: &str, at: Location) -> Option<String> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What serde sees.
#[derive(Debug)]
enum Raw {
    Null,
    /// A string.
    Text(String),
    /// Something that YAML takes for a number or a truth value; the text is serde's idea of it.
    Plain(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value, a list or a map")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
