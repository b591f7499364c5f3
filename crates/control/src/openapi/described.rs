//! A router that collects the OpenAPI descriptions of its handlers.

use std::collections::BTreeSet;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Handlers with their OpenAPI document. If two schemas share one name, utoipa keeps the last; this type records the
/// clash.
pub(crate) struct DescribedRouter<S> {
    router: OpenApiRouter<S>,
    clashes: BTreeSet<String>,
}

impl<S: Clone + Send + Sync + 'static> DescribedRouter<S> {
    /// Creates a router without handlers; `document` contains the general parts.
    pub(crate) fn new(document: OpenApi) -> Self {
        Self { router: OpenApiRouter::with_openapi(document), clashes: BTreeSet::new() }
    }

    /// Adds the handlers of one path.
    #[must_use]
    pub(crate) fn routes(mut self, added: UtoipaMethodRouter<S>) -> Self {
        let there = self.router.get_openapi().components.as_ref();
        // A test refuses clashes. A server does not look for them at each start.
        let compared: &[_] = if cfg!(test) { &added.0 } else { &[] };
        for (name, schema) in compared {
            let other = there.and_then(|components| components.schemas.get(name));
            if other.is_some_and(|other| other != schema) {
                self.clashes.insert(name.clone());
            }
        }
        Self { router: self.router.routes(added), ..self }
    }

    /// Returns the router, its document, and the names that several schemas share.
    pub(crate) fn into_parts(self) -> (Router<S>, OpenApi, BTreeSet<String>) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.clashes)
    }
}
