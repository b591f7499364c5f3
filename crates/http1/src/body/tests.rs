use super::*;
use crate::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX};

/// The bytes that belong to the message, the bytes of data, and how it ended.
type Outcome = (usize, u64, Result<bool, Violation>);

/// Follows content that arrives in pieces of this length; bytes that are not taken are offered again with the next
/// piece.
fn follow(framing: Framing, bytes: &[u8], piece: usize) -> Outcome {
    let mut scanner = BodyScanner::new(framing);
    let mut start = 0;
    let mut end = 0;
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        loop {
            match scanner.take(&bytes[start..end]) {
                Ok(0) => break,
                Ok(len) => start += len,
                Err(violation) => return (start, scanner.content_bytes(), Err(violation)),
            }
        }
    }
    (start, scanner.content_bytes(), Ok(scanner.has_ended()))
}

#[track_caller]
fn check(framing: Framing, bytes: impl AsRef<[u8]>) -> Outcome {
    let bytes = bytes.as_ref();
    let whole = follow(framing, bytes, bytes.len());
    for piece in [1, 2, 3, 7] {
        assert_eq!(follow(framing, bytes, piece), whole, "in pieces of {piece}");
    }
    whole
}

#[track_caller]
fn refused(violation: Violation, bytes: impl AsRef<[u8]>) {
    let (_, _, end) = check(Framing::Chunked, bytes.as_ref());
    assert_eq!(end, Err(violation), "{}", String::from_utf8_lossy(bytes.as_ref()));
}

#[test]
fn content_ends_at_its_length_and_not_after() {
    assert_eq!(check(Framing::Empty, "next"), (0, 0, Ok(true)));
    assert_eq!(check(Framing::Length(0), "next"), (0, 0, Ok(true)));
    assert_eq!(check(Framing::Length(5), "hellonext"), (5, 5, Ok(true)));
    assert_eq!(check(Framing::Length(5), "hell"), (4, 4, Ok(false)));
    assert_eq!(check(Framing::Length(u64::MAX), "hell"), (4, 4, Ok(false)));
    assert_eq!(check(Framing::UntilClose, "all of it"), (9, 9, Ok(false)));
    assert_eq!(check(Framing::Tunnel, "all of it"), (9, 9, Ok(false)));
}

#[test]
fn chunks_pass_with_their_framing_up_to_the_next_message() {
    for (body, content) in [
        ("0\r\n\r\n", 0),
        ("5\r\nhello\r\n0\r\n\r\n", 5),
        ("5;a=b\r\nhello\r\n00a;c=\"d;e\"\r\n0\r\n\r\n0\r\n\r\n\r\n0;last\r\nX: y\r\n\r\n", 15),
        ("0\r\nX-RateLimit-Remaining: 5\r\nETag: x\r\nVia: y\r\n\r\n", 0),
        ("A\r\n0123456789\r\n0000000000000001\r\nx\r\n0\r\nGrpc-Status: 0\r\nGrpc-Message:\r\n\r\n", 11),
        ("1; a\t=b\r\nx\r\n0\r\n\r\n", 1),
        ("1;a;b=1;c=\"\";d = \"x\\\"y;=\t\" ;e\r\nx\r\n0;a=\"b\"\r\n\r\n", 1),
    ] {
        assert_eq!(check(Framing::Chunked, format!("{body}next")), (body.len(), content, Ok(true)), "{body}");
        for cut in 0..body.len() {
            let (taken, _, ended) = check(Framing::Chunked, &body[..cut]);
            assert!(taken <= cut && ended == Ok(false), "{body} cut at {cut}");
        }
    }
}

#[test]
fn hostile_chunk_sizes_are_refused() {
    for bytes in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5\t\r\nhello\r\n",
        " 5\r\n",
        ";a\r\n",
        "5,5\r\n",
        "11112222333344445\r\n",
        "00000000000000000\r\n",
        "5\n",
        "\n",
        "\0",
        "5\u{e9}",
        "5.\r\n",
        "1\r\nx\r\n\r\n",
        "1\r\nx\r\n 0\r\n\r\n",
    ] {
        refused(Violation::ChunkSize, bytes);
    }
    for bytes in ["5\r\nhello!\r\n", "5\r\nhello\n", "5\r\nhello\rx", "5\rx", "5;a\rx", "5\r\r\n", "1\r\nx0\r\n\r\n"] {
        refused(Violation::ChunkEnd, bytes);
    }
    for bytes in ["5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\0b\r\n", "5;a\u{e9}b\r\n", "5;\x7f\r\n", "0;\n\r\n"] {
        refused(Violation::ChunkExtension, bytes);
    }
    for extension in [
        "",
        " ",
        ";",
        "a;",
        "a;;b",
        "=b",
        "a=",
        "a= ",
        "a=b ",
        "a ",
        "a b",
        "a=b c",
        "a=b=c",
        "a,b",
        "a=b,c",
        "\"a\"",
        "a=\"b",
        "a=\"b\"c",
        "a=\"b\"\"c\"",
        "a=\"b\\",
        "a=\"b\" ",
        "a=b\"",
        "a/b",
        "a=b/c",
        "(a)",
        "a=\"b\u{e9}\"",
        "a=\"\\\0\"",
    ] {
        refused(Violation::ChunkExtension, format!("1;{extension}\r\nx\r\n0\r\n\r\n"));
        refused(Violation::ChunkExtension, format!("1\r\nx\r\n0;{extension}\r\n\r\n"));
    }
}

#[test]
fn trailers_are_judged_like_fields() {
    for (violation, trailers) in [
        (Violation::BareLf, "X: y\n\r\n"),
        (Violation::BareLf, "\n"),
        (Violation::BareCr, "\rX"),
        (Violation::BareCr, "X: y\rZ: a\r\n\r\n"),
        (Violation::Fold, " X: y\r\n\r\n"),
        (Violation::Fold, "X: y\r\n\tz\r\n\r\n"),
        (Violation::SpaceBeforeColon, "X : y\r\n\r\n"),
        (Violation::NoColon, "X\r\n\r\n"),
        (Violation::FieldName, ": y\r\n\r\n"),
        (Violation::ControlOctet, "X: \0\r\n\r\n"),
        (Violation::Trailer, "Content-Length: 5\r\n\r\n"),
        (Violation::Trailer, "Transfer-Encoding: chunked\r\n\r\n"),
        (Violation::Trailer, "Host: a\r\n\r\n"),
        (Violation::Trailer, "X: y\r\nauthorization: Bearer z\r\n\r\n"),
        (Violation::Trailer, "Connection: close\r\n\r\n"),
        (Violation::Trailer, "X-Forwarded-For: 192.0.2.1\r\n\r\n"),
        (Violation::Trailer, "X_Forwarded_Anything: 1\r\n\r\n"),
        (Violation::Trailer, "X_Api_Key: z\r\n\r\n"),
        (Violation::Trailer, "Cookie: a=b\r\n\r\n"),
        (Violation::Trailer, "Set-Cookie: a=b\r\n\r\n"),
        (Violation::Trailer, "Content-Encoding: gzip\r\n\r\n"),
        (Violation::Underscore, "Content_Length: 5\r\n\r\n"),
        (Violation::Underscore, "transfer_encoding: chunked\r\n\r\n"),
    ] {
        refused(violation, format!("1\r\nx\r\n0\r\n{trailers}"));
    }
}

/// The trailers of complete content that arrives in two pieces, as lines.
fn trailers(section: &str, cut: usize) -> String {
    let bytes = format!("1\r\nx\r\n0\r\n{section}\r\nnext");
    let mut scanner = BodyScanner::new(Framing::Chunked);
    let mut at = 0;
    let mut lines = String::new();
    for end in [cut.min(bytes.len()), bytes.len()] {
        while let Some(piece) = scanner.next(&bytes.as_bytes()[at..end]).unwrap() {
            if let Piece::Trailers(_) = piece
                && let Some(fields) = scanner.trailers(&bytes.as_bytes()[at..])
            {
                for field in fields.iter() {
                    let texts = [field.name, field.value].map(String::from_utf8_lossy);
                    lines += &format!("{}={};", texts[0], texts[1]);
                    assert_eq!(field.known.map(|known| fields.get(known)), field.known.map(|_| Some(field.value)));
                }
            }
            at += piece.len();
        }
    }
    assert!(scanner.has_ended() && bytes[at..] == *"next", "{section}");
    lines
}

#[test]
fn trailers_are_read_at_every_split_without_those_that_are_dropped() {
    for (section, expected) in [
        ("", ""),
        ("Grpc-Status: 0\r\n", "Grpc-Status=0;"),
        ("a:\r\nb: \u{e9}\t\r\nA: 2\r\n", "a=;b=\u{e9};A=2;"),
        ("If-Match: 5\r\n", ""),
        ("Accept-Ranges: bytes\r\nX: y\r\n", "X=y;"),
        ("Age: 1\r\nETag: z\r\nX-Request-Id: z\r\nDate: d\r\n", "ETag=z;Date=d;"),
        ("X: y\r\nSet-Cookie2: a=b\r\nsec_x: close\r\nRequest_Id: z\r\nX: z\r\n", "X=y;X=z;"),
        ("Traceparent: 1\r\nVary: 1\r\nContent-Language: x\r\n", ""),
    ] {
        for cut in 0..section.len() + 16 {
            assert_eq!(trailers(section, cut), expected, "{section} cut at {cut}");
        }
    }
}

/// The trailers of a complete response that arrives in two pieces, as lines.
fn trailers_of_response(section: &str, cut: usize) -> String {
    let bytes = format!("0\r\n{section}\r\nnext");
    let mut scanner = BodyScanner::of_response(Framing::Chunked);
    let mut at = 0;
    let mut lines = String::new();
    for end in [cut.min(bytes.len()), bytes.len()] {
        while let Some(piece) = scanner.next(&bytes.as_bytes()[at..end]).unwrap() {
            if let Some(fields) = scanner.trailers(&bytes.as_bytes()[at..]) {
                lines = fields
                    .iter()
                    .map(|field| [field.name, b"=", field.value, b";"].concat())
                    .map(|line| String::from_utf8(line).unwrap())
                    .collect();
            }
            at += piece.len();
        }
    }
    assert!(scanner.has_ended() && bytes[at..] == *"next", "{section}");
    lines
}

#[test]
fn responses_are_whole_without_the_trailers_that_must_not_be_ones() {
    let names = KnownName::ALL.iter().map(|name| name.as_str().to_owned());
    let others = [
        "content-language",
        "if-match",
        "accept-ranges",
        "sec-x",
        "proxy-status",
        "cookie2",
        "content_length",
        "x-forwarded-user",
    ];
    for name in names.chain(others.map(str::to_owned)) {
        for name in [name.clone(), name.to_ascii_uppercase(), name.replace('-', "_")] {
            let kept = trailers_of_response(&format!("{name}: 5\r\nX-Sum: abc\r\n"), 9);
            let allowed = ["date", "etag", "server", "via"].contains(&name.to_ascii_lowercase().as_str());
            assert_eq!(kept, if allowed { format!("{name}=5;X-Sum=abc;") } else { "X-Sum=abc;".to_owned() });
        }
    }
    let section = "Content-Length : 0\r\nTransfer_Encoding\t: chunked\r\nX-Sum \t: a:b\r\nHost:\r\nY::\r\n";
    for cut in 0..section.len() + 9 {
        assert_eq!(trailers_of_response(section, cut), "X-Sum=a:b;Y=:;", "cut at {cut}");
    }
    for (violation, section) in [
        (Violation::NoColon, "X \r\n"),
        (Violation::SpaceBeforeColon, "X y: z\r\n"),
        (Violation::ControlOctet, "Host: \0\r\n"),
    ] {
        let end = BodyScanner::of_response(Framing::Chunked);
        let mut scanner = end;
        let bytes = format!("0\r\n{section}\r\n");
        assert_eq!(scanner.take(bytes.as_bytes()), Ok(3));
        let refused = scanner.take(&bytes.as_bytes()[3..]).unwrap_err();
        assert!(refused == violation || refused == Violation::SpaceBeforeColon, "{section}: {refused}");
    }
}

#[test]
fn trailers_pass_as_a_whole_or_not_at_all() {
    let mut scanner = BodyScanner::new(Framing::Chunked);
    assert_eq!(scanner.take(b"0\r\nX: y\r\nContent-Length:").unwrap(), 3);
    assert_eq!(scanner.take(b"X: y\r\nContent-Length: 5"), Ok(0));
    assert_eq!(scanner.take(b"X: y\r\nContent-Length: 5\r\n"), Err(Violation::Trailer));
    assert_eq!(scanner.take(b""), Err(Violation::Trailer), "a refused message stays refused");
}

#[test]
fn chunk_framing_is_bounded() {
    let body = |body: &str| check(Framing::Chunked, body).2;
    let extensions = |bytes: usize| body(&format!("1;{}\r\nx\r\n0;e\r\n\r\n", "e".repeat(bytes - 1)));
    assert_eq!(extensions(CHUNK_EXTENSIONS_BYTES_MAX), Ok(true));
    assert_eq!(extensions(CHUNK_EXTENSIONS_BYTES_MAX + 1), Err(Violation::ChunkExtensionsTooLarge));
    let digits = |digits: usize| body(&format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(digits - 1)));
    assert_eq!(digits(CHUNK_DIGITS_MAX), Ok(true));
    assert_eq!(digits(CHUNK_DIGITS_MAX + 1), Err(Violation::ChunkSize));
    let value = TRAILERS_BYTES_MAX - "X: \r\n\r\n".len();
    let trailers = |value: usize| body(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(value)));
    assert_eq!(trailers(value), Ok(true));
    assert_eq!(trailers(value + 1), Err(Violation::HeadTooLarge));
    let fields = |count: usize| body(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(count)));
    assert_eq!(fields(TRAILERS_MAX), Ok(true));
    assert_eq!(fields(TRAILERS_MAX + 1), Err(Violation::TooManyFields));
    let dropped = format!("0\r\n{}X: y\r\n\r\n", "Age: y\r\n".repeat(TRAILERS_MAX));
    assert_eq!(body(&dropped), Err(Violation::TooManyFields));
    assert_eq!(check(Framing::Chunked, "FFFFFFFFFFFFFFFF\r\nx"), (19, 1, Ok(false)));
}

#[test]
fn a_closed_connection_ends_only_content_without_length() {
    for (framing, sent, end) in [
        (Framing::Empty, "", Ok(())),
        (Framing::UntilClose, "", Ok(())),
        (Framing::UntilClose, "abc", Ok(())),
        (Framing::Tunnel, "abc", Ok(())),
        (Framing::Length(3), "abc", Ok(())),
        (Framing::Length(3), "ab", Err(Violation::Truncated)),
        (Framing::Length(3), "", Err(Violation::Truncated)),
        (Framing::Chunked, "", Err(Violation::Truncated)),
        (Framing::Chunked, "0\r\n", Err(Violation::Truncated)),
        (Framing::Chunked, "0\r\nX: y\r\n", Err(Violation::Truncated)),
        (Framing::Chunked, "0\r\n\r\n", Ok(())),
    ] {
        let mut scanner = BodyScanner::new(framing);
        scanner.take(sent.as_bytes()).unwrap();
        assert_eq!(scanner.close(), end, "{framing:?} {sent:?}");
        assert_eq!(scanner.has_ended(), end.is_ok());
    }
}

#[test]
fn pieces_are_data_framing_and_trailers() {
    let mut scanner = BodyScanner::new(Framing::Chunked);
    let bytes = b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-Sum: 5\r\nx-sum: 6\r\n\r\nnext";
    let mut at = 0;
    let mut pieces = Vec::new();
    let mut data = Vec::new();
    assert!(scanner.trailers(bytes).is_none());
    while let Some(piece) = scanner.next(&bytes[at..]).unwrap() {
        if let Piece::Content(len) = piece {
            data.extend_from_slice(&bytes[at..at + len]);
        }
        if let Piece::Trailers(_) = piece {
            let values: Vec<_> = scanner.trailers(&bytes[at..]).unwrap().named(b"X-SUM").collect();
            assert_eq!(values, [b"5", b"6"]);
        }
        pieces.push(piece);
        at += piece.len();
    }
    let framing = Piece::Framing;
    let content = Piece::Content;
    assert_eq!(pieces, [framing(3), content(3), framing(7), content(2), framing(5), Piece::Trailers(22)]);
    assert_eq!((&data[..], &bytes[at..]), (&b"abcde"[..], &b"next"[..]));
}
