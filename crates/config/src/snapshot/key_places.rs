//! The places of a request in which a route accepts a key, besides headers. The proxy and explanations remove the key from
//! them in the same way.

use std::sync::LazyLock;

use super::conditions::decoded;

/// The places of Google's clients, which may send their key as `?key=`.
pub(super) static OF_GOOGLE: LazyLock<KeyPlaces> =
    LazyLock::new(|| KeyPlaces { header: true, query: Some("key".into()), protocol: false });

/// A WebSocket's protocol that consists of this and a key. Browsers cannot set headers of WebSockets.
pub const KEY_PROTOCOL: &str = "tollgate.key.";

/// The setting `from` of a route's authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlaces {
    /// Whether headers may contain the key: `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`.
    pub header: bool,
    /// The query parameter that may contain the key.
    pub query: Option<Box<str>>,
    /// Whether `Sec-WebSocket-Protocol` may contain the key, after [`KEY_PROTOCOL`].
    pub protocol: bool,
}

/// A part of a request without its keys, and the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutKeys {
    /// The rest of the part.
    pub rest: String,
    /// The keys, in their order.
    pub keys: Vec<Box<[u8]>>,
}

impl KeyPlaces {
    /// Returns the query without its keys; `None` if it does not have the parameter. An empty value is no key.
    #[must_use]
    pub fn in_query(&self, query: &str) -> Option<WithoutKeys> {
        let name = self.query.as_deref()?;
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        let mut rest: Vec<&str> = Vec::new();
        let mut has_parameter = false;
        for part in query.split('&') {
            let (own, value) = part.split_once('=').unwrap_or((part, ""));
            if *decoded(own) != *name.as_bytes() {
                rest.push(part);
                continue;
            }
            has_parameter = true;
            if !value.is_empty() {
                keys.push(decoded(value).as_ref().into());
            }
        }
        has_parameter.then(|| WithoutKeys { rest: rest.join("&"), keys })
    }

    /// Returns a value of `Sec-WebSocket-Protocol` without its keys; `None` if it contains none.
    #[must_use]
    pub fn in_protocols(&self, value: &str) -> Option<WithoutKeys> {
        if !self.protocol {
            return None;
        }
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        let mut rest: Vec<&str> = Vec::new();
        for protocol in value.split(',').map(str::trim).filter(|protocol| !protocol.is_empty()) {
            match protocol.strip_prefix(KEY_PROTOCOL) {
                Some(key) => keys.push(key.as_bytes().into()),
                None => rest.push(protocol),
            }
        }
        (!keys.is_empty()).then(|| WithoutKeys { rest: rest.join(", "), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> KeyPlaces {
        KeyPlaces { header: true, query: Some("key".into()), protocol: true }
    }

    #[test]
    fn a_key_is_removed_from_the_query() {
        for (query, expected) in [
            ("key=k", Some(("", "k"))),
            ("a=1&key=k&b=%20", Some(("a=1&b=%20", "k"))),
            ("k%65y=a%2Fb&key=c", Some(("", "a/b c"))),
            ("key", Some(("", ""))),
            ("key=&a&key=k&key", Some(("a", "k"))),
            ("keys=k&a=key", None),
            ("", None),
        ] {
            let found = places().in_query(query);
            let text =
                |keys: &[Box<[u8]>]| keys.iter().map(|key| String::from_utf8_lossy(key)).collect::<Vec<_>>().join(" ");
            let found = found.map(|found| (found.rest, text(&found.keys)));
            assert_eq!(found, expected.map(|(rest, keys)| (rest.to_owned(), keys.to_owned())), "{query}");
        }
        assert_eq!(KeyPlaces { query: None, ..places() }.in_query("key=k"), None);
    }

    #[test]
    fn a_key_is_removed_from_the_protocols() {
        for (value, expected) in [
            ("tollgate.key.k", Some("")),
            ("chat , tollgate.key.k,superchat", Some("chat, superchat")),
            ("chat, Tollgate.key.k", None),
            ("", None),
        ] {
            assert_eq!(places().in_protocols(value).map(|found| found.rest).as_deref(), expected, "{value}");
        }
        assert_eq!(KeyPlaces { protocol: false, ..places() }.in_protocols("tollgate.key.k"), None);
    }
}
