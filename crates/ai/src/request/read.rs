//! Reads the relevant fields of a body, per endpoint.

use std::ops::Range;

use meter::{BilledQuantity, Unit};

use super::json::{self, fields, fields_and_hints, flag, inside, invalid, is_empty_at};
use super::{CallError, Edit, MODEL, MODEL_BYTES_MAX, Place, RequestFields, STREAM, Shape, google, multipart};
use crate::endpoint::{Endpoint, EndpointCall};
use crate::format::{Dialect, Format};

const STREAM_FORMAT: &str = "stream_format";
const STREAM_OPTIONS: &str = "stream_options";
const INCLUDE_USAGE: &str = "include_usage";
const INPUT: &str = "input";
const BACKGROUND: &str = "background";
/// The fields that are read for statistics only: the session's id in two formats, and the tools.
const HINTS: [&str; 3] = ["prompt_cache_key", "metadata", "tools"];
const SESSION_OF_METADATA: &str = "user_id";
/// Longest `metadata` in which a session is searched, in bytes.
const METADATA_BYTES_MAX: usize = 4 * 1024;

/// The model that OpenAI uses if the request names no model (its API reference, read 2026-11-20).
const MODERATIONS_MODEL: &str = "omni-moderation-latest";

/// Reads a request's body: exactly one JSON object or, for audio and images, a form.
///
/// A model in the path overrides the model in the body. `stream_options` is read for [`Format::Chat`] and
/// [`Format::Completions`] only; fields of that name in other formats are ignored.
///
/// # Errors
/// Returns a [`CallError`] with the reason and the position. A field that Tollgate reads may occur only once,
/// however its name is escaped.
pub fn read(called: &EndpointCall<'_>, content_type: Option<&str>, body: &[u8]) -> Result<RequestFields, CallError> {
    if let Some(model) = called.model.as_ref().filter(|model| model.len() > MODEL_BYTES_MAX) {
        return Err(CallError::LongModel { bytes: model.len() });
    }
    let is_form = content_type.is_some_and(multipart::is_form);
    let must_be_form = matches!(called.endpoint, Endpoint::AudioTranscriptions | Endpoint::AudioTranslations);
    if must_be_form || (is_form && called.endpoint == Endpoint::ImagesEdits) {
        let form_type = if is_form { content_type } else { None };
        return multipart::read(called, form_type, body);
    }
    let text = json::text(body)?;
    if let Some(Dialect::Google) = called.dialect
        && let Some(model) = &called.model
    {
        return google::read(called.endpoint, model, text);
    }
    let (request_fields, places) = match called.endpoint.format() {
        Some(Format::Chat | Format::Completions) => {
            let ([model, stream, options], hints) = fields_and_hints(text, 0, [MODEL, STREAM, STREAM_OPTIONS], HINTS)?;
            let (include_usage, usage_edit) = usage(text, options)?;
            let stream = flag(text, STREAM, stream.as_ref())?;
            let usage_edit = if stream { usage_edit } else { None };
            (RequestFields { stream, include_usage, usage_edit, ..hinted(text, hints) }, model)
        }
        Some(Format::Speech) => {
            let [model, input, stream] = fields(text, 0, [MODEL, INPUT, STREAM_FORMAT])?;
            let stream = stream.is_some_and(|at| json::string(text, &at).is_some_and(|format| format == "sse"));
            let billable = input.and_then(|at| json::characters(text, &at)).map(characters);
            (RequestFields { stream, billable, ..RequestFields::default() }, model)
        }
        Some(Format::Embeddings | Format::Moderations) => {
            let [model] = fields(text, 0, [MODEL])?;
            (RequestFields::default(), model)
        }
        Some(Format::Responses) => {
            let ([model, stream, background], hints) = fields_and_hints(text, 0, [MODEL, STREAM, BACKGROUND], HINTS)?;
            in_foreground(text, background)?;
            (RequestFields { stream: flag(text, STREAM, stream.as_ref())?, ..hinted(text, hints) }, model)
        }
        _ => {
            let ([model, stream], hints) = fields_and_hints(text, 0, [MODEL, STREAM], HINTS)?;
            (RequestFields { stream: flag(text, STREAM, stream.as_ref())?, ..hinted(text, hints) }, model)
        }
    };
    named(called, text, request_fields, places)
}

/// Returns the fields that the hints determine.
fn hinted(text: &str, [key, metadata, tools]: [Option<Range<usize>>; 3]) -> RequestFields {
    // An empty id names no session, and two quotes are the shortest text.
    let is_id = |at: &Range<usize>| at.len() > 2 && text.get(at.clone()).is_some_and(|id| id.starts_with('"'));
    let session = key.filter(is_id).or_else(|| {
        let at = metadata.filter(|at| at.len() <= METADATA_BYTES_MAX)?;
        let ([], [id]) = fields_and_hints(text.get(at.clone())?, at.start, [], [SESSION_OF_METADATA]).ok()?;
        id.filter(is_id)
    });
    RequestFields {
        offers_tools: tools.is_some_and(|at| json::is_filled_list(text, &at)),
        session,
        ..RequestFields::default()
    }
}

/// Refuses background responses: the client would fetch the response later, but Tollgate does not serve stored
/// responses.
fn in_foreground(text: &str, background: Option<Range<usize>>) -> Result<(), CallError> {
    let reason = "stored responses are not served here, so it could not be fetched. Leave `background` out";
    match background {
        Some(at) if flag(text, BACKGROUND, Some(&at))? => {
            Err(CallError::Unsupported { field: BACKGROUND, reason, offset: at.start })
        }
        Some(_) | None => Ok(()),
    }
}

/// Sets the model from the path, from the body, or to the provider's default if neither names one.
fn named(
    called: &EndpointCall<'_>,
    text: &str,
    request_fields: RequestFields,
    at: Option<Range<usize>>,
) -> Result<RequestFields, CallError> {
    let written = at.as_ref().map(|at| json::name(text, MODEL, at)).transpose();
    let (model, agrees) = match (&called.model, called.endpoint.format()) {
        // Azure ignores the model in the body, so any value is accepted there.
        (Some(model), _) => (model.to_string(), written.is_ok_and(|written| written.as_deref() == Some(model))),
        (None, Some(Format::Moderations)) => (written?.unwrap_or_else(|| MODERATIONS_MODEL.to_owned()), true),
        (None, _) => (written?.ok_or(CallError::Missing { field: MODEL })?, true),
    };
    let shape = match &at {
        Some(_) => Shape::Json,
        None if is_empty_at(text, inside(text, 0)) => Shape::OnlyField,
        None => Shape::Field,
    };
    let at = at.unwrap_or_else(|| inside(text, 0)..inside(text, 0));
    Ok(RequestFields { model, models: vec![Place { at, shape, agrees }], ..request_fields })
}

fn characters(quantity: u64) -> BilledQuantity {
    BilledQuantity { unit: Unit::Character, quantity }
}

/// Returns whether `include_usage` is set, and the edit that sets it.
fn usage(text: &str, options: Option<Range<usize>>) -> Result<(bool, Option<Edit>), CallError> {
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
        // A comma is needed unless the object is empty.
        let text = if is_empty_at(text, open) { r#""include_usage":true"# } else { r#""include_usage":true,"# };
        return Ok((false, Some(Edit { at: open..open, text })));
    };
    let on = flag(text, INCLUDE_USAGE, Some(&include))?;
    Ok((on, (!on).then_some(Edit { at: include, text: "true" })))
}
