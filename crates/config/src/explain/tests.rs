use super::*;
use crate::load::load_text;
use crate::{Environment, Flags, LoadedConfig, Sources};

const CONFIG: &str = "\
upstreams:
  - {name: users, backends: [{url: 'http://127.0.0.1:9001/base'}, {url: 'http://127.0.0.1:9002', weight: 3}]}
  - {name: next, backends: [{url: 'https://next.internal'}]}
auth:
  - {name: accounts, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}
rate_limits:
  - {dimension: user, limit: 20, window: 1m}
  - {dimension: ip, limit: 100, window: 60s}
routes:
  - {name: user, host: api.example.com, path: '/users/{id}', methods: [GET], upstreams: users}
  - {name: beta, host: api.example.com, path: '/users/{id}', headers: {X-Preview: 'on'}, auth: {type: jwt, require: {scope: write}},
     upstreams: [{name: users, weight: 95}, {name: next, weight: 5}],
     transformations: {request: {rewrite: {path: '/v2/{id}', query: {add: {a: b}}}}}}
  - {name: all, path: {prefix: /users}, auth: {type: none}, upstreams: users, rate_limit: {requests: 5, window: 1s}}
  - {path: '/old/{id}', auth: {type: none}, redirect: {to: '/users/{id}', status: 308}}
  - {path: /robots.txt, auth: {type: none}, respond: {body: none}}
  - {name: join, path: {regex: '^/j/'}, auth: {type: none}, upstreams: users,
     transformations: {request: {rewrite: {path: {regex: '-', to: ''}}}}}
";

fn config(source: &str) -> Result<LoadedConfig, crate::ConfigError> {
    let environment = Environment::default();
    load_text("t.yaml", source, Sources { file: None, environment: &environment, flags: Flags::default() })
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn explain(line: &str, pairs: &[(&str, &str)]) -> Explanation {
    config(CONFIG).unwrap().snapshot.explain(&WrittenRequest::parse(line, &fields(pairs)).unwrap())
}

#[track_caller]
fn check(line: &str, pairs: &[(&str, &str)], expected: &str) {
    assert_eq!(explain(line, pairs).to_string(), expected.trim_start_matches('\n'), "{line}");
}

#[test]
fn an_explanation_names_the_route_the_limits_and_the_backends_with_their_lines() {
    check(
        "GET https://api.example.com/users/7?x=1",
        &[],
        "
GET api.example.com/users/7?x=1

route           user (t.yaml:10:5)
                the host is api.example.com
                the path matches /users/{id}
                the method is one of GET, HEAD
not used        beta (t.yaml:11:5): it needs: header x-preview is `on`
                all (t.yaml:14:5): another route comes first in the order of precedence
authentication  a key
rate limits     ip: 100 requests in 60 s, before authentication (t.yaml:8:5)
                user: 20 requests in 60 s, after authentication (t.yaml:7:5)
action          forward
target          /users/7?x=1
upstream        users (t.yaml:2:5)
                http://127.0.0.1:9001/base/users/7?x=1 (weight 1)
                http://127.0.0.1:9002/users/7?x=1 (weight 3)
response        401 unauthorized: the route needs a key
",
    );
    check(
        "POST https://API.example.com:8080/users/7",
        &[("x_preview", "on"), ("Authorization", "Bearer x.y.z")],
        "
POST API.example.com:8080/users/7

route           beta (t.yaml:11:5)
                the host is api.example.com
                the path matches /users/{id}
                the header x-preview is `on`
not used        user (t.yaml:10:5): the method is not one of GET, HEAD
                all (t.yaml:14:5): another route comes first in the order of precedence
authentication  an access token of `accounts` (t.yaml:5:5)
                with the claim scope = write
rate limits     ip: 100 requests in 60 s, before authentication (t.yaml:8:5)
                user: 20 requests in 60 s, after authentication (t.yaml:7:5)
action          forward
target          /v2/7?a=b
upstream        users (t.yaml:2:5), 95 of 100 requests
                http://127.0.0.1:9001/base/v2/7?a=b (weight 1)
                http://127.0.0.1:9002/v2/7?a=b (weight 3)
upstream        next (t.yaml:3:5), 5 of 100 requests
                https://next.internal/v2/7?a=b
response        the upstream's, if the credential is valid and no limit is reached
",
    );
}

#[test]
fn values_that_may_be_secrets_are_not_explained() {
    let source = "\
upstreams: [{name: u, backends: [{url: 'http://h'}]}]
routes:
  - {name: first, path: /a, auth: {type: none}, upstreams: u, headers: {X-Of-Variable: '${KEY}', X-Token: s3cret, X-A: b},
     transformations: {request: {rewrite: {query: {add: {region: '${KEY}', key: s3cret, c: d}}}}}}
  - {name: second, path: /a, auth: {type: none}, upstreams: u}
tests:
  - request: GET /a
    headers: {X-Of-Variable: s3cret, X-Token: s3cret, X-A: b}
    expect:
      target: /b
";
    let environment = Environment::from_variables(Some(("KEY", "s3cret")));
    let load = |text: &str| {
        load_text("t.yaml", text, Sources { file: None, environment: &environment, flags: Flags::default() })
    };
    let failed = load(source).unwrap().tested().unwrap_err().to_string();
    assert!(failed.contains("`/a?region=***&key=***&c=d`"), "{failed}");
    let passes = source.replace("target: /b", "target: '/a?region=s3cret&key=s3cret&c=d'");
    assert!(load(&passes).unwrap().tested().is_ok());
    let loaded = load(source.split("tests:").next().unwrap()).unwrap();
    let explain = |pairs: &[(&str, &str)]| {
        loaded.snapshot.explain(&WrittenRequest::parse("GET /a", &fields(pairs)).unwrap()).to_string()
    };
    let matching = explain(&[("X-Of-Variable", "s3cret"), ("X-Token", "s3cret"), ("X-A", "b")]);
    for part in ["x-of-variable is `***`", "x-token is `***`", "x-a is `b`", "http://h/a?region=***&key=***&c=d"] {
        assert!(matching.contains(part), "{part}: {matching}");
    }
    let other = explain(&[("X-A", "b")]);
    assert!(other.contains("header x-of-variable is `***`"), "{other}");
    assert!(!format!("{failed}{matching}{other}").contains("s3cret"));
}

#[test]
fn responses_of_the_gateway_itself_have_a_status() {
    let status = |line: &str, pairs: &[(&str, &str)]| explain(line, pairs).status;
    assert_eq!(status("GET /users/7", &[]), None, "the upstream decides");
    assert_eq!(status("/robots.txt", &[]), Some(200));
    assert_eq!(status("GET /nowhere", &[]), Some(404));
    assert_eq!(status("GET /", &[]), Some(200), "the status of the gateway");
    assert_eq!(status("POST /v1/chat/completions", &[]), Some(401));
    assert_eq!(status("POST /v1/chat/completions", &[("x-api-key", "tg_1")]), None);
    assert_eq!(status("POST /v1/chat/completions", &[("authorization", "Basic abc")]), Some(401));
    assert_eq!(status("GET /v1/chat/completions", &[]), Some(405));
    assert_eq!(status("GET /v1/chat/completions", &[("Upgrade", "websocket")]), Some(426));
    let upgrade = [("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "websocket")];
    assert_eq!(status("GET /users/7", &upgrade), Some(426));
    assert_eq!(status("GET /j/.-.", &[]), Some(400), "the rewritten path has a segment `..`");
    let redirect = explain("GET /old/7?a", &[]);
    assert_eq!(redirect.status, Some(308));
    assert_eq!(redirect.action.unwrap().location.as_deref(), Some("/users/7?a"));
}

#[test]
fn routes_of_other_hosts_are_listed_for_a_request_without_a_route() {
    let source = "routes: [{name: a, host: a.example, path: /x, respond: {}}, {name: b, host: '*.b.example', path: /x, respond: {}}]";
    let snapshot = config(source).unwrap().snapshot;
    let others = |line: &str| {
        let explained = snapshot.explain(&WrittenRequest::parse(line, &[]).unwrap());
        explained.others.into_iter().map(|other| other.because).collect::<Vec<_>>()
    };
    assert_eq!(others("GET http://other.example/x"), ["the host is not a.example", "the host is not *.b.example"]);
    assert_eq!(others("GET http://a.example/x"), [""; 0]);
    assert_eq!(others("GET http://other.example/y"), [""; 0]);
}

#[test]
fn a_preflight_request_is_explained_on_the_route_of_its_call() {
    let source = "\
rate_limits: [{dimension: ip, limit: 9, window: 1m}]
routes:
  - {name: read, path: /a, methods: [GET], cors: {allowed_origins: ['https://a.example']}, respond: {}}
  - {name: write, path: /a, methods: [PUT], respond: {}}
";
    let snapshot = config(source).unwrap().snapshot;
    let explain = |line: &str, pairs: &[(&str, &str)]| {
        let request = WrittenRequest::parse(line, &fields(pairs)).unwrap();
        (snapshot.explain(&request), snapshot.rate_limits_of(&request).len())
    };
    let origin = ("Origin", "https://a.example");
    let method = "Access-Control-Request-Method";
    let (explained, limits) = explain("OPTIONS /a", &[origin, (method, "GET")]);
    assert_eq!((explained.status, explained.refusal, limits), (Some(204), None, 0));
    let route = explained.route.unwrap();
    let because = "it has `cors`, and the request is the preflight request of GET";
    assert_eq!((route.name.as_str(), route.because.last().unwrap().as_str()), ("read", because));
    assert_eq!((explained.request.method.as_str(), explained.action.unwrap().kind), ("OPTIONS", "respond"));
    for pairs in [&[origin, (method, "PUT")][..], &[origin], &[(method, "GET")], &[origin, origin, (method, "GET")]] {
        assert_eq!(explain("OPTIONS /a", pairs).0.status, Some(405), "{pairs:?}");
    }
    assert_eq!(explain("GET /a", &[origin, (method, "GET")]).0.status, Some(401));
    let tests = "tests: [{request: OPTIONS /a, headers: {Origin: 'https://a.example', Access-Control-Request-Method: GET}, \
                 expect: {route: read, status: 204}}]";
    config(&format!("{source}{tests}")).unwrap().tested().unwrap();
}

#[test]
fn upstreams_with_rewrites_of_their_own_have_targets_of_their_own() {
    let source = "\
upstreams: [{name: u, backends: [{url: 'http://u'}]}, {name: v, backends: [{url: 'http://v'}]}]
routes:
  - path: /a
    auth: {type: none}
    upstreams: [{name: u, weight: 1}, {name: v, weight: 1, transformations: {request: {rewrite: {path: /b}}}}]
";
    let explained = config(source).unwrap().snapshot.explain(&WrittenRequest::parse("GET /a?x", &[]).unwrap());
    assert_eq!(explained.action.as_ref().unwrap().target, None);
    let text = explained.to_string();
    for part in ["target /a?x\n                http://u/a?x\n", "target /b?x\n                http://v/b?x\n"] {
        assert!(text.contains(part), "{text}");
    }
    let failed = |expect: &str| {
        let tests = format!("{source}tests: [{{request: 'GET /a?x', expect: {{{expect}}}}}]\n");
        let problems = config(&tests).unwrap().tested().err().map(|error| error.problems).unwrap_or_default();
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    for expect in ["upstream: v, target: '/b?x'", "upstream: u, target: '/a?x'", "target: '/a?x'", "target: '/b?x'"] {
        assert_eq!(failed(expect), [""; 0], "{expect}");
    }
    assert_eq!(failed("upstream: v, target: '/a?x'"), ["the test fails: the result is `/b?x`"]);
    assert_eq!(failed("target: '/c'"), ["the test fails: the result is `/a?x` or `/b?x`"]);
}

#[test]
fn a_key_in_redis_is_explained_without_redis() {
    let source = "redis: redis://127.0.0.1:1\nauth:\n  - {name: shared, type: key, redis: {}}\nroutes: [{path: /a, auth: {type: key, use: shared}, respond: {}}]\n";
    let snapshot = config(source).unwrap().snapshot;
    let explain = |pairs| snapshot.explain(&WrittenRequest::parse("GET /a", &fields(pairs)).unwrap());
    let with_key = explain(&[("x-api-key", "any-key-of-a-client")]);
    assert_eq!((with_key.status, &with_key.refusal), (None, &None), "Redis decides");
    let authentication = with_key.authentication.unwrap();
    assert_eq!((authentication.kind, authentication.place.as_deref()), ("key", Some("t.yaml:3:5")));
    assert_eq!(explain(&[]).refusal.unwrap().message, "the route needs a key of `shared`");
}

#[test]
fn an_endpoint_has_its_format_and_needs_a_key() {
    let explained = explain("POST /v1/messages", &[("x-api-key", "tg_1")]);
    let action = explained.action.unwrap();
    assert_eq!((action.kind, action.format), ("inference", Some("messages")));
    let route = explained.route.unwrap();
    assert_eq!((route.name.as_str(), route.is_endpoint), ("/v1/messages", true));
    assert!(explained.authentication.unwrap().has_credential);
}

#[test]
fn requests_that_the_gateway_refuses_have_no_explanation() {
    let error = |line: &str, pairs: &[(&str, &str)]| WrittenRequest::parse(line, &fields(pairs)).unwrap_err();
    for line in ["", "GET", "GET example.com/x", "GET ftp://example.com/", "GET https:///x"] {
        assert_eq!(error(line, &[]), RequestError::Line, "{line}");
    }
    for (line, pairs) in [
        ("GET /a/../b", &[][..]),
        ("GET https://h/#f", &[]),
        ("GET https://user@h/", &[]),
        ("GE\u{2}T /", &[]),
        ("GET https://a/", &[("Host", "b")]),
    ] {
        assert!(matches!(error(line, pairs), RequestError::Refused(_)), "{line}");
    }
    assert_eq!(error("/", &[("a b", "c")]), RequestError::Field("a b".to_owned()));
    assert_eq!(error("/", &[("a", "b\r\nc: d")]), RequestError::Field("a".to_owned()));
    let many: Vec<(String, String)> = (0..101).map(|number| (format!("x-{number}"), String::new())).collect();
    assert_eq!(WrittenRequest::parse("/", &many), Err(RequestError::Fields));
}

#[test]
fn tests_of_the_file_pass_or_name_the_line_of_the_expectation() {
    let tests = |tests: &str| config(&format!("{CONFIG}tests:\n{tests}")).unwrap().tested();
    tests(
        "
  - {request: GET https://api.example.com/users/7, expect: {route: user, upstream: users, status: 401}}
  - {request: GET https://api.example.com/users/7, headers: {X-Preview: 'on', Authorization: Bearer x}, expect: {route: user}}
  - {request: POST https://api.example.com/users/7, headers: {X-Preview: 'on', Authorization: Bearer x}, expect: {upstream: next, target: '/v2/7?a=b'}}
  - {request: POST /v1/messages, expect: {route: /v1/messages}}
  - {request: GET /nothing, expect: {status: 404}}
",
    )
    .unwrap();
    let failed = tests(
        "
  - {request: GET /users/7, expect: {route: user, status: 200}}
  - {request: GET /nothing, expect: {route: all, upstream: next, target: /x, status: 200}}
",
    );
    let problems = failed.unwrap_err().problems;
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the test fails: the result is `all`",
            "the test fails: the result is unknown: an upstream or the credential decides it",
            "the test fails: the result is none",
            "the test fails: the result is none",
            "the test fails: the result is none",
            "the test fails: the result is 404",
        ]
    );
    assert!(problems[0].to_string().contains("t.yaml:21:45"), "{}", problems[0]);
}

#[test]
fn tests_that_cannot_be_are_errors_of_the_file() {
    for (test, message) in [
        ("{request: GET /a, expect: {}}", "expects nothing"),
        ("{request: GET /a, expect: {route: usr}}", "no route is named `usr`"),
        ("{request: GET /a, expect: {upstream: user}}", "no upstream is named `user`"),
        ("{request: GET a, expect: {status: 404}}", "`tests[0].request` has an invalid value"),
        ("{request: GET /a/../b, expect: {status: 404}}", "`tests[0].request` has an invalid value"),
        (
            "{request: 'GET https://a/', headers: {Host: b}, expect: {status: 404}}",
            "the request of the test is invalid",
        ),
        ("{request: GET /a, headers: {'a b': c}, expect: {status: 404}}", "`tests[0].headers` has an invalid value"),
        ("{request: GET /a, expect: {status: 99}}", "`tests[0].expect.status` has an invalid value"),
        ("{expect: {status: 404}}", "`tests[0]` needs `request`"),
        ("{request: GET /a}", "expects nothing"),
    ] {
        let error = config(&format!("{CONFIG}tests: [{test}]")).unwrap_err();
        let messages: Vec<&str> = error.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(matches!(messages.as_slice(), [only] if only.contains(message)), "{test}: {messages:?}");
    }
}

#[test]
fn a_test_that_names_no_route_is_an_error_with_its_place() {
    let source = "routes: [{name: users, path: /users, respond: {}}]
tests:
  - {request: GET /users, expect: {route: user}}
";
    assert_eq!(
        config(source).unwrap_err().to_string(),
        "error[unknown_name]: no route is named `user`
 --> t.yaml:3:43
  |
3 |   - {request: GET /users, expect: {route: user}}
  |                                           ^^^^ expected `users`
  = did you mean `users`?"
    );
}

#[test]
fn alternatives_are_explained_in_their_order() {
    let source = "
auth:
  - {name: ops, type: basic, users: [{name: ada, hash: $2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.}]}
  - {name: gate, type: forward, url: 'http://h/verify'}
routes:
  - {path: /both, auth: {any: [{type: key}, {type: basic}]}, respond: {}}
  - {path: /optional, auth: {any: [{type: basic}, {type: none}]}, respond: {}}
  - {path: /gate, auth: {any: [{type: key}, {type: forward}]}, respond: {}}
";
    let snapshot = config(source).unwrap().snapshot;
    let explained = |path: &str, pairs: &[(&str, &str)]| {
        let request = WrittenRequest::parse(&format!("GET {path}"), &fields(pairs)).unwrap();
        let explained = snapshot.explain(&request);
        let authentication = explained.authentication.unwrap();
        let kinds: Vec<_> = authentication.alternatives.iter().map(|one| one.kind).collect();
        (kinds.join(" "), authentication.has_credential, explained.refusal.map(|refusal| refusal.message))
    };
    let needed = "the route needs a key, or a user of `ops`, with the password".to_owned();
    assert_eq!(explained("/both", &[]), ("key basic".into(), false, Some(needed)));
    assert_eq!(explained("/both", &[("authorization", "Basic eA==")]), ("key basic".into(), true, None));
    assert_eq!(explained("/optional", &[]), ("basic none".into(), false, None));
    assert_eq!(explained("/gate", &[]), ("key forward".into(), true, None));
}

#[test]
fn the_plan_of_clients_without_a_user_and_the_deciding_alternative_are_explained() {
    let source = "
plans:
  - {name: forty, credits_per_day: 40, budgets: [{credits: 60, per: month}, {tokens: 5, per: day}]}
auth:
  - {name: partners, type: key, plan: forty, keys: [{name: acme, value: 0123456789abcdef}]}
  - {name: accounts, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef, plan: {claim: tier}}
routes:
  - {path: /listed, auth: {type: key, use: partners}, respond: {}}
  - {path: /any, auth: {any: [{type: key, use: partners}, {type: jwt}]}, respond: {}}
";
    let snapshot = config(source).unwrap().snapshot;
    let lines = |request: &WrittenRequest| {
        let text = snapshot.explain(request).to_string();
        let from = text.lines().skip_while(|line| !line.starts_with("authentication"));
        let own = from.take_while(|line| line.starts_with("authentication") || line.starts_with(' '));
        own.map(|line| line.chars().skip(16).collect::<String>()).collect::<Vec<_>>()
    };
    let request = |path: &str, pairs: &[(&str, &str)]| WrittenRequest::parse(path, &fields(pairs)).unwrap();
    let plan = "plan forty (t.yaml:3:5): 40 credits a day, 60 credits a month for each subject";
    let by_claim = "plan: the claim `tier` of the token names it";
    assert_eq!(lines(&request("/listed", &[])), ["a key of `partners` (t.yaml:5:5)", plan]);
    let any = "a key of `partners`, or an access token of `accounts`";
    let none = "decided by: none, as the request has no credential of an alternative";
    assert_eq!(lines(&request("/any", &[])), [any, none]);
    let key = "decided by: a key of `partners` (t.yaml:5:5)";
    assert_eq!(lines(&request("/any", &[("x-api-key", "0123456789abcdef")])), [any, key, plan]);
    let as_acme = request("/any", &[]).with_credential_of("partners");
    assert_eq!(lines(&as_acme), [any, key, plan]);
    let token = "decided by: an access token of `accounts` (t.yaml:6:5)";
    assert_eq!(lines(&request("/any", &[("authorization", "Bearer a.b.c")])), [any, token, by_claim]);
}

#[test]
fn a_listed_client_is_found_by_the_name_of_its_entry_and_its_own() {
    let source = "
plans: [{name: forty, credits_per_day: 40}]
auth:
  - {name: partners, type: key, plan: forty, keys: [{name: acme, value: 0123456789abcdef}]}
  - {name: ops, type: basic, users: [{name: eu/ada, hash: $2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.}]}
  - {name: unused, type: key, keys: [{name: acme, value: 0123456789abcdef}]}
routes:
  - {path: /any, auth: {any: [{type: key, use: partners}, {type: basic}]}, respond: {}}
";
    let snapshot = config(source).unwrap().snapshot;
    let found = |text: &str| {
        let client = snapshot.listed_client(text)?;
        Some((client.name, client.subject.kind().as_str(), client.plan.map(|plan| plan.name.as_str())))
    };
    assert_eq!(found("partners/acme"), Some(("acme", "token", Some("forty"))));
    assert_eq!(found("ops/eu/ada"), Some(("eu/ada", "basic", None)));
    for text in ["partners/ada", "unused/acme", "partners", "ops/", "/ada"] {
        assert!(found(text).is_none(), "{text}");
    }
    assert_eq!(snapshot.subject_plans().len(), 1);
    let plans: Vec<_> = snapshot.plans_of_issuers().into_iter().map(|(of, plan)| (of, plan.name.as_str())).collect();
    assert_eq!(plans, [("partners", "forty")]);
}

/// A model whose targets support different formats.
const MODELS: &str = "\
providers:
  - {name: openai, kind: openai, credential: sk-1}
  - {name: claude, kind: anthropic, credential: sk-2}
  - {name: google, kind: gemini, credential: sk-3}
models:
  - name: smart
    strategy: weighted
    targets: [{provider: claude, model: opus}, {provider: openai, model: gpt, weight: 9}, {provider: google, model: pro}]
  - {name: 'own/*', targets: [{provider: openai, model: 'ft-*'}]}
";

#[test]
fn an_explanation_names_the_targets_of_a_model_and_why_one_is_skipped() {
    let snapshot = config(MODELS).unwrap().snapshot;
    let explain = |line: &str, model: Option<&str>| {
        snapshot.explain(&WrittenRequest::parse(line, &[]).unwrap().with_key().with_model(model.map(str::to_owned)))
    };
    let targets = |explained: &Explanation| {
        let action = explained.action.as_ref().unwrap();
        (action.strategy, action.targets.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let chat = explain("POST /v1/chat/completions", Some("smart"));
    let of_chat = ["claude/opus, translated to messages", "openai/gpt", "google/pro, translated to generate_content"];
    assert_eq!(targets(&chat), (Some("weighted"), of_chat.map(str::to_owned).to_vec()));
    let shown = "targets         claude/opus, translated to messages\n                openai/gpt\n                google/pro, translated to generate_content\n";
    assert!(chat.to_string().contains(shown), "{chat}");
    let of_path = explain("POST /v1beta/models/smart:generateContent", None);
    let of_google = ["claude/opus, translated to messages", "openai/gpt, translated to responses", "google/pro"];
    assert_eq!(targets(&of_path).1, of_google);
    let of_path = explain("POST /v1beta/models/smart:embedContent", None);
    let skipped = |target: &str| format!("{target}, skipped: the provider does not support the format embed_content");
    assert_eq!(targets(&of_path).1, [skipped("claude/opus"), skipped("openai/gpt"), "google/pro".to_owned()]);
    let named = explain("POST /v1/messages", Some("claude/haiku"));
    assert_eq!(targets(&named), (None, vec!["claude/haiku".to_owned()]));
    assert_eq!(targets(&explain("POST /v1/messages", None)), (None, Vec::new()));
    let pattern = explain("POST /v1/chat/completions", Some("own/7"));
    assert_eq!(targets(&pattern), (None, vec!["openai/ft-7".to_owned()]));
    for (line, model, code) in [
        ("POST /v1/embeddings", "claude/haiku", "format_mismatch"),
        ("POST /v1/embeddings", "google/pro", "format_mismatch"),
        ("POST /v1/messages", "", "model_not_found"),
    ] {
        let refusal = explain(line, Some(model)).refusal.map(|refusal| refusal.code);
        assert_eq!(refusal, Some(code), "{line} {model}");
    }
}

#[test]
fn a_client_at_an_address_that_the_route_does_not_accept_is_refused() {
    let route =
        "{path: /a, addresses: {allow: [10.0.0.0/8]}, cors: {allowed_origins: ['https://a.example']}, respond: {}}";
    let snapshot = config(&format!("routes: [{route}]\n")).unwrap().snapshot;
    let preflight = fields(&[("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")]);
    let check = |line: &str, fields: &[(String, String)], address: &str, expected: (u16, bool)| {
        let request = WrittenRequest::parse(line, fields).unwrap().with_address(address.parse().ok());
        let explained = snapshot.explain(&request);
        let is_of_address = explained.refusal.is_some_and(|refusal| refusal.message.contains(address));
        assert_eq!((explained.status, is_of_address), (Some(expected.0), expected.1), "{line} {address}");
    };
    for (line, fields, accepted) in [("GET /a", &[][..], 401), ("OPTIONS /a", &preflight, 204)] {
        check(line, fields, "192.0.2.1", (403, true));
        check(line, fields, "::ffff:10.0.0.1", (accepted, false));
        check(line, fields, "unknown", (accepted, false));
    }
}
