//! Reads forms with files (RFC 7578) and locates the model's name.
//!
//! The reader is stricter than the RFC, so that the provider cannot read another model than Tollgate: no preamble, no
//! epilogue, no folded lines, CR LF everywhere, and no line that begins like the boundary without being a boundary.

mod disposition;
mod lines;

use std::ops::Range;

use memchr::memmem::Finder;

use super::{CallError, FormPart, MODEL, MODEL_BYTES_MAX, Place, RequestFields, STREAM, Shape};
use crate::endpoint::EndpointCall;
use lines::broken;

/// Maximum number of parts in a form.
const PARTS_MAX: usize = 1_024;
/// Maximum length of a part's head, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1_024;
/// Maximum length of a boundary, in bytes (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
const NAME: &str = "text of 1 to 256 bytes without control characters";

/// Whether this content-type is that of a form.
pub(super) fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a form; returns an error if `content_type` is `None` or not that of a form.
pub(super) fn read(
    called: &EndpointCall<'_>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<RequestFields, CallError> {
    let boundary = content_type.and_then(boundary).ok_or(CallError::NoBoundary)?;
    let delimiter = format!("--{boundary}");
    let form = Form::read(body, &delimiter)?;
    let text = |at: &Range<usize>| body.get(at.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let is_name =
        |name: &str| (1..=MODEL_BYTES_MAX).contains(&name.len()) && !name.bytes().any(|byte| byte.is_ascii_control());
    let invalid = |at: usize| CallError::Invalid { field: MODEL, expected: NAME, offset: at };
    let written = form.model.as_ref().and_then(text);
    let model = match (&called.model, &form.model) {
        // Azure ignores the model in the body, so any value is accepted there.
        (Some(model), _) => model.as_ref(),
        (None, Some(at)) => written.ok_or_else(|| invalid(at.start))?,
        (None, None) => return Err(CallError::Missing { field: MODEL }),
    };
    let shape = match form.model {
        Some(_) => Shape::Form,
        None => Shape::Part { delimiter: delimiter.into() },
    };
    let at = form.model.unwrap_or(form.first..form.first);
    if !is_name(model) {
        return Err(invalid(at.start));
    }
    let stream = form.stream.as_ref().and_then(text).is_some_and(|stream| stream.eq_ignore_ascii_case("true"));
    let models = vec![Place { at, shape, agrees: written == Some(model) }];
    Ok(RequestFields { model: model.to_owned(), stream, models, form: form.others, ..RequestFields::default() })
}

/// Returns the boundary of the content-type; `None` if it has no boundary, two, or one with invalid characters.
fn boundary(content_type: &str) -> Option<&str> {
    let mut found = None;
    for parameter in content_type.split(';').skip(1) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        if name.starts_with("boundary*") {
            // Continued or encoded parameters (RFC 2231): some readers would use this one.
            return None;
        }
        if name != "boundary" {
            continue;
        }
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        let is_boundary = (1..=BOUNDARY_BYTES_MAX).contains(&bare.len()) && bare.bytes().all(fits);
        if found.replace(bare).is_some() || !is_boundary {
            return None;
        }
    }
    found
}

/// The positions of the parts that Tollgate reads.
#[derive(Debug, Default)]
struct Form {
    /// The offset of the first delimiter.
    first: usize,
    model: Option<Range<usize>>,
    stream: Option<Range<usize>>,
    /// The parts of all other fields.
    others: Vec<FormPart>,
}

impl Form {
    fn read(body: &[u8], delimiter: &str) -> Result<Self, CallError> {
        let first = if body.starts_with(b"\r\n") { 2 } else { 0 };
        if !body.get(first..).is_some_and(|rest| rest.starts_with(delimiter.as_bytes())) {
            return Err(broken(first, "it does not begin with its boundary"));
        }
        let line = format!("\r\n{delimiter}");
        let finder = Finder::new(&line);
        let mut form = Self { first, ..Self::default() };
        let mut at = first + delimiter.len();
        for _ in 0..=PARTS_MAX {
            let rest = body.get(at..).unwrap_or_default();
            if let Some(behind) = rest.strip_prefix(b"--") {
                let is_over = behind.iter().all(u8::is_ascii_whitespace);
                return if is_over { Ok(form) } else { Err(broken(at + 2, "data follows its end")) };
            }
            let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            if !rest.get(padding..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
                return Err(broken(at, "a line begins like its boundary but is not one"));
            }
            let head = at + padding + 2;
            let (name, content) = disposition::read(body, head, HEAD_BYTES_MAX)?;
            if let Some(line) = body.get(head - 2..content).and_then(|head| finder.find(head)) {
                return Err(broken(head + line, "a line begins like its boundary but is not one"));
            }
            let rest = body.get(content..).unwrap_or_default();
            if rest.starts_with(delimiter.as_bytes()) {
                return Err(broken(content, "a part has no content, not even an empty one"));
            }
            let end = finder.find(rest).ok_or_else(|| broken(body.len(), "it does not end"))?;
            form.note(body, name, content..content + end)?;
            at = content + end + line.len();
        }
        Err(broken(at, "it has more than 1024 parts"))
    }

    fn note(&mut self, body: &[u8], name: Range<usize>, at: Range<usize>) -> Result<(), CallError> {
        let (field, place) = match body.get(name.clone()) {
            Some(b"model") => (MODEL, &mut self.model),
            Some(b"stream") => (STREAM, &mut self.stream),
            _ => {
                self.others.push(FormPart { name, content: at });
                return Ok(());
            }
        };
        if place.is_some() {
            return Err(CallError::Duplicate { field, offset: at.start });
        }
        *place = Some(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
