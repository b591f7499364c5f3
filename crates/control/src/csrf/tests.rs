use http::HeaderValue;

use super::*;

const HOST: (&str, &str) = ("host", "tollgate.example.com:8787");

fn judged(lines: &[(&'static str, &str)], over_tls: bool) -> Sender {
    let allowed = ["https://app.example.com".to_owned(), "http://localhost:3000".to_owned()];
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let pages = Pages { public: Some("https://gate.example.com/control"), allowed: &allowed, over_tls };
    sender(&headers, pages)
}

fn check(lines: &[(&'static str, &str)], expected: Sender) {
    assert_eq!(judged(lines, true), expected, "{lines:?}");
}

#[test]
fn what_the_browser_says_of_the_site_decides() {
    use Sender::{Foreign, Ours};
    for (site, expected) in [
        ("same-origin", Ours),
        ("none", Ours),
        ("same-site", Foreign),
        ("cross-site", Foreign),
        ("Same-Origin", Foreign),
        ("", Foreign),
        ("same-origin, cross-site", Foreign),
    ] {
        check(&[HOST, ("sec-fetch-site", site)], expected);
    }
    check(&[HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")], Foreign);
}

#[test]
fn another_origin_of_the_same_site_needs_to_be_ours_or_allowed() {
    use Sender::{Foreign, Ours};
    for (origin, expected) in [
        ("https://app.example.com", Ours),
        ("http://localhost:3000", Ours),
        ("https://tollgate.example.com:8787", Ours),
        ("https://gate.example.com", Ours),
        ("https://GATE.example.com:443", Ours),
        ("https://blog.example.com", Foreign),
        ("https://app.example.com:8443", Foreign),
        ("http://app.example.com", Foreign),
        ("null", Foreign),
        ("", Foreign),
    ] {
        check(&[HOST, ("sec-fetch-site", "same-site"), ("origin", origin)], expected);
        check(&[HOST, ("origin", origin)], expected);
    }
}

#[test]
fn another_site_is_ours_only_where_it_is_allowed() {
    use Sender::{Foreign, Ours};
    let cross = ("sec-fetch-site", "cross-site");
    check(&[HOST, cross, ("origin", "http://localhost:3000")], Ours);
    check(&[HOST, cross, ("origin", "https://evil.example")], Foreign);
    check(&[HOST, cross, ("origin", "https://tollgate.example.com:8787")], Foreign);
    check(&[HOST, cross], Foreign);
}

#[test]
fn a_site_that_is_no_word_is_not_made_good_by_an_origin() {
    check(&[HOST, ("sec-fetch-site", "x"), ("origin", "https://app.example.com")], Sender::Foreign);
}

#[test]
fn without_both_headers_nothing_is_said() {
    check(&[HOST], Sender::Unsaid);
    check(&[], Sender::Unsaid);
    check(&[HOST, ("referer", "https://tollgate.example.com:8787/")], Sender::Unsaid);
}

#[test]
fn what_resembles_an_origin_of_ours_is_not() {
    for origin in [
        "https://tollgate.example.com",
        "https://tollgate.example.com:8787.evil.example",
        "https://eviltollgate.example.com:8787",
        "https://user@tollgate.example.com:8787",
        "https://gate.example.com@evil.example",
        "https://gate.example.com.evil.example",
        "https:/gate.example.com",
        "gate.example.com",
        "file://",
        "chrome-extension://abcdef",
        "ftp://gate.example.com",
        "https://app.example.com, https://evil.example",
    ] {
        check(&[HOST, ("origin", origin)], Sender::Foreign);
    }
    let twice = [HOST, ("origin", "https://app.example.com"), ("origin", "https://evil.example")];
    check(&twice, Sender::Foreign);
}

#[test]
fn without_tls_a_page_is_ours_only_on_loopback() {
    let host = ("host", "localhost:8787");
    let lines = [host, ("origin", "http://localhost:8787")];
    assert_eq!(judged(&lines, false), Sender::Ours);
    assert_eq!(judged(&lines, true), Sender::Foreign);
    assert_eq!(judged(&[host, ("origin", "https://localhost:8787")], false), Sender::Ours);
    assert_eq!(judged(&[host, ("origin", "http://localhost:3001")], false), Sender::Foreign);
    assert_eq!(judged(&[("host", "[::1]:80"), ("origin", "http://[::1]")], false), Sender::Ours);
    assert_eq!(judged(&[("origin", "http://localhost:8787")], false), Sender::Foreign);
}

#[test]
fn only_what_changes_something_is_looked_at() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(is_safe(&method), "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
        assert!(!is_safe(&method.parse().unwrap()), "{method}");
    }
}
