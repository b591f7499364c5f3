//! Tests of paths that backends may read as those of other routes, and of `paths`.

use super::*;
use crate::snapshot::{PathRefusal, RouteRequest, Selection, WrittenParts};

const UPSTREAMS: &str = "auth:\n  - {name: staff, type: jwt, secret: '0123456789abcdef0123456789abcdef', algorithms: [HS256]}\n\
    upstreams:\n  - {name: app, backends: [{url: http://h}]}\n  - {name: same, backends: [{url: http://h/base}]}\n  \
    - {name: other, backends: [{url: http://i}]}\n";

fn loaded(routes: &str, paths: &str) -> LoadedConfig {
    read_text(&format!("{UPSTREAMS}{paths}\nroutes:\n{routes}")).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the name of the route of a path; `400` if the path is refused.
fn outcome(traffic: &Traffic, path: &str) -> String {
    let parts = &WrittenParts::default();
    let requested = RouteRequest { method: "GET", host: b"h", path, listener: 0, parts };
    let Selection::Route(route) = traffic.select(requested) else { panic!("{path} has no route") };
    match traffic.path_refusal(requested, route) {
        Some(_) => "400".to_owned(),
        None => route.policy.name.to_string(),
    }
}

/// The ways in which a route may treat requests otherwise than an open catch-all of the upstream `app`.
const PROTECTIONS: [&str; 9] = [
    "upstreams: app, auth: {type: key}",
    "upstreams: same, auth: {type: key}",
    "upstreams: app, auth: {type: jwt, use: staff}",
    "upstreams: [{name: app, weight: 1}, {name: other, weight: 1}], auth: {type: key}",
    "upstreams: app, auth: {type: none}, addresses: {allow: [203.0.113.0/24]}",
    "upstreams: app, auth: {type: none}, rate_limit: {requests: 1, window: 60s}",
    "upstreams: app, auth: {type: none}, sizes: {body: 1KiB}",
    "auth: {type: none}, respond: {status: 403}",
    "auth: {type: none}, redirect: {to: /login}",
];

const CATCH_ALL: &str = "  - {name: all, path: {prefix: /}, upstreams: app, auth: {type: none}}\n";

/// Paths that some backends read as that of a protected route.
const SPELLINGS: &[&str] = &[
    "//admin",
    "///admin/x",
    "/admin;x",
    "/admin;/x",
    "/;/admin",
    "/%2fadmin",
    "/%2Fadmin",
    "/%5cadmin",
    "/\\admin",
    "/x/..;/admin",
    "/x/%252e%252e/admin",
    "/ADMIN",
    "/Admin/x",
    "/%41dmin",
    "/%2561dmin",
    "/%2541dmin",
    "/admin%20",
    "/admin%09/x",
    "/admin%00",
    "/admin%00.png",
    "/admin%C2%A0",
    "/admin%A0",
    "/admin.",
    "/admin%3Fx",
    "/admin%23x",
    "/admin%2Fx",
    "/admin%252Fx",
    "/ADMIN%20;x",
    "/users/%40me",
    "/users/%2540me",
    "/USERS/@ME",
    "/otp%3Asend",
    "/otp%3asend",
    "/items/7",
    "/ITEMS/7",
    "/Items%2F7",
    "/v1/keys",
    "/V1/KEYS",
];
/// Paths with the names of their routes.
const ACCEPTED: &[(&str, &str)] = &[
    ("/admin", "admin"),
    ("/admin/x;y", "admin"),
    ("/%61dmin", "admin"),
    ("/admin/%20//X", "admin"),
    ("/users/@me", "me"),
    ("/otp:send", "otp"),
    ("/Items/A%2Fb", "id"),
    ("/Items/%c3%A9", "id"),
    ("/v7/Keys", "regex"),
    ("/", "all"),
    ("/a//b", "all"),
    ("/Other/%2f;x", "all"),
    ("/caf%c3%a9", "all"),
    ("/administrator", "all"),
    ("/%61dmins", "all"),
];

#[test]
fn no_spelling_of_a_protected_path_reaches_a_catch_all() {
    for protection in PROTECTIONS {
        let routes = format!(
            "  - {{name: admin, path: {{prefix: /admin}}, {protection}}}\n  \
             - {{name: me, path: /users/@me, {protection}}}\n  \
             - {{name: otp, path: '/otp:send', {protection}}}\n  \
             - {{name: id, path: '/Items/{{id}}', {protection}}}\n  \
             - {{name: regex, path: {{regex: '^/v[0-9]+/Keys$'}}, {protection}}}\n{CATCH_ALL}"
        );
        let traffic = loaded(&routes, "").snapshot.traffic;
        for path in SPELLINGS {
            assert_eq!(outcome(&traffic, path), "400", "{path} beside {protection}");
        }
        for (path, expected) in ACCEPTED {
            assert_eq!(outcome(&traffic, path), *expected, "{path} beside {protection}");
        }
    }
}

/// Whether a path may have the octet without an escape (RFC 3986, 3.3).
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&octet)
}

#[test]
fn every_escape_beside_every_protection_meets_the_protected_route_or_is_refused() {
    for protection in PROTECTIONS {
        let routes: String = (0..=u8::MAX)
            .map(|octet| {
                let own = if is_plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
                let path = format!("/p{octet:02x}-a{own}b").replace('\'', "''");
                format!("  - {{name: r{octet:02x}, path: '{path}', {protection}}}\n")
            })
            .collect();
        let traffic =
            loaded(&format!("{routes}  - {{name: s, path: /s, {protection}}}\n{CATCH_ALL}"), "").snapshot.traffic;
        for octet in 0..=u8::MAX {
            for escape in
                [format!("%{octet:02x}"), format!("%{octet:02X}"), format!("%25{octet:02x}"), format!("%25{octet:02X}")]
            {
                let path = format!("/p{octet:02x}-a{escape}b");
                let found = outcome(&traffic, &path);
                assert!(found == "400" || found == format!("r{octet:02x}"), "{path} beside {protection}: {found}");
                let is_ignored = octet <= b' ' || (0x7f..=0xa0).contains(&octet) || b"./\\;?#".contains(&octet);
                for path in [format!("/s{escape}"), format!("/s{escape}{escape}")] {
                    let found = outcome(&traffic, &path);
                    let expected = if is_ignored && octet != b'/' && octet != b'\\' { "400" } else { "all" };
                    assert_eq!(found, expected, "{path} beside {protection}");
                }
            }
        }
    }
}

#[test]
fn routes_that_treat_requests_alike_keep_all_paths() {
    let spelled = ["//admin", "/admin;x", "/%2fadmin", "/ADMIN", "/%2561dmin", "/admin%20", "/login;x", "/x/..;/admin"];
    for (admin, all, is_refused) in [
        // The backend of the other route is not reached.
        ("upstreams: other", "upstreams: app, auth: {type: none}", false),
        ("upstreams: app", "upstreams: app", false),
        ("upstreams: app", "upstreams: other", false),
        ("upstreams: app, auth: {type: none}", "upstreams: app", false),
        ("upstreams: app, auth: {type: none}", "auth: {type: none}, respond: {status: 404}", false),
        ("upstreams: same", "upstreams: app, auth: {type: none}", true),
        (
            "upstreams: app, addresses: {deny: [203.0.113.0/24]}",
            "upstreams: app, addresses: {deny: [203.0.113.0/24]}",
            false,
        ),
        ("upstreams: app, addresses: {allow: [203.0.113.0/24]}", "upstreams: app", true),
        ("upstreams: app, auth: {type: jwt, use: staff}", "upstreams: app", true),
        (
            "upstreams: app, auth: {type: jwt, use: staff, require: {role: a}}",
            "upstreams: app, auth: {type: jwt, use: staff}",
            true,
        ),
        (
            "upstreams: app, auth: {any: [{type: jwt, use: staff}, {type: key}]}",
            "upstreams: app, auth: {any: [{type: jwt, use: staff}, {type: key}]}",
            false,
        ),
        ("upstreams: app, auth: {any: [{type: key}, {type: none}]}", "upstreams: app, auth: {type: none}", false),
        ("upstreams: app, sizes: {body: 1KiB}", "upstreams: app, sizes: {body: 1KiB}", false),
        ("upstreams: app, sizes: {body: 2KiB}", "upstreams: app, sizes: {body: 1KiB}", false),
        ("upstreams: app, sizes: {body: 1KiB}", "upstreams: app, sizes: {body: 2KiB}", true),
        ("upstreams: app, sizes: {body: 1GiB}", "upstreams: app", false),
        ("upstreams: app", "upstreams: app, sizes: {body: 1GiB}", true),
        ("upstreams: app, credits: 5", "upstreams: app", true),
        ("upstreams: app", "upstreams: app, credits: 5", false),
    ] {
        let routes = format!(
            "  - {{name: admin, path: {{prefix: /admin}}, {admin}}}\n  - {{name: all, path: {{prefix: /}}, {all}}}\n"
        );
        let traffic = loaded(&routes, "").snapshot.traffic;
        for path in spelled {
            let is_of_admin = path != "/login;x";
            let expected = if is_refused && is_of_admin { "400" } else { "all" };
            assert_eq!(outcome(&traffic, path), expected, "{path}: {routes}");
        }
    }
}

#[test]
fn the_host_the_method_and_the_conditions_decide_about_the_other_route_too() {
    let routes = "  - {name: a, host: a.example, path: /admin, upstreams: app}\n  \
        - {name: post, path: /post, methods: [POST], upstreams: app}\n  \
        - {name: field, path: /field, headers: {X-A: '1'}, upstreams: app}\n";
    let traffic = loaded(&format!("{routes}{CATCH_ALL}"), "").snapshot.traffic;
    let of = |method, host: &str, path, fields| {
        let parts = &WrittenParts { fields, ..WrittenParts::default() };
        let requested = RouteRequest { method, host: host.as_bytes(), path, listener: 0, parts };
        let Selection::Route(route) = traffic.select(requested) else { panic!("{path}") };
        traffic.path_refusal(requested, route).is_some()
    };
    assert!(of("GET", "A.example:80", "//admin", &[]) && !of("GET", "b.example", "//admin", &[]));
    assert!(of("POST", "h", "//post", &[]) && !of("GET", "h", "//post", &[]));
    assert!(of("GET", "h", "/FIELD", &[("x-a", "1")]) && !of("GET", "h", "/FIELD", &[("x-a", "2")]));
    assert!(of("GET", "h", "/FIELD", &[("x-a", "2"), ("x-a", "1")]), "the values disagree about the other route");
}

#[test]
fn a_configured_path_is_served_in_its_own_spelling() {
    let routes = "  - {name: open, path: '/otp%3Asend', upstreams: app, auth: {type: none}}\n  \
        - {name: upper, path: /A, upstreams: app, auth: {type: none}}\n  \
        - {name: lower, path: /a, upstreams: app}\n  \
        - {name: all, path: {prefix: /}, upstreams: app}\n";
    let traffic = loaded(routes, "").snapshot.traffic;
    for (path, expected) in [("/otp%3asend", "open"), ("/a", "lower"), ("/A", "400"), ("/otp:send", "all")] {
        assert_eq!(outcome(&traffic, path), expected, "{path}");
    }
}

#[test]
fn dot_segments_that_appear_do_not_leave_the_routes() {
    let routes = "  - {name: public, path: {prefix: /public}, upstreams: app, auth: {type: none}}\n  \
        - {name: users, path: {prefix: /users}, upstreams: app}\n";
    let traffic = loaded(routes, "").snapshot.traffic;
    for (path, expected) in [
        ("/public/..;/admin", "400"),
        ("/public/%252e%252e/admin", "400"),
        ("/public/..%20/users", "400"),
        ("/public/x/..;/y", "public"),
        ("/public/a%2Fb", "public"),
        ("/users/..;/admin", "400"),
    ] {
        assert_eq!(outcome(&traffic, path), expected, "{path}");
    }
}

#[test]
fn long_paths_have_no_characters_that_may_change() {
    let routes = format!("  - {{name: admin, path: /admin, upstreams: app}}\n{CATCH_ALL}");
    let traffic = loaded(&routes, "").snapshot.traffic;
    let long = "/a".repeat(5_000);
    assert_eq!(outcome(&traffic, &long), "all");
    assert_eq!(outcome(&traffic, &format!("{long}%20")), "400");
}

#[test]
fn paths_relax_the_rule_by_name() {
    let routes = format!("  - {{name: admin, path: {{prefix: /admin}}, upstreams: app}}\n{CATCH_ALL}");
    let all = ["//admin", "/%2Fadmin", "/admin%2Fx", "/admin;x", "/admi%6E%40", "/ADMIN", "/%2561dmin", "/admin%20"];
    let check = |paths: &str, accepted: &[&str]| {
        let loaded = loaded(&routes, paths);
        let traffic = &loaded.snapshot.traffic;
        let found: Vec<&str> = all.into_iter().filter(|path| outcome(traffic, path) == "all").collect();
        assert_eq!(found, accepted, "{paths}");
        loaded.notes.iter().filter(|note| matches!(note, Note::SpellingsRefused { .. })).count()
    };
    let always = "/admi%6E%40";
    assert_eq!(check("", &[always]), 1);
    assert_eq!(check("paths: {merge_slashes: true}", &[always]), 1);
    check("paths: {merge_slashes: false}", &["//admin", "/%2Fadmin", always]);
    check("paths: {encoded_slashes: keep}", &["/%2Fadmin", "/admin%2Fx", always]);
    let both = "paths: {encoded_slashes: keep, merge_slashes: false}";
    check(both, &["//admin", "/%2Fadmin", "/admin%2Fx", always]);
    check("paths: {semicolons: keep}", &["/admin;x", always]);
    check("paths: {letter_case: keep}", &[always, "/ADMIN"]);
    check("paths: {double_escapes: keep}", &[always, "/%2561dmin"]);
    check("paths: {blanks: keep}", &[always, "/admin%20"]);
    check("paths: {reserved_escapes: keep}", &[always, "/admin%20"]);
    let none = "paths: {merge_slashes: false, encoded_slashes: keep, semicolons: keep, reserved_escapes: keep, \
                double_escapes: keep, letter_case: keep, blanks: keep}";
    assert_eq!(check(none, &all), 0);
    let traffic = loaded(
        "  - {name: all, path: {prefix: /}, upstreams: app}\n",
        "paths: {encoded_slashes: refuse, semicolons: refuse}",
    );
    for (path, expected) in [("/a%2fb", "400"), ("/a\\b", "400"), ("/a;b", "400"), ("/a%3Bb", "400"), ("//a", "all")] {
        assert_eq!(outcome(&traffic.snapshot.traffic, path), expected, "{path}");
    }
    let traffic = snapshot("paths: {merge_slashes: true}").traffic;
    assert_eq!(traffic.merged_path("//a//b").as_deref(), Some("/a/b"));
    assert_eq!(snapshot("").traffic.merged_path("//a"), None);
}

#[test]
fn refused_spellings_are_noted_and_explained() {
    let routes =
        format!("  - {{path: {{prefix: /admin}}, upstreams: app}}\n  - {{path: /b, upstreams: same}}\n{CATCH_ALL}");
    let loaded = loaded(&routes, "");
    let notes = loaded.notes.iter().filter(|note| matches!(note, Note::SpellingsRefused { .. }));
    let notes: Vec<String> = notes.map(Note::to_string).collect();
    let expected = "t.yaml:11:5: the route all refuses //admin /%2Fadmin /admin;x /ADMIN /admin%20 /%2561dmin: backends may \
                    read them as the path of /admin (t.yaml:9:5), which treats requests otherwise; `paths` keeps them";
    assert_eq!(notes, [expected]);
    let explained = loaded.snapshot.explain(&crate::explain::WrittenRequest::parse("/%2Fadmin%20", &[]).unwrap());
    let refusal = explained.refusal.unwrap();
    assert_eq!((refusal.status, refusal.code), (400, "bad_request"));
    let expected = "a backend may read this path as /admin, whose route /admin treats requests otherwise: see `paths`";
    assert_eq!(refusal.message, expected);
    let parts = &WrittenParts::default();
    let requested = RouteRequest { method: "GET", host: b"", path: "//admin", listener: 0, parts };
    let Selection::Route(route) = loaded.snapshot.traffic.select(requested) else { panic!() };
    let refusal = loaded.snapshot.traffic.path_refusal(requested, route).unwrap();
    assert!(matches!(&refusal, PathRefusal::OtherReading { .. }) && !refusal.message().contains("admin"));
}
