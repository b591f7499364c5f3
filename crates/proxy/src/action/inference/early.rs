//! Bodies of which a part is read before they are relayed. The pieces are then the beginning of the body again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};

use crate::forward::{UpstreamContent, UpstreamResponse};
use crate::upstream::download::{Download, DownloadError};

/// Maximum time in which the body of an error is read.
const ERROR_READ_MAX: Duration = Duration::from_secs(5);
/// Maximum size of the body of an error that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Reads the body of an error response. The pieces are then the beginning of its body again.
pub(super) async fn read_error(answered: &mut UpstreamResponse, now: Instant) -> Vec<u8> {
    let mut early = VecDeque::new();
    let mut read = Vec::new();
    let body = &mut answered.content.body;
    let reading = async {
        while let Some(Ok(piece)) = next_piece(body).await {
            read.extend_from_slice(&piece);
            early.push_back(piece);
            if read.len() >= ERROR_BYTES_MAX {
                break;
            }
        }
    };
    // The client gets the rest as it arrives.
    let _ = timeout_at(now + ERROR_READ_MAX, reading).await;
    keep(&mut answered.content, early);
    read
}

/// Puts pieces back that were read from a body.
pub(super) fn keep(content: &mut UpstreamContent, early: VecDeque<Bytes>) {
    let rest = std::mem::replace(&mut content.body, Download::Ended);
    content.body = Download::early(early, rest);
}

/// Returns the next piece of a body; `None` at its end, or at trailers, which LLM APIs do not send.
pub(super) async fn next_piece(body: &mut Download) -> Option<Result<Bytes, DownloadError>> {
    if body.is_end_stream() {
        return None;
    }
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    match frame {
        Ok(frame) => frame.into_data().ok().map(Ok),
        Err(error) => Some(Err(error)),
    }
}
