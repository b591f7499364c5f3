//! Reading a usage object that may hold anything: what has another type than it should is not told, and harms nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};

/// No answer has more tokens of a class; with such figures no sum and no cost comes near to overflowing.
const TOKENS_MAX: u64 = 1 << 40;

/// A count of tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figure(pub(super) Option<u64>);

/// A word; an empty one is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Word(pub(super) Option<Box<str>>);

/// An object inside; `T`'s default where there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Part<T>(pub(super) T);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Anything(PhantomData::<IgnoredAny>))? {
            Found::Number(tokens) => Ok(Self(Some(tokens).filter(|tokens| *tokens <= TOKENS_MAX))),
            Found::Word(_) | Found::Object(_) | Found::Other => Ok(Self(None)),
        }
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Anything(PhantomData::<IgnoredAny>))? {
            Found::Word(word) => Ok(Self(Some(word).filter(|word| !word.is_empty()))),
            Found::Number(_) | Found::Object(_) | Found::Other => Ok(Self(None)),
        }
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Anything(PhantomData::<T>))? {
            Found::Object(object) => Ok(Self(object)),
            Found::Number(_) | Found::Word(_) | Found::Other => Ok(Self(T::default())),
        }
    }
}

enum Found<T> {
    Number(u64),
    Word(Box<str>),
    Object(T),
    /// `null`, `true`, a list, a negative or broken number.
    Other,
}

struct Anything<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Anything<T> {
    type Value = Found<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found<T>, E> {
        Ok(Found::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<T>, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<T>, E> {
        Ok(Found::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<T>, E> {
        Ok(Found::Other)
    }

    fn visit_unit<E>(self) -> Result<Found<T>, E> {
        Ok(Found::Other)
    }

    fn visit_str<E>(self, word: &str) -> Result<Found<T>, E> {
        Ok(Found::Word(word.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found<T>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Found<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Found::Object)
    }
}
