//! Errors in the targets of models.

use access::Tokens;

use super::errors::check_codes;
use super::*;
use crate::snapshot::TargetLimits;

#[test]
fn targets_that_cannot_be_tried_are_errors_at_their_place() {
    let model = |rest: &str| format!("models: [{{name: a, {rest}}}]");
    let two = "targets: [{provider: mock, model: a}, {provider: mock, model: b}]";
    let many: Vec<String> = (0..33).map(|n| format!("{{provider: mock, model: m{n:02}}}")).collect();
    for (rest, column) in [
        ("targets: [{provider: mock, model: a}, {provider: mock, model: a}]".to_owned(), 82),
        ("targets: [{provider: mock, model: a, weight: 0}, {provider: mock, model: b, weight: 0}]".to_owned(), 104),
        (format!("targets: [{}]", many.join(", ")), 990),
        (format!("{two}, strategy: quickest"), 97),
        (format!("{two}, retry: {{within: 1s, backoff: 2s}}"), 103),
        (format!("{two}, retry: {{on: [timeout, 200]}}"), 109),
        (format!("{two}, retry: {{attempts: 33}}"), 105),
        (format!("{two}, cooldown: {{failures: 0}}"), 108),
        (format!("{two}, cooldown: {{time: 1h, max: 1m}}"), 113),
        (format!("{two}, sticky: 0s"), 95),
        ("targets: [{provider: mock, model: a, limits: {requests: 0}}]".to_owned(), 76),
        ("targets: [{provider: mock, model: a, limits: {tokens: 1000000000001}}]".to_owned(), 74),
        ("targets: [{provider: mock, model: a, limits: {concurrent: -1}}]".to_owned(), 78),
    ] {
        check_codes(&model(&rest), &[("bad_value", 1, column)]);
    }
    check_codes(&model("targets: [{provider: mock, model: a}, {provider: moc, model: b}]"), &[("unknown_name", 1, 69)]);
}

#[test]
fn a_target_is_left_out_for_at_most_30_seconds_unless_a_key_says_otherwise() {
    for (keys, expected) in
        [("", [30, 30]), (", cooldown: {time: 2m}", [120, 120]), (", cooldown: {time: 2m, max: 10m}", [120, 600])]
    {
        let source = format!(
            "providers: [{{name: p, kind: openai, credential: x}}]\nmodels: [{{name: a, targets: [{{provider: p, model: a}}, {{provider: p, model: b}}]{keys}}}]"
        );
        let rules = snapshot(&source).traffic.models.iter().find_map(|model| model.fallback.as_ref()).unwrap().cooldown;
        assert_eq!([rules.time.as_secs(), rules.max.as_secs()], expected, "{keys}");
    }
}

#[test]
fn a_provider_that_is_the_gateway_itself_is_an_error_at_its_url() {
    let source = |listen: &str, url: &str| {
        format!("listen: {listen}\nproviders: [{{name: own, kind: openai, credential: x, base_url: '{url}'}}]")
    };
    for (listen, url) in [
        ("127.0.0.1:9001", "http://127.0.0.1:9001/v1"),
        ("127.0.0.1:9001", "https://localhost:9001/v1"),
        ("0.0.0.0:9001", "http://127.0.0.2:9001/v1"),
        ("'[::]:9001'", "http://localhost:9001/v1"),
        ("'[::1]:9001'", "http://[::1]:9001/v1"),
        ("10.0.0.7:80", "http://10.0.0.7/v1"),
        ("['127.0.0.1:9000', '127.0.0.1:9001']", "http://127.0.0.1:9001/v1"),
    ] {
        check_codes(&source(listen, url), &[("bad_value", 2, 64)]);
    }
    for (listen, url) in [
        ("127.0.0.1:9001", "http://127.0.0.1:9002/v1"),
        ("127.0.0.1:9001", "http://127.0.0.2:9001/v1"),
        ("10.0.0.7:9001", "http://localhost:9001/v1"),
        ("127.0.0.1:9001", "https://llm.example:9001/v1"),
    ] {
        assert_eq!(snapshot(&source(listen, url)).traffic.providers.len(), 1, "{listen} {url}");
    }
}

#[test]
fn a_target_with_limits_has_rules_even_if_it_is_the_only_one() {
    let entry = |limits: &str| {
        let source = format!("mock: true\nmodels: [{{name: a, targets: [{{provider: mock, model: a{limits}}}]}}]\n");
        snapshot(&source).traffic.mock.models.remove(0)
    };
    for none in ["", ", limits: {}"] {
        let entry = entry(none);
        assert!(entry.fallback.is_none() && entry.targets[0].limits.is_none(), "{none}");
    }
    let entry = entry(", limits: {requests: 500, tokens: 300000, concurrent: 40}");
    assert_eq!(entry.fallback.map(|rules| rules.attempts), Some(0));
    let limits = TargetLimits { requests: Some(500), tokens: Some(Tokens(300_000)), concurrent: Some(40) };
    assert_eq!(entry.targets[0].limits, Some(limits));
}

#[test]
fn a_time_of_the_first_content_without_a_further_attempt_is_noted() {
    let notes = |rest: &str| {
        let source = format!("mock: true\nmodels:\n  - {{name: a, targets: [{{provider: mock, model: a}}{rest}}}\n");
        let environment = Environment::default();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let notes = load_text("t.yaml", &source, sources).unwrap().notes;
        notes
            .iter()
            .filter(|note| matches!(note, Note::FirstContentUnused { .. }))
            .map(Note::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        notes("], first_content: 2s"),
        ["t.yaml:3:69: `first_content` of the model a has no effect, as a call has one attempt: add a target, or set \
             `retry.attempts`"]
    );
    for rest in ["]", "], first_content: 2s, retry: {attempts: 1}", ", {provider: mock, model: b}], first_content: 2s"]
    {
        assert_eq!(notes(rest), Vec::<String>::new(), "{rest}");
    }
}

#[test]
fn a_target_whose_provider_is_off_is_left_out_of_its_model() {
    let source = "
providers: [{name: openai, kind: openai, credential: k}, {name: anthropic, kind: anthropic, credential: ''}]
models: [{name: fast, targets: [{provider: openai, model: gpt-5}, {provider: anthropic, model: claude}]}]
";
    let loaded = read_text(source).unwrap();
    let models = &loaded.snapshot.traffic.models;
    let targets: Vec<&str> = models[0].targets.iter().map(|target| &*target.provider.name).collect();
    assert_eq!((models.len(), targets), (1, vec!["openai"]));
    assert_eq!(loaded.notes[1].to_string(), "the target anthropic of the model fast is off");
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
}

#[test]
fn a_target_may_have_a_provider_that_a_stored_credential_switches_on() {
    let keys = Environment::from_variables([("OPENAI_API_KEY", "sk-S3CRET")]);
    let source = "
models:
  - {name: fast, targets: [{provider: openai, model: gpt-5}, {provider: anthropic, model: claude}]}
  - {name: slow, targets: [{provider: gemini, model: pro}]}
";
    let loaded = read_with(source, &keys).unwrap();
    let targets = |name: &str| {
        let models = loaded.snapshot.traffic.models.iter().filter(|model| *model.name == *name);
        models.flat_map(|model| &model.targets).map(|target| &*target.provider.name).collect::<Vec<_>>()
    };
    assert_eq!((targets("fast"), targets("slow")), (vec!["openai", "anthropic"], vec!["gemini"]));
    assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
    // Without a provider that is on, the mock replaces all of them.
    let mocked = read_with(source, &Environment::default()).unwrap().snapshot.traffic;
    assert!(mocked.models.is_empty() && mocked.mock.models.len() == 2);
}
