//! State that Tollgate wrote, in calls that pass unchanged: after a client changed the model, its provider would refuse it.

mod edits;
mod gemini;

use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;

use super::super::UntranslatableCall;
use super::super::capsule::CAPSULE_PREFIX;
use super::super::signature::SIGNATURE_PREFIX;
use super::json::{Node, Object, ObjectWriter, Outcome, list};
use super::models;
use crate::format::Format;
use edits::{Change, ElementEdit, elements, has_state, with};
pub(super) use gemini::NO_SIGNATURE;

/// Begins the types of edits of the context that only concern earlier reasoning.
pub(super) const THINKING_EDIT: &str = "clear_thinking_";

/// Whether a body may have state: it has the text that begins it.
pub(super) fn may_have_state(format: Format, body: &[u8]) -> bool {
    let prefix = if format == Format::GenerateContent { SIGNATURE_PREFIX } else { CAPSULE_PREFIX };
    memmem::find(body, prefix.as_bytes()).is_some()
}

/// Returns the body without the state; `None` if it has none. See [`crate::translate::without_state`].
pub(super) fn without_state(format: Format, model: &str, body: &[u8]) -> Option<Bytes> {
    if !may_have_state(format, body) {
        return None;
    }
    let (name, change): (_, Change) = match format {
        Format::Messages => ("messages", message),
        Format::Responses => ("input", item),
        Format::Chat => ("messages", chat_message),
        Format::GenerateContent if models::gemini(model).levels => ("contents", gemini::content::<true>),
        Format::GenerateContent => ("contents", gemini::content::<false>),
        Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => return None,
    };
    // A body of another form is for the provider to refuse.
    let body = Object::body(body).ok()?;
    let changed = elements(&body.get(name)?, change).ok()??;
    let forbids_thinking = format == Format::Messages && lacks_thinking(&body, &changed).unwrap_or(false);
    let mut out = ObjectWriter::new();
    for (key, raw) in body.into_fields() {
        match key.as_ref() {
            key if key == name => out.raw(key, &changed),
            "thinking" if forbids_thinking => out.raw("thinking", r#"{"type":"disabled"}"#),
            "context_management" if forbids_thinking => out.raw("context_management", &without_thinking_edits(raw)),
            key => out.raw(key, raw.get()),
        };
    }
    Some(Bytes::from(out.finish()))
}

/// Whether the call continues a loop of tools whose thinking was removed: then Anthropic refuses `thinking: enabled`.
fn lacks_thinking(body: &Object<'_>, messages: &str) -> Outcome<bool> {
    let thinking = body.object("thinking")?.map(|thinking| thinking.text("type")).transpose()?.flatten();
    let Ok(raw) = serde_json::from_str(messages) else { return Ok(false) };
    if thinking.as_deref() != Some("enabled") {
        return Ok(false);
    }
    // Of the last message of the assistant, and of those behind it.
    let mut begins_without = false;
    let mut continues = false;
    for message in Node::root(raw).list()? {
        let message = message.object()?;
        let kinds = kinds(&message)?;
        match message.text("role")?.as_deref() {
            Some("user") => continues |= kinds.iter().any(|kind| kind == "tool_result"),
            Some("assistant") => {
                begins_without = !kinds.first().is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking");
                continues = false;
            }
            _ => {}
        }
    }
    Ok(continues && begins_without)
}

/// The types of a message's blocks.
fn kinds(message: &Object<'_>) -> Outcome<Vec<String>> {
    let Some(content) = message.get("content").filter(|content| !content.is_text()) else { return Ok(Vec::new()) };
    let kind = |block: &Node<'_>| Ok(block.object()?.text("type")?.unwrap_or_default().into_owned());
    content.list()?.map(|block| kind(&block)).collect()
}

/// Returns the value of `context_management` without edits of thinking: Anthropic refuses them while it is disabled.
fn without_thinking_edits(raw: &RawValue) -> String {
    let edited = || {
        let management = Node::root(raw).object()?;
        let mut kept = Vec::new();
        for edit in management.list("edits")? {
            if !edit.object()?.text("type")?.is_some_and(|kind| kind.starts_with(THINKING_EDIT)) {
                kept.push(edit.raw.get());
            }
        }
        Ok::<_, UntranslatableCall>(with(management, "edits", &list(&kept)))
    };
    edited().unwrap_or_else(|_| raw.get().to_owned())
}

fn message(node: &Node<'_>) -> Outcome<ElementEdit> {
    let message = node.object()?;
    let Some(changed) = message.get("content").map_or(Ok(None), |content| elements(&content, block))? else {
        return Ok(ElementEdit::Same);
    };
    // An assistant's message without content is refused.
    Ok(if changed == "[]" { ElementEdit::Removed } else { ElementEdit::Changed(with(message, "content", &changed)) })
}

fn block(node: &Node<'_>) -> Outcome<ElementEdit> {
    let block = node.object()?;
    let state = match block.text("type")?.as_deref() {
        Some("thinking") => block.text("signature")?,
        Some("redacted_thinking") => block.text("data")?,
        _ => None,
    };
    Ok(if state.is_some_and(|state| state.starts_with(CAPSULE_PREFIX)) {
        ElementEdit::Removed
    } else {
        ElementEdit::Same
    })
}

fn item(node: &Node<'_>) -> Outcome<ElementEdit> {
    let item = node.object()?;
    let is_reasoning = item.text("type")?.as_deref() == Some("reasoning");
    let state = if is_reasoning { item.text("encrypted_content")? } else { None };
    Ok(if state.is_some_and(|state| state.starts_with(CAPSULE_PREFIX)) {
        ElementEdit::Removed
    } else {
        ElementEdit::Same
    })
}

fn chat_message(node: &Node<'_>) -> Outcome<ElementEdit> {
    let message = node.object()?;
    let changed = message.get("tool_calls").map_or(Ok(None), |calls| elements(&calls, chat_call))?;
    Ok(changed.map_or(ElementEdit::Same, |changed| ElementEdit::Changed(with(message, "tool_calls", &changed))))
}

fn chat_call(node: &Node<'_>) -> Outcome<ElementEdit> {
    let call = node.object()?;
    if !call.get("extra_content").is_some_and(|extra| has_state(&extra)) {
        return Ok(ElementEdit::Same);
    }
    let mut out = ObjectWriter::new();
    for (key, raw) in call.into_fields() {
        if key != "extra_content" {
            out.raw(&key, raw.get());
        }
    }
    Ok(ElementEdit::Changed(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, body: &str, expected: Option<&str>) {
        let changed = without_state(format, "gemini-3.8-flash", body.as_bytes());
        assert_eq!(changed.as_deref().map(|body| std::str::from_utf8(body).unwrap()), expected);
    }

    #[test]
    fn only_state_of_tollgate_is_removed() {
        check(
            Format::Messages,
            r#"{"model":"m", "messages":[{"role":"user","content":"tg1.x"},{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"tg1.A"},{"type":"thinking","thinking":"a","signature":"EqQ"},{"type":"text","text":"tg1.b"}]},{"role":"assistant","content":[{"type":"redacted_thinking","data":"tg1.A"}]}],"top_k":1.50}"#,
            Some(
                r#"{"model":"m","messages":[{"role":"user","content":"tg1.x"},{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"EqQ"},{"type":"text","text":"tg1.b"}]}],"top_k":1.50}"#,
            ),
        );
        check(
            Format::Responses,
            r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"tg1.A"},{"role":"user","content":"a"}]}"#,
            Some(r#"{"input":[{"role":"user","content":"a"}]}"#),
        );
        check(
            Format::Chat,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"a","extra_content":{"google":{"thought_signature":"tg1.A"}},"type":"function"}]}]}"#,
            Some(r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function"}]}]}"#),
        );
    }

    #[test]
    fn a_call_of_gemini_gets_a_signature_that_its_model_accepts() {
        let body = |signature: &str| {
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"dGcxL"}}]}},{{"role":"model","parts":[{{"text":"","thoughtSignature":"CiQB"}},{{"functionCall":{{"name":"f"}}{signature}}}]}}]}}"#
            )
        };
        let state = r#","thoughtSignature":"dGcxLkE=""#;
        let placeholder = format!(r#","thoughtSignature":"{NO_SIGNATURE}""#);
        check(Format::GenerateContent, &body(state), Some(&body(&placeholder)));
        check(Format::GenerateContent, &body(r#","thoughtSignature":"CiQB""#), None);
        let earlier = without_state(Format::GenerateContent, "gemini-2.5-pro", body(state).as_bytes());
        assert_eq!(earlier.as_deref(), Some(body("").as_bytes()));
    }

    #[test]
    fn a_loop_of_tools_goes_on_without_thinking_where_its_state_is_removed() {
        let body = |first: &str, kind: &str, last: &str, edits: &str| {
            format!(
                r#"{{"thinking":{{"type":"{kind}"}},"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{first}{{"type":"tool_use","id":"t"}}]}},{{"role":"user","content":[{{"type":"{last}"}}]}},{{"role":"system","content":"b"}}],"context_management":{{"edits":[{edits}{{"type":"clear_tool_uses_20250919"}}]}}}}"#
            )
        };
        let state = r#"{"type":"thinking","signature":"tg1.A"},"#;
        let edit = r#"{"type":"clear_thinking_20251015"},"#;
        let sent = body("", "disabled", "tool_result", "");
        check(Format::Messages, &body(state, "enabled", "tool_result", edit), Some(&sent));
        // Other calls keep their thinking.
        for (kind, last) in [("adaptive", "tool_result"), ("enabled", "text")] {
            check(Format::Messages, &body(state, kind, last, edit), Some(&body("", kind, last, edit)));
        }
        let own = r#"{"type":"thinking","signature":"EqQ"},"#;
        let mixed = body(&format!("{own}{state}"), "enabled", "tool_result", edit);
        check(Format::Messages, &mixed, Some(&body(own, "enabled", "tool_result", edit)));
    }

    #[test]
    fn other_bodies_pass_unchanged() {
        for (format, body) in [
            (Format::Messages, r#"{"messages":[{"role":"user","content":"a"}]}"#),
            (Format::Messages, r#"{"messages":[{"role":"user","content":"tg1.x"}]}"#),
            (Format::Messages, r#"{"messages":"tg1."}"#),
            (Format::Responses, r#"{"input":"tg1.A"}"#),
            (Format::Responses, r#"{"input":[7,"tg1."]}"#),
            (Format::Embeddings, r#"{"input":"tg1.A"}"#),
        ] {
            check(format, body, None);
        }
    }
}
