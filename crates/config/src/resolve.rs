//! Who answers a model's name, and what it costs; the mock among the providers.

use std::borrow::Cow;
use std::sync::Arc;

use access::Credits;
use ai::price::{Price, undated};
use ai::{Endpoint, Format, ProviderKind};

use crate::snapshot::{Credential, Model, Origin, Provider, Snapshot, Target};

/// What the built-in mock is called, as a provider and as a model.
pub const MOCK: &str = "mock";

/// Who answers a request.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Who is called.
    pub provider: Arc<Provider>,
    /// What is asked for there.
    pub model: Arc<str>,
    /// What a request costs of the quota.
    pub credits: Credits,
}

/// Why nobody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// 404 `model_not_found`.
    NotFound,
    /// 400 `format_mismatch`: the model is there, its provider does not speak the path's format.
    Mismatch {
        /// The path to call instead, with `ai.prefix`.
        path: String,
    },
}

impl Snapshot {
    /// Looks `asked` up in `models`, then as `PROVIDER/MODEL`, then gives it to the only provider that speaks `format`.
    ///
    /// A name that is no entry of `models` costs what the dearest entry with the same target does, dates aside, and 1
    /// without one: going around an entry's name does not go around its price.
    ///
    /// # Errors
    /// [`Unresolved`] says which refusal it is.
    pub fn resolve_model(&self, format: Format, asked: &str) -> Result<Resolved, Unresolved> {
        if let Some(model) = self.models.iter().find(|model| *model.name == *asked) {
            let Target { provider, model: name } = &model.target;
            self.check_format(provider, format)?;
            return Ok(Resolved { provider: Arc::clone(provider), model: Arc::clone(name), credits: model.credits });
        }
        let named = asked.split_once('/').filter(|(_, model)| !model.is_empty()).and_then(|(name, model)| {
            let provider = self.providers.iter().find(|provider| *provider.name == *name)?;
            Some((provider, model))
        });
        if let Some((provider, model)) = named {
            self.check_format(provider, format)?;
            return Ok(self.direct(provider, model));
        }
        let mut speakers = self.providers.iter().filter(|provider| provider.kind.speaks(format));
        match (speakers.next(), speakers.next()) {
            (Some(only), None) if !asked.is_empty() => Ok(self.direct(only, asked)),
            _ => Err(Unresolved::NotFound),
        }
    }

    fn direct(&self, provider: &Arc<Provider>, model: &str) -> Resolved {
        let entries = self.models.iter().filter(|entry| {
            undated(&entry.target.model) == undated(model) && entry.target.provider.name == provider.name
        });
        let credits = entries.map(|entry| entry.credits).max().unwrap_or(Credits(1));
        Resolved { provider: Arc::clone(provider), model: model.into(), credits }
    }

    fn check_format(&self, provider: &Provider, format: Format) -> Result<(), Unresolved> {
        if provider.kind.speaks(format) {
            return Ok(());
        }
        let right = main_endpoint(provider.kind);
        let prefix = self.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
        Err(Unresolved::Mismatch { path: format!("{prefix}{}", right.path()) })
    }

    /// Whether a name of `models`, or `PROVIDER/MODEL`, is served in any format.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        let provider = name.split_once('/').filter(|(_, model)| !model.is_empty());
        self.models.iter().any(|model| *model.name == *name)
            || provider.is_some_and(|(provider, _)| self.providers.iter().any(|on| *on.name == *provider))
    }

    /// Whether `asked` is an entry of `models`, or its `target` (a provider and a model's name there) stands in a list of prices.
    /// Of such names there is an end.
    #[must_use]
    pub fn names(&self, asked: &str, target: Option<(&Provider, &str)>) -> bool {
        let priced = |(provider, model): (&Provider, &str)| {
            self.prices.names(&provider.name, model) || self.prices_builtin.names(provider.kind.as_str(), model)
        };
        self.models.iter().any(|entry| *entry.name == *asked) || target.is_some_and(priced)
    }

    /// Names for `GET /v1/models`, in the order of the file.
    #[must_use]
    pub fn model_names(&self) -> Vec<&str> {
        self.models.iter().map(|model| &*model.name).collect()
    }

    /// What a call costs that asked `provider` for the model `sent` and was answered by `answered`; `None` is unknown,
    /// never zero.
    ///
    /// What is configured for either comes first, as a deployment's name may hide the model behind it; then the built-in
    /// table, which holds at the kind's own host only: who speaks like OpenAI elsewhere has prices of their own.
    #[must_use]
    pub fn price(&self, provider: &Provider, sent: &str, answered: Option<&str>) -> Option<&Price> {
        let names = || answered.into_iter().chain([sent]);
        let configured = self.prices.find(&provider.name, names());
        let kind = provider.kind;
        let is_own = kind == ProviderKind::Mock || kind.own_host() == Some(provider.origin.host.as_str());
        configured.or_else(|| is_own.then(|| self.prices_builtin.find(kind.as_str(), names())).flatten())
    }

    /// The price that a call at this provider was rated with, where it still holds under its version.
    #[must_use]
    pub fn price_of_version(
        &self,
        provider: &str,
        names: (&str, Option<&str>),
        version: &str,
    ) -> Option<Cow<'_, Price>> {
        let provider = self.providers.iter().find(|on| *on.name == *provider)?;
        let (sent, answered) = names;
        self.price(provider, sent, answered)?.of_version(version)
    }

    /// Whether calls can cost money: the LLM endpoints are on, and some provider is no mock.
    #[must_use]
    pub fn costs_money(&self) -> bool {
        self.ai.is_some() && self.providers.iter().any(|provider| provider.kind != ProviderKind::Mock)
    }

    /// Adds the built-in mock, which listens at `origin`: the provider and the model `mock`, and the `models` that it answers.
    ///
    /// For a snapshot whose [`Mock::on`](crate::snapshot::Mock::on) is set; an entry of `models` keeps the name `mock`.
    #[must_use]
    pub fn with_mock(mut self, origin: Origin) -> Self {
        let provider =
            Arc::new(Provider { name: MOCK.into(), kind: ProviderKind::Mock, origin, credential: Credential::None });
        let mut entries = std::mem::take(&mut self.mock.models);
        let taken = self.models.iter().map(|model| &model.name).chain(entries.iter().map(|entry| &entry.name));
        if !taken.into_iter().any(|name| **name == *MOCK) {
            entries.push(crate::snapshot::MockModel { name: MOCK.into(), credits: Credits(1), model: MOCK.into() });
        }
        self.models.extend(entries.into_iter().map(|entry| {
            let target = Target { provider: Arc::clone(&provider), model: entry.model };
            Arc::new(Model { name: entry.name, credits: entry.credits, target })
        }));
        self.providers.retain(|other| *other.name != *MOCK);
        self.providers.push(provider);
        self
    }
}

/// Where a kind of provider is asked for text.
const fn main_endpoint(kind: ProviderKind) -> Endpoint {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Mock => Endpoint::ChatCompletions,
        ProviderKind::Anthropic => Endpoint::Messages,
        ProviderKind::Gemini => Endpoint::GenerateContent,
    }
}

#[cfg(test)]
mod tests;
