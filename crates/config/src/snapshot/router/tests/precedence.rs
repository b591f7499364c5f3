//! The order of precedence, as tables.

use super::*;
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{Condition, Conditions, Pattern, Template, ValueMatch};

fn template(text: &str) -> PathMatch {
    PathMatch::Template(Template::parse(text).unwrap())
}

fn regex(text: &str) -> PathMatch {
    PathMatch::Regex(Pattern::parse(text).unwrap())
}

/// Returns a route of the path `/` with these conditions: `name=value`, `name` (present) or `name~regex`.
fn under(name: &str, methods: &[&str], headers: &[&str], query: &[&str]) -> Arc<Route> {
    let conditions = |texts: &[&str]| {
        let conditions = texts.iter().map(|text| {
            let (name, value) = match (text.split_once('='), text.split_once('~')) {
                (Some((name, value)), _) => (name, ValueMatch::Exact(value.into())),
                (None, Some((name, regex))) => (name, ValueMatch::Regex(Pattern::parse(regex).unwrap())),
                (None, None) => (*text, ValueMatch::Present),
            };
            Condition { name: name.into(), value, source: FieldSource::Client, is_hidden: false }
        });
        conditions.collect::<Vec<_>>()
    };
    let conditions = Conditions { headers: conditions(headers), query: conditions(query) };
    let plain = (*route(name, exact("/"), methods)).clone();
    let matches = RouteMatches { conditions: Some(Box::new(conditions)), ..plain.matches };
    Arc::new(Route { matches, ..plain })
}

#[test]
fn the_first_segment_that_differs_decides_between_paths() {
    let routes = vec![
        route("all", prefix(""), &[]),
        route("any-rest", template("/{*rest}"), &[]),
        route("v-number", regex("^/v[0-9]+/"), &[]),
        route("v-any", regex("^/v"), &[]),
        route("users", prefix("/users"), &[]),
        route("users-rest", template("/users/{*rest}"), &[]),
        route("user", template("/users/{id}"), &[]),
        route("me", exact("/users/me"), &[]),
        route("posts", template("/users/{id}/posts"), &[]),
        route("of-any", template("/{kind}/{id}"), &[]),
        route("me-any", template("/users/me/{x}"), &[]),
        route("admin", prefix("/users/admin"), &[]),
    ];
    let cases = [
        ("GET", "/users", "users"),
        ("GET", "/users/", "users"),
        ("GET", "/users/me", "me"),
        ("GET", "/users/7", "user"),
        ("GET", "/users/7/", "users-rest"),
        ("GET", "/users/7/posts", "posts"),
        ("GET", "/users/7/likes", "users-rest"),
        ("GET", "/users/me/posts", "me-any"),
        ("GET", "/users/me/", "users-rest"),
        ("GET", "/users/me/a/b", "users-rest"),
        ("GET", "/users/admin", "admin"),
        ("GET", "/users/admin/posts", "admin"),
        ("GET", "/orders/7", "of-any"),
        ("GET", "/v1/7", "of-any"),
        ("GET", "/v1/7/8", "v-number"),
        ("GET", "/vx/7/8", "v-any"),
        ("GET", "/orders", "any-rest"),
        ("GET", "/orders//", "any-rest"),
        ("GET", "/", "all"),
        ("GET", "", "all"),
        ("GET", "*", "none"),
    ];
    check(&Router::new(routes.clone()), &cases);
    // The order of the file decides between regular expressions only.
    let expressions = [routes[2].clone(), routes[3].clone()];
    let mut reversed: Vec<_> = routes.into_iter().rev().filter(|route| !route.policy.name.starts_with("v-")).collect();
    reversed.extend(expressions);
    check(&Router::new(reversed), &cases);
}

#[test]
fn a_path_is_compared_in_one_spelling() {
    let router = Router::new(vec![
        route("one", template("/files/{name}"), &[]),
        route("encoded", exact("/a%2Fb"), &[]),
        route("empty", template("/x//{y}"), &[]),
    ]);
    check(
        &router,
        &[
            ("GET", "/files/a%2Fb", "one"),
            ("GET", "/files/a/b", "none"),
            ("GET", "/files/", "none"),
            ("GET", "/files//", "none"),
            ("GET", "/a%2Fb", "encoded"),
            ("GET", "/a%2fb", "encoded"),
            ("GET", "/a/b", "none"),
            ("GET", "/x//1", "empty"),
            ("GET", "/x/1", "none"),
        ],
    );
}

#[test]
fn methods_come_before_headers_and_these_before_the_query() {
    let router = Router::new(vec![
        under("plain", &[], &[], &[]),
        under("query", &[], &[], &["a=1", "b"]),
        under("present", &[], &["x"], &[]),
        under("regex", &[], &["x~^[0-9]$"], &[]),
        under("exact", &[], &["x=1"], &[]),
        under("two", &[], &["x", "y"], &[]),
        under("first-of-equals", &[], &["z=1"], &[]),
        under("second-of-equals", &[], &["w=1"], &[]),
        under("get", &["GET"], &[], &["m"]),
    ]);
    for (method, query, fields, expected) in [
        ("GET", "", &[][..], "plain"),
        ("GET", "a=1&b", &[], "query"),
        ("GET", "a=2&b", &[], "plain"),
        ("GET", "a=1&b", &[("X", "q")], "present"),
        ("GET", "", &[("X", "7")], "regex"),
        ("GET", "", &[("X", "1")], "exact"),
        ("GET", "", &[("X", "1"), ("Y", "")], "two"),
        ("GET", "", &[("W", "1"), ("Z", "1")], "first-of-equals"),
        ("GET", "m", &[("X", "1"), ("Y", "")], "get"),
        ("PUT", "m", &[("X", "1")], "exact"),
    ] {
        let parts = WrittenParts { query: Some(query), fields, ..WrittenParts::default() };
        let requested = RouteRequest { parts: &parts, ..requested(method, "/") };
        assert_eq!(found(&router, requested), expected, "{method} {query} {fields:?}");
    }
}

#[test]
fn a_route_whose_conditions_are_not_met_accepts_no_method() {
    let router = Router::new(vec![under("only", &["POST"], &["x=1"], &[]), under("get", &["GET"], &["y"], &[])]);
    let find = |method, fields| {
        let parts = WrittenParts { fields, ..WrittenParts::default() };
        found(&router, RouteRequest { parts: &parts, ..requested(method, "/") })
    };
    assert_eq!(find("POST", &[("x", "1")]), "only");
    assert_eq!(find("PUT", &[("x", "1")]), "allow POST");
    assert_eq!(find("PUT", &[("x", "1"), ("y", "")]), "allow POST,GET,HEAD");
    assert_eq!(find("POST", &[("x", "2")]), "none");
}

#[test]
fn a_repeated_field_does_not_lead_past_the_route_that_it_may_choose() {
    let router = Router::new(vec![
        under("closed", &["GET"], &["x=1"], &[]),
        under("exact", &[], &["x=1", "y=1"], &[]),
        under("open", &[], &[], &[]),
    ]);
    let find = |method, fields: &[(&str, &str)]| {
        let parts = WrittenParts { fields, ..WrittenParts::default() };
        found(&router, RouteRequest { parts: &parts, ..requested(method, "/") })
    };
    for fields in [[("x", "1"), ("x", "2")], [("x", "2"), ("X", "1")]] {
        assert_eq!(find("GET", &fields), "disputed x");
        assert_eq!(find("PUT", &fields), "open", "no route of the method reads the field");
    }
    assert_eq!(find("GET", &[("x", "1"), ("x", "1")]), "closed");
    assert_eq!(find("GET", &[("x", "2"), ("x", "3")]), "open");
    assert_eq!(find("PUT", &[("x", "1"), ("x", "2"), ("y", "1")]), "disputed x");
}

#[test]
fn a_repeated_field_of_a_get_route_does_not_hide_the_head_route() {
    let both = [("x", "1"), ("x", "2")];
    let get = || under("get", &["GET"], &["x=1"], &[]);
    let find = |routes: Vec<Arc<Route>>, method| {
        let parts = WrittenParts { fields: &both, ..WrittenParts::default() };
        found(&Router::new(routes), RouteRequest { parts: &parts, ..requested(method, "/") })
    };
    assert_eq!(find(vec![get(), under("head", &["HEAD"], &[], &[])], "HEAD"), "head");
    assert_eq!(find(vec![get(), under("head", &["HEAD"], &[], &[])], "GET"), "disputed x");
    assert_eq!(find(vec![get(), under("head", &["HEAD"], &["x=2"], &[])], "HEAD"), "disputed x");
    assert_eq!(find(vec![get(), under("open", &[], &[], &[])], "HEAD"), "disputed x");
    assert_eq!(find(vec![get(), under("other", &["GET"], &[], &[])], "HEAD"), "disputed x");
}

#[test]
fn templates_and_expressions_have_no_priority_over_endpoints() {
    for path in [template("/v1/{x}"), template("/v1/{*rest}"), regex("^/v1/messages$")] {
        let router = Router::new(vec![route("r", path, &[])]);
        let matched = router.find(requested("POST", "/v1/messages"));
        assert!(matches!(matched, Match::Route(_)) && !matched.precedes("/v1/messages"));
    }
}
