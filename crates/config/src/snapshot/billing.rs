//! Billing and its payment provider: the sections `billing` and `midtrans`.

use std::path::PathBuf;
use std::time::Duration;

use access::{Day, Secret, SeriesForm, TimeZone};

use super::Origin;

/// The values of the section `billing`.
#[derive(Debug, Clone)]
pub struct Billing {
    /// Whether users can subscribe, and invoices are made.
    pub is_enabled: bool,
    /// Whether the stub of Midtrans takes payments.
    pub is_stub: bool,
    /// The seller on invoices.
    pub seller: Seller,
    /// The form of invoice numbers.
    pub number: SeriesForm,
    /// The zone of printed times.
    pub zone: TimeZone,
    /// Time after a period before its invoice is made.
    pub close_after: Duration,
    /// What the invoice of a period waits for.
    pub review: BillingReview,
    /// Time within which an invoice must be paid.
    pub due: Duration,
    /// Time after that with the whole plan.
    pub grace: Duration,
    /// Time after that with the fallback plan.
    pub last: Duration,
    /// The plan of users whose subscription is pending, limited or cancelled.
    pub fallback_plan: String,
    /// The file with certificates that sign those of receivers of webhooks, in addition to those of Mozilla.
    pub webhooks_ca: Option<PathBuf>,
    /// The tax on every invoice.
    pub tax: Option<BillingTax>,
    /// Millionths of a rupiah per dollar, each from a day on, in ascending order.
    pub exchange: Vec<(Day, u64)>,
}

/// The seller on invoices; each text may be empty.
#[derive(Debug, Clone, Default)]
pub struct Seller {
    /// The name of the seller.
    pub name: String,
    /// The address of the seller.
    pub address: String,
    /// The tax number of the seller.
    pub tax_number: String,
    /// The e-mail address for questions about invoices.
    pub email: String,
}

/// The values of `billing.review`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingReview {
    /// Invoices are opened without a review.
    None,
    /// Finance approves each invoice.
    Finance,
    /// All days of an invoice's period are signed off in insights.
    Signoff,
}

/// The values of the section `billing.tax`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingTax {
    /// The name of the tax.
    pub name: String,
    /// The rate, of the base.
    pub rate: TaxFraction,
    /// The share of the subtotal that is taxed.
    pub base: TaxFraction,
    /// The first day, in UTC.
    pub from: Day,
}

/// A fraction of at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaxFraction {
    /// The number above the line.
    pub numerator: u32,
    /// The number below the line, at least 1.
    pub denominator: u32,
}

/// The values of the section `midtrans`.
#[derive(Debug, Clone)]
pub struct MidtransAccount {
    /// The server key; without one, customers cannot pay.
    pub server_key: Option<Secret>,
    /// The client key, for pages of cards.
    pub client_key: Option<Secret>,
    /// The merchant whose notifications are accepted; empty: any.
    pub merchant_id: String,
    /// The URL of the Core API.
    pub core: Origin,
    /// The URL of the Snap API.
    pub snap: Origin,
    /// The methods that are offered.
    pub methods: Vec<PaymentMethod>,
    /// The time in which a QR code can be paid.
    pub qris_expiry: Duration,
    /// The time in which an account number can be paid.
    pub va_expiry: Duration,
    /// The time in which the page for cards can be used.
    pub card_expiry: Duration,
}

/// A method of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentMethod {
    /// A QR code of QRIS.
    Qris,
    /// An account number of BCA.
    Bca,
    /// An account number of BNI.
    Bni,
    /// An account number of BRI.
    Bri,
    /// An account number of Permata.
    Permata,
    /// An account number of CIMB Niaga.
    Cimb,
    /// A bill of Mandiri.
    Mandiri,
    /// A card, on Snap's page.
    Card,
}

impl PaymentMethod {
    /// All methods, in the order of the pages.
    pub const ALL: [Self; 8] =
        [Self::Qris, Self::Bca, Self::Bni, Self::Bri, Self::Permata, Self::Cimb, Self::Mandiri, Self::Card];
    /// All methods with their names in the configuration.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        ("qris", Self::Qris),
        ("bca", Self::Bca),
        ("bni", Self::Bni),
        ("bri", Self::Bri),
        ("permata", Self::Permata),
        ("cimb", Self::Cimb),
        ("mandiri", Self::Mandiri),
        ("card", Self::Card),
    ];

    /// Returns the name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, method)| *method == self).map_or("qris", |(name, _)| name)
    }
}
