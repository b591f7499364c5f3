//! The action of an ordinary route: the body is streamed to its upstream without being parsed.

use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use config::snapshot::{Events, Route, Upstream};
use http1::{HeadEdits, InvalidPart, KnownName};
use meter::{Charge, Measure};

use super::{Handled, RelayedResponse, limit, unwritable};
use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::authenticate::Client;
use crate::body::IncomingBody;
use crate::forward::{Outgoing, UpstreamResponse, forward};
use crate::head::{is_websocket, requests_websocket};
use crate::transform::{self, ForwardedClient, Trust};
use crate::upload::Upload;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};

/// The status of a response that opens a tunnel.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Maximum time of a tunnel.
const TUNNEL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A route with its upstream.
pub(crate) struct ForwardedRoute<'a> {
    pub(crate) route: &'a Route,
    pub(crate) upstream: &'a Arc<Upstream>,
}

/// Forwards the request to the upstream of its route.
pub(crate) async fn forward_to(
    to: ForwardedRoute<'_>,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: Option<&Client>,
) -> Result<Handled, Problem> {
    let ForwardedRoute { route, upstream } = to;
    let charge = Charge::credits(route.credits);
    let admission = limit(account, client, Some(charge)).await?;
    if client.is_some_and(|client| !charge.credits.is_zero() && client.limits.limits(Measure::Credits)) {
        match route.events {
            Events::Folded => account.prelog(charge.credits).await?,
            Events::Rows => account.open_record(charge).await?,
        }
    }
    let request = &account.request;
    let to = request.snapshot.destinations.of_upstream(upstream).map_err(unwritable)?;
    let trust = if request.is_peer_trusted() { Trust::Peer } else { Trust::Route(&route.allow_headers) };
    let address = request.forwarded_address();
    let client = ForwardedClient { address: &address, id: request.id, id_text: request.id_text.as_bytes(), trust };
    let mut edits = transform::to_upstream(&request.head, &to.edits, &client).map_err(unwritable)?;
    let upgrades = route.websocket && requests_websocket(&request.head);
    if upgrades {
        upgrade(&mut edits).map_err(unwritable)?;
    }
    let (upload, progress) = Upload::stream(body.take(), request.snapshot.traffic.sizes.body_bytes_max, request.begun);
    let (head, target) = (request.head.clone(), OutgoingTarget::Received { prefix_len: 0 });
    let repeatable = head.is_idempotent();
    let head = OutgoingHead { head, edits, target, origin: to.pool.target.clone(), upgrades };
    let mut answered = forward(account, Outgoing { head, to, upload, progress, repeatable }).await?;
    if answered.head.head.status() == SWITCHING_PROTOCOLS {
        open_tunnel(account, body, &mut answered)?;
    }
    account.answered(answered.head.head.status(), None);
    Ok(Handled::Relayed(RelayedResponse { answered, tap: None, admission }))
}

/// Adds the fields that ask for a WebSocket, or accept it.
fn upgrade(edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    edits.append(KnownName::Connection, b"upgrade")?;
    edits.append(KnownName::Upgrade, b"websocket")
}

/// Joins both connections: from now on, bytes pass in both directions until one side closes its connection, or no byte
/// has passed for `timeouts.idle`.
fn open_tunnel(
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    answered: &mut UpstreamResponse,
) -> Result<(), Problem> {
    let is_websocket = answered.head.head.text(KnownName::Upgrade).is_some_and(|it| is_websocket(it.as_bytes()));
    let Some(incoming) = body.take_tunnel().filter(|_| is_websocket) else {
        let message = "the upstream changed to a protocol that the client did not ask for";
        return Err(Problem::new(Refusal::UpstreamProtocol, message));
    };
    upgrade(&mut answered.head.edits).map_err(unwritable)?;
    let (upload, progress) = Upload::stream(Some(incoming), u64::MAX, account.request.read_clock());
    answered.tunnel(upload, progress.clone());
    if let Some(attempt) = &mut account.attempt {
        attempt.progress = progress;
    }
    account.policy.timeouts.total = TUNNEL_MAX;
    Ok(())
}
