//! `GET /api/models`: the models that the caller may request, with prices and limits.

use std::sync::Arc;

use access::{Credits, Day, Principal};
use axum::Json;
use axum::extract::State;
use config::CatalogModel;
use config::snapshot::Provider;
use meter::{Rates, UnitRates};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::figures::CURRENCY;
use crate::message::moment::date;
use crate::message::problem::Problem;
use crate::nouns::credentials::{CredentialState, VaultCredentials};
use crate::process::state::App;
use crate::sign_in::caller::KeyReader;

/// The models that the caller may request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    /// First the entries of `models` in the configuration, then other models with a known price. A provider may serve
    /// further models under `PROVIDER/MODEL`.
    items: Vec<ModelView>,
    /// Always null: one page contains all models.
    next: Option<String>,
}

/// A model that clients may request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
struct ModelView {
    /// The name for requests: of an entry of `models` in the configuration, an alias of the plan, or `PROVIDER/MODEL`.
    name: String,
    /// Other names of the same model of the same provider. They may cost other credits.
    aliases: Vec<String>,
    /// Whether the name is an entry of `models` or an alias of the plan, which `GET /v1/models` lists.
    listed: bool,
    /// The name of the provider: of several, the first one for which the caller has a credential.
    provider: String,
    /// The provider's own name of the model.
    provider_model: String,
    /// The formats that the providers of the model support, such as `chat`; they may not support each one for this model.
    formats: Vec<&'static str>,
    /// The flat credits that a request costs; a plan whose credits depend on tokens does not use them.
    #[schema(value_type = f64)]
    credits: Credits,
    #[schema(inline)]
    credential: CredentialState,
    /// The limits of a request; null if they are unknown.
    limits: Option<ModelLimits>,
    /// The price at standard terms today; null if it is unknown, never for a free model.
    price: Option<ModelPrice>,
}

/// The maximum tokens of a request.
#[derive(Debug, Serialize, ToSchema)]
struct ModelLimits {
    /// The maximum input, cached tokens included.
    input_tokens_max: u64,
    /// The maximum output, reasoning included.
    output_tokens_max: u64,
}

/// The price of a model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelPrice {
    /// The version that requests record.
    version: String,
    /// The source of the figures.
    source: String,
    /// The day on which the figures were read at the source; null for configured prices.
    #[schema(format = Date)]
    as_of: Option<String>,
    /// Whether the figures are those of the built-in table and older than two weeks.
    stale: bool,
    /// The last day of the price; null if no end is known.
    #[schema(format = Date)]
    until: Option<String>,
    currency: &'static str,
    rates_pico: TokenRates,
    /// The rates of requests with more input; null if they are the same.
    long: Option<LongRates>,
    units_pico: UnitPrices,
}

/// The rates of long requests, which apply to the whole request.
#[derive(Debug, Serialize, ToSchema)]
struct LongRates {
    /// The rates apply if all input, cached tokens included, exceeds this number.
    above_tokens: u64,
    rates_pico: TokenRates,
}

/// The rate of one token of each class, in trillionths (pico) of the currency: 1 USD per million tokens is 1,000,000.
/// Null is unknown, 0 is free.
#[derive(Debug, Serialize, ToSchema)]
struct TokenRates {
    /// Text input that no cache had.
    input: Option<u64>,
    /// Input that was read from the provider's cache.
    cached_input: Option<u64>,
    /// Input that was written to a cache with the short lifetime.
    cache_write_short: Option<u64>,
    /// Input that was written to a cache with the long lifetime.
    cache_write_long: Option<u64>,
    /// Text output, including reasoning.
    output: Option<u64>,
    /// Audio input that no cache had.
    audio_input: Option<u64>,
    /// Image input that no cache had.
    image_input: Option<u64>,
    /// Audio that the model generated.
    audio_output: Option<u64>,
    /// Images that the model generated, if they are billed by tokens.
    image_output: Option<u64>,
}

/// The rate of one unit other than tokens, in trillionths (pico) of the currency. Null is unknown, or not billed.
#[derive(Debug, Serialize, ToSchema)]
struct UnitPrices {
    /// One image that was generated.
    image: Option<u64>,
    /// One millisecond of input audio.
    millisecond: Option<u64>,
    /// One character of spoken text.
    character: Option<u64>,
    /// One search of the web.
    search: Option<u64>,
    /// One prompt for which the provider searched the web; it replaces `search`.
    search_prompt: Option<u64>,
    /// One query to Google Maps.
    maps_query: Option<u64>,
    /// One prompt that Google Maps grounded; it replaces `maps_query`.
    maps_prompt: Option<u64>,
    /// One gigabyte of memory of a code interpreter's container.
    container: Option<u64>,
    /// One search in stored files.
    file_search: Option<u64>,
    /// A fee per request, in addition to its other costs.
    request: Option<u64>,
}

/// Copies all fields of a type into another one with the same fields. A field that only one of them has does not compile.
macro_rules! with_fields_of {
    ($from:ident, $to:ident: $($field:ident),+) => {
        impl From<&$from> for $to {
            fn from(rates: &$from) -> Self {
                let $from { $($field),+ } = *rates;
                Self { $($field),+ }
            }
        }
    };
}

with_fields_of!(
    Rates, TokenRates: input, cached_input, cache_write_short, cache_write_long, output, audio_input, image_input, audio_output,
    image_output
);
with_fields_of!(
    UnitRates, UnitPrices: image, millisecond, character, search, search_prompt, maps_query, maps_prompt, container,
    file_search, request
);

impl ModelView {
    fn new(model: CatalogModel<'_>, credential: CredentialState, today: Day) -> Self {
        let price = model.price.map(|price| ModelPrice {
            version: price.version.to_string(),
            source: price.source.to_string(),
            as_of: Some(price.as_of.to_string()).filter(|day| !day.is_empty()),
            stale: price.is_stale(today),
            until: price.period.until.map(date),
            currency: CURRENCY,
            rates_pico: TokenRates::from(&price.rates),
            long: price
                .long
                .map(|long| LongRates { above_tokens: long.above_tokens, rates_pico: TokenRates::from(&long.rates) }),
            units_pico: UnitPrices::from(&price.units),
        });
        let limits = model.limits.map(|limits| ModelLimits {
            input_tokens_max: limits.input_tokens_max,
            output_tokens_max: limits.output_tokens_max,
        });
        Self {
            name: model.name,
            aliases: model.aliases,
            listed: model.is_entry,
            provider: model.provider.name.to_string(),
            provider_model: model.model.to_owned(),
            formats: model.formats,
            credits: model.credits,
            credential,
            limits,
            price,
        }
    }
}

/// Lists the models that the caller may request.
///
/// A key with a list of models gets these models only, and a plan with a list of models those that it includes, with the
/// plan's aliases. `credential` says whether requests to the provider have one.
#[utoipa::path(get, path = "/api/models", tag = "models", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Models, example = json!({
        "items": [{
            "name": "fast", "aliases": ["openai/gpt-5-mini"], "listed": true, "provider": "openai", "provider_model": "gpt-5-mini",
            "formats": ["chat", "responses"], "credits": 1, "credential": "shared",
            "limits": {"input_tokens_max": 272000, "output_tokens_max": 128000},
            "price": {"version": "builtin-2026-11-21", "source": "developers.openai.com/api/docs/pricing", "as_of": "2026-11-20",
                "stale": false, "until": null, "currency": "USD",
                "rates_pico": {"input": 250000, "cached_input": 25000, "cache_write_short": null, "cache_write_long": null,
                    "output": 2000000, "audio_input": null, "image_input": 250000, "audio_output": null, "image_output": null},
                "long": null,
                "units_pico": {"image": null, "millisecond": null, "character": null, "search": 10000000000_u64,
                    "search_prompt": null, "maps_query": null, "maps_prompt": null, "container": null, "file_search": null,
                    "request": null}}
        }],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, KeyReader(caller): KeyReader) -> Result<Json<Models>, Problem> {
    let credentials = VaultCredentials::load(&app.store, caller.user).await?;
    let snapshot = app.live.load_full();
    let key: Option<&Principal> = caller.key().map(|key| &**key);
    let opens = |name: &str| key.is_none_or(|key| key.bounds.opens_model(name));
    let traffic = &snapshot.traffic;
    let is_off = |provider: &Provider| {
        traffic.offered_providers.iter().any(|offered| offered.name == provider.name)
            && matches!(credentials.state(provider, &caller.plan), CredentialState::Missing)
    };
    let usable = |provider: &Provider| credentials.state(provider, &caller.plan) != CredentialState::Missing;
    let now = app.clock.now();
    let listed = traffic.catalog_in_plan(&caller.plan.name, now, opens, usable).into_iter();
    let listed = listed.filter(|model| !is_off(model.provider));
    let items = listed.map(|model| {
        let state = credentials.state(model.provider, &caller.plan);
        ModelView::new(model, state, now.day())
    });
    Ok(Json(Models { items: items.collect(), next: None }))
}
