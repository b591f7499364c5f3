//! gRPC over HTTP/2 without TLS: each call receives its own messages.

use std::sync::Arc;

use h2::RecvStream;
use h2::server::SendResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::handle::MockProvider;

/// The first bytes of a connection of HTTP/2 (RFC 9113, 3.4). No method of HTTP/1.1 begins with them.
const PREFACE: &[u8] = b"PRI";
const STREAMS_MAX: u32 = 256;
/// Longest content of a call.
const CALL_BYTES_MAX: usize = 1 << 20;

/// Whether the connection begins as one of HTTP/2.
pub(crate) async fn is_http2(stream: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    stream.peek(&mut first).await.is_ok() && first == PREFACE
}

/// Serves calls until the client disconnects.
pub(crate) async fn serve(stream: TcpStream, mock: Arc<MockProvider>) {
    let handshake = h2::server::Builder::new().max_concurrent_streams(STREAMS_MAX).handshake(stream).await;
    let Ok(mut connection) = handshake else { return };
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => drop(calls.spawn(call(request, respond, Arc::clone(&mock)))),
                Some(Err(_)) | None => return,
            },
            Some(_) = calls.join_next() => {}
        }
    }
}

/// Answers one call. An error means that the client has ended it.
async fn call(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    mock: Arc<MockProvider>,
) -> Result<(), h2::Error> {
    let (parts, mut body) = request.into_parts();
    let mut messages = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        messages.extend_from_slice(&data);
        if messages.len() > CALL_BYTES_MAX {
            respond.send_reset(h2::Reason::CANCEL);
            return Ok(());
        }
    }
    mock.record_plain(parts, &messages);
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(messages.into(), false)?;
    let status = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    stream.send_trailers(status)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_call_receives_its_message_and_the_status_of_grpc() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { crate::serve(listener, std::future::pending::<()>()).await });
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        tasks.spawn(async { drop(connection.await) });
        for message in [&b"\0\0\0\0\x02hi"[..], b""] {
            let request = Request::post("http://mock/a.B/C").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
            let (response, mut sent) = sender.send_request(request, false).unwrap();
            sent.send_data(Bytes::from_static(message), true).unwrap();
            let (parts, mut body) = response.await.unwrap().into_parts();
            let mut received = Vec::new();
            while let Some(data) = body.data().await {
                received.extend_from_slice(&data.unwrap());
            }
            assert_eq!((parts.status, received.as_slice()), (StatusCode::OK, message));
            assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
        }
    }
}
