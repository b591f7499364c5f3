//! The names of tools and the dropped fields of one translation.

use super::super::TranslationOptions;
use super::super::capsule::{CAPSULE_PREFIX, Capsule};
use super::google_names;
use super::names::Names;
use crate::format::Format;
use serde_json::value::RawValue;

/// Most fields that are named as left out.
const DROPPED_MAX: usize = 32;

/// The notes of one translation, and its target.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    /// The format of the provider.
    pub(super) to: Format,
    /// The format of the client.
    from: Format,
    pub(super) options: &'a TranslationOptions<'a>,
    pub(super) names: Names,
    dropped: Vec<String>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(from: Format, to: Format, options: &'a TranslationOptions<'a>) -> Self {
        Self { to, from, options, names: Names::new(to), dropped: Vec::new() }
    }

    /// Notes that the field at `path` is left out.
    pub(super) fn drop(&mut self, path: impl Into<String>) {
        let path = google_names::name(self.from, path.into());
        if self.dropped.len() < DROPPED_MAX && !self.dropped.contains(&path) {
            self.dropped.push(path);
        }
    }

    pub(super) fn dropped(&self) -> &[String] {
        &self.dropped
    }

    pub(super) fn finish(self) -> (Names, Vec<String>) {
        (self.names, self.dropped)
    }

    /// Returns the elements of a capsule that the target made; `None` for the state of another target and for other text. Such
    /// state is dropped silently, because clients send back the state of every earlier model.
    pub(super) fn state(&self, text: &str) -> Option<Vec<Box<RawValue>>> {
        let capsule = Some(text).filter(|text| text.starts_with(CAPSULE_PREFIX)).and_then(Capsule::decode)?;
        let Capsule { kind, format, model, owner, items } = capsule;
        // Anthropic's signatures are valid for each account; OpenAI's state is encrypted for one.
        let is_readable = format == Format::Messages || owner == self.options.owner;
        let is_own = is_readable && kind == self.options.kind && format == self.to && model == self.options.model;
        is_own.then_some(items)
    }
}
