//! The models whose prices, limits and rules apply to others: `models[].targets[].price_as`.

use std::collections::HashMap;

use ai::ProviderKind;

/// A model whose prices, limits and rules apply to another model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedModel {
    /// The provider's name in `prices`.
    pub provider: Box<str>,
    /// The part of the built-in table that applies to the provider.
    pub table: Box<str>,
    /// The kind of the provider, by which limits are looked up.
    pub kind: ProviderKind,
    /// The provider's own name of the model.
    pub model: Box<str>,
}

/// The models whose prices apply to others, by the provider of these and its own name.
#[derive(Debug, Clone, Default)]
pub struct PricedModels(HashMap<Box<str>, HashMap<Box<str>, PricedModel>>);

impl PricedModels {
    /// Sets the model whose prices apply to `model` of `provider`. Returns whether no other one was set before.
    pub(crate) fn set(&mut self, provider: &str, model: &str, priced: &PricedModel) -> bool {
        let models = self.0.entry(provider.into()).or_default();
        models.entry(model.into()).or_insert_with(|| priced.clone()) == priced
    }

    /// Returns the model whose prices apply to `model` of `provider`; `None` if its own do.
    #[must_use]
    pub fn get(&self, provider: &str, model: &str) -> Option<&PricedModel> {
        self.0.get(provider)?.get(model)
    }
}
