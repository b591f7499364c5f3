//! The names of tools and the dropped fields of one translation.

use super::super::call::Part;
use super::super::capsule::{CAPSULE_PREFIX, Capsule};
use super::super::{DroppedFields, TranslationOptions};
use super::google_names;
use super::json::{Outcome, refused};
use super::names::Names;
use crate::format::Format;
use serde_json::value::RawValue;
use std::fmt;

/// Most fields that are named as left out.
const DROPPED_MAX: usize = 32;

/// Memory is requested in pieces of this size. A call that needs no more than one requests none.
const PIECE_BYTES: usize = 64 * 1024;

/// The memory that a translation uses for the call in its neutral form.
pub(super) struct Memory<'a> {
    /// Requests more bytes; `false` refuses them.
    room: &'a mut dyn FnMut(usize) -> bool,
    used: usize,
    granted: usize,
}

impl fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("used", &self.used).field("granted", &self.granted).finish_non_exhaustive()
    }
}

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
    memory: Memory<'a>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(
        from: Format,
        to: Format,
        options: &'a TranslationOptions<'a>,
        room: &'a mut dyn FnMut(usize) -> bool,
    ) -> Self {
        let memory = Memory { room, used: 0, granted: PIECE_BYTES };
        Self { to, from, options, names: Names::new(to), dropped: Vec::new(), memory }
    }

    /// Counts bytes that the translation is about to use.
    pub(super) fn hold(&mut self, bytes: usize) -> Outcome<()> {
        let Memory { room, used, granted } = &mut self.memory;
        *used = used.saturating_add(bytes);
        if *used > *granted {
            let more = (*used - *granted).max(PIECE_BYTES);
            if !room(more) {
                return Err(refused("body", "has too many parts to be translated: send fewer"));
            }
            *granted += more;
        }
        Ok(())
    }

    /// Counts a part that is one of many, and returns it.
    pub(super) fn part<'p>(&mut self, part: Part<'p>) -> Outcome<Part<'p>> {
        self.hold(size_of::<Part<'p>>() + part.bytes())?;
        Ok(part)
    }

    /// Counts the only part of a message, which has its place in it, and returns it.
    pub(super) fn only_part<'p>(&mut self, part: Part<'p>) -> Outcome<Part<'p>> {
        self.hold(part.bytes())?;
        Ok(part)
    }

    /// Notes that the field at `path` is left out.
    pub(super) fn drop(&mut self, path: impl Into<String>) {
        let path = google_names::name(self.from, path.into());
        if self.dropped.len() < DROPPED_MAX && !self.dropped.contains(&path) {
            self.dropped.push(path);
        }
    }

    /// Notes that the field at `path` is left out, though a call without it means the same: it is no reason to refuse the call.
    pub(super) fn mention(&mut self, path: impl Into<String>) {
        if self.options.dropped == DroppedFields::Header {
            self.drop(path);
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
