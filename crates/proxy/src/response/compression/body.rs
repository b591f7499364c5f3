//! The compressed content of a response. Small pieces are compressed on the worker's thread, the rest of large content on
//! other threads.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use tokio::task::{JoinHandle, spawn_blocking};

use super::encoder::{Encoder, PiecePlace};
use crate::response::relay::ResponseAborted;

/// Content beyond this size is compressed outside the worker's thread.
const ON_WORKER_BYTES_MAX: usize = 64 * 1024;

/// The compressed content of `inner`.
pub(crate) struct EncodedBody<B> {
    inner: B,
    state: EncoderState,
    /// The number of bytes that were compressed on the worker's thread.
    on_worker: usize,
}

enum EncoderState {
    Here(Box<Encoder>),
    /// Another thread compresses a piece.
    Away(JoinHandle<(Box<Encoder>, io::Result<Bytes>)>, PiecePlace),
    Ended,
}

impl<B: Body<Data = Bytes, Error = ResponseAborted> + Unpin> EncodedBody<B> {
    pub(crate) const fn new(inner: B, encoder: Box<Encoder>) -> Self {
        Self { inner, state: EncoderState::Here(encoder), on_worker: 0 }
    }

    /// Whether nothing is to be read.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, EncoderState::Ended)
    }

    /// Returns the next compressed piece.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        loop {
            match &mut self.state {
                EncoderState::Ended => return Poll::Ready(None),
                EncoderState::Away(encoding, place) => {
                    let place = *place;
                    let done = ready!(Pin::new(encoding).poll(cx));
                    let Ok((encoder, encoded)) = done else { return self.aborted() };
                    self.state = EncoderState::Here(encoder);
                    if let Some(bytes) = self.pass(encoded, place)? {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                EncoderState::Here(_) => {
                    let piece = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                        Some(Ok(frame)) => frame.into_data().ok(),
                        Some(Err(_)) => return self.aborted(),
                        None => None,
                    };
                    // Trailers, which are not relayed, end the content too.
                    let is_last = piece.is_none() || self.inner.is_end_stream();
                    let place = if is_last { PiecePlace::Last } else { PiecePlace::Inner };
                    if let Some(bytes) = self.encode(piece.unwrap_or_default(), place)? {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }

    /// Compresses a piece, here or on another thread.
    fn encode(&mut self, piece: Bytes, place: PiecePlace) -> Result<Option<Bytes>, ResponseAborted> {
        let EncoderState::Here(mut encoder) = std::mem::replace(&mut self.state, EncoderState::Ended) else {
            return Ok(None);
        };
        if piece.is_empty() && place == PiecePlace::Inner {
            self.state = EncoderState::Here(encoder);
            return Ok(None);
        }
        self.on_worker = self.on_worker.saturating_add(piece.len());
        if self.on_worker > ON_WORKER_BYTES_MAX && !piece.is_empty() {
            let encoding = spawn_blocking(move || {
                let encoded = encoder.encode(&piece, place);
                (encoder, encoded)
            });
            self.state = EncoderState::Away(encoding, place);
            return Ok(None);
        }
        let encoded = encoder.encode(&piece, place);
        self.state = EncoderState::Here(encoder);
        self.pass(encoded, place)
    }

    /// Returns the bytes that an encoder has returned, if there are some.
    fn pass(&mut self, encoded: io::Result<Bytes>, place: PiecePlace) -> Result<Option<Bytes>, ResponseAborted> {
        if encoded.is_err() || place == PiecePlace::Last {
            self.state = EncoderState::Ended;
        }
        let bytes = encoded.map_err(|error| {
            tracing::error!(%error, "the content of a response cannot be compressed");
            ResponseAborted
        })?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    fn aborted(&mut self) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        self.state = EncoderState::Ended;
        Poll::Ready(Some(Err(ResponseAborted)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::sync::mpsc;

    use access::Subject;
    use config::snapshot::ContentCoding;
    use http_body::Frame;

    use super::*;
    use crate::capacity::Capacity;
    use crate::capacity::tests::CONNECTIONS;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ResponseAborted;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    #[test]
    fn the_part_of_content_over_64_kib_is_compressed_on_another_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            // The only other thread waits, so it compresses nothing yet.
            let (go, waits) = mpsc::sync_channel::<()>(1);
            let occupied = spawn_blocking(move || waits.recv());
            let piece = Bytes::from(vec![b'x'; 40 * 1024]);
            let held = Capacity::new(CONNECTIONS, 10, 1 << 30).hold(&Subject::ANONYMOUS);
            let encoder = Box::new(Encoder::new(ContentCoding::Gzip, held).unwrap());
            let mut body = EncodedBody::new(Pieces([piece.clone(), piece.clone(), piece].into()), encoder);
            let now = poll_fn(|cx| Poll::Ready(body.poll_bytes(cx))).await;
            assert!(matches!(now, Poll::Ready(Some(Ok(_)))), "the first piece is small");
            for _ in 0..2 {
                assert!(poll_fn(|cx| Poll::Ready(body.poll_bytes(cx))).await.is_pending(), "the rest is large");
            }
            go.send(()).unwrap();
            occupied.await.unwrap().unwrap();
            let mut rest = 0;
            while let Some(bytes) = poll_fn(|cx| body.poll_bytes(cx)).await {
                rest += bytes.unwrap().len();
            }
            assert!(rest > 0 && body.is_over());
        });
    }
}
