//! Forms with files: the model's name is found and replaced, and no other byte changes.

use ai::endpoint::EndpointCall;
use ai::request::{self, CallError};
use bytes::Bytes;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "multipart/form-data; boundary=B\n",
    "Multipart/Form-Data ;boundary=\"B\"\n",
    "--B",
    "--B--",
    "--B\r\n",
    "\r\n--B\r\n",
    "\r\n--B--\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Content-Disposition: form-data; name=\"model\"\r\n\r\n",
    "Content-Disposition: form-data; name=\"stream\"\r\n\r\n",
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n",
    "content-disposition:",
    "form-data",
    "; name=model",
    "; name*=utf-8''model",
    "; filename=\"\\\"",
    "Content-Type: audio/wav\r\n\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    " folded",
    "\t",
    "whisper-1",
    "true",
    "\u{0}",
    "\u{e9}",
    "boundary=",
    ";",
    "\"",
    "\\",
];

/// The replacement of the model's name. It has no line end, because forms cannot contain one.
const OTHER: &str = "other \"model\" \u{e9}";

/// The first line is the content type, the rest is the body.
pub fn multipart(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = &bytes[..end];
    let body = bytes.get(end + 1..).unwrap_or_default();
    let content_type = String::from_utf8_lossy(line);
    for path in ["/v1/audio/transcriptions", "/openai/deployments/d/audio/translations"] {
        let called = EndpointCall::from_path(path).unwrap();
        match request::read(&called, Some(&content_type), body) {
            Ok(requested) => rewritten(&called, &content_type, &Bytes::copy_from_slice(body), &requested),
            Err(error) => refused(body, &error),
        }
    }
}

fn refused(body: &[u8], error: &CallError) {
    match error {
        CallError::Multipart { offset, .. }
        | CallError::Invalid { offset, .. }
        | CallError::Duplicate { offset, .. } => assert!(*offset <= body.len(), "{error}"),
        CallError::Missing { .. } | CallError::NoBoundary => {}
        CallError::NotUtf8 { .. }
        | CallError::Syntax { .. }
        | CallError::NotAnObject { .. }
        | CallError::Unsupported { .. }
        | CallError::LongModel { .. } => panic!("{error}, but the body is a form"),
    }
}

fn rewritten(called: &EndpointCall<'_>, content_type: &str, body: &Bytes, requested: &ai::RequestFields) {
    let before = parts(content_type, body);
    let models: Vec<&[u8]> = before.iter().filter(|part| part.is_model).map(|part| part.content).collect();
    assert!(models.len() <= 1, "two parts name the model");
    match &called.model {
        Some(model) => assert_eq!(requested.model, **model),
        None => assert_eq!(requested.model.as_bytes(), models[0]),
    }
    if models.first().is_some_and(|model| *model == requested.model.as_bytes()) {
        assert_eq!(requested.rewrite(body, &requested.model, false).body(), *body);
    }
    let out = requested.rewrite(body, OTHER, true);
    assert!(!out.usage_injected);
    let sent = out.body();
    let reread = request::read(called, Some(content_type), &sent).unwrap();
    assert_eq!((reread.model == OTHER, reread.stream), (called.model.is_none(), requested.stream));
    let after = parts(content_type, &sent);
    let others =
        |parts: &[PlainPart<'_>]| parts.iter().filter(|part| !part.is_model).map(PlainPart::owned).collect::<Vec<_>>();
    assert_eq!(others(&after), others(&before), "another part changed");
    let named: Vec<_> = after.iter().filter(|part| part.is_model).collect();
    assert!(named.len() == 1 && named[0].content == OTHER.as_bytes(), "{named:?}");
}

/// A part, parsed in the simplest way.
#[derive(Debug)]
struct PlainPart<'a> {
    is_model: bool,
    head: &'a [u8],
    content: &'a [u8],
}

impl PlainPart<'_> {
    fn owned(&self) -> (Vec<u8>, Vec<u8>) {
        (self.head.to_vec(), self.content.to_vec())
    }
}

/// The parts between the boundaries. The head of each ends in an empty line.
fn parts<'a>(content_type: &str, body: &'a [u8]) -> Vec<PlainPart<'a>> {
    let parameters = content_type.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut boundaries = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"));
    let boundary = boundaries.next().unwrap().1.trim().trim_matches('"');
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut rest = body.strip_prefix(b"\r\n").unwrap_or(body).strip_prefix(&delimiter[2..]).unwrap();
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        rest = &rest[find(rest, b"\r\n").unwrap()..];
        let end = find(rest, &delimiter).unwrap();
        parts.push(part(&rest[..end]));
        rest = &rest[end + delimiter.len()..];
    }
    parts
}

/// Parses one part, from the line end before its head.
fn part(bytes: &[u8]) -> PlainPart<'_> {
    let end = find(bytes, b"\r\n\r\n").unwrap();
    let head = &bytes[..end];
    let text = String::from_utf8_lossy(head);
    let mut headers = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let disposition = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-disposition")).unwrap().1;
    let mut quoted = false;
    let parameters = disposition.split(|char| {
        quoted ^= char == '"';
        char == ';' && !quoted
    });
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    let is_model = pairs
        .any(|(name, value)| name.trim().eq_ignore_ascii_case("name") && value.trim().trim_matches('"') == "model");
    PlainPart { is_model, head, content: &bytes[end + 4..] }
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}
