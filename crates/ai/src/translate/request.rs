//! Requests: decoders of the client's format, encoders of the provider's.

mod claude_surface;
mod decode;
mod encode;
mod foreign_state;
mod google_names;
mod json;
mod models;
mod names;
mod native;
mod notes;
mod order;
mod schema;
mod stops;

use bytes::Bytes;
use serde_json::value::RawValue;
use smallvec::smallvec;

use super::call::{Call, Message, MessagePath, OutputFormat, Part, Parts, Role, Source};
use super::{DroppedFields, FittedCall, ResponseContext, TranslatedRequest, TranslationOptions, UntranslatableCall};
use crate::format::Format;
use crate::provider::ClaudeSurface;
pub use native::NativeTarget;
use notes::Notes;

/// The length of a text with about as many tokens as an image or a file has.
const DATA_AS_TEXT_BYTES: usize = 6_000;
/// The instruction to write one JSON object, where a format lacks such a field or requires the word.
const ONE_OBJECT: &str = "Respond with exactly one JSON object, without Markdown and without other text.";
/// The request to continue a message of the assistant, for models that begin a new one.
const CONTINUE: &str = "Continue exactly where you stopped.";

pub(super) fn may_have_state(format: Format, body: &[u8]) -> bool {
    foreign_state::may_have_state(format, body)
}

pub(super) fn without_state(format: Format, model: &str, body: &[u8]) -> Option<Bytes> {
    foreign_state::without_state(format, model, body)
}

pub(super) fn fit_to_model(
    format: Format,
    target: NativeTarget<'_>,
    body: &[u8],
) -> Result<Option<FittedCall>, UntranslatableCall> {
    let fitted = native::adapted(format, target, body)?;
    Ok(fitted.map(|claude_surface::FittedBody { body, dropped }| FittedCall { body: Bytes::from(body), dropped }))
}

pub(super) fn fit_to_surface(surface: ClaudeSurface, betas: &str, body: &[u8]) -> Option<FittedCall> {
    let claude_surface::FittedBody { body, dropped } = claude_surface::fitted(surface, betas, body).ok()??;
    Some(FittedCall { body: Bytes::from(body), dropped })
}

pub(super) fn translate(
    from: Format,
    to: Format,
    body: &[u8],
    options: &TranslationOptions<'_>,
    room: &mut dyn FnMut(usize) -> bool,
) -> Result<TranslatedRequest, UntranslatableCall> {
    let mut notes = Notes::new(from, to, options, room);
    let mut call = decode::decode(from, body, &mut notes)?;
    order::place_results(&mut call.messages, &mut notes)?;
    move_media(&mut call.messages);
    request_json(&mut call, notes.to);
    // The body in the provider's format has about the same texts.
    notes.hold(body.len())?;
    let data_bytes = call.messages.iter().flat_map(|message| &message.parts).map(data_bytes).sum();
    continue_prefill(&mut call, &mut notes);
    let encoded = encode::encode(&mut call, &mut notes).map_err(|error| google_names::error(from, error))?;
    if let DroppedFields::Refuse = options.dropped
        && let Some(param) = notes.dropped().first()
    {
        let message =
            format!("`{param}` is not available for this model, whose provider has another format: leave it out");
        return Err(UntranslatableCall { param: param.clone(), message });
    }
    let (names, dropped) = notes.finish();
    // A response has the values in force: for a field that the model lacks, its default.
    let is_lost = |name: &str| {
        let is_of = |dropped: &String| dropped == name || (name == "reasoning" && dropped == "reasoning.effort");
        dropped.iter().any(is_of)
    };
    let echo = call.echo.into_iter().filter(|(name, _)| !is_lost(name));
    let echo = echo.map(|(name, raw)| (name, RawValue::to_owned(raw))).collect();
    let context = ResponseContext {
        client: from,
        provider: to,
        kind: options.kind,
        streamed: call.stream,
        is_array: options.google.is_array,
        include_usage: call.include_usage,
        provider_model: options.model.to_owned(),
        owner: options.owner.to_owned(),
        tools: names.renamed(),
        stop_sequences: call.stop,
        input_bytes: body.len().saturating_sub(data_bytes),
        echo,
        model: call.model,
    };
    Ok(TranslatedRequest { body: Bytes::from(encoded), dropped, context })
}

/// Implements the function [`crate::translate::efforts`].
pub(super) fn efforts(model: &str) -> Vec<&'static str> {
    models::chosen_efforts(model)
}

/// Makes images and files of the system the user's: no other format has them.
fn move_media(messages: &mut Vec<Message<'_>>) {
    let is_media = |part: &Part<'_>| matches!(part, Part::Image(_) | Part::File(_));
    if !messages.iter().any(|message| message.role == Role::System && message.parts.iter().any(is_media)) {
        return;
    }
    let mut moved = Vec::with_capacity(messages.len());
    for mut message in std::mem::take(messages) {
        let mut media = Parts::new();
        if message.role == Role::System && message.parts.iter().any(is_media) {
            (media, message.parts) = message.parts.into_iter().partition(is_media);
        }
        let path = message.path;
        moved.push(message);
        if !media.is_empty() {
            moved.push(Message { role: Role::User, parts: media, path });
        }
    }
    *messages = moved;
}

/// Names JSON in a call for one JSON object: OpenAI refuses such a call without the word.
fn request_json(call: &mut Call<'_>, to: Format) {
    let is_needed = matches!(call.output, OutputFormat::JsonObject) && matches!(to, Format::Chat | Format::Responses);
    let is_word = |letters: &[u8]| letters.eq_ignore_ascii_case(b"json");
    let says = |part: &Part<'_>| matches!(part, Part::Text(text) if text.text.as_bytes().windows(4).any(is_word));
    // The Responses API does not look for the word in its instructions, of which a first message of the system becomes a part.
    let mut messages =
        call.messages.iter().skip_while(|message| to == Format::Responses && message.role == Role::System);
    if is_needed && !messages.any(|message| message.parts.iter().any(says)) {
        let at = call.messages.iter().rposition(|message| message.role == Role::User);
        match at.and_then(|at| call.messages.get_mut(at)) {
            Some(message) => message.parts.push(Part::text(ONE_OBJECT)),
            None => call.messages.push(Message {
                role: Role::User,
                parts: smallvec![Part::text(ONE_OBJECT)],
                path: MessagePath::new("messages"),
            }),
        }
    }
}

/// The length of data that is no text, beyond that of the text with about as many tokens.
fn data_bytes(part: &Part<'_>) -> usize {
    let source = match part {
        Part::Image(image) => &image.source,
        Part::File(file) => &file.source,
        Part::ToolResult(result) => return result.content.iter().map(data_bytes).sum(),
        Part::Text(_) | Part::Refusal(_) | Part::ToolCall(_) | Part::State(_) => return 0,
    };
    match source {
        Source::Base64 { data, .. } => data.len().saturating_sub(DATA_AS_TEXT_BYTES),
        Source::Url(_) => 0,
    }
}

/// A client of Messages may begin the response; OpenAI's formats and most Claudes cannot continue it.
fn continue_prefill(call: &mut Call<'_>, notes: &mut Notes<'_>) {
    // OpenAI's clients expect a new message.
    let is_claude = notes.to == Format::Messages;
    let continues =
        if is_claude { models::claude(notes.options.known_model).prefill } else { call.from != Format::Messages };
    let Some(last) = call.messages.last_mut().filter(|last| last.role == Role::Assistant) else { return };
    if !continues {
        let path = last.path;
        call.messages.push(Message { role: Role::User, parts: smallvec![Part::text(CONTINUE)], path });
        notes.drop("prefill");
    } else if is_claude && let Some(Part::Text(text)) = last.parts.last_mut() {
        // Anthropic refuses blanks at the end.
        text.text = text.text.trim_end().to_owned().into();
    }
}

#[cfg(test)]
mod tests;
