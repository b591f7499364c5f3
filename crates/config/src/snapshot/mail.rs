//! Mails of billing: the section `mail`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use access::{Secret, text};
use percent_encoding::percent_decode_str;

/// The values of the section `mail`.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The server that takes mails.
    pub smtp: SmtpServer,
    /// The sender of all mails.
    pub from: MailSender,
    /// The file with the certificates that sign that of the server; `None` means those of Mozilla.
    pub ca: Option<PathBuf>,
    /// Time limit of each step of a delivery.
    pub timeout: Duration,
}

/// How a connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after the command `STARTTLS`, which the server must offer.
    StartTls,
    /// No TLS, to a server on this machine.
    Plain,
}

/// An SMTP server, parsed from a URL.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// The URL as it was written.
    pub(crate) url: Secret,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// The host name or address.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The user name and the password; `None` means no sign-in.
    pub credentials: Option<(String, Secret)>,
}

/// The sender of mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSender {
    /// The name that people see; may be empty.
    pub name: String,
    /// The address of the sender.
    pub address: String,
}

/// The schemes, each with its usual port.
const SCHEMES: [(&str, SmtpSecurity, u16); 3] = [
    ("smtps://", SmtpSecurity::Tls, 465),
    ("smtp+starttls://", SmtpSecurity::StartTls, 587),
    ("smtp://", SmtpSecurity::Plain, 25),
];

impl SmtpServer {
    /// Parses a URL: `smtps://USER:PASSWORD@HOST:PORT`. User name and password may have percent-encoded characters.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (scheme, security, usual_port) = SCHEMES
            .into_iter()
            .find(|(scheme, ..)| url.get(..scheme.len()).is_some_and(|of| of.eq_ignore_ascii_case(scheme)))?;
        let rest = url.get(scheme.len()..)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let (host, port) = host_and_port(authority, usual_port)?;
        if security == SmtpSecurity::Plain && !is_loopback(&host) {
            return None;
        }
        let credentials = match userinfo.map(|userinfo| userinfo.split_once(':').unwrap_or((userinfo, ""))) {
            // A password that its variable does not give means no sign-in.
            None | Some((_, "")) => None,
            Some((user, password)) => Some((decoded(user)?, Secret::new(decoded(password)?))),
        };
        Some(Self { url: Secret::new(url.to_owned()), security, host, port, credentials })
    }
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?.into_owned();
    (!decoded.is_empty() && !decoded.contains(char::is_control)).then_some(decoded)
}

fn host_and_port(authority: &str, usual_port: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or((port.is_empty()).then_some("")))
        }
        None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    let has_host = (1..=253).contains(&host.len()) && host.bytes().all(is_name);
    let port = match port? {
        "" => usual_port,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    has_host.then(|| (host.to_ascii_lowercase(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The longest name of a sender.
const NAME_CHARS_MAX: usize = 100;

impl MailSender {
    /// Parses `Billing <billing@example.com>`, or an address alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, address) = match text.strip_suffix('>') {
            Some(text) => text.split_once('<')?,
            None => ("", text),
        };
        let name = name.trim().trim_matches('"');
        let address = address.trim();
        let is_name = name.chars().count() <= NAME_CHARS_MAX && text::is_plain(name) && !name.contains(['<', '>', '"']);
        (is_name && is_address(address)).then(|| Self { name: name.to_owned(), address: address.to_owned() })
    }
}

fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let is_label = |label: &str| {
        let has_length = (1..=63).contains(&label.len());
        let is_edge = label.starts_with('-') || label.ends_with('-');
        has_length && !is_edge && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let has_dots = local.split('.').all(|part| !part.is_empty());
    (1..=64).contains(&local.len()) && local.bytes().all(is_local) && has_dots && domain.split('.').all(is_label)
}

impl fmt::Display for MailSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { f.write_str(&self.address) } else { write!(f, "{} <{}>", self.name, self.address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_security_a_host_a_port_and_perhaps_a_password() {
        let read = |url: &str| {
            let of = SmtpServer::parse(url)?;
            let user = of.credentials.map(|(user, password)| format!("{user}:{}", password.expose()));
            Some((of.security, of.host, of.port, user.unwrap_or_default()))
        };
        let server = |security, host: &str, port, user: &str| Some((security, host.to_owned(), port, user.to_owned()));
        for (url, expected) in [
            ("smtps://mail.example.com", server(SmtpSecurity::Tls, "mail.example.com", 465, "")),
            (
                "smtps://billing:p%40ss:x@Mail.example.com:2465/",
                server(SmtpSecurity::Tls, "mail.example.com", 2465, "billing:p@ss:x"),
            ),
            ("smtp+starttls://a%40b.example:s@h", server(SmtpSecurity::StartTls, "h", 587, "a@b.example:s")),
            ("smtps://billing:@h", server(SmtpSecurity::Tls, "h", 465, "")),
            ("smtp://127.0.0.1:2525", server(SmtpSecurity::Plain, "127.0.0.1", 2525, "")),
            ("smtp://[::1]:2525", server(SmtpSecurity::Plain, "::1", 2525, "")),
            ("smtp://localhost", server(SmtpSecurity::Plain, "localhost", 25, "")),
            ("smtp://mail.example.com", None),
            ("smtps://", None),
            ("smtps://h:0", None),
            ("smtps://h:x", None),
            ("smtps://h/path", None),
            ("smtps://a:%0d%0aQUIT@h", None),
            ("http://h", None),
        ] {
            assert_eq!(read(url), expected, "{url}");
        }
        assert!(!format!("{:?}", SmtpServer::parse("smtps://a:S3CRET@h")).contains("S3CRET"));
    }

    #[test]
    fn a_sender_has_an_address_and_cannot_have_line_breaks() {
        let read = |text: &str| MailSender::parse(text).map(|of| of.to_string());
        for (text, expected) in [
            ("Billing <billing@example.com>", Some("Billing <billing@example.com>")),
            ("\"PT Contoh, Tbk\" <a@b.example>", Some("PT Contoh, Tbk <a@b.example>")),
            ("a.b+c@example.com", Some("a.b+c@example.com")),
            ("Billing", None),
            ("Billing <billing>", None),
            ("a..b@example.com", None),
            ("a@-example.com", None),
            ("A\r\nBcc: x@example.com <a@example.com>", None),
            ("A <a@example.com\r\nRCPT>", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }
}
