//! Routes with a response or a redirect in place of upstreams.

use super::errors::check;
use super::*;

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
