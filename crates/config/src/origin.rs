//! [`Origin`] from a URL.

use http::Uri;
use thiserror::Error;

use crate::snapshot::Origin;

/// Longest URL.
const URL_LEN_MAX: usize = 2_048;

/// Why a text is no origin; the text is not repeated, it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Not `http://HOST…` or `https://HOST…`.
    #[error("a URL: http://HOST[:PORT][/PATH] or https://…")]
    Form,
    /// It carries a user's name or password.
    #[error("a URL without a user's name and password")]
    User,
    /// It has a query or a fragment.
    #[error("a URL without a query and without a fragment")]
    Query,
}

impl Origin {
    /// Reads `http://HOST[:PORT][/PATH]` or the same with `https`.
    ///
    /// # Errors
    /// [`OriginError`] says what belongs there instead.
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        if url.len() > URL_LEN_MAX {
            return Err(OriginError::Form);
        }
        if url.contains(['?', '#']) {
            return Err(OriginError::Query);
        }
        let uri: Uri = url.parse().map_err(|_| OriginError::Form)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(OriginError::Form),
        };
        let authority = uri.authority().ok_or(OriginError::Form)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::User);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str().get(host.len()..) {
            Some("") => None,
            Some(text) => Some(text.strip_prefix(':').and_then(port).ok_or(OriginError::Form)?),
            None => return Err(OriginError::Form),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        if bare.is_empty() {
            return Err(OriginError::Form);
        }
        let usual = if tls { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != usual => format!("{host}:{port}"),
            _ => host.clone(),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host: bare.to_owned(), port: port.unwrap_or(usual), authority, path })
    }
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_origins() {
        for (url, tls, host, port, authority, path) in [
            ("http://127.0.0.1:9001", false, "127.0.0.1", 9001, "127.0.0.1:9001", ""),
            ("https://api.openai.com/v1", true, "api.openai.com", 443, "api.openai.com", "/v1"),
            ("https://API.Example.com:443/", true, "api.example.com", 443, "api.example.com", ""),
            ("http://x:443/a/b//", false, "x", 443, "x:443", "/a/b"),
            ("https://[::1]:8443/x", true, "::1", 8443, "[::1]:8443", "/x"),
            ("http://[::1]", false, "::1", 80, "[::1]", ""),
        ] {
            let origin =
                Origin { tls, host: host.to_owned(), port, authority: authority.to_owned(), path: path.to_owned() };
            assert_eq!(Origin::parse(url), Ok(origin), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for (url, error) in [
            ("", OriginError::Form),
            ("example.com", OriginError::Form),
            ("example.com:80", OriginError::Form),
            ("/path", OriginError::Form),
            ("ftp://x", OriginError::Form),
            ("http://", OriginError::Form),
            ("http://:80", OriginError::Form),
            ("http://x:", OriginError::Form),
            ("http://x:0", OriginError::Form),
            ("http://x:70000", OriginError::Form),
            ("http://x y", OriginError::Form),
            ("http://a:b@x", OriginError::User),
            ("http://x/?a=b", OriginError::Query),
            ("http://x/#a", OriginError::Query),
        ] {
            assert_eq!(Origin::parse(url), Err(error), "{url}");
        }
        assert_eq!(Origin::parse(&format!("http://x/{}", "a".repeat(3_000))), Err(OriginError::Form));
    }
}
