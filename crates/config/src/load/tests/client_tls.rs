//! `tls` of connections that Tollgate opens to providers and to issuers of access tokens.

use std::sync::Arc;

use super::errors::check_codes;
use super::*;
use crate::running::RunningConfig;

const PROVIDER: &str = "providers: [{name: p, kind: openai, base_url: 'https://h/v1', credential: sk-provider, ";
const JWT: &str = "auth: [{name: a, type: jwt, algorithms: [RS256], ";

#[test]
fn tls_of_a_provider_is_read_and_its_name_is_kept() {
    let provider = &snapshot(&format!("{PROVIDER}tls: {{server_name: llm.internal}}}}]")).traffic.providers[0];
    let tls = provider.tls.as_ref().unwrap();
    assert_eq!(tls.settings().server_name.as_deref(), Some("llm.internal"));
    assert!(snapshot(&format!("{PROVIDER}}}]").replace(", }", "}")).traffic.providers[0].tls.is_none());
}

#[test]
fn files_that_cannot_be_used_are_errors_of_a_start_at_their_place() {
    let mail = "mail:\n  smtp: smtps://h\n  from: a@b.example\n  ca: /none/ca.pem\n";
    let provider = "providers:\n- name: p\n  kind: openai\n  credential: sk-provider\n  tls: ";
    for (source, key, line, column) in [
        (format!("{provider}\n    ca: /none/ca.pem\n"), "providers[0].tls.ca", 6, 9),
        (format!("{provider}{{cert: /none/me.pem, key: /none/me.key}}\n"), "providers[0].tls.cert", 5, 15),
        (format!("{JWT}\n  jwks: 'https://h/keys',\n  tls: {{ca: /none/ca.pem}}}}]\n"), "auth[0].tls.ca", 3, 13),
        (format!("{JWT}\n  issuer: 'https://h',\n  tls: {{ca: /none/ca.pem}}}}]\n"), "auth[0].tls.ca", 3, 13),
        ("billing:\n  enabled: true\n  webhooks_ca: /none/ca.pem\n".to_owned(), "billing.webhooks_ca", 3, 16),
        (format!("billing: {{enabled: true}}\n{mail}"), "mail.ca", 5, 7),
    ] {
        let error = read_text(&source).unwrap().for_server().unwrap_err();
        let [problem] = &error.problems[..] else { panic!("{error}") };
        let place = problem.place.unwrap();
        assert_eq!((problem.code.name(), place.line, place.column), ("file", line, column), "{error}");
        assert!(problem.message.contains(&format!("`{key}`")), "{error}");
    }
    check_codes(&format!("{provider}{{cert: me.pem}}\n"), &[("missing", 5, 3)]);
}

#[test]
fn tls_without_an_effect_is_an_error() {
    for source in [
        PROVIDER.replace("https:", "http:") + "\n  tls: {server_name: h}}]",
        PROVIDER.replace("https:", "h2c:") + "\n  tls: {server_name: h}}]",
        "providers: [{name: mock, kind: mock,\n  tls: {server_name: h}}]".to_owned(),
        format!("{JWT}jwks: 'http://127.0.0.1/keys',\n  tls: {{server_name: h}}}}]"),
        format!("{JWT}issuer: 'http://127.0.0.1/',\n  tls: {{server_name: h}}}}]"),
    ] {
        check_codes(&source, &[("bad_value", 2, 3)]);
    }
    let secret = "0123456789abcdef0123456789abcdef";
    check_codes(
        &format!("auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {secret},\n  tls: {{server_name: x}}}}]"),
        &[("bad_value", 2, 3)],
    );
    check_codes(
        "auth: [{name: a, type: key, keys: [{name: k, value: a-key-of-a-partner}],\n  tls: {server_name: x}}]",
        &[("bad_value", 1, 8)],
    );
}

#[test]
fn the_mock_replaces_a_provider_whose_files_are_missing() {
    let traffic = snapshot(&format!("mock: true\n{PROVIDER}tls: {{ca: /none/ca.pem}}}}]")).traffic;
    assert!(traffic.mock.forced && traffic.providers.is_empty());
}

#[test]
fn billing_that_is_off_needs_no_files() {
    let source = "billing: {webhooks_ca: /none/ca.pem}\nmail: {smtp: smtps://h, from: a@b.example, ca: /none/ca.pem}";
    assert!(read_text(source).unwrap().for_server().is_ok());
}

#[test]
fn a_provider_that_is_off_needs_no_files() {
    let source = "providers: [{name: p, kind: openai, credential: '', tls: {ca: /none/ca.pem}}]";
    assert!(snapshot(source).traffic.providers.is_empty());
}

#[test]
fn issuers_with_other_tls_are_other_sources() {
    let source = "auth:
  - {name: a, type: jwt, algorithms: [RS256], jwks: 'https://h/keys'}
  - {name: b, type: jwt, algorithms: [RS256], jwks: 'https://h/keys', tls: {server_name: x}}
  - {name: c, type: jwt, algorithms: [RS256], jwks: 'https://h/keys', tls: {server_name: x}}
";
    let issuers = snapshot(source).traffic.issuers;
    let names: Vec<_> = issuers.iter().map(|issuer| issuer.tls.as_ref().and_then(|tls| tls.server_name())).collect();
    assert_eq!((names.len(), names[0].is_none(), names[1].is_some()), (2, true, true));
    assert!(issuers[0].source != issuers[1].source);
}

#[test]
fn a_reload_keeps_the_tls_of_providers_and_issuers() {
    let source =
        format!("{PROVIDER}tls: {{server_name: a}}}}]\n{JWT}jwks: 'https://h/keys', tls: {{server_name: b}}}}]\n");
    let old = read_text(&source).unwrap();
    let running = RunningConfig {
        settings: old.settings(),
        snapshot: &old.snapshot,
        has_mock: false,
        started_with: old.settings(),
    };
    let kept = running.upstream_tls();
    assert_eq!(kept.len(), 2);
    let environment = environment();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let text = crate::running::ConfigText { name: "t.yaml", text: &source, posted: None };
    let new = load_in_place_of(Some(&running), text, sources).unwrap();
    let tls = |traffic: &Traffic| -> Vec<_> { traffic.tls().map(Arc::as_ptr).collect() };
    assert_eq!(tls(&old.snapshot.traffic), tls(&new.snapshot.traffic));
}
