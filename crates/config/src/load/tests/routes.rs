//! Upstreams with several backends, and routes with hosts.

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::{HostMatch, HostName};
use crate::{RouteRequest, WrittenParts};

#[test]
fn backends_and_hosts_are_read() {
    let snapshot = snapshot(
        "
upstreams:
  - name: users
    strategy: round_robin
    backends: [{url: 'http://127.0.0.1:9001', weight: 2}, {url: 'https://users.internal'}]
routes:
  - {path: /a, host: API.Example.com, upstreams: users}
  - {path: {prefix: /}, host: '*.example.com', upstreams: users}
",
    );
    let backends = snapshot.traffic.upstreams[0].backends();
    let shown: Vec<_> = backends.iter().map(|backend| (backend.origin.to_string(), backend.weight)).collect();
    assert_eq!(shown, [("http://127.0.0.1:9001".to_owned(), 2), ("https://users.internal".to_owned(), 1)]);
    let routes = snapshot.traffic.router.routes();
    let name = HostName::Exact("api.example.com".to_owned());
    assert_eq!(routes[0].matches.host, Some(HostMatch { name, port: None }));
    assert_eq!((&*routes[0].policy.name, &*routes[1].policy.name), ("api.example.com/a", "*.example.com/"));
}

#[test]
fn a_second_backend_with_the_same_url_names_both_lines() {
    check(
        "upstreams:\n  - name: u\n    backends:\n      - {url: http://h}\n      - {url: 'http://H:80/', weight: 2}\n",
        "
error[duplicate]: a second backend of the upstream has this URL
 --> t.yaml:5:15
  |
5 |       - {url: 'http://H:80/', weight: 2}
  |               ^^^^^^^^^^^^^^ expected another URL, or a higher `weight` of the first
  = the first is at t.yaml:4:15",
    );
    for weight in [0, 1_001] {
        let source = format!("upstreams: [{{name: u, backends: [{{url: http://h, weight: {weight}}}]}}]");
        check_codes(&source, &[("bad_value", 1, 58)]);
    }
    let many: String = (0..257).map(|number| format!("{{url: http://h{number}}}, ")).collect();
    let source = format!("upstreams: [{{name: u, backends: [{many}]}}]");
    let last = u32::try_from(source.rfind("{url").unwrap() + 1).unwrap();
    check_codes(&source, &[("bad_value", 1, last)]);
}

#[test]
fn an_equal_route_of_the_same_host_names_both_lines() {
    let upstream = "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes:\n";
    check(
        &format!(
            "{upstream}  - {{host: a.b, path: /x, upstreams: u}}\n  - {{host: c.b, path: /x, upstreams: u}}\n  - {{path: /x, upstreams: u}}\n  \
             - {{host: A.b, path: /x, upstreams: u}}\n"
        ),
        "
error[duplicate]: a second route takes this path and method
 --> t.yaml:6:23
  |
6 |   - {host: A.b, path: /x, upstreams: u}
  |                       ^^ expected another `host`, path, `headers` or `query`, or `methods` that the first does not take
  = the first is at t.yaml:3:23",
    );
    for host in ["a:0", "a:70000", "'a:'", "a:x", "'*'", "a..b", "'a.*'", "'[::1]'", "http://a", "a/b"] {
        check_codes(&format!("{upstream}  - {{host: {host}, path: /x, upstreams: u}}\n"), &[("bad_value", 3, 12)]);
    }
}

#[test]
fn websockets_to_h2c_are_refused() {
    let upstream =
        |keys: &str| format!("upstreams: [{{name: a, backends: [{{url: http://h}}]}}, {{name: u, {keys}}}]\n");
    check(
        &format!(
            "{}routes:\n  - {{upgrades: [websocket], path: /x, upstreams: u}}\n",
            upstream("backends: [{url: http://h}, {url: h2c://h}]")
        ),
        "
error[bad_value]: the upstream `u` speaks `h2c`, over which no WebSocket is opened
 --> t.yaml:3:17
  |
3 |   - {upgrades: [websocket], path: /x, upstreams: u}
  |                 ^^^^^^^^^ expected no `upgrades`, or only `http` and `https`",
    );
    let h2c = upstream("backends: [{url: h2c://h}]");
    let found = upstream("discover: {dns: 'h:1', scheme: h2c}");
    for (upstreams, names) in [(&found, "u"), (&h2c, "[{name: a, weight: 1}, {name: u, weight: 1}]")] {
        let source = |keys: &str, names: &str| format!("{upstreams}routes: [{{{keys}path: /x, upstreams: {names}}}]\n");
        check_codes(&source("upgrades: [websocket], ", names), &[("bad_value", 2, 22)]);
        snapshot(&source("", names));
        snapshot(&source("upgrades: [websocket], ", "a"));
    }
}

#[test]
fn changes_of_the_heads_of_one_upstreams_responses_are_refused_beside_a_cache() {
    let source = |keys: &str, response: &str| {
        format!(
            "upstreams: [{{name: u, backends: [{{url: http://h}}]}}]
routes:
  - {{{keys}path: /x, upstreams: [{{name: u, transformations: {{response: {{{response}}}}}}}]}}
"
        )
    };
    check(
        &source("cache: {}, ", "remove_headers: [X-A]"),
        "
error[bad_value]: stored responses of the route would lack `remove_headers` of `routes[0].upstreams[0].transformations.response`
 --> t.yaml:3:67
  |
3 |   - {cache: {}, path: /x, upstreams: [{name: u, transformations: {response: {remove_headers: [X-A]}}}]}
  |                                                                   ^^^^^^^^ expected `remove_headers` in `transformations` of the route, or no `cache`",
    );
    snapshot(&source("", "remove_headers: [X-A]"));
    snapshot(&source("cache: {}, ", "body: {remove: [/a]}"));
}

#[test]
fn ten_thousand_routes_load_quickly() {
    let mut source = "upstreams:\n".to_owned();
    for number in 0..1_000 {
        source += &format!("  - {{name: u{number}, backends: [{{url: 'http://10.0.0.1:{}'}}]}}\n", 1_000 + number);
    }
    source += "routes:\n";
    for number in 0..10_000 {
        let path = match number % 3 {
            0 => format!("{{prefix: /api/v1/service{number}}}"),
            1 => format!("'/api/v1/service{number}/users/{{id}}'"),
            _ => format!("/api/v1/service{number}, headers: {{X-Tenant: acme}}"),
        };
        source += &format!("  - {{path: {path}, upstreams: u{}}}\n", number % 1_000);
    }
    let clock = access::Clock::system();
    let begun = clock.mono();
    let environment = environment();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let snapshot = load_text("t.yaml", &source, sources).unwrap().snapshot;
    let took = clock.mono().since(begun);
    let requested = RouteRequest {
        method: "GET",
        host: b"",
        path: "/api/v1/service9999/x",
        listener: 0,
        parts: &WrittenParts::default(),
    };
    let crate::Match::Route(route) = snapshot.traffic.router.find(requested) else { panic!("no route") };
    assert_eq!(&*route.policy.name, "/api/v1/service9999");
    // An unoptimized build on a busy machine: a quadratic search would need minutes.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// A parameter or a rewrite could make `/health` another path: `GET /health` reached `/users/health/secrets`.
#[test]
fn health_checks_are_open_only_where_the_upstream_receives_their_path() {
    let rewrite = |path: &str| format!("transformations: {{request: {{rewrite: {{path: {path}}}}}}}");
    for (route, is_open) in [
        ("path: /health".to_owned(), true),
        ("path: {prefix: /}".to_owned(), true),
        ("path: {prefix: /health}".to_owned(), true),
        ("path: '/{user}'".to_owned(), false),
        (format!("path: '/{{user}}', {}", rewrite("'/users/{user}/secrets'")), false),
        ("path: '/{*rest}'".to_owned(), false),
        ("path: {regex: '^/h'}".to_owned(), false),
        (format!("path: {{prefix: /}}, {}", rewrite("{prefix: /admin}")), false),
        (format!("path: {{prefix: /}}, {}", rewrite("/admin")), false),
        (
            "path: {prefix: /}, upstreams: [{name: u, transformations: {request: {add_headers: {A: b}}}}]".to_owned(),
            true,
        ),
        (format!("path: {{prefix: /}}, upstreams: [{{name: u, {}}}]", rewrite("/admin")), false),
        (format!("path: {{prefix: /}}, upstreams: [v, {{name: u, {}}}]", rewrite("/admin")), false),
    ] {
        let upstreams = if route.contains("upstreams") { "" } else { ", upstreams: u" };
        let source = format!(
            "upstreams: [{{name: u, backends: [{{url: http://h}}]}}, {{name: v, backends: [{{url: http://i}}]}}]\n\
             routes: [{{{route}, upgrades: [websocket]{upstreams}}}]\n"
        );
        let traffic = snapshot(&source).traffic;
        let found = &traffic.router.routes()[0];
        let is_none = |method, path, is_upgrade: bool| {
            matches!(traffic.auth_of(found, method, path, || is_upgrade), crate::snapshot::Auth::None)
        };
        assert_eq!(is_none("GET", "/health", false), is_open, "{route}");
        assert!(!is_none("GET", "/health", true) && !is_none("POST", "/health", false), "{route}");
        assert!(!is_none("GET", "/health/x", false), "{route}");
    }
}
