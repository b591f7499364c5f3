//! Routes with a response or a redirect in place of upstreams.

use super::errors::check;
use super::*;
use crate::snapshot::{ReceivedTarget, RequestedOrigin};

#[test]
fn a_route_has_one_action() {
    check(
        "routes: [{path: /a}]\n",
        "
error[missing]: `routes[0]` needs `upstreams`, `respond` or `redirect`
 --> t.yaml:1:10
  |
1 | routes: [{path: /a}]
  |          ^ expected `upstreams`, `respond` or `redirect` here",
    );
    check(
        "routes: [{path: /a, respond: {}, redirect: {to: /b}}]\n",
        "
error[bad_value]: `routes[0]` has `respond` and `redirect`
 --> t.yaml:1:10
  |
1 | routes: [{path: /a, respond: {}, redirect: {to: /b}}]
  |          ^ expected one of `upstreams`, `respond` and `redirect`",
    );
    for source in [
        "respond: {status: 199}",
        "respond: {status: 204, body: x}",
        "respond: {headers: {Content-Length: '1'}}",
        "respond: {headers: {'a b': '1'}}",
        "respond: {headers: {A: \"x\\ny\"}}",
        "respond: {}, credits: 2",
        "redirect: {to: /b}, allow_headers: [X-Method]",
        "redirect: {to: b}",
        "redirect: {to: //host/b}",
        "redirect: {to: 'javascript:x'}",
        "redirect: {to: 'https://'}",
        "redirect: {to: '/a b'}",
        "redirect: {to: /b, status: 304}",
    ] {
        let error = read_text(&format!("routes: [{{path: /a, {source}}}]\n")).map(|_| ()).expect_err(source);
        assert_eq!(error.problems.len(), 1, "{error}");
        assert_eq!(error.problems[0].code, Code::BadValue, "{error}");
    }
    let error = read_text("routes: [{path: /a, redirect: {}}]\n").map(|_| ()).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
}

#[test]
fn a_redirect_replaces_the_parts_that_it_names() {
    let received = ReceivedTarget { path: "/old/a%20b", query: Some("q=1&r") };
    let from = RequestedOrigin { scheme: "http", host: "a.example:8080" };
    let all = "scheme: https, host: b.example, port: 8443, path: {prefix: /new}, status: 308";
    for (keys, status, expected) in [
        (all, 308, "https://b.example:8443/new/a%20b?q=1&r"),
        ("scheme: https", 307, "https://a.example/old/a%20b?q=1&r"),
        ("host: b.example", 307, "http://b.example:8080/old/a%20b?q=1&r"),
        ("port: 81, status: 302", 302, "http://a.example:81/old/a%20b?q=1&r"),
        ("path: {prefix: /new}, status: 301", 301, "/new/a%20b?q=1&r"),
        ("path: {prefix: /}", 307, "/a%20b?q=1&r"),
        ("path: {regex: '^/old/', to: /x/}", 307, "/x/a%20b?q=1&r"),
        ("path: /whole, host: b.example, status: 303", 303, "http://b.example:8080/whole?q=1&r"),
    ] {
        let source = format!("routes: [{{path: {{prefix: /old}}, redirect: {{{keys}}}}}]\n");
        let snapshot = snapshot(&source);
        let action = &snapshot.traffic.router.routes()[0].action;
        let Action::Redirect(redirect) = action else { panic!("{keys}: {action:?}") };
        assert_eq!(redirect.status.as_u16(), status, "{keys}");
        assert_eq!(redirect.location(received, from).unwrap(), expected, "{keys}");
    }
}
