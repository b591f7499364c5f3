//! Lists of models, in the format of the requesting client; the maximum tokens of models; and the quotas of a key in the forms that clients read.

pub mod limits;
pub mod listed;
mod modalities;
pub mod quota;

use access::Day;
use access::amounts::usd;
use serde::Serialize;

use crate::format::Dialect;
use crate::price::Price;
use crate::translate::efforts;
pub use limits::TokenLimits;
use modalities::Modalities;

/// The creation time of models is unknown, so it is the epoch, as Anthropic does for unknown release dates.
const CREATED: u64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";
/// The decimal places of a pico-USD.
const PICO_PLACES: usize = 12;

/// Returns the client's dialect at a path that several APIs share: Google's clients send `x-goog-api-key`, Anthropic's
/// send `anthropic-version`, and other clients send neither.
#[must_use]
pub const fn asking(has_goog_api_key: bool, has_anthropic_version: bool) -> Dialect {
    match (has_goog_api_key, has_anthropic_version) {
        (true, _) => Dialect::Google,
        (false, true) => Dialect::Anthropic,
        (false, false) => Dialect::OpenAi,
    }
}

/// A model of a list, as far as the gateway knows it.
#[derive(Debug, Clone, Copy)]
pub struct ModelCard<'a> {
    /// The name for requests.
    pub name: &'a str,
    /// The name by which the rules of the model are known; `None` if there is no model behind the name yet.
    pub known_model: Option<&'a str>,
    /// Maximum input and output; `None` if they are unknown.
    pub limits: Option<TokenLimits>,
    /// The price at standard terms; `None` if it is unknown.
    pub price: Option<&'a Price>,
    /// The day on which the list is shown.
    pub today: Day,
}

impl<'a> ModelCard<'a> {
    /// Returns a model of which only the name is known.
    #[must_use]
    pub const fn named(name: &'a str) -> Self {
        Self { name, known_model: None, limits: None, price: None, today: Day(0) }
    }
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

/// OpenAI's fields, then those of OpenRouter's list, which many clients read, and vLLM's `max_model_len`.
#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_model_len: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_provider: Option<TopProvider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<Modalities>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_efforts: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
}

#[derive(Serialize)]
struct TopProvider {
    context_length: u64,
    max_completion_tokens: u64,
}

/// USD per token, in decimals.
#[derive(Serialize)]
struct Pricing {
    prompt: String,
    completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write: Option<String>,
    /// The day of the figures, if they are those of the built-in table and older than two weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_since: Option<String>,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
}

#[derive(Serialize)]
struct GoogleList<'a> {
    models: Vec<GoogleModel<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GoogleModel<'a> {
    /// The id with the prefix `models/`.
    name: String,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
}

impl<'a> OpenAiModel<'a> {
    fn from_card(card: &ModelCard<'a>, owned_by: &'a str) -> Self {
        let context = card.limits.map(context_tokens);
        Self {
            id: card.name,
            object: "model",
            created: CREATED,
            owned_by,
            context_length: context,
            max_model_len: context,
            max_output_tokens: card.limits.map(|limits| limits.output_tokens_max),
            top_provider: card.limits.map(|limits| TopProvider {
                context_length: context_tokens(limits),
                max_completion_tokens: limits.output_tokens_max,
            }),
            architecture: card.known_model.and_then(Modalities::of_model),
            reasoning_efforts: card.known_model.map(efforts).unwrap_or_default(),
            pricing: card.price.and_then(|price| Pricing::of_price(price, card.today)),
        }
    }
}

/// Returns the length of the context window. The highest input of OpenAI's models is the rest of the window beside the output.
const fn context_tokens(limits: TokenLimits) -> u64 {
    /// The windows of gpt-5 and of gpt-5.4 and later.
    const WINDOWS: [u64; 2] = [400_000, 1_050_000];
    let sum = limits.input_tokens_max.saturating_add(limits.output_tokens_max);
    if sum == WINDOWS[0] || sum == WINDOWS[1] { sum } else { limits.input_tokens_max }
}

impl Pricing {
    fn of_price(price: &Price, today: Day) -> Option<Self> {
        let rates = &price.rates;
        let per_token = |pico: u64| usd::written(pico, PICO_PLACES);
        Some(Self {
            prompt: per_token(rates.input?),
            completion: per_token(rates.output.unwrap_or(0)),
            input_cache_read: rates.cached_input.map(per_token),
            input_cache_write: rates.cache_write_short.map(per_token),
            stale_since: price.is_stale(today).then(|| price.as_of.to_string()),
        })
    }
}

impl<'a> AnthropicModel<'a> {
    fn from_card(card: &ModelCard<'a>) -> Self {
        Self {
            kind: "model",
            id: card.name,
            display_name: card.name,
            created_at: CREATED_AT,
            max_input_tokens: card.limits.map(|limits| limits.input_tokens_max),
            max_tokens: card.limits.map(|limits| limits.output_tokens_max),
        }
    }
}

impl<'a> GoogleModel<'a> {
    fn from_card(card: &ModelCard<'a>) -> Self {
        Self {
            name: format!("models/{}", card.name),
            display_name: card.name,
            input_token_limit: card.limits.map(|limits| limits.input_tokens_max),
            output_token_limit: card.limits.map(|limits| limits.output_tokens_max),
        }
    }
}

/// Returns the body of `GET /v1/models`: one page with every model. `owner` is OpenAI's `owned_by`.
#[must_use]
pub fn list(asking: Dialect, models: &[ModelCard<'_>], owner: &str) -> Vec<u8> {
    match asking {
        Dialect::OpenAi => json(&OpenAiList {
            object: "list",
            data: models.iter().map(|card| OpenAiModel::from_card(card, owner)).collect(),
        }),
        Dialect::Anthropic => json(&AnthropicList {
            has_more: false,
            first_id: models.first().map(|card| card.name),
            last_id: models.last().map(|card| card.name),
            data: models.iter().map(AnthropicModel::from_card).collect(),
        }),
        Dialect::Google => json(&GoogleList { models: models.iter().map(GoogleModel::from_card).collect() }),
    }
}

/// Returns the body of `GET /v1/models/{name}`.
#[must_use]
pub fn one(asking: Dialect, model: &ModelCard<'_>, owner: &str) -> Vec<u8> {
    match asking {
        Dialect::OpenAi => json(&OpenAiModel::from_card(model, owner)),
        Dialect::Anthropic => json(&AnthropicModel::from_card(model)),
        Dialect::Google => json(&GoogleModel::from_card(model)),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Serializing strings and numbers cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::price::Prices;

    fn check(asking: Dialect, names: &[&str], body: &str) {
        let cards: Vec<ModelCard<'_>> = names.iter().map(|name| ModelCard::named(name)).collect();
        assert_eq!(String::from_utf8(list(asking, &cards, "codexible")).unwrap(), body);
    }

    #[test]
    fn openai_clients_get_their_list() {
        check(
            asking(false, false),
            &["fast", "openai/gpt-5"],
            r#"{"object":"list","data":[{"id":"fast","object":"model","created":0,"owned_by":"codexible"},{"id":"openai/gpt-5","object":"model","created":0,"owned_by":"codexible"}]}"#,
        );
        check(Dialect::OpenAi, &[], r#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn anthropic_clients_receive_the_anthropic_list() {
        check(
            asking(false, true),
            &["a", "b"],
            r#"{"data":[{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}"#,
        );
        check(Dialect::Anthropic, &[], r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }

    #[test]
    fn google_clients_receive_the_google_list() {
        check(asking(true, false), &["a"], r#"{"models":[{"name":"models/a","displayName":"a"}]}"#);
        check(Dialect::Google, &[], r#"{"models":[]}"#);
    }

    #[test]
    fn one_model_is_an_item_of_the_list() {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google] {
            let card = ModelCard::named("m");
            let item = one(dialect, &card, "o");
            let list = list(dialect, &[card], "o");
            assert!(String::from_utf8(list).unwrap().contains(std::str::from_utf8(&item).unwrap()));
        }
    }

    #[test]
    fn a_known_model_has_its_limits_modalities_efforts_and_price() {
        let prices = Prices::builtin();
        let shown = |dialect, kind: &str, model: &str| -> Value {
            let card = ModelCard {
                name: "fast",
                known_model: Some(model),
                limits: TokenLimits::find(kind, [model]),
                price: prices.find(kind, [model], Day(20_778)),
                today: Day(20_778),
            };
            serde_json::from_slice(&one(dialect, &card, "o")).unwrap()
        };
        let gpt = shown(Dialect::OpenAi, "openai", "gpt-5");
        assert_eq!(
            gpt,
            json!({
                "id": "fast", "object": "model", "created": 0, "owned_by": "o",
                "context_length": 400_000, "max_model_len": 400_000, "max_output_tokens": 128_000,
                "top_provider": {"context_length": 400_000, "max_completion_tokens": 128_000},
                "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
                "reasoning_efforts": ["minimal", "low", "medium", "high"],
                "pricing": {
                    "prompt": "0.00000125", "completion": "0.00001", "input_cache_read": "0.000000125", "input_cache_write": "0.00000125"
                }
            })
        );
        let claude = shown(Dialect::OpenAi, "anthropic", "claude-opus-4-8");
        assert_eq!(
            (&claude["context_length"], &claude["reasoning_efforts"]),
            (&json!(1_000_000), &json!(["low", "medium", "high", "xhigh", "max"]))
        );
        let claude = shown(Dialect::Anthropic, "anthropic", "claude-opus-4-8");
        assert_eq!((&claude["max_input_tokens"], &claude["max_tokens"]), (&json!(1_000_000), &json!(128_000)));
        let gemini = shown(Dialect::Google, "gemini", "gemini-2.5-pro");
        assert_eq!((&gemini["inputTokenLimit"], &gemini["outputTokenLimit"]), (&json!(1_048_576), &json!(65_536)));
    }
}
