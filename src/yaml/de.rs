//! Deserializes nodes with serde.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Error;
use super::aliases;
use super::scalar::{self, Value};
use super::tree::{Content, MAX_READ_DEPTH, Node};

impl<'t> Node<'_, 't> {
    fn visit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document.content(self.index) {
            Content::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Content::Text(Cow::Owned(text)) => visitor.visit_str(text),
            Content::Merge => visitor.visit_borrowed_str("<<"),
            Content::Typed(text, tag) => match scalar::resolve(*tag, text).map_err(Error::custom)? {
                Value::Null => visitor.visit_unit::<Error>(),
                Value::Bool(flag) => visitor.visit_bool(flag),
                Value::Integer(number) => match u64::try_from(number) {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_i64(number),
                },
                Value::Unsigned(number) => visitor.visit_u64(number),
                Value::Float(number) => match whole(number) {
                    Some(number) => visitor.visit_i64(number),
                    None => visitor.visit_f64(number),
                },
                Value::Text => visitor.visit_str(text),
            }
            .map_err(|error: Error| error.about(text)),
            Content::Sequence { .. } | Content::Mapping { .. } if self.depth > MAX_READ_DEPTH => {
                Err(Error::custom(format_args!("nested more than {MAX_READ_DEPTH} levels deep")))
            }
            Content::Sequence { end } => {
                visitor.visit_seq(Items { node: self, next: self.index + 1, end: *end })
            }
            Content::Mapping { end, plain: true } => {
                let next = self.index + 1;
                visitor.visit_map(Fields { node: self, next, end: *end, value: next })
            }
            Content::Mapping { .. } => {
                let rest = aliases::merged(self).into_iter();
                visitor.visit_map(Entries { node: self, rest, value: self.index })
            }
            Content::Alias(_) => self.resolved().visit(visitor),
        }
    }
}

/// Returns the integer that JSON has for a float without a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "only what fits is taken")]
fn whole(number: f64) -> Option<i64> {
    let bound = i64::MAX as f64;
    (number.fract() == 0.0 && number >= -bound && number < bound).then_some(number as i64)
}

impl<'de> Deserializer<'de> for Node<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (line, column) = self.document.place(self.index);
        self.visit(visitor).map_err(|error| error.at(line, column))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (line, column) = self.document.place(self.index);
        match self.text() {
            Some(text) => visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(text)),
            None => Err(Error::custom("expected a word")),
        }
        .map_err(|error: Error| error.at(line, column))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier
    }
}

struct Items<'d, 't> {
    node: Node<'d, 't>,
    next: usize,
    end: usize,
}

impl<'t> SeqAccess<'t> for Items<'_, 't> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.next >= self.end {
            return Ok(None);
        }
        let item = self.node.child(self.next);
        self.next = self.node.document.next(self.next);
        seed.deserialize(item).map(Some)
    }
}

/// The fields of a mapping in the order of the text.
struct Fields<'d, 't> {
    node: Node<'d, 't>,
    next: usize,
    end: usize,
    value: usize,
}

impl<'t> MapAccess<'t> for Fields<'_, 't> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.next >= self.end {
            return Ok(None);
        }
        let key = self.next;
        self.value = self.node.document.next(key);
        self.next = self.node.document.next(self.value);
        read_key(self.node, key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.node.child(self.value))
    }
}

/// The entries of a mapping with merged or repeated keys.
struct Entries<'d, 't> {
    node: Node<'d, 't>,
    rest: std::vec::IntoIter<(usize, usize)>,
    value: usize,
}

impl<'t> MapAccess<'t> for Entries<'_, 't> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = value;
        read_key(self.node, key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.node.child(self.value))
    }
}

fn read_key<'t, S: DeserializeSeed<'t>>(map: Node<'_, 't>, key: usize, seed: S) -> Result<S::Value, Error> {
    let document = map.document;
    let (line, column) = document.place(key);
    if let Content::Text(Cow::Borrowed(text)) = document.content(key) {
        seed.deserialize(BorrowedStrDeserializer::new(text))
    } else {
        match document.key(key) {
            Some(text) => seed.deserialize(IntoDeserializer::<Error>::into_deserializer(&*text)),
            None => Err(Error::custom("not a key")),
        }
    }
    .map_err(|error: Error| error.at(line, column))
}
