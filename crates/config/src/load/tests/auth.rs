//! The entries of `auth`, and the authentication of routes.

use std::sync::Arc;

use access::credentials::jwt::Algorithm;

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::JwtRule;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const LISTED: &str = "a-key-of-a-partner";
/// The bcrypt hash of `swordfish`.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.";
/// An Ed25519 key (RFC 8410, 10.1).
const PEM: &str = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n";
const UPSTREAM: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]\n";

fn rule(auth: &Auth) -> &JwtRule {
    match auth {
        Auth::Jwt(rule) => rule,
        Auth::Key
        | Auth::None
        | Auth::Listed(_)
        | Auth::Basic(_)
        | Auth::Forward(_)
        | Auth::Redis(_)
        | Auth::Any(_) => {
            panic!("{auth:?}")
        }
    }
}

#[test]
fn routes_use_the_named_or_the_only_entry() {
    let snapshot = snapshot(&format!(
        "{UPSTREAM}auth:
  - name: hmac
    type: jwt
    algorithms: [HS256, HS256]
    secret: {SECRET}
    audience: api
    claims_to_headers: {{sub: X-User-Id, 'https://h/team': x_team}}
routes:
  - {{path: /a, upstreams: u, auth: {{type: jwt}}}}
  - {{path: /b, upstreams: u, auth: {{type: jwt, use: hmac, require: {{scope: a b, level: 3, ok: true}}}}}}
"
    ));
    let routes = snapshot.traffic.router.routes();
    let first = rule(&routes[0].policy.auth);
    let second = rule(&routes[1].policy.auth);
    assert!(Arc::ptr_eq(&first.entry, &second.entry));
    let entry = &first.entry;
    assert_eq!((&*entry.name, &*entry.terms.algorithms), ("hmac", &[Algorithm::Hs256] as &[_]));
    assert_eq!((entry.terms.leeway.as_secs(), entry.terms.subject_issuer.as_str()), (10, "hmac"));
    let headers: Vec<_> = entry.claims_to_headers.iter().map(|set| (&*set.claim, &*set.header)).collect();
    assert_eq!(headers, [("sub", "X-User-Id"), ("https://h/team", "x_team")]);
    let required: Vec<_> = second.require.iter().map(|required| (&*required.claim, &*required.value)).collect();
    assert_eq!(required, [("scope", "a b"), ("level", "3"), ("ok", "true")]);
    assert!(!format!("{entry:?}").contains(SECRET), "{entry:?}");
}

#[test]
fn a_public_key_has_its_algorithm() {
    let entry = |algorithms: &str| {
        format!("auth: [{{name: a, type: jwt, public_key: \"{PEM}\", issuer: 'https://h', algorithms: {algorithms}}}]")
    };
    assert!(read_text(&entry("[EdDSA]")).is_ok());
    for algorithms in ["[HS256]", "[EdDSA, HS512]"] {
        let error = read_text(&entry(algorithms)).map(|_| ()).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        assert!(error.problems[0].message.contains("does not support this algorithm"), "{error}");
    }
}

#[test]
fn the_algorithm_must_fit_the_key() {
    check(
        &format!("auth:\n  - {{name: a, type: jwt, secret: {SECRET}, algorithms: [HS256, RS256]}}\n"),
        "
error[bad_value]: the key of `auth[0]` does not support this algorithm
 --> t.yaml:2:88
  |
2 |   - {name: a, type: jwt, secret: ***, algorithms: [HS256, RS256]}
  |                                                           ^^^^^ expected `HS…` with `secret`, `RS…` and `PS…` with an RSA key, `ES256` with P-256, `ES384` with P-384, `EdDSA` with Ed25519",
    );
}

#[test]
fn invalid_entries_are_refused_at_their_place() {
    let jwt = |rest: &str| format!("auth: [{{name: a, type: jwt, {rest}}}]");
    let fine = format!("algorithms: [HS256], secret: {SECRET}");
    let pem = format!("\"{PEM}\"");
    let key = |keys: &[(&str, &str, &str)]| {
        let keys: Vec<String> = keys.iter().map(|(name, of, key)| format!("{{name: {name}, {of}: {key}}}")).collect();
        format!("auth: [{{name: a, type: key, keys: [{}]}}]", keys.join(", "))
    };
    let forward = |rest: &str| format!("auth: [{{name: a, type: forward, {rest}}}]");
    let basic = |users: &str| format!("auth: [{{name: a, type: basic, users: [{users}]}}]");
    for (source, code, at) in [
        ("auth: [{type: jwt}]".to_owned(), "missing", "{type"),
        ("auth: [{name: a, type: oauth}]".to_owned(), "bad_value", "oauth"),
        ("auth: [{name: a, type: forward}]".to_owned(), "missing", "{name"),
        (forward("url: 'h2c://h/'"), "bad_value", "'h2c"),
        (forward("url: 'http://u:p@h/'"), "bad_value", "'http"),
        (forward("url: 'http://h/', timeout: 31s"), "bad_value", "31s"),
        (forward("url: 'http://h/', headers_to_upstream: [Host]"), "bad_value", "Host"),
        (forward("url: 'http://h/', tls: {server_name: h}"), "bad_value", "tls:"),
        (forward("url: 'http://h/', cache_by: [Cookie]"), "bad_value", "Cookie"),
        (forward("url: 'http://h/', users: [{name: u, hash: x}]"), "bad_value", "{name: a"),
        ("auth: [{name: a, type: basic}]".to_owned(), "missing", "{name"),
        ("auth: [{name: a, type: basic, users: []}]".to_owned(), "bad_value", "users"),
        (basic("{name: u}"), "missing", "{name: u"),
        (basic("{name: u, hash: secret}"), "bad_value", "secret"),
        (basic("{name: 'u:v', hash: '$2b$10$x'}"), "bad_value", "'u:v"),
        (basic(&format!("{{name: u, hash: '{}'}}", HASH.replace("$04$", "$15$"))), "bad_value", "'$2b$15"),
        (
            basic("{name: u, hash: '$argon2id$v=19$m=65537,t=1,p=1$YSBzYWx0IG9mIHRlc3RzIQ$vQs0X0mFnlBVh6mFAhs29A'}"),
            "bad_value",
            "'$argon2id",
        ),
        (basic(&format!("{{name: u, hash: '{HASH}'}}, {{name: 'u', hash: '{HASH}'}}")), "duplicate", "'u'"),
        (basic(&format!("{{name: u, hash: '{HASH}'}}], plan: {{claim: p}}, audience: [x")), "bad_value", "{name: a"),
        ("auth: [{name: a, type: key}]".to_owned(), "missing", "{name"),
        ("auth: [{name: a, type: key, keys: []}]".to_owned(), "bad_value", "keys"),
        (key(&[("k", "value", "too-short")]), "bad_value", "too-short"),
        (key(&[("k", "sha256", "9f9f")]), "bad_value", "9f9f"),
        (key(&[("k", "value", LISTED), ("k", "value", "another-partner-key")]), "duplicate", "k, value: another"),
        (key(&[("k", "value", LISTED), ("l", "value", LISTED)]), "duplicate", "{name: l"),
        ("auth: [{name: a, type: key, keys: [{name: k}]}]".to_owned(), "missing", "{name: k"),
        (
            format!("auth: [{{name: a, type: key, issuer: x, keys: [{{name: k, value: {LISTED}}}]}}]"),
            "bad_value",
            "{name: a",
        ),
        (jwt(&format!("{fine}, keys: [{{name: k, value: {LISTED}}}]")), "bad_value", "{name: a"),
        (jwt("algorithms: [HS256]"), "missing", "{name"),
        (jwt(&format!("secret: {SECRET}")), "missing", "{name"),
        (jwt(&format!("algorithms: [], secret: {SECRET}")), "bad_value", "algorithms"),
        (jwt(&format!("algorithms: [none], secret: {SECRET}")), "bad_value", "none"),
        (jwt(&format!("algorithms: [hs256], secret: {SECRET}")), "bad_value", "hs256"),
        (jwt("algorithms: [HS256], secret: short"), "bad_value", "short"),
        (jwt(&format!("algorithms: [HS512], secret: {SECRET}")), "bad_value", SECRET),
        (jwt(&format!("algorithms: [HS256], secret: {pem}")), "bad_value", "\"---"),
        (jwt("algorithms: [RS256], public_key: x"), "bad_value", "x}"),
        (jwt(&format!("{fine}, public_key: {pem}")), "bad_value", "{name"),
        (jwt(&format!("{fine}, leeway: 6m")), "bad_value", "6m"),
        (jwt(&format!("{fine}, claims_to_headers: {{sub: Host}}")), "bad_value", "Host"),
        (jwt(&format!("{fine}, claims_to_headers: {{sub: X_Forwarded_For}}")), "bad_value", "X_For"),
        (jwt(&format!("{fine}, claims_to_headers: {{id: 'X Y'}}")), "bad_value", "'X Y"),
        (jwt(&format!("{fine}, claims_to_headers: {{sub: X-User, id: x_user}}")), "duplicate", "x_user"),
        (format!("auth: [{{name: a, type: jwt, {fine}}}, {{name: 'a', type: jwt, {fine}}}]"), "duplicate", "'a'"),
    ] {
        check_place(&source, code, at);
    }
}

/// Checks the code of the first error, and that its column is that of the text `at`.
#[track_caller]
fn check_place(source: &str, code: &str, at: &str) {
    let error = read_text(source).map(|_| ()).unwrap_err();
    let found = error.problems.first().unwrap();
    let column = u32::try_from(source.find(at).unwrap() + 1).unwrap();
    assert_eq!((found.code.name(), found.place.unwrap().column), (code, column), "{source}\n{error}");
}

#[test]
fn no_issuer_of_tokens_is_the_name_of_another_entry() {
    let tokens = |name: &str, more: &str| {
        format!("  - {{name: {name}, type: jwt, algorithms: [HS256], secret: {SECRET}{more}}}\n")
    };
    let of_issuer = tokens("a", ", issuer: partners");
    let keys = format!("  - {{name: partners, type: key, keys: [{{name: ada, value: {LISTED}}}]}}\n");
    check(
        &format!("auth:\n{of_issuer}{keys}"),
        "
error[duplicate]: `auth[0].issuer` is the name of another entry: clients of both would be one subject
 --> t.yaml:2:97
  |
2 |   - {name: a, type: jwt, algorithms: [HS256], secret: ***, issuer: partners}
  |                                                                    ^^^^^^^^ expected another name of that entry
  = the first is at t.yaml:3:12",
    );
    let forward = "  - {name: partners, type: forward, url: 'http://h/'}\n";
    let users = format!("  - {{name: partners, type: basic, users: [{{name: ada, hash: '{HASH}'}}]}}\n");
    for (other, is_valid) in [
        (tokens("partners", ""), false),
        (tokens("partners", ", issuer: other"), true),
        (forward.to_owned(), false),
        (users, true),
    ] {
        let source = format!("auth:\n{other}{of_issuer}");
        assert_eq!(read_text(&source).is_ok(), is_valid, "{source}");
    }
    assert!(read_text(&format!("auth:\n{}", tokens("own", ", issuer: own"))).is_ok());
}

#[test]
fn credits_that_no_quota_counts_are_noted() {
    let source = |plan: &str, route: &str| {
        format!(
            "{UPSTREAM}auth:\n  - {{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}{plan}}}\n  \
             - {{name: ops, type: basic, users: [{{name: ada, hash: '{HASH}'}}]}}\n\
             routes:\n  - {{path: /a, credits: 5, {route}, upstreams: u}}\n"
        )
    };
    let notes = |plan: &str, route: &str| {
        let environment = Environment::default();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let notes = load_text("t.yaml", &source(plan, route), sources).unwrap().notes;
        notes.iter().filter(|note| matches!(note, Note::CreditsUnused { .. })).map(Note::to_string).collect::<Vec<_>>()
    };
    let noted = [
        "t.yaml:6:25: `credits` of the route /a has no effect, as no client of it has a quota: set `auth` to an entry \
         with `plan`, or remove `credits`",
    ];
    assert_eq!(notes("", "auth: {type: jwt}"), noted);
    assert_eq!(notes("", "auth: {type: none}"), noted);
    assert_eq!(notes(", plan: pro", "auth: {any: [{type: basic}, {type: none}]}"), noted);
    for (plan, route) in [
        (", plan: pro", "auth: {type: jwt}"),
        (", plan: {claim: plan}", "auth: {any: [{type: basic}, {type: jwt}]}"),
        ("", "auth: {any: [{type: jwt}, {type: key}]}"),
        ("", "methods: [GET]"),
    ] {
        assert!(notes(plan, route).is_empty(), "{plan} {route}");
    }
}

/// The schema cannot compare addresses.
#[test]
fn key_sets_at_metadata_addresses_are_refused_at_their_place() {
    let environment = Environment::default();
    for (url, more, is_valid) in [
        ("jwks: 'https://169.254.169.254/keys'", "", false),
        ("jwks: 'https://[fe80::1]/keys'", "", false),
        ("issuer: 'https://169.254.169.254/'", "", false),
        ("jwks: 'http://example.com/keys'", "", false),
        ("jwks: 'https://169.254.169.254/keys'", ", allow_link_local: true", true),
        ("jwks: 'https://example.com/keys'", "", true),
    ] {
        let source = format!("auth: [{{name: a, type: jwt, algorithms: [RS256], {url}{more}}}]");
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let error = load_text("t.yaml", &source, sources).err();
        let found =
            error.and_then(|error| error.problems.first().map(|found| (found.code, found.place.unwrap().column)));
        let column = u32::try_from(source.find("'http").unwrap() + 1).unwrap();
        assert_eq!(found, (!is_valid).then_some((Code::BadValue, column)), "{source}");
    }
}

/// The schema cannot compare addresses.
#[test]
fn no_url_names_a_metadata_address_unless_the_file_allows_it() {
    type Source = fn(&str, &str) -> String;
    let kinds: [(&str, Source); 3] = [
        ("h2c", |url, more| format!("upstreams: [{{name: u, backends: [{{url: '{url}'}}]{more}}}]")),
        ("http", |url, more| {
            format!("providers: [{{name: p, kind: anthropic, credential: x, base_url: '{url}'{more}}}]")
        }),
        ("https", |url, more| format!("auth: [{{name: a, type: forward, url: '{url}'{more}}}]")),
    ];
    let read = |source: &str| {
        let environment = Environment::default();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        load_text("t.yaml", source, sources).map_err(|error| {
            let found = &error.problems[0];
            (error.problems.len(), found.code.name(), found.place.unwrap().column)
        })
    };
    let hosts = [
        ("169.254.169.254", true),
        ("169.254.169.254:8080", true),
        ("[fe80::1]", true),
        ("[::ffff:169.254.169.254]", true),
        ("[::ffff:a9fe:a9fe]:80", true),
        ("[64:ff9b::a9fe:a9fe]", true),
        ("[fd00:ec2::254]", true),
        ("100.100.100.200", true),
        // No URL has these forms, which the resolver of the system reads as addresses.
        ("0xa9fea9fe", false),
        ("0251.0376.0251.0376", false),
        ("2852039166", false),
        ("169.16689662", false),
    ];
    for (host, may_be_allowed) in hosts {
        for (scheme, source) in kinds {
            let url = format!("{scheme}://{host}");
            let refused = read(&source(&url, ""));
            let column = u32::try_from(source(&url, "").find(&format!("'{url}")).unwrap() + 1).unwrap();
            assert_eq!(refused.map(|_| ()), Err((1, "bad_value", column)), "{url}");
            assert_eq!(read(&source(&url, ", allow_link_local: true")).is_ok(), may_be_allowed, "{url}");
        }
    }
    assert!(read(&kinds[0].1("http://10.0.0.1", "")).is_ok());
}

#[test]
fn a_short_secret_needs_a_word() {
    let source = |secret: &str, more: &str| {
        format!("auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {secret}{more}}}]")
    };
    let error = read_text(&source("s3cr3t", "")).map(|_| ()).unwrap_err();
    assert_eq!(
        error.problems[0].expected.as_deref(),
        Some("at least 32 bytes, as `algorithms` requires, or `weak_secret: true`")
    );
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    assert!(read_text(&source("s3cr3t", ", weak_secret: true")).is_ok());
    assert!(read_text(&source(SECRET, ", weak_secret: true")).is_ok());
    check_place(
        "auth: [{name: a, type: key, weak_secret: true, keys: [{name: k, value: 0123456789abcdef}]}]",
        "bad_value",
        "{name: a",
    );
}

#[test]
fn an_entry_has_one_source_of_keys() {
    let redis = "redis: 'redis://h'";
    let both = format!("keys: [{{name: k, value: {LISTED}}}], redis: {{}}");
    check_place("auth: [{name: a, type: key, redis: {}}]", "missing", "{name");
    check_place(&format!("{{{redis}, auth: [{{name: a, type: key, {both}}}]}}"), "bad_value", "{name: a");
    check_place(&format!("{{{redis}, auth: [{{name: a, type: basic, redis: {{}}}}]}}"), "bad_value", "{name: a");
    check_place(
        &format!("{{{redis}, auth: [{{name: a, type: key, redis: {{prefix: 'a b'}}}}]}}"),
        "bad_value",
        "'a b'",
    );
}

#[test]
fn routes_name_an_entry_that_exists() {
    let entry = |name: &str| format!("{{name: {name}, type: jwt, algorithms: [HS256], secret: {SECRET}}}");
    let source = |auth: &str, route: &str| {
        format!("auth: [{auth}]\n{UPSTREAM}routes: [{{path: /a, upstreams: u, auth: {{{route}}}}}]")
    };
    let two = format!("{}, {}", entry("a"), entry("b"));
    check_codes(&source("", "type: jwt"), &[("unknown_name", 3, 35)]);
    check_codes(&source(&two, "type: jwt"), &[("unknown_name", 3, 35)]);
    check_codes(&source(&two, "type: jwt, use: c"), &[("unknown_name", 3, 58)]);
    check_codes(&source(&two, "type: key, use: a"), &[("unknown_name", 3, 35)]);
    check_codes(&source(&two, "type: none, require: {scope: x}"), &[("bad_value", 3, 35)]);
    check_codes(&source(&two, "type: jwt, use: a, require: {scope: ''}"), &[("bad_value", 3, 78)]);
    check_codes(&source(&two, "use: a"), &[("missing", 3, 35)]);
    assert!(read_text(&source(&two, "type: jwt, use: b")).is_ok());
}

#[test]
fn users_have_hashes_that_do_not_print() {
    let entry = format!("{{name: ops, type: basic, users: [{{name: ada, hash: '{HASH}'}}], plan: starter}}");
    let snapshot = snapshot(&format!("auth: [{entry}]\nroutes: [{{path: /a, auth: {{type: basic}}, respond: {{}}}}]"));
    let Auth::Basic(entry) = &snapshot.traffic.router.routes()[0].policy.auth else { panic!("another type") };
    assert_eq!((entry.name.as_str(), entry.plan.as_deref()), ("ops", Some("starter")));
    assert!(!format!("{entry:?}").contains("swordfish") && !format!("{entry:?}").contains("$2b$"), "{entry:?}");
    assert!(!snapshot.traffic.rate_limits.is_empty(), "the rate limit of the plan applies");
}

#[test]
fn keys_in_redis_need_a_redis_and_any_of_them_may_have_a_plan() {
    let entry = "auth: [{name: a, type: key, redis: {}}]\nroutes: [{path: /a, auth: {type: key, use: a}, respond: {}}]";
    check(
        entry,
        "
error[missing]: `auth[0]` has keys in Redis, and the file has no Redis
 --> t.yaml:1:8
  |
1 | auth: [{name: a, type: key, redis: {}}]
  |        ^ expected the URL of Redis in `redis`",
    );
    let snapshot = snapshot(&format!("redis: redis://h\n{entry}"));
    let Auth::Redis(entry) = &snapshot.traffic.router.routes()[0].policy.auth else { panic!("another type") };
    assert_eq!((entry.name.as_str(), &*entry.prefix, &entry.plan), ("a", "tollgate:key:", &None));
    assert!(!snapshot.traffic.rate_limits.is_empty(), "the rate limit of a plan may apply");
}

#[test]
fn alternatives_have_different_credentials() {
    let source = |any: &str| {
        format!(
            "redis: redis://h\nauth: [{{name: shared, type: key, redis: {{}}}}, {{name: more, type: key, redis: {{prefix: m}}}}, {{name: listed, type: key, keys: [{{name: k, value: {LISTED}}}]}}, \
             {{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}}}, {{name: b, type: jwt, algorithms: [HS256], secret: {SECRET}, issuer: i}}, \
             {{name: ops, type: basic, users: [{{name: ada, hash: '{HASH}'}}]}}, {{name: gate, type: forward, url: 'http://h/'}}]\n\
             routes: [{{path: /a, respond: {{}}, auth: {{{any}}}}}]"
        )
    };
    for any in [
        "any: [{type: jwt, use: b}, {type: jwt, use: a}, {type: key}, {type: basic}, {type: none}]",
        "any: [{type: key}, {type: forward}]",
        "any: [{type: key, use: listed}, {type: key, use: shared}, {type: key}]",
        "any: [{type: key}]",
    ] {
        let snapshot = snapshot(&source(any));
        assert!(matches!(snapshot.traffic.router.routes()[0].policy.auth, Auth::Any(_)), "{any}");
    }
    for (any, code) in [
        ("any: []", "bad_value"),
        ("any: [{}]", "missing"),
        ("any: [{use: a}]", "missing"),
        ("any: [{type: jwt, use: a}, {type: jwt, use: b}]", "bad_value"),
        ("any: [{type: none}, {type: key}]", "bad_value"),
        ("any: [{type: key, use: shared}, {type: key, use: more}]", "bad_value"),
        ("any: [{type: key, use: shared}, {type: key, use: listed}]", "bad_value"),
        ("any: [{type: forward}, {type: key}]", "bad_value"),
        ("any: [{type: basic}, {type: basic, use: ops}]", "bad_value"),
        ("any: [{any: [{type: key}]}]", "missing"),
        ("type: key, any: [{type: basic}]", "bad_value"),
    ] {
        let error = read_text(&source(any)).map(|_| ()).unwrap_err();
        assert_eq!(error.problems.first().unwrap().code.name(), code, "{any}\n{error}");
    }
}

#[test]
fn one_mistake_in_auth_is_one_error() {
    let upstream = "upstreams: [{name: u, backends: [{url: http://h}]}]\n";
    let route = |auth: &str| format!("{upstream}routes: [{{path: /a, upstreams: u, auth: {auth}}}]\n");
    check(
        &route("{type: jwt, use: partners}"),
        "
error[unknown_name]: no entry of `auth` is named `partners`
 --> t.yaml:2:58
  |
2 | routes: [{path: /a, upstreams: u, auth: {type: jwt, use: partners}}]
  |                                                          ^^^^^^^^ expected an entry of `auth`, which is empty",
    );
    check_codes(&route("{any: [{type: jwt, use: partners}, {type: key}]}"), &[("unknown_name", 2, 65)]);
    let misspelled = format!("{}auths: [{{name: partners, type: key}}]\n", route("{type: key, use: partners}"));
    check_codes(&misspelled, &[("unknown_key", 3, 1)]);
}
