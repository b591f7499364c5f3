//! The beginning of a response that another target could replace: nothing of it is sent before its first content.

use std::collections::VecDeque;
use std::time::Duration;

use ai::ResponseFraming;
use ai::failures::failure::ProviderError;
use ai::streams::opening::{OPENING_BYTES_MAX, Opening, OpeningState};
use ai::translate::is_response;
use http1::KnownName;
use tokio::time::{Instant, timeout_at};

use super::early::{keep, next_piece};
use super::target_call::TargetCall;
use crate::forward::UpstreamResponse;
use crate::upstream::download::DownloadError;

/// Maximum time for which the beginning of a response is held, unless the configuration sets the time of the first content.
const HELD_MAX: Duration = Duration::from_secs(10);

/// How a successful response begins.
pub(super) enum ResponseBeginning {
    /// With content, or with more bytes than are held.
    Content,
    /// With an error of the provider.
    Failed(ProviderError),
    /// It broke or ended before its first content, or it is no response of an LLM API.
    Broken,
    /// Its first content did not arrive in time.
    Late,
    /// It is not held any longer: the rest decides how it begins.
    Held,
}

/// Why reading has ended.
enum ReadEnd {
    Decided(OpeningState),
    Broken(Option<DownloadError>),
}

/// Reads a successful response until its first content. The pieces are then the beginning of its body again.
pub(super) async fn begin(
    call: &TargetCall<'_>,
    answered: &mut UpstreamResponse,
    now: Instant,
    first_content: Option<Duration>,
) -> ResponseBeginning {
    if is_page(answered) {
        return ResponseBeginning::Broken;
    }
    let framing = call.framing(answered);
    let format = call.provider_format();
    let is_translated = answered.translated.is_some();
    let mut opening = Opening::new(format, framing);
    if framing == ResponseFraming::Opaque {
        return ResponseBeginning::Content;
    }
    let mut early = VecDeque::new();
    let body = &mut answered.content.body;
    let reading = async {
        let mut bytes = 0;
        loop {
            match next_piece(body).await {
                Some(Ok(piece)) => {
                    let state = opening.push(&piece);
                    bytes += piece.len();
                    early.push_back(piece);
                    if state != OpeningState::Opening {
                        return ReadEnd::Decided(state);
                    }
                    if bytes > OPENING_BYTES_MAX {
                        return ReadEnd::Decided(OpeningState::Content);
                    }
                }
                Some(Err(error)) => return ReadEnd::Broken(Some(error)),
                None if framing == ResponseFraming::Json && bytes > 0 => {
                    let state = opening.end();
                    let is_other =
                        is_translated && state == OpeningState::Content && !is_response(format, opening.error());
                    return if is_other { ReadEnd::Broken(None) } else { ReadEnd::Decided(state) };
                }
                // A stream ends after its content, and a body is not empty.
                None => return ReadEnd::Broken(None),
            }
        }
    };
    let end = timeout_at(now + first_content.unwrap_or(HELD_MAX), reading).await;
    keep(&mut answered.content, early);
    match end {
        Ok(ReadEnd::Decided(OpeningState::Failed)) => {
            ResponseBeginning::Failed(ProviderError::of_event(opening.error()))
        }
        Ok(ReadEnd::Decided(OpeningState::Ended)) => ResponseBeginning::Broken,
        Ok(ReadEnd::Decided(OpeningState::Content | OpeningState::Opening)) => ResponseBeginning::Content,
        Ok(ReadEnd::Broken(error)) => {
            tracing::debug!(?error, "a response ended before its first content");
            ResponseBeginning::Broken
        }
        Err(_) if first_content.is_some() => ResponseBeginning::Late,
        Err(_) => ResponseBeginning::Held,
    }
}

/// Whether a successful response is a page of a proxy or a portal.
pub(super) fn is_page(answered: &UpstreamResponse) -> bool {
    const HTML: &str = "text/html";
    let is_html = |media_type: &str| {
        media_type.trim_start().get(..HTML.len()).is_some_and(|essence| essence.eq_ignore_ascii_case(HTML))
    };
    answered.head.head.text(KnownName::ContentType).is_some_and(is_html)
}
