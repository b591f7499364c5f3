//! Cross-origin requests to routes, as the Fetch standard defines them.

use std::fmt;

use http::HeaderValue;

use super::origin::{Origin, Scheme};

/// The cross-origin rules of a route: `routes[].cors`.
#[derive(Debug, Clone)]
pub struct Cors {
    /// The origins whose pages may read responses; `None` means all.
    pub origins: Option<Box<[AllowedOrigin]>>,
    /// Whether these pages may send cookies. Default false.
    pub credentials: bool,
    /// The methods that pages may send; `None` means the one that the preflight request announces.
    pub methods: Option<HeaderValue>,
    /// The fields that pages may send; `None` without one.
    pub headers: Option<HeaderValue>,
    /// The fields that pages may read besides those of the gateway; `None` without one.
    pub exposed: Option<HeaderValue>,
    /// The seconds for which browsers cache the response to a preflight request.
    pub max_age: Option<HeaderValue>,
}

impl Cors {
    /// Returns whether pages of `origin` may read responses.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        match &self.origins {
            None => true,
            Some(_) if origin.len() > ORIGIN_LEN_MAX => false,
            Some(allowed) => allowed.iter().any(|allowed| allowed.is_match(origin)),
        }
    }
}

/// Longest method that a preflight request may announce, in bytes, as in `routes[].methods`.
const METHOD_LEN_MAX: usize = 32;

/// Whether a preflight request may announce this method of its call.
#[must_use]
pub fn is_announced_method(method: &[u8]) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=METHOD_LEN_MAX).contains(&method.len()) && method.iter().all(is_plain)
}

/// Longest origin that is compared, in bytes: a host has at most 253 (RFC 1035, 2.3.4).
const ORIGIN_LEN_MAX: usize = 512;

/// An entry of `routes[].cors.allowed_origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// All origins are allowed: `*`.
    Any,
    /// This origin only, as browsers write it.
    Exact(Box<str>),
    /// All hosts below a domain: `https://*.example.com`.
    Below {
        /// The scheme with its separator: `https://`.
        scheme: Box<str>,
        /// The domain after a dot, with a port if it is not the scheme's default: `.example.com`.
        domain: Box<str>,
    },
}

impl AllowedOrigin {
    /// Parses `*`, `https://example.com` or `https://*.example.com`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let Some((scheme, domain)) = text.split_once("://*.") else {
            return browser_origin(text).map(|origin| Self::Exact(origin.into()));
        };
        let origin = browser_origin(&format!("{scheme}://{domain}"))?;
        let (scheme, domain) = origin.split_at_checked(origin.find("://")? + "://".len())?;
        let is_domain = domain.split(':').next().is_some_and(|host| host.bytes().all(is_of_host));
        is_domain.then(|| Self::Below { scheme: scheme.into(), domain: format!(".{domain}").into() })
    }

    /// Returns whether a browser writes `origin` for a page of one of these hosts.
    fn is_match(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(allowed) => origin == allowed.as_bytes(),
            Self::Below { scheme, domain } => {
                let host = origin.strip_prefix(scheme.as_bytes());
                let below = host.and_then(|host| host.strip_suffix(domain.as_bytes()));
                below.is_some_and(|labels| !labels.is_empty() && labels.iter().copied().all(is_of_host))
            }
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Below { scheme, domain } => write!(f, "{scheme}*{domain}"),
        }
    }
}

/// Whether the octet is one of a host name, as browsers write it.
const fn is_of_host(octet: u8) -> bool {
    octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'.' | b'-' | b'_')
}

/// Returns the origin as browsers write it (RFC 6454, 6.2): without a path, and without the scheme's default port.
pub(crate) fn browser_origin(text: &str) -> Option<String> {
    let Origin { scheme, authority, path, .. } = Origin::parse(text).ok()?;
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::H2c => return None,
    };
    path.is_empty().then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (text, expected) in [
            ("https://app.example.com", Some("https://app.example.com")),
            ("https://App.Example.com/", Some("https://app.example.com")),
            ("https://app.example.com:443", Some("https://app.example.com")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("https://app.example.com/path", None),
            ("https://*.example.com", None),
            ("*", None),
            ("null", None),
            ("app.example.com", None),
            ("h2c://app.example.com", None),
            ("https://user:password@app.example.com", None),
        ] {
            assert_eq!(browser_origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_origin_is_allowed_if_it_is_listed_or_below_a_listed_domain() {
        let check = |allowed: &str, origin: &str, expected: bool| {
            let origins = AllowedOrigin::parse(allowed).map(|allowed| vec![allowed].into());
            assert!(origins.is_some(), "{allowed}");
            let methods = None;
            let headers = None;
            let exposed = None;
            let max_age = None;
            let cors = Cors { origins, credentials: false, methods, headers, exposed, max_age };
            assert_eq!(cors.allows(origin.as_bytes()), expected, "{allowed} {origin}");
        };
        check("https://App.example.com/", "https://app.example.com", true);
        for other in ["http://app.example.com", "https://app.example.com:8443", "https://app.example.com/", "null", ""]
        {
            check("https://app.example.com", other, false);
        }
        for (origin, expected) in [
            ("https://a.example.com", true),
            ("https://b.a.example.com", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("http://a.example.com", false),
            ("https://a.example.com:8443", false),
            ("https://aexample.com", false),
            ("https://evil.test/.example.com", false),
            ("https://evil.test#.example.com", false),
            ("https://user@a.example.com", false),
            ("https://A.example.com", false),
        ] {
            check("https://*.example.com", origin, expected);
        }
        check("http://*.localhost:3000", "http://a.localhost:3000", true);
        check("http://*.localhost:3000", "http://a.localhost", false);
        check("https://*.example.com", &format!("https://{}.example.com", "a".repeat(64 << 10)), false);
        for invalid in
            ["null", "example.com", "*.example.com", "https://*", "https://a.*.com", "https://*.a/b", "h2c://*.a"]
        {
            assert_eq!(AllowedOrigin::parse(invalid), None, "{invalid}");
        }
    }
}
