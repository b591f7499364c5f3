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
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, OpenApi, RefOr};
use utoipa_axum::PathItemExt;

/// The path prefixes of operations that refuse undeclared inputs.
const STRICT: [&str; 9] =
    ["/api/", "/assets/", "/brief/", "/classify/", "/config", "/export/", "/ingest/", "/review/", "/roi/"];

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
pub(crate) struct PathHandlers<S> {
    router: MethodRouter<S>,
    operations: Vec<DescribedOperation>,
}

/// A handler of any type.
struct AnyHandler<S>(Arc<dyn Fn(Request, S) -> Responding + Send + Sync>);

/// The description of a handler. A start needs only its path and methods; to build the rest for all handlers would be a
/// third of the work of a start.
#[derive(Debug, Clone)]
pub(crate) struct DescribedOperation {
    pub(crate) path: String,
    pub(crate) methods: fn() -> Vec<HttpMethod>,
    /// Builds the operation for the document.
    pub(crate) operation: fn() -> Operation,
    /// Adds the schemas to which the operation refers.
    schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
}

/// Handlers with their descriptions.
pub(crate) struct DescribedRouter<S> {
    router: Router<S>,
    operations: Vec<DescribedOperation>,
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
        Self { router: MethodRouter::new(), operations: Vec::new() }
    }

    /// Adds a handler, which `Described` describes.
    pub(crate) fn add<Described, H, Inputs>(&mut self, handler: H)
    where
        Described: utoipa::Path + Tags<'static> + SchemaReferences,
        H: Handler<Inputs, S, Future = Responding>,
    {
        let described = DescribedOperation {
            path: Described::path(),
            methods: Described::methods,
            operation: operation::<Described>,
            schemas: Described::schemas,
        };
        self.insert(described, &AnyHandler(Arc::new(move |request, state| handler.clone().call(request, state))));
    }

    fn insert(&mut self, described: DescribedOperation, handler: &AnyHandler<S>) {
        for method in (described.methods)() {
            self.router = std::mem::take(&mut self.router).on(method.to_method_filter(), handler.clone());
        }
        self.operations.push(described);
    }
}

impl<S: Clone + Send + Sync + 'static> DescribedRouter<S> {
    /// Creates a router without handlers.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }

    /// Adds the handlers of one path.
    #[must_use]
    pub(crate) fn routes(mut self, added: PathHandlers<S>) -> Self {
        if let Some(first) = added.operations.first() {
            let is_one_path = added.operations.iter().all(|one| one.path == first.path);
            assert!(is_one_path, "`routes!` has a handler of another path than {}", first.path);
            self.router = self.router.route(&first.path, added.router);
        }
        self.operations.extend(added.operations);
        self
    }

    /// Returns the router, and the descriptions of its handlers.
    pub(crate) fn into_parts(self) -> (Router<S>, Vec<DescribedOperation>) {
        (self.router, self.operations)
    }
}

/// Whether operations of this path refuse undeclared inputs.
pub(crate) fn is_strict(path: &str) -> bool {
    STRICT.iter().any(|prefix| path.starts_with(prefix))
}

/// Adds the operations and their schemas to a document. Returns the names that different schemas share, of which the document
/// has the last.
pub(crate) fn describe(document: &mut OpenApi, operations: &[DescribedOperation]) -> BTreeSet<String> {
    let mut schemas = Vec::new();
    let mut clashes = BTreeSet::new();
    for DescribedOperation { path, methods, operation, schemas: add_schemas } in operations {
        document.paths.add_path_operation(path, methods(), operation());
        add_schemas(&mut schemas);
    }
    let all = &mut document.components.get_or_insert_with(Components::new).schemas;
    for (name, schema) in schemas {
        if all.get(&name).is_some_and(|other| *other != schema) {
            clashes.insert(name.clone());
        }
        all.insert(name, schema);
    }
    clashes
}

/// Returns the description of one handler.
fn operation<Described: utoipa::Path + Tags<'static>>() -> Operation {
    let mut operation = Described::operation();
    let tags = Described::tags();
    if !tags.is_empty() {
        operation.tags.get_or_insert_default().extend(tags.into_iter().map(str::to_owned));
    }
    operation
}
