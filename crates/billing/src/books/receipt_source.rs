//! The requests of a receipt, day by day. They are read once: the digest and the sums of a day are known at its end.

use access::{Day, Timestamp, UserNo};
use ledger::billing::{CHARGED_PAGE, ChargedDayOf};
use sha2::{Digest as _, Sha256};
use store::Store;
use uuid::Uuid;

use super::BillingError;
use crate::midtrans::hex;
use crate::receipt::{ListedDay, ReceiptDocuments, ReceiptRow, ReceiptSums};
use crate::receipt_rows;

/// The source of a receipt: its documents, and the requests of its days.
#[derive(Debug, Clone)]
pub struct ReceiptSource {
    pub(super) store: Store,
    pub(super) documents: ReceiptDocuments,
    pub(super) user: UserNo,
    pub(super) computed_at: i64,
    /// Whether the digests of the days are stored.
    pub(super) is_listed: bool,
    /// Usage before this time may be deleted.
    pub(super) stored_from: Timestamp,
}

/// The file of a day that is being read.
#[derive(Debug)]
pub struct WrittenDay {
    day: Day,
    /// Whether requests of the day may be deleted, or did not add up when they were listed.
    is_missing: bool,
    next: Option<DayCursor>,
    digest: Sha256,
    sums: ReceiptSums,
}

/// The place in a day's file at which the next part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayCursor {
    /// The first request of the day.
    Begin,
    /// The request after this one.
    After(Timestamp, Uuid),
    /// The requests that are stored as counts.
    Counts,
}

impl WrittenDay {
    /// Returns the day of the requests.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// Whether the requests of the day are not part of the receipt. Its file need not be begun.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.is_missing
    }
}

impl ReceiptSource {
    /// Returns the documents of the receipt.
    #[must_use]
    pub const fn documents(&self) -> &ReceiptDocuments {
        &self.documents
    }

    /// Returns the days with usage, in their order.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        self.documents.days_with_usage().into_iter().collect()
    }

    /// Begins the file of a day. Without stored requests, it has no lines.
    #[must_use]
    pub fn begin_day(&self, day: Day) -> WrittenDay {
        let listed = self.documents.days.iter().find(|of| of.day == day);
        let is_missing =
            self.is_listed && listed.is_none_or(|of| of.sha256.is_empty() || day.start() < self.stored_from);
        let next = (!is_missing).then_some(DayCursor::Begin);
        WrittenDay { day, is_missing, next, digest: Sha256::new(), sums: ReceiptSums::default() }
    }

    /// Returns the next lines of a day's file; `None` after the last ones.
    ///
    /// # Errors
    /// [`BillingError::Inconsistent`] for an unreadable request, and database errors.
    pub async fn next_lines(&self, of: &mut WrittenDay) -> Result<Option<Vec<u8>>, BillingError> {
        let Some(at) = of.next else { return Ok(None) };
        let (rows, next) = self.part(of.day, at).await?;
        let mut lines = Vec::new();
        for row in &rows {
            of.sums.add(of.day, row);
            serde_json::to_writer(&mut lines, row)
                .map_err(|_| BillingError::Inconsistent("a request is unreadable"))?;
            lines.push(b'\n');
        }
        of.digest.update(&lines);
        of.next = next;
        Ok(Some(lines))
    }

    /// Ends the file of a day. Returns whether its requests are those that the invoice charges: otherwise the file is not part of
    /// the receipt.
    pub fn end_day(&mut self, of: WrittenDay) -> bool {
        let WrittenDay { day, is_missing, digest, sums, .. } = of;
        let rows = sums.rows;
        let sha256 = hex(&digest.finalize());
        if self.is_listed {
            return !is_missing && self.documents.days.contains(&ListedDay { day, rows, sha256 });
        }
        let adds_up = sums.difference(day, &self.documents.usage_of(day)).is_none();
        let (rows, sha256) = if adds_up { (rows, sha256) } else { (0, String::new()) };
        self.documents.days.push(ListedDay { day, rows, sha256 });
        adds_up
    }

    /// Returns a part of a day's file, and the place of the part after it; `None` after the last one.
    async fn part(&self, day: Day, at: DayCursor) -> Result<(Vec<ReceiptRow>, Option<DayCursor>), BillingError> {
        let of = self.of_day(day);
        let after = match at {
            DayCursor::Begin => None,
            DayCursor::After(started_at, id) => Some((started_at, id)),
            DayCursor::Counts => {
                let folded = of.folded(&self.store).await?;
                return Ok((folded.iter().map(receipt_rows::of_counts).collect(), None));
            }
        };
        let page = of.requests(&self.store, after).await?;
        let last = if page.len() >= CHARGED_PAGE { page.last() } else { None };
        let next = last.map_or(DayCursor::Counts, |last| DayCursor::After(last.started_at, last.id));
        let prices = self.documents.terms.prices.as_deref();
        Ok((page.iter().map(|of| receipt_rows::of_request(of, prices)).collect(), Some(next)))
    }

    pub(super) const fn of_day(&self, day: Day) -> ChargedDayOf {
        ChargedDayOf { user: self.user, day, computed_at: self.computed_at }
    }
}
