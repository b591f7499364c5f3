//! The action of an ordinary route: the body is streamed to its upstream without being parsed.

use std::sync::Arc;

use config::snapshot::{Events, Route, Upstream};
use meter::{Charge, Measure};

use super::{Handled, RelayedResponse, limit, tunnel};
use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::authenticate::Client;
use crate::body::IncomingBody;
use crate::forward::{Outgoing, forward, unwritable};
use crate::transform::{self, ForwardedClient, Trust};
use crate::upload::Upload;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};

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
    let upgrades = route.websocket && tunnel::is_requested(&account.request.head, body);
    if upgrades {
        account.tunnel = Some(tunnel::permit(account)?);
    }
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
    let is_trusted = request.is_peer_trusted();
    let client = ForwardedClient {
        address: &request.forwarded_address(),
        scheme: request.forwarded_scheme(is_trusted),
        id: request.id,
        id_text: request.id_text.as_bytes(),
        trust: if is_trusted { Trust::Peer } else { Trust::Route(&route.allow_headers) },
    };
    let mut edits = transform::to_upstream(&request.head, &to.destination.edits, &client).map_err(unwritable)?;
    if upgrades {
        tunnel::name_websocket(&mut edits).map_err(unwritable)?;
    }
    let (upload, progress) = Upload::stream(body.take(), request.snapshot.traffic.sizes.body_bytes_max, request.begun);
    let (head, target) = (request.head.clone(), OutgoingTarget::Received { prefix_len: 0 });
    let repeatable = head.is_idempotent();
    let head = OutgoingHead { head, edits, target, origin: to.destination.pool.target.clone(), upgrades };
    let mut answered = forward(account, Outgoing { head, to, upload, progress, repeatable }).await?;
    if answered.head.head.status() == tunnel::SWITCHING_PROTOCOLS {
        tunnel::open(account, body, &mut answered)?;
    }
    account.answered(answered.head.head.status(), None);
    Ok(Handled::Relayed(RelayedResponse { answered, tap: None, admission }))
}
