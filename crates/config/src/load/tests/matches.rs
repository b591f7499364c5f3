//! Matches of routes: headers, query parameters, templates and regular expressions.

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{Condition, Match, Pattern, RouteRequest, ValueMatch, WrittenParts};

const UPSTREAM: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes:\n";

fn routes(lines: &str) -> String {
    let lines = lines.trim_start_matches('\n').lines().map(|line| format!("  - {{{line}, upstreams: u}}\n"));
    format!("{UPSTREAM}{}", lines.collect::<String>())
}

#[test]
fn every_kind_of_match_is_read() {
    let source = routes(
        r#"
path: "/users/{id}", headers: {X-Tenant: acme, x-a: {present: true}}, query: {page: {regex: "^[0-9]+$"}, "x y": {present: false}}
path: "/files/{*rest}", host: a.b
path: {regex: "^/v[0-9]+/"}
path: /a, query: {n: 5}"#,
    );
    let snapshot = snapshot(&source);
    let routes = snapshot.traffic.router.routes();
    let names: Vec<&str> = routes.iter().map(|route| &*route.policy.name).collect();
    assert_eq!(names, ["/users/{id}", "a.b/files/{*rest}", "^/v[0-9]+/", "/a"]);
    let of = |name: &str, value| Condition { name: name.into(), value, source: FieldSource::Client, is_hidden: false };
    let conditions = routes[0].matches.conditions.as_ref().unwrap();
    let present = [of("x-a", ValueMatch::Present), of("x-tenant", ValueMatch::Exact("acme".into()))];
    assert_eq!(conditions.headers, present);
    let page = ValueMatch::Regex(Pattern::parse("^[0-9]+$").unwrap());
    assert_eq!(conditions.query, [of("page", page), of("x y", ValueMatch::Absent)]);
    assert!(routes[1].matches.conditions.is_none());
    assert_eq!(routes[3].matches.conditions.as_ref().unwrap().query, [of("n", ValueMatch::Exact("5".into()))]);
}

#[test]
fn an_escape_that_no_path_needs_is_read_as_its_character() {
    let source = routes("path: '/%7Eann/{id}'\npath: {prefix: /%7eann}\npath: /%7Eann/x");
    let snapshot = snapshot(&source);
    for (path, expected) in [
        ("/~ann/7", "/~ann/{id}"),
        ("/%7Eann/7", "/~ann/{id}"),
        ("/%7eann/7/8", "/~ann"),
        ("/~ann/%78", "/~ann/x"),
        ("/~ann/%2F", "/~ann/{id}"),
    ] {
        let parts = WrittenParts::default();
        let requested = RouteRequest { method: "GET", host: b"", path, listener: 0, parts: &parts };
        let Match::Route(route) = snapshot.traffic.router.find(requested) else { panic!("{path}") };
        assert_eq!(&*route.policy.name, expected, "{path}");
    }
}

#[test]
fn invalid_matches_say_what_is_valid() {
    check(
        &routes("path: {regex: '(b'}"),
        "
error[bad_value]: `routes[0].path.regex` has an invalid value
 --> t.yaml:3:20
  |
3 |   - {path: {regex: '(b'}, upstreams: u}
  |                    ^^^^ expected a regular expression without look-around and back-references (unclosed group)",
    );
    for (line, column) in [
        ("path: {regex: '(a{1000}){1000}'}", 20),
        ("path: {regex: ''}", 20),
        ("path: {prefix: '/{id}'}", 21),
        ("path: {prefix: /a, regex: ^/b}", 6),
        ("path: '/{a}/{a}'", 12),
        ("path: '/a{b}'", 12),
        ("path: '/{*a}/b'", 12),
        ("path: '/{a}?'", 12),
        ("path: /a, headers: {'a b': c}", 26),
        ("path: /a, headers: {a: ' b'}", 29),
        ("path: /a, headers: {a: \"b\\n\"}", 29),
        ("path: /a, headers: {a: {regex: '('}}", 37),
        ("path: /a, query: {'': c}", 24),
        ("path: /a, query: {a: {present: maybe}}", 37),
    ] {
        check_codes(&routes(line), &[("bad_value", 3, column)]);
    }
    let many = |name: &str| (0..17).map(|number| format!("{name}{number}: x")).collect::<Vec<_>>().join(", ");
    for key in ["headers", "query"] {
        let error = read_text(&routes(&format!("path: /a, {key}: {{{}}}", many("a")))).map(|_| ()).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
    }
    check_codes(&routes("path: {}"), &[("missing", 3, 6)]);
    check_codes(&routes("path: /a, headers: {a: {}}"), &[("missing", 3, 26)]);
    check_codes(&routes("path: /a, headers: {X-A: b, x-a: c}"), &[("duplicate", 3, 34)]);
    check_codes(&routes("path: /a, headers: {a: {absent: true}}"), &[("missing", 3, 26), ("unknown_key", 3, 30)]);
}

#[test]
fn paths_that_no_request_can_have_are_refused() {
    for (line, column) in [
        ("path: /unsent/../b", 12),
        ("path: /unsent/%2E", 12),
        ("path: /unsent/%zz", 12),
        ("path: /unsent%4", 12),
        ("path: '/{id}/unsent/..'", 12),
        ("path: {prefix: /unsent/./b}", 21),
    ] {
        check_codes(&routes(line), &[("bad_value", 3, column)]);
    }
    for line in ["path: /a..b/.c/%2F", "path: '/{id}/...'", "path: {regex: '^/a/../b'}"] {
        read_text(&routes(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn the_number_of_regular_expressions_is_bounded() {
    let line = |number: usize| format!("path: {{regex: '^/r{number}'}}, headers: {{a: {{regex: b}}}}\n");
    let of = |count: usize| routes((0..count).map(line).collect::<String>().trim_end());
    read_text(&of(128)).unwrap_or_else(|error| panic!("{error}"));
    // The schema cannot count them.
    let environment = environment();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let error = load_text("t.yaml", &of(140), sources).map(|_| ()).unwrap_err();
    let [problem] = error.problems.as_slice() else { panic!("{error}") };
    assert_eq!((problem.code, problem.place.unwrap().line), (Code::BadValue, 131), "{error}");
}

#[test]
fn routes_that_cannot_be_told_apart_name_both_lines() {
    check(
        &routes("path: '/users/{id}', headers: {A: x}\npath: '/users/{name}', headers: {a: x}"),
        "
error[duplicate]: a second route takes this path and method
 --> t.yaml:4:12
  |
4 |   - {path: '/users/{name}', headers: {a: x}, upstreams: u}
  |            ^^^^^^^^^^^^^^^ expected another `host`, path, `headers` or `query`, or `methods` that the first does not take
  = the first is at t.yaml:3:12",
    );
    for lines in [
        "path: {regex: ^/a}\npath: {regex: ^/a}",
        "path: /a, methods: [GET], query: {a: x, b: y}\npath: /a, methods: [POST, GET], query: {b: y, a: x}",
        "path: '/{*a}'\npath: '/{*b}'",
    ] {
        let error = read_text(&routes(lines)).map(|_| ()).expect_err(lines);
        let problem = &error.problems[0];
        assert_eq!((problem.code, problem.first.unwrap().line), (Code::Duplicate, 3), "{error}");
    }
    for lines in [
        "path: /a, headers: {a: x}\npath: /a, headers: {a: y}\npath: /a\npath: /a, methods: [GET]",
        "path: /a, headers: {a: x}\npath: /a, query: {a: x}",
        "path: /a, headers: {a: x}\npath: /a, headers: {b: x}\npath: /a, headers: {a: {present: true}}",
        "path: '/a/{b}'\npath: '/a/{*b}'\npath: {prefix: /a}\npath: '/{a}/{b}'\npath: '/{a}/b'",
        "path: '/a/{b}', host: x.y\npath: '/a/{b}', host: '*.x.y'\npath: '/a/{b}'",
    ] {
        read_text(&routes(lines)).unwrap_or_else(|error| panic!("{lines}\n{error}"));
    }
}

#[test]
fn regular_expressions_that_no_request_reaches_are_refused() {
    check(
        &routes("path: {regex: '^/v1/[a-z]'}\npath: {prefix: /v1}"),
        "
error[unreachable]: no request reaches this route: a prefix takes all its paths first
 --> t.yaml:3:20
  |
3 |   - {path: {regex: '^/v1/[a-z]'}, upstreams: u}
  |                    ^^^^^^^^^^^^ expected a path with parameters, or a narrower path or condition on the other route
  = the first is at t.yaml:4:21",
    );
    check(
        &routes("path: {regex: ^api/}"),
        "
error[unreachable]: no path matches this regular expression
 --> t.yaml:3:20
  |
3 |   - {path: {regex: ^api/}, upstreams: u}
  |                    ^^^^^ expected `^/`: each path begins with a slash",
    );
    for lines in [
        "path: {regex: ^/v1/a}\npath: {prefix: /v1}, methods: [GET]",
        "path: {regex: ^/v1/a}\npath: {prefix: /v1}, headers: {a: b}",
        "path: {regex: ^/v1/a}\npath: {prefix: /v1}, host: a.b",
        "path: {regex: ^/v1}\npath: {prefix: /v1}",
        "path: {regex: ^/v1/a}\npath: {prefix: /}\npath: '/{*rest}'",
        "path: {regex: '^/v1/a|b'}\npath: {prefix: /v1}",
    ] {
        read_text(&routes(lines)).unwrap_or_else(|error| panic!("{lines}\n{error}"));
    }
    for covered in [
        "path: {regex: ^/v1/a}, methods: [GET]\npath: {prefix: /v1}, methods: [GET, PUT]",
        "path: {regex: ^/v1/a}, headers: {a: b}\npath: {prefix: /v1}, headers: {A: b}",
        "path: {regex: ^/v1/a}\npath: '/v1/{*rest}'",
        "path: {regex: '^/v1/a/[0-9]+$'}\npath: '/{version}/{*rest}'",
        "path: {regex: ^/v1$}\npath: /v1",
        "path: {regex: ^/v1$}\npath: {prefix: /v1}",
        "path: {regex: ^/v1/a$}, headers: {a: b}\npath: '/{version}/{name}', headers: {a: b}",
        "path: {regex: '^/v1/a/bc+'}, methods: [GET], query: {q: x}\npath: '/v1/{kind}/{*rest}', query: {q: x}",
    ] {
        let error = read_text(&routes(covered)).map(|_| ()).expect_err(covered);
        let [problem] = error.problems.as_slice() else { panic!("{error}") };
        let found = (problem.code, problem.place.map(|at| (at.line, at.column)), problem.first.map(|at| at.line));
        assert_eq!(found, (Code::Unreachable, Some((3, 20)), Some(4)), "{error}");
    }
    for reached in [
        // `/v1/` is a path of the expression, but no `{*rest}`.
        "path: {regex: ^/v1/}\npath: '/v1/{*rest}'",
        "path: {regex: ^/v1/a}\npath: '/{*rest}'",
        "path: {regex: ^/v1/a}\npath: '/v1/{id}/{*rest}'",
        "path: {regex: ^/v1//a}\npath: '/v1/{id}/{*rest}'",
        "path: {regex: ^/v1/a}\npath: '/v2/{*rest}'",
        "path: {regex: ^/v1/a}\npath: '/v1/{*rest}', methods: [GET]",
        "path: {regex: ^/v1/a}\npath: '/v1/{*rest}', headers: {a: b}",
        "path: {regex: ^/v1/a}\npath: '/v1/{*rest}', host: a.b",
        "path: {regex: /v1/a}\npath: '/v1/{*rest}'",
        "path: {regex: ^/v1}\npath: /v1",
        "path: {regex: ^/v1$}\npath: /v1, methods: [GET]",
        "path: {regex: ^/v1$}\npath: {prefix: /}\npath: '/{*rest}'",
        "path: {regex: ^/v1.$}\npath: /v1",
    ] {
        read_text(&routes(reached)).unwrap_or_else(|error| panic!("{reached}\n{error}"));
    }
}

fn weighted(list: &str) -> String {
    let upstreams = "upstreams: [{name: a, backends: [{url: http://a}]}, {name: b, backends: [{url: http://b}]}]\n";
    format!("{upstreams}routes: [{{path: /x, upstreams: {list}}}]\n")
}

#[test]
fn weighted_upstreams_are_read() {
    let action = |list: &str| {
        let snapshot = snapshot(&weighted(list));
        match &snapshot.traffic.router.routes()[0].action {
            Action::Forward(upstream) => format!("only {}", upstream.name),
            Action::Split(split) => {
                let named = |one: &crate::snapshot::WeightedUpstream| format!("{} {}", one.upstream.name, one.weight);
                split.upstreams.iter().map(named).collect::<Vec<_>>().join(", ")
            }
            Action::Respond(_) | Action::Redirect(_) => panic!("another action"),
        }
    };
    assert_eq!(action("[{name: a, weight: 95}, {name: b, weight: 5}]"), "a 95, b 5");
    assert_eq!(action("[{name: b}, {name: a, weight: 1000000}]"), "b 1, a 1000000");
    assert_eq!(action("[{name: a, weight: 0}, {name: b, weight: 5}]"), "only b");
    assert_eq!(action("[{name: a}]"), "only a");
}

#[test]
fn invalid_weighted_upstreams_are_refused() {
    check_codes(&weighted("[{name: a, weight: 0}, {name: b, weight: 0}]"), &[("bad_value", 2, 51)]);
    check_codes(&weighted("[{name: a, weight: 1000001}]"), &[("bad_value", 2, 51)]);
    check_codes(&weighted("[{name: a, weight: -1}]"), &[("bad_value", 2, 51)]);
    check_codes(&weighted("[]"), &[("bad_value", 2, 21)]);
    check_codes(&weighted("[{weight: 1}]"), &[("missing", 2, 33)]);
    check_codes(&weighted("[{name: c}]"), &[("unknown_name", 2, 40)]);
    check(
        &weighted("[{name: a}, {name: a}]"),
        "
error[duplicate]: the route has this upstream already
 --> t.yaml:2:51
  |
2 | routes: [{path: /x, upstreams: [{name: a}, {name: a}]}]
  |                                                   ^ expected one entry per upstream, with the sum of the weights
  = the first is at t.yaml:2:40",
    );
    let many: String = (0..33).map(|number| format!("{{name: n{number}}}, ")).collect();
    assert!(read_text(&weighted(&format!("[{many}]"))).is_err());
}
