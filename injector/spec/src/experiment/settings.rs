//! Names and values in the order in which they are said; a map in JSON.

use std::fmt;

use clap::ValueEnum;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{Ramp, ramp::Shape};
use crate::{printable, quantity::duration};

/// Values by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Vec<(String, Value)>);

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// Nothing but that it is there.
    On(bool),
    /// One value.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// One that moves, as a file has it.
    Ramp(Moving),
}

/// The two ends of a ramp, how long it takes, and its shape where it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moving {
    from: String,
    to: String,
    over: String,
    #[serde(default, skip_serializing_if = "Shape::is_usual")]
    shape: Shape,
}

impl Moving {
    fn of(ramp: &Ramp) -> Self {
        Self {
            from: ramp.from.to_string(),
            to: ramp.to.to_string(),
            over: duration::format(ramp.over),
            shape: ramp.shape,
        }
    }
}

/// `10ms -> 2s over 2m`, and `exponentially` where it is.
impl fmt::Display for Moving {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            over,
            shape,
        } = self;
        write!(out, "{from} -> {to} over {over}")?;
        match shape {
            Shape::Linear => Ok(()),
            Shape::Exponential => out.write_str(" exponentially"),
        }
    }
}

/// The name of a choice, as flags and files have it.
pub(crate) fn name<T: ValueEnum + Copy>(value: T) -> String {
    let named = value.to_possible_value();
    named.map_or_else(String::new, |named| named.get_name().to_owned())
}

impl Settings {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over what they have just made"
    )]
    pub(crate) fn one(&mut self, name: &str, value: impl ToString) {
        self.0
            .push((name.to_owned(), Value::One(value.to_string())));
    }

    pub(crate) fn some(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.one(name, value);
        }
    }

    pub(crate) fn list<T: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        if !values.is_empty() {
            self.0.push((name.to_owned(), Value::Many(values)));
        }
    }

    pub(crate) fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.0.push((name.to_owned(), Value::On(true)));
        }
    }

    /// Says that a parameter moves, in the place where its value stands.
    pub(super) fn ramp(&mut self, ramp: &Ramp) {
        let name = ramp.parameter.name();
        let value = Value::Ramp(Moving::of(ramp));
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, stands)) => *stands = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Says a value that has become known, in place of what was said before.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.retain(|(known, _)| known != name);
        self.one(name, value);
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a name, as text.
    pub fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_string())
    }

    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (name, value) in &self.0 {
            match value {
                Value::On(true) => words.push(format!("--{name}")),
                Value::On(false) => {}
                Value::One(value) => words.push(format!("--{name}={value}")),
                Value::Many(values) => {
                    words.extend(values.iter().map(|value| format!("--{name}={value}")));
                }
                // No flag moves: a command line refuses this, where one of the values would say something else.
                Value::Ramp(moving) => words.push(format!("--{name}={moving}")),
            }
        }
        words
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(is_set) => write!(out, "{is_set}"),
            Self::One(value) => out.write_str(&printable::line(value)),
            Self::Many(values) => out.write_str(&printable::line(&values.join(","))),
            Self::Ramp(moving) => out.write_str(&printable::line(&moving.to_string())),
        }
    }
}

/// `latency 5m, jitter 5us`, `dest-port 443,8000-8010`.
impl fmt::Display for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match value {
                Value::On(true) => write!(out, "{comma}{name}")?,
                value => write!(out, "{comma}{name} {value}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InOrder)
    }
}

/// Keeps the order in which the map is written.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Settings;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::default();
        while let Some(entry) = entries.next_entry()? {
            settings.0.push(entry);
        }
        Ok(settings)
    }
}
