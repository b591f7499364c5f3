//! The fields of a Gemini call whose names differ from those of other formats, for errors and for `x-tollgate-dropped`.

use super::super::UntranslatableCall;
use crate::format::Format;

/// The names that encoders use, and those of Gemini's clients.
const NAMES: [(&str, &str); 11] = [
    ("temperature", "generationConfig.temperature"),
    ("top_p", "generationConfig.topP"),
    ("top_k", "generationConfig.topK"),
    ("seed", "generationConfig.seed"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("stop", "generationConfig.stopSequences"),
    ("response_format", "generationConfig.responseMimeType"),
    ("text.format.type", "generationConfig.responseMimeType"),
    ("tool_choice", "toolConfig.functionCallingConfig"),
    ("messages", "contents"),
];

/// Returns the client's name of a field.
pub(super) fn name(from: Format, name: String) -> String {
    let known = NAMES.iter().find(|(neutral, _)| from == Format::GenerateContent && *neutral == name);
    known.map_or(name, |(_, google)| (*google).to_owned())
}

/// Returns the error with the client's name of its field.
pub(super) fn error(from: Format, error: UntranslatableCall) -> UntranslatableCall {
    let UntranslatableCall { param, message } = error;
    let written = format!("`{param}`");
    let param = name(from, param);
    UntranslatableCall { message: message.replacen(&written, &format!("`{param}`"), 1), param }
}
