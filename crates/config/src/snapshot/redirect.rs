//! Redirects of routes.

use http::{HeaderValue, StatusCode};

use super::rewrite::{Composition, PathRewrite, ReceivedTarget};

/// A redirect to another address.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The address to which it leads.
    pub target: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// The address of a redirect.
#[derive(Debug, Clone)]
pub enum RedirectTarget {
    /// An address that replaces the requested one.
    Address {
        /// The new address: a path, or an `http` or `https` URL.
        to: HeaderValue,
        /// The same with parameters of the path; `None` without them.
        composed: Option<Box<Composition>>,
    },
    /// The requested address, in which some parts are replaced.
    Parts(Box<RedirectParts>),
}

/// The parts that a redirect replaces; `None` keeps the requested one.
#[derive(Debug, Clone, Default)]
pub struct RedirectParts {
    /// `http` or `https`. The port is then that of the scheme, unless `port` is another.
    pub scheme: Option<&'static str>,
    /// The host without a port.
    pub host: Option<Box<str>>,
    /// The port of the new address.
    pub port: Option<u16>,
    /// The change of the path.
    pub path: Option<PathRewrite>,
}

/// The origin of the address that a client requested.
#[derive(Debug, Clone, Copy)]
pub struct RequestedOrigin<'a> {
    /// The scheme: `http` or `https`.
    pub scheme: &'a str,
    /// The host with its port; empty if it is unknown.
    pub host: &'a str,
}

impl Redirect {
    /// Returns the value of `Location`; `None` if the request lacks a part of it, or the new path is invalid. The new
    /// address gets the query of the request, unless it has its own.
    #[must_use]
    pub fn location(&self, received: ReceivedTarget<'_>, from: RequestedOrigin<'_>) -> Option<HeaderValue> {
        let (to, composed) = match &self.target {
            RedirectTarget::Address { to, composed } => (to, composed),
            RedirectTarget::Parts(parts) => return parts.location(received, from),
        };
        let composed = composed.as_ref().and_then(|composed| composed_address(composed, received.path));
        let address = composed.as_ref().unwrap_or(to);
        let query = if !address.as_bytes().contains(&b'?') { received.query } else { None };
        let with_query = query.and_then(|query| with_query(address.as_bytes(), query));
        Some(with_query.unwrap_or_else(|| address.clone()))
    }
}

impl RedirectParts {
    fn location(&self, received: ReceivedTarget<'_>, from: RequestedOrigin<'_>) -> Option<HeaderValue> {
        let path = self.path.as_ref().map_or_else(|| received.path.to_owned(), |path| path.apply(received.path));
        let mut target = if path.starts_with('/') { path } else { "/".to_owned() };
        if let Some(query) = received.query {
            target.push('?');
            target.push_str(query);
        }
        if self.path.is_some() && !http1::is_origin_form(&target) {
            return None;
        }
        if self.scheme.is_none() && self.host.is_none() && self.port.is_none() {
            // Browsers take `//` for the beginning of another host.
            return HeaderValue::try_from(format!("/{}", target.trim_start_matches(['/', '\\']))).ok();
        }
        let (name, port) = split_port(from.host);
        let host = self.host.as_deref().unwrap_or(name);
        let scheme = self.scheme.unwrap_or(from.scheme);
        let kept = if self.scheme.is_none() { port.and_then(|port| port.parse().ok()) } else { None };
        let port = self.port.or(kept).filter(|port| *port != if scheme == "https" { 443 } else { 80 });
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        (!host.is_empty()).then(|| HeaderValue::try_from(format!("{scheme}://{host}{port}{target}")).ok()).flatten()
    }
}

/// Splits a host into its name and its port. The address in brackets of an IPv6 host has colons too.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => (name, Some(port)),
        Some(_) | None => (host, None),
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
            let target = RedirectTarget::Address { to: HeaderValue::from_static(to), composed: None };
            let redirect = Redirect { target, status: StatusCode::PERMANENT_REDIRECT };
            let from = RequestedOrigin { scheme: "http", host: "" };
            assert_eq!(
                redirect.location(ReceivedTarget { path: "/old", query }, from).unwrap(),
                expected,
                "{to} {query:?}"
            );
        }
    }

    #[track_caller]
    fn check(parts: RedirectParts, from: (&str, &str), path: &str, expected: Option<&str>) {
        let redirect = Redirect { target: RedirectTarget::Parts(Box::new(parts)), status: StatusCode::FOUND };
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let origin = RequestedOrigin { scheme: from.0, host: from.1 };
        let location = redirect.location(ReceivedTarget { path, query }, origin);
        assert_eq!(location.as_ref().map(|value| value.to_str().unwrap()), expected, "{from:?} {path}");
    }

    #[test]
    fn the_parts_that_a_redirect_does_not_replace_are_kept() {
        let https = || RedirectParts { scheme: Some("https"), ..RedirectParts::default() };
        let plain = ("http", "a.example:8080");
        check(https(), plain, "/x?a=%2F", Some("https://a.example/x?a=%2F"));
        check(https(), ("http", "[::1]:80"), "/", Some("https://[::1]/"));
        check(https(), ("http", ""), "/x", None);
        check(RedirectParts { port: Some(8443), ..https() }, plain, "/x", Some("https://a.example:8443/x"));
        check(RedirectParts { port: Some(443), ..https() }, plain, "/x", Some("https://a.example/x"));
        let host = || RedirectParts { host: Some("b.example".into()), ..RedirectParts::default() };
        check(host(), plain, "/x", Some("http://b.example:8080/x"));
        check(host(), ("https", "a.example:443"), "/x", Some("https://b.example/x"));
        check(host(), ("https", ""), "/x", Some("https://b.example/x"));
        check(RedirectParts { port: Some(80), ..host() }, ("https", "a.example"), "/x", Some("https://b.example:80/x"));
    }

    #[test]
    fn a_redirect_replaces_a_path_and_never_leads_to_another_host() {
        let prefix = |to: &str| RedirectParts {
            path: Some(PathRewrite::Prefix { from_len: 4, to: to.into() }),
            ..RedirectParts::default()
        };
        let from = ("http", "a.example");
        check(prefix("/new"), from, "/old/x?q", Some("/new/x?q"));
        check(prefix("/new"), from, "/old", Some("/new"));
        check(prefix(""), from, "/old//evil.example/", Some("/evil.example/"));
        check(RedirectParts { scheme: Some("https"), ..prefix("") }, from, "/old//x", Some("https://a.example//x"));
    }
}
