use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::*;
use crate::flags::Flags;
use crate::json_schema;
use crate::load::{Sources, load_text};
use crate::schema::{RootInput, SectionInput};
use crate::spec::{SectionSpec, Shape};
use crate::{ConfigError, Environment};

/// Every list has an entry; nothing else is set, except `redis`, which keys in Redis need.
const BASE: &str = "
redis: redis://h
providers: [{name: openai, kind: openai, credential: sk-1, tls: {cert: a, key: b}}, {name: mock, kind: mock}]
models: [{name: fast, targets: [{provider: openai, model: gpt}]}]
prices: [{model: openai/gpt, input: '1', output: '2', input_tokens_max: 1, output_tokens_max: 1, long: {above_tokens: 1, input: '1', output: '2'}, tiers: [{tier: batch, input: '1', output: '2', long: {above_tokens: 1, input: '1', output: '2'}}]}]
prices_file: tests/fixtures/prices/newer.yaml
plans: [{name: starter, budgets: [{credits: 5, per: day}, {tokens: 6, per: day}, {money: 1 USD, per: month}]}]
budgets: {limits: [{dimension: user, money: 3 USD, per: day}, {dimension: key, credits: 4, per: day}, {dimension: plan, tokens: 5, per: day}]}
circuit_breaker: {failure_threshold: 6}
upstreams: [{name: users, retry: {attempts: 3}, pool: {idle: 9}, circuit_breaker: {failure_threshold: 6}, ejection: {failures: 6}, hash: {header: a}, health_check: {path: /a}, tls: {cert: a, key: b}, backends: [{url: 'https://127.0.0.1:9001'}]}, {name: others, hash: {cookie: a}, health_check: {tcp: true}, backends: [{url: 'h2c://h'}]}, {name: calls, hash: {claim: a}, health_check: {grpc: a}, backends: [{url: 'h2c://i'}]}, {name: more, hash: {query: a}, backends: [{url: 'h2c://j'}]}]
auth: [{name: hmac, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}, {name: hmacs, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}, {name: ed, type: jwt, algorithms: [EdDSA], public_key: \"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n\"}, {name: published, type: jwt, algorithms: [RS256], jwks: 'https://a.example/keys'}, {name: listed, type: key, keys: [{name: acme, sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, {name: beta, value: 0123456789abcdef}]}, {name: ops, type: basic, users: [{name: ada, hash: $2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.}]}, {name: gate, type: forward, url: 'https://h/verify', subject: X-Subject, tls: {cert: a, key: b}}, {name: shared, type: key, redis: {prefix: 'a:'}}]
routes: [{path: /a, upstreams: users, timeouts: {idle: 9s}, fallback: {body: a}, rate_limit: {requests: 1, window: 1s}, rate_limits: [{dimension: ip, limit: 9, window: 1m}, {dimension: user, limit: 5, window: 1m, algorithm: token_bucket}, {dimension: key, tiers: {by: plan, proxy: 5}, window: 1m}, {dimension: [{header: a}, ip], unit: concurrent, limit: 3}, {dimension: [{claim: a}], limit: 3, window: 1m}]}, {path: {prefix: /b}, upstreams: users}, {path: /e, respond: {}}, {path: /f, redirect: {to: /g}}, {path: /h, upstreams: [{name: users, weight: 3}]}, {path: {prefix: /i}, upstreams: users, transformations: {request: {rewrite: {path: {regex: a, to: b}}}}}, {path: /j, auth: {type: jwt, use: hmac}, respond: {}}, {path: /k, auth: {any: [{type: jwt, use: hmac, require: {a: b}}, {type: key, from: [{query: a}]}]}, respond: {}}, {path: /l, auth: {type: key, from: [{query: a}]}, respond: {}}]
control: {tls: {cert: a, key: b}, rate_limits: [{dimension: ip, limit: 7, window: 1m, without: key}, {dimension: ip, limit: 7, window: 1m}]}
listen: [{address: '127.0.0.1:1', tls: {cert: a, key: b, client: {ca: c, mode: optional}}}, {address: '127.0.0.1:2', tls: {certificates: [{cert: a, key: b}]}}]
rate_limits: [{dimension: ip, without: key, limit: 9, window: 1m}, {dimension: user, limit: 5, window: 1m, algorithm: token_bucket}, {dimension: key, tiers: {by: plan, proxy: 5}, window: 1m}, {dimension: [{header: a}, ip], unit: concurrent, limit: 3}, {dimension: [{claim: a}], limit: 3, window: 1m}]
trusted_proxies: [10.1.0.0/16]
tests: [{request: GET /e, expect: {status: 401}}]
";

/// Keys whose value depends on others, or has a special form: a key, a value for it, and the value that is then
/// shown. The key belongs to `BASE` or is unset. [`ALL_CASES`] has all other keys too.
const CASES: &[(&str, &str, &str)] = &[
    ("mock", "false", "false"),
    ("listen", "127.0.0.1:9999", "127.0.0.1:9999"),
    ("listen[0].address", "127.0.0.1:9998", "127.0.0.1:9998"),
    ("listen[1].tls.certificates[0].cert", "x.pem", "x.pem"),
    ("listen[1].tls.certificates[0].key", "x.key", "x.key"),
    ("log.modules.proxy", "trace", "trace"),
    ("control.listen", "127.0.0.1:9997", "127.0.0.1:9997"),
    ("control.cors.allowed_origins[0]", "https://a.example", "https://a.example"),
    ("control.rate_limits[0].dimension", "ip", "ip"),
    ("control.rate_limits[0].without", "key", "key"),
    ("control.rate_limits[1].with", "session", "session"),
    ("brand.color", "#C2410C", "#c2410c"),
    ("public_url.proxy", "https://llm.example/x", "https://llm.example/x"),
    ("public_url.control", "https://c.example", "https://c.example"),
    ("metrics.token", "S3CRET", "***"),
    ("trusted_proxies[0]", "10.0.0.0/8", "10.0.0.0/8"),
    ("trusted_proxies", "10.0.0.0/8", "10.0.0.0/8"),
    ("redis", "redis://:S3CRET@h", "***"),
    ("rate_limits[0].dimension", "ip", "ip"),
    ("rate_limits[0].without", "key", "key"),
    ("rate_limits[1].algorithm", "token_bucket", "token_bucket"),
    ("rate_limits[1].burst", "3", "3"),
    ("rate_limits[2].tiers.proxy", "8", "8"),
    ("rate_limits[2].consistency", "exact", "exact"),
    ("routes[0].rate_limits[2].consistency", "exact", "exact"),
    ("rate_limits[3].dimension[0].header", "X-A", "x-a"),
    ("rate_limits[3].unit", "concurrent", "concurrent"),
    ("rate_limits[4].dimension[0].claim", "b", "b"),
    ("routes[0].rate_limits[4].dimension[0].claim", "b", "b"),
    ("routes[0].rate_limits[0].dimension", "global", "global"),
    ("routes[0].rate_limits[1].algorithm", "token_bucket", "token_bucket"),
    ("routes[0].rate_limits[1].burst", "3", "3"),
    ("routes[0].rate_limits[2].tiers.proxy", "8", "8"),
    ("routes[0].rate_limits[3].dimension[0].header", "X-A", "x-a"),
    ("routes[0].rate_limits[3].unit", "concurrent", "concurrent"),
    ("store.url", "postgres://u:S3CRET@h/d", "***"),
    ("on_hangup", "cancel", "cancel"),
    ("providers[0].name", "openai", "openai"),
    ("providers[0].kind", "openai", "openai"),
    ("providers[0].base_url", "https://h:1/x/v1", "https://h:1/x/v1"),
    ("providers[0].credential", "S3CRET", "***"),
    ("models[0].targets[0].provider", "mock", "mock"),
    ("prices[0].model", "mock/x", "mock/x"),
    ("prices[0].output", "10.50", "10.5"),
    ("prices[0].per_image", "0.000000000001", "0.000000000001"),
    ("prices[0].from", "2026-11-22", "2026-11-22"),
    ("prices[0].until", "2027-03-31", "2027-03-31"),
    ("prices[0].tiers[0].tier", "flex", "flex"),
    ("prices_file", "tests/fixtures/prices/newer.json", "tests/fixtures/prices/newer.json"),
    ("prices_key", "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="),
    ("ai.prefix", "/llm/", "/llm"),
    ("plans[0].name", "free", "free"),
    ("plans[0].budgets[0].credits", "7", "7"),
    ("plans[0].budgets[1].tokens", "8", "8"),
    ("plans[0].budgets[2].money", "0.50 USD", "0.5 USD"),
    ("plans[0].budgets[2].per", "day", "day"),
    ("budgets.limits[0].dimension", "global", "global"),
    ("budgets.limits[0].money", "5000 USD", "5000 USD"),
    ("budgets.limits[0].per", "month", "month"),
    ("budgets.limits[1].credits", "0", "0"),
    ("budgets.limits[2].tokens", "9", "9"),
    ("quota_status", "402", "402"),
    ("upstreams[1].name", "third", "third"),
    ("upstreams[0].backends[0].url", "https://h/x", "https://h/x"),
    ("upstreams[0].backends[0].weight", "2", "2"),
    ("upstreams[0].tls.server_name", "h.internal", "h.internal"),
    ("upstreams[0].strategy", "round_robin", "round_robin"),
    ("upstreams[0].hash.header", "X-User", "x-user"),
    ("upstreams[1].hash.cookie", "session", "session"),
    ("upstreams[2].hash.claim", "tenant", "tenant"),
    ("upstreams[3].hash.query", "id", "id"),
    ("upstreams[0].health_check.path", "/health?a=1", "/health?a=1"),
    ("upstreams[1].health_check.tcp", "false", "false"),
    ("upstreams[2].health_check.grpc", "pay.v1.Pay", "pay.v1.Pay"),
    ("upstreams[0].health_check.host", "h.internal", "h.internal"),
    ("upstreams[0].health_check.status", "204", "204"),
    ("upstreams[0].health_check.panic", "050%", "50%"),
    ("upstreams[0].ejection.max", "20%", "20%"),
    ("upstreams[0].circuit_breaker.error_rate", "007%", "7%"),
    ("circuit_breaker.error_rate", "50%", "50%"),
    ("upstreams[0].retry.on[0]", "timeout", "timeout"),
    ("upstreams[0].retry.budget", "50%", "50%"),
    ("upstreams[0].retry.body", "8KiB", "8KiB"),
    ("routes[0].fallback.status", "404", "404"),
    ("routes[0].fallback.body", "text", "text"),
    ("routes[0].fallback.headers.proxy", "value", "value"),
    ("routes[0].host", "*.Example.com", "*.example.com"),
    ("routes[0].path", "/c", "/c"),
    ("routes[1].path.prefix", "/d", "/d"),
    ("routes[0].methods[0]", "GET", "GET"),
    ("routes[0].upstreams", "others", "others"),
    ("routes[4].upstreams[0].name", "others", "others"),
    ("routes[4].upstreams[0].weight", "7", "7"),
    ("routes[0].transformations.request.rewrite.path", "/r", "/r"),
    ("routes[1].transformations.request.rewrite.path.prefix", "/p", "/p"),
    ("routes[5].transformations.request.rewrite.path.regex", "x+", "x+"),
    ("routes[5].transformations.request.rewrite.path.to", "y", "y"),
    ("routes[0].upgrades[0]", "websocket", "websocket"),
    ("routes[2].respond.status", "404", "404"),
    ("routes[2].respond.body", "text", "text"),
    ("routes[2].respond.headers.proxy", "value", "value"),
    ("routes[3].redirect.to", "/h?a=b", "/h?a=b"),
    ("routes[3].redirect.status", "301", "301"),
    ("auth[0].name", "hmac", "hmac"),
    ("auth[0].type", "jwt", "jwt"),
    ("auth[0].algorithms[0]", "HS256", "HS256"),
    ("auth[0].secret", "S3CRET-S3CRET-S3CRET-S3CRET-S3CRET", "***"),
    (
        "auth[2].public_key",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
        "PEM",
    ),
    ("auth[0].audience[0]", "api", "api"),
    ("auth[0].audience", "api", "api"),
    ("auth[0].claims_to_headers.proxy", "X-User", "X-User"),
    ("auth[3].jwks", "https://b.example/keys", "https://b.example/keys"),
    ("auth[0].plan", "starter", "starter"),
    ("auth[4].keys[0].name", "delta", "delta"),
    (
        "auth[4].keys[0].sha256",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ),
    ("auth[4].keys[1].value", "S3CRET-S3CRET-S3CRET", "***"),
    ("auth[5].users[0].name", "eve", "eve"),
    ("auth[5].users[0].hash", "$2b$04$S3CRETghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.", "***"),
    ("health_paths[0]", "/alive", "/alive"),
    ("control.config.files[0]", "/etc/tollgate/public", "/etc/tollgate/public"),
    ("routes[6].auth.type", "jwt", "jwt"),
    ("routes[7].auth.any[0].type", "jwt", "jwt"),
    ("routes[7].auth.any[1].from", "protocol", "protocol"),
    ("routes[7].auth.any[1].from[0].query", "b", "b"),
    ("routes[8].auth.from", "protocol", "protocol"),
    ("routes[8].auth.from[0].query", "b", "b"),
    ("routes[7].auth.any[0].use", "hmacs", "hmacs"),
    ("routes[7].auth.any[0].require.proxy", "x", "x"),
    ("auth[7].redis.prefix", "b:", "b:"),
    ("auth[6].url", "https://h/other?a=b", "https://h/other?a=b"),
    ("auth[6].headers_to_upstream[0]", "X-User", "X-User"),
    ("auth[6].subject", "X-User", "X-User"),
    ("auth[6].timeout", "3s", "3s"),
    ("auth[6].cache_by[0]", "Cookie", "Cookie"),
    ("auth[6].tls.ca", "tests/fixtures/none.pem", "tests/fixtures/none.pem"),
    ("auth[6].tls.cert", "x.pem", "x.pem"),
    ("auth[6].tls.key", "x.key", "x.key"),
    ("auth[6].tls.server_name", "h.internal", "h.internal"),
    ("routes[6].auth.use", "hmacs", "hmacs"),
    ("routes[6].auth.require.proxy", "x", "x"),
    ("routes[0].allow_headers[0]", "X-HTTP-Method", "x-http-method"),
    ("tests[0].request", "POST http://h/e?a", "POST http://h/e?a"),
    ("tests[0].headers.proxy", "value", "value"),
    ("tests[0].expect.route", "/e", "/e"),
    ("tests[0].expect.upstream", "users", "users"),
    ("tests[0].expect.target", "/x?y", "/x?y"),
    ("tests[0].expect.status", "404", "404"),
];

/// Texts of the common forms: a number, an amount of money, a duration, a size, a day, a name.
const EXAMPLES: &[&str] = &["7", "0.25", "3s", "100ms", "2d", "8MiB", "2026-11-22", "5 USD", "x"];

/// A value of one key, and the value that is then shown.
struct Case {
    key: String,
    set: String,
    shown: String,
}

static ALL_CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

/// Returns a case of each declared key: those of [`CASES`], and for other keys a text that their schema accepts and that
/// is not the default.
fn cases() -> Vec<Case> {
    let case = |(key, set, shown): &(&str, &str, &str)| Case {
        key: (*key).to_owned(),
        set: (*set).to_owned(),
        shown: (*shown).to_owned(),
    };
    let mut cases: Vec<Case> = CASES.iter().map(case).collect();
    let listed: BTreeSet<String> = CASES.iter().map(|(key, ..)| pattern(key)).collect();
    let mut keys = Vec::new();
    add_keys(RootInput::SPEC, "", &mut keys);
    assert!(keys.len() > 100, "{}", keys.len());
    for (key, schema) in keys.into_iter().filter(|(key, _)| !listed.contains(&pattern(key))) {
        let set = example(&schema).unwrap_or_else(|| panic!("{key}: add a value to CASES or EXAMPLES"));
        cases.push(Case { shown: set.clone(), key, set });
    }
    cases
}

/// Adds the path and the schema of each key that has a value.
fn add_keys(spec: &'static SectionSpec, section: &str, keys: &mut Vec<(String, Json)>) {
    for key in spec.keys() {
        let (path, schema) = (format!("{section}{}", key.name), key.field.schema());
        match key.field.shape() {
            Shape::List => keys.push((format!("{path}[0]"), schema["items"].clone())),
            Shape::Map => keys.push((format!("{path}.proxy"), schema["additionalProperties"].clone())),
            Shape::Section(spec) => add_keys(spec, &format!("{path}."), keys),
            Shape::Sections(spec) => add_keys(spec, &format!("{path}[0]."), keys),
            Shape::Single => {}
            Shape::Later => panic!("{path} is of this version"),
        }
        if key.field.takes_single() {
            keys.push((path, schema));
        }
    }
}

/// Returns a text that is valid for the schema and not its default.
fn example(schema: &Json) -> Option<String> {
    let whole = json!({"$defs": json_schema()["$defs"], "allOf": [schema]});
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("key.json", whole).unwrap();
    let index = compiler.compile("key.json", &mut schemas).unwrap();
    let alternatives = schema["anyOf"].as_array().into_iter().flatten().chain([schema]);
    let words = alternatives.filter_map(|schema| schema["enum"].as_array()).flatten().filter_map(Json::as_str);
    let default = &schema["default"];
    let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
    let mut texts = words.chain(EXAMPLES.iter().copied()).filter(|text| *text != default);
    texts.find(|text| schemas.validate(&json!(text), index).is_ok()).map(str::to_owned)
}

fn settings(source: &str, variables: &[(&str, &str)], flags: Flags) -> Result<Vec<Setting>, ConfigError> {
    let environment = Environment::of(variables.iter().copied());
    let loaded = load_text("t.yaml", source, Sources { file: None, environment: &environment, flags })?;
    Ok(loaded.settings().to_vec())
}

fn find<'a>(settings: &'a [Setting], key: &str) -> &'a Setting {
    let mut found = settings.iter().filter(|setting| setting.key == key);
    let first = found.next().unwrap_or_else(|| panic!("{key} is not shown"));
    assert_eq!(found.next(), None);
    first
}

/// Returns the variable of a key that is in no list: `TOLLGATE_LOG__LEVEL`.
fn variable(key: &str) -> String {
    format!("TOLLGATE_{}", key.replace('.', "__")).to_ascii_uppercase()
}

/// `BASE` in one line.
static FILE: LazyLock<Json> = LazyLock::new(|| serde_saphyr::from_str(BASE).unwrap());

/// Returns the settings in which one key is changed, and where it is: in its variable, or in the file if it is in a list.
fn changed(key: &str, set: &str) -> (Vec<Setting>, String) {
    if !key.contains('[') {
        let name = variable(key);
        let settings = settings(&FILE.to_string(), &[(&name, set)], Flags::default());
        return (settings.unwrap_or_else(|error| panic!("{key}: {error}")), format!("environment {name}"));
    }
    let mut file = FILE.clone();
    let is_nested = set.starts_with(['[', '{']);
    *at(&mut file, key) = if is_nested { serde_saphyr::from_str(set).unwrap() } else { json!(set) };
    let settings = settings(&file.to_string(), &[], Flags::default());
    (settings.unwrap_or_else(|error| panic!("{key}: {error}")), "t.yaml:1".to_owned())
}

/// Returns the place of a key in a file, which is created if it is missing.
fn at<'a>(file: &'a mut Json, key: &str) -> &'a mut Json {
    let parts = key.split(['.', '[', ']']).filter(|part| !part.is_empty());
    parts.fold(file, |node, part| match part.parse::<usize>() {
        Ok(index) => {
            if !node.is_array() {
                *node = json!([null]);
            }
            &mut node[index]
        }
        Err(_) => {
            if !node.is_object() {
                *node = json!({});
            }
            &mut node[part]
        }
    })
}

/// Returns the key as it is declared: `plans[].name`.
fn pattern(key: &str) -> String {
    key.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn each_setting_that_is_changed_is_shown_with_where_it_was_changed() {
    let base = settings(&FILE.to_string(), &[], Flags::default()).unwrap();
    for Case { key, set, shown } in ALL_CASES.iter() {
        // A scalar is shown under its own name, the scalar of a list under the first entry's.
        let under = match key.as_str() {
            "trusted_proxies" => "trusted_proxies[0]",
            "auth[0].audience" => "auth[0].audience[0]",
            key => key,
        };
        let (changed, from) = changed(key, set);
        let setting = find(&changed, under);
        assert_eq!((setting.value.to_string(), setting.from.to_string()), (shown.clone(), from), "{key}");
        // All other settings are unchanged, except those that follow this one.
        let follows = [
            "ai.",
            "models[0]",
            "routes[0].name",
            "routes[1].name",
            "routes[2].respond.headers",
            "routes[0].fallback.headers",
            "upstreams[0].retry.on",
            "trusted_proxies",
            "listen",
            "prices[0]",
            "control.rate_limits",
            "log.modules",
            "control.cors",
            "routes[0].methods",
            "routes[0].allow_headers",
            "routes[0].upgrades",
            "auth[0].algorithms",
            "auth[0].audience",
            "auth[0].claims_to_headers",
            "routes[6].auth.require",
            "routes[7].auth.any[0].require",
            "routes[7].auth.any[1].from",
            "routes[8].auth.from",
            "auth[6].headers_to_upstream",
            "auth[6].cache_by",
            "routes[0].headers",
            "routes[0].query",
            "routes[0].path",
            "routes[0].transformations",
            "routes[1].transformations",
            "on_hangup",
            "brand.key_prefix",
        ];
        for setting in changed.iter().filter(|setting| setting.key != under) {
            let before = base.iter().find(|before| before.key == setting.key);
            let related = follows.iter().any(|prefix| setting.key.starts_with(prefix));
            assert!(related || before == Some(setting), "{key} changes {setting:?}");
        }
    }
}

#[test]
fn no_secret_is_shown() {
    for (key, set, _) in CASES.iter().filter(|(_, set, _)| set.contains("S3CRET")) {
        let (changed, _) = changed(key, set);
        assert!(!serde_json::to_string(&changed).unwrap().contains("S3CRET"));
        assert!(!format!("{changed:?}").contains("S3CRET"));
        assert!(matches!(find(&changed, key).value, Value::Secret(_)), "{key}");
    }
}

#[test]
fn sources_are_told_in_their_order() {
    let source = "\nlisten: 127.0.0.1:1\nlog:\n  level: warn\ntimeouts: {idle: 5s}\n";
    let flags = Flags {
        listen: Some("127.0.0.1:2".parse().unwrap()),
        data: Some("/d".into()),
        workers: Some(2),
        ..Flags::default()
    };
    let variables = [
        ("TOLLGATE_LISTEN", "127.0.0.1:3"),
        ("TOLLGATE_WORKERS", "3"),
        ("TOLLGATE_IN_FLIGHT", "9"),
        ("DATABASE_URL", "postgres://u@h/d"),
    ];
    let settings = settings(source, &variables, flags);
    let settings = settings.unwrap();
    for (key, value, from) in [
        ("listen", "127.0.0.1:2", "flag --listen"),
        ("data", "/d", "flag --data"),
        ("workers", "2", "flag --workers"),
        ("in_flight", "9", "environment TOLLGATE_IN_FLIGHT"),
        ("log.level", "warn", "t.yaml:4"),
        ("log.format", "-", "default"),
        ("store.url", "***", "environment DATABASE_URL"),
        ("ai.timeouts.idle", "5s", "t.yaml:5"),
        ("ai.timeouts.connect", "2s", "default"),
        ("ai.timeouts.total", "30m", "default"),
        ("plans[0].name", "starter", "default"),
        ("providers[0].name", "mock", "default"),
        ("models", "[]", "default"),
    ] {
        let setting = find(&settings, key);
        assert_eq!((setting.value.to_string().as_str(), setting.from.to_string().as_str()), (value, from), "{key}");
    }
}

#[test]
fn a_line_of_a_env_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.env");
    std::fs::write(&path, "# c\nTOLLGATE_LOG__LEVEL=debug\nTOLLGATE_DATA=/x\n").unwrap();
    let environment = Environment::of([("TOLLGATE_DATA", "/y")]).with_file(Some(&path)).unwrap();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let settings = load_text("", "", sources).unwrap().settings().to_vec();
    let level = find(&settings, "log.level");
    let told = format!("{}:2 TOLLGATE_LOG__LEVEL", path.display());
    assert_eq!((level.from.to_string(), level.from.kind()), (told, "env_file"));
    assert_eq!(find(&settings, "data").from.to_string(), "environment TOLLGATE_DATA");
}

#[test]
fn entries_keep_their_numbers_where_others_are_off() {
    let source = "
providers: [{name: off, kind: openai, credential: ''}, {name: on, kind: anthropic, credential: k}]
models: [{name: a, targets: [{provider: off, model: x}]}, {name: b, targets: [{provider: on, model: x}]}]
";
    let shown = settings(source, &[], Flags::default()).unwrap();
    for key in ["providers[1].name", "providers[1].credential"] {
        assert_eq!(find(&shown, key).from.to_string(), "t.yaml:2");
    }
    assert_eq!(find(&shown, "models[1].name").value, Value::text("b"));
    assert!(
        shown.iter().all(|setting| !setting.key.contains("[0].targets") && !setting.key.starts_with("providers[0]"))
    );
    let mocked = settings(source, &[], Flags { mock: true, ..Flags::default() }).unwrap();
    for key in ["mock", "providers[0].name"] {
        assert_eq!(find(&mocked, key).from.to_string(), "flag --mock");
    }
    let mocked = settings(source, &[("TOLLGATE_MOCK", "true")], Flags::default()).unwrap();
    for key in ["mock", "providers[0].name", "providers[0].kind"] {
        assert_eq!(find(&mocked, key).from.to_string(), "environment TOLLGATE_MOCK");
    }
    assert!(mocked.iter().all(|setting| !setting.key.starts_with("providers[1]")));
    let by_variable = settings("", &[("OPENAI_API_KEY", "S3CRET")], Flags::default()).unwrap();
    assert_eq!(find(&by_variable, "providers[0].credential").from.to_string(), "environment OPENAI_API_KEY");
}

#[test]
fn json_has_the_values_own_types() {
    let shown = settings("store: {migrate: false}", &[], Flags::default()).unwrap();
    let json = |key: &str| serde_json::to_string(find(&shown, key)).unwrap();
    assert_eq!(json("store.migrate"), r#"{"key":"store.migrate","value":false,"from":"t.yaml:1"}"#);
    assert_eq!(json("connections.max"), r#"{"key":"connections.max","value":20000,"from":"default"}"#);
    assert_eq!(json("store.url"), r#"{"key":"store.url","value":null,"from":"default"}"#);
    assert_eq!(json("routes"), r#"{"key":"routes","value":[],"from":"default"}"#);
}

/// Setting every variable to the default in the documents changes nothing, and every key has such a variable.
#[test]
fn the_documents_list_every_setting_with_its_default() {
    let example = crate::schema::tests::env_example::every_setting();
    let lines: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix('#')).collect();
    let variables: Vec<(&str, &str)> = lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.starts_with("TOLLGATE_") && !name.contains(' '))
        .collect();
    let listed: BTreeSet<&str> = variables.iter().map(|(name, _)| *name).collect();
    for Case { key, .. } in ALL_CASES.iter() {
        let name = variable(key.split('[').next().unwrap());
        let whole = name.trim_end_matches("__PROXY");
        assert!(listed.contains(name.as_str()) || listed.contains(whole), "{name}");
    }
    let uncommented: String = lines
        .iter()
        // The keys of `drain` and of `circuit_breaker` enable them.
        .filter(|line| line.starts_with("TOLLGATE_"))
        .filter(|line| !["HANGUP__DRAIN", "CIRCUIT_BREAKER"].iter().any(|part| line.contains(part)))
        .map(|line| format!("{line}\n"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("example.env");
    std::fs::write(&path, uncommented).unwrap();
    let environment = Environment::default().with_file(Some(&path)).unwrap();
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let loaded = load_text("", "", sources).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.notes, []);
    let shown = |settings: &[Setting]| {
        settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(shown(loaded.settings()), shown(&settings("", &[], Flags::default()).unwrap()));
    assert!(loaded.settings().iter().filter(|setting| setting.from.kind() == "env_file").count() > 25);
}
