//! The body of an upstream's response over either protocol.

mod frames;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ai::hosts::bedrock::FrameError;
use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::bytes::content::length;
use crate::bytes::shared_content::{SharedContentAborted, SharedContentReader};
use crate::deadlines::task::spawn;
use crate::upstream::download::frames::FramedDownload;
use crate::upstream::http1::Http1Connection;
use crate::upstream::http1::body::{Http1BodyError, Http1Download};
use crate::upstream::pool::http2::call::Pump;
use crate::upstream::pool::http2::streams::StreamSlot;

/// Time that a stream has to end by itself after the last byte of its response. An immediate reset would look like an
/// attack to upstreams that count resets.
const END_WITHIN: Duration = Duration::from_secs(1);

/// The body of a response. If it is dropped before its end, its stream is reset, or its connection is not reused.
pub(crate) enum Download {
    Http1(Http1Download),
    Http2(DownloadStream),
    Early(Box<EarlyDownload>),
    /// Frames that become events.
    Framed(Box<FramedDownload>),
    /// Content that another task reads.
    Shared(SharedContentReader),
    /// No byte is left to read.
    Ended,
}

/// A body whose beginning was read before it was known whether it is relayed.
pub(crate) struct EarlyDownload {
    early: VecDeque<Bytes>,
    rest: Download,
}

/// The reason for an incomplete response.
#[derive(Debug, Error)]
pub(crate) enum DownloadError {
    #[error(transparent)]
    Http1(#[from] Http1BodyError),
    #[error(transparent)]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Shared(#[from] SharedContentAborted),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The body of a response on an HTTP/2 stream.
pub(crate) struct DownloadStream {
    /// The stream and its slot. `None` after the drop has taken them.
    receiving: Option<(RecvStream, StreamSlot)>,
    /// The number of bytes that remain, if the head of the response announced the length. h2 enforces that length.
    left: Option<u64>,
    /// Whether trailers are read after content of an announced length.
    keeps_trailers: bool,
    /// The task that sends the rest of the request's body.
    upload: Option<AbortHandle>,
}

impl Download {
    /// Returns the body of a response on a stream. `left` is its length in bytes, if that is known. `upload` is the
    /// part of the request's body that is not sent yet.
    pub(crate) fn http2(stream: RecvStream, left: Option<u64>, slot: StreamSlot, upload: Option<Pump>) -> Self {
        // A separate task sends the rest, because nothing polls a response while its client does not read.
        let upload = upload.map(|mut pump| {
            pump.forget();
            let sending = spawn(async move {
                // The upload's progress records why it ended early.
                let _ = poll_fn(|cx| pump.poll(cx)).await;
            });
            sending.abort_handle()
        });
        let left = if stream.is_end_stream() { Some(0) } else { left };
        Self::Http2(DownloadStream { receiving: Some((stream, slot)), left, keeps_trailers: false, upload })
    }
}

impl Download {
    /// Returns a body that begins with these pieces, which were read from `rest`.
    pub(crate) fn early(early: VecDeque<Bytes>, rest: Self) -> Self {
        Self::Early(Box::new(EarlyDownload { early, rest }))
    }

    /// Reads the rest of the content as frames of Amazon, whose events are its pieces.
    pub(crate) fn read_frames(&mut self) {
        let frames = std::mem::replace(self, Self::Ended);
        *self = Self::Framed(Box::new(FramedDownload::new(frames)));
    }

    /// Replaces the whole content. The rest of the previous one is not read.
    pub(crate) fn replace(&mut self, content: Bytes) {
        let rest = match std::mem::replace(self, Self::Ended) {
            // It has the connection, which can be used again.
            Self::Early(download) if download.rest.is_end_stream() => download.rest,
            Self::Http1(_) | Self::Http2(_) | Self::Early(_) | Self::Framed(_) | Self::Shared(_) | Self::Ended => {
                Self::Ended
            }
        };
        *self = Self::early([content].into(), rest);
    }

    /// Returns the pieces that were read early.
    pub(crate) fn early_pieces(&self) -> impl Iterator<Item = &Bytes> {
        let early = if let Self::Early(download) = self { Some(&download.early) } else { None };
        early.into_iter().flatten()
    }

    /// Reads trailers also after content of an announced length, because the client's protocol can carry them.
    pub(crate) const fn keep_trailers(&mut self) {
        match self {
            Self::Http1(_) | Self::Framed(_) | Self::Shared(_) | Self::Ended => {}
            Self::Http2(stream) => stream.keeps_trailers = true,
            Self::Early(download) => download.rest.keep_trailers(),
        }
    }

    /// Returns the connection after a complete request and response over HTTP/1.1, if another request may use it.
    pub(crate) const fn take_reusable(&mut self) -> Option<Box<Http1Connection>> {
        match self {
            Self::Http1(content) => content.take_reusable(),
            // A stream ends with its body.
            Self::Http2(_) | Self::Shared(_) | Self::Ended => None,
            Self::Early(download) => download.rest.take_reusable(),
            Self::Framed(download) => download.frames.take_reusable(),
        }
    }
}

impl DownloadStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let Some((receiving, _)) = &mut self.receiving else { return Poll::Ready(None) };
        let Some(data) = ready!(receiving.poll_data(cx)) else {
            let trailers = ready!(receiving.poll_trailers(cx)).map_err(DownloadError::Http2).transpose();
            return Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)));
        };
        Poll::Ready(Some(data.map_err(DownloadError::Http2).map(|data| {
            // The call fails only for a stream that has ended, which needs no window.
            let _ = receiving.flow_control().release_capacity(data.len());
            self.left = self.left.map(|left| left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX)));
            Frame::data(data)
        })))
    }

    /// Returns whether nothing is to be read. After content of an announced length, trailers are read only if they are
    /// kept: HTTP/1.1 could not carry them.
    fn is_over(&self) -> bool {
        (self.left == Some(0) && !self.keeps_trailers)
            || self.receiving.as_ref().is_none_or(|(receiving, _)| receiving.is_end_stream())
    }
}

impl Drop for DownloadStream {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
        if self.left == Some(0)
            && let Some((mut receiving, slot)) = self.receiving.take()
            && !receiving.is_end_stream()
        {
            drop(spawn(async move {
                let _ = timeout(END_WITHIN, poll_fn(|cx| receiving.poll_data(cx))).await;
                drop((receiving, slot));
            }));
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        match &mut *self {
            Self::Http1(content) => {
                let data =
                    ready!(content.poll_data(cx)).map(|data| data.map(Frame::data).map_err(DownloadError::Http1));
                let trailers = || content.take_trailers().map(|trailers| Ok(Frame::trailers(*trailers)));
                Poll::Ready(data.or_else(trailers))
            }
            Self::Http2(stream) => stream.poll_frame(cx),
            Self::Early(download) => match download.early.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => Pin::new(&mut download.rest).poll_frame(cx),
            },
            Self::Framed(download) => download.poll_frame(cx),
            Self::Shared(reader) => {
                let piece = ready!(reader.poll_piece(cx));
                Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(DownloadError::Shared)))
            }
            Self::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(content) => content.is_end(),
            Self::Http2(stream) => stream.is_over(),
            Self::Early(download) => download.early.is_empty() && download.rest.is_end_stream(),
            Self::Framed(download) => download.is_over(),
            Self::Shared(reader) => reader.is_over(),
            Self::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(content) => content.size_hint(),
            Self::Http2(stream) => stream.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Early(download) => {
                let early: u64 = download.early.iter().map(length).sum();
                let rest = download.rest.size_hint().exact();
                rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(early.saturating_add(rest)))
            }
            Self::Framed(download) if !download.is_over() => SizeHint::default(),
            Self::Shared(reader) => reader.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Framed(_) | Self::Ended => SizeHint::with_exact(0),
        }
    }
}
