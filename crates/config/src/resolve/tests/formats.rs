//! Providers whose formats differ from those of their clients.

use super::*;

#[test]
fn a_provider_of_another_format_serves_the_calls_that_can_be_translated() {
    let traffic = loaded(FILE, false).snapshot.traffic;
    check(
        &traffic,
        &[
            (Format::Messages, "fast", "openai:gpt-5-mini for 2"),
            (Format::Messages, "openai/gpt-5", "openai:gpt-5 for 1"),
            (Format::Chat, "smart", "claude:claude-opus-4-8 for 1"),
            (Format::Responses, "claude/x", "claude:x for 1"),
            (Format::GenerateContent, "fast", "openai:gpt-5-mini for 2"),
            (Format::GenerateContent, "claude/x", "claude:x for 1"),
            // The only provider that has the format is preferred.
            (Format::Messages, "any", "claude:any for 1"),
            (Format::Responses, "any", "openai:any for 1"),
        ],
    );
    let only = "providers: [{name: local, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: x}]\n";
    let traffic = loaded(only, false).snapshot.traffic;
    for format in [Format::Messages, Format::Responses, Format::Chat, Format::GenerateContent] {
        check(&traffic, &[(format, "any", "local:any for 1")]);
        let called = traffic.provider("local").unwrap().format_of(endpoint(format));
        assert_eq!(called, Some(Format::Chat), "{}", format.name());
    }
    let both = "providers: [{name: a, kind: anthropic, credential: x}, {name: b, kind: anthropic, credential: x}]\n";
    check(&loaded(both, false).snapshot.traffic, &[(Format::Chat, "any", "not found")]);
}

#[test]
fn the_configured_order_of_targets_counts_before_their_formats() {
    let entry = "  - {name: both, targets: [{provider: claude, model: a}, {provider: openai, model: b}]}\nai:";
    let snapshot = loaded(&FILE.replace("ai:", entry), false).snapshot;
    let first = "claude:a for 1";
    check(&snapshot.traffic, &[(Format::Chat, "both", first), (Format::Messages, "both", first)]);
    check(&snapshot.traffic, &[(Format::Embeddings, "both", "openai:b for 1")]);
}

#[test]
fn calls_are_translated_into_the_first_possible_format_of_a_provider() {
    let provider = |rest: &str| {
        let source = format!("providers: [{{name: p, credential: x, {rest}}}]\n");
        let traffic = loaded(&source, false).snapshot.traffic;
        Arc::clone(traffic.provider("p").unwrap())
    };
    let formats = |rest: &str| {
        let provider = provider(rest);
        [Format::Chat, Format::Responses, Format::Messages, Format::GenerateContent]
            .map(|format| provider.format_of(endpoint(format)).map_or("none", Format::name))
    };
    assert_eq!(formats("kind: openai"), ["chat", "responses", "responses", "responses"]);
    assert_eq!(formats("kind: openai, base_url: 'http://h/v1'"), ["chat", "chat", "chat", "chat"]);
    let both = "kind: openai, base_url: 'http://h/v1', formats: [chat, responses, chat]";
    assert_eq!(formats(both), ["chat", "responses", "chat", "chat"]);
    assert_eq!(formats("kind: openai, formats: [responses]"), ["responses", "responses", "responses", "responses"]);
    assert_eq!(formats("kind: anthropic"), ["messages", "messages", "messages", "messages"]);
    let gemini = "generate_content";
    assert_eq!(formats("kind: gemini"), [gemini, gemini, gemini, gemini]);
    let mock = "kind: mock, base_url: 'http://h'";
    assert_eq!(formats(mock), ["chat", "responses", "messages", "generate_content"]);
    let limited = format!("{mock}, formats: [generate_content, messages]");
    assert_eq!(formats(&limited), [gemini, gemini, "messages", gemini]);
    let builtin = "providers: [{name: mock, kind: mock, formats: [messages]}]\n";
    let builtin = loaded(builtin, false).snapshot.traffic.with_mock(origin());
    assert_eq!(builtin.provider("mock").unwrap().format_of(Endpoint::Responses), Some(Format::Messages));
    let chat_only = provider("kind: mock, base_url: 'http://h', formats: [chat]");
    assert!(chat_only.speaks(Format::Embeddings) && !chat_only.speaks(Format::Messages));
}
