//! Errors of invalid files, word for word if the wording matters.

use super::*;

/// Compares the whole text of an error except the blank first line.
pub(super) fn check(source: &str, expected: &str) {
    let error = read_text(source).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, expected.trim_start_matches('\n'), "\n{error}\n");
}

/// Compares the codes and positions of an error.
pub(super) fn check_codes(source: &str, expected: &[(&str, u32, u32)]) {
    let error = read_text(source).map(|_| ()).unwrap_err();
    let found: Vec<_> = error
        .problems
        .iter()
        .map(|problem| {
            let place = problem.place.unwrap();
            (problem.code.name(), place.line, place.column)
        })
        .collect();
    assert_eq!(found, expected, "\n{error}\n");
}

#[test]
fn broken_yaml_says_where() {
    check(
        "listen: [1,\nb: 2\n",
        "
error[yaml]: this is not YAML: unclosed bracket '['
 --> t.yaml:1:9
  |
1 | listen: [1,
  |         ^",
    );
    check_codes("a: \"x\n", &[("yaml", 2, 1)]);
    check_codes("a: 1\n b: 2\n", &[("yaml", 2, 3)]);
    check_codes("brand: *x\n", &[("yaml", 1, 8)]);
    check_codes("brand: {}\n---\nlisten: x\n", &[("yaml", 3, 1)]);
    check_codes("brand: {name: a, name: b}\n", &[("duplicate", 1, 18)]);
}

#[test]
fn unknown_key_names_the_near_one() {
    check(
        "timeouts:\n  conect: 2s\n",
        "
error[unknown_key]: unknown key `conect` in `timeouts`
 --> t.yaml:2:3
  |
2 |   conect: 2s
  |   ^^^^^^ expected `connect`, `first_byte`, `idle` or `total`
  = did you mean `connect`?",
    );
    let error = read_text("router: []\nelsewhere: 5\n").unwrap_err().problems;
    assert_eq!((error[0].near.as_deref(), error[1].near.as_deref()), (Some("routes"), None));
}

#[test]
fn wrong_type_names_what_belongs_there() {
    check(
        "brand: [Tollgate]\ntimeouts: {connect: {s: 2}}\n",
        "
error[wrong_type]: `brand` is a list
 --> t.yaml:1:1
  |
1 | brand: [Tollgate]
  | ^^^^^ expected a mapping

error[wrong_type]: `timeouts.connect` is a mapping
 --> t.yaml:2:12
  |
2 | timeouts: {connect: {s: 2}}
  |            ^^^^^^^ expected a single value",
    );
    check_codes("- 1\n", &[("wrong_type", 1, 1)]);
    check_codes(
        "routes: /a\nmodels: {a: b}\nlog: {modules: info}\n",
        &[("wrong_type", 1, 9), ("wrong_type", 2, 1), ("wrong_type", 3, 16)],
    );
}

#[test]
fn missing_variable_is_named() {
    check(
        "brand:\n  name: ${NAME}\n",
        "
error[environment]: `brand.name` needs the environment variable NAME, which is not set
 --> t.yaml:2:9
  |
2 |   name: ${NAME}
  |         ^^^^^^^ expected NAME to be set, or a default: ${NAME:-default}",
    );
    check_codes(
        "brand: {name: '${'}\ndata: file:x\nstore: {url: 'file:/none/x'}\n",
        &[("environment", 1, 15), ("file", 2, 7), ("file", 3, 14)],
    );
}

#[test]
fn duplicate_route_names_both_lines() {
    let source = "
upstreams: [{name: u, backends: [{url: http://h}]}]
routes:
  - {path: /a, methods: [GET], upstreams: u}
  - {path: /a, methods: [POST], upstreams: u}
  - {path: {prefix: /a}, upstreams: u}
  - path: /a
    methods: [PUT, POST]
    upstreams: u
  - {path: {prefix: /a/}, methods: [GET], upstreams: u}
  - {path: {prefix: /a/}, upstreams: u}
";
    check(
        source,
        "
error[duplicate]: a second route takes this path and method
 --> t.yaml:7:11
  |
7 |   - path: /a
  |           ^^ expected another `host`, path, `headers` or `query`, or `methods` that the first does not take
  = the first is at t.yaml:5:12

error[duplicate]: a second route takes this path and method
  --> t.yaml:11:21
   |
11 |   - {path: {prefix: /a/}, upstreams: u}
   |                     ^^^ expected another `host`, path, `headers` or `query`, or `methods` that the first does not take
   = the first is at t.yaml:6:21",
    );
}

#[test]
fn second_of_a_name_is_a_duplicate() {
    let upstream = "{name: u, backends: [{url: http://h}]}";
    for (source, line, column) in [
        ("plans: [{name: a}, {name: a}]".to_owned(), 1, 27),
        (format!("upstreams: [{upstream}, {upstream}]"), 1, 60),
        ("providers: [{name: p, kind: openai}, {name: p, kind: anthropic}]".to_owned(), 1, 45),
        ("models: [{name: m, targets: [{provider: mock, model: x}]}, {name: m, targets: [{provider: mock, model: y}]}]".to_owned(), 1, 67),
        ("listen: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:1'}]".to_owned(), 1, 46),
        ("listen: 127.0.0.1:8787".to_owned(), 1, 9),
    ] {
        check_codes(&source, &[("duplicate", line, column)]);
    }
}

#[test]
fn wrong_budgets_say_what_is_wrong() {
    check(
        "
plans: [{name: a, budgets: [{money: 5, per: day}, {credits: 1, per: day}, {credits: 2, per: day}]}]
budgets:
  limits:
    - {dimension: usr, money: 5 USD, per: day}
    - {dimension: user, money: 5 USD, tokens: 7, per: day}
    - {dimension: global, money: 5000 USD, per: month}
    - {dimension: global, tokens: 5000, per: month}
    - {dimension: global, money: 0 USD, per: month}
    - {dimension: global, per: month}
",
        "
error[bad_value]: `plans[0].budgets[0].money` has an invalid value
 --> t.yaml:2:37
  |
2 | plans: [{name: a, budgets: [{money: 5, per: day}, {credits: 1, per: day}, {credits: 2, per: day}]}]
  |                                     ^ expected an amount of USD, such as \"12.50 USD\"

error[duplicate]: a duplicate limit (credits per day)
 --> t.yaml:2:75
  |
2 | plans: [{name: a, budgets: [{money: 5, per: day}, {credits: 1, per: day}, {credits: 2, per: day}]}]
  |                                                                           ^ expected one for each measure and period
  = the first is at t.yaml:2:51

error[bad_value]: `budgets.limits[0].dimension` has an invalid value
 --> t.yaml:5:19
  |
5 |     - {dimension: usr, money: 5 USD, per: day}
  |                   ^^^ expected `key`, `user`, `plan` or `global`
  = did you mean `user`?

error[bad_value]: `budgets.limits[1]` has more than one measure
 --> t.yaml:6:7
  |
6 |     - {dimension: user, money: 5 USD, tokens: 7, per: day}
  |       ^ expected one of `money`, `credits` and `tokens`

error[duplicate]: a duplicate limit (global: money per month)
 --> t.yaml:9:7
  |
9 |     - {dimension: global, money: 0 USD, per: month}
  |       ^ expected one for each measure and period
  = the first is at t.yaml:7:7

error[missing]: `budgets.limits[5]` needs `credits`, `tokens` or `money`
  --> t.yaml:10:7
   |
10 |     - {dimension: global, per: month}
   |       ^ expected `credits`, `tokens` or `money` here",
    );
}

#[test]
fn unknown_upstream_names_the_near_one() {
    check(
        "upstreams: [{name: user-service, backends: [{url: http://h}]}]\nroutes:\n  - {path: /a, upstreams: user_service}\n",
        "
error[unknown_name]: no upstream is named `user_service`
 --> t.yaml:3:27
  |
3 |   - {path: /a, upstreams: user_service}
  |                           ^^^^^^^^^^^^ expected `user-service`
  = did you mean `user-service`?",
    );
    check_codes("models: [{name: m, targets: [{provider: opena, model: x}]}]", &[("unknown_name", 1, 41)]);
    check_codes("prices: [{model: opena/x, input: '1', output: '1'}]", &[("unknown_name", 1, 18)]);
    let main = "providers: [{name: main, kind: openai}]\nprices: [{model: openai/x, input: '1', output: '1'}]";
    check_codes(main, &[("unknown_name", 2, 18)]);
}

#[test]
fn bad_durations_and_sizes_say_what_they_look_like() {
    check(
        "timeouts: {connect: 2 seconds}\nsizes: {body: 10MB}\n",
        "
error[bad_value]: `timeouts.connect` has an invalid value
 --> t.yaml:1:21
  |
1 | timeouts: {connect: 2 seconds}
  |                     ^^^^^^^^^ expected a duration: 250ms, 5s, 1m, 2h or 1d, and greater than zero

error[bad_value]: `sizes.body` has an invalid value
 --> t.yaml:2:15
  |
2 | sizes: {body: 10MB}
  |               ^^^^ expected a size: 512B, 64KiB, 10MiB or 1GiB, and greater than zero",
    );
}

#[test]
fn what_comes_later_is_not_yet() {
    let source = "rate_limits: [{dimension: ip, with: key, limit: 1, window: 1s}]";
    check_codes(source, &[("not_yet", 1, 31)]);
}

#[test]
fn a_colour_without_contrast_is_refused_at_its_place() {
    check_codes("brand:\n  color: '#ffffff'\n", &[("bad_value", 2, 10)]);
}

#[test]
fn values_outside_of_their_range_are_refused() {
    for source in [
        "brand: {name: ''}",
        "brand: {key_prefix: Codexible}",
        "brand: {color: '#fff'}",
        "listen: localhost:8080",
        "listen: []",
        "listen: [{address: 8080}]",
        "connections: {max: 0}",
        "connections: {max: 4294967296}",
        "connections: {max: 1.5}",
        "timeouts: {total: 0s}",
        "sizes: {headers: 4KiB}",
        "sizes: {body: 0B}",
        "spool: {durability: none}",
        "retention: {events: 23h}",
        "retention: {events: 367d}",
        "retention: {events: never}",
        "budgets: {server_tool_rounds: 0}",
        "budgets: {server_tool_rounds: 1001}",
        "circuit_breaker: {failure_threshold: 0}",
        "circuit_breaker: {failure_threshold: 1001}",
        "circuit_breaker: {success_threshold: 0}",
        "circuit_breaker: {half_open_requests: 0}",
        "circuit_breaker: {timeout: 0s}",
        "circuit_breaker: {timeout: 2h}",
        "circuit_breaker: {error_rate: 0%}",
        "circuit_breaker: {error_rate: 101%}",
        "circuit_breaker: {error_rate: 50}",
        "circuit_breaker: {window: 500ms}",
        "circuit_breaker: {min_requests: 0}",
    ] {
        let error = read_text(source).map(|_| ()).expect_err(source);
        let codes: Vec<_> = error.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Code::BadValue], "{source}\n{error}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    for source in [
        "store: {migrate: yes}",
        "log: {format: xml}",
        "log: {level: verbose}",
        "log: {modules: {proxy: loud}}",
        "log: {modules: {'a=b,c': info}}",
        "log: {modules: {'a:b': info}}",
        "log: {modules: {'::a': info}}",
        "log: {modules: {'a:::b': info}}",
        "log: {modules: {'a::': info}}",
        "ai: {prefix: llm}",
        "ai: {prefix: /a?b}",
        "providers: [{name: a/b, kind: openai, credential: x}]",
        "providers: [{name: a, kind: openai, base_url: 'http://h', credential: x}]",
        "providers: [{name: a, kind: anthropic, base_url: 'http://h/v1', credential: x}]",
        "providers: [{name: a, kind: mock}]",
        "providers: [{name: a, kind: openai, credential: 'a b'}]",
        "providers: [{name: a, kind: openai, credential: 'vault:'}]",
        "models: [{name: 'a b', targets: [{provider: mock, model: x}]}]",
        "models: [{name: a, targets: []}]",
        "models: [{name: a, credits: -1, targets: [{provider: mock, model: x}]}]",
        "prices: [{model: gpt-5, input: '1', output: '1'}]",
        "prices: [{model: openai/gpt-5, input: 1e3, output: '1'}]",
        "prices: [{model: openai/gpt-5, input: '1', output: '1', audio_input: '0.0000001'}]",
        "prices: [{model: openai/gpt-5, per_image: '-1'}]",
        "prices: [{model: openai/gpt-5, per_second: '0.0000000001'}]",
        "plans: [{name: Pro}]",
        "plans: [{name: pro, requests_per_minute: 0}]",
        "plans: [{name: a, budgets: [{money: '20', per: day}]}]",
        "budgets: {limits: [{dimension: key, money: '5 EUR', per: day}]}",
        "budgets: {limits: [{dimension: key, money: '-5 USD', per: day}]}",
        "budgets: {limits: [{dimension: key, money: '0.0000000001 USD', per: day}]}",
        "budgets: {limits: [{dimension: key, money: '9223372036.854775808 USD', per: day}]}",
        "budgets: {limits: [{dimension: key, money: '99999999999999999999 USD', per: day}]}",
        "budgets: {limits: [{dimension: key, credits: -1, per: day}]}",
        "budgets: {limits: [{dimension: key, tokens: 9223372036854775808, per: day}]}",
        "budgets: {limits: [{dimension: key, tokens: 1.5, per: day}]}",
        "budgets: {limits: [{dimension: key, tokens: 1, per: year}]}",
        "budgets: {limits: [{dimension: key, tokens: 1, credits: 1, per: day}]}",
        "budgets: {unbounded: allow}",
        "budgets: {clamp: yes}",
        "budgets: {server_tool_rounds: 0}",
        "upstreams: [{name: u, backends: []}]",
        "upstreams: [{name: u, backends: [{url: 'ftp://h'}]}]",
        "upstreams: [{name: u, backends: [{url: 'http://a:b@h'}]}]",
        "routes: [{path: a, upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
        "routes: [{path: /a, methods: [], upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
        "routes: [{path: /a, allow_headers: ['X Y'], upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
        "routes: [{path: /a, methods: [get], upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
        "routes: [{path: /a, methods: [CONNECT], upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
        "routes: [{path: /a, auth: {type: keys}, upstreams: u}]\nupstreams: [{name: u, backends: [{url: http://h}]}]",
    ] {
        let error = read_text(source).map(|_| ()).expect_err(source);
        let codes: Vec<_> = error.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Code::BadValue], "{source}\n{error}");
    }
}

#[test]
fn missing_keys_are_named_once() {
    for (source, column) in [
        ("providers: [{name: a}]", 13),
        ("models: [{name: a}]", 10),
        ("models: [{targets: [{provider: mock, model: x}]}]", 10),
        ("plans: [{credits_per_day: 5}]", 9),
        ("plans: [{name: a, budgets: [{per: day}]}]", 29),
        ("budgets: {limits: [{credits: 1, per: day}]}", 20),
        ("budgets: {limits: [{dimension: key, credits: 1}]}", 20),
        ("budgets: {limits: [{dimension: key, per: day}]}", 20),
        ("upstreams: [{name: u}]", 13),
        ("prices: [{model: openai/x, input: '1'}]", 10),
        ("prices: [{model: openai/x, image_output: '1'}]", 10),
        ("upstreams: [{name: u, backends: [{weight: 1}]}]", 34),
    ] {
        check_codes(source, &[("missing", 1, column)]);
    }
    check_codes("plans: [{nme: a}]", &[("unknown_key", 1, 10)]);
    check_codes("budgets: {limits: [{dimension: key, mony: 1 USD, per: day}]}", &[("unknown_key", 1, 37)]);
}

#[test]
fn nothing_is_shown_of_the_value_of_an_unknown_key_that_names_a_secret() {
    for source in [
        "providers: [{apikey: S3CRET}]",
        "providers: [{name: a, key: 'S3CRET, S3CRET', kind: openai, tokenn: S3CRET}]",
        "providers: [{key: [S3CRET, {a: S3CRET}], name: /, kind: x}, {kind: y}]",
        "providers:\n  - key: S3CRET # S3CRET\n    name: /\n",
        "providers:\n  - {key: [S3CRET,\n    S3CRET], name: /, kind: x}\n",
        "providers:\n  - {key: [\n    S3CRET, S3CRET], name: S3, kind: x,\n  pw: S3CRET}\n",
        "master_encryption_keyy: S3CRET\nredis: redis://S3CRET\n",
        "\"pass word\" : S3CRET\né: {pwd: S3CRET}\n? secrett\n: S3CRET\n",
        "storee: &s {url: x, passphrase: S3CRET}\nbrand: {name: a, nam: *s}",
        "xs: {a: [{credentail: S3CRET}]}",
        "auths: [{token: S3CRET}]",
    ] {
        let error = read_text(source).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("unknown_key") && !error.contains("S3CRET"), "{source}\n{error}");
    }
    check(
        "drain: {delai: [1, 2], timeot: 5s, timeout: x}",
        "
error[unknown_key]: unknown key `delai` in `drain`
 --> t.yaml:1:9
  |
1 | drain: {delai: [1, 2], timeot: 5s, timeout: x}
  |         ^^^^^ expected `delay` or `timeout`
  = did you mean `delay`?

error[unknown_key]: unknown key `timeot` in `drain`
 --> t.yaml:1:24
  |
1 | drain: {delai: [1, 2], timeot: 5s, timeout: x}
  |                        ^^^^^^ expected `delay` or `timeout`
  = did you mean `timeout`?

error[bad_value]: `drain.timeout` has an invalid value
 --> t.yaml:1:45
  |
1 | drain: {delai: [1, 2], timeot: 5s, timeout: x}
  |                                             ^ expected a duration: 250ms, 5s, 1m, 2h or 1d",
    );
}

#[test]
fn errors_repeat_no_secret() {
    for source in [
        "providers: [{name: a, kind: openai, credential: '${SECRET}'}]",
        "providers: [{name: a, kind: openai, credential: S3CRET, urll: x}]",
        "providers:\n  - name: a\n    kind: x\n    credential: 'S3CRET value'\n",
        "providers:\n  - name: a\n    kind: openai\n    credential: [S3CRET]\n",
        "providers: [{name: a, kind: openai, base_url: 'https://u:S3CRET@h/v1', credential: x}]",
        "store: {url: mysql://u:S3CRET@h/d}",
        "store: {url: 'mysql://u:VERY/S3CRET@h/d'}",
        "listen: ${SECRET}",
        "routes: [{path: /a, upstreams: '${SECRET}'}]",
        "models: [{name: '${SECRET}', targets: [{provider: '${SECRET}', model: x}]}]",
        "plans: [{name: '${SECRET}'}]",
        "providers: [{credential: S3CRET,\n",
    ] {
        let error = read_text(source).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains("S3CRET"), "{error}");
        assert!(error.problems.iter().all(|problem| !problem.message.contains("S3CRET")));
    }
    let off = Environment::from_variables([("OPENAI_API_KEY", "S3CRET value")]);
    let error = read_with("", &off).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        error,
        "error[environment]: OPENAI_API_KEY does not hold a valid credential\n  = expected `vault`, `vault:LABEL`, or 1 to 4,096 visible ASCII characters without a space"
    );
}

#[test]
fn many_problems_are_bounded() {
    let source: String = (0..500).map(|index| format!("key{index}: 1\n")).collect();
    let error = read_text(&source).unwrap_err();
    assert_eq!((error.problems.len(), error.more), (settings::error::PROBLEMS_MAX, 400));
    assert!(error.to_string().ends_with("and 400 more"));
}

#[test]
fn unreadable_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.yaml");
    let check = |reason: &str| {
        let sources = Sources { file: Some(&path), environment: &environment(), flags: Flags::default() };
        let error = load(sources).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("error[file]: the configuration cannot be read: ") && text.contains(reason), "{text}");
        assert!(text.ends_with(&format!("--> {}", path.display())), "{text}");
    };
    check("No such file");
    std::fs::write(&path, b"brand: {name: \xff}").unwrap();
    check("byte 14 is not UTF-8");
    std::fs::write(&path, vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
    check("larger");
}

#[test]
fn a_line_without_a_secret_is_shown_whole() {
    check(
        "upstreams:\n  - names: u\n    backends: [{url: http://h}]\n",
        "
error[unknown_key]: unknown key `names` in `upstreams[0]`
 --> t.yaml:2:5
  |
2 |   - names: u
  |     ^^^^^ expected `name`, `backends`, `discover`, `strategy`, `hash`, `slow_start`, `tls`, `allow_link_local`, `circuit_breaker`, `ejection`, `health_check`, `retry` or `pool`
  = did you mean `name`?",
    );
}

#[test]
fn an_export_has_one_target_and_no_credential_in_its_url() {
    check_codes("export: {file: {}, nats: {}}\n", &[("bad_value", 1, 1)]);
    check_codes("export: {clickhouse: {url: 'http://u:p@h'}}\n", &[("bad_value", 1, 28)]);
    check_codes(
        "export: {nats: {url: 'nats://u:p@h', subject: 'a.>'}}\n",
        &[("bad_value", 1, 22), ("bad_value", 1, 47)],
    );
    check_codes("export: {clickhouse: {table: 'a; DROP TABLE b'}}\n", &[("bad_value", 1, 30)]);
    check_codes("export: {file: {keep: 1}}\n", &[("bad_value", 1, 23)]);
}
