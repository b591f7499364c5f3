//! The LLM API that a request's path or its client belongs to.

use ai::{Dialect, Endpoint, EndpointCall};
use config::snapshot::Traffic;
use http1::KnownName;

use crate::client::head::Head;

/// Returns the dialect of errors for the request's path, whether or not the request is served.
pub(crate) fn dialect(traffic: &Traffic, head: &Head) -> Option<Dialect> {
    let called = EndpointCall::from_path(traffic.ai.as_ref()?.below(head.path())?)?;
    (called.endpoint != Endpoint::Root).then(|| dialect_of(&called, head))
}

/// Returns the dialect of the path or, if several APIs share the path, that of the client.
pub(crate) fn dialect_of(called: &EndpointCall<'_>, head: &Head) -> Dialect {
    called.dialect.unwrap_or_else(|| dialect_by(head))
}

/// Returns the dialect of the client that sent these fields.
pub(crate) fn dialect_by(head: &Head) -> Dialect {
    let has_version = head.fields().named(b"anthropic-version").next().is_some();
    ai::models::asking(head.get(KnownName::XGoogApiKey).is_some(), has_version)
}
