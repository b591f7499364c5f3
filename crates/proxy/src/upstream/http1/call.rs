//! One request on an HTTP/1.1 connection, until the head of its response has arrived.

use std::io;
use std::task::{Context, Poll, ready};

use ::http1::{InvalidPart, ResponseHead, ResponseTo};
use bytes::Bytes;
use tokio::time::Instant;

use super::Http1Connection;
use super::body::Http1Download;
use super::error::Http1CallError;
use super::request_writer::RequestWriter;
use crate::body::upload::Upload;
use crate::bytes::content::ContentReader;
use crate::deadlines::probe::Probe;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::{HEAD_BYTES_MAX, INTERIM_RESPONSES_MAX, SWITCHING_PROTOCOLS};

/// The state of writing the request.
enum Sending {
    Writing(RequestWriter),
    Written,
    /// Writing failed: the upstream reads no more of the request. It may have responded before.
    Refused(io::Error),
}

/// A request with its connection. Dropping it closes the connection.
pub(crate) struct Http1Call {
    connection: Box<Http1Connection>,
    sending: Sending,
    responds_to: ResponseTo,
    upgrades: bool,
    is_bodiless: bool,
    interim_responses: u32,
    interim_bytes: usize,
    probe: Probe,
}

impl Http1Call {
    /// Begins a call. Nothing is written before the call is polled.
    ///
    /// # Errors
    /// The method or the target cannot be written.
    pub(crate) fn start(
        connection: Box<Http1Connection>,
        outgoing: &OutgoingHead,
        upload: Upload,
    ) -> Result<Self, InvalidPart> {
        let responds_to = ResponseTo::method(outgoing.head.method_bytes());
        let is_bodiless = upload.is_empty();
        let upgrades = outgoing.upgrades;
        let sending = Sending::Writing(RequestWriter::new(&connection, outgoing, upload)?);
        let probe = connection.probe();
        let interim_responses = 0;
        let interim_bytes = 0;
        Ok(Self { connection, sending, responds_to, upgrades, is_bodiless, interim_responses, interim_bytes, probe })
    }

    /// Returns the probe of the request.
    pub(crate) fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Writes the request and reads the head of the response, which may arrive before the request is written.
    /// `relay` gets the interim responses before it.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        relay: impl Fn(UpstreamHead),
    ) -> Poll<Result<ResponseHead, Http1CallError>> {
        self.poll_send(cx)?;
        if !self.probe.anything_written() {
            // A response before the first byte of the request would belong to another request.
            return Poll::Pending;
        }
        loop {
            while let Some(head) = self.parse()? {
                match head.status() {
                    SWITCHING_PROTOCOLS if self.upgrades => return Poll::Ready(Ok(head)),
                    SWITCHING_PROTOCOLS => return Poll::Ready(Err(Http1CallError::Switched)),
                    _ if !head.is_interim() => return Poll::Ready(Ok(head)),
                    _ => {}
                }
                relay(self.take_interim(head)?);
            }
            match ready!(self.connection.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(Err(self.refused())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Http1CallError::Io(error))),
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Http1CallError> {
        match &mut self.sending {
            Sending::Writing(writer) => match writer.poll(cx) {
                Poll::Pending => Ok(()),
                Poll::Ready(Ok(())) => {
                    self.connection.buffers.give_back_queue(writer.take_queue());
                    self.sending = Sending::Written;
                    Ok(())
                }
                Poll::Ready(Err(Http1CallError::Io(error))) if self.probe.anything_written() => {
                    self.sending = Sending::Refused(error);
                    Ok(())
                }
                Poll::Ready(Err(error)) => Err(error),
            },
            Sending::Written | Sending::Refused(_) => Ok(()),
        }
    }

    /// Returns the reason for the end of the connection. An error while writing is more precise than the end itself.
    fn refused(&mut self) -> Http1CallError {
        match &mut self.sending {
            Sending::Refused(error) => Http1CallError::Io(std::mem::replace(error, io::ErrorKind::BrokenPipe.into())),
            Sending::Writing(_) | Sending::Written => Http1CallError::Closed,
        }
    }

    fn parse(&mut self) -> Result<Option<ResponseHead>, Http1CallError> {
        let Http1Connection { parser, received, buffers, .. } = &mut *self.connection;
        if received.bytes.is_empty() {
            return Ok(None);
        }
        if !parser.has_begun() {
            parser.reuse(buffers.take_fields());
        }
        parser.parse(&received.bytes).map_err(Http1CallError::Violation)
    }

    fn take_interim(&mut self, head: ResponseHead) -> Result<UpstreamHead, Http1CallError> {
        self.interim_responses += 1;
        self.interim_bytes += head.len();
        let bytes = self.connection.received.bytes.split_to(head.len()).freeze();
        if self.interim_responses > INTERIM_RESPONSES_MAX || self.interim_bytes > HEAD_BYTES_MAX {
            return Err(Http1CallError::Interim);
        }
        Ok(UpstreamHead::new(bytes, head))
    }

    /// Returns the response to this request.
    pub(crate) fn into_response(mut self, head: ResponseHead) -> (UpstreamHead, Http1Download) {
        let mut bytes = self.connection.received.bytes.split_to(head.len()).freeze();
        if head.status() == SWITCHING_PROTOCOLS {
            // A tunnel keeps its head, and with it the whole buffer, except if it is copied.
            bytes = Bytes::copy_from_slice(&bytes);
        }
        let framing = head.framing(self.responds_to);
        let persists = head.persists(self.responds_to);
        let (upload, is_refused) = match self.sending {
            Sending::Writing(writer) => (Some(writer.continue_in_task()), false),
            Sending::Written => (None, false),
            Sending::Refused(_) => (None, true),
        };
        self.connection.content = ContentReader::after_response(head.over(&bytes).fields(), framing);
        let body = Http1Download::new(self.connection, upload, persists && !is_refused);
        (UpstreamHead::new(bytes, head), body)
    }

    /// Whether the request has no body.
    pub(crate) const fn is_bodiless(&self) -> bool {
        self.is_bodiless
    }

    /// Returns the whole body if nothing of the request was written. Otherwise returns it only if it is empty.
    pub(crate) fn into_upload(self) -> Option<Upload> {
        match self.sending {
            Sending::Writing(writer) if !self.probe.anything_written() => Some(writer.into_upload()),
            _ if self.is_bodiless => Some(Upload::segments(std::iter::empty(), Instant::now()).0),
            Sending::Writing(_) | Sending::Written | Sending::Refused(_) => None,
        }
    }
}
