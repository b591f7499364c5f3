//! Calls that pass in their client's format to a model that the client has not named: fields that this model refuses, or spells
//! otherwise, are those that a translated call would have.

use super::super::call::Effort;
use super::claude_surface::FittedBody;
use super::decode::effort_of_budget;
use super::encode::{differs, thinking_budget, thinking_level};
use super::json::{Node, Object, ObjectWriter, Outcome, quoted, refused};
use super::models::{self, Thinking};
use super::stops::{GOOGLE_STOPS_MAX, OPENAI_STOPS_MAX, check_stop};
use crate::format::Format;
use crate::provider::ProviderKind;

/// The least budget of a Claude, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// The target of a call.
#[derive(Debug, Clone, Copy)]
pub struct NativeTarget<'a> {
    /// The name by which the rules of the model are known.
    pub known_model: &'a str,
    /// The kind of the provider.
    pub kind: ProviderKind,
    /// The host of the provider's URL.
    pub host: &'a str,
}

/// Returns the body as the target takes it; `None` if it takes the body as it is.
///
/// # Errors
/// The target cannot do what a field says.
pub(super) fn adapted(format: Format, target: NativeTarget<'_>, body: &[u8]) -> Outcome<Option<FittedBody>> {
    let Ok(object) = Object::body(body) else { return Ok(None) };
    let mut fit = Fit { target, dropped: Vec::new(), is_changed: false };
    let body = match format {
        Format::Chat => fit.chat(object)?,
        Format::Responses => fit.responses(object)?,
        Format::Messages => fit.messages(object)?,
        Format::GenerateContent => fit.generate_content(object)?,
        Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => return Ok(None),
    };
    Ok(fit.is_changed.then_some(FittedBody { body, dropped: fit.dropped }))
}

struct Fit<'a> {
    target: NativeTarget<'a>,
    dropped: Vec<String>,
    is_changed: bool,
}

impl Fit<'_> {
    /// Leaves a field out; its name is noted if it says anything but what the model does anyway.
    fn leave_out(&mut self, path: &str, is_lost: bool) {
        self.is_changed = true;
        if is_lost {
            self.dropped.push(path.to_owned());
        }
    }

    fn is_openai(&self) -> bool {
        models::is_host_of_openai(self.target.kind, self.target.host)
    }

    fn chat(&mut self, object: Object<'_>) -> Outcome<String> {
        let is_reasoning = models::is_openai_reasoning(self.target.known_model);
        let knows_both = self.is_openai() && !is_reasoning;
        let old = object.get("max_tokens").is_some();
        let new = object.get("max_completion_tokens").is_some();
        check_stop(&object, "stop", if self.is_openai() { Some(OPENAI_STOPS_MAX) } else { None })?;
        let has_stop = object.get("stop").is_some_and(|stop| !stop.is_empty());
        if is_reasoning && self.is_openai() && has_stop {
            return Err(refused("stop", "is not available for this model, which reasons: leave it out"));
        }
        let mut out = ObjectWriter::new();
        for (key, raw) in object.into_fields() {
            match key.as_ref() {
                "max_tokens" if is_reasoning && new => self.leave_out("max_tokens", false),
                "max_tokens" if is_reasoning => {
                    self.is_changed = true;
                    out.raw("max_completion_tokens", raw.get());
                }
                "max_completion_tokens" if !is_reasoning && !knows_both && old => {
                    self.leave_out("max_completion_tokens", false);
                }
                "max_completion_tokens" if !is_reasoning && !knows_both => {
                    self.is_changed = true;
                    out.raw("max_tokens", raw.get());
                }
                "temperature" | "top_p" if is_reasoning => self.leave_out(&key, differs(Some(raw), 1.0)),
                "frequency_penalty" | "presence_penalty" if is_reasoning => {
                    self.leave_out(&key, differs(Some(raw), 0.0));
                }
                "verbosity" if !is_reasoning => self.leave_out(&key, raw.get() != "null"),
                "reasoning_effort" => self.effort(&Node::named(key.to_string(), raw), &mut out, "reasoning_effort")?,
                key => _ = out.raw(key, raw.get()),
            }
        }
        Ok(out.finish())
    }

    /// Writes the nearest effort that a model of OpenAI's accepts; other models have none.
    fn effort(&mut self, node: &Node<'_>, out: &mut ObjectWriter, name: &str) -> Outcome<()> {
        let word = if node.is_text() { node.text()?.into_owned() } else { String::new() };
        match (Effort::parse(&word), models::efforts(self.target.known_model)) {
            (Some(wanted), Some(efforts)) if efforts.nearest(wanted) != wanted => {
                self.is_changed = true;
                out.text(name, efforts.nearest(wanted).as_str());
            }
            (Some(wanted), None) => self.leave_out(&node.path, wanted != Effort::None),
            (Some(_) | None, Some(_)) | (None, None) => _ = out.raw(name, node.raw.get()),
        }
        Ok(())
    }

    fn responses(&mut self, object: Object<'_>) -> Outcome<String> {
        let is_reasoning = models::is_openai_reasoning(self.target.known_model);
        let mut out = ObjectWriter::new();
        for (key, raw) in object.into_fields() {
            match key.as_ref() {
                "temperature" | "top_p" if is_reasoning => self.leave_out(&key, differs(Some(raw), 1.0)),
                "reasoning" if raw.get().starts_with('{') => {
                    let mut inner = ObjectWriter::new();
                    let node = Node::named(key.to_string(), raw);
                    for (name, value) in node.object()?.into_fields() {
                        if name == "effort" {
                            let effort = Node::named("reasoning.effort".to_owned(), value);
                            self.effort(&effort, &mut inner, "effort")?;
                        } else {
                            inner.raw(&name, value.get());
                        }
                    }
                    let inner = inner.finish();
                    if inner.len() > 2 || raw.get().len() == 2 {
                        out.raw("reasoning", &inner);
                    }
                }
                key => _ = out.raw(key, raw.get()),
            }
        }
        Ok(out.finish())
    }

    fn messages(&mut self, object: Object<'_>) -> Outcome<String> {
        let rules = models::claude(self.target.known_model);
        let thinking = object.object("thinking")?;
        let kind = thinking.as_ref().map(|thinking| thinking.text("type")).transpose()?.flatten().unwrap_or_default();
        let budget = thinking.as_ref().map(|thinking| thinking.count("budget_tokens")).transpose()?.flatten();
        let max = object.count("max_tokens")?;
        let config = object.object("output_config")?;
        let effort = config.as_ref().map(|config| config.text("effort")).transpose()?.flatten();
        let wanted = effort.as_deref().and_then(Effort::parse).or(budget.map(effort_of_budget));
        // Since Claude 4.7, `enabled` is refused.
        let is_adapted = kind == "enabled" && rules.is_adaptive() && !rules.sampling;
        let mut has_config = false;
        let mut out = ObjectWriter::new();
        for (key, raw) in object.into_fields() {
            match key.as_ref() {
                "temperature" | "top_p" if !rules.sampling => self.leave_out(&key, differs(Some(raw), 1.0)),
                "top_k" if !rules.sampling => self.leave_out(&key, raw.get() != "null"),
                "thinking" if is_adapted => {
                    self.is_changed = true;
                    out.raw("thinking", &ObjectWriter::of_type("adaptive").finish());
                }
                "thinking" if kind == "adaptive" && rules.thinking == Thinking::Budget => {
                    let budget = thinking_budget(wanted.unwrap_or(Effort::Medium)).min(max.unwrap_or(u64::MAX) / 2);
                    if budget < BUDGET_MIN {
                        self.leave_out("thinking", true);
                    } else {
                        self.is_changed = true;
                        out.raw("thinking", &ObjectWriter::of_type("enabled").count("budget_tokens", budget).finish());
                    }
                }
                "thinking" if kind == "disabled" && rules.thinking == Thinking::Always => {
                    self.leave_out("thinking", true);
                }
                "thinking" if rules.thinking == Thinking::Never => self.leave_out("thinking", kind != "disabled"),
                "output_config" if raw.get().starts_with('{') => {
                    has_config = true;
                    let node = Node::named(key.to_string(), raw);
                    let config = self.output_config(&node, is_adapted, wanted)?;
                    if config != "{}" {
                        out.raw("output_config", &config);
                    }
                }
                key => _ = out.raw(key, raw.get()),
            }
        }
        if is_adapted && !has_config {
            let config = ObjectWriter::new().text("effort", claude_effort(wanted, rules.xhigh)).finish();
            out.raw("output_config", &config);
        }
        Ok(out.finish())
    }

    /// Returns the configuration of the output with the effort that the model has.
    fn output_config(&mut self, node: &Node<'_>, is_adapted: bool, wanted: Option<Effort>) -> Outcome<String> {
        let rules = models::claude(self.target.known_model);
        let mut out = ObjectWriter::new();
        let mut has_effort = false;
        for (key, raw) in node.object()?.into_fields() {
            if key != "effort" {
                out.raw(&key, raw.get());
            } else if !rules.is_adaptive() {
                self.leave_out("output_config.effort", raw.get() != "null");
            } else {
                has_effort = true;
                let is_high = raw.get() == "\"xhigh\"" && !rules.xhigh;
                self.is_changed |= is_high;
                out.raw("effort", if is_high { "\"high\"" } else { raw.get() });
            }
        }
        if is_adapted && !has_effort {
            out.text("effort", claude_effort(wanted, rules.xhigh));
        }
        Ok(out.finish())
    }

    fn generate_content(&mut self, object: Object<'_>) -> Outcome<String> {
        let mut out = ObjectWriter::new();
        for (key, raw) in object.into_fields() {
            if matches!(key.as_ref(), "generationConfig" | "generation_config") && raw.get().starts_with('{') {
                let node = Node::named(key.to_string(), raw);
                out.raw(&key, &self.generation_config(&node)?);
            } else {
                out.raw(&key, raw.get());
            }
        }
        Ok(out.finish())
    }

    fn generation_config(&mut self, node: &Node<'_>) -> Outcome<String> {
        let rules = models::gemini(self.target.known_model);
        let config = node.object()?;
        for name in ["stopSequences", "stop_sequences"] {
            check_stop(&config, name, Some(GOOGLE_STOPS_MAX))?;
        }
        let mut out = ObjectWriter::new();
        for (key, raw) in config.into_fields() {
            let path = format!("{}.{key}", node.path);
            match key.as_ref() {
                "temperature" | "topP" | "top_p" | "topK" | "top_k" if !rules.sampling => {
                    self.leave_out(&path, raw.get() != "null");
                }
                "presencePenalty" | "presence_penalty" | "frequencyPenalty" | "frequency_penalty"
                    if !rules.penalties =>
                {
                    self.leave_out(&path, differs(Some(raw), 0.0));
                }
                "thinkingConfig" | "thinking_config" if raw.get().starts_with('{') => {
                    let thinking = self.thinking_config(&Node::named(path, raw))?;
                    if thinking != "{}" {
                        out.raw(&key, &thinking);
                    }
                }
                key => _ = out.raw(key, raw.get()),
            }
        }
        Ok(out.finish())
    }

    fn thinking_config(&mut self, node: &Node<'_>) -> Outcome<String> {
        let rules = models::gemini(self.target.known_model);
        let mut out = ObjectWriter::new();
        for (key, raw) in node.object()?.into_fields() {
            let path = format!("{}.{key}", node.path);
            match key.as_ref() {
                "thinkingBudget" | "thinking_budget" if !rules.budget => {
                    // -1 is as much as the model finds useful.
                    let budget = serde_json::from_str::<u64>(raw.get()).ok();
                    match budget {
                        Some(budget) if rules.levels => {
                            self.is_changed = true;
                            out.text("thinkingLevel", thinking_level(effort_of_budget(budget), rules));
                        }
                        Some(_) | None => self.leave_out(&path, !rules.levels && raw.get() != "0"),
                    }
                }
                "thinkingLevel" | "thinking_level" if !rules.levels => {
                    let word = serde_json::from_str::<String>(raw.get()).unwrap_or_default().to_ascii_lowercase();
                    match Effort::parse(&word) {
                        Some(effort) if rules.budget => {
                            self.is_changed = true;
                            out.count("thinkingBudget", thinking_budget(effort));
                        }
                        Some(_) | None => self.leave_out(&path, true),
                    }
                }
                "thinkingLevel" | "thinking_level" => {
                    let word = serde_json::from_str::<String>(raw.get()).unwrap_or_default().to_ascii_lowercase();
                    // The least level of Gemini is that of no effort.
                    let effort = if word == "minimal" { Some(Effort::None) } else { Effort::parse(&word) };
                    let level = effort.map(|effort| thinking_level(effort, rules));
                    let json = level.map_or_else(|| raw.get().to_owned(), quoted);
                    self.is_changed |= !json.eq_ignore_ascii_case(raw.get());
                    out.raw(&key, if json.eq_ignore_ascii_case(raw.get()) { raw.get() } else { &json });
                }
                "includeThoughts" | "include_thoughts" if !rules.levels && !rules.budget => {
                    self.leave_out(&path, raw.get() == "true");
                }
                key => _ = out.raw(key, raw.get()),
            }
        }
        Ok(out.finish())
    }
}

/// The effort of a Claude.
const fn claude_effort(wanted: Option<Effort>, has_xhigh: bool) -> &'static str {
    match wanted {
        Some(Effort::None | Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) => "medium",
        Some(Effort::Xhigh) if has_xhigh => "xhigh",
        Some(Effort::Max) => "max",
        Some(Effort::High | Effort::Xhigh) | None => "high",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target<'a>(known_model: &'a str, host: &'a str) -> NativeTarget<'a> {
        NativeTarget { known_model, kind: ProviderKind::OpenAi, host }
    }

    #[track_caller]
    fn check(format: Format, target: NativeTarget<'_>, body: &Value, expected: &Value, dropped: &[&str]) {
        let fitted = adapted(format, target, body.to_string().as_bytes()).unwrap();
        let (sent, names) = fitted.map_or_else(
            || (body.clone(), Vec::new()),
            |fitted| (serde_json::from_str(&fitted.body).unwrap(), fitted.dropped),
        );
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let expected_names = sorted(dropped.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!((&sent, sorted(names)), (expected, expected_names), "{target:?} {body}");
    }

    const OPENAI: &str = "api.openai.com";

    #[test]
    fn a_chat_call_has_the_fields_of_its_model() {
        let body = json!({"max_tokens": 9, "temperature": 0.2, "top_p": 1, "presence_penalty": 1, "reasoning_effort": "max", "x": 1.50});
        let expected = json!({"max_completion_tokens": 9, "reasoning_effort": "high", "x": 1.50});
        check(Format::Chat, target("gpt-5-mini", OPENAI), &body, &expected, &["temperature", "presence_penalty"]);
        let new = json!({"max_completion_tokens": 9, "temperature": 0.2, "reasoning_effort": "low"});
        let old = json!({"max_tokens": 9, "temperature": 0.2});
        check(Format::Chat, target("qwen3", "vllm.internal"), &new, &old, &["reasoning_effort"]);
        let same = json!({"max_completion_tokens": 9, "temperature": 0.2});
        check(Format::Chat, target("gpt-4o", OPENAI), &new, &same, &["reasoning_effort"]);
        check(Format::Chat, target("gpt-4o", OPENAI), &same, &same, &[]);
        let both = json!({"max_tokens": 8, "max_completion_tokens": 9});
        check(Format::Chat, target("gpt-5", OPENAI), &both, &json!({"max_completion_tokens": 9}), &[]);
        check(Format::Chat, target("qwen3", "vllm.internal"), &both, &json!({"max_tokens": 8}), &[]);
    }

    #[test]
    fn more_stop_texts_than_the_target_takes_are_a_mismatch() {
        let stop = |count: usize| json!({"stop": (0..count).map(|n| n.to_string()).collect::<Vec<_>>()}).to_string();
        let at = |model, host, body: &str| adapted(Format::Chat, target(model, host), body.as_bytes());
        assert!(at("gpt-4o", OPENAI, &stop(4)).is_ok() && at("qwen3", "vllm.internal", &stop(6)).is_ok());
        assert_eq!(at("gpt-4o", OPENAI, &stop(5)).err().unwrap().param, "stop");
        assert_eq!(at("gpt-5", OPENAI, &stop(1)).err().unwrap().param, "stop");
        let google = json!({"generationConfig": {"stopSequences": ["1", "2", "3", "4", "5", "6"]}}).to_string();
        let refused = adapted(Format::GenerateContent, target("gemini-3-pro", "h"), google.as_bytes()).err().unwrap();
        assert_eq!(refused.param, "generationConfig.stopSequences");
    }

    #[test]
    fn a_call_of_responses_has_the_fields_of_its_model() {
        let body = json!({"input": "x", "temperature": 0.2, "reasoning": {"effort": "xhigh", "summary": "auto"}});
        let expected = json!({"input": "x", "reasoning": {"effort": "high", "summary": "auto"}});
        check(Format::Responses, target("gpt-5", OPENAI), &body, &expected, &["temperature"]);
        let plain = json!({"input": "x", "temperature": 0.2, "reasoning": {"effort": "low"}});
        check(
            Format::Responses,
            target("gpt-4o", OPENAI),
            &plain,
            &json!({"input": "x", "temperature": 0.2}),
            &["reasoning.effort"],
        );
    }

    #[test]
    fn a_call_of_messages_thinks_as_its_model_does() {
        let enabled = json!({"max_tokens": 9000, "temperature": 0.5, "top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2048}});
        let adaptive =
            json!({"max_tokens": 9000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}});
        check(Format::Messages, target("claude-opus-4-8", "h"), &enabled, &adaptive, &["temperature", "top_k"]);
        check(Format::Messages, target("claude-sonnet-4-6", "h"), &enabled, &enabled, &[]);
        let budget = json!({"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}});
        check(Format::Messages, target("claude-haiku-4-5", "h"), &adaptive, &budget, &["output_config.effort"]);
        let none = json!({"max_tokens": 9000});
        check(
            Format::Messages,
            target("claude-3-5-haiku", "h"),
            &adaptive,
            &none,
            &["thinking", "output_config.effort"],
        );
        let disabled = json!({"thinking": {"type": "disabled"}});
        check(Format::Messages, target("claude-fable-5", "h"), &disabled, &json!({}), &["thinking"]);
        let xhigh = json!({"output_config": {"effort": "xhigh", "format": {}}});
        let high = json!({"output_config": {"effort": "high", "format": {}}});
        check(Format::Messages, target("claude-sonnet-4-6", "h"), &xhigh, &high, &[]);
    }

    #[test]
    fn a_call_of_gemini_thinks_as_its_model_does() {
        let config = |config: Value| json!({"contents": [], "generationConfig": config});
        let level =
            config(json!({"temperature": 0.1, "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": true}}));
        let budget =
            config(json!({"temperature": 0.1, "thinkingConfig": {"thinkingBudget": 4096, "includeThoughts": true}}));
        check(Format::GenerateContent, target("gemini-2.5-flash", "h"), &level, &budget, &[]);
        check(Format::GenerateContent, target("gemini-3-flash", "h"), &budget, &level, &[]);
        let names =
            ["generationConfig.thinkingConfig.thinkingLevel", "generationConfig.thinkingConfig.includeThoughts"];
        check(
            Format::GenerateContent,
            target("gemini-2.0-flash", "h"),
            &level,
            &config(json!({"temperature": 0.1})),
            &names,
        );
        let sampled = config(json!({"temperature": 0.1, "thinkingConfig": {"thinkingLevel": "minimal"}}));
        let expected = config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}}));
        check(
            Format::GenerateContent,
            target("gemini-3.7-flash", "h"),
            &sampled,
            &expected,
            &["generationConfig.temperature"],
        );
        check(Format::GenerateContent, target("gemini-3-flash", "h"), &sampled, &sampled, &[]);
    }
}
