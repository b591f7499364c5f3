//! The endpoints by path; `docs/api.md` describes them in the same order.

mod audit;
mod auth;
mod billing;
mod budgets;
mod cache;
mod configuration;
mod dashboard;
mod explain;
mod gateway_routes;
mod graphql;
mod health;
mod insights;
mod install;
mod invites;
mod keys;
mod limits;
mod live;
mod me;
mod metrics;
mod models;
mod plans;
mod provider_keys;
mod providers;
mod sessions;
mod site;
mod upstreams;
mod usage;
mod users;

use std::sync::Arc;

use access::Refusal;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use http::HeaderMap;

use crate::front::layers::{self, Observer};
use crate::front::undeclared::InputsByPath;
use crate::graphql::GraphQl;
use crate::message::problem::Problem;
use crate::openapi::described::{DescribedRouter, routes};
use crate::openapi::served::ServedDocument;
use crate::openapi::{self, DocumentText};
use crate::pages;
use crate::pages::static_file;
use crate::process::state::{App, ServedApi};

/// Returns the router with every endpoint and every layer.
pub(crate) fn router(app: Arc<App>) -> Router {
    let observer = Observer::new(app.metrics.clone(), app.clock.clone(), &app.live.load().process.brand.name);
    let call = app.limits.call;
    let guarding = app.clone();
    let router = match app.serves {
        ServedApi::Probes => probes(DescribedRouter::new()).into_parts().0.fallback(not_found),
        ServedApi::Api => {
            let (router, operations) = api().into_parts();
            let router = match &app.examples {
                Some(examples) => accounts().into_parts().0.merge(insights::examples::router(examples.clone())),
                None => router,
            };
            let router = layers::strict(router, InputsByPath::from_operations(&operations, app.limits.body));
            let version = app.version;
            let text = move || openapi::text(&openapi::document(&operations, version));
            let text = Arc::new(DocumentText::new(Box::new(text)));
            // Each call of a GraphQL query counts in the limits as one more request.
            let handlers = layers::limited(router.clone(), &app).with_state(app.clone());
            router
                .route("/link", get(auth::link::page))
                .route("/", get(site::home))
                .route("/docs", get(site::docs))
                .route("/docs/", get(site::docs_below))
                .route("/docs/api", get(site::api_reference))
                .route(pages::SEARCH_PATH, get(site::search_index))
                .route(pages::MANUAL_PATH, get(site::document))
                .route("/dashboard", get(site::overview))
                .route("/dashboard/", get(site::overview))
                .route(static_file::DASHBOARD, get(site::dashboard))
                .layer(Extension(Arc::new(ServedDocument::new(text.clone()))))
                .layer(Extension(Arc::new(GraphQl::new(text, handlers))))
                .fallback(site::unknown)
        }
    };
    let router = router.method_not_allowed_fallback(method_not_allowed).with_state(app);
    layers::around(router, Arc::new(observer), call, |router| layers::guard(router, &guarding))
}

/// The endpoints of every process.
fn probes(described: DescribedRouter<Arc<App>>) -> DescribedRouter<Arc<App>> {
    described.routes(routes!(health::live)).routes(routes!(health::ready)).routes(routes!(metrics::show))
}

/// The endpoints of the API.
pub(crate) fn api() -> DescribedRouter<Arc<App>> {
    accounts()
        .routes(routes!(insights::ingest_status::show))
        .routes(routes!(insights::classification::today))
        .routes(routes!(insights::brief::show))
        .routes(routes!(insights::assets::generate))
        .routes(routes!(insights::roi::today))
        .routes(routes!(insights::export::export))
        .routes(routes!(insights::settings::show, insights::settings::change))
        .routes(routes!(insights::review::status))
        .routes(routes!(insights::review::sign_off))
}

/// The endpoints except those of insights, which example files can replace.
fn accounts() -> DescribedRouter<Arc<App>> {
    selling(probes(DescribedRouter::new()))
        .routes(routes!(health::health))
        .routes(routes!(document))
        .routes(routes!(install::show))
        .routes(routes!(site::show))
        .routes(routes!(auth::validate::validate))
        .routes(routes!(auth::register::register))
        .routes(routes!(auth::login::login))
        .routes(routes!(auth::refresh::refresh))
        .routes(routes!(auth::logout::logout))
        .routes(routes!(auth::password::change))
        .routes(routes!(auth::link::check))
        .routes(routes!(auth::link::redeem))
        .routes(routes!(me::me))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::detail::show, keys::change, keys::revoke))
        .routes(routes!(keys::lookup::find))
        .routes(routes!(keys::rotate))
        .routes(routes!(usage::today::today))
        .routes(routes!(usage::history::history))
        .routes(routes!(usage::series::series))
        .routes(routes!(usage::requests::list))
        .routes(routes!(usage::request::show))
        .routes(routes!(dashboard::overview))
        .routes(routes!(graphql::query))
        .routes(routes!(live::watch))
        .routes(routes!(models::list))
        .routes(routes!(providers::list))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::change))
        .routes(routes!(users::password_link))
        .routes(routes!(users::sign_out))
        .routes(routes!(keys::of_user))
        .routes(routes!(invites::list, invites::create))
        .routes(routes!(invites::revoke_invite))
        .routes(routes!(plans::list, plans::create))
        .routes(routes!(plans::change))
        .routes(routes!(budgets::list))
        .routes(routes!(budgets::set, budgets::remove))
        .routes(routes!(explain::explain))
        .routes(routes!(gateway_routes::list_routes))
        .routes(routes!(upstreams::list_upstreams))
        .routes(routes!(cache::purge))
        .routes(routes!(limits::list))
        .routes(routes!(provider_keys::list, provider_keys::create))
        .routes(routes!(provider_keys::change, provider_keys::delete))
        .routes(routes!(provider_keys::test))
        .routes(routes!(audit::list))
        .routes(routes!(configuration::show, configuration::apply))
        .routes(routes!(configuration::validate))
        .routes(routes!(configuration::history))
        .routes(routes!(configuration::entry))
        .routes(routes!(configuration::rollback))
        .routes(routes!(configuration::plans::compare_plans, configuration::plans::apply_plans))
}

/// The endpoints of billing.
fn selling(described: DescribedRouter<Arc<App>>) -> DescribedRouter<Arc<App>> {
    described
        .routes(routes!(billing::subscription::show, billing::subscription::subscribe))
        .routes(routes!(billing::changes::preview))
        .routes(routes!(billing::changes::change))
        .routes(routes!(billing::changes::cancel))
        .routes(routes!(billing::changes::resume))
        .routes(routes!(billing::invoices::list))
        .routes(routes!(billing::invoices::show, billing::finance::change))
        .routes(routes!(billing::receipt::receipt))
        .routes(routes!(billing::document::html))
        .routes(routes!(billing::document::pdf))
        .routes(routes!(billing::preview::html))
        .routes(routes!(billing::preview::pdf))
        .routes(routes!(billing::close::close))
        .routes(routes!(billing::shadow::shadow))
        .routes(routes!(billing::export::export))
        .routes(routes!(billing::webhooks::list, billing::webhooks::create))
        .routes(routes!(billing::webhooks::change, billing::webhooks::delete))
        .routes(routes!(billing::webhooks::rotate))
        .routes(routes!(billing::webhooks::test))
        .routes(routes!(billing::webhooks::deliveries))
        .routes(routes!(billing::webhooks::replay_one))
        .routes(routes!(billing::webhooks::replay))
        .routes(routes!(billing::invoices::pay))
        .routes(routes!(billing::finance::approve))
        .routes(routes!(billing::finance::void))
        .routes(routes!(billing::finance::write_off))
        .routes(routes!(billing::finance::credit))
        .routes(routes!(billing::finance::refund))
        .routes(routes!(billing::lists::invoices))
        .routes(routes!(billing::lists::invoice))
        .routes(routes!(billing::lists::payments))
        .routes(routes!(billing::postings::list))
        .routes(routes!(billing::periods::list))
        .routes(routes!(billing::wallet::show))
        .routes(routes!(billing::wallet::top_up))
        .routes(routes!(billing::payments::methods))
        .routes(routes!(billing::payments::show))
        .routes(routes!(billing::payments::play))
        .routes(routes!(billing::profile::show, billing::profile::change))
        .routes(routes!(billing::notification::notify))
}

/// The OpenAPI document of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "health", responses(
    (status = 200, content_type = "application/json", body = Value,
        example = json!({"openapi": "3.1.0", "info": {"title": "Tollgate admin API", "version": "0.1.0"}})),
    (status = 304, description = "The client has this document: `If-None-Match` lists its `ETag`."),
))]
async fn document(
    State(app): State<Arc<App>>,
    Extension(document): Extension<Arc<ServedDocument>>,
    headers: HeaderMap,
) -> Response {
    document.respond(&app.live.load().process.brand, &headers)
}

async fn not_found() -> Problem {
    Problem::unknown_path()
}

/// The response for an unknown method of a path; axum adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(Refusal::MethodNotAllowed, "this path does not support the method: see the `Allow` header")
}
