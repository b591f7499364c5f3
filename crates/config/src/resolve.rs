//! Resolves a model's name to a provider and a price; adds the mock to the providers.

mod formats;
pub(crate) mod pattern;
mod plan;
mod price_names;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Refusal, Timestamp, only};
use ai::price::{Expiry, Price, Prices, TokenLimits, server_tools, undated};
use ai::{Endpoint, ProviderKind, ProviderPaths};

use self::price_names::PriceNames;
pub(crate) use self::price_names::table_of;
use crate::note::Note;
use crate::snapshot::translation::default_formats;
use crate::snapshot::{
    AccountObjects, Credential, MockModel, MockTarget, Model, Origin, PoolRules, PriceSource, Provider, Target, Traffic,
};

/// The name of the built-in mock, as a provider and as a model.
pub const MOCK: &str = "mock";

/// The provider and model that serve a request.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// The provider that is called.
    pub provider: Arc<Provider>,
    /// The name that the client requested; the configured string if there is one.
    pub asked: Arc<str>,
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// Whether translated calls mark what the provider caches.
    pub prompt_cache: bool,
    /// Whether the call gets the fields of its model, as [`Target::adapts`](crate::snapshot::Target::adapts).
    pub adapts: bool,
    /// The credits that a request costs.
    pub credits: Credits,
    /// The entry of `models`, if a call may use more than one attempt or a target has limits. `provider` and `model` are then
    /// those of its first target that serves the endpoint, by a translation or without.
    pub entry: Option<Arc<Model>>,
}

/// The reason why no provider serves the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// No model has this name: 404 `model_not_found`.
    NotFound,
    /// The model exists, but its provider does not support the path's format, and no translation does: 400
    /// `format_mismatch`.
    Mismatch {
        /// The path to call instead, with `ai.prefix`.
        path: String,
    },
    /// The plan of the client does not include the model: 404 `model_not_found`.
    NotInPlan {
        /// The name of the plan.
        plan: String,
    },
}

impl ResolveError {
    /// Returns the refusal of a call of such a model.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::NotFound | Self::NotInPlan { .. } => Refusal::ModelNotFound,
            Self::Mismatch { .. } => Refusal::FormatMismatch,
        }
    }

    /// Returns the message of the refusal, which says what to do.
    #[must_use]
    pub fn message(&self, model: &str) -> String {
        match self {
            Self::NotFound => {
                format!("no model {model:?} is served here: GET /v1/models lists them, PROVIDER/MODEL names any other")
            }
            Self::Mismatch { path } => {
                format!("the provider of {model:?} lacks this endpoint: send calls for text to {path}")
            }
            Self::NotInPlan { plan } => {
                format!("the plan {plan} does not include the model {model:?}: GET /v1/models lists its models")
            }
        }
    }
}

impl Traffic {
    /// Resolves `asked` as an entry of `models` (an exact name, then one with `*`), then as `PROVIDER/MODEL`, and otherwise
    /// for the only provider that supports the format of `endpoint`, or else the only one that serves it by a translation.
    ///
    /// A name that is not an entry of `models` costs as many credits as the most expensive entry with the same target,
    /// dates aside, and 1 without such an entry: a client cannot avoid an entry's price by using another name.
    ///
    /// # Errors
    /// Returns an [`ResolveError`], which names the refusal.
    pub fn resolve_model(&self, endpoint: Endpoint, asked: &str) -> Result<ResolvedModel, ResolveError> {
        if let Some(entry) = self.entry(asked) {
            let target = self.first_target(entry, endpoint, asked)?;
            let provider = Arc::clone(&target.provider);
            let prompt_cache = target.prompt_cache;
            let adapts = target.adapts;
            let several = entry.fallback.is_some().then(|| Arc::clone(entry));
            if entry.prefix().is_none() {
                let asked = Arc::clone(&entry.name);
                let model = Arc::clone(&target.model);
                let credits = entry.credits;
                return Ok(ResolvedModel { provider, asked, model, prompt_cache, adapts, credits, entry: several });
            }
            let model = entry.model_of(target, asked);
            let credits = self.credits_of_entry(entry, asked);
            let asked = asked.into();
            return Ok(ResolvedModel { provider, asked, model, prompt_cache, adapts, credits, entry: several });
        }
        let named = asked
            .split_once('/')
            .filter(|(_, model)| !model.is_empty())
            .and_then(|(name, model)| Some((self.provider(name)?, model)));
        if let Some((provider, model)) = named {
            self.check_format(provider, model, endpoint)?;
            let credits = self.credits(provider, model);
            return Ok(ResolvedModel {
                provider: Arc::clone(provider),
                asked: asked.into(),
                model: model.into(),
                prompt_cache: true,
                adapts: false,
                credits,
                entry: None,
            });
        }
        if asked.is_empty() {
            return Err(ResolveError::NotFound);
        }
        let only = self.only_provider(endpoint, asked).ok_or(ResolveError::NotFound)?;
        let model: Arc<str> = asked.into();
        let credits = self.credits(only, asked);
        let provider = Arc::clone(only);
        let asked = Arc::clone(&model);
        Ok(ResolvedModel { provider, asked, model, prompt_cache: true, adapts: false, credits, entry: None })
    }

    /// Returns the only provider that serves `endpoint` in its own format for `model`; without any, the only one whose kind
    /// has this format, and then the only one that serves it at all.
    fn only_provider(&self, endpoint: Endpoint, model: &str) -> Option<&Arc<Provider>> {
        let format = endpoint.format()?;
        let is_of_kind = |provider: &Arc<Provider>| provider.kind.speaks(format);
        let far = |provider: &Arc<Provider>| {
            let of_model = provider.of_model(model).format_of(endpoint);
            of_model.map(|of| (of != format, !is_of_kind(provider)))
        };
        let nearest = self.providers.iter().filter_map(far).min()?;
        only(self.providers.iter().filter(|provider| far(provider) == Some(nearest)))
    }

    /// Returns the providers that are on, and those that a stored credential switches on.
    pub fn known_providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.iter().chain(&self.offered_providers)
    }

    /// Finds a provider of [`Self::known_providers`] by its name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.known_providers().find(|provider| *provider.name == *name)
    }

    /// Returns the credits of a request for a provider's own name of a model.
    pub(crate) fn credits(&self, provider: &Provider, model: &str) -> Credits {
        self.credits_of(provider, model, |_| true).unwrap_or(Credits::whole(1))
    }

    /// Returns the first target of an entry that serves the endpoint, for a call that requests the model `asked`.
    fn first_target<'a>(&self, entry: &'a Model, endpoint: Endpoint, asked: &str) -> Result<&'a Target, ResolveError> {
        let first = entry.targets.iter().find(|target| entry.format_of(target, endpoint, asked).is_some());
        first.ok_or_else(|| {
            entry.targets.first().map_or(ResolveError::NotFound, |target| self.mismatch(&target.provider))
        })
    }

    fn check_format(&self, provider: &Provider, model: &str, endpoint: Endpoint) -> Result<(), ResolveError> {
        let is_served = provider.of_model(model).format_of(endpoint).is_some();
        if is_served { Ok(()) } else { Err(self.mismatch(provider)) }
    }

    /// Returns the error that names the endpoint for text.
    fn mismatch(&self, provider: &Provider) -> ResolveError {
        let prefix = self.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
        ResolveError::Mismatch { path: format!("{prefix}{}", provider.kind.descriptor().main_endpoint.path()) }
    }

    /// Whether a name of `models`, or `PROVIDER/MODEL`, is served in any format.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        let provider = name.split_once('/').filter(|(_, model)| !model.is_empty());
        self.entry(name).is_some() || provider.is_some_and(|(provider, _)| self.provider(provider).is_some())
    }

    /// Returns the name under which usage of `asked` is counted: that of the entry, if all names of the entry have the same
    /// targets and no charge lists this one. A dated name without an entry is counted as the undated one that a charge lists.
    #[must_use]
    pub fn counted_name(&self, asked: &Arc<str>) -> Arc<str> {
        let entry = self.entry(asked);
        if entry.is_some_and(|entry| entry.prefix().is_none()) || self.is_charged(asked) {
            return asked.clone();
        }
        match entry.filter(|entry| entry.is_of_one_model()) {
            Some(entry) => entry.name.clone(),
            None if self.is_charged(undated(asked)) => undated(asked).into(),
            None => asked.clone(),
        }
    }

    /// Returns the name under which rate limits count a call by its model: that of the entry of `models` that serves
    /// `requested`, without an entry `PROVIDER/MODEL` of its target.
    #[must_use]
    pub fn limited_name(&self, requested: &str, provider: &str, model: &str) -> Arc<str> {
        match self.entry(requested) {
            Some(entry) if entry.is_of_one_model() => Arc::clone(&entry.name),
            Some(_) => requested.into(),
            None => format!("{provider}/{model}").into(),
        }
    }

    /// Whether a charge of a plan lists the name.
    fn is_charged(&self, name: &str) -> bool {
        let mut charges = self.plan_prices.iter().flat_map(|(_, price)| &price.charges);
        charges.any(|charge| charge.models.iter().any(|model| model == name))
    }

    /// Whether `asked`, the name under which a call is counted, is an entry of `models` or listed by a charge, or a list of
    /// prices contains its `target` (a provider and its model). The number of such names is bounded.
    #[must_use]
    pub fn names(&self, asked: &str, target: Option<(&Provider, &str)>) -> bool {
        let priced = |(provider, model): (&Provider, &str)| {
            let builtin = [table_of(provider), provider.kind.as_str()];
            self.prices.names(&provider.name, model)
                || builtin.iter().any(|of| self.prices_builtin.names(of, model))
                || self.priced_models.get(&provider.name, model).is_some()
        };
        match self.entry(asked) {
            Some(entry) if entry.prefix().is_none() => true,
            // All names of such an entry have the same target.
            Some(entry) if entry.is_of_one_model() => *entry.name == *asked || self.is_charged(asked),
            Some(_) | None => target.is_some_and(priced) || self.is_charged(asked),
        }
    }

    /// Returns the names for `GET /v1/models`, in the order of the file. An entry with `*` is listed as those of its names
    /// whose models have a price at any target; without such models, by its own name.
    #[must_use]
    pub fn model_names(&self) -> Vec<Cow<'_, str>> {
        self.listed_models(|_| true).into_iter().map(|listed| listed.name).collect()
    }

    /// Returns the price of a request that began at `at` and was sent to `provider` with the first name; the second
    /// name is the model that responded. `None` is unknown, never zero.
    ///
    /// A configured price for either name has priority, as a deployment's name may hide the model behind it. Next is
    /// the built-in table, by kind at the kind's own host and by host elsewhere: other hosts have their own prices.
    #[must_use]
    pub fn price(&self, provider: &Provider, names: (&str, Option<&str>), at: Timestamp) -> Option<&Price> {
        let looked_up = self.price_names(provider, names);
        let PriceNames { provider, table, .. } = looked_up;
        let configured = self.prices.find(provider, looked_up.models(), at.day());
        let price = configured.or_else(|| self.prices_builtin.find(table, looked_up.models(), at.day()))?;
        price.has_fee_of(table, looked_up.models()).then_some(price)
    }

    /// Returns the price that rated a request at this provider, if it is still listed under its version.
    #[must_use]
    pub fn price_of_version(
        &self,
        provider: &str,
        names: (&str, Option<&str>),
        version: &str,
    ) -> Option<Cow<'_, Price>> {
        let provider = self.provider(provider)?;
        // The request may be older than a `price_as`.
        let looked_up = [self.price_names(provider, names), PriceNames::own(provider, names)];
        looked_up.into_iter().find_map(|looked_up| {
            let PriceNames { provider, table, .. } = looked_up;
            let configured = self.prices.of_version(provider, looked_up.models(), version);
            configured.or_else(|| self.prices_builtin.of_version(table, looked_up.models(), version))
        })
    }

    /// Returns the maximum input and output of a model: from its price on the day of `at`, otherwise from the built-in
    /// table.
    #[must_use]
    pub fn limits(&self, provider: &Provider, model: &str, at: Timestamp) -> Option<TokenLimits> {
        let priced = self.price(provider, (model, None), at).and_then(|price| price.limits);
        let PriceNames { kind, sent, .. } = self.price_names(provider, (model, None));
        priced.or_else(|| TokenLimits::find(kind.as_str(), [sent]))
    }

    /// Whether `model` of this provider searches the web in each request, for any body.
    #[must_use]
    pub fn always_searches(&self, provider: &Provider, model: &str) -> bool {
        let PriceNames { table, sent, .. } = self.price_names(provider, (model, None));
        server_tools::always_searches(table, sent)
    }

    /// Returns notes on prices that have ended or end within `within` of `at`, for each provider that is on.
    #[must_use]
    pub fn prices_ending(&self, at: Timestamp, within: Duration) -> Vec<Note> {
        let today = at.day();
        let horizon = at.after(within).day();
        let mut notes: Vec<Note> = Vec::new();
        for (provider, Expiry { until, model }) in self.price_expiries() {
            if until > horizon {
                continue;
            }
            match notes.last_mut() {
                Some(Note::PricesEnd { provider: last, until: day, models, .. })
                    if *last == *provider.name && *day == until =>
                {
                    models.push(model);
                }
                _ => notes.push(Note::PricesEnd {
                    provider: provider.name.to_string(),
                    until,
                    over: until < today,
                    models: vec![model],
                }),
            }
        }
        notes
    }

    /// Returns notes on prices that begin after the day of `at`, for models without a price on that day, for each
    /// provider that is on.
    #[must_use]
    pub fn prices_beginning(&self, at: Timestamp) -> Vec<Note> {
        let mut notes: Vec<Note> = Vec::new();
        for provider in &self.providers {
            let configured = self.prices.beginnings(&provider.name, at.day());
            let mut all = self.prices_builtin.beginnings(table_of(provider), at.day());
            all.extend(configured);
            all.retain(|(_, model)| self.price(provider, (model, None), at).is_none());
            all.sort();
            all.dedup_by(|a, b| a.1 == b.1);
            for (from, model) in all {
                match notes.last_mut() {
                    Some(Note::PricesBegin { provider: last, from: day, models })
                        if *last == *provider.name && *day == from =>
                    {
                        models.push(model);
                    }
                    _ => {
                        notes.push(Note::PricesBegin {
                            provider: provider.name.to_string(),
                            from,
                            models: vec![model],
                        });
                    }
                }
            }
        }
        notes
    }

    /// Returns the ends of prices that no later price follows, for each provider that is on.
    pub fn price_expiries(&self) -> impl Iterator<Item = (&Provider, Expiry)> {
        self.providers.iter().flat_map(|provider| {
            let configured = self.prices.expiries(&provider.name);
            let builtin = self.prices_builtin.expiries(table_of(provider));
            let goes_on = |prices: &Prices, of: &str, end: &Expiry| {
                prices.find(of, [end.model.as_str()], end.until.next()).is_some()
            };
            let builtin = builtin.into_iter().filter(|end| !goes_on(&self.prices, &provider.name, end));
            let configured =
                configured.into_iter().filter(|end| !goes_on(&self.prices_builtin, table_of(provider), end));
            let mut all: Vec<Expiry> = configured.chain(builtin).collect();
            all.sort();
            all.dedup_by(|a, b| a.model == b.model && a.until == b.until);
            all.into_iter().map(move |end| (&**provider, end))
        })
    }

    /// Whether requests can cost money: the LLM endpoints are on, and at least one provider is not a mock.
    #[must_use]
    pub fn costs_money(&self) -> bool {
        self.ai.is_some() && self.providers.iter().any(|provider| provider.kind != ProviderKind::Mock)
    }

    /// Adds the built-in mock, which listens at `origin`: the provider and the model `mock`, and its entries of
    /// `models`.
    ///
    /// Only for a configuration whose [`Mock::on`](crate::snapshot::Mock::on) is set. An entry of `models` named `mock`
    /// keeps its name.
    #[must_use]
    pub fn with_mock(mut self, origin: Origin) -> Self {
        let kind = ProviderKind::Mock;
        let credential = Credential::None;
        let formats = self.mock.formats.take().unwrap_or_else(|| default_formats(kind, None).into());
        let provider = Arc::new(Provider {
            account_objects: AccountObjects::Own,
            price_source: PriceSource::Table,
            pool: PoolRules::OF_PROVIDER,
            discovery: None,
            name: MOCK.into(),
            kind,
            formats,
            origin,
            paths: ProviderPaths::OfKind,
            credential,
            tls: None,
        });
        let mut entries = std::mem::take(&mut self.mock.models);
        let taken = self.models.iter().map(|model| &model.name).chain(entries.iter().map(|entry| &entry.name));
        if !taken.into_iter().any(|name| **name == *MOCK) {
            let targets = vec![MockTarget {
                provider: None,
                model: MOCK.into(),
                weight: 1,
                limits: None,
                prompt_cache: true,
                adapts: true,
            }];
            entries.push(MockModel { name: MOCK.into(), credits: Credits::whole(1), targets, fallback: None });
        }
        self.models.extend(entries.into_iter().map(|MockModel { name, credits, targets, fallback }| {
            let targets = targets.into_iter().map(|target| {
                let MockTarget { provider: other, model, weight, limits, prompt_cache, adapts } = target;
                let provider = other.unwrap_or_else(|| Arc::clone(&provider));
                Target { provider, model, weight, limits, prompt_cache, adapts }
            });
            Arc::new(Model { name, credits, targets: targets.collect(), fallback })
        }));
        self.providers.retain(|other| *other.name != *MOCK);
        self.providers.push(provider);
        self
    }
}

#[cfg(test)]
mod tests;
