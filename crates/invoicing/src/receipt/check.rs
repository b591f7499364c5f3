//! Computes a receipt again: requests to days, days to lines, lines to tax, and tax to the total.

use std::collections::BTreeSet;
use std::fmt;

use access::Day;
use evidence::hex;
use sha2::{Digest as _, Sha256};

use super::check_error::ReceiptDifference;
use super::document::{ListedDay, ReceiptDocuments};
use super::row::{ReceiptRow, ReceiptSums};
use crate::rules::invoice::InvoiceLine;
use crate::rules::usage::UsageDay;

/// The maximum length of one line of a day's file.
const ROW_BYTES_MAX: usize = 1 << 20;

/// The check of a receipt's requests. They are passed in as bytes, in the order of the days.
#[derive(Debug)]
pub struct ReceiptCheck<'a> {
    documents: &'a ReceiptDocuments,
    requests: u64,
}

/// The file of one day while it is read.
#[derive(Debug)]
pub struct DayCheck<'a> {
    documents: &'a ReceiptDocuments,
    listed: &'a ListedDay,
    digest: Sha256,
    sums: ReceiptSums,
    line: Vec<u8>,
    unreadable: Option<u64>,
    wrong: Option<ReceiptDifference>,
}

fn same<T: PartialEq + fmt::Display>(
    place: impl fmt::Display,
    stated: &T,
    computed: &T,
) -> Result<(), ReceiptDifference> {
    if stated == computed {
        return Ok(());
    }
    Err(ReceiptDifference { place: place.to_string(), stated: stated.to_string(), computed: computed.to_string() })
}

impl<'a> ReceiptCheck<'a> {
    /// Computes the lines, the tax and the total from the usage.
    ///
    /// # Errors
    /// [`ReceiptDifference`] names the first figure that differs.
    pub fn begin(documents: &'a ReceiptDocuments) -> Result<Self, ReceiptDifference> {
        let ReceiptDocuments { invoice, plans, terms, .. } = documents;
        let version = |id| plans.iter().find(|of| of.id == id).map(super::PlanVersionDocument::terms);
        let computed = terms.draft(version, &invoice.lines).map_err(|error| ReceiptDifference {
            place: "the lines".to_owned(),
            stated: format!("{} lines", invoice.lines.len()),
            computed: format!("an error: {error}"),
        })?;
        for (nth, (stated, computed)) in invoice.lines.iter().zip(&computed.lines).enumerate() {
            same_line(nth + 1, stated, computed)?;
        }
        same("the number of lines", &invoice.lines.len(), &computed.lines.len())?;
        same("the subtotal", &invoice.subtotal, &computed.subtotal)?;
        same("the base of the tax", &invoice.tax.base, &computed.tax.base)?;
        same("the tax", &invoice.tax.amount, &computed.tax.amount)?;
        same("the total", &invoice.total, &computed.total)?;
        let days: BTreeSet<Day> = documents.days_with_usage();
        let listed: Vec<Day> = documents.days.iter().map(|of| of.day).collect();
        same("the number of days with usage", &listed.len(), &days.len())?;
        for (listed, day) in listed.iter().zip(&days) {
            same("a day with usage", listed, day)?;
        }
        Ok(Self { documents, requests: 0 })
    }

    /// Begins the file of a day.
    #[must_use]
    pub fn day(&self, listed: &'a ListedDay) -> DayCheck<'a> {
        DayCheck {
            documents: self.documents,
            listed,
            digest: Sha256::new(),
            sums: ReceiptSums::default(),
            line: Vec::new(),
            unreadable: None,
            wrong: None,
        }
    }

    /// Ends the file of a day.
    ///
    /// # Errors
    /// [`ReceiptDifference`] names the first figure that differs.
    pub fn end(&mut self, day: DayCheck<'_>) -> Result<(), ReceiptDifference> {
        let DayCheck { documents, listed, digest, sums, line, unreadable, wrong } = day;
        let place = ListedDay::file_name(listed.day);
        let unreadable = unreadable.or((!line.is_empty()).then_some(sums.rows + 1));
        if let Some(row) = unreadable {
            return Err(ReceiptDifference {
                place: format!("{place}, line {row}"),
                stated: "a line that is not a request".to_owned(),
                computed: "an object of JSON".to_owned(),
            });
        }
        same(format!("the rows of {place}"), &listed.rows, &sums.rows)?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let usage = documents.usage_of(listed.day);
        if let Some((stated, summed)) = sums.difference(listed.day, &usage) {
            return Err(usage_difference(&stated, &summed));
        }
        same(format!("the digest of {place}"), &listed.sha256, &hex::encode(&digest.finalize()))?;
        let totals = usage.iter().filter(|of| of.model.is_none());
        self.requests = totals.fold(self.requests, |sum, of| sum.saturating_add(of.requests));
        Ok(())
    }

    /// The number of requests of the days whose files were checked.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }
}

impl DayCheck<'_> {
    fn add(&mut self, row: &ReceiptRow) {
        if let None = &self.wrong
            && let Some(prices) = &self.documents.terms.prices
        {
            let place = format!("{}, line {}", ListedDay::file_name(self.listed.day), self.sums.rows + 1);
            self.wrong = row.price_difference(prices, &place);
        }
        self.sums.add(self.listed.day, row);
    }

    /// Adds bytes of the day's file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = ROW_BYTES_MAX.saturating_sub(self.line.len());
            if part.len() > room {
                self.unreadable = self.unreadable.or(Some(self.sums.rows + 1));
                return;
            }
            self.line.extend(part);
            if part.ends_with(b"\n") {
                match serde_json::from_slice::<ReceiptRow>(&self.line) {
                    Ok(row) => self.add(&row),
                    Err(_) => self.unreadable = self.unreadable.or(Some(self.sums.rows + 1)),
                }
                self.line.clear();
            }
        }
    }
}

impl ReceiptDocuments {
    /// Returns the usage of a day: of all requests, and of each model.
    #[must_use]
    pub fn usage_of(&self, day: Day) -> Vec<UsageDay> {
        self.terms.usage_of(day)
    }

    /// Returns the days with usage.
    #[must_use]
    pub fn days_with_usage(&self) -> BTreeSet<Day> {
        self.terms.days()
    }
}

fn same_line(no: usize, stated: &InvoiceLine, computed: &InvoiceLine) -> Result<(), ReceiptDifference> {
    let place = |what: &str| format!("line {no} ({}), {what}", stated.text);
    same(place("the text"), &stated.text, &computed.text)?;
    same(place("the quantity"), &stated.quantity, &computed.quantity)?;
    same(place("the amount"), &stated.amount, &computed.amount)?;
    let whole = |line: &InvoiceLine| serde_json::to_string(line).unwrap_or_default();
    same(place("the line"), &whole(stated), &whole(computed))
}

/// Names the first figure of a day that differs from the sum of its rows.
fn usage_difference(stated: &UsageDay, summed: &UsageDay) -> ReceiptDifference {
    let figures = |of: &UsageDay| {
        [
            ("requests", of.requests.to_string()),
            ("credits", of.credits.to_string()),
            ("tokens", of.tokens.to_string()),
            ("cost_nano", of.cost_nano.to_string()),
            ("unpriced_requests", of.unpriced_requests.to_string()),
        ]
    };
    let of = stated.model.as_ref().map_or_else(String::new, |model| format!(" of the model {model}"));
    let differing = figures(stated).into_iter().zip(figures(summed)).find(|(stated, summed)| stated != summed);
    let ((name, stated_figure), (_, summed_figure)) = differing.unwrap_or_default();
    ReceiptDifference { place: format!("{name}{of} on {}", stated.day), stated: stated_figure, computed: summed_figure }
}
