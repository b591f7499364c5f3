//! The pages: landing page, documentation, dashboard; and `GET /api/site`, which they read before a sign-in.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use config::snapshot::{Process, SignupMode};
use config::{FirstRouteCall, Snapshot};
use dashboard::File;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::problem::Problem;
use crate::message::words::SignupWord;
use crate::pages;
use crate::pages::static_file::FileRequest;
use crate::pages::{install, static_file};
use crate::process::state::App;

/// The first page of the dashboard.
const OVERVIEW: &str = "/dashboard/overview";

/// What clients may know before they sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Site {
    /// The name of the gateway.
    name: String,
    /// The version of the server.
    version: &'static str,
    /// Whether users may register.
    #[schema(value_type = SignupWord)]
    signup: &'static str,
    /// Whether the server has no admin yet. A link for the first admin creates one.
    needs_setup: bool,
    /// The URL of the admin API and of these pages.
    control_url: String,
    /// The text before the underscore in each key.
    key_prefix: String,
    /// The colour of the brand, such as `#c2410c`; null is the product's colour.
    color: Option<String>,
    /// Whether plans are sold: users have subscriptions and invoices.
    billing: bool,
    /// Whether a stub takes the payments, so that no money moves.
    payments_stub: bool,
    /// The addresses for LLM clients; null without LLM endpoints.
    llm: Option<SiteLlm>,
    /// A GET request of the first route that a plain one can use; null without such a route, and with LLM endpoints.
    route: Option<SiteRoute>,
}

/// A GET request that the gateway can serve without LLM endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteRoute {
    url: String,
    /// Whether the request needs a key of a user.
    needs_key: bool,
    /// The name of the environment variable for a key.
    key_variable: String,
}

/// The addresses of the LLM endpoints, and a request that the gateway can serve.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteLlm {
    /// The base URL of Anthropic and Google clients. OpenAI clients use it with `/v1`.
    base_url: String,
    /// The name of the environment variable for a key.
    key_variable: String,
    /// The origin whose pages may call the LLM endpoints from browsers: `public_url.control`; by default the origin of the
    /// control listener, with the name in the request if the listener has several.
    page_origin: Option<String>,
    /// The URL of the example request; null without a provider.
    example_url: Option<String>,
    /// The JSON body of the example request; null without a provider.
    example_body: Option<String>,
}

/// Returns the name, the addresses and the way to register.
#[utoipa::path(get, path = "/api/site", tag = "auth", responses((status = 200, body = Site, example = json!({
    "name": "Acme", "version": "0.1.0", "signup": "closed", "needs_setup": false, "control_url": "https://control.example.com",
    "key_prefix": "acme", "color": "#c2410c", "billing": false,
    "payments_stub": false,
    "llm": {"base_url": "https://gateway.example.com", "key_variable": "ACME_KEY",
        "page_origin": "https://control.example.com",
        "example_url": "https://gateway.example.com/v1/chat/completions",
        "example_body": "{\"model\":\"fast\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"}, "route": null}))))]
pub(super) async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Site> {
    let needs_setup = app.setup.is_needed(&app.store).await;
    let snapshot = app.live.load();
    let process = &snapshot.process;
    let books = app.billing.current();
    let signup = match snapshot.traffic.signup.mode {
        SignupMode::Closed => "closed",
        SignupMode::Invite => "invite",
        SignupMode::Open => "open",
    };
    Json(Site {
        name: process.brand.name.clone(),
        version: app.version,
        signup,
        needs_setup,
        control_url: process.control_url(&process.control.listen),
        key_prefix: process.brand.key_prefix.clone(),
        color: process.brand.color.clone(),
        billing: books.is_some(),
        payments_stub: books.is_some_and(|books| books.provider().is_some_and(|provider| provider.is_stub())),
        llm: llm(&snapshot, &headers),
        route: route(&snapshot),
    })
}

fn route(snapshot: &Snapshot) -> Option<SiteRoute> {
    if snapshot.traffic.ai.is_some() {
        return None;
    }
    let FirstRouteCall { path, needs_key } = snapshot.traffic.first_route_call()?;
    let url = format!("{}{path}", install::proxy(&snapshot.process));
    Some(SiteRoute { url, needs_key, key_variable: snapshot.process.brand.key_variable() })
}

fn llm(snapshot: &Snapshot, headers: &HeaderMap) -> Option<SiteLlm> {
    let proxy = install::proxy(&snapshot.process);
    let base_url = format!("{proxy}{}", snapshot.traffic.ai.as_ref()?.prefix);
    let example = snapshot.traffic.first_call();
    Some(SiteLlm {
        base_url,
        key_variable: snapshot.process.brand.key_variable(),
        page_origin: page_origin(&snapshot.process, headers),
        example_url: example.as_ref().map(|call| format!("{proxy}{}", call.path)),
        example_body: example.map(|call| call.body),
    })
}

/// Returns the origin of the pages with the host of the request, or else the first one.
fn page_origin(process: &Process, headers: &HeaderMap) -> Option<String> {
    let origins = process.control_origins();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_requested = |origin: &&String| origin.split_once("://").map(|(_, own)| own) == host;
    origins.iter().find(is_requested).or(origins.first()).cloned()
}

/// The landing page. A build without the dashboard has a plain one.
pub(super) async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.dashboard.find("index.html") {
        Some(page) => static_file::respond(page, StatusCode::OK, &request(&app, &headers)),
        None => pages::home(&app.live.load()),
    }
}

/// The documentation. A build without the dashboard has a plain list of all documents.
pub(super) async fn docs(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.dashboard.find("docs.html") {
        Some(page) => static_file::respond(page, StatusCode::OK, &request(&app, &headers)),
        None => pages::documentation(&app.live.load().process.brand.name),
    }
}

/// Redirects to the documentation.
pub(super) async fn docs_below() -> Redirect {
    Redirect::permanent("/docs")
}

/// A document of the documentation. The address of an error code is redirected to its section.
pub(super) async fn document(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let slug = uri.path().strip_prefix("/docs/").unwrap_or_default();
    if let Some(section) = pages::error_section(slug) {
        return Redirect::permanent(&section).into_response();
    }
    let found = pages::document(slug, &app.live.load().process.brand.name);
    match found {
        Some(page) => page,
        None => unknown(State(app), method, uri, headers).await,
    }
}

/// The index of the search in the documentation.
pub(super) async fn search_index(State(app): State<Arc<App>>) -> Response {
    pages::search_index(&app.live.load().process.brand.name)
}

/// The API reference, which the browser builds from the OpenAPI document.
pub(super) async fn api_reference(State(app): State<Arc<App>>) -> Response {
    pages::docs(&app.live.load().process.brand.name)
}

/// Redirects to the first page of the dashboard.
pub(super) async fn overview() -> Redirect {
    Redirect::permanent(OVERVIEW)
}

/// A page of the dashboard, or one of its files. A path with a slash at its end is redirected to the path without it.
pub(super) async fn dashboard(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if path.ends_with('/') {
        let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
        return Redirect::permanent(&format!("{}{query}", uri.path().trim_end_matches('/'))).into_response();
    }
    if app.dashboard.is_empty() {
        return pages::unbuilt(&app.live.load().process.brand.name);
    }
    if let Some(file) = find(&app, &path) {
        return static_file::respond(file, StatusCode::OK, &request(&app, &headers));
    }
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    match app.dashboard.find("404.html") {
        Some(page) if is_page => static_file::respond(page, StatusCode::NOT_FOUND, &request(&app, &headers)),
        _ => Problem::unknown_path().into_response(),
    }
}

/// The response at unknown paths: a page for browsers that open one outside the API, and an error for other clients.
pub(super) async fn unknown(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let is_read = method == Method::GET || method == Method::HEAD;
    if !is_read || uri.path().starts_with("/api/") || !accepts_pages(&headers) {
        let snapshot = app.live.load_full();
        let is_of_proxy = !snapshot.routes_at(uri.path()).is_empty();
        let of_proxy = || Problem::path_of_proxy(&install::proxy(&snapshot.process));
        return if is_of_proxy { of_proxy() } else { Problem::unknown_path() }.into_response();
    }
    let mut response = match app.dashboard.find("404.html") {
        Some(page) => static_file::respond(page, StatusCode::NOT_FOUND, &request(&app, &headers)),
        None => pages::not_found(&app.live.load().process.brand.name),
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Whether `Accept` lists HTML, as browsers do when they open a page (RFC 9110, 12.5.1).
fn accepts_pages(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("text/html")
    })
}

/// Returns a request for a file. Its page may call the proxy if the proxy allows it, and nothing else.
fn request<'a>(app: &App, headers: &'a HeaderMap) -> FileRequest<'a> {
    let snapshot = app.live.load();
    let proxy_origin = snapshot.traffic.ai.is_some().then(|| install::proxy_origin(&snapshot.process));
    FileRequest { headers, proxy_origin }
}

/// Finds a file below `/dashboard/`: an asset, a page by its name, or another file of a page.
fn find(app: &App, path: &str) -> Option<&'static File> {
    if path.starts_with("_next/") {
        return app.dashboard.find(path);
    }
    let path = format!("dashboard/{path}");
    app.dashboard.find(&format!("{path}.html")).or_else(|| app.dashboard.find(&path))
}
