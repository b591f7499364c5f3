//! Replaces strings of a JSON text that arrives in pieces. Everything else passes, whatever it is.

use std::ops::Range;

use bytes::Bytes;

use super::ResponseEdits;
use super::output::EditedOutput;
use super::places::{Action, Place, Step};
use crate::scan::nesting::Nesting;
use crate::scan::text::{inside, unquoted};
use crate::short::Short;

/// Longest string that is held until its end, in bytes. A longer one is no name or id, and passes.
pub(super) const HELD_BYTES_MAX: usize = 2 * 1024;
/// Longest key that is compared.
const KEY_BYTES_MAX: usize = 64;
/// Maximum number of open objects and lists with edits; those further inside pass.
const DEPTH_MAX: usize = 32;

/// The editor of one JSON text after the other; see the module.
#[derive(Debug)]
pub(super) struct JsonEditor {
    start: Place,
    state: EditState,
    levels: Vec<Level>,
    /// The use of the value behind the last key.
    step: Step,
    key: Short<KEY_BYTES_MAX>,
    /// The bytes of a begun string that arrived in earlier pushes, with its opening quote.
    held: Vec<u8>,
    /// Whether a text names one model only, as no array of them does.
    names_one_model: bool,
    /// The id that was bound last: the events of a stream repeat it.
    bound: Option<BoundId>,
}

/// An id of the provider, and its JSON string for the client.
#[derive(Debug)]
struct BoundId {
    id: Vec<u8>,
    text: String,
}

/// An open object or list.
#[derive(Debug, Clone, Copy)]
struct Level {
    place: Place,
    is_list: bool,
    /// Whether the next string is a key.
    expects_key: bool,
}

#[derive(Debug, Clone, Copy)]
enum EditState {
    /// Between two tokens of the text.
    Between,
    /// In a key, or in a string that passes.
    Key {
        escaped: bool,
    },
    Text {
        escaped: bool,
    },
    /// In a string that is held.
    Held {
        escaped: bool,
        action: Action,
    },
    /// In an object or a list without edits.
    Inside(Nesting),
    /// The rest of the text passes.
    Over,
}

impl JsonEditor {
    pub(super) const fn new(start: Place, names_one_model: bool) -> Self {
        Self {
            start,
            state: EditState::Between,
            levels: Vec::new(),
            step: Step { text: None, into: None },
            key: Short::new(),
            held: Vec::new(),
            names_one_model,
            bound: None,
        }
    }

    /// Begins another JSON text.
    pub(super) fn reset(&mut self, output: &mut EditedOutput) {
        self.release(output);
        self.state = EditState::Between;
        self.levels.clear();
    }

    /// Lets a held string pass as it is.
    pub(super) fn release(&mut self, output: &mut EditedOutput) {
        if let EditState::Held { escaped, .. } = self.state {
            output.release(&std::mem::take(&mut self.held));
            self.state = EditState::Text { escaped };
        }
    }

    /// Ends a push: returns the bytes to forward.
    pub(super) fn take(&mut self, bytes: Bytes, output: &mut EditedOutput) -> Bytes {
        output.take(bytes, &mut self.held)
    }

    /// Reads a range of `bytes`, which continues the text.
    pub(super) fn push(&mut self, bytes: &[u8], range: Range<usize>, edits: &ResponseEdits, output: &mut EditedOutput) {
        let mut at = range.start;
        let end = range.end;
        while let Some(rest) = bytes.get(at..end).filter(|rest| !rest.is_empty()) {
            at += match self.state {
                EditState::Between => self.token(rest),
                EditState::Key { escaped } => self.in_key(escaped, rest),
                EditState::Text { escaped } => {
                    let part = inside(escaped, rest);
                    let state = EditState::Text { escaped: part.escaped };
                    self.state = part.rest.map_or(state, |_| EditState::Between);
                    rest.len() - part.rest.map_or(0, <[u8]>::len)
                }
                EditState::Held { .. } => self.in_held(bytes, at..end, edits, output),
                EditState::Inside(mut nesting) => match nesting.end_in(rest) {
                    Some((inner, _)) => {
                        self.state = EditState::Between;
                        inner.len()
                    }
                    None => {
                        self.state = EditState::Inside(nesting);
                        rest.len()
                    }
                },
                EditState::Over => return,
            };
        }
    }

    /// Reads up to the end of a token; returns its length.
    fn token(&mut self, rest: &[u8]) -> usize {
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',')) else {
            return rest.len();
        };
        match rest.get(at) {
            Some(b'"') => {
                if self.levels.last().is_some_and(|level| level.expects_key) {
                    self.key.clear();
                    self.state = EditState::Key { escaped: false };
                } else {
                    // The quote is a part of a held string.
                    match self.value().text {
                        Some(action) => {
                            self.state = EditState::Held { escaped: false, action };
                            return at;
                        }
                        None => self.state = EditState::Text { escaped: false },
                    }
                }
            }
            Some(open @ (b'{' | b'[')) => self.open(*open == b'['),
            Some(b',') => {
                if let Some(level) = self.levels.last_mut() {
                    level.expects_key = !level.is_list;
                }
            }
            Some(_) => {
                self.levels.pop();
            }
            None => {}
        }
        at + 1
    }

    /// Returns the use of the value that begins here.
    fn value(&mut self) -> Step {
        match self.levels.last() {
            None => Step { text: None, into: Some(self.start) },
            Some(level) if level.is_list => level.place.element(),
            Some(_) => std::mem::take(&mut self.step),
        }
    }

    fn open(&mut self, is_list: bool) {
        let place =
            self.value().into.filter(|place| self.levels.len() < DEPTH_MAX && (is_list || *place != Place::Ids));
        match place {
            Some(place) => self.levels.push(Level { place, is_list, expects_key: !is_list }),
            None => self.state = EditState::Inside(Nesting::OPEN),
        }
    }

    fn in_key(&mut self, escaped: bool, rest: &[u8]) -> usize {
        let part = inside(escaped, rest);
        self.key.add(part.text);
        let Some(behind) = part.rest else {
            self.state = EditState::Key { escaped: part.escaped };
            return rest.len();
        };
        self.state = EditState::Between;
        if let Some(level) = self.levels.last_mut() {
            level.expects_key = false;
            self.step = self.key.get().map_or(Step::default(), |key| step(level.place, key));
        }
        rest.len() - behind.len()
    }

    /// Reads a held string up to its end; returns the number of bytes that were read.
    fn in_held(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        edits: &ResponseEdits,
        output: &mut EditedOutput,
    ) -> usize {
        let EditState::Held { escaped, action } = self.state else { return range.len() };
        let rest = bytes.get(range.clone()).unwrap_or_default();
        let is_begun = !self.held.is_empty();
        let quote = usize::from(!is_begun);
        let part = inside(escaped, rest.get(quote..).unwrap_or_default());
        let Some(behind) = part.rest else {
            self.state = EditState::Held { escaped: part.escaped, action };
            if self.held.len() + rest.len() > HELD_BYTES_MAX {
                self.release(output);
            } else {
                output.hold_from(range.start);
            }
            return rest.len();
        };
        self.state = EditState::Between;
        let length = rest.len() - behind.len();
        let ended = rest.get(..length).unwrap_or_default();
        let at = range.start..range.start + length;
        if is_begun {
            let mut held = std::mem::take(&mut self.held);
            let before = held.len();
            held.extend_from_slice(ended);
            match self.edited(&held, action, edits) {
                Some(text) => output.replace(bytes, at, text.as_bytes()),
                // The end passes with the rest of this push.
                None => output.release(held.get(..before).unwrap_or_default()),
            }
        } else if let Some(text) = self.edited(ended, action, edits) {
            output.replace(bytes, at, text.as_bytes());
        }
        if action == Action::Model && self.names_one_model && edits.is_model_only() {
            self.state = EditState::Over;
        }
        length
    }

    /// Returns the JSON string in place of `string`; `None` if it stays.
    fn edited<'a>(&'a mut self, string: &[u8], action: Action, edits: &'a ResponseEdits) -> Option<&'a str> {
        // A longer string would pass if it arrived in pieces.
        if string.len() > HELD_BYTES_MAX {
            return None;
        }
        match action {
            Action::Model => edits.model.as_deref().filter(|name| name.as_bytes() != string),
            Action::Restore => {
                let known = edits.restored.iter().find(|value| value.sent.as_bytes() == string);
                known.map(|value| value.original.as_str())
            }
            Action::Id => {
                let owner = edits.owner.as_ref()?;
                let id = unquoted(string).filter(|id| !id.is_empty() && !id.contains(&b'\\'))?;
                if self.bound.as_ref().is_none_or(|bound| bound.id != id) {
                    let text = format!("\"{}\"", owner.bind(std::str::from_utf8(id).ok()?));
                    self.bound = Some(BoundId { id: id.to_vec(), text });
                }
                self.bound.as_ref().map(|bound| bound.text.as_str())
            }
        }
    }
}

/// Returns the use of the value behind a key as it is written.
fn step(place: Place, key: &[u8]) -> Step {
    if !key.contains(&b'\\') {
        return place.step(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or(Step::default(), |key| place.step(key.as_bytes()))
}
