//! The URLs from which keys of issuers are fetched.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// Maximum length of a URL in bytes.
const URL_LEN_MAX: usize = 2_048;
/// Maximum length of a host name in bytes (RFC 1035, 2.3.4).
const HOST_LEN_MAX: usize = 253;
/// Addresses at which clouds serve the credentials of machines, and which are not link-local: AWS, Google, Alibaba, Oracle,
/// Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// An `https` URL, or an `http` URL of this machine.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerUrl {
    text: Box<str>,
    scheme: UrlScheme,
    host: Box<str>,
    port: u16,
    /// The position of the path in the text.
    path_at: usize,
}

/// The scheme of an [`IssuerUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UrlScheme {
    /// HTTP without TLS, to loopback addresses only.
    Http,
    /// HTTP over a TLS connection.
    Https,
}

/// The reason why a text is not an [`IssuerUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IssuerUrlError {
    /// The text is not a URL of this form.
    #[error("`https://HOST[:PORT]/PATH`, or `http://` to a loopback address")]
    Form,
    /// The host is a link-local or metadata address.
    #[error("a host that is not a link-local address, or `allow_link_local: true`")]
    LinkLocal,
}

impl IssuerUrl {
    /// Parses a URL without user, password and fragment.
    ///
    /// # Errors
    /// [`IssuerUrlError::Form`]. The caller checks the address with [`IssuerUrl::is_link_local`].
    pub fn parse(text: &str) -> Result<Self, IssuerUrlError> {
        let is_plain = text.len() <= URL_LEN_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'#'));
        if !is_plain {
            return Err(IssuerUrlError::Form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(IssuerUrlError::Form)?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (UrlScheme::Https, 443),
            "http" => (UrlScheme::Http, 80),
            _ => return Err(IssuerUrlError::Form),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = host_and_port(authority, default_port).ok_or(IssuerUrlError::Form)?;
        let path_at = text.len() - rest.len() + authority.len();
        let url = Self { text: text.into(), scheme, host: host.to_ascii_lowercase().into(), port, path_at };
        let is_loopback = url.address().map_or(*url.host == *"localhost", |address| address.is_loopback());
        if scheme == UrlScheme::Http && !is_loopback { Err(IssuerUrlError::Form) } else { Ok(url) }
    }

    /// Returns the URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the scheme of the URL.
    #[must_use]
    pub const fn scheme(&self) -> UrlScheme {
        self.scheme
    }

    /// Returns the host in lowercase, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, also if the URL omits it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of `Host`: the port is omitted if it is the scheme's default.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        match (self.scheme, self.port) {
            (UrlScheme::Http, 80) | (UrlScheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Returns the path with the query.
    #[must_use]
    pub fn target(&self) -> String {
        let target = self.text.get(self.path_at..).unwrap_or_default();
        if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }
    }

    /// Returns the URL of the metadata of this issuer (OpenID Connect Discovery 1.0, 4); `None` if it has a query.
    #[must_use]
    pub fn metadata(&self) -> Option<Self> {
        let base = self.text.trim_end_matches('/');
        if base.contains('?') {
            return None;
        }
        Self::parse(&format!("{base}/.well-known/openid-configuration")).ok()
    }

    /// Returns the address if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is written as a link-local or metadata address.
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        self.address().is_some_and(is_link_local)
    }
}

/// Whether the address is link-local, or one at which a cloud serves the credentials of a machine. IPv4 addresses within
/// IPv6 are checked as well (RFC 4291, 2.5.5; RFC 6052, 2.1).
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(address) => embedded(address).map_or(IpAddr::V6(address), IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    };
    is_local || METADATA.contains(&address)
}

/// Returns the IPv4 address that an IPv6 address contains.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let is_embedded = matches!([a, b, c, d, e, f], [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]);
    let is_own = a == 0 && f == 0 && high == 0;
    let [one, two] = high.to_be_bytes();
    let [three, four] = low.to_be_bytes();
    (is_embedded && !is_own).then(|| Ipv4Addr::new(one, two, three, four))
}

/// Returns the host without brackets, and the port, of the authority of a URL without user and password.
#[must_use]
pub fn host_and_port(authority: &str, default_port: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let is_name = (1..=HOST_LEN_MAX).contains(&host.len())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            // Parsers differ on `127.1` and `0x7f.0.0.1`, so a host that ends with a number must be an address.
            let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
            let is_number = last.starts_with(|first: char| first.is_ascii_digit());
            if !is_name || (is_number && host.parse::<Ipv4Addr>().is_err()) {
                return None;
            }
            (host, port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, default_port)),
        None => None,
        Some(digits) => {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = digits.parse().ok().filter(|port| is_number && *port != 0)?;
            Some((host, port))
        }
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url_are_those_of_its_request() {
        for (text, authority, target) in [
            ("https://id.example.com/keys", "id.example.com", "/keys"),
            ("HTTPS://Id.Example.com:8443", "id.example.com:8443", "/"),
            ("https://id.example.com?p=policy", "id.example.com", "/?p=policy"),
            ("https://[2001:db8::1]/a?b=/c", "[2001:db8::1]", "/a?b=/c"),
            ("http://localhost:9000/keys", "localhost:9000", "/keys"),
            ("http://127.0.0.1/keys", "127.0.0.1", "/keys"),
            ("http://[::1]:80/keys", "[::1]", "/keys"),
        ] {
            let url = IssuerUrl::parse(text).unwrap();
            assert_eq!((url.authority().as_str(), url.target().as_str()), (authority, target), "{text}");
            assert_eq!(format!("{url:?}"), format!("IssuerUrl({url})"));
        }
    }

    #[test]
    fn only_https_or_this_machine_is_accepted() {
        for text in [
            "",
            "id.example.com/keys",
            "ftp://id.example.com/keys",
            "http://id.example.com/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example.com/",
            "https://",
            "https:///keys",
            "https://user@id.example.com/",
            "https://user:pw@id.example.com/",
            "https://id.example.com/#keys",
            "https://id.example.com:0/",
            "https://id.example.com:65536/",
            "https://id.example.com:+443/",
            "https://id.example.com:/",
            "https://id example.com/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://a..1/",
            "https://[::1/",
            "https://[127.0.0.1]/",
            "https://id.example.com\\@evil/",
        ] {
            assert_eq!(IssuerUrl::parse(text), Err(IssuerUrlError::Form), "{text}");
        }
        assert!(IssuerUrl::parse(&format!("https://h/{}", "x".repeat(URL_LEN_MAX))).is_err());
    }

    #[test]
    fn metadata_is_below_the_issuer() {
        let of = |text: &str| IssuerUrl::parse(text).unwrap().metadata().map(|url| url.as_str().to_owned());
        let expected = "https://h/t/.well-known/openid-configuration".to_owned();
        assert_eq!((of("https://h/t"), of("https://h/t/")), (Some(expected.clone()), Some(expected)));
        assert_eq!(of("https://h/t?a=b"), None);
    }

    #[test]
    fn link_local_and_metadata_addresses_are_found_in_each_form() {
        for (address, expected) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fd00:ec2::254", true),
            ("fd20:ce::254", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("0.0.0.0", true),
            ("::", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("10.0.0.1", false),
            ("fd00::1", false),
            ("203.0.113.9", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_link_local(address.parse().unwrap()), expected, "{address}");
        }
    }
}
