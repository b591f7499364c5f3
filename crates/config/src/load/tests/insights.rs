use ::insights::settings::{NumberRange, RuleConditions};
use ::insights::{Class, InsightSettings, Ratio};

use super::*;

const RULES: &str = "
insights:
  rules:
    - {name: nightly, class: batch, when: {model: [fast], input_tokens: {min: 1000}}, confidence: 0.75}
    - {name: slow, class: batch, when: {model: [fast], input_tokens: {min: 2000, max: 3000}}, confidence: 1}
  signoff: {roles: [finance, finance, audit]}
  anomalies: {days_min: 20, score_min: '4'}
  forecast: {interval: 0.95}
  roi: {gateway_cost: 20 USD}
  cache: {today: 1s, redis: true}
";

#[test]
fn the_section_becomes_the_settings_and_unreached_rules_are_notes() {
    assert_eq!(*snapshot("").traffic.insights, InsightSettings::default());
    let loaded = read_text(RULES).unwrap_or_else(|error| panic!("{error}"));
    let settings = &loaded.snapshot.traffic.insights;
    assert_eq!(settings.check(), Ok(()));
    let [nightly, slow] = settings.rules.as_slice() else { panic!("{settings:?}") };
    assert_eq!((nightly.class, nightly.confidence, slow.confidence), (Class::Batch, Ratio(7_500), Ratio::ONE));
    let input_tokens = Some(NumberRange { min: Some(1_000), max: None });
    let model = Some(vec!["fast".to_owned()]);
    assert_eq!(nightly.when, RuleConditions { model, input_tokens, ..RuleConditions::default() });
    assert_eq!(settings.signoff.roles, ["finance", "audit"]);
    assert_eq!((settings.anomalies.days_min, settings.anomalies.score_min), (20, Ratio(40_000)));
    assert_eq!((settings.forecast.interval, settings.roi.gateway_cost.amount_nano), (Ratio(9_500), 20_000_000_000));
    assert_eq!((settings.cache.today_ms, settings.cache.redis), (1_000, true));
    let note = Note::RuleUnreached { place: "t.yaml:5:14".into(), rule: "slow".into(), earlier: "nightly".into() };
    assert_eq!(loaded.notes, [note]);
}

#[test]
fn days_of_other_zones_are_refused_with_the_key_of_printed_times() {
    for zone in ["Asia/Jakarta", "utc", "GMT", "''"] {
        let error = read_text(&format!("insights: {{timezone: {zone}}}")).map(|_| ()).expect_err(zone).to_string();
        assert!(error.contains("insights.timezone") && error.contains("billing.timezone"), "{zone}: {error}");
        assert!(error.contains("t.yaml:1:22"), "{zone}: {error}");
    }
    assert!(read_text("insights: {timezone: UTC}").is_ok());
}

#[test]
fn values_that_cannot_be_are_refused_at_their_place() {
    let rule = |rest: &str| format!("insights: {{rules: [{{name: a, class: chat, confidence: 1{rest}}}]}}");
    for (source, code) in [
        ("insights: {signoff: {roles: []}}".to_owned(), Code::BadValue),
        ("insights: {anomalies: {score_min: '0'}}".to_owned(), Code::BadValue),
        ("insights: {anomalies: {days_min: 367}}".to_owned(), Code::BadValue),
        ("insights: {forecast: {interval: 0.81}}".to_owned(), Code::BadValue),
        ("insights: {roi: {gateway_cost: 5 EUR}}".to_owned(), Code::BadValue),
        ("insights: {cache: {today: 61s}}".to_owned(), Code::BadValue),
        ("insights: {rules: [{name: a, class: bot, confidence: 1}]}".to_owned(), Code::BadValue),
        ("insights: {rules: [{name: a, class: chat, confidence: '1.5'}]}".to_owned(), Code::BadValue),
        ("insights: {rules: [{name: a, class: chat}]}".to_owned(), Code::Missing),
        (rule(", when: {status: {}}"), Code::Missing),
        (rule("}, {name: a, class: chat, confidence: 1"), Code::Duplicate),
        ("insights: {tests: [{event: {client: codex}}]}".to_owned(), Code::Missing),
    ] {
        let error = read_text(&source).map(|_| ()).expect_err(&source);
        let codes: Vec<_> = error.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [code], "{source}\n{error}");
    }
}

#[test]
fn a_range_that_ends_before_its_begin_is_refused() {
    // No schema compares two values.
    let source = "insights: {rules: [{name: a, class: chat, confidence: 1, when: {status: {min: 5, max: 4}}}]}";
    let none = Environment::default();
    let flags = Flags::default();
    let error = load_text("t.yaml", source, Sources { file: None, environment: &none, flags }).map(|_| ()).unwrap_err();
    let codes: Vec<_> = error.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::BadValue], "{error}");
}

#[test]
fn tests_of_classes_run_with_the_rules() {
    let tests = |expect: &str| {
        format!("{RULES}  tests: [{{event: {{model: fast, format: chat, input_tokens: 1500}}, expect: {expect}}}]")
    };
    let passing = read_text(&tests("{class: batch, rule: nightly}")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(passing.tested().unwrap_or_else(|error| panic!("{error}")), 1);
    let of_key = |requests: u64, expect: &str| {
        format!(
            "{{event: {{format: chat, streamed: false, tools: none, requests_per_key: {requests}}}, expect: {expect}}}"
        )
    };
    let built_in = format!(
        "insights: {{tests: [{}, {}]}}",
        of_key(1_000, "{class: batch, rule: batch}"),
        of_key(999, "{class: chat, rule: chat}")
    );
    let built_in = read_text(&built_in).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(built_in.tested().unwrap_or_else(|error| panic!("{error}")), 2);
    // As in the server, the number is 0 if it is not given, and in a session.
    let few = "{name: few, class: other, when: {requests_per_key: {max: 0}}, confidence: 1}";
    let event =
        |more: &str| format!("{{event: {{format: chat, streamed: false, tools: none{more}}}, expect: {{rule: few}}}}");
    let events = ["", ", requests_per_key: 1000, requests_per_session: 2", ", requests_per_key: 1000, interval_s: 5"];
    let source = format!("insights: {{rules: [{few}], tests: [{}]}}", events.map(event).join(", "));
    let of_server = read_text(&source).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(of_server.tested().unwrap_or_else(|error| panic!("{error}")), 3);
    let failing = read_text(&tests("{class: chat}")).unwrap_or_else(|error| panic!("{error}"));
    let error = failing.tested().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the test fails: the result is `batch` by the rule `nightly`"), "{text}");
    assert!(text.contains("expected chat"), "{text}");
}
