//! The body of a response: sent at once or in paced pieces, complete or cut.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::damaged_stream::DamagedStream;
use crate::wire::EventSequence;

/// The time in which the bytes before a cut are sent. An immediate error would discard them.
const CUT_PAUSE: Duration = Duration::from_millis(10);

/// The error that makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("cut by the behaviour `cut`")]
pub(crate) struct ConnectionCut;

/// The body of a response.
pub(crate) enum Payload {
    Whole(Option<Bytes>),
    Paced(Box<PacedBody>),
}

/// A body in pieces, each sent as a chunk.
pub(crate) struct PacedBody {
    source: PieceSource,
    /// The value of `Content-Length`; a cut body is shorter.
    promised_bytes: Option<u64>,
    every: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    /// The number of pieces until the cut. Only half of the last piece is sent.
    cut_in: Option<u64>,
    /// The time between the last piece and the cut.
    cut_pause: Duration,
    ahead: PacedStep,
}

enum PieceSource {
    Events(Box<EventSequence>),
    Damaged(Box<DamagedStream>),
    Slices { rest: Bytes, piece_bytes: usize },
}

enum PacedStep {
    Send(Bytes),
    Cut,
    End,
}

impl Payload {
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }

    /// A stream with the time `every` between its events.
    pub(crate) fn events(events: EventSequence, every: Duration) -> Self {
        Self::paced(PieceSource::Events(Box::new(events)), every, None)
    }

    /// A stream with damage, and the time `every` between its pieces.
    pub(crate) fn damaged(events: DamagedStream, every: Duration) -> Self {
        Self::paced(PieceSource::Damaged(Box::new(events)), every, None)
    }

    /// A body in about `pieces` pieces with `every` between them.
    pub(crate) fn trickled(body: Bytes, every: Duration, pieces: u64) -> Self {
        let pieces = usize::try_from(pieces.max(1)).unwrap_or(usize::MAX);
        let piece_bytes = body.len().div_ceil(pieces).max(1);
        let promised_bytes = u64::try_from(body.len()).ok();
        Self::paced(PieceSource::Slices { rest: body, piece_bytes }, every, promised_bytes)
    }

    /// A body of unknown length in chunks of `piece_bytes`.
    pub(crate) fn chunked(body: Bytes, piece_bytes: usize) -> Self {
        Self::paced(PieceSource::Slices { rest: body, piece_bytes: piece_bytes.max(1) }, Duration::ZERO, None)
    }

    /// The first half of a body with the length of the whole body. The cut follows after `pause`.
    pub(crate) fn halved(body: Bytes, pause: Duration) -> Self {
        Self::trickled(body, Duration::ZERO, 1).cut(1, pause)
    }

    /// The same body, cut within piece `cut_in` (the first is 1); the connection closes after `pause`.
    pub(crate) fn cut(mut self, cut_in: u64, pause: Duration) -> Self {
        if let Self::Paced(paced) = &mut self {
            paced.cut_pause = pause.max(CUT_PAUSE);
            paced.cut_in = Some(cut_in.saturating_sub(1));
            if let PacedStep::Send(piece) = &mut paced.ahead
                && cut_in <= 1
            {
                piece.truncate(piece.len() / 2);
            }
        }
        self
    }

    fn paced(source: PieceSource, every: Duration, promised_bytes: Option<u64>) -> Self {
        let pause = None;
        let cut_pause = CUT_PAUSE;
        let mut paced =
            PacedBody { source, promised_bytes, every, pause, cut_in: None, cut_pause, ahead: PacedStep::End };
        paced.ahead = paced.step();
        Self::Paced(Box::new(paced))
    }
}

impl PacedBody {
    fn step(&mut self) -> PacedStep {
        let half = match &mut self.cut_in {
            Some(0) => return PacedStep::Cut,
            Some(left) => {
                *left -= 1;
                *left == 0
            }
            None => false,
        };
        match self.source.next() {
            Some(mut piece) => {
                if half {
                    piece.truncate(piece.len() / 2);
                }
                PacedStep::Send(piece)
            }
            None => PacedStep::End,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        match std::mem::replace(&mut self.ahead, PacedStep::End) {
            PacedStep::End => Poll::Ready(None),
            PacedStep::Cut => Poll::Ready(Some(Err(ConnectionCut))),
            PacedStep::Send(piece) => {
                self.ahead = self.step();
                self.rest();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    /// Sets the pause before the next step. No pause precedes the end.
    fn rest(&mut self) {
        let pause = match self.ahead {
            PacedStep::End => Duration::ZERO,
            PacedStep::Send(_) => self.every,
            PacedStep::Cut => self.every.max(self.cut_pause),
        };
        match &mut self.pause {
            _ if pause.is_zero() => self.pause = None,
            Some(sleep) => sleep.as_mut().reset(Instant::now() + pause),
            none => *none = Some(Box::pin(tokio::time::sleep(pause))),
        }
    }
}

impl PieceSource {
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Events(events) => events.next().map(|(_, event)| event),
            Self::Damaged(damaged) => damaged.next(),
            Self::Slices { rest, piece_bytes } => {
                let piece = rest.split_to(rest.len().min(*piece_bytes));
                (!piece.is_empty()).then_some(piece)
            }
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = ConnectionCut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Paced(paced) => paced.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    /// Hyper calls this before the first frame only, and derives the framing from it.
    fn size_hint(&self) -> SizeHint {
        let bytes = match self {
            Self::Whole(bytes) => u64::try_from(bytes.as_ref().map_or(0, Bytes::len)).ok(),
            Self::Paced(paced) => paced.promised_bytes,
        };
        bytes.map(SizeHint::with_exact).unwrap_or_default()
    }
}
