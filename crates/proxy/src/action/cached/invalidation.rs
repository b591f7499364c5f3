//! The removal of stored responses of resources that a request may have changed (RFC 9111, 4.4).

use config::snapshot::normalized_target;
use http1::KnownName;

use super::request::{requested_origin, url};
use super::shared_lookup;
use crate::account::RequestAccount;
use crate::account::request::RequestContext;
use crate::client::head::text;
use crate::upstream::response_head::RelayedHead;

/// Whether a request may change a resource whose responses a route has stored.
pub(crate) fn may_change_stored(request: &RequestContext) -> bool {
    // Redis may have responses that this process has not asked for.
    let may_be_stored =
        || request.worker().shared.responses.was_used() || !request.snapshot.traffic.shared_scopes.is_empty();
    !request.head.is_safe() && may_be_stored()
}

/// Removes the responses of the URL of a request that is not safe, and those of the URLs that its response names. Another route may
/// have stored them.
pub(super) async fn invalidate(account: &RequestAccount, response: &RelayedHead) {
    let head = &account.request.head;
    if head.is_safe() || !matches!(response.head.status(), 200..=399) {
        return;
    }
    let memories = &account.request.worker().shared.responses;
    let origin = requested_origin(account);
    let mut urls = vec![url(account)];
    let fields = response.head.fields();
    for target in fields.all(KnownName::Location).chain(fields.named(b"content-location")) {
        let target = target.split(|octet| *octet == b'#').next().unwrap_or_default();
        let path = match target.strip_prefix(&*origin) {
            None if target.starts_with(b"//") => None,
            None => Some(target),
            below => below,
        };
        // No stored URL has other octets than those of ASCII.
        if let Some(path) = path.and_then(text).filter(|path| path.starts_with('/')) {
            urls.push([&origin, normalized_target(path).as_bytes()].concat());
        }
    }
    memories.remove_urls(&urls);
    shared_lookup::invalidate(account, &urls).await;
}
