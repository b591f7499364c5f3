//! Tests of `prices_file`: a table that is newer or older than the built-in one, invalid, or signed.

use access::{Day, Tokens};
use ai::price::{PriceTerms, Tier};
use meter::{Source, ToolCalls, UnitRates, Usage};

use super::*;

/// The key that signs the fixture `newer.yaml`: that of RFC 8032, 7.1, test 2.
const KEY: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
/// Another key: that of RFC 8032, 7.1, test 1.
const OTHER: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn loaded(file: &str, key: Option<&str>) -> Result<LoadedConfig, ConfigError> {
    let key = key.map(|key| format!("prices_key: '{key}'\n")).unwrap_or_default();
    read_text(&format!("prices_file: {file}\n{key}providers: [{{name: main, kind: openai, credential: x}}]\n"))
}

/// Returns the error of a price file with this text, without the file's name.
fn wrong(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let error = loaded(&path, None).unwrap_err().to_string();
    error.replace(&path, "p.yaml")
}

fn input(snapshot: &Snapshot, model: &str, at: &str) -> Option<u64> {
    snapshot
        .traffic
        .price(&snapshot.traffic.providers[0], (model, None), day(at).start())
        .and_then(|price| price.rates.input)
}

#[test]
fn a_newer_file_replaces_the_models_that_it_has() {
    let loaded = loaded("tests/fixtures/prices/newer.yaml", None).unwrap();
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "tests/fixtures/prices/newer.yaml:4: the price of openai/gpt-5.6 has no `long`, which the built-in price has: \
          requests of more than 272000 tokens of input have an unknown cost"
        ]
    );
    let snapshot = loaded.snapshot;
    for (model, at, rate) in [
        ("gpt-5.6", "2026-11-22", Some(5_000_000)),
        ("gpt-5.6", "2026-11-21", None),
        ("gpt-9", "2027-03-31", Some(2_000_000)),
        ("gpt-9", "2027-04-01", Some(3_000_000)),
        ("gpt-5", "2027-04-01", Some(1_250_000)),
    ] {
        assert_eq!(input(&snapshot, model, at), rate, "{model} {at}");
    }
    let table = &snapshot.traffic.prices_builtin;
    let at = day("2026-12-01");
    assert_eq!(table.find("eu.api.openai.com", ["gpt-5.6"], at).unwrap().rates.input, Some(5_500_000));
    assert_eq!(table.find("eu.api.openai.com", ["gpt-9"], at), None, "nobody says what it costs there");
    assert_eq!(table.find("api.x.ai", ["grok-5"], at).unwrap().units.request, Some(1_000_000_000));
    let price = table.find("openai", ["gpt-9"], at).unwrap();
    assert_eq!((&*price.source, &*price.as_of), ("openai.com/index/gpt-9", "2026-12-01"));
    assert!(price.version.starts_with("file-2026-12-01-") && price.version.ends_with("@..2027-03-31"));
    let again = snapshot.traffic.price_of_version("main", ("gpt-9", None), &price.version).unwrap();
    assert_eq!(*again, *price);
    let most = snapshot.traffic.limits(&snapshot.traffic.providers[0], "gpt-9", at.start()).unwrap();
    assert_eq!((most.input_tokens_max, most.output_tokens_max), (922_000, 128_000));
}

/// The fixture's row of gpt-5.6 has neither `per_search` nor `long`.
#[test]
fn a_newer_row_loses_no_fee_and_makes_no_long_request_cheaper() {
    let table = loaded("tests/fixtures/prices/newer.yaml", None).unwrap().snapshot.traffic.prices_builtin;
    let at = day("2026-12-01");
    for host in ["openai", "eu.api.openai.com", "us.api.openai.com"] {
        let price = table.find(host, ["gpt-5.6"], at).unwrap();
        let own = UnitRates {
            search: Some(10_000_000_000),
            container: Some(30_000_000_000),
            file_search: Some(2_500_000_000),
            ..UnitRates::default()
        };
        assert_eq!(price.units, own, "{host}");
        let cost = |input| {
            let tools = ToolCalls { searches: Some(1), containers: Some(1), ..ToolCalls::default() };
            let usage = Usage { input: Some(Tokens(input)), tools, ..Usage::empty(Source::Reported) };
            price.cost(&usage).map(|cost| cost.0)
        };
        let tokens = if host == "openai" { 1_360_000_000 } else { 1_496_000_000 };
        assert_eq!((cost(272_000), cost(272_001)), (Some(tokens + 40_000_000), None), "{host}");
    }
    // The row has its own fee, and another host has no fee of OpenAI.
    let units = |host, model| table.find(host, [model], at).unwrap().units;
    assert_eq!(units("openai", "gpt-9").search, Some(10_000_000_000));
    assert_eq!(units("openai", "gpt-9").container, Some(30_000_000_000));
    assert_eq!(units("api.x.ai", "grok-5").search, None);
}

#[test]
fn a_configured_row_keeps_the_fees_of_the_providers_own_tools() {
    let source = "
providers:
  - {name: main, kind: openai, credential: x}
  - {name: eu, kind: openai, base_url: 'https://eu.api.openai.com/v1', credential: x}
  - {name: far, kind: openai, base_url: 'https://gateway.example/v1', credential: x}
  - {name: claude, kind: anthropic, credential: x}
  - {name: google, kind: gemini, credential: x}
  - {name: sonar, kind: openai, base_url: 'https://api.perplexity.ai/v1', credential: x}
prices:
  - {model: main/gpt-5.5, input: '1', output: '2', per_search: '0.007', per_container: '0'}
  - {model: 'main/ft:gpt-4.1:acme::Bx7', input: '1', output: '2'}
  - {model: eu/gpt-5.5, input: '1', output: '2'}
  - {model: far/gpt-5.5, input: '1', output: '2'}
  - {model: far/gpt-9, input: '1', output: '2', per_file_search: '0.001', per_maps_query: '0.002', per_maps_prompt: '0.003', per_search_prompt: '0.004'}
  - {model: claude/claude-opus-5, input: '1', output: '2'}
  - {model: google/gemini-2.5-pro, input: '1', output: '2'}
  - {model: google/gemini-9, input: '1', output: '2'}
  - {model: sonar/sonar, input: '1', output: '2'}
";
    let prices = read_text(source).unwrap().snapshot.traffic.prices;
    let search = |rate| UnitRates { search: Some(rate), ..UnitRates::default() };
    let openai = |rate| UnitRates { container: Some(30_000_000_000), file_search: Some(2_500_000_000), ..search(rate) };
    for (provider, model, expected) in [
        ("main", "gpt-5.5", UnitRates { container: Some(0), ..openai(7_000_000_000) }),
        ("main", "ft:gpt-4.1:acme::Bx7", openai(25_000_000_000)),
        ("eu", "gpt-5.5", openai(10_000_000_000)),
        ("far", "gpt-5.5", UnitRates::default()),
        (
            "far",
            "gpt-9",
            UnitRates {
                file_search: Some(1_000_000_000),
                maps_query: Some(2_000_000_000),
                maps_prompt: Some(3_000_000_000),
                search_prompt: Some(4_000_000_000),
                ..UnitRates::default()
            },
        ),
        ("claude", "claude-opus-5", search(10_000_000_000)),
        (
            "google",
            "gemini-2.5-pro",
            UnitRates {
                search_prompt: Some(35_000_000_000),
                maps_prompt: Some(25_000_000_000),
                ..UnitRates::default()
            },
        ),
        ("sonar", "sonar", UnitRates { request: Some(12_000_000_000), ..search(0) }),
        ("google", "gemini-9", UnitRates { maps_query: Some(14_000_000_000), ..search(14_000_000_000) }),
    ] {
        let price = prices.find(provider, [model], day("2026-12-01")).unwrap();
        assert_eq!(price.units, expected, "{provider}/{model}");
    }
}

#[test]
fn a_configured_price_without_long_makes_no_long_request_cheaper() {
    let source = "
providers:
  - {name: main, kind: openai, credential: x}
  - {name: far, kind: openai, base_url: 'https://gateway.example/v1', credential: x}
prices:
  - {model: main/gpt-5.5, input: '1', output: '2', tiers: [{tier: flex, input: '0.5', output: '1'}]}
  - {model: main/gpt-5.4, input: '1', output: '2', long: {above_tokens: 272000, input: '3', output: '4'}}
  - {model: far/gpt-5.5, input: '1', output: '2'}
";
    let loaded = read_text(source).unwrap();
    let [note] = loaded.notes.as_slice() else { panic!("{:?}", loaded.notes) };
    let expected = ":6:13: the price of main/gpt-5.5 has no `long`, which the built-in price has: requests of more than \
                    272000 tokens of input have an unknown cost";
    assert!(note.to_string().ends_with(expected), "{note}");
    let cost = |provider, model, tier, input| {
        let price = loaded.snapshot.traffic.prices.find(provider, [model], day("2026-12-01")).unwrap();
        let usage = Usage { input: Some(Tokens(input)), ..Usage::empty(Source::Reported) };
        price.with_terms(PriceTerms { tier, us: false }).unwrap().cost(&usage).map(|cost| cost.0)
    };
    for (provider, model, tier, expected) in [
        ("main", "gpt-5.5", Tier::Standard, None),
        ("main", "gpt-5.5", Tier::Flex, None),
        ("main", "gpt-5.4", Tier::Standard, Some(816_003_000)),
        ("far", "gpt-5.5", Tier::Standard, Some(272_001_000)),
    ] {
        assert!(cost(provider, model, tier, 272_000).is_some(), "{provider}/{model} {tier:?}");
        assert_eq!(cost(provider, model, tier, 272_001), expected, "{provider}/{model} {tier:?}");
    }
}

#[test]
fn a_row_has_long_requests_and_tiers() {
    let snapshot = loaded("tests/fixtures/prices/newer.yaml", None).unwrap().snapshot;
    let price = snapshot.traffic.prices_builtin.find("openai", ["gpt-9"], day("2026-12-01")).unwrap();
    let cost = |tier, input| {
        let usage = Usage { input: Some(Tokens(input)), output: Some(Tokens(1_000)), ..Usage::empty(Source::Reported) };
        price.with_terms(PriceTerms { tier, us: false })?.cost(&usage).map(|cost| cost.0)
    };
    for (tier, input, nano) in [
        (Tier::Standard, 272_000, Some(544_000_000 + 8_000_000)),
        (Tier::Standard, 272_001, Some(1_088_004_000 + 12_000_000)),
        (Tier::Batch, 272_000, Some(272_000_000 + 4_000_000)),
        (Tier::Batch, 272_001, Some(544_002_000 + 6_000_000)),
        (Tier::Flex, 1_000, Some(1_500_000 + 6_000_000)),
        // The tier has no rates of long requests, but the price has.
        (Tier::Flex, 272_001, None),
        (Tier::Priority, 1_000, None),
    ] {
        assert_eq!(cost(tier, input), nano, "{tier:?} {input}");
    }
}

#[test]
fn json_is_read_too() {
    let snapshot = loaded("tests/fixtures/prices/newer.json", None).unwrap().snapshot;
    assert_eq!(input(&snapshot, "gpt-9", "2026-12-02"), Some(2_500_000));
    assert_eq!(&*snapshot.traffic.price_file.unwrap().as_of, "2026-12-02");
}

#[test]
fn an_older_file_only_adds_and_is_told_with_its_line() {
    let loaded = loaded("tests/fixtures/prices/older.yaml", None).unwrap();
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "tests/fixtures/prices/older.yaml:2: the price file is of 2026-10-01, the built-in table of 2026-11-21: models \
          that both have keep the built-in prices"
        ]
    );
    assert_eq!(input(&loaded.snapshot, "gpt-5", "2026-12-01"), Some(1_250_000));
    assert_eq!(input(&loaded.snapshot, "gpt-own", "2026-12-01"), Some(1_000_000));
}

#[test]
fn a_file_is_read_only_with_the_signature_of_the_key() {
    let newer = "tests/fixtures/prices/newer.yaml";
    assert!(loaded(newer, Some(KEY)).is_ok());
    for (file, key, code, said) in [
        (newer, OTHER, Code::Signature, "newer.yaml, which `prices_key` has not signed"),
        ("tests/fixtures/prices/newer.json", KEY, Code::Signature, "newer.json.sig, which cannot be read"),
        ("tests/fixtures/prices/gone.yaml", KEY, Code::File, "gone.yaml, which cannot be read"),
    ] {
        let error = loaded(file, Some(key)).unwrap_err();
        let [problem] = &*error.problems else { panic!("{error}") };
        assert_eq!((problem.code, problem.place.unwrap().line), (code, 1), "{error}");
        assert!(problem.message.contains(said), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    let text = std::fs::read_to_string(newer).unwrap();
    std::fs::copy(format!("{newer}.sig"), folder.path().join("p.yaml.sig")).unwrap();
    std::fs::write(&path, text.replace("output: \"30\"", "output: \"3\"")).unwrap();
    let error = loaded(&path.display().to_string(), Some(KEY)).unwrap_err();
    assert_eq!(error.problems[0].code, Code::Signature, "a figure has changed: {error}");
    std::fs::write(&path, text).unwrap();
    let files = vec![path.clone(), folder.path().join("p.yaml.sig")];
    assert_eq!(error.files, files, "a refused configuration names the files that may make it valid");
    assert_eq!(loaded(&path.display().to_string(), Some(KEY)).unwrap().files, files);
    for (source, code) in [("prices_key: x\n", Code::BadValue), (&*format!("prices_key: {KEY}\n"), Code::Missing)] {
        let error = read_text(source).unwrap_err();
        assert!(error.problems.iter().any(|problem| problem.code == code), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let unknown = wrong("as_of: 2026-12-01\nsource: s\nprices:\n  - {model: openai/gpt-9, input: '1', ouput: '2'}\n");
    assert!(
        unknown.starts_with("error[unknown_key]: unknown key `ouput` in `prices[0]`\n --> p.yaml:4:39\n"),
        "{unknown}"
    );
    assert!(unknown.ends_with("did you mean `output`?"), "{unknown}");
    let head = "as_of: 2026-12-01\nsource: s\nprices:\n";
    for (text, said) in [
        ("a: [1", "error[yaml]: this is not YAML"),
        ("a: [1", "--> p.yaml:1:"),
        ("[]", "error[wrong_type]: the file is a list"),
        ("prices: []", "error[missing]: the file needs `as_of`"),
        ("prices: []", "the file needs `source`"),
        ("as_of: 2026-11-31\nsource: s\n", "error[bad_value]: `as_of` has an invalid value\n --> p.yaml:1:8"),
        (&format!("{head}  - {{model: gpt-9, input: '1', output: '2'}}\n"), "--> p.yaml:4:13"),
        (&format!("{head}  - {{model: mock/x, input: '1', output: '2'}}\n"), "expected KIND/MODEL or HOST/MODEL"),
        (&format!("{head}  - {{model: openai/x, input: '1.0000001', output: '2'}}\n"), "--> p.yaml:4:30"),
        (&format!("{head}  - {{model: openai/x, output: '2'}}\n"), "`prices[0]` needs `input`"),
        (&format!("{head}  - {{model: openai/x, input: '${{SECRET}}', output: '2'}}\n"), "--> p.yaml:4:30"),
        (&format!("{head}  - {{model: openai/x, input: 'file:/etc/hostname', output: '2'}}\n"), "--> p.yaml:4:30"),
        (
            &format!("{head}  - {{model: openai/x, input: '1', output: '2', from: 2027-01-02, until: 2027-01-01}}\n"),
            "expected a day that is not before `from`",
        ),
        (
            &format!(
                "{head}  - {{model: openai/x, input: '1', output: '2', until: 2027-01-01}}\n  \
                 - {{model: openai/x, input: '1', output: '2', from: 2027-01-01}}\n"
            ),
            "error[duplicate]: a second price of `openai/x` for the same days\n --> p.yaml:5:13",
        ),
        (
            &format!(
                "{head}  - {{model: openai/x, input: '1', output: '2', tiers: [{{tier: slow, input: '1', output: '2'}}]}}\n"
            ),
            "expected `batch`, `fast`, `flex`, `priority` or `ultrafast`",
        ),
        (
            &format!("{head}  - {{model: openai/x, input: '1', output: '2', long: {{input: '1', output: '2'}}}}\n"),
            "`prices[0].long` needs `above_tokens`",
        ),
        (
            &format!("{head}  - {{model: openai/x, input: '1', output: '2', input_tokens_max: 1}}\n"),
            "needs `output_tokens_max`",
        ),
    ] {
        let error = wrong(text);
        assert!(error.contains(said), "{text}:\n{error}");
        assert!(!error.contains("S3CRET"), "{error}");
    }
}

#[test]
fn problems_of_both_files_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, "as_of: x\nsource: s\n").unwrap();
    let error = read_text(&format!("prices_file: {}\nroute: []\n", path.display())).unwrap_err();
    let found: Vec<_> = error.problems.iter().map(|it| (it.code.name(), it.file.ends_with("p.yaml"))).collect();
    assert_eq!(found, [("unknown_key", false), ("bad_value", true)]);
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("prices.yaml", "as_of: 2027-01-01\nsource: s\n");
    write("body.txt", "hello\n");
    write("t.yaml", "prices_file: prices.yaml\nroutes: [{path: /a, respond: {body: \"file:body.txt\"}}]\n");
    let environment = Environment::from_variables([("TOLLGATE_BRAND__NAME", "file:body.txt")]);
    let path = folder.path().join("t.yaml");
    let loaded = load(Sources { file: Some(&path), environment: &environment, flags: Flags::default() }).unwrap();
    let files: Vec<PathBuf> = ["body.txt", "prices.yaml"].map(|name| folder.path().join(name)).into();
    assert_eq!((loaded.files, loaded.snapshot.process.brand.name.as_str()), (files, "hello"));
    write("u.yaml", "upstreams: [{name: u, backends: [{url: https://h}], tls: {ca: none.pem}}]\n");
    let path = folder.path().join("u.yaml");
    let sources = Sources { file: Some(&path), environment: &environment, flags: Flags::default() };
    let error = load(sources).unwrap().for_server().unwrap_err().to_string();
    assert!(error.contains(&folder.path().join("none.pem").display().to_string()), "{error}");
}
