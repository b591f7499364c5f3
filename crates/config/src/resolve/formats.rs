//! The format in which a provider gets a call: the client's, or one into which the call is translated.

use ai::translate::is_translated;
use ai::{Endpoint, Format};

use crate::snapshot::translation::TEXT_FORMATS;
use crate::snapshot::{Model, Provider, Target};

/// A model of a provider, whose name may decide the format of its calls.
#[derive(Debug, Clone, Copy)]
pub struct ProviderModel<'a> {
    provider: &'a Provider,
    /// The only format for text, if the name of the model decides it.
    only: Option<Format>,
}

impl Provider {
    /// Returns the model with this name of the provider's own.
    #[must_use]
    pub fn of_model(&self, model: &str) -> ProviderModel<'_> {
        ProviderModel { provider: self, only: self.kind.format_of_model(model) }
    }

    /// Returns a model of which nothing is known.
    pub(crate) const fn of_any_model(&self) -> ProviderModel<'_> {
        ProviderModel { provider: self, only: None }
    }

    /// Whether the provider takes calls in `format`, which pass unchanged.
    #[must_use]
    pub fn speaks(&self, format: Format) -> bool {
        self.of_any_model().speaks(format)
    }

    /// Returns the format in which the provider gets calls of `endpoint`; `None` if it does not serve them.
    #[must_use]
    pub fn format_of(&self, endpoint: Endpoint) -> Option<Format> {
        self.of_any_model().format_of(endpoint)
    }
}

impl Model {
    /// Returns the format in which a target, one of the entry's, gets calls of `endpoint` that request the model `asked`; `None`
    /// if it does not serve them.
    #[must_use]
    pub fn format_of(&self, target: &Target, endpoint: Endpoint, asked: &str) -> Option<Format> {
        match target.prefix() {
            None => target.provider.of_model(&target.model).format_of(endpoint),
            Some(_) => target.provider.of_model(&self.model_of(target, asked)).format_of(endpoint),
        }
    }
}

impl<'a> ProviderModel<'a> {
    /// Whether the provider takes calls of the model in `format`, which pass unchanged.
    #[must_use]
    pub fn speaks(self, format: Format) -> bool {
        let is_for_text = TEXT_FORMATS.iter().any(|(_, of_text)| *of_text == format);
        let has = |format| self.provider.formats.contains(&format) && self.may_have(format);
        self.provider.kind.speaks(format) && (!is_for_text || has(format))
    }

    /// Returns the formats into which calls in `format` can be translated, in their order; none if they pass unchanged.
    pub fn translations(self, format: Format) -> impl Iterator<Item = Format> + use<'a> {
        let formats = if self.speaks(format) { &[] } else { &*self.provider.formats };
        let formats = formats.iter().copied().filter(move |of_provider| self.may_have(*of_provider));
        formats.filter(move |of_provider| is_translated(format, *of_provider))
    }

    /// Returns the format into which calls in `format` are translated: the first possible one. `None` if they pass unchanged,
    /// or cannot be served.
    #[must_use]
    pub fn translated_to(self, format: Format) -> Option<Format> {
        self.translations(format).next()
    }

    /// Returns the format in which the provider gets calls of `endpoint`; `None` if it does not serve them.
    #[must_use]
    pub fn format_of(self, endpoint: Endpoint) -> Option<Format> {
        let format = endpoint.format()?;
        if endpoint.free() {
            // Without a counter of the provider, a count is an estimate.
            return (self.counts(endpoint) || self.serves(format)).then_some(format);
        }
        if endpoint == Endpoint::Compact {
            // Its response is state of the provider, which no other one can read.
            return (self.speaks(format) && self.provider.kind.has(endpoint)).then_some(format);
        }
        if self.speaks(format) { Some(format) } else { self.translated_to(format) }
    }

    /// Whether the provider has an endpoint that counts tokens in the endpoint's format. All servers of the kind may have it; that of
    /// Responses exists only where the format does.
    #[must_use]
    pub fn counts(self, endpoint: Endpoint) -> bool {
        let kind = self.provider.kind;
        let has = |format| kind.speaks(format) && self.may_have(format);
        let has_format = || endpoint != Endpoint::InputTokens || self.speaks(Format::Responses);
        endpoint.format().is_some_and(has) && kind.has(endpoint) && has_format() && self.provider.paths.have(endpoint)
    }

    /// Returns the formats into which a count in `format` can be translated because the provider counts in them.
    pub fn counters(self, format: Format) -> impl Iterator<Item = Format> + use<'a> {
        let counts = move |of_provider: &Format| {
            Endpoint::counter_of(*of_provider).is_some_and(|endpoint| self.counts(endpoint))
        };
        self.translations(format).filter(counts)
    }

    /// Returns the names of the formats in which clients may call the model, by a translation or without.
    pub fn formats(self) -> impl Iterator<Item = &'static str> + use<'a> {
        Format::ALL.into_iter().filter(move |format| self.serves(*format)).map(Format::name)
    }

    /// Whether clients may call the model in `format`, by a translation or without.
    pub(crate) fn serves(self, format: Format) -> bool {
        self.speaks(format) || self.translated_to(format).is_some()
    }

    fn may_have(self, format: Format) -> bool {
        self.only.is_none_or(|only| only == format)
    }
}
