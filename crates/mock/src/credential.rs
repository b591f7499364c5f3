//! Which credentials a provider takes. Whose they are, the mock does not look at: it has no keys.

use ai::{Called, Dialect};
use http::HeaderMap;

use crate::fault::Fault;

/// Refuses a credential in a header that the clients of this API do not use; none at all is fine.
pub(crate) fn check(called: &Called<'_>, dialect: Dialect, headers: &HeaderMap) -> Result<(), Fault> {
    let foreign: &[&'static str] = match dialect {
        // Azure's clients come with `api-key`, at paths of their own.
        Dialect::OpenAi if called.is_verbatim() => &["x-api-key", "x-goog-api-key", "api-key"],
        Dialect::OpenAi => &["x-api-key", "x-goog-api-key"],
        Dialect::Anthropic => &["x-goog-api-key", "api-key"],
        Dialect::Google => &["authorization", "x-api-key", "api-key"],
    };
    // One pass is cheaper than as many look-ups.
    match headers.keys().find_map(|found| foreign.iter().find(|name| found.as_str() == **name)) {
        Some(name) => Err(Fault::Credential(name)),
        None => Ok(()),
    }
}
