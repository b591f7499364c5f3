//! Errors that a provider reports in an event of a stream.

use super::Reading;
use super::paths::{CHUNK_CREATED, ERROR, RESPONSE_CREATED, TYPE};
use crate::failures::account_error::HiddenError;
use crate::format::Format;
use crate::scan::text::unquoted;
use crate::streams::framing::ResponseFraming;

/// The name, or type, of the event in which a provider reports an error.
const ERROR_EVENT: &[u8] = b"error";
/// The name, or type, of the event with which a response of the Responses API fails.
const FAILED_EVENT: &[u8] = b"response.failed";

/// The error of the event that was read last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum EventError {
    #[default]
    None,
    /// An event that is an error.
    Error,
    /// A response of the Responses API that has failed.
    FailedResponse,
}

impl EventError {
    /// Returns the error of an event of this name or type.
    pub(super) fn of_name(name: Option<&[u8]>) -> Self {
        match name {
            Some(ERROR_EVENT) => Self::Error,
            Some(FAILED_EVENT) => Self::FailedResponse,
            Some(_) | None => Self::None,
        }
    }
}

impl Reading {
    /// Whether the event that was read last is an error; only the first call after an event tells.
    pub(crate) fn take_error(&mut self) -> bool {
        let error = std::mem::take(&mut self.event_error);
        self.is_failed_response = error == EventError::FailedResponse;
        error != EventError::None
    }

    /// Whether the error that was taken last is a failed response.
    pub(crate) const fn is_failed_response(&self) -> bool {
        self.is_failed_response
    }

    /// Notes the error that the client gets in place of one of the provider.
    pub(crate) const fn note_hidden(&mut self, hidden: HiddenError) {
        self.facts.hidden = Some(hidden);
    }

    /// Refuses the end of the stream, unless the provider has reported an error.
    pub(crate) const fn refuse_end(&mut self) {
        self.refuses_end = true;
    }

    /// Whether the stream has no content.
    pub(crate) const fn refuses_end(&self) -> bool {
        self.refuses_end && !self.has_failed
    }

    /// Whether the last event is an end that is refused, once.
    pub(crate) const fn take_refused_end(&mut self) -> bool {
        std::mem::replace(&mut self.has_refused_end, false)
    }

    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Reads the creation time of the response, and whether it has failed.
    pub(super) fn read_state(&mut self) {
        if !matches!(self.framing, ResponseFraming::Events | ResponseFraming::Array) {
            return;
        }
        let has_created = self.has_choices() || self.format == Format::Responses;
        let is_responses = self.format == Format::Responses;
        let created = if is_responses { RESPONSE_CREATED } else { CHUNK_CREATED };
        if has_created && let Some(json) = self.scanner.picked(created) {
            self.created = serde_json::from_slice(json).unwrap_or(self.created);
        }
        let kind = if self.has_choices() { None } else { self.scanner.picked(TYPE).and_then(unquoted) };
        let of_kind = EventError::of_name(kind);
        let error = if is_responses { None } else { self.scanner.picked(ERROR) };
        let has_error = error.is_some_and(is_error);
        self.has_failed |= of_kind == EventError::Error || has_error;
        if of_kind != EventError::None {
            self.event_error = of_kind;
        } else if has_error {
            self.event_error = EventError::Error;
        }
    }
}

/// Whether this is the value of an error: an object, or a text. Without an error it is null or empty.
pub(super) fn is_error(json: &[u8]) -> bool {
    matches!(json.first(), Some(b'{' | b'"')) && !json.starts_with(b"\"\"")
}
