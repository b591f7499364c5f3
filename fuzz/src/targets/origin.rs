//! URLs of upstreams and providers.

use config::snapshot::{Origin, Scheme};
use http::HeaderValue;
use http::uri::PathAndQuery;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "http://",
    "https://",
    "h2c://",
    "[::1]",
    "127.0.0.1",
    "example.com",
    ":80",
    ":443",
    ":65536",
    "/",
    "//",
    "..",
    "%2F",
    "?",
    "#",
    "@",
    "user:password@",
    "é",
    "\\",
    " ",
    "\r\n",
];

/// A parsed URL is valid in a request, and parsing its text gives the same URL.
pub fn origin(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(origin) = Origin::parse(text) else { return };
    let Origin { scheme, host, port, authority, path, .. } = &origin;
    assert!(!host.is_empty() && *port > 0, "{text:?}");
    assert!(!host.contains(['/', '@', '[', ']', ' ', '?', '#', '\\']), "{text:?} has the host {host:?}");
    assert!(host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{text:?}");
    assert!(authority.contains(host.as_str()) && !authority.contains('@'), "{text:?} has the authority {authority:?}");
    assert!(HeaderValue::from_str(authority).is_ok() && authority.parse::<http::uri::Authority>().is_ok(), "{text:?}");
    assert!(!path.ends_with('/') && (path.is_empty() || path.starts_with('/')), "{text:?} has the path {path:?}");
    assert!(!path.contains(['?', '#']), "{text:?}");
    for behind in ["/v1/models", "/?a=b"] {
        let target = format!("{path}{behind}");
        assert!(PathAndQuery::try_from(target.as_str()).is_ok(), "{target:?} is not a request target");
    }
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::H2c => "h2c",
    };
    let again = Origin::parse(&format!("{scheme}://{authority}{path}"));
    assert_eq!(again.as_ref(), Ok(&origin), "{text:?}");
}
