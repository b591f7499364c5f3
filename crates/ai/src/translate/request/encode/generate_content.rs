//! Gemini's `generateContent`. The path names the model and requests the stream, so the body has neither.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::foreign_state::NO_SIGNATURE;
use super::super::json::{ObjectWriter, Outcome, TurnWriter, list, quoted, refused};
use super::super::models::{self, GeminiRules};
use super::super::notes::Notes;
use super::super::schema;
use super::super::stops::{GOOGLE_STOPS_MAX, check_stops};
use super::parts::{
    Encoded, OPENING, as_text, differs, joined, mention_marks, misplaced, openai_fields, output_path,
    output_tokens_max, split_system, stop_path, tagged, texts, verbosity_path,
};
use super::thinking;
use crate::translate::call::{
    Call, Effort, Message, OutputFormat, Part, Role, Source, TextPart, ToolCall, ToolChoice, ToolResult,
};
use crate::translate::call_ids::call_id;

/// The URLs that Google itself reads: those of its Files API.
const FILES: &str = "https://generativelanguage.googleapis.com/";

pub(super) fn encode(call: &Call<'_>, notes: &mut Notes<'_>) -> Encoded {
    let options = notes.options;
    let rules = models::gemini(options.known_model);
    mention_marks(call, notes);
    let mut out = ObjectWriter::new();
    let (system, rest) = split_system(&call.messages);
    let mut turns = Turns { turns: TurnWriter::new(out.list("contents"), "parts"), names: BTreeMap::new(), rules };
    rest.iter().try_for_each(|message| turns.message(message))?;
    let mut system: Vec<String> = texts(system).map(text_part).collect();
    if turns.turns.role().is_none() {
        system.drain(..).for_each(|part| turns.turns.add("user", &part));
    }
    turns.turns.end();
    if !system.is_empty() {
        out.raw_first("systemInstruction", &ObjectWriter::new().raw("parts", &list(&system)).finish());
    }
    tools(call, &mut out);
    if call.parallel_tools == Some(false) {
        notes.drop("parallel_tool_calls");
    }
    let mut config = ObjectWriter::new();
    if let Some(max) = output_tokens_max(call.output_tokens_max, options.output_tokens_max) {
        config.count("maxOutputTokens", max);
    }
    sampling(call, rules, notes, &mut config);
    output(call, rules, &mut config)?;
    thinking(call, rules, notes, &mut config);
    if !call.stop.is_empty() {
        check_stops(stop_path(call), call.stop.len(), GOOGLE_STOPS_MAX)?;
        config.raw("stopSequences", &list(&call.stop.iter().map(|text| quoted(text)).collect::<Vec<_>>()));
    }
    if call.verbosity.is_some() {
        notes.drop(verbosity_path(call));
    }
    openai_fields(call, false, notes, &mut out);
    out.raw("generationConfig", &config.finish());
    Ok(out.finish())
}

fn sampling(call: &Call<'_>, rules: GeminiRules, notes: &mut Notes<'_>, config: &mut ObjectWriter) {
    let sampling = &call.sampling;
    for (name, field, value) in [
        ("temperature", "temperature", sampling.temperature),
        ("top_p", "topP", sampling.top_p),
        ("top_k", "topK", sampling.top_k),
    ] {
        if rules.sampling {
            config.number(field, value);
        } else if value.is_some() {
            notes.drop(name);
        }
    }
    config.number("seed", sampling.seed);
    for (name, field, value) in [
        ("presence_penalty", "presencePenalty", sampling.presence_penalty),
        ("frequency_penalty", "frequencyPenalty", sampling.frequency_penalty),
    ] {
        if rules.penalties {
            config.number(field, value);
        } else if differs(value, 0.0) {
            notes.drop(name);
        }
    }
}

fn output(call: &Call<'_>, rules: GeminiRules, config: &mut ObjectWriter) -> Outcome<()> {
    let schema = match &call.output {
        OutputFormat::Text => return Ok(()),
        OutputFormat::JsonObject => None,
        OutputFormat::JsonSchema(output) => Some(&output.schema),
    };
    // Before Gemini 3 (googleapis/python-genai, issue 867).
    if !rules.levels && !call.tools.is_empty() && call.tool_choice != Some(ToolChoice::None) {
        return Err(refused(output_path(call), "must not be JSON beside tools for this model: leave one of both out"));
    }
    config.text("responseMimeType", "application/json");
    if let Some(schema) = schema {
        config.raw("responseJsonSchema", &schema::inlined(schema.get()));
    }
    Ok(())
}

fn thinking(call: &Call<'_>, rules: GeminiRules, notes: &mut Notes<'_>, config: &mut ObjectWriter) {
    let reasoning = &call.reasoning;
    let mut thinking = ObjectWriter::new();
    match (reasoning.effort, rules.levels, rules.budget) {
        (Some(effort), true, _) => _ = thinking.text("thinkingLevel", level(effort, rules)),
        (Some(effort), false, true) => _ = thinking.count("thinkingBudget", budget(effort, rules)),
        (Some(effort), false, false) if effort != Effort::None => notes.drop(reasoning.path),
        (Some(_) | None, ..) => {}
    }
    let is_shown = reasoning.shown == Some(true) && (rules.levels || rules.budget);
    if is_shown {
        thinking.flag("includeThoughts", true);
    }
    let thinking = thinking.finish();
    if thinking.len() > 2 {
        config.raw("thinkingConfig", &thinking);
    }
}

/// The levels of Gemini 3 and later. No source says which models accept `XHIGH`.
pub(in crate::translate::request) const fn level(effort: Effort, rules: GeminiRules) -> &'static str {
    match effort {
        Effort::None if rules.minimal => "MINIMAL",
        Effort::None | Effort::Minimal | Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
    }
}

/// The budgets of Gemini 2.5, whose `pro` always thinks.
const fn budget(effort: Effort, rules: GeminiRules) -> u64 {
    if matches!(effort, Effort::None) && rules.minimal { 0 } else { thinking::budget(effort) }
}

fn tools(call: &Call<'_>, out: &mut ObjectWriter) {
    if call.tools.is_empty() {
        return;
    }
    let declarations = call.tools.iter().map(|tool| {
        let mut out = ObjectWriter::new();
        out.text("name", &tool.name);
        if let Some(description) = &tool.description {
            out.text("description", description);
        }
        let arguments = schema::for_arguments(tool.schema.as_deref());
        out.raw("parametersJsonSchema", &schema::inlined(&arguments)).finish()
    });
    let declarations = list(&declarations.collect::<Vec<_>>());
    out.raw("tools", &list(&[ObjectWriter::new().raw("functionDeclarations", &declarations).finish()]));
    let (mode, names) = match &call.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Tool(name)) => ("ANY", Some(std::slice::from_ref(name))),
        Some(ToolChoice::Among { required, names }) => {
            (if *required { "ANY" } else { "VALIDATED" }, Some(names.as_slice()))
        }
    };
    let mut choice = ObjectWriter::new();
    choice.text("mode", mode);
    if let Some(names) = names {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        choice.raw("allowedFunctionNames", &list(&names));
    }
    out.raw("toolConfig", &ObjectWriter::new().raw("functionCallingConfig", &choice.finish()).finish());
}

/// The contents, of which two of one role become one.
struct Turns<'o> {
    turns: TurnWriter<'o>,
    /// The names of the calls by id, which their results repeat.
    names: BTreeMap<String, String>,
    rules: GeminiRules,
}

impl Turns<'_> {
    fn message(&mut self, message: &Message<'_>) -> Outcome<()> {
        match message.role {
            Role::System => self.turns.add("user", &ObjectWriter::new().text("text", &tagged(message)).finish()),
            Role::User => self.user(&message.parts)?,
            Role::Assistant => self.model(message)?,
        }
        Ok(())
    }

    fn user(&mut self, parts: &[Part<'_>]) -> Outcome<()> {
        let mut of_results = Vec::new();
        for part in parts {
            let encoded = match part {
                Part::Text(_) => as_text(part).map(text_part),
                Part::Image(image) => Some(data_part(&image.source, &image.path)?),
                Part::File(file) => Some(data_part(&file.source, &file.path)?),
                Part::ToolResult(result) => Some(self.result(result, &mut of_results)?),
                Part::Refusal(_) | Part::ToolCall(_) | Part::State(_) => {
                    return Err(misplaced(part, "a message of the user"));
                }
            };
            encoded.iter().for_each(|part| self.turns.add("user", part));
        }
        of_results.iter().for_each(|part| self.turns.add("user", part));
        Ok(())
    }

    /// Adds a part of the model. The first turn must be the user's.
    fn add_of_model(&mut self, part: &str) {
        if self.turns.role().is_none() {
            self.turns.add("user", &ObjectWriter::new().text("text", OPENING).finish());
        }
        self.turns.add("model", part);
    }

    /// A result of a tool. Models before Gemini 3 get its images and files as `others`.
    fn result(&self, result: &ToolResult<'_>, others: &mut Vec<String>) -> Encoded {
        let text = joined(result.content.iter().filter_map(as_text));
        let response = ObjectWriter::new().text(if result.is_error { "error" } else { "output" }, &text).finish();
        let mut out = ObjectWriter::new();
        if self.rules.levels {
            out.text("id", &result.call_id);
        }
        let name = self.names.get(&result.call_id).map_or("", String::as_str);
        out.text("name", name).raw("response", &response);
        let mut parts = Vec::new();
        for part in &result.content {
            match part {
                Part::Image(image) => parts.push(data_part(&image.source, &image.path)?),
                Part::File(file) => parts.push(data_part(&file.source, &file.path)?),
                Part::Text(_) | Part::Refusal(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::State(_) => {}
            }
        }
        if !self.rules.levels {
            others.append(&mut parts);
        } else if !parts.is_empty() {
            out.raw("parts", &list(&parts));
        }
        Ok(ObjectWriter::new().raw("functionResponse", &out.finish()).finish())
    }

    fn model(&mut self, message: &Message<'_>) -> Outcome<()> {
        let mut signatures = BTreeMap::new();
        for part in &message.parts {
            if let Part::State(state) = part {
                signatures.extend(state.items.iter().filter_map(|item| Signature::read(item.get())));
            }
        }
        let mut is_signed = false;
        for part in &message.parts {
            match part {
                Part::Text(_) => as_text(part).into_iter().for_each(|text| self.add_of_model(&text_part(text))),
                Part::Refusal(words) => self.add_of_model(&ObjectWriter::new().text("text", words).finish()),
                Part::ToolCall(call) => {
                    // Of parallel calls only the first one has a signature.
                    let lost = (self.rules.levels && !is_signed).then_some(NO_SIGNATURE);
                    let signature = signatures.get(&call.id).map(String::as_str).or(lost);
                    is_signed = true;
                    let call = self.call(call, signature);
                    self.add_of_model(&call);
                }
                Part::State(_) => {}
                Part::Image(image) => self.add_of_model(&data_part(&image.source, &image.path)?),
                Part::File(_) | Part::ToolResult(_) => {
                    return Err(misplaced(part, "a message of the assistant"));
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &ToolCall<'_>, signature: Option<&str>) -> String {
        self.names.insert(call.id.clone(), call.name.clone());
        let mut function = ObjectWriter::new();
        if self.rules.levels {
            function.text("id", &call.id);
        }
        function.text("name", &call.name).raw("args", &crate::translate::arguments::object(&call.arguments));
        let mut part = ObjectWriter::new();
        part.raw("functionCall", &function.finish());
        if let Some(signature) = signature {
            part.text("thoughtSignature", signature);
        }
        part.finish()
    }
}

/// The signature of one call: an item of a capsule of this format.
#[derive(Deserialize)]
struct Signature {
    call_id: String,
    #[serde(rename = "thoughtSignature")]
    signature: String,
}

impl Signature {
    /// The id of the call as it is sent, and the signature.
    fn read(item: &str) -> Option<(String, String)> {
        let Self { call_id: id, signature } = serde_json::from_str(item).ok()?;
        Some((call_id(&id).into_owned(), signature))
    }
}

fn text_part(text: &TextPart<'_>) -> String {
    ObjectWriter::new().text("text", &text.text).finish()
}

fn data_part(source: &Source<'_>, path: &str) -> Encoded {
    match source {
        Source::Base64 { media_type, data } => {
            let inline = ObjectWriter::new().text("mimeType", media_type).text("data", data).finish();
            Ok(ObjectWriter::new().raw("inlineData", &inline).finish())
        }
        Source::Url(url) if url.starts_with(FILES) => {
            Ok(ObjectWriter::new().raw("fileData", &ObjectWriter::new().text("fileUri", url).finish()).finish())
        }
        Source::Url(_) => {
            let message = "must contain the data: Gemini reads only files of Google, and Tollgate fetches nothing";
            Err(refused(path, message))
        }
    }
}
