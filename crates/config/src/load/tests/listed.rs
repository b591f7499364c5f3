use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};
use settings::section::section_input::SectionInput;
use settings::section::setting::{Setting, Value};
use settings::spec::{SectionSpec, ValueShape};

use crate::json_schema;
use crate::load::{Sources, load_text};
use crate::schema::RootInput;
use crate::sources::flags::Flags;
use crate::{ConfigError, Environment};

mod cases;
mod shown_lines;

use cases::{BASE, CASES, EXAMPLES};

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
    // Some mappings have no key named `proxy`.
    let is_listed = |key: &str| [key, key.trim_end_matches(".proxy")].iter().any(|key| listed.contains(&pattern(key)));
    let mut keys = Vec::new();
    add_keys(RootInput::SPEC, "", &mut keys);
    assert!(keys.len() > 100, "{}", keys.len());
    for (key, schema) in keys.into_iter().filter(|(key, _)| !is_listed(key)) {
        let set = example(&schema).unwrap_or_else(|| panic!("{key}: add a value to CASES or EXAMPLES"));
        cases.push(Case { shown: set.clone(), key, set });
    }
    cases
}

/// Adds the path and the schema of each key that has a value.
fn add_keys(spec: &'static SectionSpec, section: &str, keys: &mut Vec<(String, Json)>) {
    for key in spec.keys() {
        let path = format!("{section}{}", key.name);
        let schema = key.field.schema();
        match key.field.shape() {
            ValueShape::List => keys.push((format!("{path}[0]"), schema["items"].clone())),
            ValueShape::Map => keys.push((format!("{path}.proxy"), schema["additionalProperties"].clone())),
            ValueShape::Section(spec) => add_keys(spec, &format!("{path}."), keys),
            ValueShape::Sections(spec) => add_keys(spec, &format!("{path}[0]."), keys),
            ValueShape::Single => {}
            ValueShape::Later => panic!("{path} is of this version"),
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
    let environment = Environment::from_variables(variables.iter().copied());
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
    *value_at(&mut file, key) = if is_nested { serde_saphyr::from_str(set).unwrap() } else { json!(set) };
    let settings = settings(&file.to_string(), &[], Flags::default());
    (settings.unwrap_or_else(|error| panic!("{key}: {error}")), "t.yaml:1".to_owned())
}

/// Returns the place of a key in a file, which is created if it is missing.
fn value_at<'a>(file: &'a mut Json, key: &str) -> &'a mut Json {
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

/// Short keys, each with the setting that it sets.
const SHORT_KEYS: [(&str, &str); 3] = [
    ("addr", "control.listen"),
    ("max_connections", "control.connections.max"),
    ("timeout_seconds", "control.timeout"),
];

/// The beginnings of settings that follow another one.
const FOLLOWS: &[&str] = &[
    "ai.",
    "models[0]",
    "providers[0].formats",
    "routes[0].name",
    "routes[1].name",
    "routes[2].respond.headers",
    "routes[0].fallback.headers",
    "routes[0].labels",
    "routes[0].cors",
    "routes[0].sizes",
    "upstreams[0].retry.on",
    "trusted_proxies",
    "listen",
    "prices[0]",
    "control.rate_limits",
    "log.modules",
    "traces.headers",
    "export.",
    "control.cors",
    "routes[0].methods",
    "routes[0].allow_headers",
    "routes[0].upgrades",
    "routes[0].cache",
    "routes[0].compression",
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
    "routes[0].listen",
    "routes[0].host",
    "routes[9].upstreams[0].transformations",
    "routes[10].upstreams[0].transformations",
    "routes[11].redirect",
    "routes[12].redirect",
    "on_hangup",
    "brand.key_prefix",
    "insights.rules[0].when",
    "insights.signoff.roles",
];

#[test]
fn each_setting_that_is_changed_is_shown_with_where_it_was_changed() {
    let base = settings(&FILE.to_string(), &[], Flags::default()).unwrap();
    for Case { key, set, shown } in ALL_CASES.iter() {
        // A scalar is shown under its own name, the scalar of a list under the first entry's.
        let under = match key.as_str() {
            "trusted_proxies" => "trusted_proxies[0]",
            "auth[0].audience" => "auth[0].audience[0]",
            "routes[0].host" => "routes[0].host[0]",
            key if key.ends_with(".body.set") || key.ends_with(".body.rename") => &format!("{key}./a"),
            key if key.ends_with(".response.status") => &format!("{key}.418"),
            key => key,
        };
        let (changed, from) = changed(key, set);
        let setting = find(&changed, under);
        assert_eq!((setting.value.to_string(), setting.from.to_string()), (shown.clone(), from), "{key}");
        // All other settings are unchanged, except those that follow this one.
        for setting in changed.iter().filter(|setting| setting.key != under) {
            let before = base.iter().find(|before| before.key == setting.key);
            let related = FOLLOWS.iter().any(|prefix| setting.key.starts_with(prefix));
            let is_short = SHORT_KEYS.contains(&(key.as_str(), setting.key.as_str()));
            assert!(related || is_short || before == Some(setting), "{key} changes {setting:?}");
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
        ("ADDR", "127.0.0.1:4"),
        ("EXAMPLES_DIR", "/examples"),
        ("MAX_CONNECTIONS", "64"),
        ("MOCK", "true"),
        ("TIMEOUT_SECONDS", "20"),
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
        ("control.listen", "127.0.0.1:4", "environment ADDR"),
        ("examples_dir", "/examples", "environment EXAMPLES_DIR"),
        ("control.connections.max", "64", "environment MAX_CONNECTIONS"),
        ("mock", "true", "environment MOCK"),
        ("control.timeout", "20s", "environment TIMEOUT_SECONDS"),
        ("ai.timeouts.idle", "10m", "default"),
        ("ai.timeouts.connect", "2s", "default"),
        ("ai.timeouts.total", "30m", "default"),
        ("plans[0].name", "starter", "default"),
        ("providers[0].name", "mock", "environment MOCK"),
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
    let environment = Environment::from_variables([("TOLLGATE_DATA", "/y")]).with_file(Some(&path)).unwrap();
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
        // The keys of `drain`, `circuit_breaker`, `tax`, `dns`, `mail`, `export` and `credits` enable them.
        .filter(|line| line.starts_with("TOLLGATE_"))
        .filter(|line| {
            ![
                "HANGUP__DRAIN",
                "CIRCUIT_BREAKER",
                "BILLING__TAX",
                "TOLLGATE_DNS__",
                "TOLLGATE_MAIL__",
                "TOLLGATE_EXPORT__",
                "TOLLGATE_CREDITS__",
            ]
            .iter()
            .any(|part| line.contains(part))
        })
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
