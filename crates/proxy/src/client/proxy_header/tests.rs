use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

const HTTP: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// A header of version 2 with this command, family and rest.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn tcp4() -> Vec<u8> {
    vec![203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80]
}

fn tcp6() -> Vec<u8> {
    [&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 16], &[0; 4]].concat()
}

fn with_extensions(mut rest: Vec<u8>, value_bytes: u16) -> Vec<u8> {
    // PP2_TYPE_SSL, then PP2_TYPE_NOOP.
    rest.push(0x20);
    rest.extend(value_bytes.to_be_bytes());
    rest.resize(rest.len() + usize::from(value_bytes), 0xff);
    rest.extend([0x04, 0, 0]);
    rest
}

fn ip(text: &str) -> ProxiedSource {
    ProxiedSource::Client { address: text.parse().unwrap(), is_tls: false }
}

fn ip_over_tls(text: &str) -> ProxiedSource {
    ProxiedSource::Client { address: text.parse().unwrap(), is_tls: true }
}

/// Addresses with another extension before this value of the one about TLS.
fn with_tls(mut rest: Vec<u8>, value: &[u8]) -> Vec<u8> {
    rest.extend([0x04, 0, 1, 0, TLS_EXTENSION, 0, u8::try_from(value.len()).unwrap()]);
    rest.extend(value);
    rest
}

/// Valid headers, and the address that each contains.
fn valid() -> Vec<(Vec<u8>, ProxiedSource)> {
    let line = |line: &str| line.as_bytes().to_vec();
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 16));
    assert_eq!(longest.len(), LINE_BYTES_MAX);
    vec![
        (line("PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n"), ip("203.0.113.9")),
        (line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n"), ip("255.255.255.255")),
        (line("PROXY TCP6 2001:db8::7 ::1 12345 443\r\n"), ip("2001:db8::7")),
        (line("PROXY UNKNOWN\r\n"), ProxiedSource::Unknown),
        (line("PROXY UNKNOWN anything at all\r\n"), ProxiedSource::Unknown),
        (line(&longest), ProxiedSource::Unknown),
        (binary(0x21, 0x11, &tcp4()), ip("203.0.113.9")),
        (binary(0x21, 0x21, &tcp6()), ip("2001:db8::7")),
        (binary(0x21, 0x11, &with_extensions(tcp4(), 3)), ip_over_tls("203.0.113.9")),
        (binary(0x21, 0x21, &with_extensions(tcp6(), 7_000)), ip_over_tls("2001:db8::7")),
        (binary(0x21, 0x11, &with_tls(tcp4(), &[1, 0, 0, 0, 0])), ip_over_tls("203.0.113.9")),
        (binary(0x21, 0x11, &with_tls(tcp4(), &[6, 0, 0, 0, 0])), ip("203.0.113.9")),
        (binary(0x21, 0x11, &with_tls(tcp4(), &[])), ip("203.0.113.9")),
        (binary(0x21, 0x11, &[&tcp4()[..], &[TLS_EXTENSION, 0, 9, 1]].concat()), ip("203.0.113.9")),
        (binary(0x21, 0x11, &[&tcp4()[..], &[TLS_EXTENSION, 0]].concat()), ip("203.0.113.9")),
        (binary(0x21, 0x31, &[b'/'; 216]), ProxiedSource::Unknown),
        (binary(0x21, 0x00, b""), ProxiedSource::Unknown),
        (binary(0x21, 0x00, b"ignored"), ProxiedSource::Unknown),
        (binary(0x20, 0x00, b""), ProxiedSource::Proxy),
        (binary(0x20, 0x11, &tcp4()), ProxiedSource::Proxy),
        (binary(0x20, 0xff, b"ignored"), ProxiedSource::Proxy),
    ]
}

#[test]
fn valid_headers_have_an_address_or_none_and_end_before_the_request() {
    for (header, source) in valid() {
        let bytes = header.len();
        let received = [&header[..], HTTP].concat();
        let Ok(Parsed::Complete(parsed)) = parse(&received) else { panic!("{header:?}") };
        assert_eq!(parsed, ProxyHeader { bytes, source }, "{header:?}");
    }
}

#[test]
fn header_is_incomplete_at_every_byte_before_its_end() {
    for (header, _) in valid() {
        for end in 1..header.len() {
            assert!(matches!(parse(&header[..end]), Ok(Parsed::Incomplete)), "{end} of {header:?}");
        }
    }
}

#[test]
fn invalid_headers_are_refused() {
    let check = |bytes: &[u8], expected: &str| {
        let error = parse(bytes).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}: {bytes:?}");
    };
    for garbage in
        [&b"G"[..], HTTP, b"\x16\x03\x01", b"\0", b"proxy ", b"PROXX", b"PRI * HTTP/2.0\r\n", b"\r\n\r\n\0\r\nQUIT\r"]
    {
        check(garbage, "does not begin");
    }
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWNX\r\n",
    ] {
        check(line.as_bytes(), "line");
    }
    check("PROXY TCP4 1.2.3.4 \u{e9} 1 2\r\n".as_bytes(), "line");
    check(b"PROXY UNKNOWN \xff\r\n", "line");
    check(format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 15)).as_bytes(), "too long");
    check(format!("PROXY UNKNOWN {}", "f".repeat(1_000)).as_bytes(), "too long");
    for command in [0x00, 0x10, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        check(&binary(command, 0x11, &tcp4()), "another version");
    }
    for family in [0x01, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xff] {
        check(&binary(0x21, family, &tcp6()), "not supported");
    }
    check(&binary(0x21, 0x11, &tcp4()[..11]), "too short");
    check(&binary(0x21, 0x21, &tcp4()), "too short");
    check(&binary(0x21, 0x31, &tcp6()), "too short");
    check(&binary(0x20, 0x00, &vec![0; REST_BYTES_MAX + 1]), "too long");
    check(&binary(0x21, 0x11, &vec![0; 65_535])[..PREFIX_BYTES], "too long");
}

/// A connection whose client sends `sent`, in pieces of this size.
async fn connection(sent: Vec<u8>, piece: usize) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the bytes")]
    tokio::spawn(async move {
        for piece in sent.chunks(piece) {
            // The other end may have closed after a refused header.
            if client.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    listener.accept().await.unwrap().0
}

#[tokio::test]
async fn nothing_after_the_header_is_read_whatever_the_pieces_are() {
    for piece in [1, 7, 8_192] {
        for (header, source) in valid() {
            let mut stream = connection([&header[..], HTTP].concat(), piece).await;
            assert_eq!(read(&mut stream).await.unwrap(), source);
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, HTTP, "{header:?}");
        }
    }
}

#[tokio::test]
async fn header_that_ends_early_is_truncated_at_every_byte() {
    for header in [&b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n"[..], &binary(0x21, 0x11, &tcp4())] {
        for end in 0..header.len() {
            let mut stream = connection(header[..end].to_vec(), 8_192).await;
            assert!(matches!(read(&mut stream).await, Err(ProxyHeaderError::Truncated)), "{end}");
        }
    }
}
