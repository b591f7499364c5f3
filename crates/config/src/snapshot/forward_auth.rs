//! Services that decide about requests: entries of `auth` with the type `forward`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::SubjectText;
use access::credentials::issuer::host_and_port;
use settings::place::Place;
use tls::UpstreamTls;

use super::origin::{Origin, Scheme};

/// An entry of `auth` with the type `forward`.
#[derive(Debug)]
pub struct ServiceEntry {
    /// The name of the entry, which is the issuer of its subjects.
    pub name: SubjectText<512>,
    /// The URL to which each request is described.
    pub url: ServiceUrl,
    /// Headers of the response that upstreams receive.
    pub headers_to_upstream: Box<[Box<str>]>,
    /// The header of the response that contains the subject; `None` if requests have none.
    pub subject: Option<Box<str>>,
    /// Maximum time for the response.
    pub timeout: Duration,
    /// Headers of requests by which responses are cached; empty if none is.
    pub cache_by: Box<[Box<str>]>,
    /// The TLS to the service; `None` means Mozilla's roots and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
    /// The name of the plan of the subjects, which exists; `None` if they have none.
    pub plan: Option<Arc<str>>,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
}

/// The URL of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    text: Box<str>,
    /// The server, without a path.
    pub origin: Origin,
    /// The path with the query.
    pub target: Box<str>,
}

impl ServiceUrl {
    /// Parses an `http` or `https` URL without user, password and fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() <= 2_048
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'#'));
        if !is_plain {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (Scheme::Https, 443),
            "http" => (Scheme::Http, 80),
            _ => return None,
        };
        let authority = rest.split(['/', '?']).next()?;
        let (host, port) = host_and_port(authority, default_port)?;
        let target = rest.get(authority.len()..)?;
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}").into() };
        let host = host.to_ascii_lowercase();
        let written = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if port == default_port { written } else { format!("{written}:{port}") };
        let origin = Origin { scheme, host, port, authority, path: String::new(), allow_link_local: false };
        Some(Self { text: text.into(), origin, target })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url_are_those_of_its_request() {
        for (text, authority, target) in [
            ("http://auth:9091/api/verify?rd=https://h/x", "auth:9091", "/api/verify?rd=https://h/x"),
            ("HTTPS://Auth.example.com/verify/", "auth.example.com", "/verify/"),
            ("http://127.0.0.1:80", "127.0.0.1", "/"),
            ("http://[::1]:8080?a", "[::1]:8080", "/?a"),
        ] {
            let url = ServiceUrl::parse(text).unwrap();
            assert_eq!((url.origin.authority.as_str(), &*url.target), (authority, target), "{text}");
        }
        for text in ["", "auth/verify", "h2c://auth/", "http://u:p@auth/", "http://auth/#x", "http:///x", "http://a b/"]
        {
            assert_eq!(ServiceUrl::parse(text), None, "{text}");
        }
    }
}
