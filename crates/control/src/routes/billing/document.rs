//! `GET /api/invoices/{id}/html`: an invoice as a printable page.

use std::sync::Arc;

use access::Refusal;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use billing::document::InvoiceDocument;
use billing::language::Language;
use http::{HeaderValue, header};
use ledger::billing::{invoices, parties, profiles};
use serde::Deserialize;
use utoipa::IntoParams;

use super::enabled::books;
use crate::finance::InvoiceReader;
use crate::input::{self, Segment};
use crate::pages;
use crate::problem::Problem;
use crate::state::App;

/// The query of a document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct DocumentQuery {
    /// The language: `en` or `id`. Default: that of the customer's billing profile.
    language: Option<String>,
}

/// Returns an invoice or a credit note as a page for printing, with the seller and the customer as they were named when it got
/// its number. The page has no scripts and loads nothing. Finance reads those of all users.
#[utoipa::path(get, path = "/api/invoices/{id}/html", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice"), DocumentQuery),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, description = "The page", content_type = "text/html; charset=utf-8", body = String,
        example = "<!DOCTYPE html>\n<html lang=\"en\">…</html>\n")))]
pub(in crate::routes) async fn html(
    State(app): State<Arc<App>>,
    reader: InvoiceReader,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let DocumentQuery { language } = input::query(request.uri())?;
    let store = books(&app)?.store();
    let invoice = reader.invoice(store, &id).await?;
    let code = match language {
        Some(code) => code,
        None => profiles::of_user(store, invoice.user).await?.language,
    };
    let language = Language::of_code(&code);
    let language = language.ok_or_else(|| Problem::new(Refusal::BadRequest, "`language` is `en` or `id`"))?;
    let (lines, parties) = (invoices::lines(store, invoice.id).await?, parties::of_invoice(store, invoice.id).await?);
    let corrected = match invoice.of_invoice {
        Some(id) => invoices::present(store, id).await?.and_then(|invoice| invoice.number),
        None => None,
    };
    let document = InvoiceDocument {
        invoice: &invoice,
        lines: &lines,
        parties: &parties,
        corrected: corrected.as_deref(),
        language,
    };
    let page = document.html();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, pages::policy(&page)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    Ok((headers, page).into_response())
}
