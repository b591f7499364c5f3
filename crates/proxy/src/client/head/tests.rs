use super::*;

/// The head of a request with these fields.
pub(crate) fn head(line: &str, fields: &[(&str, &str)]) -> Head {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let bytes = Bytes::from(format!("{line} HTTP/1.0\r\n{fields}\r\n"));
    Head::new(bytes.clone(), parse(&bytes).unwrap())
}

/// The head of a GET request with these fields.
pub(crate) fn get(fields: &[(&str, &str)]) -> Head {
    head("GET /", fields)
}

#[test]
fn the_memory_of_a_head_serves_another_one_unless_it_is_in_use() {
    let heads = UnusedHeads::default();
    let first = Rc::new(get(&[("a", "1")]).with_keys(MovedKeys::default()));
    let user = first.clone();
    assert!(heads.give_back(first).is_none() && heads.0.borrow().is_empty());
    let address = Rc::as_ptr(&user);
    assert!(heads.give_back(user).is_some());
    assert!(heads.0.borrow()[0].bytes.is_empty() && heads.0.borrow()[0].keys.is_none());
    let bytes = Bytes::from_static(UNREADABLE);
    let second = heads.join(bytes.clone(), parse(&bytes).unwrap());
    assert_eq!((Rc::as_ptr(&second), second.method(), second.fields().len()), (address, "-", 0));
    assert!(heads.0.borrow().is_empty() && second.violation().is_none());
}

#[test]
fn a_query_is_escaped_and_nothing_else_changes() {
    for (line, query) in
        [("GET /a?q=\u{e9}&%C3%A9=/", Some("q=%C3%A9&%C3%A9=/")), ("GET http://h/a?\u{1f600}", Some("%F0%9F%98%80"))]
    {
        let raw = head(line, &[("host", "h"), ("x-name", "\u{e9}")]);
        assert!(raw.has_raw_query(), "{line}");
        let escaped = Head::with_escaped_query(&raw);
        assert_eq!((escaped.path(), escaped.query(), escaped.violation()), ("/a", query, None), "{line}");
        assert_eq!(escaped.fields().named(b"x-name").next(), Some("\u{e9}".as_bytes()));
        assert!(!escaped.has_raw_query() && escaped.host() == b"h");
    }
    let long = head(&format!("GET /?{}", "\u{e9}".repeat(20_000)), &[]);
    assert_eq!(Head::with_escaped_query(&long).violation(), Some(Violation::TargetTooLarge));
    assert!(!head("GET /a?b", &[]).has_raw_query());
}

#[test]
fn only_options_and_trace_have_a_bound_of_forwards() {
    let check = |line: &str, values: &[&str], expected: Option<u64>| {
        let fields: Vec<_> = values.iter().map(|value| ("Max-Forwards", *value)).collect();
        assert_eq!(head(line, &fields).max_forwards(), expected, "{line} {values:?}");
    };
    check("OPTIONS /", &["0"], Some(0));
    check("TRACE /", &["007"], Some(7));
    check("OPTIONS /", &["5", "3"], Some(3));
    check("OPTIONS /", &["99999999999999999999999"], Some(u64::MAX));
    for value in ["", "-1", "+1", "1.0", "x", "1, 2"] {
        check("OPTIONS /", &[value], None);
    }
    check("OPTIONS /", &[], None);
    check("GET /", &["0"], None);
    check("options /", &["0"], None);
}

#[test]
fn requests_about_the_server_have_no_path() {
    for (line, expected) in [
        ("OPTIONS *", true),
        ("OPTIONS http://h", true),
        ("OPTIONS http://h/", false),
        ("OPTIONS http://h?a", false),
        ("GET http://h", false),
        ("OPTIONS /", false),
        ("CONNECT h:1", false),
    ] {
        assert_eq!(head(line, &[]).is_about_server(), expected, "{line}");
    }
}

#[test]
fn slashes_are_merged_in_the_path_only() {
    for (line, path, query) in
        [("GET //a///b//?c=//d", "/a/b/", Some("c=//d")), ("GET http://h//a", "/a", None), ("GET /a/b", "/a/b", None)]
    {
        let merged = Head::with_merged_slashes(Rc::new(head(line, &[("host", "h"), ("x-url", "http://x//y")])));
        assert_eq!((merged.path(), merged.query(), merged.host()), (path, query, &b"h"[..]), "{line}");
        let fields: Vec<&[u8]> = merged.fields().iter().map(|field| field.value).collect();
        assert_eq!((fields, merged.violation()), (vec![&b"h"[..], b"http://x//y"], None), "{line}");
    }
}

#[test]
fn targets_have_a_path_in_every_form() {
    let check = |line: &str, path: &str, query: Option<&str>, path_and_query: [&str; 2]| {
        let head = head(line, &[]);
        let expected = path_and_query.map(str::as_bytes);
        assert_eq!((head.path(), head.query(), head.path_and_query()), (path, query, expected), "{line}");
    };
    check("GET /a?b=%2F", "/a", Some("b=%2F"), ["", "/a?b=%2F"]);
    check("GET /a?", "/a", Some(""), ["", "/a?"]);
    check("GET http://h/a?b", "/a", Some("b"), ["", "/a?b"]);
    check("GET http://h?b", "/", Some("b"), ["/", "?b"]);
    check("OPTIONS http://h", "/", None, ["/", ""]);
    check("OPTIONS *", "*", None, ["", "*"]);
    check("CONNECT h:1", "", None, ["", ""]);
    assert!(head("CONNECT h:1", &[]).is_connect() && !head("OPTIONS *", &[]).is_connect());
}

#[test]
fn methods_that_may_be_repeated_are_known() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert!(head(&format!("{method} /"), &[]).is_idempotent(), "{method}");
    }
    for method in ["POST", "PATCH", "get", "M-SEARCH"] {
        assert!(!head(&format!("{method} /"), &[]).is_idempotent(), "{method}");
    }
}

#[test]
fn refused_heads_keep_their_line_if_it_is_valid() {
    let check = |line: Option<(&str, &str)>, method: &str, path: &str| {
        let line = line.map(|(method, target)| (method.as_bytes(), target.as_bytes()));
        let head = Head::refused(line, Violation::TwoHosts);
        assert_eq!((head.method(), head.path(), head.violation()), (method, path, Some(Violation::TwoHosts)));
        assert!(head.fields().is_empty());
    };
    check(None, "-", "/");
    check(Some(("POST", "/a?b")), "POST", "/a");
    check(Some(("CONNECT", "h:1")), "CONNECT", "");
    for (method, target) in [("", "/"), ("G T", "/"), ("GET", ""), ("GET", "/ HTTP/1.1\r\nA: b"), ("GET", "*")] {
        check(Some((method, target)), "-", "/");
    }
}

#[test]
fn only_short_visible_correlation_ids_are_read() {
    let read = |value: &str| get(&[("X-Request-Id", value)]).correlation().map(str::to_owned);
    assert_eq!(read("abc-123").as_deref(), Some("abc-123"));
    assert_eq!(read(&"x".repeat(128)).map(|id| id.len()), Some(128));
    for value in ["with space", "", "\u{e9}", &"x".repeat(129)] {
        assert_eq!(read(value), None, "{value}");
    }
    assert_eq!(get(&[]).correlation(), None);
}

#[test]
fn a_call_of_grpc_may_have_a_time() {
    let check = |value: &str, expected: Option<Duration>| {
        assert_eq!(get(&[("grpc-timeout", value)]).grpc_timeout(), expected, "{value}");
    };
    check("1S", Some(Duration::from_secs(1)));
    check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
    check("250m", Some(Duration::from_millis(250)));
    check("5u", Some(Duration::from_micros(5)));
    check("0n", Some(Duration::ZERO));
    for invalid in ["", "S", "1", "1s", "-1S", "+1S", "100000000S", "1.5S", "1 S", "1S "] {
        check(invalid.trim_end(), if invalid == "1S " { Some(Duration::from_secs(1)) } else { None });
    }
    let is_grpc = |of: &str| head("POST /", &[("content-type", of)]).is_grpc();
    for of in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
        assert!(is_grpc(of), "{of}");
    }
    for of in ["application/grpc-web", "application/grpc-web+proto", "application/grp", "text/plain"] {
        assert!(!is_grpc(of), "{of}");
    }
}

#[test]
fn text_is_ascii() {
    assert_eq!((text(b"a\tb"), text(b""), text(b"\xc3\xa9"), text(b"\xff")), (Some("a\tb"), Some(""), None, None));
}
