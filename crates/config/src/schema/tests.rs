//! The documents that come from the declarations, and the JSON Schema against the loader.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value as Json, json};
use settings::error::{Code, ConfigError, Problem};

use self::beyond::BEYOND_THE_SCHEMA;
use super::json::document;
use crate::load::load_text;
use crate::{Environment, Flags, LoadedConfig, Sources};

mod beyond;
mod boolean_words;
pub(crate) mod env_example;
mod tables;

/// If this variable is set, the documents are written instead of compared.
const UPDATE: &str = "UPDATE_CONFIG_DOCS";

static VALIDATOR: LazyLock<SchemaValidator> = LazyLock::new(SchemaValidator::new);

/// The compiled JSON Schema.
struct SchemaValidator {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl SchemaValidator {
    fn new() -> Self {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler.add_resource("tollgate.schema.json", document()).unwrap();
        let index = compiler.compile("tollgate.schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// Returns the reason why a file is invalid.
    fn error(&self, file: &Json) -> Option<String> {
        self.schemas.validate(file, self.index).err().map(|error| error.to_string())
    }

    fn is_valid(&self, file: &Json) -> bool {
        self.error(file).is_none()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_default()
}

/// The name of the file in the tests of the loader.
const FILE: &str = "t.yaml";

/// Whether a schema can express problems of this kind. It cannot compare one value with another, and it sees neither
/// variables nor files.
fn is_expressible(code: Code) -> bool {
    match code {
        Code::UnknownKey | Code::NotYet | Code::WrongType | Code::BadValue | Code::Missing => true,
        Code::Duplicate
        | Code::UnknownName
        | Code::Environment
        | Code::File
        | Code::EnvFile
        | Code::Yaml
        | Code::Unreachable
        | Code::Signature
        | Code::Test
        | Code::NeedsRestart
        | Code::LiteralSecret
        | Code::ForbiddenReference => false,
    }
}

/// Parses a file as editors do; `None` if it is not YAML.
fn parsed(source: &str) -> Option<Json> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(source, options).ok()
}

/// Checks that the schema and the loader agree about a file: each test of the loader calls it.
pub(crate) fn check_schema(source: &str, error: Option<&ConfigError>) {
    let Some(file) = parsed(source) else { return };
    let is_valid = VALIDATOR.is_valid(&file);
    // A price file has no schema.
    let of_file = |problem: &&Problem| problem.file == FILE && is_expressible(problem.code);
    let is_expressible = error.is_some_and(|error| error.problems.iter().any(|problem| of_file(&problem)));
    let is_beyond = BEYOND_THE_SCHEMA.iter().any(|(part, ..)| source.contains(part));
    match error {
        None => {
            let error = VALIDATOR.error(&file);
            assert_eq!(error, None, "the schema refuses a valid file:\n{source}");
        }
        Some(error) if is_expressible && !is_beyond => {
            assert!(!is_valid, "the schema accepts an invalid file:\n{source}\n{error}");
        }
        Some(_) if is_expressible => assert!(is_valid, "the schema does not lack this rule any more: {source}"),
        Some(_) => {}
    }
}

#[test]
fn documents_match_the_declarations() {
    let configuration = tables::page(&read("docs/configuration.md"));
    let example = env_example::text(&configuration, &read("docs/deployment.md"));
    assert!(example.lines().count() <= 60, "docs/configuration.md is the reference of all settings:\n{example}");
    let schema = super::json::text().unwrap();
    for (file, text) in
        [("docs/configuration.md", configuration), (".env.example", example), ("docs/tollgate.schema.json", schema)]
    {
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(root().join(file), text).unwrap();
        } else {
            assert!(read(file) == text, "{file} is out of date: run `cargo run -p xtask -- config-docs`");
        }
    }
}

/// Reads a file without an environment except `SECRET`, and compares the schema with the loader.
fn load_and_check(source: &str) -> Result<LoadedConfig, ConfigError> {
    let environment = Environment::from_variables([("SECRET", "S3CRET value")]);
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let loaded = load_text(FILE, source, sources);
    check_schema(source, loaded.as_ref().err());
    loaded
}

#[test]
fn rules_that_no_schema_can_express_are_still_broken_by_their_files() {
    for (part, source, reason) in BEYOND_THE_SCHEMA {
        assert!(source.contains(part), "{source}");
        let error = load_and_check(source).map(|_| ()).expect_err(source);
        assert!(error.problems.iter().any(|problem| is_expressible(problem.code)), "{source}: {error}");
        assert_eq!(VALIDATOR.error(&parsed(source).unwrap()), None, "{source} is refused, although {reason}");
    }
}

/// A file to which models of the mock can be added.
const BASE_FILE: &str = "providers: [{name: mock, kind: mock}]\n";
const PRICE: &str = "providers: [{name: p, kind: openai}]\nprices: [{model: p/x, output: 1";
const ROUTE: &str = "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes: [{upstreams: u, path: /a";

fn money(amount: &str) -> String {
    format!("budgets: {{limits: [{{dimension: user, per: day, money: {amount} USD}}]}}")
}

#[test]
fn schema_accepts_what_the_loader_accepts() {
    for source in [
        "",
        "# A comment.\n",
        "connections: {max: '20', per_address: '007'}",
        "workers: auto",
        "workers: '256'",
        "in_flight: 1000000",
        "brand: {name: 5, key_prefix: 7}",
        "brand: {name: true, key_prefix: true}",
        "data: 5",
        "store: {migrate: 'false', stale_for: 366d}",
        "metrics: {token: 123456}",
        "plans: [{name: 1, credits_per_day: '9'}, {name: false}]",
        "quota_status: '402'",
        "timeouts: {connect: 8784h, idle: 31622400s, total: 1ms}",
        "sizes: {headers: 8KiB, body: 1048576TiB}",
        "retention: {events: 24h, raw_usage: 366d}",
        "on_hangup:",
        "on_hangup: {drain: {}}",
        "trusted_proxies: [10.0.0.0/32, '::1/128', '2001:db8::/1']",
        "control: {rate_limits: [{dimension: ip, limit: 1, window: 1s, with: session}]}",
        "rate_limits: [{dimension: plan, limit: 2000000, unit: output_tokens, window: 1s}]",
        "rate_limits: [{dimension: plan, tiers: {by: plan, pro: 2000000}, unit: tokens, window: 1s}]",
        &format!("{PRICE}, input: '0.25000000'}}]"),
        &format!("{PRICE}, per_image: 0.5}}]"),
        &format!("{ROUTE}, auth: , methods: [TRACE]}}]"),
        "providers: [{name: v1, kind: anthropic, base_url: 'http://v1'}]",
        "providers: [{name: o, kind: openai, base_url: 'http://h/x/v1/'}, {name: mock, kind: mock}]",
        "providers: [{name: o, kind: openai, base_url: 'https://api.z.ai/api/paas/v4'}]",
        "providers: [{name: o, kind: openai, base_url: 'https://api.perplexity.ai/'}]",
        "providers: [{name: o, kind: mock, base_url: 'http://h', formats: [messages, chat]}]",
        "providers: [{name: o, kind: openai, formats: [chat]}, {name: a, kind: anthropic, formats: [messages]}]",
        &money("9223372036.854775807"),
        &money("9223372035.999999999000"),
        &money("0009223372036.8"),
    ] {
        load_and_check(source).unwrap_or_else(|error| panic!("{source}\n{error}"));
    }
}

#[test]
fn schema_refuses_what_the_loader_refuses() {
    for source in [
        "connections: {max: '0'}",
        "workers: '0'",
        "workers: 257",
        "workers: Auto",
        "in_flight: 0",
        "in_flight: '1000001'",
        "connections: {max: '4294967296'}",
        "brand: {key_prefix: 1.5}",
        "store: {stale_for: 367d}",
        "timeouts: {connect: 8785h}",
        "sizes: {headers: 17MiB}",
        "sizes: {body: 1048577TiB}",
        "spool: {max_size: 1023KiB}",
        "on_hangup: {}",
        "on_hangup: {drain: null}",
        "trusted_proxies: ['::1/129']",
        "control: {rate_limits: [{dimension: ip, limit: 1, window: 1s, with: session, without: key}]}",
        "control: {rate_limits: [{dimension: key, limit: 1, window: 1s, without: key}]}",
        "rate_limits: [{dimension: user, limit: 1, window: 1s, without: key}]",
        "rate_limits: [{dimension: user, limit: 1000001, window: 1s}]",
        "rate_limits: [{dimension: user, tiers: {by: plan, pro: 1000001}, window: 1s}]",
        "rate_limits: [{dimension: user, limit: 1, window: 1s, unit: tokens, consistency: exact}]",
        "plans: [{name: a, budgets: [{credits: 1, tokens: 1, per: day}]}]",
        "prices_key: PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
        &format!("{PRICE}}}]"),
        &format!("{PRICE}, input: 1, input_tokens_max: 5}}]"),
        &format!("{PRICE}, input: 1, output_tokens_max: 5}}]"),
        &format!("{PRICE}, input: 1, long: {{above_tokens: 1, input: 1}}}}]"),
        &format!("{ROUTE}*}}]"),
        &format!("{ROUTE}, auth: {{}}}}]"),
        &format!("{ROUTE}, methods: [CONNECT]}}]"),
        "providers: [{name: o, kind: openai, base_url: 'http://v1'}]",
        "providers: [{name: o, kind: openai, base_url: 'https://api.openai.com/'}]",
        "providers: [{name: a, kind: gemini, base_url: 'http://h/v1/'}]",
        "providers: [{name: m, kind: mock}]",
        "providers: [{name: o, kind: openai, formats: []}]",
        "providers: [{name: o, kind: openai, formats: [messages]}]",
        "providers: [{name: a, kind: anthropic, formats: [messages, chat]}]",
        "providers: [{name: a, kind: gemini, formats: [embeddings]}]",
        &money("9223372036.854775808"),
        &money("9223372037"),
    ] {
        load_and_check(source).map(|_| ()).expect_err(source);
    }
}

#[test]
fn schema_accepts_every_example_and_every_configuration_of_the_documents() {
    let tested = std::cell::Cell::new(0);
    let accept = |name: &str, source: &str| {
        let file = parsed(source).unwrap_or_else(|| panic!("{name} is not YAML"));
        assert_eq!(VALIDATOR.error(&file), None, "{name}");
        if source.contains("\ntests:\n") {
            let environment = Environment::default();
            let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
            let loaded = load_text(name, source, sources).unwrap_or_else(|error| panic!("{error}"));
            loaded.tested().unwrap_or_else(|error| panic!("{error}"));
            tested.set(tested.get() + 1);
        }
    };
    let mut examples = 0;
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = folder.unwrap().path().join("tollgate.yaml");
        // The example files of insights, and the script of billing, are no configuration.
        if path.parent().is_some_and(|folder| folder.ends_with("insights") || folder.ends_with("billing")) {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let begin = "# yaml-language-server: $schema=../../docs/tollgate.schema.json\n";
        assert!(source.starts_with(begin), "{} does not name the schema in its first line", path.display());
        accept(&path.display().to_string(), &source);
        examples += 1;
    }
    assert!(examples >= 9, "{examples}");
    accept("now.yaml", include_str!("../../tests/fixtures/now.yaml"));
    let mut blocks = 0;
    let folders = ["docs", "docs/guides"].map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    for page in folders.into_iter().flatten() {
        let path = page.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            // Price files and files of Prometheus are not configurations.
            if ["as_of:", "- alert:", "scrape_configs:"].iter().any(|begin| block.starts_with(begin)) {
                continue;
            }
            accept(&path.display().to_string(), block);
            blocks += 1;
        }
    }
    assert!(blocks >= 3, "{blocks}");
    assert!(tested.get() >= 6, "{tested:?}");
}

#[test]
fn schema_describes_types_bounds_defaults_and_words() {
    let schema = document();
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).clone();
    assert_eq!(at("/$schema"), "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(at("/additionalProperties"), false);
    let max = "/properties/connections/anyOf/0/properties/max";
    assert_eq!(at(&format!("{max}/default")), 20_000);
    assert_eq!(at(&format!("{max}/title")), "max");
    assert_eq!(at(&format!("{max}/anyOf/0")), json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}));
    assert_eq!(at("/properties/signup/anyOf/0"), json!({"enum": ["closed", "invite", "open"]}));
    assert_eq!(at("/properties/plans/anyOf/0/items/required"), json!(["name"]));
    for (file, is_valid) in [
        (json!({"drain": {"delay": "0s"}}), true),
        (json!({"drain": {"delay": "${DELAY}"}}), true),
        (json!({"drain": {"delay": "file:/delay"}}), true),
        (json!({"drain": {"delay": 5}}), false),
        (json!({"drain": {"delay": "5 s"}}), false),
        (json!({"drain": null}), true),
        (json!({"drain": {"delai": "5s"}}), false),
        (json!({"sizes": {"body": "1MB"}}), false),
        (json!({"plans": [{}]}), false),
    ] {
        assert_eq!(VALIDATOR.is_valid(&file), is_valid, "{file}");
    }
}
