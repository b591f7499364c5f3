//! Whole files: every declared key, and the examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Code, Environment, Flags, LoadedConfig, Sources, load};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path, keys: bool) -> Result<LoadedConfig, config::ConfigError> {
    let names: &[&str] = if keys { &["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"] } else { &[] };
    let environment = Environment::from_variables(names.iter().map(|name| (*name, "sk-test")));
    load(Sources { file: Some(path), environment: &environment, flags: Flags::default() })
}

/// Every key is accepted, or is refused as `not_yet` at its own position: the fixture's comments say which.
#[test]
fn each_key_of_the_whole_file_is_taken_or_not_yet() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/whole.yaml");
    let source = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let mut expected = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some((content, marks)) = line.split_once(" # not yet: ") {
            for mark in marks.split(" | ") {
                let column = content.find(mark).unwrap_or_else(|| panic!("{mark} is missing in {line}"));
                expected.insert((index + 1, content[..column].chars().count() + 1));
            }
        }
    }
    assert!(!expected.is_empty());
    let error = read(&path, false).unwrap_err();
    assert_eq!(error.more, 0);
    assert!(error.problems.iter().all(|problem| problem.code == Code::NotYet), "{error}");
    let found: BTreeSet<_> = error
        .problems
        .iter()
        .filter_map(|problem| problem.place)
        .map(|place| (place.line as usize, place.column as usize))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), error.problems.len());
}

/// The whole file without the keys of later versions is accepted.
#[test]
fn whole_file_without_what_comes_later_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/now.yaml");
    let snapshot = read(&path, true).unwrap_or_else(|error| panic!("{error}")).snapshot;
    assert_eq!(
        (snapshot.traffic.providers.len(), snapshot.traffic.models.len(), snapshot.traffic.plans.len()),
        (2, 1, 3)
    );
    assert_eq!((snapshot.traffic.upstreams.len(), snapshot.traffic.router.routes().len()), (1, 6));
    assert_eq!(
        snapshot.traffic.prices.find("openai", ["gpt-5-mini"], access::Day(20_778)).unwrap().rates.output,
        Some(2_000_000)
    );
}

#[test]
fn examples_load_with_and_without_keys() {
    for name in ["llm-openai", "plain-api", "codexible"] {
        let path = root().join("examples").join(name).join("tollgate.yaml");
        for keys in [false, true] {
            let loaded = read(&path, keys).unwrap_or_else(|error| panic!("{error}"));
            let has_llm = name != "plain-api";
            assert_eq!(loaded.snapshot.traffic.ai.is_some(), has_llm, "{name}");
            assert_eq!(loaded.snapshot.traffic.costs_money(), has_llm && keys, "{name}");
            assert_eq!(loaded.snapshot.traffic.mock.on, has_llm && !keys, "{name}");
        }
        assert!(path.with_file_name("README.md").exists(), "{name}");
    }
}

/// The blocks of the first sketches load as they were written; a route needs the upstream and the entry of `auth` that it names.
#[test]
fn the_sketched_blocks_load_unchanged() {
    const AUTH: &str =
        "auth: [{name: hmac, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}]\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sketches");
    let block = |name: &str| std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap();
    let upstreams = block("upstreams");
    let loaded = |name: &str, rest: &str| {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("tollgate.yaml");
        std::fs::write(&path, format!("{}{rest}", block(name))).unwrap();
        read(&path, false).unwrap_or_else(|error| panic!("{name}: {error}")).snapshot
    };
    for (name, rest) in
        [("rate_limits", ""), ("circuit_breaker", ""), ("upstreams", ""), ("route", &*(AUTH.to_owned() + &upstreams))]
    {
        let traffic = loaded(name, rest).traffic.clone();
        assert_eq!(traffic.breaker.is_some(), name == "circuit_breaker", "{name}");
        assert_eq!(traffic.upstreams.len(), usize::from(matches!(name, "upstreams" | "route")), "{name}");
        let has_path = |name: &str| traffic.router.routes().iter().any(|route| format!("{route:?}").contains(name));
        assert_eq!(has_path("/api/v1/users"), name == "route", "{name}");
    }
}
