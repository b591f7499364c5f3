//! Hides the operator's account in errors that a provider reports within a successful response.

use access::RequestId;
use bytes::Bytes;

use super::reading::Reading;
use crate::error::{self, FormatProblem, Reporter};
use crate::failures::account_error::{HiddenError, ProviderAccount};
use crate::failures::failure::ProviderError;
use crate::format::Format;
use crate::streams::sse::{Framer, Piece};

/// Largest error that is read, in bytes. A larger one is hidden.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// The first bytes of a body that are looked at.
const BEGIN_BYTES_MAX: usize = 64;
/// The error in place of a body that is shorter than the usual one.
const SHORT_BODY: &[u8] = br#"{"error":{"message":"refused"}}"#;
/// The first bytes of error bodies, without spaces.
const ERROR_BODIES: [&[u8]; 3] = [b"{\"error\":{", b"{\"error\":\"", b"{\"type\":\"error\""];

/// The account of a call, and what its errors need.
#[derive(Debug)]
pub struct AccountGuard {
    account: ProviderAccount,
    /// Whether errors about unknown models name the operator's project.
    names_project: bool,
    request_id: RequestId,
    /// The reporting system; see [`FormatProblem::domain`].
    domain: Box<str>,
    body: BodyState,
}

/// A body that may be an error.
#[derive(Debug)]
enum BodyState {
    /// Too little of it has arrived.
    Begun(Vec<u8>),
    /// It is an error, which is held until its end.
    Error(Vec<u8>),
    /// It was an error, which another one has replaced.
    Replaced,
    /// It is a response, which passes as it is.
    Passing,
}

impl AccountGuard {
    /// Returns the guard of a call.
    #[must_use]
    pub fn new(account: ProviderAccount, names_project: bool, request_id: RequestId, domain: &str) -> Self {
        Self { account, names_project, request_id, domain: domain.into(), body: BodyState::Begun(Vec::new()) }
    }

    /// Returns the event in place of the one that was read last, if it is an error about the operator's account. `data` is
    /// the JSON of the event; `None` if a part of it was forwarded.
    pub(super) fn event<D: AsRef<[u8]>>(
        &self,
        reading: &mut Reading,
        data: impl FnOnce() -> Option<D>,
    ) -> Option<Vec<u8>> {
        let hidden = self.hidden(reading, data)?;
        Some(self.event_of(reading, hidden))
    }

    /// Returns the event in place of an error that was too long to be read.
    pub(super) fn long_event(&self, reading: &mut Reading) -> Vec<u8> {
        reading.take_error();
        reading.note_hidden(HiddenError::Other);
        self.event_of(reading, HiddenError::Other)
    }

    /// Returns the element of Gemini's array in place of an error that was too long to be read.
    pub(super) fn long_element(&self, reading: &mut Reading) -> Vec<u8> {
        reading.take_error();
        reading.note_hidden(HiddenError::Other);
        self.body_of(HiddenError::Other, reading.format())
    }

    fn event_of(&self, reading: &Reading, hidden: HiddenError) -> Vec<u8> {
        let is_response = reading.is_failed_response();
        let write =
            |problem: &FormatProblem<'_>| error::replaced(reading.format(), is_response, problem, &reading.partial());
        self.with_problem(hidden, write)
    }

    /// Returns the element of Gemini's array in place of the one that was read last; see [`Self::event`].
    pub(super) fn element<D: AsRef<[u8]>>(
        &self,
        reading: &mut Reading,
        data: impl FnOnce() -> Option<D>,
    ) -> Option<Vec<u8>> {
        let hidden = self.hidden(reading, data)?;
        Some(self.body_of(hidden, reading.format()))
    }

    /// Returns the object in place of a single one, of which Gemini's array is replaced, if it is an error about the operator's
    /// account. It may lack its end.
    pub(super) fn object(&self, reading: &mut Reading, json: &[u8]) -> Option<Vec<u8>> {
        if is_error_body(json) == Some(false) && !may_be_error(None, json) {
            return None;
        }
        let hidden = self.decide(json)?;
        reading.note_hidden(hidden);
        Some(self.body_of(hidden, reading.format()))
    }

    fn hidden<D: AsRef<[u8]>>(&self, reading: &mut Reading, data: impl FnOnce() -> Option<D>) -> Option<HiddenError> {
        if !reading.take_error() {
            return None;
        }
        let hidden = self.decide(data()?.as_ref())?;
        reading.note_hidden(hidden);
        Some(hidden)
    }

    fn decide(&self, json: &[u8]) -> Option<HiddenError> {
        HiddenError::from_error(&ProviderError::of_event(json), self.account, self.names_project)
    }

    /// Reads the next bytes of a body: returns those to forward now. The length of a body is announced, so it stays.
    pub(super) fn push_body(&mut self, reading: &mut Reading, bytes: Bytes) -> Bytes {
        match &mut self.body {
            BodyState::Passing => bytes,
            BodyState::Replaced => vec![b' '; bytes.len()].into(),
            BodyState::Error(held) if held.len() + bytes.len() > ERROR_BYTES_MAX => {
                let length = held.len() + bytes.len();
                self.body = BodyState::Replaced;
                self.body_in_place(reading, HiddenError::Other, length)
            }
            BodyState::Error(held) => {
                held.extend_from_slice(&bytes);
                Bytes::new()
            }
            BodyState::Begun(begun) => {
                let whole = if begun.is_empty() { bytes } else { [&begun[..], &bytes].concat().into() };
                match is_error_body(&whole) {
                    None => {
                        self.body = BodyState::Begun(whole.to_vec());
                        Bytes::new()
                    }
                    Some(true) => {
                        self.body = BodyState::Error(Vec::new());
                        self.push_body(reading, whole)
                    }
                    Some(false) => {
                        self.body = BodyState::Passing;
                        whole
                    }
                }
            }
        }
    }

    /// Ends a body: returns the bytes that are held, or the error in their place.
    pub(super) fn end_body(&mut self, reading: &mut Reading) -> Bytes {
        match std::mem::replace(&mut self.body, BodyState::Passing) {
            BodyState::Passing | BodyState::Replaced => Bytes::new(),
            BodyState::Begun(begun) => begun.into(),
            BodyState::Error(held) => match self.decide(&held) {
                Some(hidden) => self.body_in_place(reading, hidden, held.len()),
                None => held.into(),
            },
        }
    }

    /// Returns the error in place of a body of this length.
    fn body_in_place(&self, reading: &mut Reading, hidden: HiddenError, length: usize) -> Bytes {
        reading.note_hidden(hidden);
        let mut body = self.body_of(hidden, reading.format());
        if body.len() > length {
            body = SHORT_BODY.to_vec();
        }
        body.resize(length, b' ');
        body.into()
    }

    fn body_of(&self, hidden: HiddenError, format: Format) -> Vec<u8> {
        self.with_problem(hidden, |problem| error::body(Some(format.dialect()), problem))
    }

    fn with_problem(&self, hidden: HiddenError, write: impl FnOnce(&FormatProblem<'_>) -> Vec<u8>) -> Vec<u8> {
        let request_id = self.request_id.to_string();
        let reporter = Reporter { domain: &self.domain, request_id: &request_id };
        write(&FormatProblem::new(hidden.refusal(), hidden.message(), reporter))
    }
}

/// Whether a body is an error, as far as its first bytes tell.
fn is_error_body(body: &[u8]) -> Option<bool> {
    let begin = body.get(..BEGIN_BYTES_MAX).unwrap_or(body);
    let compact: Vec<u8> = begin.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let compact = compact.strip_prefix(b"[").unwrap_or(&compact);
    if ERROR_BODIES.iter().any(|error| compact.starts_with(error)) {
        return Some(true);
    }
    let may_become_one = body.len() < BEGIN_BYTES_MAX && ERROR_BODIES.iter().any(|error| error.starts_with(compact));
    if may_become_one { None } else { Some(false) }
}

/// Returns the data of an event in its framing.
pub(super) fn data_of(mut event: &[u8]) -> Vec<u8> {
    let mut framer = Framer::new();
    let mut data = Vec::new();
    while !event.is_empty() {
        let (piece, rest) = framer.next(event);
        if let Piece::Data(part) = piece {
            data.extend_from_slice(part);
        }
        event = rest;
    }
    data
}

/// Whether the held begin of a long event without a name is that of an error.
pub(super) fn may_be_error(name: Option<&[u8]>, held: &[u8]) -> bool {
    let begin = held.get(..BEGIN_BYTES_MAX.saturating_mul(4)).unwrap_or(held);
    let compact: Vec<u8> = begin.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let has = |needle: &[u8]| compact.windows(needle.len()).any(|part| part == needle);
    matches!(name, Some(b"error" | b"response.failed"))
        || has(b"\"error\":{")
        || has(b"\"type\":\"error\"")
        || has(b"\"type\":\"response.failed\"")
}
