//! Rewrites of requests, and parameters of redirects.

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::{ReceivedTarget, RedirectTarget, UpstreamHost};

fn file(path: &str, rewrite: &str) -> String {
    format!(
        "upstreams: [{{name: u, backends: [{{url: http://h}}]}}]\nroutes:\n  - path: {path}\n    upstreams: u\n    \
         transformations: {{request: {{rewrite: {rewrite}}}}}\n"
    )
}

fn target(path: &str, rewrite: &str, received: &str) -> String {
    let snapshot = snapshot(&file(path, rewrite));
    let (path, query) = received.split_once('?').map_or((received, None), |(path, query)| (path, Some(query)));
    let route = &snapshot.traffic.router.routes()[0];
    route.rewrite.as_ref().unwrap().target(ReceivedTarget { path, query }).unwrap()
}

#[test]
fn every_kind_of_rewrite_is_read() {
    for (path, rewrite, received, expected) in [
        ("/a", "{path: /v2/users}", "/a?b=c", "/v2/users?b=c"),
        (
            "/a",
            "{path: /v2/users, query: {add: {source: gateway, 'x y': 'a&b'}, remove: [debug]}}",
            "/a?debug=1&c",
            "/v2/users?c&source=gateway&x%20y=a%26b",
        ),
        ("'/users/{id}/{*rest}'", "{path: '/v2/{rest}/of/{id}'}", "/users/7/a", "/v2/a/of/7"),
        ("'/users/{id}/{*rest}'", "{path: '/v2/{id}/{*rest}'}", "/users/7/a/b", "/v2/7/a/b"),
        ("{prefix: /api}", "{path: {prefix: /}}", "/api", "/"),
        ("{prefix: /api/}", "{path: {prefix: /v2/}}", "/api/x", "/v2/x"),
        ("{prefix: /%7Eann}", "{path: {prefix: /v2}}", "/~ann/x-admin/1", "/v2/x-admin/1"),
        ("'/%7Eann/{id}'", "{path: '/%7Ebob/{id}'}", "/~ann/7", "/%7Ebob/7"),
        ("{prefix: /}", "{path: {regex: '^/v([0-9]+)/', to: /api/$1/}}", "/v12/x", "/api/12/x"),
        ("{prefix: /}", "{path: {regex: '^/p/', to: /$$1$$/}}", "/p/x", "/$1$/x"),
        ("{prefix: /}", "{query: {add: {a: 1}}}", "/x", "/x?a=1"),
    ] {
        assert_eq!(target(path, rewrite, received), expected, "{path} {rewrite}");
    }
}

#[test]
fn the_host_of_a_backend_is_a_rule_or_a_name() {
    let host = |rewrite: &str| {
        let snapshot = snapshot(&file("/a", rewrite));
        let route = &snapshot.traffic.router.routes()[0];
        assert!(route.rewrite.is_none() || rewrite.contains("path"));
        route.policy.upstream_host.clone()
    };
    assert_eq!(host("{}"), UpstreamHost::ByScheme);
    assert_eq!(host("{host: preserve}"), UpstreamHost::Preserve);
    assert_eq!(host("{host: backend, path: /b}"), UpstreamHost::Backend);
    assert_eq!(host("{host: 'b.example:8080'}"), UpstreamHost::Name("b.example:8080".into()));
    for invalid in ["'a b'", "'http://a'", "'a:'", "'a:70000'", "':80'", "'a/b'", "''"] {
        let error = read_text(&file("/a", &format!("{{host: {invalid}}}"))).map(|_| ()).expect_err(invalid);
        assert_eq!(error.problems[0].code.name(), "bad_value", "{error}");
    }
}

#[test]
fn invalid_rewrites_say_what_is_valid() {
    check(
        &file("'/users/{id}'", "{path: '/v2/{name}'}"),
        "
error[unknown_name]: the route's path has no `{name}`
 --> t.yaml:5:49
  |
5 |     transformations: {request: {rewrite: {path: '/v2/{name}'}}}
  |                                                 ^^^^^^^^^^^^ expected `id`",
    );
    let codes = |path: &str, rewrite: &str| {
        let error = read_text(&file(path, rewrite)).map(|_| ()).expect_err(rewrite);
        assert!(error.problems.iter().all(|problem| problem.place.unwrap().line == 5), "{error}");
        error.problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>().join(" ")
    };
    for (rewrite, expected) in [
        ("{path: x}", "bad_value"),
        ("{path: '/a?b'}", "bad_value"),
        ("{path: \"/a b\"}", "bad_value"),
        ("{path: \"/a\\r\\nX: y\"}", "bad_value"),
        ("{path: /unsent/../b}", "bad_value"),
        ("{path: /unsent/%2E%2e}", "bad_value"),
        ("{path: /unsent%zz}", "bad_value"),
        ("{path: '/{id}'}", "unknown_name"),
        ("{path: {prefix: /not-a-prefix}}", "bad_value"),
        ("{path: {}}", "missing"),
        ("{path: {regex: a}}", "missing"),
        ("{path: {to: a}}", "missing"),
        ("{path: {prefix: /a, regex: b, to: c}}", "bad_value"),
        ("{path: {regex: '(a)', to: $2}}", "unknown_name"),
        ("{path: {regex: a, to: a$}}", "unknown_name"),
        ("{path: {regex: a, to: 'a b'}}", "bad_value"),
        ("{query: {remove: ['']}}", "bad_value"),
        ("{paths: /a}", "unknown_key"),
    ] {
        assert_eq!(codes("/x", rewrite), expected, "{rewrite}");
    }
    let without_upstream = "routes: [{path: /a, respond: {}, transformations: {request: {rewrite: {}}}}]\n";
    check_codes(without_upstream, &[("bad_value", 1, 10)]);
}

#[test]
fn a_redirect_has_parameters_of_the_path() {
    let redirect = |path: &str, to: &str| {
        let source = format!("routes: [{{path: '{path}', redirect: {{to: '{to}'}}}}]\n");
        let loaded = read_text(&source);
        loaded.map_err(|error| error.problems[0].code.name()).map(|loaded| {
            let Action::Redirect(redirect) = &loaded.snapshot.traffic.router.routes()[0].action else { panic!("{to}") };
            let RedirectTarget::Address { composed, .. } = &redirect.target else { panic!("{to}") };
            composed.as_ref().map(|composed| composed.compose("/old/7"))
        })
    };
    assert_eq!(redirect("/old/{id}", "/new/{id}?x"), Ok(Some("/new/7?x".to_owned())));
    assert_eq!(redirect("/old/{id}", "https://a.b/{id}.html#{id}"), Ok(Some("https://a.b/7.html#7".to_owned())));
    let with_url = |id: &str| format!("/login/{id}?next=https://app.example.com/");
    assert_eq!(redirect("/old/{id}", &with_url("{id}")), Ok(Some(with_url("7"))));
    assert_eq!(redirect("/old/{*rest}", "/new/{*rest}"), Ok(Some("/new/7".to_owned())));
    assert_eq!(redirect("/old/{*rest}", "/new/{rest}"), Ok(Some("/new/7".to_owned())));
    assert_eq!(redirect("/{id}/{*rest}", "/new/{*id}"), Err("unknown_name"));
    assert_eq!(redirect("/old/{id}", "/new/{*id}"), Err("unknown_name"));
    assert_eq!(redirect("/old/{id}", "/new"), Ok(None));
    assert_eq!(redirect("/old/{id}", "/new/{name}"), Err("unknown_name"));
    assert_eq!(redirect("/old", "/new/{id}"), Err("unknown_name"));
    for to in
        ["https://{id}.a/", "https://{id}", "https://a{id}/x", "https://a.b/{id", "https://a.b/id}", "/new?next={id}"]
    {
        assert_eq!(redirect("/old/{id}", to), Err("bad_value"), "{to}");
    }
}
