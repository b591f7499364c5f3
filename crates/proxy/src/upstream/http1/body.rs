//! The content of a response on an HTTP/1.1 connection.

use std::io;
use std::task::{Context, Poll};

use ::http1::Violation;
use bytes::Bytes;
use http_body::SizeHint;
use thiserror::Error;

use super::Http1Connection;
use super::request_writer::{RequestWriter, UploadTask};
use crate::body::upload::{Upload, UploadError};
use crate::bytes::content::Trailers;

/// The reason for an incomplete response.
#[derive(Debug, Error)]
pub(crate) enum Http1BodyError {
    #[error("the connection to the upstream failed")]
    Io(#[source] io::Error),
    #[error("the content of the upstream's response is incomplete or invalid")]
    Violation(#[source] Violation),
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// The content of a response. Dropping it before its end closes the connection.
pub(crate) struct Http1Download {
    /// The connection, which reads the content; `None` after the end of the content.
    connection: Option<Box<Http1Connection>>,
    /// What remains after the end of complete content.
    end: Option<ContentEnd>,
    upload: Option<UploadTask>,
    /// Whether another request may use the connection after a complete request and response.
    persists: bool,
    /// The connection after the end of the content, if another request may use it.
    reusable: Option<Box<Http1Connection>>,
}

/// What remains of complete content.
struct ContentEnd {
    /// The rest of the announced length, which is zero; `None` if no length was announced.
    left: Option<u64>,
    trailers: Option<Trailers>,
}

impl Http1Download {
    /// Returns the content of the current response of this connection. `upload` is the task that writes the rest of the
    /// request. `persists`: another request may use the connection afterwards.
    pub(super) fn new(connection: Box<Http1Connection>, upload: Option<UploadTask>, persists: bool) -> Self {
        let mut download = Self { connection: Some(connection), end: None, upload, persists, reusable: None };
        download.leave_if_ended();
        download
    }

    /// Sends `upload` to the upstream, whose connection has become a tunnel. Its response is the other direction.
    pub(crate) fn tunnel(&mut self, upload: Upload) {
        if let Some(connection) = &self.connection {
            self.upload = Some(RequestWriter::tunnel(connection, upload).continue_in_task());
        }
    }

    /// Returns whether all of the content and its trailers were taken.
    pub(crate) fn is_end(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.trailers.is_none())
    }

    /// Takes the trailers after the end of the content.
    pub(crate) fn take_trailers(&mut self) -> Option<Trailers> {
        self.end.as_mut()?.trailers.take()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match (&self.connection, &self.end) {
            (Some(connection), _) => connection.content.size_hint(),
            (None, Some(end)) => end.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            (None, None) => SizeHint::default(),
        }
    }

    /// Returns the next piece of the content, or `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Http1BodyError>>> {
        loop {
            match self.next() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) => {}
                Err(violation) => return self.fail(Http1BodyError::Violation(violation)),
            }
            let Some(connection) = &mut self.connection else {
                let truncated = Http1BodyError::Violation(Violation::Truncated);
                return Poll::Ready(if self.end.is_some() { None } else { Some(Err(truncated)) });
            };
            match connection.poll_receive(cx) {
                Poll::Ready(Ok(0)) => match connection.content.close() {
                    Ok(()) => self.leave_if_ended(),
                    Err(violation) => return self.fail(Http1BodyError::Violation(violation)),
                },
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return self.fail(Http1BodyError::Io(error)),
                Poll::Pending => {
                    let failed = self.upload.as_ref().and_then(|upload| upload.poll_failed(cx));
                    return failed.map_or(Poll::Pending, |failed| self.fail(failed.into()));
                }
            }
        }
    }

    /// Closes the connection and returns the error.
    fn fail(&mut self, error: Http1BodyError) -> Poll<Option<Result<Bytes, Http1BodyError>>> {
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }

    fn next(&mut self) -> Result<Option<Bytes>, Violation> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let data = connection.content.next(&mut connection.received.bytes);
        self.leave_if_ended();
        data
    }

    /// Returns the connection after a complete request and response, if another request may use it.
    pub(crate) const fn take_reusable(&mut self) -> Option<Box<Http1Connection>> {
        self.reusable.take()
    }

    /// At the end of the content, keeps the connection if another request may use it, and closes it otherwise.
    fn leave_if_ended(&mut self) {
        let Some(mut connection) = self.connection.take_if(|connection| connection.content.is_over()) else { return };
        let trailers = connection.content.take_trailers();
        self.end = Some(ContentEnd { left: connection.content.size_hint().exact(), trailers });
        let is_written = self.upload.take().is_none_or(|upload| upload.is_written());
        // Further bytes would be a response without a request.
        if self.persists && is_written && connection.received.bytes.is_empty() {
            connection.rest();
            self.reusable = Some(connection);
        }
    }
}
