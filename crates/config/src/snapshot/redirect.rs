//! Redirects of routes.

use http::{HeaderValue, StatusCode};

use super::rewrite::{Composition, ReceivedTarget};

/// A redirect to another address.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The new address: a path, or an `http` or `https` URL.
    pub to: HeaderValue,
    /// The same with parameters of the path; `None` without them.
    pub composed: Option<Box<Composition>>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

impl Redirect {
    /// Returns the value of `Location`. The new address gets the query of the request, unless it has its own.
    #[must_use]
    pub fn location(&self, received: ReceivedTarget<'_>) -> HeaderValue {
        let composed = self.composed.as_ref().and_then(|composed| composed_address(composed, received.path));
        let address = composed.as_ref().unwrap_or(&self.to);
        let query = received.query.filter(|_| !address.as_bytes().contains(&b'?'));
        let with_query = query.and_then(|query| with_query(address.as_bytes(), query));
        with_query.unwrap_or_else(|| address.clone())
    }
}

/// Returns the address with the parameters of the path. It does not begin with `//`, which browsers take for another host.
fn composed_address(composed: &Composition, path: &str) -> Option<HeaderValue> {
    let address = composed.compose(path);
    if address.starts_with('/') {
        return HeaderValue::try_from(format!("/{}", address.trim_start_matches(['/', '\\']))).ok();
    }
    HeaderValue::try_from(address).ok()
}

/// Returns the address with this query before its fragment. A received query is visible ASCII, so it is valid.
fn with_query(to: &[u8], query: &str) -> Option<HeaderValue> {
    let fragment = to.iter().position(|octet| *octet == b'#').unwrap_or(to.len());
    let (address, fragment) = to.split_at_checked(fragment)?;
    HeaderValue::from_bytes(&[address, b"?", query.as_bytes(), fragment].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_the_query_unless_it_has_its_own() {
        for (to, query, expected) in [
            ("/new", None, "/new"),
            ("/new", Some("a=%2F&b"), "/new?a=%2F&b"),
            ("/new#part", Some("a"), "/new?a#part"),
            ("https://example.com/x?fixed", Some("a"), "https://example.com/x?fixed"),
            ("https://example.com", Some(""), "https://example.com?"),
        ] {
            let redirect =
                Redirect { to: HeaderValue::from_static(to), composed: None, status: StatusCode::PERMANENT_REDIRECT };
            assert_eq!(redirect.location(ReceivedTarget { path: "/old", query }), expected, "{to} {query:?}");
        }
    }
}
