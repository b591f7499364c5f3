//! The documents and requests of receipts, and the job that lists the requests of new invoices while they are stored.

use std::collections::BTreeSet;
use std::time::Duration;

use access::{Day, Timestamp, UnitPrice, UserNo};
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use ledger::billing::{
    CHARGED_PAGE, ChargedDayOf, ChargedPrice, StoredInvoice, StoredInvoiceDay, StoredInvoiceLine, invoices,
    plan_versions, receipts, subscriptions,
};
use sha2::{Digest as _, Sha256};
use store::{DatabaseError, Store};
use thiserror::Error;
use uuid::Uuid;

use super::{BillingError, Books};
use crate::midtrans::hex;
use crate::receipt::row::rfc3339;
use crate::receipt::{ListedDay, PlanVersionDocument, ReceiptDocuments, ReceiptInvoice, ReceiptRow, ReceiptSums};
use crate::rules::invoice::{InvoiceLine, LineKind};
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

/// The source of a receipt: its documents, and the requests of its days.
#[derive(Debug, Clone)]
pub struct ReceiptSource {
    store: Store,
    documents: ReceiptDocuments,
    user: UserNo,
    computed_at: i64,
    /// Usage before this time may be deleted.
    stored_from: Timestamp,
}

/// The place in a day's file at which the next part begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DayCursor {
    /// The first request of the day.
    #[default]
    Begin,
    /// The request after this one.
    After(Timestamp, Uuid),
    /// The requests that are stored as counts.
    Counts,
}

/// The job that lists the requests of new invoices.
#[derive(Debug)]
pub struct ReceiptListing(Books);

/// Invoices whose rows are unreadable. The log has a line for each.
#[derive(Debug, Error)]
#[error("the requests of {unlisted} invoices cannot be listed")]
struct ReceiptsUnlisted {
    unlisted: usize,
}

impl ReceiptListing {
    /// Returns the job for these books.
    #[must_use]
    pub const fn new(books: Books) -> Self {
        Self(books)
    }
}

impl Job for ReceiptListing {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let (mut after, mut unlisted) = (Uuid::nil(), 0);
        loop {
            let page = receipts::unlisted(self.0.store(), after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for invoice in page {
                match self.0.list_requests(invoice).await {
                    Ok(()) => {}
                    Err(BillingError::Database(error)) if !matches!(error, DatabaseError::Unreadable { .. }) => {
                        return Err(error.into());
                    }
                    // Later invoices do not wait for one whose rows are unreadable.
                    Err(error) => {
                        unlisted += 1;
                        let found = invoices::present(self.0.store(), invoice).await.ok().flatten();
                        let number = found.and_then(|of| of.number);
                        tracing::error!(%invoice, number, %error, "the requests of an invoice cannot be listed");
                    }
                }
            }
        }
        if unlisted > 0 { Err(ReceiptsUnlisted { unlisted }.into()) } else { Ok(NextRun::Period) }
    }
}

impl Books {
    /// Returns the source of an invoice's receipt. The first call lists the requests, unless the job has listed them.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`] for an invoice that was not opened or is of an older release,
    /// and database errors.
    pub async fn receipt(&self, id: Uuid) -> Result<ReceiptSource, BillingError> {
        self.list_requests(id).await?;
        let invoice = invoices::present(self.store(), id).await?.ok_or(BillingError::NoInvoice)?;
        let mut source = self.source(invoice).await?;
        let days = receipts::days(self.store(), id).await?;
        let listed = |of: StoredInvoiceDay| ListedDay { day: of.day, rows: of.rows, sha256: of.digest };
        source.documents.days = days.into_iter().map(listed).collect();
        Ok(source)
    }

    /// Lists the requests of an invoice's days, and stores the digest of each day. A repeat changes nothing.
    async fn list_requests(&self, id: Uuid) -> Result<(), BillingError> {
        let Some(terms) = receipts::find(self.store(), id).await? else { return Ok(()) };
        let invoice = invoices::present(self.store(), id).await?.ok_or(BillingError::NoInvoice)?;
        if terms.is_listed || invoice.number.is_none() {
            return Ok(());
        }
        let mut source = self.source(invoice).await?;
        source.documents.terms.prices = Some(self.listed_prices(&source).await?);
        let mut days = Vec::new();
        for day in source.documents.days_with_usage() {
            let listed = source.list(day).await?;
            days.push(StoredInvoiceDay { day, rows: listed.rows, digest: listed.sha256 });
        }
        let terms = serde_json::to_string(&source.documents.terms);
        let terms = terms.map_err(|_| BillingError::Inconsistent("the terms of an invoice cannot be written"))?;
        Ok(receipts::set_listed(self.store(), id, &terms, &days).await?)
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
        let stored = stored.ok_or(BillingError::Conflict("an older release made the invoice, which has no receipt"))?;
        let terms: InvoiceTerms = serde_json::from_str(&stored.terms)
            .map_err(|_| BillingError::Inconsistent("the terms of an invoice are unreadable"))?;
        let lines = invoices::lines(self.store(), invoice.id).await?;
        let mut on = self.store().snapshot().await?;
        let subscription = match invoice.subscription {
            Some(id) => subscriptions::find(&mut on, id).await?,
            None => None,
        };
        let mut plans = Vec::new();
        for id in terms.versions() {
            let version = plan_versions::find(&mut on, id).await?;
            let version = version.ok_or(BillingError::Inconsistent("the version of a plan is missing"))?;
            let (plan, price) = (version.name, version.price);
            plans.push(PlanVersionDocument { id, plan, version: version.version, price });
        }
        on.rollback().await?;
        Ok(ReceiptSource {
            store: self.store().clone(),
            documents: ReceiptDocuments { invoice: document(invoice, lines)?, plans, terms, days: Vec::new() },
            // Only invoices of subscriptions have usage.
            user: subscription.map_or(UserNo(0), |of| of.user_no),
            computed_at: stored.computed_at,
            stored_from: receipts::stored_from(self.store()).await?,
        })
    }
}

impl ReceiptSource {
    /// Returns the documents of the receipt.
    #[must_use]
    pub const fn documents(&self) -> &ReceiptDocuments {
        &self.documents
    }

    /// Whether the requests of a day are stored as they were listed.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn is_stored(&self, listed: &ListedDay) -> Result<bool, BillingError> {
        if listed.sha256.is_empty() || listed.day.start() < self.stored_from {
            return Ok(false);
        }
        Ok(self.list(listed.day).await? == *listed)
    }

    /// Returns the next part of a day's file, and the place of the part after it; `None` after the last one.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn part(&self, day: Day, at: DayCursor) -> Result<(Vec<ReceiptRow>, Option<DayCursor>), BillingError> {
        let of = self.of_day(day);
        let after = match at {
            DayCursor::Begin => None,
            DayCursor::After(started_at, id) => Some((started_at, id)),
            DayCursor::Counts => {
                let folded = of.folded(&self.store).await?;
                return Ok((folded.iter().map(ReceiptRow::of_counts).collect(), None));
            }
        };
        let page = of.requests(&self.store, after).await?;
        let last = page.last().filter(|_| page.len() >= CHARGED_PAGE);
        let next = last.map_or(DayCursor::Counts, |last| DayCursor::After(last.started_at, last.id));
        let prices = self.documents.terms.prices.as_deref();
        Ok((page.iter().map(|of| ReceiptRow::of_request(of, prices)).collect(), Some(next)))
    }

    const fn of_day(&self, day: Day) -> ChargedDayOf {
        ChargedDayOf { user: self.user, day, computed_at: self.computed_at }
    }

    /// Reads the requests of a day. The digest is empty if they do not add up to the usage of the invoice.
    async fn list(&self, day: Day) -> Result<ListedDay, BillingError> {
        let (mut sums, mut digest, mut next) = (ReceiptSums::default(), Sha256::new(), Some(DayCursor::Begin));
        while let Some(at) = next {
            let (rows, after) = self.part(day, at).await?;
            for row in &rows {
                sums.add(day, row);
                digest.update(row.line()?);
            }
            next = after;
        }
        let adds_up = sums.difference(day, &self.documents.usage_of(day)).is_none();
        let sha256 = if adds_up { hex(&digest.finalize()) } else { String::new() };
        Ok(ListedDay { day, rows: if adds_up { sums.rows } else { 0 }, sha256 })
    }
}

impl ReceiptRow {
    /// Returns the line of the day's file, with its end.
    ///
    /// # Errors
    /// [`BillingError::Inconsistent`] if the row cannot be written.
    pub fn line(&self) -> Result<Vec<u8>, BillingError> {
        let mut line = serde_json::to_vec(self).map_err(|_| BillingError::Inconsistent("a request is unreadable"))?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Returns the parts of an invoice that never change.
fn document(of: StoredInvoice, lines: Vec<StoredInvoiceLine>) -> Result<ReceiptInvoice, BillingError> {
    let not_opened = || BillingError::Conflict("the invoice has a receipt when it is opened");
    let line = |line: StoredInvoiceLine| -> Result<InvoiceLine, BillingError> {
        let unreadable = || BillingError::Inconsistent("a line of an invoice is unreadable");
        let day = |stored: i64| u32::try_from(stored).map(Day).map_err(|_| unreadable());
        Ok(InvoiceLine {
            kind: LineKind::of_name(&line.kind).ok_or_else(unreadable)?,
            text: line.text,
            quantity: u64::try_from(line.quantity).map_err(|_| unreadable())?,
            unit: line.unit,
            unit_price: line.unit_price_pico.map(|pico| UnitPrice { pico, currency: of.currency }),
            amount: line.amount,
            plan_version: line.plan_version_id,
            days: BillingPeriod { first_day: day(line.first_day)?, last_day: day(line.last_day)? },
        })
    };
    Ok(ReceiptInvoice {
        id: of.id,
        number: of.number.ok_or_else(not_opened)?,
        kind: of.kind,
        user_id: of.user.0,
        subscription_id: of.subscription,
        corrects_id: of.of_invoice,
        issued_at: rfc3339(of.issued_at.ok_or_else(not_opened)?),
        days: BillingPeriod { first_day: of.first_day, last_day: of.last_day },
        currency: of.currency,
        lines: lines.into_iter().map(line).collect::<Result<_, _>>()?,
        subtotal: of.subtotal,
        tax_name: of.tax_name,
        tax: TaxAmount { base: of.tax_base, amount: of.tax },
        total: of.total,
    })
}
