//! The documents and requests of receipts, and the job that lists the requests of new invoices while they are stored.

use std::collections::BTreeSet;
use std::time::Duration;

use access::{Day, UnitPrice, UserNo};
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use ledger::billing::{
    ChargedPrice, StoredInvoice, StoredInvoiceDay, StoredInvoiceLine, invoices, plan_versions, receipts, subscriptions,
};
use store::DatabaseError;
use thiserror::Error;
use uuid::Uuid;

use super::receipt_source::ReceiptSource;
use super::{BillingError, Books, LiveBooks};
use crate::receipt::row::rfc3339;
use crate::receipt::{ListedDay, PlanVersionDocument, ReceiptDocuments, ReceiptInvoice};
use crate::rules::invoice::InvoiceLine;
use crate::rules::period::BillingPeriod;
use crate::rules::tax::TaxAmount;
use crate::rules::terms::{InvoiceTerms, ListedPrice};

/// The specification of the job `billing_receipts`.
pub const RECEIPTS: JobSpec = JobSpec {
    owner: Owner::OneNode,
    run_max: Duration::from_mins(30),
    ..JobSpec::every("billing_receipts", Duration::from_mins(1))
};
/// Number of invoices that are read at a time.
const PAGE: u32 = 100;

/// The job that lists the requests of new invoices.
#[derive(Debug)]
pub struct ReceiptListing(LiveBooks);

/// Invoices whose rows are unreadable, or too many for one query. The log has a line for each.
#[derive(Debug, Error)]
#[error("the requests of {unlisted} invoices cannot be listed")]
struct ReceiptsUnlisted {
    unlisted: usize,
}

impl ReceiptListing {
    /// Returns the job for these books.
    #[must_use]
    pub fn new(books: impl Into<LiveBooks>) -> Self {
        Self(books.into())
    }
}

impl Job for ReceiptListing {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(books) = self.0.current() else { return Ok(NextRun::Period) };
        let mut after = Uuid::nil();
        let mut unlisted = 0;
        loop {
            let page = receipts::unlisted(books.store(), after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for invoice in page {
                match books.list_requests(invoice).await {
                    Ok(()) => {}
                    Err(BillingError::Database(error)) if !is_of_invoice(&error) => return Err(error.into()),
                    // Later invoices do not wait for one whose rows are unreadable or too many.
                    Err(error) => {
                        unlisted += 1;
                        let found = invoices::present(books.store(), invoice).await.ok().flatten();
                        let number = found.and_then(|of| of.number);
                        tracing::error!(%invoice, number, %error, "the requests of an invoice cannot be listed");
                    }
                }
            }
        }
        if unlisted > 0 { Err(ReceiptsUnlisted { unlisted }.into()) } else { Ok(NextRun::Period) }
    }
}

/// Whether an error concerns the rows of one invoice: an unreadable value, or a query of a customer with very many requests that
/// took too long.
fn is_of_invoice(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Unreadable { .. }) || error.is_slow_statement()
}

impl Books {
    /// Returns the invoice and the plan versions of a receipt. It reads no requests.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`] for an invoice that was not opened or is of an older release,
    /// and database errors.
    pub async fn receipt_head(&self, id: Uuid) -> Result<ReceiptDocuments, BillingError> {
        Ok(self.source(self.opened(id).await?).await?.documents)
    }

    /// Returns the source of an invoice's receipt with the prices of its requests. The days are complete if the job has
    /// listed them; otherwise [`ReceiptSource::end_day`] adds them, and [`end_receipt`](Self::end_receipt) stores them.
    ///
    /// # Errors
    /// Those of [`receipt_head`](Self::receipt_head).
    pub async fn begin_receipt(&self, id: Uuid) -> Result<ReceiptSource, BillingError> {
        self.begin_listing(self.opened(id).await?).await
    }

    /// Returns an invoice that was opened, and so has a receipt.
    async fn opened(&self, id: Uuid) -> Result<StoredInvoice, BillingError> {
        let invoice = invoices::present(self.store(), id).await?.ok_or(BillingError::NoInvoice)?;
        let is_opened = invoice.number.is_some() && invoice.issued_at.is_some();
        if is_opened {
            Ok(invoice)
        } else {
            Err(BillingError::Conflict("the invoice has no receipt before it is opened"))
        }
    }

    async fn begin_listing(&self, invoice: StoredInvoice) -> Result<ReceiptSource, BillingError> {
        let id = invoice.id;
        let mut source = self.source(invoice).await?;
        if source.is_listed {
            source.documents.days = self.listed_days(id).await?;
        } else {
            source.documents.terms.prices = Some(self.listed_prices(&source).await?);
        }
        Ok(source)
    }

    /// Stores the digests of a receipt's days, unless they are stored.
    ///
    /// # Errors
    /// [`BillingError::Conflict`] if another process has stored other days or prices meanwhile, and database errors.
    pub async fn end_receipt(&self, source: &ReceiptSource) -> Result<(), BillingError> {
        if source.is_listed {
            return Ok(());
        }
        let ReceiptDocuments { invoice, terms, days, .. } = &source.documents;
        let text = serde_json::to_string(terms);
        let text = text.map_err(|_| BillingError::Inconsistent("the terms of an invoice cannot be written"))?;
        let stored = days.iter().map(|of| StoredInvoiceDay { day: of.day, rows: of.rows, digest: of.sha256.clone() });
        receipts::set_listed(self.store(), invoice.id, &text, &stored.collect::<Vec<_>>()).await?;
        let stored = receipts::find(self.store(), invoice.id).await?.map(|stored| stored.terms);
        if stored.as_deref() == Some(&text) && self.listed_days(invoice.id).await? == *days {
            return Ok(());
        }
        Err(BillingError::Conflict("another process has listed the requests of the invoice; try again"))
    }

    async fn listed_days(&self, id: Uuid) -> Result<Vec<ListedDay>, BillingError> {
        let days = receipts::days(self.store(), id).await?;
        let listed = |of: StoredInvoiceDay| ListedDay { day: of.day, rows: of.rows, sha256: of.digest };
        Ok(days.into_iter().map(listed).collect())
    }

    /// Lists the requests of an invoice's days, and stores the digest of each day. A repeat changes nothing.
    async fn list_requests(&self, id: Uuid) -> Result<(), BillingError> {
        let Some(terms) = receipts::find(self.store(), id).await? else { return Ok(()) };
        let invoice = invoices::present(self.store(), id).await?.ok_or(BillingError::NoInvoice)?;
        if terms.is_listed {
            return Ok(());
        }
        // An invoice may wait for weeks to be opened: meanwhile, requests may be deleted.
        let mut source = self.begin_listing(invoice).await?;
        for day in source.days() {
            let mut written = source.begin_day(day);
            while source.next_lines(&mut written).await?.is_some() {}
            source.end_day(written);
        }
        match self.end_receipt(&source).await {
            // A receipt was read at the same time.
            Ok(()) | Err(BillingError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns the prices of the requests of an invoice in their order, without those that are no longer configured.
    async fn listed_prices(&self, source: &ReceiptSource) -> Result<Vec<ListedPrice>, BillingError> {
        let mut used = BTreeSet::new();
        for day in source.documents.days_with_usage() {
            used.append(&mut source.of_day(day).prices(self.store()).await?);
        }
        let listed = used.into_iter().filter_map(|price| {
            let card = self.prices.find(&price)?;
            let ChargedPrice { provider, sent_model: model, answered_model, version } = price;
            Some(ListedPrice { provider, model, answered_model, version, card })
        });
        Ok(listed.collect())
    }

    /// Returns the source of a receipt without its days.
    async fn source(&self, invoice: StoredInvoice) -> Result<ReceiptSource, BillingError> {
        let stored = receipts::find(self.store(), invoice.id).await?;
        let stored =
            stored.ok_or(BillingError::Conflict("the invoice was made by an older release and has no receipt"))?;
        let terms: InvoiceTerms = serde_json::from_str(&stored.terms)
            .map_err(|_| BillingError::Inconsistent("the terms of an invoice are unreadable"))?;
        let lines = invoices::lines(self.store(), invoice.id).await?;
        let mut tx = self.store().begin_read().await?;
        let subscription = match invoice.subscription {
            Some(id) => subscriptions::find(&mut tx, id).await?,
            None => None,
        };
        let mut plans = Vec::new();
        for id in terms.versions() {
            let version = plan_versions::find(&mut tx, id).await?;
            let version = version.ok_or(BillingError::Inconsistent("the version of a plan is missing"))?;
            let plan = version.name;
            let price = version.price;
            plans.push(PlanVersionDocument { id, plan, version: version.version, price });
        }
        tx.rollback().await?;
        Ok(ReceiptSource {
            store: self.store().clone(),
            documents: ReceiptDocuments { invoice: document(invoice, lines)?, plans, terms, days: Vec::new() },
            // Only invoices of subscriptions have usage.
            user: subscription.map_or(UserNo(0), |of| of.user_no),
            computed_at: stored.computed_at,
            is_listed: stored.is_listed,
            stored_from: receipts::stored_from(self.store()).await?,
        })
    }
}

/// Returns the parts of an invoice that never change; without number and time of one that is not opened.
fn document(of: StoredInvoice, lines: Vec<StoredInvoiceLine>) -> Result<ReceiptInvoice, BillingError> {
    let line = |line: StoredInvoiceLine| -> Result<InvoiceLine, BillingError> {
        let unreadable = || BillingError::Inconsistent("a line of an invoice is unreadable");
        let day = |stored: i64| u32::try_from(stored).map(Day).map_err(|_| unreadable());
        Ok(InvoiceLine {
            kind: line.kind,
            text: line.text,
            quantity: line.quantity,
            unit: line.unit,
            unit_price: line.unit_price_pico.map(|pico| UnitPrice { pico, currency: of.currency }),
            amount: line.amount,
            plan_version: line.plan_version_id,
            days: BillingPeriod { first_day: day(line.first_day)?, last_day: day(line.last_day)? },
        })
    };
    Ok(ReceiptInvoice {
        id: of.id,
        number: of.number.unwrap_or_default(),
        kind: of.kind.as_str().to_owned(),
        user_id: of.user.0,
        subscription_id: of.subscription,
        corrects_id: of.of_invoice,
        issued_at: of.issued_at.map(rfc3339).unwrap_or_default(),
        days: BillingPeriod { first_day: of.first_day, last_day: of.last_day },
        currency: of.currency,
        lines: lines.into_iter().map(line).collect::<Result<_, _>>()?,
        subtotal: of.subtotal,
        tax_name: of.tax_name,
        tax: TaxAmount { base: of.tax_base, amount: of.tax },
        total: of.total,
    })
}
