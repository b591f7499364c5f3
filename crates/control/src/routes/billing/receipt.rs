//! `GET /api/invoices/{id}/receipt`: an invoice with all that it was computed from, as a signed zip.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use billing::books::{DayCursor, ReceiptSource};
use billing::receipt::ListedDay;
use billing::rules::RULES_VERSION;
use bytes::Bytes;
use evidence::manifest::FORMAT_VERSION;
use evidence::{EvidenceWriter, Manifest, SigningKey};
use futures_util::stream;
use http::{HeaderValue, header};

use super::enabled::{books, refused};
use crate::attachment;
use crate::day_insights::signing;
use crate::finance::InvoiceReader;
use crate::input::Segment;
use crate::problem::Problem;
use crate::state::App;

/// Returns the receipt of an invoice that was opened, as a zip: the invoice, the plan versions, tax, rates and usage, the
/// requests of each day, and a manifest with digests and a signature.
///
/// `tollgate verify FILE` computes the invoice again without a server. Finance reads the receipts of all users. Requests that
/// retention deleted are missing, and the manifest lists their days. If the transfer fails, the zip ends early and is not valid.
#[utoipa::path(get, path = "/api/invoices/{id}/receipt", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["not_found", "conflict"]))),
    responses((status = 200, body = String, content_type = "application/zip", example = "PK…")))]
pub(in crate::routes) async fn receipt(
    State(app): State<Arc<App>>,
    reader: InvoiceReader,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let books = books(&app)?;
    let invoice = reader.invoice(books.store(), &id).await?;
    let source = books.receipt(invoice.id).await.map_err(refused)?;
    let name = attachment::named(&source.documents().invoice.number, "zip")?;
    let key = signing::key(&app).await?;
    let installation = app.live.load().process.brand.name.clone();
    let body = ReceiptBody::new(source, key, installation).into_body();
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/zip")), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

/// A receipt that is being written.
struct ReceiptBody {
    source: ReceiptSource,
    key: SigningKey,
    installation: String,
    writer: EvidenceWriter,
    next: ReceiptStep,
    without_requests: Vec<String>,
}

/// The part of the receipt that is written next.
enum ReceiptStep {
    Documents,
    /// The day with this index begins.
    Day(usize),
    /// The day with this index continues.
    Requests(usize, DayCursor),
    Done,
}

impl ReceiptBody {
    fn new(source: ReceiptSource, key: SigningKey, installation: String) -> Self {
        let (writer, next) = (EvidenceWriter::new(), ReceiptStep::Documents);
        Self { source, key, installation, writer, next, without_requests: Vec::new() }
    }

    /// Returns the zip as a body. If a part cannot be read, the body ends early, and the zip is not valid.
    fn into_body(self) -> Body {
        let parts = stream::try_unfold(self, |mut receipt| async move {
            loop {
                if matches!(receipt.next, ReceiptStep::Done) {
                    return Ok::<_, io::Error>(None);
                }
                receipt.step().await.inspect_err(|error| {
                    let invoice = &receipt.source.documents().invoice.number;
                    tracing::error!(%invoice, %error, "a receipt was not written to its end");
                })?;
                let bytes = receipt.writer.take();
                if !bytes.is_empty() {
                    return Ok(Some((Bytes::from(bytes), receipt)));
                }
            }
        });
        Body::from_stream(parts)
    }

    /// Writes the next part.
    async fn step(&mut self) -> io::Result<()> {
        self.next = match std::mem::replace(&mut self.next, ReceiptStep::Done) {
            ReceiptStep::Documents => {
                for (name, bytes) in self.source.documents().files()? {
                    self.writer.file(name, &bytes).map_err(io::Error::other)?;
                }
                ReceiptStep::Day(0)
            }
            ReceiptStep::Day(nth) => match self.source.documents().days.get(nth).cloned() {
                None => {
                    self.write_end()?;
                    ReceiptStep::Done
                }
                Some(listed) if self.source.is_stored(&listed).await.map_err(io::Error::other)? => {
                    self.writer.begin(&ListedDay::file_name(listed.day)).map_err(io::Error::other)?;
                    ReceiptStep::Requests(nth, DayCursor::Begin)
                }
                Some(listed) => {
                    self.without_requests.push(listed.day.to_string());
                    ReceiptStep::Day(nth + 1)
                }
            },
            ReceiptStep::Requests(nth, at) => match self.write_requests(nth, at).await? {
                Some(next) => ReceiptStep::Requests(nth, next),
                None => ReceiptStep::Day(nth + 1),
            },
            ReceiptStep::Done => ReceiptStep::Done,
        };
        Ok(())
    }

    /// Writes a part of a day's file, and returns the place of the part after it.
    async fn write_requests(&mut self, nth: usize, at: DayCursor) -> io::Result<Option<DayCursor>> {
        let Some(day) = self.source.documents().days.get(nth).map(|listed| listed.day) else { return Ok(None) };
        let (rows, next) = self.source.part(day, at).await.map_err(io::Error::other)?;
        let mut lines = Vec::new();
        for row in rows {
            lines.append(&mut row.line().map_err(io::Error::other)?);
        }
        self.writer.write(&lines).map_err(io::Error::other)?;
        Ok(next)
    }

    fn write_end(&mut self) -> io::Result<()> {
        let invoice = &self.source.documents().invoice;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            installation: self.installation.clone(),
            id: invoice.number.clone(),
            figures_version: u64::try_from(RULES_VERSION).unwrap_or(0),
            complete: self.without_requests.is_empty(),
            // The time of the request would change the bytes of each receipt.
            created_at: invoice.issued_at.clone(),
            public_key: String::new(),
            days_without_requests: std::mem::take(&mut self.without_requests),
            files: Vec::new(),
        };
        self.writer.finish(manifest, &self.key).map_err(io::Error::other)
    }
}
