//! The body of a response whose frames become server-sent events.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ai::hosts::bedrock::EventsOfFrames;
use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::{Download, DownloadError};

/// A stream of frames of Amazon, which is read as events.
pub(crate) struct FramedDownload {
    events: EventsOfFrames,
    pub(super) frames: Download,
}

impl FramedDownload {
    pub(super) fn new(frames: Download) -> Self {
        Self { events: EventsOfFrames::default(), frames }
    }

    /// Whether nothing is to be read. Nothing follows an exception, and a damaged or incomplete frame is an error.
    pub(super) fn is_over(&self) -> bool {
        self.events.has_ended() || (self.frames.is_end_stream() && self.events.may_end())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        while !self.events.has_ended() {
            if let Some(failure) = self.events.failure() {
                return Poll::Ready(Some(Err(failure.into())));
            }
            let frame = match ready!(Pin::new(&mut self.frames).poll_frame(cx)) {
                Some(frame) => frame?,
                None => return Poll::Ready(self.events.end().err().map(|error| Err(error.into()))),
            };
            // Trailers are not relayed.
            let events = frame.into_data().map_or_else(|_| Bytes::new(), |piece| self.events.push(&piece));
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(events))));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use ai::hosts::bedrock::FrameError;

    use super::*;

    /// The empty frame of Amazon's test vectors, which has no message type.
    const EMPTY: [u8; 16] = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];

    /// Returns the events of a body in these pieces, and its end.
    async fn read(pieces: &[&[u8]]) -> (Vec<u8>, Option<DownloadError>) {
        let early = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        let mut body = Download::early(early, Download::Ended);
        body.read_frames();
        let mut read = Vec::new();
        loop {
            if body.is_end_stream() {
                return (read, None);
            }
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => read.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(error)) => return (read, Some(error)),
                None => return (read, None),
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_within_a_frame_is_aborted_and_an_empty_one_is_not() {
        let error = |read: (Vec<u8>, Option<DownloadError>)| match read.1 {
            Some(DownloadError::Frame(error)) => Some(error),
            Some(other) => panic!("{other}"),
            None => None,
        };
        assert_eq!(error(read(&[]).await), None);
        assert_eq!(error(read(&[&EMPTY[..9], &EMPTY[9..15]]).await), Some(FrameError::Cut));
        assert_eq!(error(read(&[&EMPTY]).await), Some(FrameError::Payload));
        assert_eq!(error(read(&[&[0; 12]]).await), Some(FrameError::Checksum));
    }
}
