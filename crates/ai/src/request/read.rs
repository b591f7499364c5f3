//! What a body asks for, endpoint by endpoint.

use std::ops::Range;

use meter::{Billed, Unit};

use super::json::{self, fields, flag, inside, invalid, is_empty_at};
use super::{Asked, Edit, MODEL_BYTES_MAX, Place, RequestError, Shape, google, multipart};
use crate::endpoint::{Called, Endpoint};
use crate::format::{Dialect, Format};

pub(super) const MODEL: &str = "model";
pub(super) const STREAM: &str = "stream";
const STREAM_FORMAT: &str = "stream_format";
const STREAM_OPTIONS: &str = "stream_options";
const INCLUDE_USAGE: &str = "include_usage";
const INPUT: &str = "input";
const BACKGROUND: &str = "background";

/// What OpenAI takes where nobody names a model (its API reference, read 2026-11-20).
const MODERATIONS_MODEL: &str = "omni-moderation-latest";

/// Reads a request's body: one JSON object and nothing after it, or, where audio and images are sent, a form.
///
/// A model that the path names wins over the body's. `stream_options` is read for [`Format::Chat`] and
/// [`Format::Completions`] alone; the other formats' own is none of ours.
///
/// # Errors
/// [`RequestError`] says what is wrong and where. A field that we read may not stand twice, however its name is escaped.
pub fn read(called: &Called<'_>, content_type: Option<&str>, body: &[u8]) -> Result<Asked, RequestError> {
    if let Some(model) = called.model.as_ref().filter(|model| model.len() > MODEL_BYTES_MAX) {
        return Err(RequestError::LongModel { bytes: model.len() });
    }
    let is_form = content_type.is_some_and(multipart::is_form);
    let must_be_form = matches!(called.endpoint, Endpoint::AudioTranscriptions | Endpoint::AudioTranslations);
    if must_be_form || (is_form && called.endpoint == Endpoint::ImagesEdits) {
        return multipart::read(called, content_type.filter(|_| is_form), body);
    }
    let text = json::text(body)?;
    if let (Some(Dialect::Google), Some(model)) = (called.dialect, &called.model) {
        return google::read(called.endpoint, model, text);
    }
    let (asked, places) = match called.endpoint.format() {
        Some(Format::Chat | Format::Completions) => {
            let [model, stream, options] = fields(text, 0, [MODEL, STREAM, STREAM_OPTIONS])?;
            let (include_usage, usage_edit) = usage(text, options)?;
            let stream = flag(text, STREAM, stream.as_ref())?;
            let usage_edit = usage_edit.filter(|_| stream);
            (Asked { stream, include_usage, usage_edit, ..Asked::default() }, model)
        }
        Some(Format::Speech) => {
            let [model, input, stream] = fields(text, 0, [MODEL, INPUT, STREAM_FORMAT])?;
            let stream = stream.is_some_and(|at| json::string(text, &at).is_some_and(|format| format == "sse"));
            let billable = input.and_then(|at| json::characters(text, &at)).map(characters);
            (Asked { stream, billable, ..Asked::default() }, model)
        }
        Some(Format::Embeddings | Format::Moderations) => {
            let [model] = fields(text, 0, [MODEL])?;
            (Asked::default(), model)
        }
        Some(Format::Responses) => {
            let [model, stream, background] = fields(text, 0, [MODEL, STREAM, BACKGROUND])?;
            in_foreground(text, background)?;
            (Asked { stream: flag(text, STREAM, stream.as_ref())?, ..Asked::default() }, model)
        }
        _ => {
            let [model, stream] = fields(text, 0, [MODEL, STREAM])?;
            (Asked { stream: flag(text, STREAM, stream.as_ref())?, ..Asked::default() }, model)
        }
    };
    named(called, text, asked, places)
}

/// Refuses a response in the background: the client would fetch it later, and stored responses are not served.
fn in_foreground(text: &str, background: Option<Range<usize>>) -> Result<(), RequestError> {
    let reason = "stored responses are not served here, so it could not be fetched. Leave `background` out";
    match background {
        Some(at) if flag(text, BACKGROUND, Some(&at))? => {
            Err(RequestError::Unsupported { field: BACKGROUND, reason, offset: at.start })
        }
        Some(_) | None => Ok(()),
    }
}

/// With the model of the path, of the body, or the one that is meant where none is named.
fn named(called: &Called<'_>, text: &str, asked: Asked, at: Option<Range<usize>>) -> Result<Asked, RequestError> {
    let written = at.as_ref().map(|at| json::name(text, MODEL, at)).transpose();
    let (model, written) = match (&called.model, called.endpoint.format()) {
        // Azure does not read the body's, so whatever stands there is no error.
        (Some(model), _) => (model.to_string(), written.unwrap_or_default()),
        (None, Some(Format::Moderations)) => {
            let model = written?.unwrap_or_else(|| MODERATIONS_MODEL.to_owned());
            (model.clone(), Some(model))
        }
        (None, _) => {
            let model = written?.ok_or(RequestError::Missing { field: MODEL })?;
            (model.clone(), Some(model))
        }
    };
    let shape = match &at {
        Some(_) => Shape::Json,
        None if is_empty_at(text, inside(text, 0)) => Shape::OnlyField,
        None => Shape::Field,
    };
    let at = at.unwrap_or_else(|| inside(text, 0)..inside(text, 0));
    let agrees = written.is_some_and(|written| written == model);
    Ok(Asked { model, models: vec![Place { at, shape, agrees }], ..asked })
}

fn characters(quantity: u64) -> Billed {
    Billed { unit: Unit::Character, quantity }
}

/// Whether `include_usage` is set, and the edit that sets it.
fn usage(text: &str, options: Option<Range<usize>>) -> Result<(bool, Option<Edit>), RequestError> {
    let Some(options) = options else {
        let open = inside(text, 0);
        let text = r#""stream_options":{"include_usage":true},"#;
        return Ok((false, Some(Edit { at: open..open, text })));
    };
    match text.get(options.clone()) {
        Some("null") => return Ok((false, Some(Edit { at: options, text: r#"{"include_usage":true}"# }))),
        Some(value) if value.starts_with('{') => {}
        _ => return Err(invalid(STREAM_OPTIONS, "an object or null", &options)),
    }
    let [include] = fields(text.get(options.clone()).unwrap_or_default(), options.start, [INCLUDE_USAGE])?;
    let Some(include) = include else {
        let open = options.start + 1;
        // A comma is wanted unless the object is empty.
        let text = if is_empty_at(text, open) { r#""include_usage":true"# } else { r#""include_usage":true,"# };
        return Ok((false, Some(Edit { at: open..open, text })));
    };
    let on = flag(text, INCLUDE_USAGE, Some(&include))?;
    Ok((on, (!on).then_some(Edit { at: include, text: "true" })))
}
