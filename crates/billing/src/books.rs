//! Changes of subscriptions, invoices and payments, each in one transaction with its postings, its line of the audit
//! log and the plan of its user.
//!
//! Every change begins with [`Store::begin_revision`], whose lock serialises all of them: no number is given twice, and no
//! payment counts twice.

mod announcing;
mod cancelling;
mod changing;
mod crediting;
mod customer_profile;
mod error;
mod finance;
mod invoicing;
mod live_books;
mod mailing;
mod payment_money;
mod payments;
mod receipt_source;
mod receipts;
mod refunding;
mod shadow;
mod stored_state;
mod subscribing;
mod topping_up;
mod transition;
mod webhooks;

use std::sync::Arc;

use access::Day;
use ledger::billing::BooksTransaction;
use ledger::billing::StoredPlanVersion;
use store::Store;
use uuid::Uuid;

use crate::midtrans::MidtransClient;
use crate::prices::PriceBook;
use crate::settings::BillingSettings;
use crate::signoff_roles::SignoffRoles;

pub use cancelling::CancelAt;
pub use changing::ChangePreview;
pub use customer_profile::BillingProfileChange;
pub use error::BillingError;
pub use finance::{CreditedLine, NewCreditNote};
pub use invoicing::InvoiceSubject;
pub use live_books::LiveBooks;
pub use payments::{BegunPayment, PaymentOutcome, instructions};
pub use receipt_source::{ReceiptSource, WrittenDay};
pub use receipts::{RECEIPTS, ReceiptListing};
pub use refunding::{NewRefund, RefundWay};
pub use shadow::{ShadowBill, ShadowBills, ShadowDraft};
pub(crate) use stored_state::terms;
pub use subscribing::{BegunSubscription, SubscriptionSummary};
pub use webhooks::WebhookChange;

/// The books of billing: the store, the settings, and the payment provider. Clones share them.
#[derive(Debug, Clone)]
pub struct Books {
    store: Store,
    settings: Arc<BillingSettings>,
    provider: Option<Arc<MidtransClient>>,
    prices: PriceBook,
    signoff_roles: SignoffRoles,
}

impl Books {
    /// Returns the books of a store. Without a provider, customers cannot pay.
    #[must_use]
    pub fn new(store: Store, settings: BillingSettings, provider: Option<Arc<MidtransClient>>) -> Self {
        Self {
            store,
            settings: Arc::new(settings),
            provider,
            prices: PriceBook::default(),
            signoff_roles: SignoffRoles::default(),
        }
    }

    /// Returns the books with the prices of LLM calls, whose rates receipts contain.
    #[must_use]
    pub fn with_prices(self, prices: PriceBook) -> Self {
        Self { prices, ..self }
    }

    /// Returns the books with the roles that sign off days.
    #[must_use]
    pub fn with_signoff_roles(self, signoff_roles: SignoffRoles) -> Self {
        Self { signoff_roles, ..self }
    }

    /// Returns the configured roles that sign off days.
    pub(crate) fn signoff_roles(&self) -> Vec<String> {
        self.signoff_roles.configured()
    }

    /// Returns the store of the books.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the settings of billing.
    #[must_use]
    pub fn settings(&self) -> &BillingSettings {
        &self.settings
    }

    /// Returns the payment provider; `None` without an account.
    #[must_use]
    pub const fn provider(&self) -> Option<&Arc<MidtransClient>> {
        self.provider.as_ref()
    }

    fn today(&self) -> Day {
        self.store.clock().now().day()
    }

    async fn version(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<StoredPlanVersion, BillingError> {
        let found = ledger::billing::plan_versions::find(tx, id).await?;
        found.ok_or(BillingError::Inconsistent("the version of a plan is missing"))
    }
}
