//! The end of a stream that fails.

use ai::{Dialect, Format};

use super::responses;
use crate::error::MockError;
use crate::json::{Json, NULL, object};
use crate::response::MockResponse;

impl MockError {
    /// The last events of a stream that fails: name (if the format names events) and data. `sequence` is the event's
    /// number, for formats that number events.
    pub(super) fn event(&self, response: &MockResponse, sequence: u64) -> Vec<(Option<&'static str>, Json)> {
        let format = response.format();
        let id = response.id.as_str();
        match (format, format.dialect()) {
            (Format::Responses, _) => {
                let error = object! { "code": "server_error", "message": self.message() };
                let response = responses::failed(response, &error);
                let failed = object! { "type": "response.failed", "response": response, "sequence_number": sequence };
                vec![(Some("response.failed"), failed)]
            }
            (Format::Chat | Format::Completions, _) => vec![(None, self.open_ai())],
            (_, Dialect::OpenAi) => {
                let (kind, code) = self.open_ai_words();
                let error = object! { "type": kind, "code": code, "message": self.message(), "param": NULL };
                vec![(Some("error"), object! { "type": "error", "error": error })]
            }
            (_, Dialect::Anthropic) => vec![(Some("error"), self.anthropic(id))],
            (_, Dialect::Google) => vec![(None, self.google())],
        }
    }
}
