//! Providers, models and prices.

use std::sync::Arc;

use access::{Credits, usd};
use ai::price::{Price, Prices};

use super::{From, Listing, Setting, Value};
use crate::compile::llm::{base_url, variable};
use crate::environment::Environment;
use crate::resolve::MOCK;
use crate::snapshot::{Credential, Mock, MockModel, Model, Provider, Target};

/// Digits behind the point that say a price exactly: of a million tokens, of one piece, of a second.
const PER_MILLION: usize = 6;
const EACH: usize = 12;
const PER_SECOND: usize = 9;

impl Listing<'_> {
    /// Whether the mock replaces them, then those that are on; the number of each is its own in the file.
    pub(super) fn providers(&mut self, on: &[Arc<Provider>], mock: &Mock, environment: &Environment) {
        self.put("mock", Value::Boolean(mock.forced));
        let mut next = self.given.len("providers");
        let mut number = |listing: &Self, name: &str| {
            listing.given.entry("providers", name).unwrap_or_else(|| {
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
            if self.given.entry("providers", name).is_none()
                && let Some(variable) = variable(*kind).and_then(|name| environment.variable(name))
            {
                let added = self.settings.iter_mut().skip(begin);
                added.for_each(|Setting { from, .. }| *from = From::Variable(variable.clone()));
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
        models.sort_by_key(|(name, ..)| self.given.entry("models", name));
        for (place, (name, Credits(credits), provider, model)) in models.iter().enumerate() {
            let nth = self.given.entry("models", name).unwrap_or(place);
            self.put(format!("models[{nth}].name"), Value::text(name));
            self.put(format!("models[{nth}].credits"), Value::Number((*credits).into()));
            self.put(format!("models[{nth}].targets[0].provider"), Value::text(provider));
            self.put(format!("models[{nth}].targets[0].model"), Value::text(model));
        }
        self.empty("models", models.is_empty());
    }

    /// Those of the configuration, over the built-in table.
    pub(super) fn prices(&mut self, prices: &Prices) {
        let mut prices: Vec<(String, &Price)> = prices.all().collect();
        prices.sort_by_key(|(name, _)| (self.given.entry("prices", name), name.clone()));
        for (place, (name, Price { rates, units, .. })) in prices.iter().enumerate() {
            let nth = self.given.entry("prices", name).unwrap_or(place);
            self.put(format!("prices[{nth}].model"), Value::text(name));
            for (key, rate, digits) in [
                ("input", rates.input, PER_MILLION),
                ("cached_input", rates.cached_input, PER_MILLION),
                ("cache_write", rates.cache_write_short, PER_MILLION),
                ("output", rates.output, PER_MILLION),
                ("audio_input", rates.audio_input, PER_MILLION),
                ("image_input", rates.image_input, PER_MILLION),
                ("audio_output", rates.audio_output, PER_MILLION),
                ("image_output", rates.image_output, PER_MILLION),
                ("per_image", units.image, EACH),
                ("per_second", units.millisecond, PER_SECOND),
                ("per_character", units.character, EACH),
            ] {
                self.put(
                    format!("prices[{nth}].{key}"),
                    Value::maybe(rate, |rate| Value::Text(usd::written(rate, digits))),
                );
            }
        }
        self.empty("prices", prices.is_empty());
    }
}
