use std::num::NonZeroU32;

use super::*;
use crate::snapshot::{Dimension, LimitSubject, WindowLimit};

fn limit(dimension: Dimension, whose: LimitSubject, limit: u32, window_s: u64) -> WindowLimit {
    WindowLimit { dimension, whose, limit: NonZeroU32::new(limit).unwrap(), window: Duration::from_secs(window_s) }
}

fn codes(source: &str) -> Vec<&'static str> {
    read_text(source).map(|_| ()).unwrap_err().problems.iter().map(|problem| problem.code.name()).collect()
}

const KEY: (Dimension, LimitSubject) = (Dimension::Key, LimitSubject::Everybodys);
const UNAUTHENTICATED: (Dimension, LimitSubject) = (Dimension::Address, LimitSubject::WithoutKey);
const SESSION: (Dimension, LimitSubject) = (Dimension::Address, LimitSubject::WithSession);

/// Returns the address, the maximum of connections and the seconds of a call.
fn bounds(source: &str) -> (String, u32, u64) {
    let control = snapshot(source).process.control;
    (control.listen.to_string(), control.connections.max, control.call_timeout.as_secs())
}

#[test]
fn keys_of_the_file_set_the_same_keys_of_control() {
    assert_eq!(bounds(""), ("127.0.0.1:8787".to_owned(), 1_024, 30));
    let names = "addr: 127.0.0.1:9\nmax_connections: 7\ntimeout_seconds: 20\n";
    let expected = ("127.0.0.1:9".to_owned(), 7, 20);
    assert_eq!(bounds(names), expected);
    let equal = "control: {listen: 127.0.0.1:9, connections: {max: 7}, timeout: 20s}\n";
    assert_eq!(bounds(&format!("{names}{equal}")), expected);
    for (key, control) in [
        ("addr: 127.0.0.1:9", "listen: 127.0.0.1:8"),
        ("max_connections: 7", "connections: {max: 8}"),
        ("timeout_seconds: 20", "timeout: 21s"),
    ] {
        let source = format!("{{{key}, control: {{{control}}}}}");
        let error = read_text(&source).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("error[duplicate]: `") && error.contains("have different values"), "{error}");
    }
    assert_eq!(codes("{addr: 9, max_connections: 0, timeout_seconds: 601}"), ["bad_value", "bad_value", "bad_value"]);
}

#[test]
fn keys_that_refer_to_an_unset_variable_leave_the_keys_of_control() {
    let names = "addr: ${ADDR:-}\nmax_connections: ${MAX_CONNECTIONS:-}\ntimeout_seconds: ${TIMEOUT_SECONDS:-}\n";
    assert_eq!(bounds(names), bounds(""));
    let control = "control: {listen: 127.0.0.1:9, connections: {max: 7}, timeout: 20s}\n";
    assert_eq!(bounds(&format!("{names}{control}")), bounds(control));
    let environment =
        Environment::from_variables([("ADDR", "127.0.0.1:9"), ("MAX_CONNECTIONS", "7"), ("TIMEOUT_SECONDS", "20")]);
    let read = read_with(names, &environment).unwrap().snapshot.process.control;
    let read = (read.listen.to_string(), read.connections.max, read.call_timeout.as_secs());
    assert_eq!(read, ("127.0.0.1:9".to_owned(), 7, 20));
}

#[test]
fn variables_take_precedence_over_both_names_of_a_key() {
    let read = |source: &str, variables: &[(&'static str, &'static str)]| {
        let environment = Environment::from_variables(variables.iter().copied());
        read_with(source, &environment).map(|loaded| loaded.snapshot.process.control.connections.max)
    };
    for source in ["max_connections: 7", "control: {connections: {max: 7}}"] {
        for name in ["MAX_CONNECTIONS", "TOLLGATE_MAX_CONNECTIONS", "TOLLGATE_CONTROL__CONNECTIONS__MAX"] {
            assert_eq!(read(source, &[(name, "9")]).unwrap(), 9, "{source} {name}");
        }
    }
    let both = [("TOLLGATE_MAX_CONNECTIONS", "9"), ("MAX_CONNECTIONS", "8")];
    assert!(read("", &both).is_err(), "two variables set different values");
}

#[test]
fn limits_of_control_take_the_place_of_the_default_of_their_kind() {
    let check = |source: &str, expected: &[((Dimension, LimitSubject), u32, u64)]| {
        let expected: Vec<WindowLimit> = expected
            .iter()
            .map(|((dimension, whose), calls, window_s)| limit(*dimension, *whose, *calls, *window_s))
            .collect();
        assert_eq!(snapshot(source).process.control.rate_limits, expected, "{source}");
    };
    let defaults = [(KEY, 100, 60), (UNAUTHENTICATED, 20, 60), (SESSION, 100, 60)];
    check("", &defaults);
    check("control: {rate_limits: }", &defaults);
    check("control: {rate_limits: []}", &[]);
    check(
        "control: {rate_limits: [{dimension: key, limit: 100, window: 60s}, {dimension: ip, limit: 20, window: 60s, without: key}]}",
        &defaults,
    );
    check(
        "control: {rate_limits: [{dimension: ip, limit: 7, window: 1h, with: session}]}",
        &[(SESSION, 7, 3_600), (KEY, 100, 60), (UNAUTHENTICATED, 20, 60)],
    );
    check(
        "control: {rate_limits: [{dimension: key, limit: 5, window: 1s}, {dimension: key, limit: 1000000, window: 1d}, {dimension: ip, limit: 9, window: 1m}]}",
        &[
            (KEY, 5, 1),
            (KEY, 1_000_000, 86_400),
            ((Dimension::Address, LimitSubject::Everybodys), 9, 60),
            (UNAUTHENTICATED, 20, 60),
            (SESSION, 100, 60),
        ],
    );
}

#[test]
fn the_proxys_limit_is_for_calls_without_a_key() {
    assert_eq!(snapshot("").traffic.unauthenticated, Some(limit(UNAUTHENTICATED.0, UNAUTHENTICATED.1, 100, 60)));
    assert_eq!(snapshot("rate_limits: []").traffic.unauthenticated, None);
    let own = snapshot("rate_limits: [{dimension: ip, limit: 30, window: 10s, without: key}]");
    assert_eq!(own.traffic.unauthenticated, Some(limit(UNAUTHENTICATED.0, UNAUTHENTICATED.1, 30, 10)));
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let control = |entry: &str| format!("control: {{rate_limits: [{entry}]}}");
    for (entry, code) in [
        ("{limit: 1, window: 1s}", "missing"),
        ("{dimension: key, window: 1s}", "missing"),
        ("{dimension: key, limit: 1}", "missing"),
        ("{dimension: key, limit: 0, window: 1s}", "bad_value"),
        ("{dimension: key, limit: 1000001, window: 1s}", "bad_value"),
        ("{dimension: key, limit: 1, window: 999ms}", "bad_value"),
        ("{dimension: key, limit: 1, window: 2d}", "bad_value"),
        ("{dimension: key, limit: 1, window: 1s, with: session}", "bad_value"),
        ("{dimension: key, limit: 1, window: 1s, without: key}", "bad_value"),
        ("{dimension: ip, limit: 1, window: 1s, without: key, with: session}", "bad_value"),
        ("{dimension: ip, limit: 1, window: 1s, without: session}", "bad_value"),
        ("{dimension: host, limit: 1, window: 1s}", "bad_value"),
        ("{dimension: user, limit: 1, window: 1s}", "not_yet"),
        ("{dimension: key, limit: 1, window: 1s, burst: 2}", "unknown_key"),
        ("{dimension: key, limit: 1, window: 1s}, {dimension: key, limit: 2, window: 1s}", "duplicate"),
        (
            "{dimension: key, limit: 1, window: 1s}, {dimension: key, limit: 2, window: 2s}, {dimension: key, limit: 3, window: 3s}",
            "duplicate",
        ),
    ] {
        assert_eq!(codes(&control(entry)), [code], "{entry}");
    }
    for (source, code) in [
        ("rate_limits: [{dimension: user, limit: 100, window: 60s, without: key}]", "bad_value"),
        (
            "rate_limits: [{dimension: ip, limit: 100, window: 60s, without: key, algorithm: sliding_window}]",
            "bad_value",
        ),
        ("rate_limits: [{dimension: ip, limit: 100, window: 60s, without: session}]", "bad_value"),
        (
            "rate_limits: [{dimension: ip, limit: 1, window: 1s, without: key}, {dimension: ip, limit: 1, window: 2s, without: key}]",
            "duplicate",
        ),
        ("rate_limits: {dimension: ip}", "wrong_type"),
    ] {
        assert_eq!(codes(source), [code], "{source}");
    }
}

#[test]
fn an_error_in_control_is_told_once() {
    assert_eq!(codes("control: {lisen: '127.0.0.1:1'}"), ["unknown_key"]);
    assert_eq!(codes("control: {listen: nowhere}"), ["bad_value"]);
}

#[test]
fn origins_are_exact() {
    let source = "control: {cors: {allowed_origins: ['http://localhost:3000', 'https://App.example.com/', 'https://app.example.com']}}";
    assert_eq!(snapshot(source).process.control.allowed_origins, ["http://localhost:3000", "https://app.example.com"]);
    assert!(snapshot("").process.control.allowed_origins.is_empty());
    for origin in
        ["'*'", "null-ish", "'https://*.example.com'", "'https://example.com/app'", "'https://u:p@example.com'"]
    {
        assert_eq!(codes(&format!("control: {{cors: {{allowed_origins: [{origin}]}}}}")), ["bad_value"], "{origin}");
    }
    let many: Vec<String> = (0..65).map(|nth| format!("'https://{nth}.example.com'")).collect();
    assert_eq!(codes(&format!("control: {{cors: {{allowed_origins: [{}]}}}}", many.join(","))), ["bad_value"]);
}

#[test]
fn trusted_proxies_are_networks_or_a_name() {
    let check = |source: &str, expected: &[&str]| {
        let networks: Vec<String> = snapshot(source).traffic.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(networks, expected, "{source}");
    };
    check("", &[]);
    check("trusted_proxies: []", &[]);
    check("trusted_proxies: 10.0.0.0/8", &["10.0.0.0/8"]);
    check(
        "trusted_proxies: [10.1.2.3/8, 192.0.2.1, '2001:db8::/32', '::ffff:198.51.100.7']",
        &["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "198.51.100.7/32"],
    );
    assert_eq!(snapshot("trusted_proxies: cloudflare").traffic.trusted_proxies.len(), 22);
    assert_eq!(snapshot("trusted_proxies: [cloudflare, 10.0.0.0/8]").traffic.trusted_proxies.len(), 23);
    for wrong in ["0.0.0.0/0", "'::/0'", "10.0.0.0/33", "proxy.example.com", "Cloudflare", "[[10.0.0.0/8]]"] {
        let expected = if wrong.starts_with('[') { "wrong_type" } else { "bad_value" };
        assert_eq!(codes(&format!("trusted_proxies: [{wrong}]")), [expected], "{wrong}");
    }
}

#[test]
fn redis_is_a_url_that_no_error_repeats() {
    assert!(snapshot("redis: ").process.redis.is_none() && snapshot("redis: ''").process.redis.is_none());
    assert_eq!(
        snapshot("redis: redis://:${SECRET:-x}@h/2").process.redis,
        Some(Secret::new("redis://:S3CRET value@h/2".to_owned()))
    );
    assert_eq!(snapshot("redis: rediss://h").process.redis, Some(Secret::new("rediss://h".to_owned())));
    let error = read_text("redis: http://user:hunter2@h").map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("error[bad_value]: `redis` has an invalid value"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let environment =
        Environment::from_variables([("REDIS_URL", "redis://h"), ("TOLLGATE_TRUSTED_PROXIES", "cloudflare")]);
    let loaded = read_with("redis: redis://other", &environment).unwrap().snapshot;
    assert_eq!(
        (loaded.process.redis, loaded.traffic.trusted_proxies.len()),
        (Some(Secret::new("redis://h".to_owned())), 22)
    );
}
