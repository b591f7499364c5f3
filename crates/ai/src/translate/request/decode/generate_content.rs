//! Gemini's `generateContent`. The path has the model and the stream.

mod calls;
mod contents;
mod fields;
mod parts;
mod tools;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::{Object, Outcome, refused};
use super::super::notes::Notes;
use super::super::schema;
use super::thinking_budget;
use crate::format::Format;
use crate::translate::call::{Call, Effort, OutputFormat, OutputSchema, Reasoning, Sampling};

const UNAVAILABLE: &str = "is not available for this model, whose provider has another format: leave it out";
/// Fields of `generationConfig` without which the response would be another one.
const REFUSED: [&str; 7] = [
    "responseLogprobs",
    "logprobs",
    "speechConfig",
    "imageConfig",
    "audioTranscriptionConfig",
    "responseFormat",
    "continuationToken",
];
/// The path of the effort of reasoning.
const THINKING: &str = "generationConfig.thinkingConfig";

pub(super) fn decode<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Call<'a>> {
    if let Some(cached) = fields::get(body, "cachedContent") {
        return Err(
            cached.refused("belongs to one provider, and this model is served by another: send the content itself")
        );
    }
    dropped(body, notes)?;
    let config = fields::object(body, "generationConfig")?.unwrap_or(Object::empty("generationConfig"));
    check(&config, notes)?;
    let offered = tools::offered(body, notes)?;
    let tool_choice = tools::choice(body, &offered)?;
    let path = notes.options.google;
    Ok(Call {
        from: Format::GenerateContent,
        model: path.model.to_owned(),
        stream: path.is_streamed,
        include_usage: false,
        messages: contents::read(body, notes)?,
        tools: offered,
        tool_choice,
        parallel_tools: None,
        output_tokens_max: fields::count(&config, "maxOutputTokens")?,
        sampling: sampling(&config)?,
        stop: fields::texts(&config, "stopSequences")?,
        output: output(&config)?,
        verbosity: None,
        reasoning: reasoning(&config)?,
        cache_key: None,
        openai: Vec::new(),
        echo: Vec::new(),
    })
}

/// Notes the fields that change the response, and that other providers lack.
fn dropped(body: &Object<'_>, notes: &mut Notes<'_>) -> Outcome<()> {
    for name in ["safetySettings", "modelArmorConfig"] {
        if fields::get(body, name).is_some_and(|node| !node.is_empty()) {
            notes.drop(name);
        }
    }
    let tier = fields::word(body, "serviceTier")?;
    if tier.is_some_and(|tier| !tier.ends_with("UNSPECIFIED") && tier != "STANDARD") {
        notes.drop("serviceTier");
    }
    Ok(())
}

/// Refuses fields that other formats cannot express.
fn check(config: &Object<'_>, notes: &mut Notes<'_>) -> Outcome<()> {
    for name in REFUSED {
        if let Some(node) = fields::get(config, name).filter(|node| !node.is_empty() && node.raw.get() != "false") {
            return Err(node.refused(UNAVAILABLE));
        }
    }
    if fields::count(config, "candidateCount")?.is_some_and(|count| count > 1) {
        return Err(refused(
            &config.field_path("candidateCount"),
            "must be 1: this model's provider has another format",
        ));
    }
    let modalities = fields::texts(config, "responseModalities")?;
    if let Some(modality) = modalities.iter().find(|word| !word.eq_ignore_ascii_case("text")) {
        let message = format!("must be TEXT alone, without {modality}, for this model");
        return Err(refused(&config.field_path("responseModalities"), &message));
    }
    if fields::get(config, "mediaResolution").is_some() {
        notes.drop(config.field_path("mediaResolution"));
    }
    Ok(())
}

fn sampling<'a>(config: &Object<'a>) -> Outcome<Sampling<'a>> {
    Ok(Sampling {
        temperature: fields::number(config, "temperature")?,
        top_p: fields::number(config, "topP")?,
        top_k: fields::integer(config, "topK")?,
        seed: fields::integer(config, "seed")?,
        frequency_penalty: fields::number(config, "frequencyPenalty")?,
        presence_penalty: fields::number(config, "presencePenalty")?,
    })
}

fn output<'a>(config: &Object<'a>) -> Outcome<OutputFormat<'a>> {
    let media_type = fields::text(config, "responseMimeType")?;
    let is_json = match media_type.as_deref() {
        None | Some("text/plain" | "") => false,
        Some("application/json") => true,
        Some(_) => {
            return Err(refused(&config.field_path("responseMimeType"), "must be text/plain or application/json"));
        }
    };
    let json = fields::get(config, "responseJsonSchema").or_else(|| config.get("_responseJsonSchema"));
    let schema: Cow<'a, RawValue> = match (json, fields::get(config, "responseSchema")) {
        (Some(node), _) => {
            node.object()?;
            Cow::Borrowed(node.raw)
        }
        (None, Some(node)) => {
            node.object()?;
            let schema = RawValue::from_string(schema::of_gemini(node.raw));
            Cow::Owned(schema.map_err(|_| node.refused("must be a schema"))?)
        }
        (None, None) if is_json => return Ok(OutputFormat::JsonObject),
        (None, None) => return Ok(OutputFormat::Text),
    };
    let strict = Some(schema::fits_strict(&schema));
    Ok(OutputFormat::JsonSchema(OutputSchema { name: None, description: None, schema, strict }))
}

fn reasoning(config: &Object<'_>) -> Outcome<Reasoning> {
    let Some(thinking) = fields::object(config, "thinkingConfig")? else {
        return Ok(Reasoning { path: THINKING, ..Reasoning::default() });
    };
    let shown = fields::flag(&thinking, "includeThoughts")?.then_some(true);
    let level = fields::word(&thinking, "thinkingLevel")?.filter(|level| !level.ends_with("UNSPECIFIED"));
    let level = level.map(|level| {
        let effort = Effort::parse(&level.to_ascii_lowercase());
        let words = "must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH";
        effort.ok_or_else(|| refused(&thinking.field_path("thinkingLevel"), words))
    });
    let (budget, is_dynamic) = budget(&thinking)?;
    let effort = level.transpose()?.or(budget);
    let requested = is_dynamic || effort.is_some_and(|effort| effort != Effort::None);
    Ok(Reasoning { effort, requested, shown, path: THINKING })
}

/// Reads the budget, and whether it is -1: the model decides.
fn budget(thinking: &Object<'_>) -> Outcome<(Option<Effort>, bool)> {
    let Some(raw) = fields::integer(thinking, "thinkingBudget")? else { return Ok((None, false)) };
    match raw.get().parse::<i64>() {
        Ok(0) => Ok((Some(Effort::None), false)),
        Ok(-1) => Ok((None, true)),
        Ok(tokens @ 1..) => Ok((Some(thinking_budget::effort(tokens.unsigned_abs())), false)),
        Ok(_) | Err(_) => Err(refused(&thinking.field_path("thinkingBudget"), "must be a number of tokens, 0 or -1")),
    }
}
