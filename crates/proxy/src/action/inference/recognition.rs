//! Streams of events with another media type, or none: they are recognized by their first bytes.

use std::collections::VecDeque;

use access::Refusal;
use ai::Format;
use ai::tap::begins_events;
use http1::KnownName;
use tokio::time::timeout_at;

use super::early::{keep, next_piece};
use super::runtime::{EVENT_STREAM, replace};
use crate::account::RequestAccount;
use crate::forward::UpstreamResponse;
use crate::refusal::problem::Problem;

/// Maximum of bytes that are read to recognize a stream.
const BYTES_MAX: usize = 256;

/// Whether the first bytes of a successful response decide about its framing: the client has requested a stream, and the media
/// type is that of something else.
pub(super) fn is_needed(answered: &UpstreamResponse, format: Format, is_streamed: bool) -> bool {
    let is_text = matches!(
        format,
        Format::Chat | Format::Completions | Format::Responses | Format::Messages | Format::GenerateContent
    );
    let head = &answered.head.head;
    is_streamed
        && is_text
        && head.is_success()
        && !head.is_compressed()
        && !head.text(KnownName::ContentType).is_some_and(is_events)
}

fn is_events(media_type: &str) -> bool {
    media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(EVENT_STREAM)
}

/// Reads the first bytes of a response. If they begin a stream of events, its head says so. The bytes are then the beginning of
/// its body again.
///
/// # Errors
/// No byte arrives within the time for which a provider may be silent.
pub(super) async fn recognize(account: &mut RequestAccount, answered: &mut UpstreamResponse) -> Result<(), Problem> {
    let deadline = (account.request.read_clock() + account.timeouts().idle).min(account.total_at());
    let mut early = VecDeque::new();
    let mut seen = Vec::new();
    let body = &mut answered.content.body;
    let reading = async {
        while let Some(Ok(piece)) = next_piece(body).await {
            let rest = BYTES_MAX.saturating_sub(seen.len());
            seen.extend_from_slice(piece.get(..rest).unwrap_or(&piece));
            early.push_back(piece);
            if let Some(is_stream) = begins_events(&seen) {
                return is_stream;
            }
            if seen.len() == BYTES_MAX {
                return false;
            }
        }
        false
    };
    let read = timeout_at(deadline, reading).await;
    keep(&mut answered.content, early);
    account.request.read_clock();
    let status = answered.head.head.status();
    match read {
        Ok(true) => replace(&mut answered.head, status, EVENT_STREAM),
        Ok(false) => Ok(()),
        Err(_) => Err(Problem::new(
            Refusal::UpstreamTimeout,
            "the first byte of the provider's response did not arrive in time",
        )),
    }
}
