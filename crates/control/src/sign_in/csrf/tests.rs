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
fn sec_fetch_site_decides() {
    use Sender::{Foreign, Trusted};
    for (site, expected) in [
        ("same-origin", Trusted),
        ("none", Trusted),
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
fn another_origin_of_the_same_site_must_be_tollgates_or_allowed() {
    use Sender::{Foreign, Trusted};
    for (origin, expected) in [
        ("https://app.example.com", Trusted),
        ("http://localhost:3000", Trusted),
        ("https://tollgate.example.com:8787", Trusted),
        ("https://gate.example.com", Trusted),
        ("https://GATE.example.com:443", Trusted),
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
fn another_site_is_accepted_only_if_it_is_allowed() {
    use Sender::{Foreign, Trusted};
    let cross = ("sec-fetch-site", "cross-site");
    check(&[HOST, cross, ("origin", "http://localhost:3000")], Trusted);
    check(&[HOST, cross, ("origin", "https://evil.example")], Foreign);
    check(&[HOST, cross, ("origin", "https://tollgate.example.com:8787")], Foreign);
    check(&[HOST, cross], Foreign);
}

#[test]
fn a_site_that_is_no_word_is_not_made_good_by_an_origin() {
    check(&[HOST, ("sec-fetch-site", "x"), ("origin", "https://app.example.com")], Sender::Foreign);
}

#[test]
fn requests_without_both_headers_are_undecided() {
    check(&[HOST], Sender::Unknown);
    check(&[], Sender::Unknown);
    check(&[HOST, ("referer", "https://tollgate.example.com:8787/")], Sender::Unknown);
}

#[test]
fn similar_origins_are_refused() {
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
fn without_tls_only_loopback_pages_are_accepted() {
    let host = ("host", "localhost:8787");
    let lines = [host, ("origin", "http://localhost:8787")];
    assert_eq!(judged(&lines, false), Sender::Trusted);
    assert_eq!(judged(&lines, true), Sender::Foreign);
    assert_eq!(judged(&[host, ("origin", "https://localhost:8787")], false), Sender::Trusted);
    assert_eq!(judged(&[host, ("origin", "http://localhost:3001")], false), Sender::Foreign);
    assert_eq!(judged(&[("host", "[::1]:80"), ("origin", "http://[::1]")], false), Sender::Trusted);
    assert_eq!(judged(&[("origin", "http://localhost:8787")], false), Sender::Foreign);
}

#[test]
fn only_changing_methods_are_checked() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(is_safe(&method), "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
        assert!(!is_safe(&method.parse().unwrap()), "{method}");
    }
}
