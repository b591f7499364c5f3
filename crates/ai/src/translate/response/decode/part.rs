//! The parts that several formats of providers have.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::translate::event::ProviderFailure;
use crate::translate::response::failure;

/// The data of the event that ends a chat stream; other streams of some providers end in it too.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Reads a part of an event.
pub(super) fn raw<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, ProviderFailure> {
    serde_json::from_str(json.get()).map_err(|_| failure::unreadable("a field of an event has another type"))
}
