//! Routes with several hosts and paths, of some listeners, and with changes for single upstreams.

use super::errors::{check, check_codes};
use super::*;
use crate::explain::WrittenRequest;

const UPSTREAMS: &str = "upstreams: [{name: a, backends: [{url: http://a}]}, {name: b, backends: [{url: http://b}]}]\n";

fn file(rest: &str) -> String {
    format!("{UPSTREAMS}{rest}")
}

/// Returns the names of the routes of these requests, and the targets of their first backends.
fn routed(snapshot: &Snapshot, requests: &[&str]) -> Vec<String> {
    let routed = requests.iter().map(|line| {
        let explained = snapshot.explain(&WrittenRequest::parse(line, &[]).unwrap());
        let target = explained.action.and_then(|action| action.target).unwrap_or_default();
        format!("{} {target}", explained.route.map_or_else(|| "none".to_owned(), |route| route.name))
    });
    routed.collect()
}

#[test]
fn a_route_may_have_several_hosts_and_paths() {
    let loaded = read_text(&file(
        "routes: [{name: r, host: [A.example, '*.b.example', a.example], path: ['/x/{id}', {prefix: '/y/'}, {regex: '^/z'}], \
         upstreams: a, rate_limit: {requests: 5, window: 1m}}]",
    ));
    let snapshot = loaded.unwrap_or_else(|error| panic!("{error}")).snapshot;
    let requests =
        ["http://a.example/x/1", "http://c.b.example/y/2", "http://a.example/z", "http://b.example/x/1", "/x/1"];
    assert_eq!(routed(&snapshot, &requests), ["r /x/1", "r /y/2", "r /z", "none ", "none "]);
    assert_eq!(snapshot.traffic.router.routes().len(), 6);
    // All of them count in one limit, and are listed as one route.
    let limits: Vec<_> =
        snapshot.traffic.router.routes().iter().map(|route| route.policy.rate_limits.clone()).collect();
    assert!(limits.iter().all(|limits| *limits == (0..1)), "{limits:?}");
    let [(name, listed)] = &snapshot.listed_routes()[..] else { panic!("one route is listed") };
    assert_eq!(
        (&**name, listed.host.as_deref(), &*listed.path),
        ("r", Some("a.example, *.b.example"), "/x/{id}, /y, ^/z")
    );
    assert_eq!(listed.matches.len(), 2, "{:?}", listed.matches);
    assert_eq!(snapshot.routes_at("/x/1"), ["r"]);
}

#[test]
fn a_change_must_fit_each_path() {
    check(
        &file(
            "routes:\n  - path: ['/x/{id}', '/y']\n    host: [a, b]\n    upstreams: a\n    transformations: {request: {add_headers: {X: '${path.id}'}}}\n",
        ),
        "
error[unknown_name]: `${path.id}` is no value of a request
 --> t.yaml:6:50
  |
6 |     transformations: {request: {add_headers: {X: '${path.id}'}}}
  |                                                  ^^^^^^^^^^^^ expected a path of the route that has parameters",
    );
    for (routes, codes) in [
        ("[{path: [/x, /x], upstreams: a}]", &[("duplicate", 2, 22)][..]),
        ("[{path: [], upstreams: a}]", &[("bad_value", 2, 11)]),
        ("[{path: /x, host: [], upstreams: a}]", &[("bad_value", 2, 21)]),
        ("[{path: [/x, /y], upstreams: a}, {path: /y, upstreams: b}]", &[("duplicate", 2, 49)]),
    ] {
        check_codes(&file(&format!("routes: {routes}")), codes);
    }
}

#[test]
fn a_route_may_belong_to_listeners() {
    let listen =
        "listen: [{address: '127.0.0.1:80', name: plain}, {address: '127.0.0.1:81', name: other}, '127.0.0.1:82']\n";
    let routes = "routes:\n  - {name: all, path: /x, upstreams: a}\n  - {name: own, path: /x, upstreams: a, listen: [plain]}\n  \
        - {name: more, path: /y, upstreams: a, listen: [other, other]}\n";
    let snapshot = snapshot(&file(&format!("{listen}{routes}")));
    let requests = ["http://h/x", "http://h:81/x", "http://h:82/x", "http://h/y", "http://h:81/y"];
    assert_eq!(routed(&snapshot, &requests), ["own /x", "all /x", "all /x", "none ", "more /y"]);
    let explained = snapshot.explain(&WrittenRequest::parse("http://h/y", &[]).unwrap());
    assert_eq!(explained.others[0].because, "the listener is not one of other");
    for (routes, codes) in [
        ("[{path: /x, upstreams: a, listen: [plan]}]", &[("unknown_name", 3, 44)][..]),
        ("[{path: /x, upstreams: a, listen: []}]", &[("bad_value", 3, 35)]),
        (
            "[{path: /x, upstreams: a, listen: [plain]}, {path: /x, upstreams: b, listen: [other, plain]}]",
            &[("duplicate", 3, 60)],
        ),
    ] {
        check_codes(&file(&format!("{listen}routes: {routes}")), codes);
    }
    check_codes(
        "listen: [{address: '127.0.0.1:1', name: a}, {address: '127.0.0.1:2', name: a}]",
        &[("duplicate", 1, 76)],
    );
}

#[test]
fn an_upstream_of_a_route_may_have_its_own_changes() {
    let split = |changes: &str, weight: u32| {
        let route = format!(
            "{{path: {{prefix: /x}}, upstreams: [{{name: a, weight: {weight}, transformations: {changes}}}, {{name: b, weight: 1}}], \
             transformations: {{request: {{rewrite: {{path: {{prefix: /r}}}}, add_headers: {{X: route}}}}, response: {{status: {{418: 400}}}}}}}}"
        );
        let snapshot = snapshot(&file(&format!("routes: [{route}]")));
        let Action::Split(split) = &snapshot.traffic.router.routes()[0].action else { panic!("no list") };
        split.clone()
    };
    let changes = split("{request: {add_headers: {X: own}}, response: {status: {}}}", 1).upstreams[0].changes.clone();
    let changes = changes.unwrap();
    // A key of the upstream replaces that of the route; others remain.
    assert!(changes.rewrite.is_some());
    let added: Vec<_> =
        changes.policy.request_headers.as_ref().unwrap().replaced.added().map(|field| field.value.to_vec()).collect();
    assert_eq!(added, [b"own".to_vec()]);
    assert!(changes.policy.response.is_none());
    assert!(split("{request: {rewrite: {}}}", 1).upstreams[0].changes.as_ref().unwrap().rewrite.is_none());
    assert!(split("{}", 1).upstreams[1].changes.is_none());
}

#[test]
fn a_redirect_has_an_address_or_parts() {
    let location = |redirect: &str, line: &str| {
        let source = format!("routes: [{{path: [{{prefix: /old}}, '/p/{{id}}'], auth: none, redirect: {redirect}}}]");
        let explained = snapshot(&source).explain(&WrittenRequest::parse(line, &[]).unwrap());
        explained.action.unwrap().location.unwrap()
    };
    assert_eq!(location("{scheme: https}", "http://h:8080/old/x?a"), "https://h/old/x?a");
    assert_eq!(location("{host: www.example, port: 81}", "https://h/p/1"), "https://www.example:81/p/1");
    assert_eq!(location("{path: /new}", "http://h/old/x?a"), "/new?a");
    for (redirect, code) in [
        ("{}", "missing"),
        ("{to: /a, scheme: https}", "bad_value"),
        ("{scheme: ftp}", "bad_value"),
        ("{host: 'a:1'}", "bad_value"),
        ("{port: 0}", "bad_value"),
        ("{path: {prefix: /new}}", "bad_value"),
        ("{path: '/{name}'}", "unknown_name"),
        ("{status: 300, to: /a}", "bad_value"),
    ] {
        let source = format!("routes: [{{path: '/p/{{id}}', redirect: {redirect}}}]");
        let error = read_text(&source).map(|_| ()).expect_err(&source);
        assert_eq!(error.problems[0].code.name(), code, "{error}");
    }
}
