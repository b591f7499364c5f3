//! `GET /api/invoices/{id}/html` and `/pdf`: an invoice or a credit note as a document for printing.

use std::sync::{Arc, LazyLock};

use access::{Refusal, TimeZone};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use billing::document::InvoiceDocument;
use billing::language::Language;
use http::{HeaderValue, header};
use ledger::billing::{
    InvoiceParties, ReceivedMoney, StoredInvoice, StoredInvoiceLine, invoices, parties, profiles, received_money,
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::enabled::books;
use crate::input::{self, Segment};
use crate::message::attachment;
use crate::message::problem::Problem;
use crate::pages;
use crate::permissions::finance::InvoiceReader;
use crate::process::bounded_work;
use crate::process::state::App;

/// The PDF files that are written at once. Others wait.
pub(super) static AT_ONCE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// The query of a document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct DocumentQuery {
    /// The language: `en` or `id`. Default: the language of the customer's billing profile.
    language: Option<String>,
}

/// What a document is made from.
struct DocumentSource {
    invoice: StoredInvoice,
    lines: Vec<StoredInvoiceLine>,
    received: Vec<ReceivedMoney>,
    parties: InvoiceParties,
    corrected: Option<String>,
    language: Language,
    zone: TimeZone,
}

impl DocumentSource {
    /// Reads an invoice that was opened.
    async fn read(app: &Arc<App>, reader: &InvoiceReader, id: &str, query: DocumentQuery) -> Result<Self, Problem> {
        let books = books(app)?;
        let store = books.store();
        let zone = books.settings().zone;
        let invoice = reader.invoice(store, id).await?;
        let code = match query.language {
            Some(code) => code,
            None => profiles::of_user(store, invoice.user).await?.language,
        };
        let language = Language::of_code(&code);
        let language = language.ok_or_else(|| Problem::new(Refusal::BadRequest, "`language` must be `en` or `id`"))?;
        if invoice.number.is_none() {
            return Err(Problem::new(Refusal::Conflict, "the invoice has no document before it is opened"));
        }
        let lines = invoices::lines(store, invoice.id).await?;
        let received = received_money::of_invoice(store, invoice.id).await?;
        let parties = parties::of_invoice(store, invoice.id).await?;
        let corrected = match invoice.of_invoice {
            Some(id) => invoices::present(store, id).await?.and_then(|invoice| invoice.number),
            None => None,
        };
        Ok(Self { invoice, lines, received, parties, corrected, language, zone })
    }

    fn document(&self) -> InvoiceDocument<'_> {
        InvoiceDocument {
            invoice: &self.invoice,
            lines: &self.lines,
            received: &self.received,
            parties: &self.parties,
            corrected: self.corrected.as_deref(),
            language: self.language,
            zone: self.zone,
        }
    }
}

/// Returns an invoice or a credit note as a page for printing, with the seller and the customer as they were named when it got
/// its number. The page has no scripts and loads nothing. Finance reads the documents of all users.
#[utoipa::path(get, path = "/api/invoices/{id}/html", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice"), DocumentQuery),
    extensions(("x-codes" = json!(["bad_request", "not_found", "conflict"]))),
    responses((status = 200, description = "The page", content_type = "text/html; charset=utf-8", body = String,
        example = "<!DOCTYPE html>\n<html lang=\"en\">…</html>\n")))]
pub(in crate::routes) async fn html(
    State(app): State<Arc<App>>,
    reader: InvoiceReader,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let source = DocumentSource::read(&app, &reader, &id, input::query(request.uri())?).await?;
    Ok(page_response(source.document().html()))
}

/// Returns the response with the page of a document, which has no scripts and loads nothing.
pub(super) fn page_response(page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, pages::policy(&page)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (headers, page).into_response()
}

/// Returns an invoice or a credit note as a PDF file with the texts of the page. The bytes change only if its state, its
/// unpaid amount or its payments change, or with a release. Finance reads the documents of all users.
#[utoipa::path(get, path = "/api/invoices/{id}/pdf", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice"), DocumentQuery),
    extensions(("x-codes" = json!(["bad_request", "not_found", "conflict"]))),
    responses((status = 200, description = "The file", content_type = "application/pdf", body = String,
        example = "%PDF-1.7…")))]
pub(in crate::routes) async fn pdf(
    State(app): State<Arc<App>>,
    reader: InvoiceReader,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let source = DocumentSource::read(&app, &reader, &id, input::query(request.uri())?).await?;
    let name = attachment::named(source.invoice.number.as_deref().unwrap_or_default(), "pdf")?;
    // A file takes some milliseconds of a core.
    let written = bounded_work::run(&AT_ONCE, move || source.document().pdf()).await.map_err(Problem::fault)?;
    let file = written.map_err(Problem::fault)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, file).into_response())
}
