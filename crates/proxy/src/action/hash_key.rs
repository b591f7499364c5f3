//! The value of a request that determines its backend.

use std::borrow::Cow;
use std::net::IpAddr;

use config::snapshot::{HashedValue, Strategy, parameters};
use http1::KnownName;

use crate::account::RequestAccount;
use crate::client::head::Head;
use crate::upstream::strategy::hash::hash;

/// Returns the hash of the value that `strategy` names; `None` if it names none, or the request has none.
pub(super) fn hash_key(strategy: &Strategy, account: &RequestAccount) -> Option<u64> {
    let Strategy::Hash(value) = strategy else { return None };
    let head = &account.request.head;
    match value {
        HashedValue::Address => Some(match account.request.client_address().to_canonical() {
            IpAddr::V4(address) => hash(&address.octets()),
            IpAddr::V6(address) => hash(&address.octets()[..8]),
        }),
        HashedValue::Header(name) => account.header_values(name).next().map(hash),
        HashedValue::Cookie(name) => cookie(head, name.as_bytes()).map(hash),
        HashedValue::Claim(name) => {
            let claims = &account.identity.token.as_ref()?.verified.claims;
            claims.field_value(name).ok().flatten().map(|value| hash(value.as_bytes()))
        }
        HashedValue::Query(name) => parameter(head, name).map(|value| hash(&value)),
    }
}

/// Returns the value of a cookie (RFC 6265, 4.2.1).
fn cookie<'a>(head: &'a Head, name: &[u8]) -> Option<&'a [u8]> {
    let pairs = head.fields().all(KnownName::Cookie).flat_map(|field| field.split(|&octet| octet == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// Returns the first value of a query parameter, decoded.
fn parameter<'a>(head: &'a Head, name: &str) -> Option<Cow<'a, [u8]>> {
    parameters(head.query()?).find(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::head;

    #[test]
    fn cookies_and_parameters_are_found_by_their_whole_name() {
        let head = head("GET /?xid=1&i%64=a%20b&id=2", &[("cookie", "xsession=0; session=s=1"), ("cookie", "t=2")]);
        assert_eq!(cookie(&head, b"session"), Some(&b"s=1"[..]));
        assert_eq!((cookie(&head, b"t"), cookie(&head, b"ession")), (Some(&b"2"[..]), None));
        assert_eq!(parameter(&head, "id"), Some(Cow::Borrowed(&b"a b"[..])));
        assert_eq!(parameter(&head, "missing"), None);
    }
}
