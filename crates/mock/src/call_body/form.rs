//! `multipart/form-data` (RFC 7578), parsed as strictly as a provider does.

use memchr::memmem;
use serde_json::{Map, Value};

const PARTS_MAX: usize = 64;
const BOUNDARY_LEN_MAX: usize = 70;

/// One part of a form, borrowed from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormPart<'a> {
    pub(crate) name: String,
    /// The file's name; `None` for a field.
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: &'a [u8],
}

/// The reason why a body is not a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the content type has no `boundary` of 1 to 70 characters")]
    NoBoundary,
    #[error("the body does not begin with the boundary")]
    NoOpening,
    #[error("a part has no end")]
    Unended,
    #[error("a part has no name")]
    Unnamed,
    #[error("too many parts")]
    TooMany,
}

/// The parts of `body`, separated by the boundary that `content_type` names.
pub(crate) fn read<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<FormPart<'a>>, FormError> {
    let boundary = parameter(content_type, "boundary").ok_or(FormError::NoBoundary)?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_LEN_MAX {
        return Err(FormError::NoBoundary);
    }
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(opening.as_bytes()).ok_or(FormError::NoOpening)?;
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = memmem::find(part, between.as_bytes()).ok_or(FormError::Unended)?;
        let (part, after) = part.split_at(end);
        rest = after.get(between.len()..).unwrap_or_default();
        if parts.len() == PARTS_MAX {
            return Err(FormError::TooMany);
        }
        parts.push(FormPart::read(part)?);
    }
    if rest.starts_with(b"--") { Ok(parts) } else { Err(FormError::Unended) }
}

/// The fields without files as a JSON object; values that parse as numbers or booleans become such.
pub(crate) fn fields(parts: &[FormPart<'_>]) -> Vec<u8> {
    let mut fields = Map::new();
    for part in parts.iter().filter(|part| part.filename.is_none()) {
        let text = String::from_utf8_lossy(part.bytes);
        let value = match serde_json::from_str(&text) {
            Ok(value @ (Value::Bool(_) | Value::Number(_))) if part.name != "model" => value,
            _ => Value::String(text.into_owned()),
        };
        fields.insert(part.name.clone(), value);
    }
    Value::Object(fields).to_string().into_bytes()
}

impl<'a> FormPart<'a> {
    fn read(part: &'a [u8]) -> Result<Self, FormError> {
        let end = memmem::find(part, b"\r\n\r\n").ok_or(FormError::Unnamed)?;
        let (head, body) = part.split_at(end);
        let head = String::from_utf8_lossy(head);
        let header = |name: &str| {
            let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
            fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let disposition = header("content-disposition").ok_or(FormError::Unnamed)?;
        Ok(Self {
            name: parameter(&disposition, "name").ok_or(FormError::Unnamed)?,
            filename: parameter(&disposition, "filename"),
            content_type: header("content-type"),
            bytes: body.get(4..).unwrap_or_default(),
        })
    }
}

/// A parameter of a header's value, without quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut parameters = value.split(';').skip(1).filter_map(|pair| pair.trim().split_once('='));
    let (_, found) = parameters.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    Some(found.strip_prefix('"').and_then(|found| found.strip_suffix('"')).unwrap_or(found).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "multipart/form-data; boundary=\"b 1\"";

    fn body(parts: &str) -> Vec<u8> {
        format!("--b 1\r\n{parts}\r\n--b 1--\r\n").into_bytes()
    }

    #[test]
    fn files_and_fields_are_distinguished() {
        let body = body(
            "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\r\n--b\0\r\n\
             --b 1\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n42\r\n\
             --b 1\r\ncontent-disposition: form-data; name=\"stream\"\r\n\r\ntrue",
        );
        let parts = read(FORM, &body).unwrap();
        let file = &parts[0];
        assert_eq!((file.name.as_str(), file.filename.as_deref()), ("file", Some("a.wav")));
        assert_eq!((file.content_type.as_deref(), file.bytes), (Some("audio/wav"), b"\r\n--b\0".as_slice()));
        assert_eq!(String::from_utf8(fields(&parts)).unwrap(), r#"{"model":"42","stream":true}"#);
    }

    #[test]
    fn a_body_that_is_not_a_form_is_refused() {
        let check = |kind: &str, body: &[u8], error: FormError| assert_eq!(read(kind, body), Err(error), "{kind}");
        let named = body("Content-Disposition: form-data; name=a\r\n\r\n1");
        check("multipart/form-data", &named, FormError::NoBoundary);
        check("multipart/form-data; boundary=", &named, FormError::NoBoundary);
        check("multipart/form-data; boundary=other", &named, FormError::NoOpening);
        check(FORM, named.strip_suffix(b"\r\n--b 1--\r\n").unwrap(), FormError::Unended);
        check(FORM, named.strip_suffix(b"--\r\n").unwrap(), FormError::Unended);
        check(FORM, &body("Content-Type: text/plain\r\n\r\n1"), FormError::Unnamed);
        check(FORM, &body("Content-Disposition: form-data\r\n\r\n1"), FormError::Unnamed);
        let many = vec!["Content-Disposition: form-data; name=a\r\n\r\n1"; PARTS_MAX + 1].join("\r\n--b 1\r\n");
        check(FORM, &body(&many), FormError::TooMany);
        assert_eq!(read(FORM, b"--b 1--"), Ok(Vec::new()));
    }
}
