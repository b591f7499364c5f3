//! Gemini's stream without `alt=sse`: a JSON array that is forwarded element by element.

use bytes::Bytes;

use super::guard::{AccountGuard, may_be_error};
use super::hold::Hold;
use super::reading::Reading;
use crate::error::{self, FormatProblem};
use crate::format::Dialect;
use crate::scan::nesting::Nesting;
use crate::streams::stop;

#[derive(Debug, Default)]
pub(super) struct Array {
    state: ArrayState,
    hold: Hold,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ArrayState {
    /// Before the opening bracket of the array.
    #[default]
    Before,
    /// After the opening bracket or a comma: an element may begin.
    Open { comma: bool },
    /// Inside an element, before its closing bracket.
    Inside { at: Nesting },
    /// After an element, before a comma or the closing bracket.
    Behind,
    /// After the closing bracket of the array.
    Over,
    /// After the closing bracket of an array without a finish reason. The bracket is held, so that an error can precede it.
    Unfinished { comma: bool },
    /// Inside a single object instead of an array, as errors are.
    Object { at: Nesting },
    /// After a single object.
    BehindObject,
    /// The body is another JSON value or invalid.
    Broken,
}

impl Array {
    pub(super) fn push(&mut self, reading: &mut Reading, guard: Option<&AccountGuard>, bytes: Bytes) -> Bytes {
        let mut rest: &[u8] = &bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = match self.state {
                ArrayState::Inside { at } => self.inside(reading, at, rest),
                ArrayState::Object { at } => self.object(reading, at, rest),
                ArrayState::BehindObject => self.behind_object(reading, rest),
                ArrayState::Broken => &[],
                ArrayState::Before
                | ArrayState::Open { .. }
                | ArrayState::Behind
                | ArrayState::Over
                | ArrayState::Unfinished { .. } => {
                    if self.begins(reading, byte) {
                        rest
                    } else {
                        behind
                    }
                }
            };
            match self.state {
                ArrayState::Inside { .. } | ArrayState::Unfinished { .. } => {}
                ArrayState::Object { .. } if guard.is_some() => {}
                ArrayState::Behind
                | ArrayState::Before
                | ArrayState::Open { .. }
                | ArrayState::Over
                | ArrayState::Object { .. }
                | ArrayState::BehindObject
                | ArrayState::Broken => {
                    let at = bytes.len() - rest.len();
                    self.discard_long_error(guard, &bytes, at);
                    match self.other_element(reading, guard, &bytes, at) {
                        Some(other) => self.hold.replace(&bytes, at, &other),
                        None => self.hold.pass(at),
                    }
                }
            }
        }
        if matches!(self.state, ArrayState::Inside { .. } | ArrayState::Object { .. }) {
            self.discard_long_error(guard, &bytes, bytes.len());
        }
        self.hold.take(bytes)
    }

    /// Discards the open element, which ends before `at` or later, if it may be an error that is too long to be read.
    fn discard_long_error(&mut self, guard: Option<&AccountGuard>, bytes: &[u8], at: usize) {
        if guard.is_some() && self.hold.overflows(at) && !self.hold.is_discarding() {
            let begun = self.hold.open(bytes, at).unwrap_or_default();
            if may_be_error(None, &begun) {
                self.hold.discard();
            }
        }
    }

    /// Returns the element in place of the one that has ended before `at`, if it is an error about the operator's account.
    fn other_element(
        &self,
        reading: &mut Reading,
        guard: Option<&AccountGuard>,
        bytes: &[u8],
        at: usize,
    ) -> Option<Vec<u8>> {
        let guard = guard?;
        if self.hold.is_discarding() {
            return Some(guard.long_element(reading));
        }
        if self.state == ArrayState::BehindObject {
            return guard.object(reading, &self.hold.open(bytes, at)?);
        }
        guard.element(reading, || self.hold.open(bytes, at))
    }

    pub(super) fn finish(self, reading: &mut Reading, guard: Option<&AccountGuard>) -> Bytes {
        reading.end(None);
        self.rest(reading, guard)
    }

    /// Returns the held bytes. A part of an object may be a part of an error.
    fn rest(self, reading: &mut Reading, guard: Option<&AccountGuard>) -> Bytes {
        let guard = match guard {
            Some(guard) if matches!(self.state, ArrayState::Object { .. }) => guard,
            Some(_) | None => return self.hold.finish(false),
        };
        if self.hold.is_discarding() {
            return guard.long_element(reading).into();
        }
        let other = self.hold.open(&[], 0).and_then(|begun| guard.object(reading, &begun));
        other.map_or_else(|| self.hold.finish(false), Bytes::from)
    }

    /// Completes the forwarded part of the array, with the error as its last element.
    pub(super) fn cut(self, reading: &mut Reading, problem: &FormatProblem<'_>) -> Bytes {
        reading.end(None);
        self.last(&error::body(Some(Dialect::Google), problem))
    }

    /// The upstream has ended the array: returns the held bytes, or the error if the array lacks its end.
    pub(super) fn close(
        self,
        reading: &mut Reading,
        guard: Option<&AccountGuard>,
        problem: &FormatProblem<'_>,
    ) -> Bytes {
        reading.end(None);
        if reading.is_end_known() {
            self.rest(reading, guard)
        } else {
            self.last(&error::body(Some(Dialect::Google), problem))
        }
    }

    /// Completes the array, with the end of a response that is too long as its last element.
    pub(super) fn stop(self, reading: &Reading) -> Bytes {
        self.last(stop::element(&reading.partial()).to_string().as_bytes())
    }

    /// Returns white space, unless a part of a value was forwarded.
    pub(super) const fn keep_alive(&self) -> Option<&'static [u8]> {
        match self.state {
            ArrayState::Object { .. } | ArrayState::BehindObject | ArrayState::Broken => None,
            ArrayState::Inside { .. } | ArrayState::Unfinished { .. } if self.hold.is_passing() => None,
            ArrayState::Before
            | ArrayState::Open { .. }
            | ArrayState::Inside { .. }
            | ArrayState::Behind
            | ArrayState::Over
            | ArrayState::Unfinished { .. } => Some(super::BLANK_LINE),
        }
    }

    fn last(self, element: &[u8]) -> Bytes {
        let before: &[u8] = match self.state {
            ArrayState::Before => b"[",
            ArrayState::Unfinished { .. } if self.hold.is_passing() => return Bytes::new(),
            ArrayState::Open { .. } | ArrayState::Unfinished { comma: false } => b"",
            ArrayState::Behind | ArrayState::Unfinished { comma: true } => b",",
            ArrayState::Inside { .. } if !self.hold.is_passing() => b"",
            // Nothing of the object was forwarded.
            ArrayState::Object { .. } if self.hold.is_holding() => return element.to_vec().into(),
            ArrayState::Inside { .. }
            | ArrayState::Over
            | ArrayState::Object { .. }
            | ArrayState::BehindObject
            | ArrayState::Broken => return Bytes::new(),
        };
        [before, element, b"]"].concat().into()
    }

    /// Reads `byte` between elements. Returns whether an element, or a single object, begins with it.
    fn begins(&mut self, reading: &mut Reading, byte: u8) -> bool {
        let (state, begins) = match (self.state, byte) {
            (state, b' ' | b'\t' | b'\r' | b'\n') => (state, false),
            (ArrayState::Before, b'[') => (ArrayState::Open { comma: false }, false),
            (ArrayState::Before, b'{') => {
                reading.expect_body();
                (ArrayState::Object { at: Nesting::default() }, true)
            }
            (ArrayState::Open { .. }, b'{') => (ArrayState::Inside { at: Nesting::default() }, true),
            (ArrayState::Behind, b',') => (ArrayState::Open { comma: true }, false),
            (ArrayState::Behind | ArrayState::Open { comma: false }, b']') => {
                reading.close_array();
                let comma = self.state == ArrayState::Behind;
                let is_whole = reading.is_end_known();
                (if is_whole { ArrayState::Over } else { ArrayState::Unfinished { comma } }, false)
            }
            _ => (ArrayState::Broken, false),
        };
        self.state = state;
        begins
    }

    /// Reads a part of a single object.
    fn object<'a>(&mut self, reading: &mut Reading, mut at: Nesting, bytes: &'a [u8]) -> &'a [u8] {
        let Some((consumed, rest)) = at.end_in(bytes) else {
            reading.push(bytes);
            self.state = ArrayState::Object { at };
            return &[];
        };
        reading.push(consumed);
        self.state = ArrayState::BehindObject;
        rest
    }

    /// Reads the bytes behind a single object, up to another object.
    fn behind_object<'a>(&mut self, reading: &mut Reading, bytes: &'a [u8]) -> &'a [u8] {
        let at = memchr::memchr(b'{', bytes).unwrap_or(bytes.len());
        if at == 0 {
            self.state = ArrayState::Object { at: Nesting::default() };
            return bytes;
        }
        let (between, rest) = bytes.split_at(at);
        reading.push(between);
        rest
    }

    fn inside<'a>(&mut self, reading: &mut Reading, mut at: Nesting, bytes: &'a [u8]) -> &'a [u8] {
        let Some((consumed, rest)) = at.end_in(bytes) else {
            reading.push(bytes);
            self.state = ArrayState::Inside { at };
            return &[];
        };
        reading.push(consumed);
        reading.end(None);
        self.state = ArrayState::Behind;
        rest
    }
}

#[cfg(test)]
impl Array {
    pub(super) fn buffered_bytes(&self) -> usize {
        self.hold.buffered_bytes()
    }
}
