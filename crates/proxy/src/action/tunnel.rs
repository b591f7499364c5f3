//! WebSockets: after a response with status 101, both connections of a request pass bytes in both directions. The rest of
//! the client's connection is the request's content, the rest of the upstream's is the response's.

use std::time::Duration;

use access::{Refusal, only};
use base64ct::{Base64, Encoding as _};
use http::{HeaderValue, header};
use http1::KnownName;
use sha1_smol::Sha1;

use crate::account::RequestAccount;
use crate::body::IncomingBody;
use crate::body::upload::Upload;
use crate::capacity::TunnelPermit;
use crate::client::head::{Head, is_websocket, requests_websocket};
use crate::client::moved_keys::MovedKeys;
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;
use crate::transform::name_websocket;
use crate::upstream::response_head::UpstreamHead;

/// Maximum time of a tunnel.
const TUNNEL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The only version of the protocol (RFC 6455, 4.1).
const VERSION: &str = "13";
/// The field with the protocols that the client offers, and the one that the server accepts.
const PROTOCOL: &[u8] = b"sec-websocket-protocol";
/// The size of the nonce that `Sec-WebSocket-Key` encodes.
const NONCE_BYTES: usize = 16;
/// The text that the upstream hashes together with the key (RFC 6455, 1.3).
const ACCEPT_TEXT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether the request asks for a WebSocket (RFC 6455, 4.1).
pub(super) fn is_requested(head: &Head, body: &IncomingBody) -> bool {
    head.method_bytes() == b"GET" && matches!(body, IncomingBody::Empty(_)) && requests_websocket(head)
}

/// Checks the version and the key of a request for a WebSocket (RFC 6455, 4.2.1 and 4.4).
pub(super) fn check(head: &Head) -> Result<(), Problem> {
    let mut versions = head.fields().named(b"sec-websocket-version");
    match (versions.next(), versions.next()) {
        (Some(version), None) if version == VERSION.as_bytes() => {}
        (Some(_), None) => {
            let message = "only version 13 of WebSockets is supported";
            return Err(Problem::new(Refusal::UpgradeRequired, message)
                .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION))
                .header(header::UPGRADE, HeaderValue::from_static("websocket"))
                .header(header::CONNECTION, HeaderValue::from_static("upgrade")));
        }
        (None | Some(_), _) => {
            let message = "a WebSocket requires one Sec-WebSocket-Version";
            return Err(Problem::new(Refusal::BadRequest, message));
        }
    }
    let is_valid = only(keys(head)).is_some_and(|key| {
        let mut nonce = [0; NONCE_BYTES];
        Base64::decode(key, &mut nonce).is_ok_and(|nonce| nonce.len() == NONCE_BYTES)
    });
    let message = "a WebSocket requires one Sec-WebSocket-Key of 16 bytes in base64";
    if is_valid { Ok(()) } else { Err(Problem::new(Refusal::BadRequest, message)) }
}

fn keys(head: &Head) -> impl Iterator<Item = &[u8]> {
    head.fields().all(KnownName::SecWebsocketKey)
}

/// Whether the upstream has accepted this request: the response has the hash of its key (RFC 6455, 4.1).
fn is_accepted(head: &Head, response: &UpstreamHead) -> bool {
    let Some(key) = only(keys(head)) else { return false };
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(ACCEPT_TEXT);
    let expected = Base64::encode_string(&hash.digest().bytes());
    only(response.fields().all(KnownName::SecWebsocketAccept)) == Some(expected.as_bytes())
}

/// Counts the tunnel that the request asks for.
pub(super) fn permit(account: &RequestAccount) -> Result<TunnelPermit, Problem> {
    let permit = account.request.worker().shared.capacity.tunnel();
    permit.map_err(|_| Problem::new(Refusal::Overloaded, "too many WebSockets are open: try again later"))
}

/// Joins both connections, until the upstream closes its connection, or no byte has passed for `timeouts.idle`. The end
/// of the client's bytes is passed to the upstream.
pub(super) fn open(
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    answered: &mut UpstreamResponse,
) -> Result<(), Problem> {
    let refuse = || {
        let message = "the upstream changed to a protocol that the client did not ask for";
        Problem::new(Refusal::UpstreamProtocol, message)
    };
    if !answered.head.head.text(KnownName::Upgrade).is_some_and(|protocol| is_websocket(protocol.as_bytes())) {
        return Err(refuse());
    }
    if !is_accepted(&account.request.head, &answered.head.head) {
        let message = "the upstream's Sec-WebSocket-Accept does not match the request";
        return Err(Problem::new(Refusal::UpstreamProtocol, message));
    }
    let incoming = body.take_tunnel().ok_or_else(refuse)?;
    name_websocket(&mut answered.head.edits).map_err(unwritable)?;
    if let Some(protocol) = account.request.head.keys().and_then(MovedKeys::only_protocol)
        && answered.head.head.fields().named(PROTOCOL).next().is_none()
    {
        answered.head.edits.append_named(PROTOCOL, protocol).map_err(unwritable)?;
    }
    let (upload, progress) = Upload::stream(Some(incoming), u64::MAX, account.request.read_clock());
    answered.tunnel(upload, progress.clone());
    if let Some(attempt) = &mut account.attempt {
        attempt.progress = progress;
    }
    account.becomes_stream(TUNNEL_MAX);
    Ok(())
}
