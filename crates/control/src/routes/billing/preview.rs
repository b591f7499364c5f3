//! `GET /api/billing/preview/html` and `/pdf`: a sample invoice under settings that are not in force yet.

use std::sync::Arc;

use access::Refusal;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use billing::document::SampleInvoice;
use billing::language::Language;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::document::{AT_ONCE, page_response};
use crate::input;
use crate::message::problem::Problem;
use crate::process::billing_settings::billing_settings;
use crate::process::bounded_work;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The query of a preview.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct PreviewQuery {
    /// The section `billing` as JSON, without references: `{"seller": {"name": "PT Contoh"}}`.
    #[param(example = r#"{"seller": {"name": "PT Contoh"}}"#)]
    billing: String,
    /// The language: `en` (the default) or `id`.
    language: Option<String>,
}

/// Returns the sample under the settings of the query.
fn sample(app: &App, query: PreviewQuery) -> Result<SampleInvoice, Problem> {
    let PreviewQuery { billing, language } = query;
    let language = Language::of_code(language.as_deref().unwrap_or("en"));
    let language = language.ok_or_else(|| Problem::new(Refusal::BadRequest, "`language` must be `en` or `id`"))?;
    let keys: Value = serde_json::from_str(&billing)
        .map_err(|_| Problem::new(Refusal::BadRequest, "`billing` must be a JSON object with keys of `billing`"))?;
    let brand = app.live.load().process.brand.name.clone();
    let billing = config::billing_settings(&keys, &brand).map_err(|error| {
        let first = error.problems.first().map_or_else(String::new, ToString::to_string);
        Problem::new(Refusal::Unprocessable, format!("the settings of billing are invalid: {first}"))
    })?;
    SampleInvoice::new(billing_settings(&billing, false), app.clock.now(), language).map_err(Problem::fault)
}

/// Returns a sample invoice as a page for printing, under settings of billing that are not in force yet. It is not stored, and
/// takes no number.
#[utoipa::path(get, path = "/api/billing/preview/html", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(PreviewQuery), extensions(("x-codes" = json!(["bad_request", "forbidden", "unprocessable"]))),
    responses((status = 200, description = "The page", content_type = "text/html; charset=utf-8", body = String,
        example = "<!DOCTYPE html>\n<html lang=\"en\">…</html>\n")))]
pub(in crate::routes) async fn html(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Response, Problem> {
    Ok(page_response(sample(&app, input::query(request.uri())?)?.document().html()))
}

/// Returns a sample invoice as a PDF file, under settings of billing that are not in force yet.
#[utoipa::path(get, path = "/api/billing/preview/pdf", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(PreviewQuery), extensions(("x-codes" = json!(["bad_request", "forbidden", "unprocessable"]))),
    responses((status = 200, description = "The file", content_type = "application/pdf", body = String,
        example = "%PDF-1.7…")))]
pub(in crate::routes) async fn pdf(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Response, Problem> {
    let sample = sample(&app, input::query(request.uri())?)?;
    let written = bounded_work::run(&AT_ONCE, move || sample.document().pdf()).await.map_err(Problem::fault)?;
    let file = written.map_err(Problem::fault)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, file).into_response())
}
