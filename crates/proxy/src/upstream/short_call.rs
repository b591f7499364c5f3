//! A small request of the gateway itself, whose response is read completely.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http1::{HeadEdits, InvalidPart};
use thiserror::Error;
use tokio::time::Instant;

use crate::body::upload::Upload;
use crate::client::head::Head;
use crate::upstream::connect::{ConnectError, Connector, NewConnection, OfferedProtocols, connect};
use crate::upstream::http1::Http1Connection;
use crate::upstream::http1::body::Http1BodyError;
use crate::upstream::http1::call::Http1Call;
use crate::upstream::http1::error::Http1CallError;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};
use crate::upstream::pool::Pool;
use crate::upstream::response_head::UpstreamHead;

/// Maximum size of a response's body, unless a request expects more.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request that the gateway has written.
pub(crate) struct ShortCall {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    /// The time for a connection, of which each address has a share.
    pub(crate) connect_within: Duration,
    /// Maximum size of the response's body.
    pub(crate) body_bytes_max: usize,
}

/// The response to a [`ShortCall`].
pub(crate) struct ShortResponse {
    pub(crate) head: UpstreamHead,
    pub(crate) body: Bytes,
}

/// The reason why there is no whole response.
#[derive(Debug, Error)]
pub(crate) enum ShortCallError {
    #[error("the server cannot be reached")]
    Connect(#[source] ConnectError),
    #[error("the server did not respond")]
    Call(#[source] Http1CallError),
    #[error("the response is incomplete")]
    Body(#[source] Http1BodyError),
    #[error("the body of the response is larger than it may be")]
    TooLarge,
    #[error("the request cannot be written")]
    Request(#[source] InvalidPart),
    #[error("the server speaks HTTP/2 only")]
    Protocol,
}

impl ShortCall {
    /// Sends the request over a connection of `pool`. A connection that was closed while it was idle is replaced once. The code
    /// that calls this function limits the whole time.
    pub(crate) async fn send(self, connector: &Connector, pool: &Pool) -> Result<ShortResponse, ShortCallError> {
        let Self { head, body, connect_within, body_bytes_max } = self;
        let edits = HeadEdits::for_forwarding();
        let target = OutgoingTarget::Received { prefix_len: 0 };
        let outgoing =
            OutgoingHead { head: Rc::new(head), edits, target, origin: pool.target.clone(), upgrades: false };
        if let Some(idle) = pool.take(Instant::now(), true).await {
            match send(idle, &outgoing, &body, body_bytes_max, pool).await {
                Err(ShortCallError::Call(error)) if !error.is_protocol() => {}
                result => return result,
            }
        }
        let opened = connect(connector, pool, OfferedProtocols::Http1, connect_within, None).await;
        match opened.map_err(ShortCallError::Connect)? {
            NewConnection::Http1(link) => send(link, &outgoing, &body, body_bytes_max, pool).await,
            NewConnection::Http2(_) => Err(ShortCallError::Protocol),
        }
    }
}

async fn send(
    link: Box<Http1Connection>,
    outgoing: &OutgoingHead,
    body: &Bytes,
    body_bytes_max: usize,
    pool: &Pool,
) -> Result<ShortResponse, ShortCallError> {
    let content = Some(body.clone()).filter(|body| !body.is_empty());
    let (upload, _) = Upload::segments(content, Instant::now());
    let mut call = Http1Call::start(link, outgoing, upload).map_err(ShortCallError::Request)?;
    let head = poll_fn(|cx| call.poll_head(cx, drop)).await.map_err(ShortCallError::Call)?;
    let (head, mut download) = call.into_response(head);
    let mut body = BytesMut::new();
    while let Some(data) = poll_fn(|cx| download.poll_data(cx)).await {
        body.extend_from_slice(&data.map_err(ShortCallError::Body)?);
        if body.len() > body_bytes_max {
            return Err(ShortCallError::TooLarge);
        }
    }
    drop(download.take_trailers());
    if let Some(link) = download.take_reusable() {
        pool.give_back(link, Instant::now());
    }
    Ok(ShortResponse { head, body: body.freeze() })
}
