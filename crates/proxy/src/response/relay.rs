//! The response on its way to the client: it is forwarded as it arrives, and a tap reads the responses of LLM requests.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use access::Refusal;
use ai::Tap;
use ai::streams::opening::OpeningState;
use ai::translate::ResponseFailure;
use bytes::Bytes;
use http_body::{Body as _, SizeHint};
use meter::Outcome;
use thiserror::Error;
use tokio::time::Instant;

use crate::account::{RequestAccount, cause_of_cut};
use crate::bytes::content::{Trailers, length};
use crate::forward::translated::{TranslatedResponse, joined};
use crate::forward::{BorrowedConnection, UpstreamContent};
use crate::refusal::cause::cause_text;
use crate::refusal::grpc;
use crate::refusal::problem::Problem;
use crate::response::close_frame::{FrameScanner, GOING_AWAY};
use crate::response::{keep_alive, rest};
use crate::upstream::download::Download;
use crate::upstream::targets::attempts::WatchedBeginning;

/// A response that is being forwarded. If it is dropped before its end, it settles as `caller_gone`, or as `drained` at
/// the end of a shutdown.
pub(crate) struct Relay {
    content: Box<UpstreamContent>,
    account: Box<RequestAccount>,
    tap: Option<Box<TappedResponse>>,
    /// The translation into the client's format, of all bytes that the tap returns.
    translated: Option<Box<TranslatedResponse>>,
    /// The failure with which the translation has ended.
    failure: Option<ResponseFailure>,
    /// Bytes that are sent after the end of the upstream's body.
    last: Option<Bytes>,
    /// The trailers of a response without a tap, which follow its last byte.
    trailers: Option<Trailers>,
    /// The frames of the upstream, if the response has become a WebSocket.
    frames: Option<Box<FrameScanner>>,
    /// Whether time may have passed since the head of the response was read.
    has_waited: bool,
    /// Since when the client of a stream gets signs of life; `None` for any other response.
    alive_since: Option<Instant>,
    /// The value of [`Tap::news`] when the usage was last compared with the reservation; `None` if no budget limits the
    /// usage.
    news: Option<u32>,
    used_up: bool,
}

/// Why a response that waits for its upstream continues otherwise.
enum RelayInterruption {
    /// The upstream is silent: the client gets these bytes.
    Silence(Bytes),
    /// The response ends with this outcome.
    End(Outcome),
}

/// The response was aborted. Its connection is closed without a regular end, so that the client detects it.
#[derive(Debug, Clone, Copy, Error)]
#[error("the response was aborted")]
pub(crate) struct ResponseAborted;

/// An LLM response and the tap that reads it.
pub(crate) struct TappedResponse {
    pub(crate) tap: Tap,
    /// Whether the response is a stream, whose format marks its end. The tap may remove or add an event, so the length
    /// of a stream is unknown.
    pub(crate) streamed: bool,
    /// The beginning of the last attempt at the targets of a model, until it is known whether the target serves the call.
    pub(crate) beginning: Option<Box<WatchedBeginning>>,
}

impl Relay {
    pub(crate) fn new(
        content: Box<UpstreamContent>,
        account: Box<RequestAccount>,
        tap: Option<Box<TappedResponse>>,
        translated: Option<Box<TranslatedResponse>>,
    ) -> Box<Self> {
        let is_held = tap.as_ref().is_some_and(|tapped| tapped.streamed) && account.is_held_to_its_use();
        let news = is_held.then_some(0);
        let used_up = false;
        let alive_since = tap.as_ref().is_some_and(|tapped| tapped.streamed).then(|| account.request.read_at());
        let mut relay = Self {
            content,
            account,
            tap,
            translated,
            failure: None,
            last: None,
            trailers: None,
            frames: None,
            has_waited: false,
            alive_since,
            news,
            used_up,
        };
        if relay.content.body.is_end_stream() {
            relay.end();
        } else if let Some(since) = alive_since {
            let idle_at = (since + relay.account.timeouts().idle).min(relay.account.total_at());
            relay.account.request.deadlines.wait_until(idle_at.min(since + keep_alive::SILENCE_MAX));
        }
        Box::new(relay)
    }

    /// Follows the frames of the upstream: the response has opened a WebSocket.
    pub(crate) fn becomes_tunnel(&mut self) {
        self.frames = Some(Box::default());
    }

    pub(crate) const fn account(&self) -> &RequestAccount {
        &self.account
    }

    /// Returns whether the rest of the response may report the usage of the request.
    pub(crate) const fn has_usage_to_come(&self) -> bool {
        self.content.connection.is_some() && self.tap.is_some()
    }

    /// Returns whether the model has finished, and the report of its usage is due.
    pub(crate) fn awaits_usage(&self) -> bool {
        self.tap.as_ref().is_some_and(|tapped| tapped.tap.awaits_usage())
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.content.connection.is_none() && self.last.is_none()
    }

    /// Returns the failure with which the translation has ended, if any.
    pub(crate) const fn failure(&self) -> Option<ResponseFailure> {
        self.failure
    }

    /// Waits for the end of the response, whose bytes then follow the head at once.
    pub(crate) async fn until_end(&mut self) {
        let mut whole = Bytes::new();
        while let Some(Ok(bytes)) = poll_fn(|cx| self.poll_bytes(cx)).await {
            whole = joined(whole, bytes);
        }
        self.last = (!whole.is_empty()).then_some(whole);
    }

    /// Whether the content is relayed as it arrives.
    const fn is_unchanged(&self) -> bool {
        self.tap.is_none() && self.translated.is_none()
    }

    /// Ends the translation: no client receives the rest, whose usage is still read.
    pub(crate) fn stop_translating(&mut self) {
        self.translated = None;
    }

    /// Whether the response may end with trailers for its client. A tap may change the content that they describe.
    pub(crate) fn may_have_trailers(&self) -> bool {
        self.is_unchanged() && self.account.request.head.accepts_trailers()
    }

    /// Keeps trailers that follow content of an announced length.
    pub(crate) const fn keep_trailers(&mut self) {
        self.content.body.keep_trailers();
    }

    /// Whether trailers follow the last byte.
    pub(crate) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Takes the trailers after the last byte.
    pub(crate) const fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.content.connection.is_none() {
            return SizeHint::with_exact(self.last.as_ref().map_or(0, length));
        }
        match &self.tap {
            Some(tapped) if tapped.streamed || tapped.tap.has_edits() => SizeHint::default(),
            _ if self.translated.is_some() => SizeHint::default(),
            _ => self.content.body.size_hint(),
        }
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        loop {
            if let Some(last) = self.last.take() {
                return Poll::Ready(Some(Ok(last)));
            }
            if self.content.connection.is_none() {
                return Poll::Ready(None);
            }
            if self.used_up {
                return self.break_off(Outcome::BudgetCut);
            }
            match Pin::new(&mut self.content.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        let bytes = self.pass(data);
                        if !bytes.is_empty() {
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                    }
                    Err(frame) => {
                        let is_relayed = self.is_unchanged();
                        let trailers = frame.into_trailers().ok();
                        self.trailers = if is_relayed { trailers.map(Box::new) } else { None };
                        // Nothing follows the trailers.
                        self.end();
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    self.account.ending.cut_by = Some(cause_text(&error).into());
                    let client_aborted =
                        self.content.connection.as_ref().is_some_and(BorrowedConnection::client_aborted);
                    let outcome = if client_aborted { Outcome::CallerGone } else { Outcome::UpstreamCut };
                    return self.break_off(outcome);
                }
                Poll::Ready(None) => self.end(),
                Poll::Pending => {
                    self.has_waited = true;
                    return match self.interrupted() {
                        None => Poll::Pending,
                        Some(RelayInterruption::Silence(bytes)) => Poll::Ready(Some(Ok(bytes))),
                        Some(RelayInterruption::End(outcome)) => self.break_off(outcome),
                    };
                }
            }
        }
    }

    /// Returns the bytes of `data` that are sent to the client.
    fn pass(&mut self, data: Bytes) -> Bytes {
        self.account.request.deadlines.moves();
        let bytes = match &mut self.tap {
            Some(tapped) => {
                match tapped.beginning.as_mut().map(|beginning| beginning.push(&data)) {
                    None | Some(OpeningState::Opening) => {}
                    Some(OpeningState::Content) => tapped.beginning = None,
                    Some(OpeningState::Failed | OpeningState::Ended) => {
                        tapped.beginning = None;
                        note_error(&mut self.account);
                    }
                }
                if tapped.streamed
                    && let Some(spans) = self.account.request.spans.as_ref()
                {
                    spans.relay_chunk(|| self.account.request.read_clock());
                }
                let bytes = tapped.tap.push(data);
                if let Some(before) = &mut self.news
                    && std::mem::replace(before, tapped.tap.news()) != *before
                {
                    self.used_up = self.account.has_used_up(&tapped.tap);
                }
                bytes
            }
            None => {
                if let Some(frames) = &mut self.frames {
                    frames.pass(&data);
                }
                data
            }
        };
        self.set_end_time();
        let (bytes, has_room) = match &mut self.translated {
            Some(translated) => (translated.push(&bytes), translated.count().is_ok()),
            None => (bytes, true),
        };
        self.account.count_sent(bytes.len());
        if !bytes.is_empty() {
            self.account.request.deadlines.sends();
        }
        let is_complete = self.translated.as_ref().is_some_and(|translated| translated.is_complete());
        if !has_room {
            self.end_without_room();
        } else if self.content.body.is_end_stream() {
            // If the length is known, the body is not polled after its last byte, so the response ends now.
            self.end();
        } else if is_complete {
            self.end_before_body();
        }
        self.has_waited = true;
        bytes
    }

    /// Sets the time for a translation that writes it at its end.
    fn set_end_time(&mut self) {
        let Some(translated) = &mut self.translated else { return };
        if translated.has_end_time() {
            self.account.request.read_clock();
            translated.set_time(self.account.request.wall_at().unix_seconds());
        }
    }

    /// Ends a translated response at its format's last event: the provider may keep the connection open, or reset it.
    fn end_before_body(&mut self) {
        let body = std::mem::replace(&mut self.content.body, Download::Ended);
        if let Some(connection) = self.content.connection.take() {
            rest::read(body, connection, self.account.request.at.worker.clone());
        }
        self.end();
    }

    /// Ends a response whose client may not hold the bytes that the translation needs. That says nothing about the provider.
    fn end_without_room(&mut self) {
        const MESSAGE: &str = "the calls of this key hold too many bytes in memory now: send it again soon";
        self.content.connection = None;
        let seen = self.tap.take().map(|tapped| tapped.tap.abandon());
        let last = self.translate_end(|translated| translated.fail(Refusal::Overloaded, MESSAGE)).unwrap_or_default();
        self.account.count_sent(last.len());
        self.last = (!last.is_empty()).then_some(last);
        self.account.finish(Outcome::Completed, seen);
    }

    /// Returns the last bytes of the translation, if there is one, and notes its failure. The head of a whole body waits for it.
    fn translate_end(&mut self, end: impl FnOnce(&mut TranslatedResponse) -> Bytes) -> Option<Bytes> {
        let mut translated = self.translated.take()?;
        let last = end(&mut translated);
        self.failure = translated.failure();
        if let Some(ResponseFailure { status, refusal, hidden_status, .. }) = self.failure {
            if translated.waits_for_end() {
                self.account.set_client_status(self.account.client_status(status).as_u16());
            }
            if let Some(refusal) = refusal {
                let mut problem = Problem::new(refusal, "the translation of the response has failed");
                problem.source = hidden_status
                    .map(|status| format!("the provider reported {status} about a credential that is not the user's"));
                self.account.refuse(&mut problem);
            }
        }
        Some(last)
    }

    /// Ends a complete response.
    fn end(&mut self) {
        let mut outcome = Outcome::Completed;
        let mut last = Bytes::new();
        let mut begun = None;
        let seen = self.tap.take().map(|tapped| {
            let TappedResponse { tap, streamed, beginning } = *tapped;
            begun = beginning;
            // The translation ends a stream that lacks its end itself.
            let closes = streamed && self.translated.is_none();
            let (rest, seen) = if closes { self.account.close(tap) } else { tap.finish() };
            last = rest;
            if streamed && !seen.ended {
                // The upstream closed the body regularly, but the stream lacks its format's last event.
                outcome = Outcome::UpstreamCut;
            }
            seen
        });
        self.set_end_time();
        if let Some(translated) = self.translate_end(|translated| translated.end(&last)) {
            last = translated;
        }
        let is_response = self.failure.is_none_or(|failure| failure.is_of_provider());
        if let Some(beginning) = begun {
            if !is_response {
                beginning.abort(Outcome::UpstreamCut);
            } else if beginning.end() {
                note_error(&mut self.account);
            }
        }
        self.account.count_sent(last.len());
        self.last = (!last.is_empty()).then_some(last);
        let now = if self.has_waited { Instant::now() } else { self.account.request.read_at() };
        let UpstreamContent { body, connection } = &mut *self.content;
        if let Some(connection) = connection.take() {
            connection.give_back(body, now);
        }
        self.account.finish_at(now, outcome, seen);
    }

    /// Ends an incomplete response. A stream ends with an error event or its format's regular end; any other response
    /// is aborted.
    fn break_off(&mut self, outcome: Outcome) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        self.content.connection = None;
        let tapped = self.tap.take();
        if tapped.is_none() && self.translated.is_none() {
            return self.break_off_unread(outcome);
        }
        let mut last = Bytes::new();
        let mut seen = None;
        if let Some(tapped) = tapped {
            if let Some(beginning) = &tapped.beginning {
                beginning.abort(outcome);
            }
            let (rest, facts) = self.account.cut(tapped.tap, outcome);
            (last, seen) = (rest, Some(facts));
        }
        let (refusal, message) = cause_of_cut(outcome);
        // The tap's last event is the regular end of a response that has used up its budget, or the same error.
        let is_regular = outcome == Outcome::BudgetCut && !last.is_empty();
        let end = |translated: &mut TranslatedResponse| {
            if is_regular { translated.end_with(&last) } else { translated.fail(refusal, message) }
        };
        let mut has_ended = false;
        if let Some(translated) = self.translate_end(end) {
            has_ended = translated.is_empty();
            last = translated;
        }
        self.account.count_sent(last.len());
        self.account.finish(outcome, seen);
        match last {
            // The client has the end of its format already.
            _ if has_ended => Poll::Ready(None),
            last if last.is_empty() => Poll::Ready(Some(Err(ResponseAborted))),
            last => Poll::Ready(Some(Ok(last))),
        }
    }

    /// Ends an incomplete response that nothing reads.
    fn break_off_unread(&mut self, outcome: Outcome) -> Poll<Option<Result<Bytes, ResponseAborted>>> {
        let last = self.close_frame(outcome);
        self.account.count_sent(last.len());
        self.account.finish(outcome, None);
        if self.account.is_grpc && self.may_have_trailers() {
            self.trailers = Some(Box::new(grpc::trailers(outcome)));
            return Poll::Ready(None);
        }
        Poll::Ready(Some(if last.is_empty() { Err(ResponseAborted) } else { Ok(Bytes::from_static(last)) }))
    }

    /// Returns the frame with which the gateway ends a WebSocket at a deadline or at the end of a shutdown; empty if it cannot
    /// follow the bytes of the upstream.
    fn close_frame(&self, outcome: Outcome) -> &'static [u8] {
        let is_of_gateway = matches!(outcome, Outcome::Drained | Outcome::TimedOut);
        let may_follow = self.frames.as_ref().is_some_and(|frames| frames.may_follow());
        if is_of_gateway && may_follow { GOING_AWAY } else { &[] }
    }

    /// Returns the reason to end the response, or the bytes that are sent while the upstream is silent, if any.
    fn interrupted(&mut self) -> Option<RelayInterruption> {
        let deadlines = &self.account.request.deadlines;
        if deadlines.is_ending() {
            return Some(RelayInterruption::End(Outcome::Drained));
        }
        if !deadlines.take_late() {
            return None;
        }
        let now = Instant::now();
        let total_at = self.account.total_at();
        let idle = self.account.timeouts().idle;
        // The request may still be sent: then only both directions together are idle.
        let sent_at = self.content.connection.as_ref().map(|connection| connection.moved_at());
        let idle_at = sent_at.max(deadlines.moved_at(now)).map_or(now, |moved_at| moved_at + idle);
        let end_at = idle_at.min(total_at);
        if now >= end_at {
            return Some(RelayInterruption::End(Outcome::TimedOut));
        }
        let Some(alive_since) = self.alive_since else {
            deadlines.wait_until(end_at);
            return None;
        };
        let silent_since = deadlines.sent_at(now).map_or(alive_since, |sent_at| sent_at.max(alive_since));
        if now < silent_since + keep_alive::SILENCE_MAX {
            deadlines.wait_until(end_at.min(silent_since + keep_alive::SILENCE_MAX));
            return None;
        }
        self.alive_since = Some(now);
        deadlines.wait_until(end_at.min(now + keep_alive::SILENCE_MAX));
        let bytes = keep_alive::event(self.tap.as_deref().map(|tapped| &tapped.tap), self.translated.as_deref_mut())?;
        self.account.count_sent(bytes.len());
        Some(RelayInterruption::Silence(bytes))
    }
}

/// Notes that the last attempt has failed before any content: it costs the usage that precedes its error.
fn note_error(account: &mut RequestAccount) {
    if let Some(attempt) = &mut account.attempt {
        attempt.had_no_effect = true;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.content.connection.take().is_some() {
            let seen = self.tap.take().map(|tapped| tapped.tap.abandon());
            let outcome =
                if self.account.request.deadlines.is_ending() { Outcome::Drained } else { Outcome::CallerGone };
            self.account.finish(outcome, seen);
        }
    }
}
