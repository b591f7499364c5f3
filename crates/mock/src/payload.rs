//! The body of an response: at once, or in pieces with time between them, to its end or to where it is cut.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::damage::DamagedStream;
use crate::wire::EventSequence;

/// What was written before a cut leaves in this time; an error at once would take it along.
const CUT_PAUSE: Duration = Duration::from_millis(10);

/// The connection is to be closed here.
#[derive(Debug, thiserror::Error)]
#[error("cut, as the model's name asks")]
pub(crate) struct ConnectionCut;

/// The body of an response.
pub(crate) enum Payload {
    Whole(Option<Bytes>),
    Paced(Box<PacedBody>),
}

/// A body in pieces, each its own chunk.
pub(crate) struct PacedBody {
    source: PieceSource,
    /// What `Content-Length` says; a cut breaks the promise.
    promised_bytes: Option<u64>,
    every: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    /// Pieces until the cut; the last of them is sent by half.
    cut_in: Option<u64>,
    /// Between the last piece and the cut.
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

    /// A stream with `every` between its events.
    pub(crate) fn events(events: EventSequence, every: Duration) -> Self {
        Self::paced(PieceSource::Events(Box::new(events)), every, None)
    }

    /// A stream that is damaged.
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

    /// A body in pieces of so many bytes, whose length is not told.
    pub(crate) fn chunked(body: Bytes, piece_bytes: usize) -> Self {
        Self::paced(PieceSource::Slices { rest: body, piece_bytes: piece_bytes.max(1) }, Duration::ZERO, None)
    }

    /// The first half of a body; its length promises all of it. The cut comes after `pause`.
    pub(crate) fn halved(body: Bytes, pause: Duration) -> Self {
        Self::trickled(body, Duration::ZERO, 1).cut(1, pause)
    }

    /// The same, cut within piece `cut_in` (from 1), and `pause` later closed.
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
        let (pause, cut_pause) = (None, CUT_PAUSE);
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

    /// Sets the time before what is ahead; the end comes at once.
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

    /// CallBody before the first frame only: hyper makes the framing of it.
    fn size_hint(&self) -> SizeHint {
        let bytes = match self {
            Self::Whole(bytes) => u64::try_from(bytes.as_ref().map_or(0, Bytes::len)).ok(),
            Self::Paced(paced) => paced.promised_bytes,
        };
        bytes.map(SizeHint::with_exact).unwrap_or_default()
    }
}
