//! The addresses and sizes of routes.

use super::*;
use crate::snapshot::RoutePolicy;

fn file(keys: &str) -> String {
    format!("upstreams: [{{name: u, backends: [{{url: http://h}}]}}]\nroutes: [{{path: /a, {keys}}}]\n")
}

fn policy(keys: &str) -> RoutePolicy {
    (*snapshot(&file(keys)).traffic.router.routes()[0].policy).clone()
}

#[test]
fn bounds_of_routes_are_read() {
    let policy =
        policy("upstreams: u, sizes: {body: 64B}, addresses: {allow: [10.0.0.0/8], deny: [10.0.0.1, cloudflare]}");
    assert_eq!(policy.body_bytes_max, Some(64));
    let addresses = policy.addresses.unwrap();
    assert_eq!((addresses.allow.len(), addresses.deny.len()), (1, 23));
    assert!(addresses.accepts("10.0.0.2".parse().unwrap()) && !addresses.accepts("10.0.0.1".parse().unwrap()));
}

#[test]
fn invalid_bounds_of_routes_are_reported() {
    for (keys, codes) in [
        ("respond: {}, addresses: {}", "missing"),
        ("respond: {}, addresses: {allow: []}", "bad_value"),
        ("respond: {}, addresses: {deny: [nowhere]}", "bad_value"),
        ("respond: {}, addresses: {deny: [0.0.0.0/0]}", "bad_value"),
        ("respond: {}, sizes: {body: 1KiB}", "bad_value"),
        ("upstreams: u, sizes: {body: 0B}", "bad_value"),
        ("upstreams: u, sizes: {headers: 1KiB}", "unknown_key"),
    ] {
        let error = read_text(&file(keys)).map(|_| ()).expect_err(keys);
        let found: Vec<_> = error.problems.iter().map(|problem| problem.code.name()).collect();
        assert_eq!(found.join(" "), codes, "{keys}\n{error}");
    }
}
