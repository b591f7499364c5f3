//! Calls of Messages that pass to a host of Claude which takes less than Anthropic: what depends on a feature that the host
//! lacks is removed with it, or rewritten.

use memchr::memmem;

use super::encode::in_tags;
use super::json::{ListWriter, Node, Object, ObjectWriter, Outcome, list, quoted};
use crate::provider::ClaudeSurface;

/// A body for its host, and the fields of the client that it lacks.
pub(super) struct FittedBody {
    pub(super) body: String,
    pub(super) dropped: Vec<String>,
}

const MARK: &str = "cache_control";
/// The part of a mark that says who shares the cache. Only Anthropic has it.
const SCOPE: &str = "scope";

/// Returns the body as `surface` takes it; `None` if it takes all of it as it is. `betas` is the client's list of features.
pub(super) fn fitted(surface: ClaudeSurface, betas: &str, body: &[u8]) -> Outcome<Option<FittedBody>> {
    if surface.takes_all() {
        return Ok(None);
    }
    let object = Object::body(body)?;
    let listed = object.get("anthropic_beta").map_or_else(|| Ok(Vec::new()), |_| object.texts("anthropic_beta"))?;
    let listed = listed.join(",");
    let sent = surface.betas(if listed.is_empty() { betas } else { &listed });
    let mark = object.get(MARK).map(|mark| without_scope(&mark)).transpose()?;
    let mut fit =
        Fit { surface, sent, has_scope: memmem::find(body, b"\"scope\"").is_some(), mark, dropped: Vec::new() };
    let has_system = object.get("system").is_some_and(|system| !system.is_empty());
    let mut out = ObjectWriter::new();
    let mut is_changed = false;
    for (key, raw) in object.into_fields() {
        let node = Node::named(key.to_string(), raw);
        let value = match key.as_ref() {
            MARK => None,
            "anthropic_beta" if fit.sent.is_empty() => None,
            "anthropic_beta" => Some(list(&fit.sent.iter().map(|beta| quoted(beta)).collect::<Vec<_>>())),
            name if !fit.surface.takes_field(name, &fit.sent) => {
                fit.dropped.push(name.to_owned());
                None
            }
            "tools" => Some(fit.tools(&node, !has_system)?),
            "system" => Some(fit.system(&node)?),
            "messages" => Some(fit.messages(&node)?),
            _ => Some(raw.get().to_owned()),
        };
        is_changed |= value.as_deref() != Some(raw.get());
        if let Some(value) = value {
            out.raw(&key, &value);
        }
    }
    Ok(is_changed.then(|| FittedBody { body: out.finish(), dropped: fit.dropped }))
}

/// The rules of a host, for one call.
struct Fit<'a> {
    surface: ClaudeSurface,
    /// The features that are sent.
    sent: Vec<&'a str>,
    /// Whether marks may name who shares the cache.
    has_scope: bool,
    /// The mark of the whole call, which goes to the last block of the prompt that it does not change from turn to turn.
    mark: Option<String>,
    dropped: Vec<String>,
}

impl Fit<'_> {
    fn drop(&mut self, name: &str) {
        if !self.dropped.iter().any(|dropped| dropped == name) {
            self.dropped.push(name.to_owned());
        }
    }

    fn tools(&mut self, tools: &Node<'_>, is_marked: bool) -> Outcome<String> {
        let mut tools = tools.list()?.peekable();
        let mut text = String::new();
        let mut written = ListWriter::new(&mut text);
        while let Some(tool) = tools.next() {
            let mark = if is_marked && tools.peek().is_none() { self.mark.clone() } else { None };
            let mut out = ObjectWriter::new();
            let mut is_changed = false;
            let mut has_mark = false;
            for (key, raw) in tool.object()?.into_fields() {
                has_mark |= key == MARK;
                if !self.surface.takes_tool_field(&key, &self.sent) {
                    self.drop(&format!("tools.{key}"));
                    is_changed = true;
                } else if key == MARK && self.has_scope {
                    out.raw(MARK, &without_scope(&tool.with(raw))?);
                    is_changed = true;
                } else {
                    out.raw(&key, raw.get());
                }
            }
            if !has_mark && let Some(mark) = mark {
                out.raw(MARK, &mark);
                is_changed = true;
            }
            if is_changed {
                written.push(&out.finish());
            } else {
                written.push(tool.raw.get());
            }
        }
        written.end();
        Ok(text)
    }

    fn system(&mut self, system: &Node<'_>) -> Outcome<String> {
        let mark = self.mark.clone();
        if system.is_text() {
            let mark = match mark {
                Some(mark) if system.raw.get() != "\"\"" => mark,
                Some(_) | None => return Ok(system.raw.get().to_owned()),
            };
            let block = ObjectWriter::of_type("text").with_raw("text", system.raw.get()).with_raw(MARK, &mark).end();
            return Ok(list(&[block]));
        }
        let mut blocks = system.list()?.peekable();
        let mut text = String::new();
        let mut written = ListWriter::new(&mut text);
        while let Some(block) = blocks.next() {
            let mark = if blocks.peek().is_none() { mark.as_deref() } else { None };
            written.push(&self.block(&block, mark)?);
        }
        written.end();
        Ok(text)
    }

    fn messages(&self, messages: &Node<'_>) -> Outcome<String> {
        let is_rewritten =
            !self.surface.takes_system_turns() && memmem::find(messages.raw.get().as_bytes(), b"\"system\"").is_some();
        if !is_rewritten && !self.has_scope {
            return Ok(messages.raw.get().to_owned());
        }
        let mut text = String::new();
        let mut written = ListWriter::new(&mut text);
        for message in messages.list()? {
            let object = message.object()?;
            let is_system = is_rewritten && object.text("role")?.as_deref() == Some("system");
            let mut out = ObjectWriter::new();
            for (key, raw) in object.into_fields() {
                match key.as_ref() {
                    "role" if is_system => _ = out.text("role", "user"),
                    "content" if is_system => _ = out.raw("content", &self.as_user(&message.with(raw))?),
                    "content" if self.has_scope && !raw.get().starts_with('"') => {
                        let blocks: Outcome<Vec<String>> =
                            message.with(raw).list()?.map(|block| self.block(&block, None)).collect();
                        out.raw("content", &list(&blocks?));
                    }
                    key => _ = out.raw(key, raw.get()),
                }
            }
            written.push(&out.finish());
        }
        written.end();
        Ok(text)
    }

    /// Returns the content of a turn of the system as that of a user, whose texts have tags.
    fn as_user(&self, content: &Node<'_>) -> Outcome<String> {
        if content.is_text() {
            return Ok(quoted(&in_tags(&content.text()?)));
        }
        let mut written = Vec::new();
        for block in content.list()? {
            let object = block.object()?;
            let text = object.text("text")?;
            let mut out = ObjectWriter::new();
            for (key, raw) in object.into_fields() {
                match (key.as_ref(), &text) {
                    ("text", Some(text)) => _ = out.text("text", &in_tags(text)),
                    (MARK, _) => _ = out.raw(MARK, &without_scope(&block.with(raw))?),
                    (key, _) => _ = out.raw(key, raw.get()),
                }
            }
            written.push(out.finish());
        }
        Ok(list(&written))
    }

    /// Returns a block, with this mark unless it has one.
    fn block(&self, block: &Node<'_>, mark: Option<&str>) -> Outcome<String> {
        let object = block.object()?;
        let has_mark = object.get(MARK).is_some();
        if !(has_mark && self.has_scope) && (has_mark || mark.is_none()) {
            return Ok(block.raw.get().to_owned());
        }
        let mut out = ObjectWriter::new();
        for (key, raw) in object.into_fields() {
            match key.as_ref() {
                MARK if raw.get() == "null" => {}
                MARK => _ = out.raw(MARK, &without_scope(&block.with(raw))?),
                key => _ = out.raw(key, raw.get()),
            }
        }
        if !has_mark && let Some(mark) = mark {
            out.raw(MARK, mark);
        }
        Ok(out.finish())
    }
}

/// Returns a mark that does not say who shares the cache.
fn without_scope(mark: &Node<'_>) -> Outcome<String> {
    if !mark.is_object() {
        return Ok(mark.raw.get().to_owned());
    }
    let mut out = ObjectWriter::new();
    for (key, raw) in mark.object()?.into_fields() {
        if key != SCOPE {
            out.raw(&key, raw.get());
        }
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOSTS: [ClaudeSurface; 3] =
        [ClaudeSurface::Vertex, ClaudeSurface::BedrockRuntime, ClaudeSurface::BedrockMantle];

    /// Returns the body at a host with the names that were dropped; `None` if it is unchanged.
    fn fitted_body(surface: ClaudeSurface, betas: &str, body: &Value) -> Option<(Value, Vec<String>)> {
        let fitted = fitted(surface, betas, body.to_string().as_bytes()).unwrap()?;
        Some((serde_json::from_str(&fitted.body).unwrap(), fitted.dropped))
    }

    #[test]
    fn a_turn_of_the_system_becomes_one_of_the_user() {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "system", "content": "agents"},
            {"role": "user", "content": [{"type": "text", "text": "the \"system\" is up"}]},
            {"role": "system", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
        ]});
        for host in HOSTS {
            let (sent, dropped) = fitted_body(host, "mid-conversation-system-2026-04-07", &body).unwrap();
            let expected = json!([
                {"role": "user", "content": "x"},
                {"role": "user", "content": "<system>\nagents\n</system>"},
                {"role": "user", "content": [{"type": "text", "text": "the \"system\" is up"}]},
                {"role": "user", "content": [
                    {"type": "text", "text": "<system>\nb\n</system>", "cache_control": {"type": "ephemeral"}},
                ]},
            ]);
            assert_eq!((&sent["messages"], dropped.len()), (&expected, 0), "{host:?}");
        }
        assert!(fitted_body(ClaudeSurface::Anthropic, "", &body).is_none());
    }

    #[test]
    fn fields_without_their_feature_and_unknown_ones_are_left_out_and_named() {
        let body = json!({"model": "m", "speed": "fast", "context_management": {"edits": []}, "later": 1, "max_tokens": 5,
            "tools": [{"name": "t", "input_schema": {}, "defer_loading": true, "eager_input_streaming": true}], "messages": []});
        let (sent, dropped) = fitted_body(ClaudeSurface::Vertex, "effort-2025-11-24", &body).unwrap();
        let expected =
            json!({"model": "m", "max_tokens": 5, "tools": [{"name": "t", "input_schema": {}}], "messages": []});
        assert_eq!(sent, expected);
        let names = ["speed", "context_management", "later", "tools.defer_loading", "tools.eager_input_streaming"];
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(dropped), sorted(names.map(str::to_owned).to_vec()));
        let betas = "context-management-2025-06-27,advanced-tool-use-2025-11-20,fine-grained-tool-streaming-2025-05-14";
        let (sent, dropped) = fitted_body(ClaudeSurface::BedrockMantle, betas, &body).unwrap();
        assert_eq!((&sent["tools"], sorted(dropped)), (&body["tools"], vec!["later".to_owned(), "speed".to_owned()]));
        assert_eq!(sent["context_management"], body["context_management"]);
    }

    #[test]
    fn a_plain_call_is_not_changed() {
        let body = json!({"model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "t", "input_schema": {}}], "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"},
            "messages": [{"role": "user", "content": "x"}], "stream": true});
        for host in HOSTS {
            assert!(fitted_body(host, "effort-2025-11-24", &body).is_none(), "{host:?}");
        }
    }

    #[test]
    fn the_mark_of_the_whole_call_goes_to_the_last_block_of_the_prompt() {
        let mark = json!({"type": "ephemeral"});
        let tools = json!([{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}}]);
        let own = json!({"type": "ephemeral", "ttl": "1h"});
        for (system, of_system, of_tool) in [
            (json!("s"), json!([{"type": "text", "text": "s", "cache_control": mark}]), Value::Null),
            (
                json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
                json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": mark}]),
                Value::Null,
            ),
            (
                json!([{"type": "text", "text": "a", "cache_control": own}]),
                json!([{"type": "text", "text": "a", "cache_control": own}]),
                Value::Null,
            ),
            (json!([]), json!([]), mark.clone()),
        ] {
            let body = json!({"model": "m", "cache_control": mark, "system": system, "tools": tools, "messages": []});
            let (sent, dropped) = fitted_body(ClaudeSurface::Vertex, "", &body).unwrap();
            assert_eq!((&sent["system"], &sent["tools"][1]["cache_control"]), (&of_system, &of_tool), "{system}");
            assert!(dropped.is_empty() && sent.get("cache_control").is_none());
        }
    }

    #[test]
    fn marks_do_not_say_who_shares_the_cache_and_bodies_list_known_features() {
        let mark = json!({"type": "ephemeral", "ttl": "1h", "scope": "global"});
        let plain = json!({"type": "ephemeral", "ttl": "1h"});
        let body = |mark: &Value, betas: Value| {
            let block = json!({"type": "text", "text": "s", "cache_control": mark});
            json!({"model": "m", "anthropic_beta": betas, "system": [block], "tools": [{"name": "t", "cache_control": mark}],
                "messages": [{"role": "user", "content": [block]}, {"role": "user", "content": "plain"}]})
        };
        let betas = json!(["prompt-caching-scope-2026-01-05", "interleaved-thinking-2025-05-14"]);
        let (sent, _) = fitted_body(ClaudeSurface::BedrockRuntime, "", &body(&mark, betas)).unwrap();
        assert_eq!(sent, body(&plain, json!(["interleaved-thinking-2025-05-14"])));
    }

    #[test]
    fn bodies_of_another_form_are_for_the_host_to_refuse() {
        for body in [r#"{"messages":{},"x":"\"system\""}"#, r#"{"tools":1}"#, r#"{"anthropic_beta":1}"#, "[]"] {
            assert!(
                fitted(ClaudeSurface::Vertex, "", body.as_bytes()).is_ok_and(|fitted| fitted.is_some())
                    || fitted(ClaudeSurface::Vertex, "", body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
