//! `GET /api/invoices/{id}/receipt`: an invoice with all that it was computed from, as a signed zip.

use std::io;
use std::sync::Arc;
use std::vec;

use access::Day;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use billing::Books;
use billing::books::{ReceiptSource, WrittenDay};
use billing::receipt::{ListedDay, ReceiptDocuments, ReceiptInvoice};
use billing::rules::RULES_VERSION;
use bytes::Bytes;
use evidence::manifest::FORMAT_VERSION;
use evidence::{EvidenceWriter, Manifest, SigningKey};
use futures_util::stream;
use http::{HeaderValue, header};

use super::enabled::{books, refused};
use crate::day_insights::signing;
use crate::input::Segment;
use crate::message::attachment;
use crate::message::problem::Problem;
use crate::permissions::finance::InvoiceReader;
use crate::process::state::App;

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
    let head = books.receipt_head(invoice.id).await.map_err(refused)?;
    let name = attachment::named(&head.invoice.number, "zip")?;
    let key = signing::key(&app).await?;
    let installation = app.live.load().process.brand.name.clone();
    let body = ReceiptBody::new(books, head, key, installation).into_body();
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/zip")), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

/// A receipt that is being written.
struct ReceiptBody {
    books: Books,
    invoice: ReceiptInvoice,
    key: SigningKey,
    installation: String,
    writer: EvidenceWriter,
    next: ReceiptStep,
    without_requests: Vec<String>,
}

/// The part of the receipt that is written next.
enum ReceiptStep {
    /// The invoice and the plan versions, so that the response begins at once.
    Head(Box<ReceiptDocuments>),
    /// The terms with the prices of all requests.
    Terms,
    /// The days that are left.
    Days(Box<ReceiptSource>, vec::IntoIter<Day>),
    /// The lines of a day that are left, and the days after it.
    Lines(Box<ReceiptSource>, Box<WrittenDay>, vec::IntoIter<Day>),
    Done,
}

impl ReceiptBody {
    fn new(books: Books, head: ReceiptDocuments, key: SigningKey, installation: String) -> Self {
        let writer = EvidenceWriter::new();
        let invoice = head.invoice.clone();
        let next = ReceiptStep::Head(Box::new(head));
        Self { books, invoice, key, installation, writer, next, without_requests: Vec::new() }
    }

    /// Returns the zip as a body. If a part cannot be read, the body ends early, and the zip is not valid.
    fn into_body(self) -> Body {
        let parts = stream::try_unfold(self, |mut receipt| async move {
            loop {
                if matches!(receipt.next, ReceiptStep::Done) {
                    return Ok::<_, io::Error>(None);
                }
                receipt.step().await.inspect_err(|error| {
                    let invoice = &receipt.invoice.number;
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
            ReceiptStep::Head(head) => {
                for (name, bytes) in head.first_files()? {
                    self.file(name, &bytes)?;
                }
                ReceiptStep::Terms
            }
            ReceiptStep::Terms => {
                let source = self.books.begin_receipt(self.invoice.id).await.map_err(io::Error::other)?;
                let (name, bytes) = source.documents().terms_file()?;
                self.file(name, &bytes)?;
                let days = source.days().into_iter();
                ReceiptStep::Days(Box::new(source), days)
            }
            ReceiptStep::Days(source, days) => self.begin_day(source, days).await?,
            ReceiptStep::Lines(source, day, days) => self.write_lines(source, day, days).await?,
            ReceiptStep::Done => ReceiptStep::Done,
        };
        Ok(())
    }

    /// Begins the file of the next day, unless its requests are missing. After the last day, it ends the zip.
    async fn begin_day(&mut self, source: Box<ReceiptSource>, mut days: vec::IntoIter<Day>) -> io::Result<ReceiptStep> {
        let Some(day) = days.next() else {
            self.books.end_receipt(&source).await.map_err(io::Error::other)?;
            let (name, bytes) = source.documents().days_file()?;
            self.file(name, &bytes)?;
            self.write_end()?;
            return Ok(ReceiptStep::Done);
        };
        let written = source.begin_day(day);
        if written.is_missing() {
            self.without_requests.push(day.to_string());
            return Ok(ReceiptStep::Days(source, days));
        }
        self.writer.begin(&ListedDay::file_name(day)).map_err(io::Error::other)?;
        Ok(ReceiptStep::Lines(source, Box::new(written), days))
    }

    /// Writes lines of a day. After the last ones, a file whose requests are not those of the invoice is discarded.
    async fn write_lines(
        &mut self,
        mut source: Box<ReceiptSource>,
        mut written: Box<WrittenDay>,
        days: vec::IntoIter<Day>,
    ) -> io::Result<ReceiptStep> {
        if let Some(lines) = source.next_lines(&mut written).await.map_err(io::Error::other)? {
            self.writer.write(&lines).map_err(io::Error::other)?;
            return Ok(ReceiptStep::Lines(source, written, days));
        }
        let day = written.day().to_string();
        if !source.end_day(*written) {
            self.writer.discard().map_err(io::Error::other)?;
            self.without_requests.push(day);
        }
        Ok(ReceiptStep::Days(source, days))
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writer.file(name, bytes).map_err(io::Error::other)
    }

    fn write_end(&mut self) -> io::Result<()> {
        let invoice = &self.invoice;
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
