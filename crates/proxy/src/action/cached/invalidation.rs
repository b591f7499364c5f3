//! The removal of stored responses of resources that a request may have changed (RFC 9111, 4.4).

use http1::KnownName;

use super::request::url;
use super::shared_lookup;
use crate::account::RequestAccount;
use crate::upstream::response_head::RelayedHead;
use crate::worker::response_cache::memory::Purged;

/// Removes the stored responses of the URL of a request that is not safe, and those of the URLs that its response names.
pub(super) async fn invalidate(account: &RequestAccount, response: &RelayedHead) {
    let head = &account.request.head;
    if matches!(head.method_bytes(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE") {
        return;
    }
    let Some(rules) = &account.policy().cache else { return };
    let memory = account.request.worker().shared.responses.of(rules);
    let own = url(account);
    let origin_len = own.len() - head.path_and_query().iter().map(|part| part.len()).sum::<usize>();
    let Some(origin) = own.get(..origin_len).map(<[u8]>::to_vec) else { return };
    let mut urls = vec![own];
    let fields = response.head.fields();
    for target in fields.all(KnownName::Location).chain(fields.named(b"content-location")) {
        let target = target.split(|octet| *octet == b'#').next().unwrap_or_default();
        if target.starts_with(b"/") && !target.starts_with(b"//") {
            urls.push([&origin, target].concat());
        } else if target.strip_prefix(&*origin).is_some_and(|path| path.starts_with(b"/")) {
            urls.push(target.to_vec());
        }
    }
    for url in &urls {
        memory.remove(Purged::Url(url));
    }
    shared_lookup::invalidate(account, rules, &urls).await;
}
