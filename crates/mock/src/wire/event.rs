//! The parts that events and bodies of several formats have.

use hyper::body::Bytes;
use serde::Serialize;

use crate::json::Json;
use crate::response::MockResponse;

/// The bytes of a value.
pub(crate) fn bytes(json: &Json) -> Bytes {
    Bytes::copy_from_slice(json.get().as_bytes())
}

/// A server-sent event with `data` only, as in chat completions.
pub(super) fn data(json: &Json) -> String {
    format!("data: {json}\n\n")
}

/// A server-sent event with `event` and `data`, as in Responses and Messages.
pub(super) fn named(name: &str, json: &Json) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

/// An id that consists of `prefix` and the response's id.
pub(super) fn id(prefix: &'static str, response: &MockResponse) -> impl Serialize + use<> {
    format!("{prefix}{}", response.id)
}
