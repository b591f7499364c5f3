//! The URL of a webhook.

use std::net::IpAddr;

use access::credentials::issuer::{host_and_port, is_link_local};
use access::network::outbound::{OutboundRefusal, OutboundRules};
use http::Uri;
use thiserror::Error;

/// Longest URL in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A URL that receives events. Its addresses are checked again when its name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    /// Whether connections use TLS.
    pub(super) has_tls: bool,
    /// The host name or the address, without brackets.
    pub(super) host: String,
    /// The port of the server.
    pub(super) port: u16,
    /// Host and port as they are written in `Host`.
    pub(super) authority: String,
    /// The path with its query.
    pub(super) path: String,
}

/// Why a text is not the URL of a webhook. The text is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebhookUrlError {
    /// It is not a URL, has a fragment, or is too long.
    #[error("`url` must be https://HOST[:PORT][/PATH][?QUERY], or the same with http, with at most 2,048 characters")]
    Form,
    /// It has a user's name or a password.
    #[error("`url` must not contain a user's name and password")]
    User,
    /// Its host is a link-local or metadata address.
    #[error("`url` has a link-local or metadata address, which receives no webhooks")]
    LinkLocal,
    /// The rules for destinations that users set refuse it.
    #[error("`url` has {0}")]
    Refused(OutboundRefusal),
}

impl WebhookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`WebhookUrlError`].
    pub fn parse(text: &str) -> Result<Self, WebhookUrlError> {
        if text.len() > URL_BYTES_MAX || text.contains('#') {
            return Err(WebhookUrlError::Form);
        }
        let uri: Uri = text.parse().map_err(|_| WebhookUrlError::Form)?;
        let (has_tls, usual) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(WebhookUrlError::Form),
        };
        let authority = uri.authority().ok_or(WebhookUrlError::Form)?.as_str();
        if authority.contains('@') {
            return Err(WebhookUrlError::User);
        }
        let (host, port) = host_and_port(authority, usual).ok_or(WebhookUrlError::Form)?;
        if host.parse::<IpAddr>().is_ok_and(is_link_local) {
            return Err(WebhookUrlError::LinkLocal);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { text: text.to_owned(), has_tls, host: host.to_owned(), port, authority: authority.to_owned(), path })
    }

    /// Checks what the URL itself shows: an address, and the scheme. The addresses of names are checked at each connection.
    ///
    /// # Errors
    /// [`WebhookUrlError::Refused`].
    pub fn check(&self, rules: &OutboundRules) -> Result<(), WebhookUrlError> {
        let checked = match self.host.parse::<IpAddr>() {
            Ok(address) => rules.check(address, self.has_tls),
            Err(_) if is_local_name(&self.host) && !rules.lists_any() => Err(OutboundRefusal::Internal),
            Err(_) if !self.has_tls && !rules.lists_any() => Err(OutboundRefusal::Plain),
            Err(_) => Ok(()),
        };
        checked.map_err(WebhookUrlError::Refused)
    }

    /// Returns the URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host, for the audit log: path and query may contain a secret.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Whether the name is that of this machine (RFC 6761, 6.3).
fn is_local_name(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_no_password() {
        let url = WebhookUrl::parse("https://hooks.example.com/a/b?token=1").unwrap();
        assert_eq!((url.has_tls, url.host.as_str(), url.port), (true, "hooks.example.com", 443));
        assert_eq!((url.authority.as_str(), url.path.as_str()), ("hooks.example.com", "/a/b?token=1"));
        let url = WebhookUrl::parse("http://[::1]:8080").unwrap();
        assert_eq!((url.has_tls, url.host.as_str(), url.port), (false, "::1", 8080));
        assert_eq!((url.authority.as_str(), url.path.as_str()), ("[::1]:8080", "/"));
        for text in ["", "x", "/a", "ftp://a/", "https://", "https://a/#b", "https://127.1/", "https://a b/"] {
            assert_eq!(WebhookUrl::parse(text), Err(WebhookUrlError::Form), "{text}");
        }
        assert_eq!(WebhookUrl::parse(&format!("https://a/{}", "b".repeat(2_048))), Err(WebhookUrlError::Form));
        assert_eq!(WebhookUrl::parse("https://u:p@a/"), Err(WebhookUrlError::User));
        for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "100.100.100.200"] {
            let refused = WebhookUrl::parse(&format!("http://{host}/latest/meta-data"));
            assert_eq!(refused, Err(WebhookUrlError::LinkLocal), "{host}");
        }
    }

    #[test]
    fn a_url_needs_https_and_a_public_address_unless_networks_are_allowed() {
        use OutboundRefusal::{Internal, Plain};
        let check = |rules: &OutboundRules, url: &str| WebhookUrl::parse(url).unwrap().check(rules);
        let rules = OutboundRules::default();
        for (url, refusal) in [
            ("https://127.0.0.1:8787/", Internal),
            ("https://10.0.0.7/", Internal),
            ("https://[fd00::7]/", Internal),
            ("https://[::ffff:192.168.0.1]/", Internal),
            ("https://localhost:5432/", Internal),
            ("https://A.LocalHost./", Internal),
            ("http://hooks.example.com/", Plain),
            ("http://1.1.1.1/", Plain),
        ] {
            assert_eq!(check(&rules, url), Err(WebhookUrlError::Refused(refusal)), "{url}");
        }
        assert_eq!(check(&rules, "https://hooks.example.com/"), Ok(()));
        assert_eq!(check(&rules, "https://1.1.1.1/"), Ok(()));
        let rules = OutboundRules::new(vec!["10.0.0.0/8".parse().unwrap()], Vec::new());
        for (url, allowed) in [
            ("http://10.0.0.7/", true),
            ("http://hooks.internal/", true),
            ("https://192.168.0.1/", false),
            ("http://1.1.1.1/", false),
        ] {
            assert_eq!(check(&rules, url).is_ok(), allowed, "{url}");
        }
    }
}
