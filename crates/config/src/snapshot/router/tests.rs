mod precedence;
mod reference;

use std::time::Duration;

use super::*;
use crate::snapshot::{
    Action, Backend, BuiltInPolicies, HostMatch, HostName, Origin, RouteMatches, RoutePolicy, Timeouts, Upstream,
    WrittenParts,
};

const NO_PARTS: &dyn RequestParts =
    &WrittenParts { query: None, fields: &[], is_of_trusted_proxy: false, certificate: None };

fn route(name: &str, path: PathMatch, methods: &[&str]) -> Arc<Route> {
    let origin = Origin::parse("http://127.0.0.1:9001").unwrap();
    let timeout = Duration::from_secs(1);
    let timeouts = Timeouts {
        connect: timeout,
        first_byte: timeout,
        idle: timeout,
        client_idle: timeout,
        total: Some(timeout),
        bounds_streams: false,
    };
    let built_in = BuiltInPolicies::new(timeouts, timeouts);
    Arc::new(Route {
        matches: RouteMatches {
            host: None,
            path,
            listeners: Box::default(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            conditions: None,
        },
        policy: Arc::new(RoutePolicy { name: name.into(), ..(*built_in.unmatched).clone() }),
        action: Action::Forward(Arc::new(Upstream::plain("u", vec![Backend { origin, weight: 1 }]))),
        rewrite: None,
        websocket: false,
        place: None,
        entry: 0,
    })
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn requested<'a>(method: &'a str, path: &'a str) -> RouteRequest<'a> {
    RouteRequest { method, host: b"", path, listener: 0, parts: NO_PARTS }
}

fn route_at_host(host: &str, route: &Route) -> Arc<Route> {
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port.parse().unwrap())));
    let name = match host.strip_prefix("*.") {
        Some(domain) => HostName::Below(domain.to_owned()),
        None => HostName::Exact(host.to_owned()),
    };
    let matches = RouteMatches { host: Some(HostMatch { name, port }), ..route.matches.clone() };
    Arc::new(Route { matches, ..route.clone() })
}

fn found(router: &Router, requested: RouteRequest<'_>) -> String {
    match router.find(requested) {
        Match::Route(route) => route.policy.name.to_string(),
        Match::WrongMethod { allow } => format!("allow {}", allow.join(",")),
        Match::Disputed { part: DisputedPart::Header(name) | DisputedPart::Parameter(name), .. } => {
            format!("disputed {name}")
        }
        Match::None => "none".to_owned(),
    }
}

fn check(router: &Router, cases: &[(&str, &str, &str)]) {
    for (method, path, expected) in cases {
        assert_eq!(found(router, requested(method, path)), *expected, "{method} {path}");
    }
}

#[test]
fn exact_paths_come_before_the_longest_prefix() {
    let router = Router::new(vec![
        route("root", prefix(""), &[]),
        route("api", prefix("/api"), &[]),
        route("api-users", prefix("/api/users/"), &[]),
        route("users", exact("/api/users"), &[]),
        route("slash", exact("/api/users/"), &[]),
    ]);
    check(
        &router,
        &[
            ("GET", "/api/users", "users"),
            ("GET", "/api/users/", "slash"),
            ("GET", "/api/users/1", "api-users"),
            ("GET", "/api/usersx", "api"),
            ("GET", "/api", "api"),
            ("GET", "/api/", "api"),
            ("GET", "/apix", "root"),
            ("GET", "/API", "root"),
            ("GET", "/", "root"),
            ("GET", "/é/x", "root"),
        ],
    );
    assert_eq!(router.routes().len(), 5);
}

#[test]
fn a_prefix_takes_whole_segments_only() {
    let router = Router::new(vec![route("é", prefix("/é"), &[]), route("x", exact("/x"), &[])]);
    let cases = [
        ("GET", "/é", "é"),
        ("GET", "/é/a", "é"),
        ("GET", "/éa", "none"),
        ("GET", "/ê", "none"),
        ("GET", "/aé", "none"),
    ];
    check(&router, &cases);
    check(&router, &[("GET", "/x/", "none"), ("GET", "", "none"), ("GET", "*", "none"), ("GET", "/", "none")]);
}

#[test]
fn a_method_that_no_route_takes_is_told_apart_from_an_unknown_path() {
    let router = Router::new(vec![
        route("read", exact("/users"), &["GET", "HEAD"]),
        route("write", exact("/users"), &["POST"]),
        route("below", prefix("/users"), &["DELETE", "GET"]),
    ]);
    check(
        &router,
        &[
            ("GET", "/users", "read"),
            ("POST", "/users", "write"),
            ("DELETE", "/users", "below"),
            ("PUT", "/users", "allow GET,HEAD,POST,DELETE"),
            ("get", "/users", "allow GET,HEAD,POST,DELETE"),
            ("PUT", "/users/1", "allow DELETE,GET,HEAD"),
            ("PUT", "/other", "none"),
        ],
    );
}

#[test]
fn get_includes_head_unless_another_route_of_the_path_lists_it() {
    let router = Router::new(vec![
        route("read", exact("/a"), &["GET"]),
        route("rest", exact("/a"), &[]),
        route("get", exact("/b"), &["GET", "POST"]),
        route("head", exact("/b"), &["HEAD"]),
        route("write", exact("/c"), &["POST"]),
        route("below", prefix("/"), &["HEAD"]),
    ]);
    check(
        &router,
        &[
            ("GET", "/a", "read"),
            ("HEAD", "/a", "read"),
            ("PUT", "/a", "rest"),
            ("GET", "/b", "get"),
            ("HEAD", "/b", "head"),
            ("HEAD", "/c", "below"),
            ("head", "/b", "allow GET,HEAD,POST"),
        ],
    );
}

#[test]
fn trace_is_refused_unless_a_route_lists_it() {
    let router = Router::new(vec![
        route("all", prefix(""), &[]),
        route("listed", exact("/a"), &["TRACE"]),
        route("other", exact("/b"), &["GET"]),
    ]);
    let all = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";
    let other = format!("allow {all}");
    let usual = format!("allow {all}");
    check(
        &router,
        &[
            ("TRACE", "/a", "listed"),
            ("TRACE", "/x", &usual),
            ("TRACE", "/b", &other),
            ("trace", "/x", "all"),
            ("GET", "/x", "all"),
        ],
    );
}

#[test]
fn a_route_as_specific_as_an_endpoint_comes_first() {
    let endpoint = "/v1/messages";
    for (path, first) in
        [(exact("/v1/messages"), true), (prefix("/v1/messages"), true), (prefix("/v1"), false), (prefix(""), false)]
    {
        let router = Router::new(vec![route("r", path.clone(), &[])]);
        assert_eq!(router.find(requested("POST", endpoint)).precedes(endpoint), first, "{path:?}");
    }
    let router = Router::new(vec![route("r", prefix(""), &["GET"])]);
    assert!(router.find(requested("GET", "/")).precedes("/"), "the prefix / is as long as the endpoint /");
    assert!(!router.find(requested("POST", "/")).precedes("/"));
    assert!(!Router::default().find(requested("GET", "/")).precedes("/"));
}

#[test]
fn a_host_comes_before_wildcards_and_these_before_all_hosts() {
    let router = Router::new(vec![
        route("any-users", exact("/users"), &[]),
        route("any", prefix(""), &[]),
        route_at_host("*.example.com", &route("below", prefix(""), &["GET"])),
        route_at_host("*.eu.example.com", &route("below-eu", prefix("/users"), &[])),
        route_at_host("api.example.com", &route("api", prefix("/users"), &["GET", "POST"])),
    ]);
    let endless = "a.".repeat(200);
    for (method, host, path, expected) in [
        ("GET", "api.example.com", "/users", "api"),
        ("GET", "API.Example.COM:8443", "/users/1", "api"),
        ("GET", "api.example.com.", "/users", "api"),
        ("GET", "api.example.com", "/other", "below"),
        ("DELETE", "api.example.com", "/users", "any-users"),
        ("GET", "x.api.example.com", "/users", "below"),
        ("GET", "x.eu.example.com", "/users", "below-eu"),
        ("POST", "x.eu.example.com", "/other", "any"),
        ("GET", "example.com", "/users", "any-users"),
        ("GET", "badexample.com", "/", "any"),
        ("GET", "", "/users", "any-users"),
        ("GET", "[::1]:80", "/users", "any-users"),
        ("GET", &format!("{endless}example.com"), "/", "any"),
    ] {
        let requested = RouteRequest { method, host: host.as_bytes(), path, listener: 0, parts: NO_PARTS };
        let Match::Route(found) = router.find(requested) else { panic!("{host}") };
        assert_eq!(&*found.policy.name, expected, "{method} {host} {path}");
    }
}

#[test]
fn a_host_with_a_port_takes_requests_to_that_port_only() {
    let router = Router::new(vec![
        route_at_host("a.example", &route("any-port", prefix("/x"), &[])),
        route_at_host("a.example:8443", &route("port", prefix(""), &[])),
        route_at_host("a.example:80", &route("http", prefix(""), &[])),
        route_at_host("*.example:8443", &route("below-port", prefix(""), &[])),
        route_at_host("*.example", &route("below", prefix(""), &[])),
        route_at_host("b.example:8443", &route("only", prefix("/only"), &[])),
        route("any", prefix(""), &[]),
    ]);
    for (host, path, expected) in [
        ("a.example:8443", "/x", "port"),
        ("A.example.:8443", "/", "port"),
        ("a.example:08443", "/", "port"),
        ("a.example:8444", "/x", "any-port"),
        ("a.example:8444", "/", "below"),
        ("a.example", "/x", "http"),
        ("a.example:", "/x", "http"),
        ("a.example:99999", "/x", "any-port"),
        ("c.example:8443", "/x", "below-port"),
        ("b.example:8443", "/only", "only"),
        ("b.example:8443", "/", "below-port"),
        ("b.example", "/only", "below"),
        ("other:8443", "/", "any"),
    ] {
        let requested = RouteRequest { host: host.as_bytes(), ..requested("GET", path) };
        assert_eq!(found(&router, requested), expected, "{host} {path}");
    }
}

#[test]
fn a_route_with_a_host_precedes_endpoints() {
    let router = Router::new(vec![route_at_host("own.example", &route("own", prefix(""), &[]))]);
    let find =
        |host: &'static str| router.find(RouteRequest { host: host.as_bytes(), ..requested("POST", "/v1/messages") });
    assert!(find("own.example").precedes("/v1/messages"));
    assert!(matches!(find("other.example"), Match::None));
}

#[test]
fn a_path_costs_one_step_a_segment_that_routes_share() {
    let router = Router::new(vec![route("deep", prefix("/a/b/c"), &[]), route("api", prefix("/a"), &[])]);
    check(&router, &[("GET", &format!("/a{}", "/".repeat(60_000)), "api"), ("GET", "/a/b/x", "api")]);
    check(&router, &[("GET", "/a/b/c/", "deep"), ("GET", "/a/b/c/d/e", "deep"), ("GET", "/b/a", "none")]);
}
