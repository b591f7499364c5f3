//! Whether the model called a tool of the client, as the response says.

use super::paths::{FINISH, KIND, STOP};
use crate::format::Format;
use crate::scan::Scanner;
use crate::scan::text::unquoted;

/// The types of a Responses item that the client runs (OpenAI's API reference, read 2026-11-22).
const ITEMS: [&[u8]; 6] =
    [b"function_call", b"custom_tool_call", b"local_shell_call", b"shell_call", b"apply_patch_call", b"computer_call"];
/// The beginnings of the names of Responses events that announce such an item.
const EVENTS: [&[u8]; 2] = [b"response.function_call_arguments.", b"response.custom_tool_call_input."];
/// The finish reasons of chats that announce a call.
const FINISHES: [&[u8]; 2] = [b"tool_calls", b"function_call"];
/// The stop reason of Messages that announces a call.
const TOOL_USE: &[u8] = b"tool_use";

/// Whether an event of this name belongs to a call.
pub(super) fn announces(format: Format, name: &[u8]) -> bool {
    format == Format::Responses && EVENTS.iter().any(|event| name.starts_with(event))
}

/// Whether the body, or the event, that was scanned reports a call. Gemini's candidates are not searched for one.
pub(super) fn reports(format: Format, scanner: &Scanner) -> bool {
    let is = |path, words: &[&[u8]]| scanner.picked(path).and_then(unquoted).is_some_and(|word| words.contains(&word));
    match format {
        Format::Chat => is(FINISH, &FINISHES),
        Format::Messages => is(STOP, &[TOOL_USE]),
        Format::Responses => scanner
            .all(KIND)
            .is_some_and(|mut kinds| kinds.any(|kind| unquoted(kind).is_some_and(|kind| ITEMS.contains(&kind)))),
        Format::Completions
        | Format::Embeddings
        | Format::Moderations
        | Format::GenerateContent
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription => false,
    }
}
