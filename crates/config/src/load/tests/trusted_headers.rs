//! Conditions and limits by headers that only trusted proxies may send: their sources, explanations and notes.

use super::*;
use crate::WrittenRequest;
use crate::snapshot::trusted_headers::FieldSource;

const ROUTES: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]
routes:
  - {name: admin, path: /a, headers: {X-Consumer-Groups: admin}, upstreams: u}
  - {name: holder, path: /a, headers: {X_SSL_Client_S_DN: {regex: '^CN='}}, upstreams: u}
  - {name: allowed, path: /a, headers: {Remote-User: ada}, allow_headers: [Remote-User], upstreams: u}
  - {name: secure, path: /a, headers: {X-Forwarded-Proto: https}, upstreams: u}
  - {name: other, path: /a, upstreams: u}
";
const TRUSTED: &str = "trusted_proxies: [10.0.0.0/8]\n";

#[test]
fn the_name_of_a_header_determines_the_source_of_its_values() {
    let allowed = ["remote-user", "x-ssl-client-s-dn", "x-real-ip"];
    for (name, expected) in [
        ("x-tenant", FieldSource::Client),
        ("remote-user", FieldSource::Client),
        ("remote-groups", FieldSource::TrustedProxy),
        ("x_consumer_id", FieldSource::TrustedProxy),
        ("x-real-ip", FieldSource::TrustedProxy),
        ("forwarded", FieldSource::TrustedProxy),
        ("x-forwarded-user", FieldSource::TrustedProxy),
        ("x_forwarded_for", FieldSource::TrustedProxy),
        ("x-forwarded-proto", FieldSource::Scheme),
        ("x-ssl-client-s-dn", FieldSource::Certificate),
        ("x_ssl_client_s_dn", FieldSource::Certificate),
        ("x-ssl-client-verify", FieldSource::TrustedProxy),
    ] {
        assert_eq!(FieldSource::from_name(name, allowed.into_iter()), expected, "{name}");
    }
}

#[test]
fn explanations_have_the_values_that_the_gateway_takes() {
    let explain = |proxies: &str, line: &str, field: Option<(&str, &str)>, address: Option<&str>| {
        let fields: Vec<_> = field.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let request = WrittenRequest::parse(line, &fields).unwrap();
        let request = request.with_address(address.map(|address| address.parse().unwrap()));
        snapshot(&format!("{proxies}{ROUTES}")).explain(&request)
    };
    let groups = Some(("X-Consumer-Groups", "admin"));
    let subject = Some(("X-SSL-Client-S-DN", "CN=root"));
    for (proxies, line, field, address, expected) in [
        ("", "/a", groups, None, "other"),
        (TRUSTED, "/a", groups, None, "admin"),
        (TRUSTED, "/a", groups, Some("10.1.2.3"), "admin"),
        (TRUSTED, "/a", groups, Some("192.0.2.1"), "other"),
        ("", "/a", subject, None, "other"),
        (TRUSTED, "/a", subject, None, "holder"),
        ("", "/a", Some(("Remote-User", "ada")), None, "allowed"),
        ("", "/a", Some(("X-Forwarded-Proto", "https")), None, "other"),
        ("", "https://h/a", None, None, "secure"),
    ] {
        let explained = explain(proxies, line, field, address);
        assert_eq!(explained.route.unwrap().name, expected, "{proxies} {line} {field:?} {address:?}");
    }
    let others = explain("", "/a", subject, None).others;
    let because: Vec<&str> = others.iter().map(|other| &*other.because).collect();
    assert!(because[0].ends_with("(only trusted proxies may send it)"), "{because:?}");
    assert!(because[1].ends_with("(the client's certificate, which explanations do not have)"), "{because:?}");
}

#[test]
fn conditions_by_headers_of_claims_and_services_have_no_values_of_clients() {
    const YAML: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]
auth: [{name: gate, type: forward, url: 'http://h/', headers_to_upstream: [X-Role]}]
routes:
  - {name: admin, path: /a, headers: {X-Role: admin}, upstreams: u}
  - {name: spelt, path: /a, headers: {X_Role: admin}, upstreams: u}
  - {name: allowed, path: /a, headers: {X-Role: tester}, allow_headers: [X-Role], upstreams: u}
  - {name: other, path: /a, upstreams: u}
";
    let explained = |text: &str, role: &str| {
        let request = WrittenRequest::parse("/a", &[("X-Role".to_owned(), role.to_owned())]).unwrap();
        snapshot(text).explain(&request).route.unwrap().name
    };
    assert_eq!([explained(YAML, "admin"), explained(YAML, "tester")], ["other", "allowed"]);
    assert_eq!(explained(&format!("{TRUSTED}{YAML}"), "admin"), "admin");
    let loaded = read_text(YAML).unwrap_or_else(|error| panic!("{error}"));
    let noted = loaded.notes.iter().filter(|note| matches!(note, Note::HeaderOfNobody { .. }));
    assert_eq!(noted.count(), 2);
}

#[test]
fn headers_that_nobody_may_send_are_noted() {
    let limits = "rate_limits: [{dimension: {header: X-Real-IP}, limit: 1, window: 1s}, \
                  {dimension: {header: Remote-User}, limit: 1, window: 1s}]\n";
    let noted = |proxies: &str| {
        let loaded = read_text(&format!("{proxies}{limits}{ROUTES}")).unwrap_or_else(|error| panic!("{error}"));
        let notes = loaded.notes.iter().filter(|note| matches!(note, Note::HeaderOfNobody { .. }));
        notes.map(Note::to_string).collect::<Vec<_>>()
    };
    let notes = noted("");
    assert_eq!(notes.len(), 2, "{notes:?}");
    let of_route = "t.yaml:4:5: the route admin reads the header x-consumer-groups, which has no value: only \
                    `trusted_proxies` may send it, and the list is empty";
    assert_eq!(notes[0], of_route);
    assert!(notes[1].contains("the rate limit ") && notes[1].contains(" reads the header x-real-ip, "), "{notes:?}");
    assert!(noted(TRUSTED).is_empty());
}

#[test]
fn a_path_with_parameters_of_another_gateway_is_noted() {
    for (path, meant) in [
        ("'/x/:id'", Some("/x/{id}")),
        ("{prefix: '/:tenant/files'}", Some("/{tenant}/files")),
        ("'/{id}/:part'", Some("/{id}/{part}")),
        ("/x/a:b", None),
        ("'/x/:'", None),
        ("{regex: '^/:id'}", None),
    ] {
        let source = format!("routes: [{{path: {path}, respond: {{body: a}}}}]");
        let loaded = read_text(&source).unwrap_or_else(|error| panic!("{error}"));
        let mut notes = loaded.notes.iter().filter(|note| matches!(note, Note::ColonInPath { .. }));
        let noted = notes.next().map(Note::to_string);
        assert_eq!(noted.is_some(), meant.is_some(), "{path} {noted:?}");
        assert!(meant.is_none_or(|meant| noted.unwrap().ends_with(&format!("did you mean {meant}?"))), "{path}");
    }
}
