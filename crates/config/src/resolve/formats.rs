//! The format in which a provider gets a call: the client's, or one into which the call is translated.

use ai::translate::is_translated;
use ai::{Endpoint, Format};

use crate::snapshot::Provider;
use crate::snapshot::translation::TEXT_FORMATS;

impl Provider {
    /// Whether the provider takes calls in `format`, which pass unchanged.
    #[must_use]
    pub fn speaks(&self, format: Format) -> bool {
        let is_for_text = TEXT_FORMATS.iter().any(|(_, of_text)| *of_text == format);
        self.kind.speaks(format) && (!is_for_text || self.formats.contains(&format))
    }

    /// Returns the formats into which calls in `format` can be translated, in their order; none if they pass unchanged.
    pub fn translations(&self, format: Format) -> impl Iterator<Item = Format> {
        let formats = if self.speaks(format) { &[] } else { &*self.formats };
        formats.iter().copied().filter(move |of_provider| is_translated(format, *of_provider))
    }

    /// Returns the format into which calls in `format` are translated: the first possible one. `None` if they pass unchanged,
    /// or cannot be served.
    #[must_use]
    pub fn translated_to(&self, format: Format) -> Option<Format> {
        self.translations(format).next()
    }

    /// Returns the format in which the provider gets calls of `endpoint`; `None` if it does not serve them.
    #[must_use]
    pub fn format_of(&self, endpoint: Endpoint) -> Option<Format> {
        let format = endpoint.format()?;
        if endpoint.free() {
            // A count of tokens has no translation, and all servers of the kind may have it.
            return self.kind.speaks(format).then_some(format);
        }
        if self.speaks(format) { Some(format) } else { self.translated_to(format) }
    }
}
