//! The forms of single values: each parses a text, and describes the texts that it accepts.

mod refusal;

pub use refusal::{FormRefusal, accept, bad};

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::input::{Input, ValueSource};
use crate::section::setting::Value;
use crate::section::{SettingsReader, Text};
use crate::spelling::ascii_spelling::ascii_spelling;
use crate::spelling::boolean_words;
use crate::spelling::range;
use crate::spelling::unit;
use crate::yaml::YamlNode;

/// The form of a single value.
pub trait Form: Sync {
    /// The value that a text means.
    type Value;

    /// Returns the value of a text.
    ///
    /// # Errors
    /// Returns the reason why the form does not accept the text.
    fn parse(&self, text: &str) -> Result<Self::Value, FormRefusal>;

    /// Returns the value as `config show` writes it.
    fn shown(&self, value: &Self::Value) -> Value;

    /// Returns the description in the documentation's tables, in Markdown.
    fn cell(&self) -> String;

    /// Returns the JSON Schema of the values, without references to variables and files.
    fn schema(&self) -> Json;

    /// Reads the node of `key`, and reports an invalid value.
    fn read_node(&self, reader: &SettingsReader<'_>, node: &YamlNode, name: &str) -> Option<Input<Self::Value>> {
        self.read_text(reader, &reader.text(node, name)?, name)
    }

    /// Reads a text of `key`, and reports an invalid value.
    fn read_text(&self, reader: &SettingsReader<'_>, text: &Text, name: &str) -> Option<Input<Self::Value>> {
        match self.parse(&text.value) {
            Ok(value) => Some(Input { value, source: ValueSource::At(text.at), foreign: text.foreign }),
            Err(refusal) => {
                let refusal =
                    if let FormRefusal::Bad(expected) = refusal { self.respelled(text, expected) } else { refusal };
                refusal.report(reader, text, name);
                None
            }
        }
    }

    /// Returns the refusal of an invalid text, which is valid in ASCII if it is a host, a path or a URL.
    fn respelled(&self, text: &Text, expected: String) -> FormRefusal {
        match ascii_spelling(&text.value).filter(|spelling| self.parse(&spelling.text).is_ok()) {
            Some(spelling) => {
                FormRefusal::Meant { expected: format!("{expected}; {}", spelling.rule), meant: spelling.text }
            }
            None => FormRefusal::Bad(expected),
        }
    }
}

/// A whole number within bounds.
#[derive(Debug, Clone, Copy)]
pub struct Whole<T> {
    min: u64,
    max: u64,
    number: PhantomData<fn() -> T>,
}

impl<T> Whole<T> {
    /// A number from `min` to `max`.
    pub const fn new(min: u64, max: u64) -> Self {
        Self { min, max, number: PhantomData }
    }
}

impl Whole<u32> {
    /// A number of 32 bits.
    pub const fn u32_from(min: u64) -> Self {
        Self::new(min, 0xFFFF_FFFF)
    }
}

impl<T: TryFrom<u64> + Into<u64> + Copy> Form for Whole<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, FormRefusal> {
        let Self { min, max, .. } = *self;
        let number = unit::digits(text)
            .filter(|number| (min..=max).contains(number))
            .and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| FormRefusal::Bad(format!("a whole number from {min} to {max}")))
    }

    fn shown(&self, value: &T) -> Value {
        Value::Number((*value).into())
    }

    fn cell(&self) -> String {
        if self.min == self.max { self.min.to_string() } else { format!("{} to {}", self.min, self.max) }
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [
            {"type": "integer", "minimum": self.min, "maximum": self.max},
            {"type": "string", "pattern": range::whole(self.min, self.max)},
        ]})
    }
}

/// A value of a form, or a word (`None`).
#[derive(Debug, Clone, Copy)]
pub struct WordOr<F> {
    word: &'static str,
    form: F,
}

impl<F> WordOr<F> {
    /// A value of the form, or this word.
    pub const fn new(word: &'static str, form: F) -> Self {
        Self { word, form }
    }
}

impl<F: Form> Form for WordOr<F> {
    type Value = Option<F::Value>;

    fn parse(&self, text: &str) -> Result<Option<F::Value>, FormRefusal> {
        if text == self.word || boolean_words::is_spelling(text, self.word) {
            return Ok(None);
        }
        self.form.parse(text).map(Some).map_err(|refusal| match refusal {
            FormRefusal::Bad(expected) => FormRefusal::Bad(format!("{expected}, or `{}`", self.word)),
            other @ (FormRefusal::Word(_)
            | FormRefusal::Near { .. }
            | FormRefusal::Meant { .. }
            | FormRefusal::NotYet(_)) => other,
        })
    }

    fn shown(&self, value: &Option<F::Value>) -> Value {
        value.as_ref().map_or(Value::text(self.word), |value| self.form.shown(value))
    }

    fn cell(&self) -> String {
        format!("{}, `{}`", self.form.cell(), self.word)
    }

    fn schema(&self) -> Json {
        let words = boolean_words::values(self.word);
        let word = if words.len() == 1 { json!({"const": self.word}) } else { json!({"enum": words}) };
        json!({"anyOf": [word, self.form.schema()]})
    }
}

/// The value `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Boolean;

impl Form for Boolean {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, FormRefusal> {
        text.parse().map_err(|_| FormRefusal::Bad("true or false".to_owned()))
    }

    fn shown(&self, value: &bool) -> Value {
        Value::Boolean(*value)
    }

    fn cell(&self) -> String {
        "boolean".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"enum": [true, false, "true", "false"]})
    }
}

/// A duration within bounds.
#[derive(Debug, Clone, Copy)]
pub struct DurationForm {
    min: Duration,
    max: Duration,
}

impl DurationForm {
    /// A duration that may be zero.
    pub const ANY: Self = Self::new(Duration::ZERO, Duration::MAX);
    /// A duration above zero.
    pub const POSITIVE: Self = Self::new(Duration::from_millis(1), Duration::MAX);

    /// A duration from `min` to `max`.
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }

    fn accepts(self, duration: Duration) -> bool {
        (self.min..=self.max).contains(&duration)
    }

    fn bounds(self) -> String {
        match (self.min, self.max) {
            (Duration::ZERO, Duration::MAX) => String::new(),
            (_, Duration::MAX) => ", and greater than zero".to_owned(),
            (min, max) => format!(", from {} to {}", unit::written_duration(min), unit::written_duration(max)),
        }
    }
}

impl Form for DurationForm {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, FormRefusal> {
        let duration = unit::duration(text).filter(|duration| self.accepts(*duration));
        duration.ok_or_else(|| FormRefusal::Bad(format!("{}{}", unit::DURATION, self.bounds())))
    }

    fn shown(&self, value: &Duration) -> Value {
        Value::duration(*value)
    }

    fn cell(&self) -> String {
        match (self.min, self.max) {
            (Duration::ZERO, Duration::MAX) => "duration, may be `0s`".to_owned(),
            (_, Duration::MAX) => "duration".to_owned(),
            (min, max) => format!("`{}` to `{}`", unit::written_duration(min), unit::written_duration(max)),
        }
    }

    fn schema(&self) -> Json {
        let ms = |duration: Duration| u64::try_from(duration.min(unit::DURATION_MAX).as_millis()).unwrap_or(u64::MAX);
        json!({"type": "string", "pattern": range::amounts(ms(self.min), ms(self.max), &unit::DURATION_UNITS)})
    }
}

/// A size in bytes within bounds.
#[derive(Debug, Clone, Copy)]
pub struct SizeForm {
    min: u64,
    max: u64,
}

impl SizeForm {
    /// A size above zero.
    pub const POSITIVE: Self = Self::new(1, u64::MAX);

    /// A size from `min` to `max`.
    pub const fn new(min: u64, max: u64) -> Self {
        Self { min, max }
    }
}

impl Form for SizeForm {
    type Value = u64;

    fn parse(&self, text: &str) -> Result<u64, FormRefusal> {
        let Self { min, max } = *self;
        let bounds = || match max {
            u64::MAX => "and greater than zero".to_owned(),
            max => format!("from {} to {}", unit::written_size(min), unit::written_size(max)),
        };
        let size = unit::size(text).filter(|size| (min..=max).contains(size));
        size.ok_or_else(|| FormRefusal::Bad(format!("{}, {}", unit::SIZE, bounds())))
    }

    fn shown(&self, value: &u64) -> Value {
        Value::size(*value)
    }

    fn cell(&self) -> String {
        match self.max {
            u64::MAX => "size".to_owned(),
            max => format!("`{}` to `{}`", unit::written_size(self.min), unit::written_size(max)),
        }
    }

    fn schema(&self) -> Json {
        let max = self.max.min(unit::SIZE_MAX);
        json!({"type": "string", "pattern": range::amounts(self.min, max, &unit::SIZE_UNITS)})
    }
}

/// One word of a closed list.
#[derive(Debug, Clone, Copy)]
pub struct Words<T: 'static> {
    words: &'static [(&'static str, T)],
    /// Words that only a later version supports.
    later: &'static [&'static str],
}

impl<T> Words<T> {
    /// One of these words.
    pub const fn new(words: &'static [(&'static str, T)]) -> Self {
        Self { words, later: &[] }
    }

    /// One of these words; others are those of later versions.
    pub const fn or_later(words: &'static [(&'static str, T)], later: &'static [&'static str]) -> Self {
        Self { words, later }
    }

    /// Returns the words of this version.
    pub fn list(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }
}

impl<T: Copy + PartialEq + Sync> Form for Words<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, FormRefusal> {
        if self.later.contains(&text) {
            return Err(FormRefusal::NotYet(|name, word| format!("`{name}: {word}`")));
        }
        let find = |text: &str| self.words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let meant = || find(boolean_words::written(text, self.words.iter().map(|(word, _)| *word))?);
        find(text).or_else(meant).ok_or_else(|| FormRefusal::Word(self.list()))
    }

    fn shown(&self, value: &T) -> Value {
        let word = self.words.iter().find(|(_, known)| known == value).map(|(word, _)| *word);
        word.map_or(Value::None(()), |word| word.parse().map_or_else(|_| Value::text(word), Value::Number))
    }

    fn cell(&self) -> String {
        self.list().iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn schema(&self) -> Json {
        let mut words: Vec<Json> = self.list().into_iter().flat_map(boolean_words::values).collect();
        let numbers = self.list().into_iter().filter(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        // The numbers 402 and 1.2 are valid JSON.
        let numbers: Vec<Json> = numbers.filter_map(|word| serde_json::from_str(word).ok()).collect();
        words.extend(numbers);
        json!({"enum": words})
    }
}

/// A text that `parse` accepts.
#[derive(Clone, Copy)]
pub struct TextForm<T: 'static> {
    /// Returns the value of a text, or the reason why it is invalid.
    pub parse: fn(&str) -> Result<T, FormRefusal>,
    /// Returns the value as `config show` writes it.
    pub shown: fn(&T) -> Value,
    /// The description in the documentation's tables, in Markdown.
    pub cell: &'static str,
    /// A regular expression of the texts that may be valid.
    pub pattern: &'static str,
    /// The YAML values besides strings whose text may be valid.
    pub scalar: Scalar,
}

/// The numbers and booleans of YAML that a text form reads as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// No number or boolean is valid.
    Text,
    /// Numbers from 0 are valid.
    Number,
    /// Whole numbers from 0 and booleans are valid.
    Whole,
    /// All numbers and booleans are valid.
    Any,
}

impl<T> Form for TextForm<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, FormRefusal> {
        (self.parse)(text)
    }

    fn shown(&self, value: &T) -> Value {
        (self.shown)(value)
    }

    fn cell(&self) -> String {
        self.cell.to_owned()
    }

    fn schema(&self) -> Json {
        let text = json!({"type": "string", "pattern": self.pattern});
        match self.scalar {
            Scalar::Text => text,
            Scalar::Number => json!({"anyOf": [text, {"type": "number", "minimum": 0}]}),
            Scalar::Whole => json!({"anyOf": [text, {"type": "integer", "minimum": 0}, {"type": "boolean"}]}),
            Scalar::Any => json!({"anyOf": [text, {"type": ["number", "boolean"]}]}),
        }
    }
}

/// The path of a file, relative to the folder of the configuration file. One rule decides which files the API may name.
#[derive(Debug, Clone, Copy)]
pub struct FileForm;

/// The path of a file.
pub const FILE: FileForm = FileForm;

impl Form for FileForm {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, FormRefusal> {
        accept(text, !text.is_empty() && !text.contains('\0'), "a file").map(PathBuf::from)
    }

    fn shown(&self, value: &PathBuf) -> Value {
        Value::text(value.display())
    }

    fn cell(&self) -> String {
        "file".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"type": "string", "pattern": "^."}, {"type": ["number", "boolean"]}]})
    }

    fn read_text(&self, reader: &SettingsReader<'_>, text: &Text, name: &str) -> Option<Input<PathBuf>> {
        match self.parse(&text.value) {
            Ok(path) => {
                let value = reader.file_path(text.at, name, &path)?;
                Some(Input { value, source: ValueSource::At(text.at), foreign: text.foreign })
            }
            Err(refusal) => {
                refusal.report(reader, text, name);
                None
            }
        }
    }
}

/// A form that does not accept one text, although its pattern matches it.
#[derive(Clone, Copy)]
pub struct Except<F>(pub F, pub &'static str);

impl<F: Form> Form for Except<F> {
    type Value = F::Value;

    fn parse(&self, text: &str) -> Result<F::Value, FormRefusal> {
        self.0.parse(text)
    }

    fn shown(&self, value: &F::Value) -> Value {
        self.0.shown(value)
    }

    fn cell(&self) -> String {
        self.0.cell()
    }

    fn schema(&self) -> Json {
        json!({"allOf": [self.0.schema(), {"not": {"const": self.1}}]})
    }
}
