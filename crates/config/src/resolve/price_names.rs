//! The names under which the price, the limits and the rules of a model are looked up.

use ai::ProviderKind;

use crate::snapshot::{PricedModel, Provider, Traffic};

/// The names under which a price is looked up.
#[derive(Clone, Copy)]
pub(super) struct PriceNames<'a> {
    /// The provider's name in `prices`.
    pub(super) provider: &'a str,
    /// The part of the built-in table.
    pub(super) table: &'a str,
    /// The kind of the provider, by which limits are looked up.
    pub(super) kind: ProviderKind,
    /// The provider's own name of the model.
    pub(super) sent: &'a str,
    /// The model that responded.
    answered: Option<&'a str>,
}

impl<'a> PriceNames<'a> {
    /// Returns the names of a provider's own model.
    pub(super) fn own(provider: &'a Provider, names: (&'a str, Option<&'a str>)) -> Self {
        let (sent, answered) = names;
        PriceNames { provider: &provider.name, table: table_of(provider), kind: provider.kind, sent, answered }
    }

    /// Returns the names of the model, the first to be looked up first.
    pub(super) fn models(self) -> impl Iterator<Item = &'a str> {
        self.answered.into_iter().chain([self.sent])
    }
}

impl Traffic {
    /// Returns the names under which the price of a call is looked up: those of the model that `price_as` names, if it does.
    pub(super) fn price_names<'a>(
        &'a self,
        provider: &'a Provider,
        names: (&'a str, Option<&'a str>),
    ) -> PriceNames<'a> {
        match self.priced_models.get(&provider.name, names.0) {
            Some(PricedModel { provider, table, kind, model }) => {
                PriceNames { provider, table, kind: *kind, sent: model, answered: None }
            }
            None => PriceNames::own(provider, names),
        }
    }

    /// Returns the name by which the rules of a model are known: that of `price_as`, otherwise its own.
    #[must_use]
    pub fn known_name<'a>(&'a self, provider: &Provider, model: &'a str) -> &'a str {
        self.priced_models.get(&provider.name, model).map_or(model, |priced| &priced.model)
    }
}

/// Returns the part of the built-in table that applies to a provider: by kind at the kind's own host, otherwise by
/// host.
pub(crate) fn table_of(provider: &Provider) -> &str {
    let kind = provider.kind;
    let host = provider.origin.host.as_str();
    let is_own = kind == ProviderKind::Mock || kind.descriptor().own.as_ref().is_some_and(|own| own.host == host);
    if is_own { kind.as_str() } else { host }
}
