//! The settings of the books, from the configuration.

use access::Day;
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::rules::tax::{Fraction, TaxRule};
use billing::{BillingSettings, InvoiceReview};
use config::snapshot::{Billing, BillingReview, Seller, TaxFraction};
use ledger::billing::InvoiceParty;

/// Returns the settings of the books. `has_mail`: whether a server takes mails.
#[must_use]
pub fn billing_settings(of: &Billing, has_mail: bool) -> BillingSettings {
    let fraction = |of: TaxFraction| Fraction { numerator: of.numerator, denominator: of.denominator };
    let rate = |(from, micro_idr): &(Day, u64)| ExchangeRate { from: *from, micro_idr: *micro_idr };
    let Seller { name, address, tax_number, email } = of.seller.clone();
    BillingSettings {
        number: of.number.clone(),
        zone: of.zone,
        close_after: of.close_after,
        review: match of.review {
            BillingReview::None => InvoiceReview::None,
            BillingReview::Finance => InvoiceReview::Finance,
            BillingReview::Signoff => InvoiceReview::Signoff,
        },
        due: of.due,
        grace: of.grace,
        last: of.last,
        fallback_plan: of.fallback_plan.clone(),
        seller: InvoiceParty { name, address, tax_number, email },
        tax: of.tax.as_ref().map(|tax| TaxRule {
            name: tax.name.clone(),
            rate: fraction(tax.rate),
            base: fraction(tax.base),
            from: tax.from,
        }),
        has_mail,
        exchange: ExchangeRates::new(of.exchange.iter().map(rate).collect()),
    }
}
