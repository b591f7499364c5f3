//! The header of the PROXY protocol, versions 1 and 2, which a proxy sends before the bytes of its client. It follows
//! "The PROXY protocol", 2020/03/05, sections 2.1 and 2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Maximum size of a header of version 1 with its line end (section 2.1).
const LINE_BYTES_MAX: usize = 107;
/// Size of a header of version 2 before its addresses.
const PREFIX_BYTES: usize = 16;
/// Maximum size of the addresses and extensions of version 2. An extension may contain a certificate.
const REST_BYTES_MAX: usize = 8 * 1024;
/// Maximum number of bytes that are read at once.
const READ_BYTES_MAX: usize = 512;

/// The extension that describes the client's TLS, and the bit of its first octet for a client that uses TLS (section
/// 2.2.5).
const TLS_EXTENSION: u8 = 0x20;
const CLIENT_USES_TLS: u8 = 1;

const LINE_BEGIN: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The reason why a connection has no valid header.
#[derive(Debug, Error)]
pub(crate) enum ProxyHeaderError {
    #[error("the connection ended before its PROXY header did")]
    Truncated,
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is too long")]
    TooLong,
    #[error("the line of the PROXY header is not valid")]
    Line,
    #[error("the PROXY header has another version than 1 and 2, or an unknown command")]
    Version,
    #[error("the address family or the transport of the PROXY header is not supported")]
    Family,
    #[error("the PROXY header is too short for its addresses")]
    TooShort,
    #[error("the PROXY header could not be read")]
    Io(#[source] io::Error),
}

/// The beginning of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// All bytes belong to the header, which is longer.
    Incomplete,
    Complete(ProxyHeader),
}

/// A header that was received completely.
#[derive(Debug, PartialEq, Eq)]
struct ProxyHeader {
    /// The size of the header.
    bytes: usize,
    source: ProxiedSource,
}

/// The other end of a connection that a proxy relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxiedSource {
    /// The proxy itself has connected, for example to check the health of the gateway.
    Proxy,
    /// A client with this address.
    Client {
        address: IpAddr,
        /// Whether the proxy has ended the client's TLS.
        is_tls: bool,
    },
    /// A client without an IP address, for example one of a Unix socket.
    Unknown,
}

/// Reads the header, and nothing after it. The code that calls this function limits the time.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<ProxiedSource, ProxyHeaderError> {
    let mut received = Vec::new();
    let mut piece = [0; READ_BYTES_MAX];
    loop {
        let count = stream.peek(&mut piece).await.map_err(ProxyHeaderError::Io)?;
        if count == 0 {
            return Err(ProxyHeaderError::Truncated);
        }
        let before = received.len();
        received.extend_from_slice(piece.get(..count).unwrap_or_default());
        let parsed = parse(&received)?;
        let taken = match &parsed {
            Parsed::Incomplete => count,
            Parsed::Complete(header) => header.bytes - before,
        };
        // The bytes are there, so this does not wait.
        let taken = piece.get_mut(..taken).unwrap_or_default();
        stream.read_exact(taken).await.map_err(ProxyHeaderError::Io)?;
        if let Parsed::Complete(header) = parsed {
            return Ok(header.source);
        }
    }
}

/// Parses the beginning of a connection, of which there is at least one byte.
fn parse(received: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    if begins(received, SIGNATURE) {
        return parse_binary(received);
    }
    if begins(received, LINE_BEGIN) {
        return parse_line(received);
    }
    Err(ProxyHeaderError::Missing)
}

/// Whether `received` begins like `expected`, as far as both reach.
fn begins(received: &[u8], expected: &[u8]) -> bool {
    received.iter().zip(expected).all(|(received, expected)| received == expected)
}

fn parse_line(received: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    let window = received.get(..LINE_BYTES_MAX).unwrap_or(received);
    let Some(end) = window.iter().position(|&octet| octet == b'\n') else {
        return if received.len() < LINE_BYTES_MAX { Ok(Parsed::Incomplete) } else { Err(ProxyHeaderError::TooLong) };
    };
    let line = window.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(ProxyHeaderError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyHeaderError::Line)?;
    let source = source_of_line(line).ok_or(ProxyHeaderError::Line)?;
    Ok(Parsed::Complete(ProxyHeader { bytes: end + 1, source }))
}

/// Returns the source in a line without its end; `None` if the line is not valid.
fn source_of_line(line: &str) -> Option<ProxiedSource> {
    let mut words = line.split(' ');
    words.next().filter(|word| *word == "PROXY")?;
    let family = words.next()?;
    if family == "UNKNOWN" {
        // The rest is ignored (section 2.1).
        return Some(ProxiedSource::Unknown);
    }
    let [source, destination, source_port, destination_port] =
        [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some() || !is_port(source_port) || !is_port(destination_port) {
        return None;
    }
    let source = match family {
        "TCP4" => destination.parse::<Ipv4Addr>().and(source.parse()).map(IpAddr::V4).ok()?,
        "TCP6" => destination.parse::<Ipv6Addr>().and(source.parse()).map(IpAddr::V6).ok()?,
        _ => return None,
    };
    Some(ProxiedSource::Client { address: source, is_tls: false })
}

/// Whether a text is a number up to 65535 without a zero before it.
fn is_port(text: &str) -> bool {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_number && text.parse::<u16>().is_ok()
}

fn parse_binary(received: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    let rest = received.get(SIGNATURE.len()..).unwrap_or_default();
    // A wrong octet is refused before the next one arrives.
    let is_local = match rest.first() {
        None => return Ok(Parsed::Incomplete),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(ProxyHeaderError::Version),
    };
    let Some(&family) = rest.get(1) else { return Ok(Parsed::Incomplete) };
    // Not specified, or TCP over IPv4, over IPv6 or over a Unix socket. A listener of TCP gets no datagrams.
    let address_bytes = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(ProxyHeaderError::Family),
    };
    let Some(&[high, low]) = rest.get(2..4) else { return Ok(Parsed::Incomplete) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    if length < address_bytes {
        return Err(ProxyHeaderError::TooShort);
    }
    let bytes = PREFIX_BYTES + length;
    let Some(addresses) = received.get(PREFIX_BYTES..bytes) else { return Ok(Parsed::Incomplete) };
    let is_tls = uses_tls(addresses.get(address_bytes..).unwrap_or_default());
    let source = match address_bytes {
        12 => addresses.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        36 => addresses.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    };
    let source = match source {
        _ if is_local => ProxiedSource::Proxy,
        Some(address) => ProxiedSource::Client { address, is_tls },
        None => ProxiedSource::Unknown,
    };
    Ok(Parsed::Complete(ProxyHeader { bytes, source }))
}

/// Whether extensions say that the client uses TLS. An extension that is cut off ends them.
fn uses_tls(mut extensions: &[u8]) -> bool {
    while let [kind, high, low, rest @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, following)) = rest.split_at_checked(length) else { return false };
        if *kind == TLS_EXTENSION {
            return value.first().is_some_and(|client| client & CLIENT_USES_TLS != 0);
        }
        extensions = following;
    }
    false
}

#[cfg(test)]
mod tests;
