//! A sample invoice: what customers would receive under settings of billing. It is not stored and takes no number.

use access::{Currency, Timestamp, UnitPrice, UserId};
use ledger::billing::{InvoiceParties, InvoiceParty, StoredInvoice, StoredInvoiceLine};
use uuid::Uuid;

use super::InvoiceDocument;
use crate::language::Language;
use crate::rules::invoice::{InvoiceDraft, InvoiceLine, LineKind};
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::period::BillingPeriod;
use crate::rules::rounding::AmountOverflow;
use crate::settings::BillingSettings;
use crate::stored_line::stored_line;

/// The price of the sample's plan, in rupiah.
const PLAN_IDR: i64 = 150_000;
/// The credits of the sample's usage.
const CREDITS: u64 = 120_000;
/// The price of a credit: half a rupiah, in pico units.
const CREDIT_PICO: i64 = 500_000_000_000;
/// The amount of the usage, in rupiah.
const USAGE_IDR: i64 = 60_000;
/// The number that no invoice has: series begin at 1.
const NO_NUMBER: i64 = 0;

/// A sample invoice of a day.
#[derive(Debug)]
pub struct SampleInvoice {
    invoice: StoredInvoice,
    lines: Vec<StoredInvoiceLine>,
    parties: InvoiceParties,
    settings: BillingSettings,
    language: Language,
}

impl SampleInvoice {
    /// Returns the sample of the moment `at`: a month of a plan in advance, and usage. Its state is that of a draft, and its
    /// number is number 0 of its series.
    ///
    /// # Errors
    /// [`AmountOverflow`] never occurs with the amounts of the sample.
    pub fn new(settings: BillingSettings, at: Timestamp, language: Language) -> Result<Self, AmountOverflow> {
        let days = BillingPeriod { first_day: at.day(), last_day: at.day() };
        let line = |kind, text: &str| InvoiceLine {
            kind,
            text: text.to_owned(),
            quantity: 1,
            unit: "period".to_owned(),
            unit_price: None,
            amount: PLAN_IDR,
            plan_version: None,
            days,
        };
        let plan = UnitPrice { pico: PLAN_IDR * 1_000_000_000_000, currency: Currency::Idr };
        let credit = UnitPrice { pico: CREDIT_PICO, currency: Currency::Idr };
        let lines = vec![
            InvoiceLine { unit_price: Some(plan), ..line(LineKind::Plan, "pro") },
            InvoiceLine {
                quantity: CREDITS,
                unit: "credits".to_owned(),
                unit_price: Some(credit),
                amount: USAGE_IDR,
                ..line(LineKind::Usage, language.pick("Credits", "Kredit"))
            },
        ];
        let draft = InvoiceDraft::from_lines(lines, settings.tax.as_ref(), at.day())?;
        let series = settings.number.series(at.day().civil().year);
        let tax = if draft.tax.base == 0 { None } else { settings.tax.as_ref() };
        let invoice = StoredInvoice {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            subscription: None,
            kind: InvoiceKind::Period,
            of_invoice: None,
            target_version: None,
            first_day: days.first_day,
            last_day: days.last_day,
            state: InvoiceState::Draft,
            number: Some(settings.number.number(&series, NO_NUMBER)),
            currency: Currency::Idr,
            subtotal: draft.subtotal,
            tax_name: tax.map(|tax| tax.name.clone()).unwrap_or_default(),
            tax_rate: tax.map(|tax| format!("{}/{}", tax.rate.numerator, tax.rate.denominator)).unwrap_or_default(),
            tax_base: draft.tax.base,
            tax: draft.tax.amount,
            total: draft.total,
            remaining: draft.total,
            issued_at: Some(at),
            due_at: Some(at.after(settings.due)),
            digest: String::new(),
            tax_invoice_number: String::new(),
            reason: String::new(),
            usage_days: None,
            created_at: at,
        };
        let customer = InvoiceParty {
            name: language.pick("Sample customer", "Contoh pelanggan").to_owned(),
            email: "customer@example.com".to_owned(),
            ..InvoiceParty::default()
        };
        let parties = InvoiceParties { seller: settings.seller.clone(), customer };
        let lines = (1..).zip(&draft.lines).map(|(no, line)| stored_line(no, line)).collect();
        Ok(Self { invoice, lines, parties, settings, language })
    }

    /// Returns the sample as a document.
    #[must_use]
    pub const fn document(&self) -> InvoiceDocument<'_> {
        InvoiceDocument {
            invoice: &self.invoice,
            lines: self.lines.as_slice(),
            received: &[],
            parties: &self.parties,
            corrected: None,
            language: self.language,
            zone: self.settings.zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use access::{Day, SeriesForm, TimeZone};

    use super::*;
    use crate::rules::exchange::ExchangeRates;
    use crate::rules::tax::{Fraction, TaxRule};
    use crate::settings::InvoiceReview;

    #[test]
    fn a_sample_has_the_seller_the_tax_and_the_form_of_numbers() {
        let from = Day::parse("2026-12-02").unwrap();
        let tax = TaxRule {
            name: "PPN".to_owned(),
            rate: Fraction { numerator: 12, denominator: 100 },
            base: Fraction { numerator: 11, denominator: 12 },
            from,
        };
        let settings = BillingSettings {
            number: SeriesForm::parse("TG/{year}/{seq:4}").unwrap(),
            zone: TimeZone::UTC,
            close_after: Duration::ZERO,
            review: InvoiceReview::None,
            due: Duration::from_hours(168),
            grace: Duration::ZERO,
            last: Duration::ZERO,
            fallback_plan: "starter".to_owned(),
            seller: InvoiceParty { name: "PT <Contoh>".to_owned(), ..InvoiceParty::default() },
            tax: Some(tax),
            has_mail: false,
            exchange: ExchangeRates::default(),
        };
        let page =
            |day: Day, language| SampleInvoice::new(settings.clone(), day.start(), language).unwrap().document().html();
        let english = page(from, Language::English);
        for text in ["TG/2026/0000", "PT &lt;Contoh&gt;", "Draft", "PPN 12%", "IDR 23,100", "IDR 233,100"] {
            assert!(english.contains(text), "{text}: {english}");
        }
        let earlier = page(Day(from.0 - 1), Language::Indonesian);
        assert!(earlier.contains("Rp210.000") && !earlier.contains("PPN"), "the tax begins a day later: {earlier}");
    }
}
