//! Signs of life for clients of streams, so that no balancer between both ends a call whose model thinks.

use std::time::Duration;

use ai::Tap;
use bytes::Bytes;

use crate::forward::translated::TranslatedResponse;

/// Time without a byte after which the client gets a sign of life. It arrives within 15 s: deadlines are late by at most a
/// second, as is the time of the last byte.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(13);

/// Returns an event without an effect in the client's format; `None` if the response can have no further event.
pub(super) fn event(tap: Option<&Tap>, translated: Option<&mut TranslatedResponse>) -> Option<Bytes> {
    let bytes = match translated {
        Some(translated) => translated.keep_alive(),
        None => Bytes::from_static(tap?.keep_alive()?),
    };
    (!bytes.is_empty()).then_some(bytes)
}
