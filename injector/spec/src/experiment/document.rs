//! A document of the version `injector/v1`: an experiment as it travels, as JSON to the daemon or as the YAML of a file.
//!
//! It is apart from the types of [`Experiment`](super::Experiment): those may change with the planner, and this may not
//! within a version. An experiment is written into one ([`write`]) and read out of one by the reader of files, so there is
//! one form for files, programs and the daemon, with one grammar and one set of refusals.
//!
//! Invariants: fields keep their order, and one that is there twice is there twice, so that the reader can refuse it.
//!
//! Rejected: `serde_json::Value`, which sorts the fields and forgets the first of two with one name.
//!
//! [`write`]: super::Experiment::document

mod branches;
mod tree;
mod write;
mod yaml;

#[cfg(test)]
use serde_json::Value;

/// Any JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number that is not negative and fits.
    Unsigned(u64),
    /// A negative one that fits.
    Signed(i64),
    /// Any other.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Document {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Self)>) -> Self {
        let fields = fields.into_iter();
        Self::Object(fields.map(|(key, value)| (key.into(), value)).collect())
    }

    /// What serde makes of a value whose maps have texts for keys, in the order of its fields.
    pub(super) fn of(value: &impl serde::Serialize) -> Self {
        let text = serde_json::to_string(value).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Self::Null)
    }
}

#[cfg(test)]
impl From<Value> for Document {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Self::Unsigned(value),
                (None, Some(value)) => Self::Signed(value),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Self::object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key, Self::from(value))),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
