//! Live messages as server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use super::stream::LiveStream;

/// A browser connects again after this time.
const RETRY: &str = "retry: 1000\n\n";
/// An event without a message.
const COMMENT: &str = ":\n\n";

/// Returns a body that lasts as long as the stream.
pub(crate) fn body(stream: LiveStream) -> Body {
    Body::from_stream(stream::unfold((stream, RETRY), |(mut stream, begin)| async move {
        let messages = stream.next().await.ok()?;
        let mut events = begin.to_owned();
        for message in &messages {
            // A text can always be appended to.
            let _ = write!(events, "data: {message}\n\n");
        }
        if events.is_empty() {
            events.push_str(COMMENT);
        }
        Some((Ok::<_, Infallible>(Bytes::from(events)), (stream, "")))
    }))
}
