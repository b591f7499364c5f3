//! Compiles `models[].targets[].price_as`.

use ai::ProviderKind;
use ai::price::Prices;
use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::input::Input;
use settings::section::{Location, SettingsReader};

use super::llm::Providers;
use crate::resolve::pattern::ANY;
use crate::resolve::{MOCK, table_of};
use crate::schema::traffic::{ModelInput, TargetInput};
use crate::snapshot::{PricedModel, PricedModels};

/// The targets with `price_as`, including those whose provider is off.
pub(super) struct PricedTargets(Vec<PricedTarget>);

struct PricedTarget {
    location: Location,
    provider: String,
    model: String,
    price_as: Input<String>,
}

impl PricedTargets {
    pub(super) fn from_entries(entries: &Entries<ModelInput>) -> Self {
        let target = |target: &TargetInput| {
            let provider = target.provider.as_ref()?.value.clone();
            let model = target.model.as_ref()?.value.clone();
            let location = target.location.clone();
            let price_as = target.price_as.clone()?;
            Some(PricedTarget { location, provider, model, price_as })
        };
        Self(entries.list.iter().flat_map(|entry| &entry.targets.list).filter_map(target).collect())
    }

    /// Returns the models whose prices apply to targets. Reports those that have no price and are not known, and targets that
    /// have another price already.
    pub(super) fn compile(
        &self,
        reader: &SettingsReader<'_>,
        providers: &Providers,
        prices: &Prices,
        table: &Prices,
    ) -> PricedModels {
        let mut models = PricedModels::default();
        for target in &self.0 {
            let PricedTarget { location, provider, model, price_as } = target;
            let at = price_as.value_origin().unwrap_or(location.at);
            let bad = |expected: &str| reader.bad(at, &location.name("price_as"), expected);
            if model.ends_with(ANY) {
                bad("no `price_as` for a target whose model ends in `*`");
            } else if prices.names(provider, model) {
                bad("no `price_as` for a model that has an entry of `prices`");
            } else if let Some(priced) = priced(reader, price_as, providers) {
                if !is_known(&priced, prices, table) {
                    reader.report(unknown(price_as, &priced, table));
                } else if !models.set(provider, model, &priced) {
                    bad("the same `price_as` for all targets with this provider and model");
                }
            }
        }
        models
    }
}

/// Returns the model with this name, and reports an unknown provider: neither one of the file nor a part of the price table.
fn priced(reader: &SettingsReader<'_>, name: &Input<String>, providers: &Providers) -> Option<PricedModel> {
    let (provider, model) = name.value.split_once('/')?;
    let of = |table: &str, kind| {
        Some(PricedModel { provider: provider.into(), table: table.into(), kind, model: model.into() })
    };
    let listed = providers.on.iter().chain(&providers.offered).chain(&providers.off);
    if let Some(listed) = listed.into_iter().find(|listed| *listed.name == *provider) {
        return of(table_of(listed), listed.kind);
    }
    if let Some(kind) = ProviderKind::parse(provider).filter(|kind| kind.own_url().is_some()) {
        return of(kind.as_str(), kind);
    }
    if provider == MOCK {
        return of(MOCK, ProviderKind::Mock);
    }
    if provider.contains('.') {
        return of(provider, ProviderKind::OpenAi);
    }
    let known = providers.names.iter().map(String::as_str);
    reader.unknown_name(&name.derived(provider.to_owned()), "provider", known);
    None
}

/// Returns the problem that a model has no price.
fn unknown(price_as: &Input<String>, priced: &PricedModel, table: &Prices) -> Problem {
    let message = match price_as.foreign {
        true => "the model of `price_as` has no price".to_owned(),
        false => format!("`{}` has no price", price_as.value),
    };
    let PricedModel { provider, table: part, model, .. } = priced;
    let hides_table = ProviderKind::parse(provider).is_some() && provider != part && table.has(provider, model);
    if hides_table && !price_as.foreign {
        let message = format!("{message}, as the provider `{provider}` of this configuration has another host");
        let expected =
            format!("another name for this provider: `{provider}` is then the built-in table; or an entry of `prices`");
        return Problem::new(Code::UnknownName, price_as.value_origin(), message).expected(expected);
    }
    let expected = "a model with a price: `tollgate prices list` shows them, an entry of `prices` adds one";
    Problem::new(Code::UnknownName, price_as.value_origin(), message).expected(expected)
}

/// Whether a model has a price on any day.
fn is_known(priced: &PricedModel, prices: &Prices, table: &Prices) -> bool {
    let PricedModel { provider, table: part, model, .. } = priced;
    prices.has(provider, model) || table.has(part, model)
}
