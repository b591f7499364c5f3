//! Tests of `paths`, and of its defaults.

use super::*;

const UPSTREAMS: &str =
    "upstreams:\n  - {name: app, backends: [{url: http://h}]}\n  - {name: other, backends: [{url: http://i}]}\n";

/// Returns the notes, and which of these paths each route refuses.
fn refused(routes: &str, paths: &str) -> (Vec<String>, Vec<(String, String)>) {
    let loaded = read_text(&format!("{UPSTREAMS}{paths}\nroutes:\n{routes}")).unwrap_or_else(|error| panic!("{error}"));
    let notes = loaded.notes.iter().filter(|note| matches!(note, Note::OpenBesideProtected { .. }));
    let refused = |route: &crate::snapshot::Route| -> String {
        let cases = [("//", "//a"), ("%2F", "/%2fa"), (";", "/a;b")];
        let refused = cases.iter().filter(|(_, path)| route.refused_paths.refusal(path).is_some());
        refused.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    };
    let routes = loaded.snapshot.traffic.router.routes().iter();
    (
        notes.map(Note::to_string).collect(),
        routes.map(|route| (route.policy.name.to_string(), refused(route))).collect(),
    )
}

const OPEN_CATCH_ALL: &str = "  - {path: {prefix: /admin}, upstreams: app, auth: {type: key}}\n  - {path: {prefix: /}, upstreams: app, auth: {type: none}}\n";

/// `//admin`, `/%2fadmin` and `/admin;x` match the open route only, and some backends serve `/admin` for them.
#[test]
fn an_open_catch_all_beside_a_protected_route_refuses_ambiguous_paths_and_is_noted() {
    let (notes, refused) = refused(OPEN_CATCH_ALL, "");
    let expected = "t.yaml:7:5: the open route / has the upstream of the protected route /admin (t.yaml:6:5): a backend that \
                    ignores case serves /ADMIN as /admin to clients of the open one; protect both, or set all of `paths`";
    assert_eq!(notes, [expected]);
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    assert_eq!(refused, pairs(&[("/admin", ""), ("/", "// %2F ;")]));
}

#[test]
fn routes_that_share_no_upstream_with_a_protected_one_keep_all_paths() {
    for (routes, is_refused, is_noted) in [
        (
            "  - {path: /admin, upstreams: app}\n  - {path: {prefix: /}, upstreams: other, auth: {type: none}}\n",
            false,
            false,
        ),
        ("  - {path: {prefix: /}, upstreams: app, auth: {type: none}}\n", false, false),
        ("  - {path: {prefix: /}, upstreams: app}\n", false, false),
        (
            "  - {path: {prefix: /}, upstreams: app}\n  - {path: /login, upstreams: app, auth: {type: none}}\n",
            false,
            false,
        ),
        // `/public/..;/admin` reaches `/admin` of some backends.
        (
            "  - {path: /admin, upstreams: app}\n  - {path: {prefix: /public}, upstreams: app, auth: {type: none}}\n",
            true,
            false,
        ),
        (
            "  - {path: /admin, upstreams: app}\n  - {path: '/{page}', upstreams: app, auth: {type: none}}\n",
            true,
            false,
        ),
        (
            "  - {path: /a/admin, upstreams: app}\n  - {path: '/a/{*rest}', upstreams: app, auth: {type: none}}\n",
            true,
            true,
        ),
        (
            "  - {path: '/u/{id}', upstreams: app}\n  - {path: '/{*rest}', upstreams: app, auth: {any: [{type: key}, {type: none}]}}\n",
            true,
            true,
        ),
        (
            "  - {path: /admin, host: a.example, upstreams: app}\n  - {path: {prefix: /}, host: b.example, upstreams: app, auth: {type: none}}\n",
            false,
            false,
        ),
        (
            "  - {path: /admin, upstreams: [{name: app, weight: 1}, {name: other, weight: 1}]}\n  - {path: {prefix: /}, upstreams: other, auth: {type: none}}\n",
            true,
            true,
        ),
    ] {
        let (notes, refused) = refused(routes, "");
        assert_eq!(refused.last().unwrap().1, if is_refused { "// %2F ;" } else { "" }, "{routes}");
        assert_eq!(!notes.is_empty(), is_noted, "{routes}{notes:?}");
    }
}

#[test]
fn routes_refuse_ambiguous_paths_beside_routes_with_other_addresses_or_credentials() {
    let entries =
        "auth:\n  - {name: staff, type: jwt, secret: '0123456789abcdef0123456789abcdef', algorithms: [HS256]}\n";
    for (admin, all, is_refused, is_noted) in [
        ("auth: {type: none}, addresses: {allow: [203.0.113.0/24]}", "auth: {type: none}", true, true),
        ("auth: {type: key}, addresses: {allow: [203.0.113.0/24]}", "auth: {type: key}", true, false),
        ("auth: {type: key}, addresses: {deny: [203.0.113.0/24]}", "addresses: {deny: [203.0.113.0/24]}", false, false),
        ("auth: {type: none}", "auth: {type: none}, addresses: {allow: [203.0.113.0/24]}", false, false),
        ("auth: {type: jwt, use: staff}", "auth: {type: key}", true, false),
        ("auth: {type: jwt, use: staff, require: {role: admin}}", "auth: {type: jwt, use: staff}", true, false),
        ("auth: {type: jwt, use: staff}", "auth: {type: jwt, use: staff}", false, false),
        (
            "auth: {any: [{type: jwt, use: staff}, {type: key}]}",
            "auth: {any: [{type: jwt, use: staff}, {type: key}]}",
            false,
            false,
        ),
        ("auth: {type: none}", "auth: {type: key}", false, false),
    ] {
        let routes = format!(
            "  - {{path: {{prefix: /admin}}, upstreams: app, {admin}}}\n  - {{path: {{prefix: /}}, upstreams: app, {all}}}\n"
        );
        let (notes, refused) = refused(&routes, entries);
        assert_eq!(refused.last().unwrap().1, if is_refused { "// %2F ;" } else { "" }, "{routes}");
        assert_eq!(!notes.is_empty(), is_noted, "{routes}{notes:?}");
    }
}

#[test]
fn paths_decide_for_all_routes() {
    for (paths, on_admin, on_open, is_noted) in [
        ("paths: {merge_slashes: true}", "", "%2F ;", true),
        ("paths: {merge_slashes: false, encoded_slashes: keep, semicolons: keep}", "", "", false),
        ("paths: {encoded_slashes: refuse}", "%2F", "// %2F ;", true),
        ("paths: {merge_slashes: true, encoded_slashes: refuse, semicolons: refuse}", "%2F ;", "%2F ;", false),
    ] {
        let (notes, refused) = refused(OPEN_CATCH_ALL, paths);
        let found: Vec<&str> = refused.iter().map(|(_, refused)| refused.as_str()).collect();
        assert_eq!((found, notes.is_empty()), (vec![on_admin, on_open], !is_noted), "{paths}");
    }
    let traffic = snapshot("paths: {merge_slashes: true}").traffic;
    assert_eq!(traffic.merged_path("//a//b").as_deref(), Some("/a/b"));
    assert_eq!(snapshot("").traffic.merged_path("//a"), None);
}
