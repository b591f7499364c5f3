//! Lists providers, models and prices.

use std::sync::Arc;

use access::{Credits, usd};
use ai::price::{Limits, Long, Price, Prices};
use meter::Rates;

use super::{Setting, SettingOrigin, SettingsListing, Value};
use crate::compile::llm::{base_url, variable};
use crate::environment::Environment;
use crate::resolve::MOCK;
use crate::snapshot::{Credential, Mock, MockModel, Model, PriceFile, Provider, Target};

/// Decimal places that represent a price exactly: of a million tokens, of one piece, of a second.
const PER_MILLION: usize = 6;
const EACH: usize = 12;
const PER_SECOND: usize = 9;

impl SettingsListing<'_> {
    /// Adds whether the mock is forced, then the providers that are on; the number of each is its index in the file.
    pub(super) fn providers(&mut self, on: &[Arc<Provider>], mock: &Mock, environment: &Environment) {
        self.put("mock", Value::Boolean(mock.forced));
        let mut next = self.setting_sources.len("providers");
        let mut number = |listing: &Self, name: &str| {
            listing.setting_sources.entry("providers", name).unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        };
        for provider in on {
            let Provider { name, kind, origin, credential } = &**provider;
            let nth = number(self, name);
            let begin = self.settings.len();
            self.put(format!("providers[{nth}].name"), Value::text(name));
            self.put(format!("providers[{nth}].kind"), Value::text(kind.as_str()));
            self.put(format!("providers[{nth}].base_url"), Value::text(base_url(*kind, origin)));
            let credential = match credential {
                Credential::None => Value::None(()),
                Credential::Fixed(_) => Value::Secret,
                Credential::Vault { label: None } => Value::text("vault"),
                Credential::Vault { label: Some(label) } => Value::text(format_args!("vault:{label}")),
            };
            self.put(format!("providers[{nth}].credential"), credential);
            if self.setting_sources.entry("providers", name).is_none()
                && let Some(variable) = variable(*kind).and_then(|name| environment.variable(name))
            {
                let added = self.settings.iter_mut().skip(begin);
                added.for_each(|Setting { from, .. }| *from = SettingOrigin::Variable(variable.clone()));
            }
        }
        if mock.on && on.iter().all(|provider| *provider.name != *MOCK) {
            let nth = number(self, MOCK);
            let set_by = if mock.forced { "mock" } else { "providers" };
            self.put_or(format!("providers[{nth}].name"), set_by, Value::text(MOCK));
            self.put_or(format!("providers[{nth}].kind"), set_by, Value::text(MOCK));
        }
        self.empty("providers", on.is_empty() && !mock.on);
    }

    pub(super) fn models(&mut self, models: &[Arc<Model>], of_mock: &[MockModel]) {
        let models = models.iter().map(|model| {
            let Model { name, credits, target: Target { provider, model } } = &**model;
            (name, *credits, &*provider.name, model)
        });
        let of_mock = of_mock.iter().map(|MockModel { name, credits, model }| (name, *credits, MOCK, model));
        let mut models: Vec<_> = models.chain(of_mock).collect();
        models.sort_by_key(|(name, ..)| self.setting_sources.entry("models", name));
        for (place, (name, Credits(credits), provider, model)) in models.iter().enumerate() {
            let nth = self.setting_sources.entry("models", name).unwrap_or(place);
            self.put(format!("models[{nth}].name"), Value::text(name));
            self.put(format!("models[{nth}].credits"), Value::Number((*credits).into()));
            self.put(format!("models[{nth}].targets[0].provider"), Value::text(provider));
            self.put(format!("models[{nth}].targets[0].model"), Value::text(model));
        }
        self.empty("models", models.is_empty());
    }

    /// Adds the configured prices, which override the built-in table.
    pub(super) fn prices(&mut self, prices: &Prices, file: Option<&PriceFile>) {
        let named = |(name, price): (String, &'_ Price)| match price.period.from {
            Some(from) => format!("{name}@{from}"),
            None => name,
        };
        let mut prices: Vec<(String, &Price)> = prices.all().collect();
        prices.sort_by_key(|(name, price)| {
            let entry = named((name.clone(), *price));
            (self.setting_sources.entry("prices", &entry), entry)
        });
        for (place, (name, price)) in prices.iter().enumerate() {
            let nth = self.setting_sources.entry("prices", &named((name.clone(), *price))).unwrap_or(place);
            self.price(&format!("prices[{nth}]"), name, price);
        }
        self.empty("prices", prices.is_empty());
        self.put("prices_file", Value::maybe(file, |file| Value::text(file.path.display())));
        self.put("prices_key", Value::maybe(file.and_then(|file| file.key), Value::text));
    }

    fn price(&mut self, entry: &str, name: &str, price: &Price) {
        let Price { rates, long, units, others, period, limits, .. } = price;
        self.put(format!("{entry}.model"), Value::text(name));
        self.put(format!("{entry}.from"), Value::maybe(period.from, Value::text));
        self.put(format!("{entry}.until"), Value::maybe(period.until, Value::text));
        self.rates(entry, rates);
        for (key, rate, digits) in [
            ("per_image", units.image, EACH),
            ("per_second", units.millisecond, PER_SECOND),
            ("per_character", units.character, EACH),
            ("per_search", units.search, EACH),
            ("per_search_prompt", units.search_prompt, EACH),
            ("per_maps_query", units.maps_query, EACH),
            ("per_maps_prompt", units.maps_prompt, EACH),
            ("per_container", units.container, EACH),
            ("per_file_search", units.file_search, EACH),
            ("per_request", units.request, EACH),
        ] {
            self.rate(format!("{entry}.{key}"), rate, digits);
        }
        self.long(entry, *long);
        for (nth, (tier, rates, long)) in others.tiers.iter().enumerate() {
            let entry = format!("{entry}.tiers[{nth}]");
            self.put(format!("{entry}.tier"), Value::text(tier.as_str()));
            self.rates(&entry, rates);
            self.long(&entry, *long);
        }
        self.put(format!("{entry}.us_uplift"), Value::Boolean(others.us_tenth));
        let limit = |limit: fn(&Limits) -> u64| Value::maybe(limits.as_ref().map(limit), Value::Number);
        self.put(format!("{entry}.input_tokens_max"), limit(|limits| limits.input_tokens_max));
        self.put(format!("{entry}.output_tokens_max"), limit(|limits| limits.output_tokens_max));
    }

    fn long(&mut self, entry: &str, long: Option<Long>) {
        let Some(Long { above_tokens, rates }) = long else { return };
        self.put(format!("{entry}.long.above_tokens"), Value::Number(above_tokens));
        self.rates(&format!("{entry}.long"), &rates);
    }

    fn rates(&mut self, entry: &str, rates: &Rates) {
        for (key, rate) in [
            ("input", rates.input),
            ("cached_input", rates.cached_input),
            ("cache_write", rates.cache_write_short),
            ("cache_write_long", rates.cache_write_long),
            ("output", rates.output),
            ("audio_input", rates.audio_input),
            ("image_input", rates.image_input),
            ("audio_output", rates.audio_output),
            ("image_output", rates.image_output),
        ] {
            self.rate(format!("{entry}.{key}"), rate, PER_MILLION);
        }
    }

    fn rate(&mut self, key: String, rate: Option<u64>, digits: usize) {
        self.put(key, Value::maybe(rate, |rate| Value::Text(usd::written(rate, digits))));
    }
}
