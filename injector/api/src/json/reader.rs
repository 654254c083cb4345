//! Fills types from a tree, as strictly as the document of the interface.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{Tree, complaint::Complaint};

/// A place in a tree.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t>(&'t Tree);

impl<'t> Reader<'t> {
    /// The whole tree.
    pub(super) const fn of(tree: &'t Tree) -> Self {
        Self(tree)
    }

    fn wanted(self, wanted: &'static str) -> Complaint {
        Complaint::wanted(wanted, self.0)
    }

    fn whole<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Signed(value) => visitor.visit_i64(*value),
            Tree::Float(value) => match integer(*value) {
                Some(value) => u64::try_from(value).map_or_else(
                    |_| Err(self.wanted("a smaller number")),
                    |value| visitor.visit_u64(value),
                ),
                None => Err(self.wanted("a whole number")),
            },
            _ => Err(self.wanted("a number")),
        }
    }

    fn text(self) -> Result<&'t str, Complaint> {
        match self.0 {
            Tree::Text(text) => Ok(text),
            _ => Err(self.wanted("a text")),
        }
    }

    fn fields(self) -> Result<&'t [(String, Tree)], Complaint> {
        let Tree::Object(fields) = self.0 else {
            return Err(self.wanted("an object"));
        };
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Complaint::twice(name));
            }
        }
        Ok(fields)
    }

    fn list<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        let Tree::List(items) = self.0 else {
            return Err(self.wanted("a list"));
        };
        let mut rest = Items { items, next: 0 };
        let value = visitor.visit_seq(&mut rest)?;
        if rest.next < items.len() {
            return Err(Complaint::invalid_length(items.len(), &"a shorter list"));
        }
        Ok(value)
    }
}

/// The whole number that a float is, where it is one and exact.
fn integer(value: f64) -> Option<i128> {
    // 2^64, above which no field goes.
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (value.fract() == 0.0 && value.abs() < LIMIT).then_some(value as i128)
}

/// Forwards what is a whole number.
macro_rules! whole {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
            self.whole(visitor)
        })*
    };
}

/// Forwards what is a text.
macro_rules! text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
            visitor.visit_borrowed_str(self.text()?)
        })*
    };
}

impl<'t> Deserializer<'t> for Reader<'t> {
    type Error = Complaint;

    whole! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    whole! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }
    text! { deserialize_char deserialize_str deserialize_string deserialize_identifier }
    text! { deserialize_bytes deserialize_byte_buf }

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Signed(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(text) => visitor.visit_borrowed_str(text),
            Tree::List(_) => self.list(visitor),
            Tree::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.wanted("true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Signed(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            _ => Err(self.wanted("a number")),
        }
    }

    /// What is not said is left out: null is no value of this interface's requests.
    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Null => Err(self.wanted("a value, or no such field at all,")),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Null => visitor.visit_unit(),
            _ => Err(self.wanted("null")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'t>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_map(Fields::new(self.fields()?.iter().collect()))
    }

    /// Known fields come in the order of the type, so that a field that says what another one means
    /// comes before it.
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        let mut fields: Vec<_> = self.fields()?.iter().collect();
        let place = |name: &str| known.iter().position(|known| *known == name);
        fields.sort_by_key(|(name, _)| place(name).unwrap_or(known.len()));
        visitor.visit_map(Fields::new(fields))
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        match self.0 {
            Tree::Text(word) => visitor.visit_enum(Choice {
                word,
                content: None,
            }),
            Tree::Object(_) => match self.fields()? {
                [(word, content)] => visitor.visit_enum(Choice {
                    word,
                    content: Some(content),
                }),
                _ => Err(self.wanted("an object with one field")),
            },
            _ => Err(self.wanted("a text, or an object with one field,")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_unit()
    }
}

/// A list, from the first item on.
struct Items<'t> {
    items: &'t [Tree],
    next: usize,
}

impl<'t> SeqAccess<'t> for &mut Items<'t> {
    type Error = Complaint;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Complaint> {
        let index = self.next;
        let Some(item) = self.items.get(index) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Reader(item))
            .map(Some)
            .map_err(|complaint| complaint.in_item(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// An object, from the first field on.
struct Fields<'t> {
    fields: std::vec::IntoIter<&'t (String, Tree)>,
    value: Option<&'t (String, Tree)>,
}

impl<'t> Fields<'t> {
    fn new(fields: Vec<&'t (String, Tree)>) -> Self {
        Self {
            fields: fields.into_iter(),
            value: None,
        }
    }
}

impl<'t> MapAccess<'t> for Fields<'t> {
    type Error = Complaint;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Complaint> {
        self.value = self.fields.next();
        let Some((name, _)) = self.value else {
            return Ok(None);
        };
        seed.deserialize(name.as_str().into_deserializer())
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Complaint> {
        let Some((name, value)) = self.value.take() else {
            return Err(Complaint::custom("a field without a value"));
        };
        seed.deserialize(Reader(value))
            .map_err(|complaint| complaint.in_field(name))
    }
}

/// One of several: a word, or a field with its content.
struct Choice<'t> {
    word: &'t str,
    content: Option<&'t Tree>,
}

impl<'t> EnumAccess<'t> for Choice<'t> {
    type Error = Complaint;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'t>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Complaint> {
        let chosen = seed.deserialize(self.word.into_deserializer())?;
        Ok((chosen, self))
    }
}

impl<'t> Choice<'t> {
    /// What the word is followed by.
    fn content(&self) -> Result<Reader<'t>, Complaint> {
        self.content.map(Reader).ok_or_else(|| {
            Complaint::custom(format!(
                "`{0}` needs a content: {{\"{0}\": ...}}",
                self.word
            ))
        })
    }
}

impl<'t> VariantAccess<'t> for Choice<'t> {
    type Error = Complaint;

    fn unit_variant(self) -> Result<(), Complaint> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Complaint::custom(format!(
                "`{0}` has no content; write \"{0}\" alone",
                self.word
            ))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Result<S::Value, Complaint> {
        seed.deserialize(self.content()?)
            .map_err(|complaint| complaint.in_field(self.word))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, Complaint> {
        self.content()?
            .list(visitor)
            .map_err(|complaint| complaint.in_field(self.word))
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        self.content()?
            .deserialize_struct("", fields, visitor)
            .map_err(|complaint| complaint.in_field(self.word))
    }
}
