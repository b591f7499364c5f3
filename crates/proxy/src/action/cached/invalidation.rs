//! The removal of stored responses of resources that a request may have changed (RFC 9111, 4.4).

use http1::KnownName;

use super::request::url;
use crate::account::RequestAccount;
use crate::upstream::response_head::RelayedHead;
use crate::worker::response_cache::memory::Purged;

/// Removes the stored responses of the URL of a request that is not safe, and those of the URLs that its response names.
pub(super) fn invalidate(account: &RequestAccount, response: &RelayedHead) {
    let head = &account.request.head;
    if matches!(head.method_bytes(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE") {
        return;
    }
    let Some(rules) = &account.policy().cache else { return };
    let memory = account.request.worker().shared.responses.of(rules);
    let own = url(account);
    memory.remove(Purged::Url(&own));
    let origin_len = own.len() - head.path_and_query().iter().map(|part| part.len()).sum::<usize>();
    let Some(origin) = own.get(..origin_len) else { return };
    let fields = response.head.fields();
    for target in fields.all(KnownName::Location).chain(fields.named(b"content-location")) {
        let target = target.split(|octet| *octet == b'#').next().unwrap_or_default();
        if target.starts_with(b"/") && !target.starts_with(b"//") {
            memory.remove(Purged::Url(&[origin, target].concat()));
        } else if target.strip_prefix(origin).is_some_and(|path| path.starts_with(b"/")) {
            memory.remove(Purged::Url(target));
        }
    }
}
