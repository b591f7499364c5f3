//! The answer on its way back: passed on as it arrives, read by a tap where it is an LLM's.

use std::pin::Pin;
use std::task::{Context, Poll};

use ai::Tap;
use bytes::Bytes;
use http_body::{Body as _, SizeHint};
use meter::Outcome;
use tokio::time::Instant;

use crate::body::ResponseAborted;
use crate::exchange::Exchange;
use crate::forward::BorrowedConnection;
use crate::upstream::download::Download;

/// An answer in relay. Dropped before its end, it settles as `caller_gone`.
pub(crate) struct Relay {
    incoming: Download,
    connection: Option<BorrowedConnection>,
    exchange: Box<Exchange>,
    tap: Option<Box<TappedResponse>>,
    /// Bytes that still go out after the end.
    last: Option<Bytes>,
    moved: bool,
    /// Whether time may have passed since the head of the response was read.
    has_waited: bool,
    /// What was known of the answer's use when that was last compared with what it may use; `None` where nothing holds it.
    news: Option<u32>,
    used_up: bool,
}

/// How an LLM's answer is read.
pub(crate) struct TappedResponse {
    pub(crate) tap: Tap,
    /// Whether it is a stream, which says of itself that it has ended. An event may be left out or added, so its length is
    /// not known.
    pub(crate) streamed: bool,
}

impl Relay {
    pub(crate) fn new(
        incoming: Download,
        connection: BorrowedConnection,
        exchange: Box<Exchange>,
        tap: Option<Box<TappedResponse>>,
    ) -> Box<Self> {
        let is_held = tap.as_ref().is_some_and(|tapped| tapped.streamed) && exchange.is_held_to_its_use();
        let (news, used_up) = (is_held.then_some(0), false);
        let mut relay = Self {
            incoming,
            connection: Some(connection),
            exchange,
            tap,
            last: None,
            moved: false,
            has_waited: false,
            news,
            used_up,
        };
        if relay.incoming.is_end_stream() {
            relay.end();
        }
        Box::new(relay)
    }

    pub(crate) const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether its end may say what the call has used.
    pub(crate) const fn has_usage_to_come(&self) -> bool {
        self.connection.is_some() && self.tap.is_some()
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.connection.is_none() && self.last.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.tap {
            Some(tapped) if tapped.streamed => SizeHint::default(),
            _ => self.incoming.size_hint(),
        }
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        loop {
            if let Some(last) = self.last.take() {
                return Poll::Ready(Some(Ok(last)));
            }
            if self.connection.is_none() {
                return Poll::Ready(None);
            }
            if self.used_up {
                return self.break_off(Outcome::BudgetCut);
            }
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers end here: the caller was promised none (RFC 9110, 6.5.1).
                    let Ok(data) = frame.into_data() else { continue };
                    let bytes = self.pass(data);
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(request_id = %self.exchange.id, %error, "the upstream aborted its response");
                    let caller_broke_off = self.connection.as_ref().is_some_and(BorrowedConnection::caller_broke_off);
                    let outcome = if caller_broke_off { Outcome::CallerGone } else { Outcome::UpstreamCut };
                    return self.break_off(outcome);
                }
                Poll::Ready(None) => self.end(),
                Poll::Pending => {
                    self.has_waited = true;
                    return self.interrupted().map_or(Poll::Pending, |outcome| self.break_off(outcome));
                }
            }
        }
    }

    /// What of `data` goes on to the caller.
    fn pass(&mut self, data: Bytes) -> Bytes {
        self.moved = true;
        let bytes = match &mut self.tap {
            Some(tapped) => {
                let bytes = tapped.tap.push(data);
                if let Some(before) = &mut self.news
                    && std::mem::replace(before, tapped.tap.news()) != *before
                {
                    self.used_up = self.exchange.has_used_up(&tapped.tap);
                }
                bytes
            }
            None => data,
        };
        self.exchange.relayed(bytes.len());
        // With a known length nobody asks for anything after the last byte, so the end is here.
        if self.incoming.is_end_stream() {
            self.end();
        }
        self.has_waited = true;
        bytes
    }

    /// The answer is whole.
    fn end(&mut self) {
        let mut outcome = Outcome::Completed;
        let seen = self.tap.take().map(|tapped| {
            let streamed = tapped.streamed;
            let (rest, seen) = if streamed { self.exchange.close(tapped.tap) } else { tapped.tap.finish() };
            self.exchange.relayed(rest.len());
            self.last = (!rest.is_empty()).then_some(rest);
            if streamed && !seen.ended {
                // It closed in good order, and yet said not all that its format says.
                outcome = Outcome::UpstreamCut;
            }
            seen
        });
        let now = if self.has_waited { Instant::now() } else { self.exchange.read_at() };
        if let Some(connection) = self.connection.take() {
            connection.give_back(now);
        }
        self.exchange.finish_at(now, outcome, seen);
    }

    /// The answer will not be whole. A stream ends with words that say so; anything else is cut.
    fn break_off(&mut self, outcome: Outcome) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        self.connection = None;
        let Some(tapped) = self.tap.take() else {
            self.exchange.finish(outcome, None);
            return Poll::Ready(Some(Err(ResponseAborted)));
        };
        let (last, seen) = self.exchange.cut(tapped.tap, outcome);
        self.exchange.finish(outcome, Some(seen));
        Poll::Ready(Some(if last.is_empty() { Err(ResponseAborted) } else { Ok(last) }))
    }

    /// Why the answer does not go on, if it does not. A stall is found after one to two times `timeouts.idle`: no byte
    /// costs a look at the clock.
    fn interrupted(&mut self) -> Option<Outcome> {
        let deadlines = self.exchange.deadlines();
        if deadlines.is_ending() {
            return Some(Outcome::Drained);
        }
        if deadlines.take_late() {
            let (now, total_at) = (Instant::now(), self.exchange.total_at());
            if !std::mem::take(&mut self.moved) || now >= total_at {
                return Some(Outcome::TimedOut);
            }
            deadlines.wait_until((now + self.exchange.timeouts().idle).min(total_at));
        }
        None
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.connection.take().is_some() {
            let seen = self.tap.take().map(|tapped| tapped.tap.abandon());
            let outcome = if self.exchange.deadlines().is_ending() { Outcome::Drained } else { Outcome::CallerGone };
            self.exchange.finish(outcome, seen);
        }
    }
}
