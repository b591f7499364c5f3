//! WebSockets: after a response with status 101, both connections of a request pass bytes in both directions. The rest of
//! the client's connection is the request's content, the rest of the upstream's is the response's.

use std::time::Duration;

use access::Refusal;
use http1::{HeadEdits, InvalidPart, KnownName};

use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::body::IncomingBody;
use crate::capacity::TunnelPermit;
use crate::forward::{UpstreamResponse, unwritable};
use crate::head::{Head, is_websocket, requests_websocket};
use crate::upload::Upload;

/// The status of a response that opens a tunnel.
pub(super) const SWITCHING_PROTOCOLS: u16 = 101;
/// Maximum time of a tunnel.
const TUNNEL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the request asks for a WebSocket (RFC 6455, 4.1).
pub(super) fn is_requested(head: &Head, body: &IncomingBody) -> bool {
    head.method_bytes() == b"GET" && matches!(body, IncomingBody::Empty(_)) && requests_websocket(head)
}

/// Counts the tunnel that the request asks for.
pub(super) fn permit(account: &RequestAccount) -> Result<TunnelPermit, Problem> {
    let permit = account.request.worker().shared.capacity.tunnel();
    permit.map_err(|_| Problem::new(Refusal::Overloaded, "too many WebSockets are open: try again later"))
}

/// Adds the fields that ask for a WebSocket, or accept it.
pub(super) fn name_websocket(edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    edits.append(KnownName::Connection, b"upgrade")?;
    edits.append(KnownName::Upgrade, b"websocket")
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
    let incoming = body.take_tunnel().ok_or_else(refuse)?;
    name_websocket(&mut answered.head.edits).map_err(unwritable)?;
    let (upload, progress) = Upload::stream(Some(incoming), u64::MAX, account.request.read_clock());
    answered.tunnel(upload, progress.clone());
    if let Some(attempt) = &mut account.attempt {
        attempt.progress = progress;
    }
    account.policy.timeouts.total = TUNNEL_MAX;
    Ok(())
}
