//! A router that collects the OpenAPI descriptions of its handlers.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::MethodRouter;
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// The handlers of one path, by their names: `routes!(keys::list, keys::create)`. `#[utoipa::path]` describes each.
///
/// It is the macro of `utoipa-axum`, but gives all handlers one type. For each type, the compiler would prove again for
/// all types of Axum around it that the handler's future is `Send`, in more than half of the time of this crate.
macro_rules! routes {
    ($($($segment:ident)::+),+ $(,)?) => {{
        let mut routes = $crate::openapi::described::PathHandlers::new();
        $($crate::openapi::described::routes!(@add routes [] $($segment)::+);)+
        routes
    }};
    (@add $routes:ident [$($module:tt)*] $handler:ident) => {
        utoipa_axum::paste! { $routes.add::<$($module)* [<__path_ $handler>], _, _>($($module)* $handler) }
    };
    (@add $routes:ident [$($module:tt)*] $next:ident :: $($rest:ident)::+) => {
        $crate::openapi::described::routes!(@add $routes [$($module)* $next ::] $($rest)::+)
    };
}
pub(crate) use routes;

/// The future of a handler, as Axum returns it.
type Responding = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The handlers of one path, with their descriptions.
pub(crate) struct PathHandlers<S>(UtoipaMethodRouter<S>);

/// A handler of any type.
struct AnyHandler<S>(Arc<dyn Fn(Request, S) -> Responding + Send + Sync>);

/// Handlers with their OpenAPI document. If two schemas share one name, utoipa keeps the last; this type records the
/// clash.
pub(crate) struct DescribedRouter<S> {
    router: OpenApiRouter<S>,
    clashes: BTreeSet<String>,
}

impl<S> Clone for AnyHandler<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: 'static> Handler<(), S> for AnyHandler<S> {
    type Future = Responding;

    fn call(self, request: Request, state: S) -> Responding {
        (self.0)(request, state)
    }
}

impl<S: Clone + Send + Sync + 'static> PathHandlers<S> {
    /// Creates the list without handlers.
    pub(crate) fn new() -> Self {
        Self((Vec::new(), Paths::new(), MethodRouter::new()))
    }

    /// Adds a handler, which `Described` describes.
    pub(crate) fn add<Described, H, Inputs>(&mut self, handler: H)
    where
        Described: utoipa::Path + Tags<'static> + SchemaReferences,
        H: Handler<Inputs, S, Future = Responding>,
    {
        let mut operation = Described::operation();
        let tags = Described::tags();
        if !tags.is_empty() {
            operation.tags.get_or_insert_default().extend(tags.into_iter().map(str::to_owned));
        }
        let any = AnyHandler(Arc::new(move |request, state| handler.clone().call(request, state)));
        self.insert(&Described::path(), Described::methods(), operation, &any);
        Described::schemas(&mut self.0.0);
    }

    fn insert(&mut self, path: &str, methods: Vec<HttpMethod>, operation: Operation, handler: &AnyHandler<S>) {
        let (_, paths, router) = &mut self.0;
        for method in &methods {
            *router = std::mem::take(router).on(method.to_method_filter(), handler.clone());
        }
        paths.add_path_operation(path, methods, operation);
    }
}

impl<S: Clone + Send + Sync + 'static> DescribedRouter<S> {
    /// Creates a router without handlers; `document` contains the general parts.
    pub(crate) fn new(document: OpenApi) -> Self {
        Self { router: OpenApiRouter::with_openapi(document), clashes: BTreeSet::new() }
    }

    /// Adds the handlers of one path.
    #[must_use]
    pub(crate) fn routes(mut self, added: PathHandlers<S>) -> Self {
        let there = self.router.get_openapi().components.as_ref();
        // A test refuses clashes. A server does not look for them at each start.
        let compared: &[_] = if cfg!(test) { &added.0.0 } else { &[] };
        for (name, schema) in compared {
            let other = there.and_then(|components| components.schemas.get(name));
            if other.is_some_and(|other| other != schema) {
                self.clashes.insert(name.clone());
            }
        }
        Self { router: self.router.routes(added.0), ..self }
    }

    /// Returns the router, its document, and the names that several schemas share.
    pub(crate) fn into_parts(self) -> (Router<S>, OpenApi, BTreeSet<String>) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.clashes)
    }
}
