//! The keys of prices, in the configuration and in price files.

use access::Day;
use access::amounts::usd::{self, UsdError};
use ai::price::{Region, Tier, parse_each, parse_per_million, parse_per_second};
use settings::field::{Entries, default, maybe_nested, optional, required, sections};
use settings::form::{Boolean, FormRefusal, Scalar, TextForm, Whole, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    /// One entry of `prices`.
    PriceInput {
        ..figures: FiguresInput;
        /// The model, with a provider of `providers`.
        model: Option<Input<String>> = required(MODEL);
    }
}

section! {
    /// A price file, which is not a part of the configuration.
    PriceFileInput {
        /// The day of the figures.
        as_of: Option<Input<String>> = required(DATE);
        /// The page from which the figures were read.
        source: Option<Input<String>> = required(SOURCE);
        /// The prices of the models.
        prices: Entries<PriceRowInput> = sections::<PriceRowInput>("none");
    }
}

section! {
    /// A row of a price file.
    PriceRowInput {
        ..figures: FiguresInput;
        /// The model, with the kind or the host of its provider.
        model: Option<Input<String>> = required(MODEL);
        /// The page from which the row was read.
        source: Option<Input<String>> = optional(SOURCE, "the file's");
        /// Whether requests bound to a region cost a tenth more.
        region: Input<Region> = default(REGION, Region::default);
    }
}

section! {
    /// The figures of one price.
    FiguresInput {
        ..rates: RatesInput;
        /// The first day in UTC.
        from: Option<Input<Day>> = optional(DAY, "unlimited");
        /// The last day in UTC.
        until: Option<Input<Day>> = optional(DAY, "unlimited");
        /// An image without reported tokens.
        per_image: Option<Input<u64>> = optional(EACH, "none");
        /// A second of heard audio without reported tokens.
        per_second: Option<Input<u64>> = optional(PER_SECOND, "none");
        /// A spoken character without reported tokens.
        per_character: Option<Input<u64>> = optional(EACH, "none");
        /// A web search by the provider.
        per_search: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A prompt with web searches, instead of each search.
        per_search_prompt: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A query to Google Maps.
        per_maps_query: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A prompt with queries to Google Maps, instead of each query.
        per_maps_prompt: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A code interpreter container, per GB of memory.
        per_container: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A search in files by the provider.
        per_file_search: Option<Input<u64>> = optional(EACH, OWN_FEE);
        /// A request, in addition.
        per_request: Option<Input<u64>> = optional(EACH, "none");
        /// Tokens cost a tenth more with US-only inference (Anthropic's `inference_geo`).
        us_uplift: Input<bool> = default(Boolean, || false);
        /// Maximum input of the model, for reservations.
        input_tokens_max: Option<Input<u64>> = optional(Whole::<u64>::new(1, TOKENS_MAX), "the built-in limit");
        /// Maximum output of the model, for reservations and the limit of translated calls.
        output_tokens_max: Option<Input<u64>> =
            optional(Whole::<u64>::new(0, TOKENS_MAX), "required with `input_tokens_max`");
        /// Rates of long requests.
        long: Option<LongInput> = maybe_nested::<LongInput>();
        /// Rates of other service tiers; without rates, the cost of a tier is unknown.
        tiers: Entries<TierInput> = sections::<TierInput>("none");
        rules: Rule::Requires("input_tokens_max", "output_tokens_max"),
            Rule::Requires("output_tokens_max", "input_tokens_max");
    }
}

section! {
    /// The rates of long requests.
    LongInput {
        ..rates: RatesInput;
        /// Above this input, with cached tokens, all tokens have these rates.
        above_tokens: Option<Input<u64>> = required(Whole::<u64>::new(1, TOKENS_MAX));
    }
}

section! {
    /// The rates of one service tier.
    TierInput {
        ..rates: RatesInput;
        /// The tier as the response reports it.
        tier: Option<Input<Tier>> = required(TIER);
        /// Rates of long requests of the tier.
        long: Option<LongInput> = maybe_nested::<LongInput>();
    }
}

section! {
    /// The rates of tokens.
    RatesInput {
        /// Uncached input; required unless images, seconds or characters have a price.
        input: Option<Input<u64>> = optional(PER_MILLION, "required");
        /// Input that is read from a cache.
        cached_input: Option<Input<u64>> = optional(PER_MILLION, "as `input`");
        /// Input that is written to a short-lived cache.
        cache_write: Option<Input<u64>> = optional(PER_MILLION, "as `input`");
        /// Input that is written to a long-lived cache.
        cache_write_long: Option<Input<u64>> = optional(PER_MILLION, "as `cache_write`");
        /// Output tokens, including reasoning tokens.
        output: Option<Input<u64>> = optional(PER_MILLION, "required without `image_output`");
        /// Audio tokens of the input.
        audio_input: Option<Input<u64>> = optional(PER_MILLION, "none");
        /// Image tokens of the input.
        image_input: Option<Input<u64>> = optional(PER_MILLION, "as `input`");
        /// Audio tokens of the output.
        audio_output: Option<Input<u64>> = optional(PER_MILLION, "none");
        /// Image tokens of the output.
        image_output: Option<Input<u64>> = optional(PER_MILLION, "none");
        rules: Rule::RequiredUnless("input", &["per_image", "per_second", "per_character"]),
            Rule::RequiredUnless("output", &["per_image", "per_second", "per_character", "image_output"]);
    }
}

const OWN_FEE: &str = "the built-in fee";
/// Maximum number of tokens in a model's limits.
const TOKENS_MAX: u64 = 1_000_000_000;

/// A model with the name before it, which is checked against the providers.
const MODEL: TextForm<String> = TextForm {
    parse: |name| Ok(name.to_owned()),
    shown: |name| Value::text(name),
    cell: "`PROVIDER/MODEL`",
    pattern: "^[!-.0-~]*/[!-~]+$",
    scalar: Scalar::Text,
};
const DAY: TextForm<Day> = TextForm {
    parse: |text| Day::parse(text).ok_or_else(|| bad("a day from 1970 on: 2026-12-31")),
    shown: |day| Value::text(day),
    cell: "day, `2026-11-22`",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    scalar: Scalar::Text,
};
const DATE: TextForm<String> = TextForm {
    parse: |text| accept(text, Day::parse(text).is_some(), "a day: 2026-12-01"),
    shown: |day| Value::text(day),
    cell: "day, `2026-11-22`",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    scalar: Scalar::Text,
};
/// Longest source, in characters.
const SOURCE_CHARS_MAX: usize = 500;
const SOURCE: TextForm<String> = TextForm {
    parse: |text| {
        let has_length = (1..=SOURCE_CHARS_MAX).contains(&text.chars().count());
        let is_valid = has_length && !text.chars().any(char::is_control);
        accept(text, is_valid, "1 to 500 characters: where the figures were read")
    },
    shown: |source| Value::text(source),
    cell: "1 to 500 characters",
    pattern: "^.{1,500}$",
    scalar: Scalar::Text,
};
const REGION: Words<Region> = Words::new(&[("same", Region::Same), ("uplift", Region::TenthMore)]);
const TIER: Words<Tier> = Words::new(&[
    (Tier::Batch.as_str(), Tier::Batch),
    (Tier::Fast.as_str(), Tier::Fast),
    (Tier::Flex.as_str(), Tier::Flex),
    (Tier::Priority.as_str(), Tier::Priority),
    (Tier::Ultrafast.as_str(), Tier::Ultrafast),
]);

const fn price(
    parse: fn(&str) -> Result<u64, FormRefusal>,
    shown: fn(&u64) -> Value,
    cell: &'static str,
    pattern: &'static str,
) -> TextForm<u64> {
    TextForm { parse, shown, cell, pattern, scalar: Scalar::Number }
}

const PER_MILLION: TextForm<u64> = price(
    |text| parse_per_million(text).map_err(|error| refused(&error)),
    |rate| Value::Text(usd::written(*rate, 6)),
    "rate",
    r"^[0-9]+(\.[0-9]{1,6}0*)?$",
);
const EACH: TextForm<u64> = price(
    |text| parse_each(text).map_err(|error| refused(&error)),
    |rate| Value::Text(usd::written(*rate, 12)),
    "dollars",
    r"^[0-9]+(\.[0-9]{1,12}0*)?$",
);
const PER_SECOND: TextForm<u64> = price(
    |text| parse_per_second(text).map_err(|error| refused(&error)),
    |rate| Value::Text(usd::written(*rate, 9)),
    "dollars",
    r"^[0-9]+(\.[0-9]{1,9}0*)?$",
);

fn refused(error: &UsdError) -> FormRefusal {
    FormRefusal::Bad(error.to_string())
}
