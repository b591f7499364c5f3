//! The documents that come from the declarations, and the JSON Schema against the loader.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::{RootInput, SectionInput, json::document};
use crate::error::{Code, ConfigError, Problem};
use crate::spec::{SectionSpec, Shape};

mod env_example;
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

/// Files that the schema accepts although the loader refuses them with a code that a schema can express: a part of the
/// source, and the rule that the schema lacks.
const BEYOND_THE_SCHEMA: &[(&str, &str)] = &[
    ("${SECRET}", "the content of a variable"),
    ("window: 999ms", "bounds of a duration"),
    ("window: 2d", "bounds of a duration"),
    ("events: 23h", "bounds of a duration"),
    ("events: 367d", "bounds of a duration"),
    ("headers: 4KiB", "bounds of a size"),
    ("money: '9223372036.854775808 USD'", "bounds of an amount"),
    ("tokens: 9223372036854775808", "a bound that a floating-point number cannot represent"),
    ("[10.0.0.0/33]", "the length of a network"),
    ("input: 1e3", "a number that YAML reads otherwise"),
    ("dimension: key, limit: 1, window: 1s, with", "a condition that depends on another key"),
    ("without: key, with: session", "one of two keys"),
    ("rate_limits: [{dimension: ip, limit: 100, window: 60s}]", "a key that a later version makes optional"),
    ("{per: day}", "one of three keys"),
    ("{dimension: key, per: day}", "one of three keys"),
    ("tokens: 1, credits: 1", "one of three keys"),
    ("prices: [{model: openai/x, input: '1'}]", "a key that another key makes optional"),
    ("prices: [{model: openai/x, image_output: '1'}]", "a key that another key makes optional"),
    ("prices_key: x", "a key that another key requires"),
    ("prices_key: PUA", "a key that another key requires"),
    ("kind: openai, base_url: 'http://h'", "a URL that depends on another key"),
    ("kind: anthropic, base_url: 'http://h/v1'", "a URL that depends on another key"),
    ("methods: [CONNECT]", "an exception to a pattern"),
    ("credential: 'vault:'", "an exception to a pattern"),
    ("kind: mock}]", "a name that depends on another key"),
];

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
        | Code::Signature => false,
    }
}

/// Parses a file as editors do; `None` if it is not YAML.
fn parsed(source: &str) -> Option<Json> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    let parsed = serde_saphyr::from_str_with_options::<Json>(source, options).ok()?;
    Some(if parsed.is_null() { json!({}) } else { parsed })
}

/// Checks that the schema and the loader agree about a file: each test of the loader calls it.
pub(crate) fn check_schema(source: &str, error: Option<&ConfigError>) {
    let Some(file) = parsed(source) else { return };
    let is_valid = VALIDATOR.is_valid(&file);
    // A price file has no schema.
    let of_file = |problem: &&Problem| problem.file == FILE && is_expressible(problem.code);
    let is_expressible = error.is_some_and(|error| error.problems.iter().any(|problem| of_file(&problem)));
    let is_beyond = BEYOND_THE_SCHEMA.iter().any(|(part, _)| source.contains(part));
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
    let schema = format!("{:#}\n", document());
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

/// The parts of a flat section are separate structs, which may not have a common key.
#[test]
fn no_key_of_a_mapping_is_declared_twice() {
    fn check(spec: &'static SectionSpec) {
        let names = spec.names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for key in spec.keys() {
            match key.field.shape() {
                Shape::Section(spec) | Shape::Sections(spec) => check(spec),
                Shape::Single | Shape::List | Shape::Map | Shape::Later => {}
            }
        }
    }
    check(RootInput::SPEC);
    check(super::price::PriceFileInput::SPEC);
}

#[test]
fn schema_accepts_every_example_and_every_configuration_of_the_documents() {
    let accept = |name: &str, source: &str| {
        let file = parsed(source).unwrap_or_else(|| panic!("{name} is not YAML"));
        assert_eq!(VALIDATOR.error(&file), None, "{name}");
    };
    let mut examples = 0;
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = folder.unwrap().path().join("tollgate.yaml");
        let source = std::fs::read_to_string(&path).unwrap();
        let begin = "# yaml-language-server: $schema=../../docs/tollgate.schema.json\n";
        assert!(source.starts_with(begin), "{} does not name the schema in its first line", path.display());
        accept(&path.display().to_string(), &source);
        examples += 1;
    }
    assert!(examples >= 9, "{examples}");
    accept("now.yaml", include_str!("../../tests/fixtures/now.yaml"));
    let mut blocks = 0;
    for page in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = page.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            // Price files and rules of Prometheus are not configurations.
            if block.starts_with("as_of:") || block.starts_with("- alert:") {
                continue;
            }
            accept(&path.display().to_string(), block);
            blocks += 1;
        }
    }
    assert!(blocks >= 3, "{blocks}");
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
