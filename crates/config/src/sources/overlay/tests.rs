use std::time::Duration;

use crate::load::{LoadedConfig, Sources, load_text};
use crate::note::Note;
use crate::sources::flags::Flags;
use crate::{ConfigError, Environment};

fn load(source: &str, variables: &[(&str, &str)]) -> Result<LoadedConfig, ConfigError> {
    let environment = Environment::from_variables(variables.iter().copied());
    load_text("t.yaml", source, Sources { file: None, environment: &environment, flags: Flags::default() })
}

fn loaded(source: &str, variables: &[(&str, &str)]) -> LoadedConfig {
    load(source, variables).unwrap_or_else(|error| panic!("{error}"))
}

/// Compares the whole text of an error.
fn check(source: &str, variables: &[(&str, &str)], expected: &str) {
    let error = load(source, variables).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, expected.trim_start_matches('\n'), "\n{error}\n");
}

#[test]
fn variables_set_what_the_file_does_not_and_win_over_what_it_does() {
    let source = "listen: 127.0.0.1:1\nlog: {level: warn, format: text}\n";
    let snapshot = loaded(
        source,
        &[
            ("TOLLGATE_LISTEN", "127.0.0.1:2"),
            ("TOLLGATE_CONTROL__LISTEN", "127.0.0.1:3"),
            ("TOLLGATE_LOG__LEVEL", "debug"),
            ("TOLLGATE_LOG__MODULES__PROXY", "trace"),
            ("TOLLGATE_AI__TIMEOUTS__IDLE", "7s"),
            ("TOLLGATE_DATA", ""),
        ],
    )
    .snapshot;
    assert_eq!(snapshot.process.listen[0].address, "127.0.0.1:2".parse().unwrap());
    assert_eq!(snapshot.process.control.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!((snapshot.process.log.level, snapshot.process.log.format.is_some()), ("debug", true));
    assert_eq!(snapshot.process.log.modules, [("proxy".to_owned(), "trace")]);
    assert_eq!(snapshot.traffic.ai.unwrap().timeouts.idle, Duration::from_secs(7));
    assert_eq!(snapshot.process.data.to_str(), Some("./tollgate-data"), "an empty variable sets nothing");
}

#[test]
fn a_variable_that_replaces_the_listeners_of_the_file_is_noted() {
    for (source, is_noted) in [
        ("listen: [{address: '127.0.0.1:1'}]", true),
        ("listen: 127.0.0.1:1", true),
        ("listen: 127.0.0.1:2", false),
        ("listen:", false),
        ("brand: {name: A}", false),
    ] {
        let loaded = loaded(source, &[("TOLLGATE_LISTEN", "127.0.0.1:2")]);
        let note = Note::ListenersFromEnvironment { variable: "TOLLGATE_LISTEN".to_owned() };
        assert_eq!(loaded.notes.contains(&note), is_noted, "{source}");
        let expected = ["127.0.0.1:2".parse().unwrap()];
        assert_eq!(
            loaded.snapshot.process.listen.iter().map(|of| of.address.clone()).collect::<Vec<_>>(),
            expected,
            "{source}"
        );
    }
}

#[test]
fn whole_lists_and_mappings_are_yaml() {
    let snapshot = loaded(
        "plans: [{name: gone}]\nlog: {level: warn, format: text}",
        &[
            ("SECRET", "sk-1"),
            ("TOLLGATE_PLANS", "[{name: starter, credits_per_day: 10}, {name: pro, requests_per_minute: 5}]"),
            ("TOLLGATE_LOG", "{level: error}"),
            ("TOLLGATE_LISTEN", " [{address: '127.0.0.1:1'}, {address: '127.0.0.1:2'}]"),
            ("TOLLGATE_PROVIDERS", "[{name: mock, kind: mock}]"),
            ("TOLLGATE_UPSTREAMS", "[{name: u, backends: [{url: 'http://127.0.0.1:3'}]}]"),
            (
                "TOLLGATE_ROUTES",
                "[{path: /a, upstreams: u, methods: [GET]}, {path: {prefix: /b}, upstreams: u, methods: [PUT, POST]}]",
            ),
        ],
    )
    .snapshot;
    let plans: Vec<_> =
        snapshot.traffic.plans.iter().map(|plan| (plan.name.as_str(), plan.requests_per_minute)).collect();
    assert_eq!(plans, [("starter", None), ("pro", std::num::NonZeroU32::new(5))]);
    assert_eq!(
        (snapshot.process.log.level, snapshot.process.log.format),
        ("error", None),
        "a mapping is set as a whole"
    );
    assert_eq!(snapshot.process.listen.len(), 2);
    let methods: Vec<_> =
        snapshot.traffic.router.routes().iter().map(|route| route.matches.methods.join(" ")).collect();
    assert_eq!(methods, ["GET", "PUT POST"]);
}

#[test]
fn a_variable_of_an_entry_names_the_variable_of_the_list() {
    check(
        "plans: [{name: a}]",
        &[("TOLLGATE_PLANS__0__CREDITS_PER_DAY", "S3CRET")],
        "
error[environment]: a variable cannot set a part of the list `plans`
 --> the environment variable TOLLGATE_PLANS__0__CREDITS_PER_DAY
  = expected the whole list as YAML in TOLLGATE_PLANS, or `${NAME}` in the configuration file",
    );
    for (variable, list) in [
        ("TOLLGATE_PLANS__0", "TOLLGATE_PLANS"),
        ("TOLLGATE_PLANS__99999999999999999999__NAME", "TOLLGATE_PLANS"),
        ("TOLLGATE_TRUSTED_PROXIES__1", "TOLLGATE_TRUSTED_PROXIES"),
        ("TOLLGATE_CONTROL__RATE_LIMITS__0__LIMIT", "TOLLGATE_CONTROL__RATE_LIMITS"),
        ("TOLLGATE_MODELS__2__TARGETS__0__PROVIDER", "TOLLGATE_MODELS"),
        ("TOLLGATE_PROVIDERS__0__NO_KEY", "TOLLGATE_PROVIDERS"),
    ] {
        let error = load("", &[(variable, "S3CRET")]).map(|_| ()).unwrap_err().to_string();
        let expected = format!("the whole list as YAML in {list}, or");
        assert!(error.starts_with("error[environment]") && error.contains(&expected), "{variable}: {error}");
        assert!(load("", &[(variable, "")]).is_ok(), "{variable} is empty");
    }
}

#[test]
fn a_single_value_is_taken_as_it_is_but_for_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("name");
    std::fs::write(&path, "From a file\n").unwrap();
    let from_file = format!("file:{}", path.display());
    for (value, name) in [("${HOME} # 'x' {", "${HOME} # 'x' {"), (from_file.as_str(), "From a file")] {
        assert_eq!(loaded("", &[("TOLLGATE_BRAND__NAME", value)]).snapshot.process.brand.name, name);
    }
    // In YAML a variable is substituted as in the file.
    let variables = [("TOLLGATE_BRAND", "{name: '${NAME:-x} y'}"), ("NAME", "n")];
    assert_eq!(loaded("", &variables).snapshot.process.brand.name, "n y");
}

#[test]
fn errors_name_the_variable() {
    check(
        "",
        &[("TOLLGATE_CONTROL__LISTEN", "S3CRET")],
        "
error[bad_value]: `control.listen` has an invalid value
 --> the environment variable TOLLGATE_CONTROL__LISTEN
  = expected an IP address and a port, or `unix:` and a path: 127.0.0.1:8080, \"[::1]:8080\", unix:/run/tollgate.sock",
    );
    check(
        "drain: {delay: x}",
        &[("TOLLGATE_PROVIDERS", "[{name: a, kind: bedrock, region: r, endpoint: classic}]")],
        "
error[bad_value]: `drain.delay` has an invalid value
 --> t.yaml:1:16
  |
1 | drain: {delay: x}
  |                ^ expected a duration: 250ms, 5s, 1m, 2h or 1d

error[bad_value]: `providers[0].endpoint` has an invalid value
 --> the environment variable TOLLGATE_PROVIDERS
  = expected `mantle` or `runtime`",
    );
    check(
        "",
        &[("TOLLGATE_PLANS", "[{name: a}, {name: a}]")],
        "
error[duplicate]: a second plan of this name
 --> the environment variable TOLLGATE_PLANS
  = expected another name
  = the first is the environment variable TOLLGATE_PLANS",
    );
    check(
        "",
        &[("TOLLGATE_PLANS", "[{shared_keys: true}]")],
        "
error[missing]: `plans[0]` needs `name`
 --> the environment variable TOLLGATE_PLANS
  = expected `name` here",
    );
}

#[test]
fn broken_yaml_in_a_variable_says_which() {
    check(
        "",
        &[("TOLLGATE_PLANS", "[{name: S3CRET]")],
        "
error[yaml]: the value for `plans` is not YAML from its character 2 on
 --> the environment variable TOLLGATE_PLANS
  = expected a list: [{…}, {…}]",
    );
    check(
        "",
        &[("TOLLGATE_PLANS", "{S3CRET: 1}"), ("TOLLGATE_LOG", "S3CRET"), ("TOLLGATE_LOG__LEVEL", "info")],
        "
error[wrong_type]: `plans` is a mapping
 --> the environment variable TOLLGATE_PLANS
  = expected a list",
    );
}

#[test]
fn what_is_set_twice_must_be_the_same() {
    let one = "postgres://u:S3CRET@one/d";
    let other = "postgres://u:S3CRET@other/d";
    let url = |loaded: &LoadedConfig| loaded.snapshot.process.store.url.as_ref().map(|url| url.expose().to_owned());
    assert_eq!(url(&loaded("", &[("TOLLGATE_STORE__URL", one)])).as_deref(), Some(one));
    assert_eq!(url(&loaded("", &[("TOLLGATE_STORE__URL", one), ("DATABASE_URL", one)])).as_deref(), Some(one));
    check(
        "",
        &[("TOLLGATE_STORE__URL", one), ("DATABASE_URL", other)],
        "
error[duplicate]: two environment variables set `store.url` to different values
 --> the environment variable DATABASE_URL
  = expected one of them
  = the first is the environment variable TOLLGATE_STORE__URL",
    );
}

#[test]
fn unknown_variables_are_noted_with_a_near_one() {
    let notes = |variables: &[(&str, &str)], source: &str| -> Vec<String> {
        loaded(source, variables).notes.iter().map(ToString::to_string).collect()
    };
    for (variable, near) in [
        ("TOLLGATE_CONTROL_LISTEN", Some("TOLLGATE_CONTROL__LISTEN")),
        ("TOLLGATE_CONTROL__LISTN", Some("TOLLGATE_CONTROL__LISTEN")),
        ("TOLLGATE_LOG__LEVEL__X", Some("TOLLGATE_LOG__LEVEL")),
        ("TOLLGATE_log__level", Some("TOLLGATE_LOG__LEVEL")),
        ("TOLLGATE_PLANS__X__NAME", None),
        ("TOLLGATE_WEBSOCKETS", None),
        ("TOLLGATE_RECEIPT", None),
        ("TOLLGATE_", None),
    ] {
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let expected = format!("{variable} is set but matches no setting{near}");
        assert_eq!(notes(&[(variable, "S3CRET")], ""), [expected]);
    }
    assert_eq!(
        notes(&[("TOLLGATE_NAME", "x")], "brand: {name: '${TOLLGATE_NAME}'}"),
        [""; 0],
        "the file makes use of it"
    );
    for others in [
        "TOLLGATE_CONFIG",
        "TOLLGATE_KEY",
        "TOLLGATE_TEST_STORE",
        "TOLLGATE_PORT",
        "TOLLGATE_SERVICE_HOST",
        "TOLLGATE_SERVICE_PORT_HTTP",
        "TOLLGATE_PORT_8080_TCP_ADDR",
        "TOLLGATE_CONTROL_PORT_8787_TCP",
        "TOLLGATEX",
    ] {
        assert_eq!(notes(&[(others, "tcp://10.0.0.1:80")], ""), [""; 0], "{others}");
    }
    let many: Vec<String> = (0..1_000).map(|number| format!("TOLLGATE_X{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(loaded("", &many).notes.len(), settings::overlay::UNKNOWN_MAX);
}

#[test]
fn a_file_that_is_no_mapping_stays_an_error() {
    check(
        "- 1\n",
        &[("TOLLGATE_LOG__LEVEL", "info")],
        "
error[wrong_type]: the file is a list
 --> t.yaml:1:1
  |
1 | - 1
  | ^ expected a mapping",
    );
}

/// No error and no note contains a variable's value, for any key and nesting.
#[test]
fn no_error_repeats_a_variables_value() {
    const SECRET: &str = "S3CRET-0f98d";
    let forms = [
        SECRET.to_owned(),
        format!("[{SECRET}]"),
        format!("{{{SECRET}: {SECRET}}}"),
        format!("[{{{SECRET}: {SECRET}}}]"),
        format!(
            "[{{name: {SECRET}, kind: {SECRET}, path: {SECRET}, {SECRET}: x}}, {{name: {SECRET}, path: {SECRET}}}]"
        ),
        format!("{{proxy: {SECRET}, {SECRET}: [{SECRET}]}}"),
        format!("[{SECRET}: *{SECRET}, &{SECRET} !{SECRET} x, '{SECRET}"),
        format!("{{{SECRET}: 1, {SECRET}: 2}}"),
        format!("file:/{SECRET}"),
        format!("${{{SECRET}"),
    ];
    for name in super::NAMES.all() {
        let variable = format!("TOLLGATE_{name}");
        for form in &forms {
            let shown = match load("plans: [{name: a}]", &[(&variable, form)]) {
                Ok(loaded) => loaded.notes.iter().map(Note::to_string).collect(),
                Err(error) => error.to_string(),
            };
            assert!(!shown.contains("S3CRET"), "{variable}={form}: {shown}");
        }
    }
}

#[test]
fn every_variable_with_a_name_of_its_own_is_in_the_example() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env.example")).unwrap();
    for (name, ..) in super::NAMES.named {
        assert!(example.lines().any(|line| line.starts_with(&format!("#{name}="))), "{name}");
    }
    for name in ["JWT_SECRET", "MASTER_ENCRYPTION_KEY", "NEXT_PUBLIC_API_URL", "TOLLGATE_PUBLIC_URL__PROXY"] {
        assert!(example.contains(&format!("\n#{name}=")), "{name}");
    }
}
