//! Parses an [`Origin`] from a URL.

use std::fmt;
use std::path::Path;

use access::credentials::issuer::host_and_port;
use http::Uri;
use thiserror::Error;
use tls::listening::is_socket_path;

use crate::snapshot::{Origin, Scheme};

/// Longest URL, in bytes.
const URL_LEN_MAX: usize = 2_048;
/// The start of the address of a Unix socket.
const UNIX: &str = "unix:";
/// The name of a server behind a Unix socket.
const SOCKET_AUTHORITY: &str = "localhost";

/// The reason why a text is not an origin. The text is not repeated, as it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// The URL is not `http://HOST…`, `https://HOST…` or `h2c://HOST…`.
    #[error("a URL: http://HOST[:PORT][/PATH], https://… or h2c://…")]
    Form,
    /// The URL has a user's name or password.
    #[error("a URL without a user's name and password")]
    User,
    /// The URL has a query or a fragment.
    #[error("a URL without a query and without a fragment")]
    Query,
    /// The address of a Unix socket has no usable path.
    #[error("`unix:` and an absolute path of at most 107 bytes: unix:/run/app.sock")]
    Socket,
}

impl Origin {
    /// Parses `http://HOST[:PORT][/PATH]`, or the same with `https` or `h2c`.
    ///
    /// # Errors
    /// Returns an [`OriginError`] that describes a valid URL.
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        if url.len() > URL_LEN_MAX {
            return Err(OriginError::Form);
        }
        if url.contains(['?', '#']) {
            return Err(OriginError::Query);
        }
        let uri: Uri = url.parse().map_err(|_| OriginError::Form)?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some("h2c") => Scheme::H2c,
            _ => return Err(OriginError::Form),
        };
        let authority = uri.authority().ok_or(OriginError::Form)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::User);
        }
        let (host, port) = host_and_port(authority.as_str(), usual_port(scheme)).ok_or(OriginError::Form)?;
        let host = host.to_ascii_lowercase();
        let authority = authority_of(scheme, &host, port);
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, host, port, authority, path, allow_link_local: false })
    }

    /// Parses the URL of a backend: one that [`Origin::parse`] accepts, or `unix:/PATH` for HTTP/1.1 over a Unix socket.
    ///
    /// # Errors
    /// Returns an [`OriginError`] that describes a valid URL.
    pub fn parse_backend(url: &str) -> Result<Self, OriginError> {
        let Some(path) = url.strip_prefix(UNIX) else { return Self::parse(url) };
        if !is_socket_path(path) {
            return Err(OriginError::Socket);
        }
        Ok(Self {
            scheme: Scheme::Http,
            host: path.to_owned(),
            port: 0,
            authority: SOCKET_AUTHORITY.to_owned(),
            path: String::new(),
            allow_link_local: false,
        })
    }
}

impl Origin {
    /// Returns the path of the origin's Unix socket; `None` for one of TCP.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        self.host.starts_with('/').then(|| Path::new(&self.host))
    }

    /// Returns the host for TLS: that of the authority, which differs from the host if that is an address of its name.
    #[must_use]
    pub fn server_name(&self) -> &str {
        host_of(&self.authority)
    }

    /// Returns the same origin at an address of its host. The authority remains.
    #[must_use]
    pub fn with_address(&self, host: String, port: u16) -> Self {
        Self { host, port, ..self.clone() }
    }

    /// Returns a text that identifies the origin among others: the URL, and the authority unless the URL has it. Members
    /// with different names may have the same address.
    #[must_use]
    pub fn id(&self) -> String {
        match self.name() {
            Some(name) => format!("{self} {name}"),
            None => self.to_string(),
        }
    }

    /// Returns the authority unless the URL has it: the host is an address of its name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        if self.socket_path().is_some() {
            return None;
        }
        let is_in_url = self.authority == authority_of(self.scheme, &self.host, self.port);
        (!is_in_url).then_some(self.authority.as_str())
    }
}

const fn usual_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http | Scheme::H2c => 80,
        Scheme::Https => 443,
    }
}

/// Returns the authority of a host, which may be an address without brackets.
fn authority_of(scheme: Scheme, host: &str, port: u16) -> String {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    if port == usual_port(scheme) { format!("{open}{host}{close}") } else { format!("{open}{host}{close}:{port}") }
}

/// Returns the host of an authority, an address without brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// Writes the URL of the server, which [`Origin::parse_backend`] accepts.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.socket_path().is_some() {
            return write!(f, "{UNIX}{}", self.host);
        }
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::H2c => "h2c",
        };
        write!(f, "{scheme}://{}{}", authority_of(self.scheme, &self.host, self.port), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_origins() {
        for (url, scheme, host, port, authority, path) in [
            ("http://127.0.0.1:9001", Scheme::Http, "127.0.0.1", 9001, "127.0.0.1:9001", ""),
            ("https://api.openai.com/v1", Scheme::Https, "api.openai.com", 443, "api.openai.com", "/v1"),
            ("https://API.Example.com:443/", Scheme::Https, "api.example.com", 443, "api.example.com", ""),
            ("http://x:443/a/b//", Scheme::Http, "x", 443, "x:443", "/a/b"),
            ("https://[::1]:8443/x", Scheme::Https, "::1", 8443, "[::1]:8443", "/x"),
            ("http://[::1]", Scheme::Http, "::1", 80, "[::1]", ""),
            ("h2c://10.0.0.7:8080/a", Scheme::H2c, "10.0.0.7", 8080, "10.0.0.7:8080", "/a"),
            ("h2c://X:80", Scheme::H2c, "x", 80, "x", ""),
        ] {
            let origin = Origin {
                scheme,
                host: host.to_owned(),
                port,
                authority: authority.to_owned(),
                path: path.to_owned(),
                allow_link_local: false,
            };
            assert_eq!(Origin::parse(&origin.to_string()).as_ref(), Ok(&origin), "{origin}");
            assert_eq!(Origin::parse(url), Ok(origin), "{url}");
        }
    }

    #[test]
    fn backends_may_have_unix_sockets() {
        let origin = Origin::parse_backend("unix:/run/app.sock").unwrap();
        assert_eq!(origin.socket_path(), Some(Path::new("/run/app.sock")));
        assert_eq!((origin.scheme, origin.authority.as_str(), origin.path.as_str()), (Scheme::Http, "localhost", ""));
        assert_eq!(
            (origin.to_string(), origin.id()),
            ("unix:/run/app.sock".to_owned(), "unix:/run/app.sock".to_owned())
        );
        assert_eq!(Origin::parse("unix:/run/app.sock"), Err(OriginError::Form), "other servers have none");
        let longest = format!("unix:/{}", "a".repeat(106));
        assert_eq!(Origin::parse_backend(&longest).unwrap().to_string(), longest);
        for text in
            ["unix:", "unix:run/app.sock", "unix:/", "unix:/run/", "unix:/a\nb", "unix:/a\0", &format!("{longest}a")]
        {
            assert_eq!(Origin::parse_backend(text), Err(OriginError::Socket), "{text}");
        }
        assert_eq!(Origin::parse_backend("http://x").unwrap().socket_path(), None);
    }

    #[test]
    fn an_address_of_a_name_keeps_its_name() {
        for (url, host, port, shown, name) in [
            ("https://users.internal:8443/v1", "10.0.0.7", 8443, "https://10.0.0.7:8443/v1", "users.internal"),
            ("https://users.internal", "fd00::7", 443, "https://[fd00::7]", "users.internal"),
            ("http://[::1]:80", "::1", 81, "http://[::1]:81", "::1"),
        ] {
            let origin = Origin::parse(url).unwrap();
            let at = origin.with_address(host.to_owned(), port);
            assert_eq!((at.to_string().as_str(), at.server_name()), (shown, name));
            assert_eq!((&at.authority, &at.path), (&origin.authority, &origin.path));
        }
    }

    #[test]
    fn names_with_one_address_have_different_ids() {
        let [one, other] = ["one", "two"].map(|name| Origin::parse(&format!("http://{name}.internal/v1")).unwrap());
        assert_eq!(one.id(), "http://one.internal/v1");
        let at = |origin: &Origin| origin.with_address("10.0.0.7".to_owned(), 80).id();
        assert_eq!([at(&one), at(&other)], ["one", "two"].map(|name| format!("http://10.0.0.7/v1 {name}.internal")));
    }

    #[test]
    fn other_urls_are_refused() {
        for (url, error) in [
            ("", OriginError::Form),
            ("example.com", OriginError::Form),
            ("example.com:80", OriginError::Form),
            ("/path", OriginError::Form),
            ("ftp://x", OriginError::Form),
            ("h2://x", OriginError::Form),
            ("http://", OriginError::Form),
            ("http://:80", OriginError::Form),
            ("http://x:", OriginError::Form),
            ("http://x:0", OriginError::Form),
            ("http://x:70000", OriginError::Form),
            ("http://x y", OriginError::Form),
            ("http://x[]", OriginError::Form),
            ("http://[::1]x", OriginError::Form),
            ("http://[x]", OriginError::Form),
            ("http://[::1%25eth0]", OriginError::Form),
            ("http://x'y", OriginError::Form),
            ("http://a:b@x", OriginError::User),
            ("http://x/?a=b", OriginError::Query),
            ("http://x/#a", OriginError::Query),
        ] {
            assert_eq!(Origin::parse(url), Err(error), "{url}");
        }
        assert_eq!(Origin::parse(&format!("http://x/{}", "a".repeat(3_000))), Err(OriginError::Form));
    }
}
