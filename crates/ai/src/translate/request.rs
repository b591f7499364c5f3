//! Requests: decoders of the client's format, encoders of the provider's.

mod decode;
mod encode;
mod foreign_state;
mod json;
mod models;
mod names;
mod notes;
mod order;
mod schema;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::call::{Call, Message, Part, Role};
use super::{DroppedFields, ResponseContext, TranslatedRequest, TranslationOptions, UntranslatableCall};
use crate::format::Format;
use notes::Notes;

/// The request to continue a message of the assistant, for models that begin a new one.
const CONTINUE: &str = "Continue exactly where you stopped.";

pub(super) fn without_state(format: Format, body: &[u8]) -> Option<Bytes> {
    foreign_state::without_state(format, body)
}

pub(super) fn translate(
    from: Format,
    to: Format,
    body: &[u8],
    options: &TranslationOptions<'_>,
) -> Result<TranslatedRequest, UntranslatableCall> {
    let mut notes = Notes::new(to, options);
    let mut call = decode::decode(from, body, &mut notes)?;
    order::place_results(&mut call.messages)?;
    continue_prefill(&mut call, &mut notes);
    let encoded = encode::encode(&mut call, &mut notes)?;
    if let (DroppedFields::Refuse, Some(param)) = (options.dropped, notes.dropped().first()) {
        let message =
            format!("`{param}` is not available for this model, whose provider has another format: leave it out");
        return Err(UntranslatableCall { param: param.clone(), message });
    }
    let (names, dropped) = notes.finish();
    let context = ResponseContext {
        client: from,
        provider: to,
        kind: options.kind,
        streamed: call.stream,
        include_usage: call.include_usage,
        provider_model: options.model.to_owned(),
        owner: options.owner.to_owned(),
        tools: names.renamed(),
        stop_sequences: call.stop,
        input_bytes: body.len(),
        echo: call.echo.into_iter().map(|(name, raw)| (name, RawValue::to_owned(raw))).collect(),
        model: call.model,
    };
    Ok(TranslatedRequest { body: Bytes::from(encoded), dropped, context })
}

/// A client of Messages may begin the response; OpenAI's formats and most Claudes cannot continue it.
fn continue_prefill(call: &mut Call<'_>, notes: &mut Notes<'_>) {
    // OpenAI's clients expect a new message.
    let is_claude = notes.to == Format::Messages;
    let continues = if is_claude { models::claude(notes.options.model).prefill } else { call.from != Format::Messages };
    let Some(last) = call.messages.last_mut().filter(|last| last.role == Role::Assistant) else { return };
    if !continues {
        let path = last.path.clone();
        call.messages.push(Message { role: Role::User, parts: vec![Part::text(CONTINUE)], path });
        notes.drop("prefill");
    } else if let (true, Some(Part::Text(text))) = (is_claude, last.parts.last_mut()) {
        // Anthropic refuses blanks at the end.
        text.text = text.text.trim_end().to_owned().into();
    }
}

#[cfg(test)]
mod tests;
