mod formats;
mod told;

use ai::Format;
use meter::{Rates, UnitRates};

use super::*;
use crate::Environment;
use crate::load::{LoadedConfig, Sources, load_text};
use crate::sources::flags::Flags;

/// Noon of 2026-11-21 in UTC.
const NOW: Timestamp = Timestamp(1_795_262_400_000_000);

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

pub(super) fn loaded(source: &str, mock: bool) -> LoadedConfig {
    let flags = Flags { mock, ..Flags::default() };
    load_text("t.yaml", source, Sources { file: None, environment: &Environment::default(), flags }).unwrap()
}

fn origin() -> Origin {
    Origin::parse("http://127.0.0.1:4000").unwrap()
}

/// Returns the first endpoint of a format.
pub(super) fn endpoint(format: Format) -> Endpoint {
    Endpoint::ALL.into_iter().find(|endpoint| endpoint.format() == Some(format)).unwrap()
}

fn check(traffic: &Traffic, cases: &[(Format, &str, &str)]) {
    for (format, asked, expected) in cases {
        let found = match traffic.resolve_model(endpoint(*format), asked) {
            Ok(found) => {
                assert_eq!(*found.asked, **asked);
                format!("{}:{} for {}", found.provider.name, found.model, found.credits)
            }
            Err(ResolveError::NotFound) => "not found".to_owned(),
            Err(ResolveError::Mismatch { path }) => path,
            Err(error @ ResolveError::NotInPlan { .. }) => panic!("{error:?}"),
        };
        assert_eq!(found, *expected, "{} {asked}", format.name());
    }
}

#[test]
fn several_targets_without_one_of_the_format_are_a_mismatch() {
    let models = "  - {name: both, targets: [{provider: claude, model: a}, {provider: claude, model: b}]}\nai:";
    let snapshot = loaded(&FILE.replace("ai:", models), false).snapshot;
    check(
        &snapshot.traffic,
        &[(Format::Embeddings, "both", "/llm/v1/messages"), (Format::Messages, "both", "claude:a for 1")],
    );
}

#[test]
fn a_name_is_an_entry_then_a_provider_and_model_then_the_only_speakers() {
    let snapshot = loaded(FILE, false).snapshot;
    check(
        &snapshot.traffic,
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
    assert_eq!(snapshot.traffic.model_names(), ["fast", "fast-too", "smart"]);
}

#[test]
fn names_that_the_file_or_a_price_list_has_are_told_from_those_that_callers_make_up() {
    let snapshot = loaded(&format!("{FILE}prices: [{{model: openai/own, input: 1, output: 1}}]"), false).snapshot;
    let snapshot = snapshot.traffic.with_mock(origin());
    let names = |asked: &str| {
        let found = snapshot.resolve_model(Endpoint::ChatCompletions, asked).ok();
        snapshot.names(asked, found.as_ref().map(|found| (&*found.provider, &*found.model)))
    };
    for known in ["fast", "smart", "mock", "openai/gpt-5", "openai/own"] {
        assert!(names(known), "{known}");
    }
    for made_up in ["", "mock/429", "mock/*", "openai/gpt-99", "openai/gpt-5-20250101", "nobody/gpt-5", "faster"] {
        assert!(!names(made_up), "{made_up}");
    }
}

#[test]
fn going_around_an_entry_costs_what_its_dearest_does() {
    let snapshot = loaded(FILE, false).snapshot;
    let dear = "openai:gpt-5-mini for 5";
    check(&snapshot.traffic, &[(Format::Chat, "openai/gpt-5-mini", dear), (Format::Chat, "gpt-5-mini", dear)]);
}

const PATTERNS: &str = "
providers:
  - {name: openai, kind: openai, credential: sk-1}
  - {name: b, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: sk-2}
models:
  - {name: 'x/*', credits: 2, targets: [{provider: b, model: '*'}]}
  - {name: 'x/llama-*', credits: 3, targets: [{provider: b, model: 'meta/llama-*'}]}
  - {name: 'x/own', credits: 4, targets: [{provider: b, model: own-1}]}
  - {name: 'cheap-*', targets: [{provider: b, model: small}]}
  - {name: 'big', credits: 10, targets: [{provider: b, model: large}]}
  - {name: 'o/gpt-5*', targets: [{provider: openai, model: 'gpt-5*'}]}
";

#[test]
fn a_star_at_the_end_of_a_name_serves_all_names_with_its_beginning() {
    let snapshot = loaded(PATTERNS, false).snapshot.traffic;
    check(
        &snapshot,
        &[
            (Format::Chat, "x/foo", "b:foo for 2"),
            (Format::Chat, "x/a/b", "b:a/b for 2"),
            (Format::Chat, "x/llama-4", "b:meta/llama-4 for 3"),
            (Format::Chat, "x/llama-", "b:llama- for 2"),
            (Format::Chat, "x/own", "b:own-1 for 4"),
            (Format::Chat, "x/", "not found"),
            (Format::Chat, "cheap-anything", "b:small for 1"),
            (Format::Messages, "x/foo", "b:foo for 2"),
            (Format::GenerateContent, "x/foo", "b:foo for 2"),
            (Format::EmbedContent, "x/foo", "/v1/chat/completions"),
            // No other name avoids the credits of an entry with the same target.
            (Format::Chat, "x/large", "b:large for 10"),
            (Format::Chat, "b/foo", "b:foo for 2"),
            (Format::Chat, "b/meta/llama-4", "b:meta/llama-4 for 3"),
            (Format::Chat, "b/large", "b:large for 10"),
        ],
    );
    for (name, serves) in [("x/foo", true), ("cheap-1", true), ("x/", false), ("y/foo", false), ("b/any", true)] {
        assert_eq!(snapshot.serves(name), serves, "{name}");
    }
    let names = snapshot.model_names();
    assert!(names[..5] == ["x/*", "x/llama-*", "x/own", "cheap-*", "big"], "{names:?}");
    assert!(names[5..].iter().all(|name| name.starts_with("o/gpt-5") && !name.contains('*')), "{names:?}");
    assert!(names.iter().any(|name| *name == "o/gpt-5-mini"), "{names:?}");
    let known = |asked: &str| {
        let found = snapshot.resolve_model(Endpoint::ChatCompletions, asked).unwrap();
        snapshot.names(asked, Some((&found.provider, &found.model)))
    };
    assert!(known("o/gpt-5-mini") && known("big") && !known("o/gpt-5-99") && !known("cheap-1") && !known("x/foo"));
}

#[test]
fn names_with_the_same_target_are_counted_as_their_entry_unless_a_charge_lists_them() {
    const PLANS: &str = "plans: [{name: pro, price: 5 USD, charges: [{name: LLM, metric: cost, models: [cheap-9]}]}]\n";
    let traffic = loaded(&format!("{PATTERNS}{PLANS}"), false).snapshot.traffic;
    for (asked, counted) in
        [("cheap-1", "cheap-*"), ("cheap-9", "cheap-9"), ("x/foo", "x/foo"), ("big", "big"), ("b/foo", "b/foo")]
    {
        assert_eq!(*traffic.counted_name(&asked.into()), *counted);
    }
    assert!(traffic.names("cheap-*", None) && traffic.names("cheap-9", None) && !traffic.names("cheap-1", None));
}

#[test]
fn dated_names_are_counted_as_the_names_that_a_charge_lists() {
    const PLANS: &str = "plans: [{name: pro, price: 5 USD, charges: [{name: LLM, metric: cost,
        models: [o/gpt-5-mini, o/gpt-5-mini-2026-01-01, small]}]}]\n";
    let traffic = loaded(&format!("{PATTERNS}{PLANS}"), false).snapshot.traffic;
    for (asked, counted) in [
        ("o/gpt-5-mini-2025-08-07", "o/gpt-5-mini"),
        ("small-20250807", "small"),
        ("o/gpt-5-mini-2026-01-01", "o/gpt-5-mini-2026-01-01"),
        ("o/gpt-5-nano-2025-08-07", "o/gpt-5-nano-2025-08-07"),
    ] {
        assert_eq!(*traffic.counted_name(&asked.into()), *counted);
    }
}

#[test]
fn a_star_elsewhere_or_without_one_in_the_name_is_an_error() {
    for (name, model, expected) in [
        ("a*b", "m", "`*` only at the end"),
        ("a**", "m", "`*` only at the end"),
        ("a*", "m*x", "`*` only at the end"),
        ("a", "m*", "a model without `*`, as the name of the entry has none"),
    ] {
        let source = format!(
            "providers: [{{name: p, kind: openai, credential: k}}]\nmodels: [{{name: '{name}', targets: [{{provider: p, model: '{model}'}}]}}]\n"
        );
        let sources = Sources { file: None, environment: &Environment::default(), flags: Flags::default() };
        let error = load_text("t.yaml", &source, sources).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("t.yaml:2"), "{name} {model}: {error}");
    }
}

#[test]
fn another_format_names_the_right_path() {
    check(
        &loaded(FILE, false).snapshot.traffic,
        &[
            (Format::EmbedContent, "fast", "/llm/v1/chat/completions"),
            (Format::EmbedContent, "openai/gpt-5", "/llm/v1/chat/completions"),
            (Format::Embeddings, "smart", "/llm/v1/messages"),
            (Format::Completions, "claude/x", "/llm/v1/messages"),
        ],
    );
    let snapshot = loaded(FILE, false).snapshot;
    let counted = |asked: &str| snapshot.traffic.resolve_model(Endpoint::CountTokens, asked).map(|found| found.model);
    assert_eq!(counted("smart").as_deref(), Ok("claude-opus-4-8"));
    for (asked, model) in [("fast", "gpt-5-mini"), ("openai/gpt-5", "gpt-5")] {
        assert_eq!(counted(asked).as_deref(), Ok(model), "its tokens are estimated");
    }
    let counts = |name: &str| snapshot.traffic.provider(name).unwrap().of_model("m").counts(Endpoint::CountTokens);
    assert_eq!(["openai", "claude"].map(counts), [false, true]);
}

#[test]
fn a_name_that_several_or_none_could_answer_is_not_found() {
    let two = "providers:\n  - {name: a, kind: openai, credential: x}\n  - {name: b, kind: openai, credential: y}\n";
    let snapshot = loaded(two, false).snapshot;
    check(&snapshot.traffic, &[(Format::Chat, "gpt", "not found"), (Format::Chat, "b/gpt", "b:gpt for 1")]);
    check(&snapshot.traffic, &[(Format::Messages, "claude", "not found"), (Format::Chat, "b/", "not found")]);
}

#[test]
fn the_mock_answers_every_format_under_its_names() {
    let source = "models:\n  - {name: fast, credits: 3, targets: [{provider: mock, model: slow}]}\n";
    let snapshot = loaded(source, false).snapshot.traffic.with_mock(origin());
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
    assert!(
        loaded.snapshot.traffic.mock.on
            && loaded.snapshot.traffic.mock.forced
            && loaded.snapshot.traffic.providers.is_empty()
    );
    assert_eq!(loaded.notes.len(), 5, "two providers and three models: {:?}", loaded.notes);
    let snapshot = loaded.snapshot.traffic.with_mock(origin());
    check(
        &snapshot,
        &[
            (Format::Chat, "fast", "mock:fast for 2"),
            (Format::Messages, "fast-too", "mock:fast-too for 5"),
            (Format::Chat, "openai/gpt-5", "mock:openai/gpt-5 for 1"),
        ],
    );
    assert_eq!(snapshot.model_names(), ["fast", "fast-too", "smart", "mock"]);
    assert!(!snapshot.costs_money());
}

#[test]
fn an_entry_keeps_the_name_mock() {
    let source = format!("{FILE}  \n").replace("name: smart", "name: mock");
    let snapshot = loaded(&source, false).snapshot.traffic.with_mock(origin());
    check(&snapshot, &[(Format::Messages, "mock", "claude:claude-opus-4-8 for 1")]);
    assert_eq!(snapshot.model_names().iter().filter(|name| **name == "mock").count(), 1);
}

#[test]
fn dated_names_do_not_go_around_an_entry() {
    let source = "models:
  - {name: a, credits: 10, targets: [{provider: mock, model: big}]}
  - {name: b, credits: 7, targets: [{provider: mock, model: old-20251001}]}
";
    let snapshot = loaded(source, false).snapshot.traffic.with_mock(origin());
    check(
        &snapshot,
        &[
            (Format::Chat, "mock/big-2025-08-07", "mock:big-2025-08-07 for 10"),
            (Format::Chat, "big-20250807", "mock:big-20250807 for 10"),
            (Format::Chat, "mock/old", "mock:old for 7"),
            (Format::Chat, "mock/old-20260101", "mock:old-20260101 for 7"),
            (Format::Chat, "mock/big-2025", "mock:big-2025 for 1"),
        ],
    );
}

/// Compares rates of input in pico-USD: `PROVIDER sent answered`.
fn check_prices(traffic: &Traffic, cases: &[(&str, &str, Option<&str>, Option<u64>)]) {
    for (name, sent, answered, expected) in cases {
        let provider = traffic.providers.iter().find(|provider| *provider.name == **name).unwrap();
        let found = traffic.price(provider, (sent, *answered), NOW).and_then(|price| price.rates.input);
        assert_eq!(found, *expected, "{name} {sent} {answered:?}");
    }
}

#[test]
fn a_configured_price_comes_before_the_built_in_one_and_an_answered_model_before_the_sent() {
    let source = format!(
        "{FILE}prices:
  - {{model: claude/claude-opus-4-8, input: '1', output: '2'}}
  - {{model: openai/my-deploy, input: '3', output: '4'}}
  - {{model: openai/gpt-5, input: '5', output: '6'}}
"
    );
    let snapshot = loaded(&source, false).snapshot;
    check_prices(
        &snapshot.traffic,
        &[
            ("claude", "claude-opus-4-8", None, Some(1_000_000)),
            ("openai", "my-deploy", Some("gpt-5-mini-2025-08-07"), Some(3_000_000)),
            ("openai", "my-deploy", Some("gpt-5-2025-08-07"), Some(5_000_000)),
            ("openai", "gpt-5-nano", Some("gpt-5-mini-2025-08-07"), Some(250_000)),
            ("openai", "gpt-5-mini", Some("unheard-of"), Some(250_000)),
            ("openai", "gpt-unheard-of", None, None),
        ],
    );
    assert!(snapshot.traffic.costs_money());
}

#[test]
fn built_in_prices_hold_at_the_kinds_own_host_only() {
    let source = "
providers:
  - {name: openai, kind: openai, base_url: 'https://groq.example/openai/v1', credential: x}
  - {name: anthropic, kind: anthropic, base_url: 'https://api.anthropic.com.example', credential: x}
  - {name: main, kind: openai, base_url: 'https://API.openai.com:443/v1', credential: x}
  - {name: claude, kind: anthropic, credential: x}
  - {name: other, kind: mock, base_url: 'http://127.0.0.1:9'}
prices: [{model: openai/llama, input: '3', output: '4'}]
";
    check_prices(
        &loaded(source, false).snapshot.traffic,
        &[
            ("openai", "gpt-5-mini", Some("gpt-5-mini"), None),
            ("openai", "llama", Some("gpt-5-mini"), Some(3_000_000)),
            ("anthropic", "claude-opus-4-8", None, None),
            ("main", "gpt-5-mini", None, Some(250_000)),
            ("main", "llama", None, None),
            ("claude", "claude-opus-4-8", None, Some(5_000_000)),
            ("other", "x", None, Some(1_000_000)),
        ],
    );
}

#[test]
fn what_stands_in_for_a_missing_price_is_inputs_and_only_for_input() {
    let source = "
prices:
  - {model: openai/text, input: '1', output: '2'}
  - {model: openai/media, input: '1', cached_input: '0.1', audio_input: '3', image_input: '4', output: '5', audio_output: '6', image_output: '7'}
  - {model: openai/drawn, input: '1', image_output: '7'}
  - {model: openai/sold, per_image: '0.04', per_second: '0.0001', per_character: '0.000015'}
";
    let prices = loaded(source, false).snapshot.traffic.prices;
    let price = |model| prices.find("openai", [model], NOW.day()).unwrap().clone();
    let million = |usd: u64| Some(usd * 1_000_000);
    let text = Rates {
        input: million(1),
        cached_input: million(1),
        cache_write_short: million(1),
        cache_write_long: million(1),
        output: million(2),
        image_input: million(1),
        ..Rates::default()
    };
    // The fees of OpenAI's own tools are those of its table.
    let fees = UnitRates { image: None, millisecond: None, character: None, ..price("text").units };
    assert_eq!((price("text").rates, price("text").units), (text, fees));
    let media = price("media").rates;
    assert_eq!((media.cached_input, media.audio_input, media.image_input), (Some(100_000), million(3), million(4)));
    assert_eq!((media.audio_output, media.image_output), (million(6), million(7)));
    assert_eq!((price("drawn").rates.output, price("drawn").rates.image_output), (None, million(7)));
    let units =
        UnitRates { image: Some(40_000_000_000), millisecond: Some(100_000), character: Some(15_000_000), ..fees };
    assert_eq!((price("sold").rates, price("sold").units), (Rates::default(), units));
}

#[test]
fn a_price_is_found_again_while_its_version_holds() {
    let source = "
providers: [{name: main, kind: openai, credential: x}]
prices: [{model: main/own, input: '3', output: '4'}]
";
    let snapshot = loaded(source, false).snapshot;
    let main = &snapshot.traffic.providers[0];
    for (sent, answered) in [("own", None), ("gpt-5-mini", Some("gpt-5-mini-2025-08-07"))] {
        let version = &snapshot.traffic.price(main, (sent, answered), NOW).unwrap().version;
        assert!(snapshot.traffic.price_of_version("main", (sent, answered), version).is_some());
        assert!(snapshot.traffic.price_of_version("main", (sent, answered), "configured-1/1/1/1/1").is_none());
        assert!(snapshot.traffic.price_of_version("gone", (sent, answered), version).is_none());
    }
}

/// Returns a provider of kind openai at `url`.
fn provider_at(url: &str) -> Traffic {
    let source = format!("providers: [{{name: far, kind: openai, base_url: '{url}', credential: x}}]");
    loaded(&source, false).snapshot.traffic
}

#[test]
fn a_price_of_every_model_does_not_apply_to_search_models() {
    let source = "providers: [{name: main, kind: openai, base_url: 'https://api.openai.com/v1', credential: x}]
prices: [{model: 'main/*', input: '1', output: '2'}]";
    let snapshot = loaded(source, false).snapshot;
    check_prices(
        &snapshot.traffic,
        &[
            ("main", "gpt-9", None, Some(1_000_000)),
            ("main", "gpt-4o-search-preview", None, None),
            ("main", "gpt-9", Some("gpt-5-search-api-2025-10-14"), None),
        ],
    );
}

#[test]
fn hosts_that_speak_like_openai_and_its_regions_have_built_in_prices_and_limits() {
    for (url, model, input, output_max) in [
        ("https://api.deepseek.com/v1", "deepseek-v4-pro", Some(1_320_000), Some(393_216)),
        ("https://api.x.ai/v1", "grok-4.5", Some(2_000_000), None),
        ("https://api.groq.com/openai/v1", "openai/gpt-oss-120b", Some(150_000), Some(65_536)),
        ("https://api.cerebras.ai/v1", "gpt-oss-120b", Some(350_000), None),
        ("https://api.mistral.ai/v1", "mistral-medium-3.5", Some(1_500_000), None),
        ("https://api.moonshot.ai/v1", "kimi-k2.6", Some(950_000), None),
        ("https://api.z.ai/api/paas/v4", "glm-5.3", Some(1_400_000), Some(131_072)),
        ("https://api.minimax.io/v1", "MiniMax-M3", Some(300_000), None),
        ("https://api.perplexity.ai", "sonar", Some(1_000_000), None),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen3.8-flash", Some(150_000), None),
        ("https://eu.api.openai.com/v1", "gpt-5.5", Some(5_500_000), Some(128_000)),
        ("https://us.api.openai.com/v1", "gpt-5", Some(1_250_000), Some(128_000)),
        ("https://jp.api.openai.com/v1", "gpt-5.5", None, Some(128_000)),
        ("https://api.x.ai.example/v1", "grok-4.5", None, None),
    ] {
        let snapshot = provider_at(url);
        let provider = &snapshot.providers[0];
        let price = snapshot.price(provider, (model, None), NOW);
        assert_eq!(price.and_then(|price| price.rates.input), input, "{url} {model}");
        let limits = snapshot.limits(provider, model, NOW);
        assert_eq!(limits.map(|limits| limits.output_tokens_max), output_max, "{url} {model}");
        if let Some(version) = price.map(|price| price.version.clone()) {
            assert!(snapshot.price_of_version("far", (model, None), &version).is_some(), "{version}");
        }
    }
}

#[test]
fn a_call_costs_what_applied_when_it_began_and_later_prices_do_not_change_it() {
    let source = "
providers: [{name: main, kind: openai, credential: x}]
prices:
  - {model: main/own, input: '1', output: '2', until: 2026-12-31}
  - {model: main/own, input: '3', output: '4', from: 2027-01-01, until: 2027-01-31}
  - {model: main/gpt-5.6, input: '5', output: '6', from: 2026-11-22}
";
    let snapshot = loaded(source, false).snapshot;
    let main = &snapshot.traffic.providers[0];
    let second = Duration::from_secs(1);
    let begins = |day: &str| access::Day::parse(day).unwrap().start();
    for (model, at, rate) in [
        ("own", begins("2027-01-01").before(second), Some(1_000_000)),
        ("own", begins("2027-01-01"), Some(3_000_000)),
        ("own", begins("2027-02-01").before(second), Some(3_000_000)),
        ("own", begins("2027-02-01"), None),
        ("gpt-5.6", begins("2026-11-22").before(second), Some(4_000_000)),
        ("gpt-5.6", begins("2026-11-22"), Some(5_000_000)),
    ] {
        let price = snapshot.traffic.price(main, (model, None), at);
        assert_eq!(price.and_then(|price| price.rates.input), rate, "{model} {at:?}");
        if let Some(price) = price {
            let again = snapshot.traffic.price_of_version("main", (model, None), &price.version).unwrap();
            assert_eq!(*again, *price, "{model} {at:?}");
        }
    }
}
