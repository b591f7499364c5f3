use ai::Format;

use super::*;
use crate::load::{Flags, Loaded, Sources, load_text};

const FILE: &str = "
providers:
  - {name: openai, kind: openai, credential: sk-1}
  - {name: claude, kind: anthropic, credential: sk-2}
models:
  - {name: fast, credits: 2, targets: [{provider: openai, model: gpt-5-mini}]}
  - {name: fast-too, credits: 5, targets: [{provider: openai, model: gpt-5-mini}]}
  - {name: smart, targets: [{provider: claude, model: claude-opus-4-8}]}
ai: {prefix: /llm}
";

fn loaded(source: &str, mock: bool) -> Loaded {
    let env = |_: &str| None;
    load_text("t.yaml", source, Sources { file: None, env: &env, flags: Flags { mock, ..Flags::default() } }).unwrap()
}

fn origin() -> Origin {
    Origin::parse("http://127.0.0.1:4000").unwrap()
}

fn check(snapshot: &Snapshot, cases: &[(Format, &str, &str)]) {
    for (format, asked, expected) in cases {
        let found = match snapshot.resolve_model(*format, asked) {
            Ok(found) => format!("{}:{} for {}", found.provider.name, found.model, found.credits.0),
            Err(Unresolved::NotFound) => "not found".to_owned(),
            Err(Unresolved::Mismatch { path }) => path,
        };
        assert_eq!(found, *expected, "{} {asked}", format.name());
    }
}

#[test]
fn a_name_is_an_entry_then_a_provider_and_model_then_the_only_speakers() {
    let snapshot = loaded(FILE, false).snapshot;
    check(
        &snapshot,
        &[
            (Format::Chat, "fast", "openai:gpt-5-mini for 2"),
            (Format::Responses, "fast", "openai:gpt-5-mini for 2"),
            (Format::Messages, "smart", "claude:claude-opus-4-8 for 1"),
            (Format::Chat, "openai/gpt-5-nano", "openai:gpt-5-nano for 1"),
            (Format::Chat, "openai/ft:gpt/own", "openai:ft:gpt/own for 1"),
            (Format::Chat, "gpt-5", "openai:gpt-5 for 1"),
            (Format::Chat, "meta/llama", "openai:meta/llama for 1"),
            (Format::Messages, "claude-haiku-4-5", "claude:claude-haiku-4-5 for 1"),
            (Format::Chat, "", "not found"),
        ],
    );
    assert_eq!(snapshot.model_names(), ["fast", "fast-too", "smart"]);
}

#[test]
fn going_around_an_entry_costs_what_its_dearest_does() {
    let snapshot = loaded(FILE, false).snapshot;
    let dear = "openai:gpt-5-mini for 5";
    check(&snapshot, &[(Format::Chat, "openai/gpt-5-mini", dear), (Format::Chat, "gpt-5-mini", dear)]);
}

#[test]
fn another_format_names_the_right_path() {
    check(
        &loaded(FILE, false).snapshot,
        &[
            (Format::Messages, "fast", "/llm/v1/chat/completions"),
            (Format::Messages, "openai/gpt-5", "/llm/v1/chat/completions"),
            (Format::Chat, "smart", "/llm/v1/messages"),
            (Format::Responses, "claude/x", "/llm/v1/messages"),
        ],
    );
}

#[test]
fn a_name_that_several_or_none_could_answer_is_not_found() {
    let two = "providers:\n  - {name: a, kind: openai, credential: x}\n  - {name: b, kind: openai, credential: y}\n";
    let snapshot = loaded(two, false).snapshot;
    check(&snapshot, &[(Format::Chat, "gpt", "not found"), (Format::Chat, "b/gpt", "b:gpt for 1")]);
    check(&snapshot, &[(Format::Messages, "claude", "not found"), (Format::Chat, "b/", "not found")]);
}

#[test]
fn the_mock_answers_every_format_under_its_names() {
    let source = "models:\n  - {name: fast, credits: 3, targets: [{provider: mock, model: slow}]}\n";
    let snapshot = loaded(source, false).snapshot.with_mock(origin());
    for format in Format::ALL {
        check(
            &snapshot,
            &[
                (format, "mock", "mock:mock for 1"),
                (format, "mock/429", "mock:429 for 1"),
                (format, "fast", "mock:slow for 3"),
                (format, "gpt-5", "mock:gpt-5 for 1"),
            ],
        );
    }
    assert_eq!(snapshot.model_names(), ["fast", "mock"]);
    assert!(!snapshot.costs_money());
}

#[test]
fn a_forced_mock_leaves_no_other_provider() {
    let loaded = loaded(FILE, true);
    assert!(loaded.snapshot.mock.on && loaded.snapshot.mock.forced && loaded.snapshot.providers.is_empty());
    assert_eq!(loaded.notes.len(), 5, "two providers and three models: {:?}", loaded.notes);
    let snapshot = loaded.snapshot.with_mock(origin());
    check(
        &snapshot,
        &[(Format::Chat, "fast", "mock:fast for 1"), (Format::Chat, "openai/gpt-5", "mock:openai/gpt-5 for 1")],
    );
    assert!(!snapshot.costs_money());
}

#[test]
fn an_entry_keeps_the_name_mock() {
    let source = format!("{FILE}  \n").replace("name: smart", "name: mock");
    let snapshot = loaded(&source, false).snapshot.with_mock(origin());
    check(&snapshot, &[(Format::Messages, "mock", "claude:claude-opus-4-8 for 1")]);
    assert_eq!(snapshot.model_names().iter().filter(|name| **name == "mock").count(), 1);
}

#[test]
fn a_price_is_looked_up_by_name_then_by_kind() {
    let source = format!("{FILE}prices:\n  - {{model: claude/claude-opus-4-8, input: '1', output: '2'}}\n");
    let snapshot = loaded(&source, false).snapshot;
    let input = |index: usize, model| snapshot.price(&snapshot.providers[index], model).map(|price| price.rates.input);
    assert_eq!(input(1, "claude-opus-4-8"), Some(1_000_000));
    assert_eq!(input(0, "gpt-5-mini"), Some(250_000));
    assert_eq!(input(0, "gpt-unheard-of"), None);
    assert!(snapshot.costs_money());
}
