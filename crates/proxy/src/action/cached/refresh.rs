//! The revalidation of a stale response without a client (RFC 5861, 3).

use std::sync::Arc;

use config::snapshot::Route;

use super::super::ActionResponse;
use super::super::forward::ForwardedRoute;
use super::filling::Filling;
use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;
use crate::body::IncomingBody;
use crate::deadlines::looked_at;
use crate::deadlines::task::spawn;
use crate::forward::UpstreamContent;
use crate::response::drain::within;

/// Sends the request of a client again, in another task, and stores the response. The client has a stale one. Without
/// room for another request in flight, or a place to read its content without a client, nothing is sent.
pub(super) fn begin(account: &RequestAccount, route: &Arc<Route>, mut filling: Filling) {
    let worker = account.request.at.worker.clone();
    let capacity = &worker.shared.capacity;
    let Ok(permit) = capacity.enter() else { return };
    let Ok(place) = capacity.read_on() else { return };
    filling.place = Some(place);
    let mut account = account.detached(permit);
    let route = route.clone();
    spawn(async move {
        let until = account.total_at();
        let timeouts = *account.timeouts();
        let deadlines = account.request.deadlines.clone();
        // Boxed, because it is large and passed on twice.
        let refreshing = Box::pin(async {
            let Some(to) = ForwardedRoute::from_route(&route) else { return };
            let handled = filling.forward(to, &mut account, &mut IncomingBody::Whole, None).await;
            if let Ok(ActionResponse::Relayed(relayed)) = handled {
                // A response that is stored arrives in another task. Any other one has no reader.
                let content: Box<UpstreamContent> = relayed.answered.content;
                drop(content);
            }
            account.cache = Some(CacheResult::Refresh);
        });
        within(&worker, until, looked_at(&deadlines, &timeouts, refreshing)).await;
    });
}
