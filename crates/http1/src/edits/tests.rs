use super::*;
use crate::{AnnouncedContent, HeadLimits, RequestParser, write_fields};

const FIELDS: &str = "Host: a\r\nX-A: 1\r\nCookie: c\r\nx-a: 2\r\nX-B: 3\r\nX_Api_Key: k\r\nAccept: */*\r\n";

/// The fields that are written from [`FIELDS`].
#[track_caller]
fn written(edit: impl FnOnce(&mut HeadEdits)) -> String {
    let mut edits = HeadEdits::for_forwarding();
    edit(&mut edits);
    written_from(FIELDS, &edits, AnnouncedContent::Nothing)
}

#[track_caller]
fn written_from(fields: &str, edits: &HeadEdits, announced: AnnouncedContent) -> String {
    let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let head = RequestParser::new(HeadLimits::default()).parse(bytes.as_bytes()).unwrap().unwrap();
    let mut out = Vec::new();
    write_fields(&mut out, head.over(bytes.as_bytes()).fields(), edits, announced);
    String::from_utf8(out).unwrap().strip_suffix("\r\n").unwrap().to_owned()
}

#[test]
fn a_head_without_edits_passes_unchanged() {
    assert_eq!(written(|_| {}), FIELDS);
}

#[test]
fn removed_names_are_not_written_in_any_case() {
    assert_eq!(
        written(|edits| {
            edits.remove(KnownName::Cookie);
            edits.remove_named(b"X-a").unwrap();
            edits.remove_named(b"HOST").unwrap();
        }),
        "X-B: 3\r\nX_Api_Key: k\r\nAccept: */*\r\n"
    );
    // A name that is a prefix or a suffix of another is another name.
    assert_eq!(written(|edits| edits.remove_named(b"X-").unwrap()), FIELDS);
    assert_eq!(written(|edits| edits.remove_named(b"A").unwrap()), FIELDS);
}

#[test]
fn removing_a_known_name_removes_its_spelling_with_underscores() {
    assert!(!written(|edits| edits.remove(KnownName::XApiKey)).contains("X_Api_Key"));
    let edits = |name| {
        let mut edits = HeadEdits::for_forwarding();
        edits.remove(name);
        edits
    };
    let spoofed = "Host: a\r\nX_Forwarded_For: 1\r\nX_Real-Ip: 2\r\nX-Forwarded-Secret: 3\r\n";
    let left = written_from(spoofed, &edits(KnownName::XForwardedFor), AnnouncedContent::Nothing);
    assert_eq!(left, "Host: a\r\nX_Real-Ip: 2\r\nX-Forwarded-Secret: 3\r\n");
    let left = written_from(spoofed, &edits(KnownName::XForwardedOther), AnnouncedContent::Nothing);
    assert_eq!(left, "Host: a\r\nX_Forwarded_For: 1\r\nX_Real-Ip: 2\r\n");
}

#[test]
fn set_fields_replace_received_and_added_ones() {
    assert_eq!(
        written(|edits| {
            edits.append(KnownName::Host, b"old").unwrap();
            edits.set(KnownName::Host, b"b").unwrap();
            edits.set_named(b"x-b", b"4").unwrap();
            edits.set_named(b"X-B", b"5").unwrap();
            edits.append_named(b"x-a", b"6").unwrap();
        }),
        "X-A: 1\r\nCookie: c\r\nx-a: 2\r\nX_Api_Key: k\r\nAccept: */*\r\nhost: b\r\nX-B: 5\r\nx-a: 6\r\n"
    );
}

#[test]
fn edits_apply_in_order() {
    let edit = |edits: &mut HeadEdits| {
        edits.append_named(b"X-B", b"4").unwrap();
        edits.append(KnownName::Cookie, b"d").unwrap();
        edits.remove_named(b"x-b").unwrap();
        edits.remove(KnownName::Cookie);
        edits.append(KnownName::Cookie, b"e").unwrap();
    };
    let expected = "Host: a\r\nX-A: 1\r\nx-a: 2\r\nX_Api_Key: k\r\nAccept: */*\r\ncookie: e\r\n";
    assert_eq!(written(edit), expected);
    // The same edits in two sets.
    assert_eq!(
        written(|edits| {
            edits.append_named(b"X-B", b"4").unwrap();
            edits.append(KnownName::Cookie, b"d").unwrap();
            let mut later = HeadEdits::for_forwarding();
            later.remove_named(b"x-b").unwrap();
            later.remove(KnownName::Cookie);
            later.append(KnownName::Cookie, b"e").unwrap();
            edits.append_all(&later).unwrap();
        }),
        expected
    );
}

/// The same head as [`written`], from the fields that remain and those that are added.
#[track_caller]
fn listed(edits: &HeadEdits) -> String {
    let bytes = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
    let head = RequestParser::new(HeadLimits::default()).parse(bytes.as_bytes()).unwrap().unwrap();
    let fields = head.over(bytes.as_bytes()).fields();
    let line = |field: Field<'_>| {
        assert_eq!(field.known, KnownName::find(field.name));
        format!("{}: {}\r\n", field.name.escape_ascii(), field.value.escape_ascii())
    };
    edits.kept(fields).chain(edits.added()).map(line).collect()
}

#[test]
fn kept_and_added_fields_are_those_that_are_written() {
    let check = |edit: &dyn Fn(&mut HeadEdits)| {
        let mut edits = HeadEdits::for_forwarding();
        edit(&mut edits);
        assert_eq!(listed(&edits), written_from(FIELDS, &edits, AnnouncedContent::Nothing));
    };
    check(&|_| {});
    check(&|edits| {
        edits.remove(KnownName::Cookie);
        edits.remove_named(b"x-b").unwrap();
        edits.set(KnownName::Host, b"b: c:d").unwrap();
        edits.append(KnownName::Accept, b"").unwrap();
        edits.append_named(b"X-New", b":").unwrap();
        edits.append_parts(KnownName::Authorization, &[b"Bearer ", b"k"]).unwrap();
    });
}

#[test]
fn fields_are_removed_by_number_however_many_they_are() {
    let fields: String = (0..254).map(|number| format!("X-{number}: 1\r\n")).collect();
    let bytes = format!("GET / HTTP/1.0\r\n{fields}\r\n");
    let mut parser = RequestParser::new(HeadLimits::new(64 * 1024, 1024, 254));
    let head = parser.parse(bytes.as_bytes()).unwrap().unwrap();
    let fields = head.over(bytes.as_bytes()).fields();
    let mut edits = HeadEdits::for_forwarding();
    edits.remove_fields(fields, |field| !matches!(field.name, b"X-0" | b"X-64" | b"X-253"));
    let mut out = Vec::new();
    write_fields(&mut out, fields, &edits, AnnouncedContent::Nothing);
    assert_eq!(out, b"X-0: 1\r\nX-64: 1\r\nX-253: 1\r\n\r\n");
    // Joined and copied edits remove the same fields; cleared ones remove none.
    let mut joined = HeadEdits::for_forwarding();
    joined.append_all(&edits).unwrap();
    assert_eq!(joined.clone_with_room(9, b"x: y".to_vec()).kept(fields).count(), 3);
    edits.clear();
    assert_eq!(edits.kept(fields).count(), 254);
}

#[test]
fn a_copy_has_the_same_edits() {
    let mut edits = HeadEdits::for_forwarding();
    edits.set_named(b"x-b", b"4").unwrap();
    edits.remove(KnownName::Cookie);
    let mut copy = edits.clone_with_room(64, Vec::new());
    assert_eq!(listed(&copy), listed(&edits));
    copy.append(KnownName::Cookie, b"d").unwrap();
    assert_eq!(listed(&copy), listed(&edits) + "cookie: d\r\n");
}

#[test]
fn values_are_not_printed() {
    let mut edits = HeadEdits::for_forwarding();
    edits.remove(KnownName::Cookie);
    edits.remove_named(b"x-b").unwrap();
    edits.set(KnownName::Authorization, b"secret").unwrap();
    let printed = format!("{edits:?}");
    assert!(printed.contains("Cookie") && printed.contains("x-b") && printed.contains("authorization"), "{printed}");
    assert!(!printed.contains("secret") && !printed.contains("115, 101"), "{printed}");
}

#[test]
fn names_after_x_forwarded_are_removed_one_by_one_or_all() {
    let received = "Host: a\r\nX-Forwarded-Foo: 1\r\nX-Forwarded-Bar: 2\r\n";
    let mut edits = HeadEdits::for_forwarding();
    edits.set_named(b"x-forwarded-foo", b"3").unwrap();
    let expected = "Host: a\r\nX-Forwarded-Bar: 2\r\nx-forwarded-foo: 3\r\n";
    assert_eq!(written_from(received, &edits, AnnouncedContent::Nothing), expected);
    edits.remove(KnownName::XForwardedOther);
    assert_eq!(written_from(received, &edits, AnnouncedContent::Nothing), "Host: a\r\n");
    assert_eq!(edits.append_named(b"X-Forwarded-", b""), Err(InvalidPart::Name));
}

#[test]
fn removing_a_known_name_removes_an_added_spelling_with_underscores() {
    let mut edits = HeadEdits::for_forwarding();
    edits.append_named(b"X_Api_Key", b"1").unwrap();
    edits.append(KnownName::XApiKey, b"2").unwrap();
    edits.append_named(b"x-api-keys", b"3").unwrap();
    edits.remove(KnownName::XApiKey);
    assert_eq!(edits.lines(), b"x-api-keys: 3\r\n");
}

#[test]
fn joined_edits_remove_and_keep_what_the_later_ones_do() {
    let received = "Host: a\r\nTE: trailers\r\nTrailer: X\r\nCookie: c\r\n";
    let mut edits = HeadEdits::for_forwarding();
    let mut later = HeadEdits::for_forwarding();
    edits.keep(KnownName::Te);
    edits.remove(KnownName::Cookie);
    edits.set(KnownName::Connection, b"close").unwrap();
    later.keep(KnownName::Trailer);
    later.keep(KnownName::Cookie);
    later.remove(KnownName::Connection);
    edits.append_all(&later).unwrap();
    assert_eq!(written_from(received, &edits, AnnouncedContent::Nothing), received);
    let mut last = HeadEdits::for_forwarding();
    last.remove(KnownName::Te);
    edits.append_all(&last).unwrap();
    assert_eq!(written_from(received, &edits, AnnouncedContent::Nothing), "Host: a\r\nTrailer: X\r\nCookie: c\r\n");
}

#[test]
fn joined_edits_keep_the_options_of_the_connection_that_were_set() {
    let mut edits = HeadEdits::for_forwarding();
    edits.set(KnownName::Connection, b"close").unwrap();
    edits.append_all(&HeadEdits::for_forwarding()).unwrap();
    assert_eq!(edits.lines(), b"connection: close\r\n");
}

#[test]
fn cleared_edits_are_those_of_a_forwarded_head() {
    assert_eq!(
        written(|edits| {
            edits.set_named(b"x-b", b"4").unwrap();
            edits.remove(KnownName::Host);
            edits.clear();
        }),
        FIELDS
    );
}

#[test]
fn fields_of_the_connection_are_removed_with_those_that_it_names() {
    let received = "Host: a\r\nConnection: keep-alive, X-Secret , close,,TE\r\nKeep-Alive: timeout=5\r\nX-Secret: 1\r\n\
        x-secret: 2\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\nProxy-Authorization: p\r\nHTTP2-Settings: x\r\n\
        Proxy-Connection: close\r\nX-Secrets: 3\r\n";
    assert_eq!(
        written_from(received, &HeadEdits::for_forwarding(), AnnouncedContent::Nothing),
        "Host: a\r\nX-Secrets: 3\r\n"
    );
    let mut edits = HeadEdits::for_forwarding();
    edits.keep(KnownName::Trailer);
    edits.set(KnownName::Te, b"trailers").unwrap();
    assert_eq!(
        written_from(received, &edits, AnnouncedContent::Nothing),
        "Host: a\r\nTrailer: X\r\nX-Secrets: 3\r\nte: trailers\r\n"
    );
}

#[test]
fn connection_cannot_remove_host_and_framing() {
    let received =
        "Host: a\r\nConnection: host, content-length, authorization\r\nContent-Length: 5\r\nAuthorization: b\r\n";
    assert_eq!(
        written_from(received, &HeadEdits::for_forwarding(), AnnouncedContent::Length(5)),
        "Host: a\r\ncontent-length: 5\r\n"
    );
}

#[test]
fn framing_is_written_once_and_by_the_writer_alone() {
    let mut edits = HeadEdits::for_forwarding();
    edits.keep(KnownName::TransferEncoding);
    for name in ["content-length", "Transfer-Encoding", "Content_Length", "transfer_encoding"] {
        assert_eq!(edits.set_named(name.as_bytes(), b"1"), Err(InvalidPart::Name), "{name}");
        assert_eq!(edits.append_named(name.as_bytes(), b"1"), Err(InvalidPart::Name), "{name}");
    }
    assert_eq!(edits.set(KnownName::ContentLength, b"1"), Err(InvalidPart::Name));
    let received = "Host: a\r\nTransfer-Encoding:\tChunked \r\n";
    let chunked = written_from(received, &edits, AnnouncedContent::Chunked);
    assert_eq!(chunked, "Host: a\r\ntransfer-encoding: chunked\r\n");
    assert_eq!(written_from(received, &edits, AnnouncedContent::Length(7)), "Host: a\r\ncontent-length: 7\r\n");
    assert_eq!(written_from(received, &edits, AnnouncedContent::Nothing), "Host: a\r\n");
}

#[test]
fn nothing_that_is_added_can_end_a_line() {
    let mut edits = HeadEdits::for_forwarding();
    for value in ["a\r\nb: c", "a\nb", "a\r", "\0", "\x7f"] {
        assert_eq!(edits.set(KnownName::Host, value.as_bytes()), Err(InvalidPart::Value), "{value:?}");
        assert_eq!(edits.append_named(b"x", value.as_bytes()), Err(InvalidPart::Value), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}", "x-forwarded-"] {
        assert_eq!(edits.set_named(name.as_bytes(), b""), Err(InvalidPart::Name), "{name:?}");
        assert_eq!(edits.append_named(name.as_bytes(), b""), Err(InvalidPart::Name), "{name:?}");
    }
    assert_eq!(edits.set(KnownName::XForwardedOther, b""), Err(InvalidPart::Name));
    assert_eq!(edits.append_parts(KnownName::Host, &[b"a", b"\r\nb: c"]), Err(InvalidPart::Value));
    assert!(edits.lines().is_empty());
    assert_eq!(written_from(FIELDS, &edits, AnnouncedContent::Nothing), FIELDS, "a refused edit changes nothing");
}

#[test]
fn edited_names_are_bounded() {
    let mut edits = HeadEdits::for_forwarding();
    for number in 0..EDITED_NAMES_MAX {
        edits.set_named(format!("x-{number}").as_bytes(), b"").unwrap();
        edits.set_named(format!("X-{number}").as_bytes(), b"").unwrap();
    }
    assert_eq!(edits.remove_named(b"x-more"), Err(InvalidPart::TooMany));
}
