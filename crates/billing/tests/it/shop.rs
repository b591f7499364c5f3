//! A store with plans for sale, users, and a clock that tests move.

use std::time::Duration;

use access::{
    BillingInterval, ChargeMetric, ChargeModel, Clock, Day, Money, Plan, PlanCharge, PlanPrice, SeriesForm, UnitPrice,
    UserId,
};
use billing::books::{NewRefund, PaymentOutcome, RefundWay};
use billing::midtrans::StatusReport;
use billing::rules::exchange::ExchangeRates;
use billing::{BillingError, BillingSettings, Books, InvoiceReview};
use ledger::billing::postings;
use ledger::billing::{InvoiceParty, NewPayment, StoredInvoice, invoices, payments, plan_versions, subscriptions};
use store::{Actor, Email, NewUser, Options, Store, UserRef};
use tempfile::TempDir;
use uuid::Uuid;

/// A store with the plans `free`, `pro`, `trial`, `business`, and `annual`, which is paid by the year.
pub(crate) struct Shop {
    pub(crate) books: Books,
    pub(crate) clock: Clock,
    data: TempDir,
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

pub(crate) fn price(rupiah: i64, trial_days: u32) -> PlanPrice {
    let price = Money::rupiah(rupiah);
    PlanPrice { price, interval: BillingInterval::Month, trial_days, charges: Vec::new() }
}

/// A price with 100 rupiah for each request.
pub(crate) fn charged(mut of: PlanPrice) -> PlanPrice {
    let model = ChargeModel::PerUnit { unit: UnitPrice::parse("100 IDR").unwrap() };
    let name = "Requests".to_owned();
    let models = Vec::new();
    let charge = PlanCharge { name, metric: ChargeMetric::Requests, models, included: 0, model };
    of.charges = vec![charge];
    of
}

pub(crate) fn settings() -> BillingSettings {
    let days = |days: u64| Duration::from_hours(24 * days);
    BillingSettings {
        number: SeriesForm::usual(),
        zone: access::TimeZone::UTC,
        close_after: Duration::from_hours(1),
        review: InvoiceReview::None,
        due: days(7),
        grace: days(7),
        last: days(30),
        fallback_plan: "free".to_owned(),
        seller: InvoiceParty { name: "PT Contoh".to_owned(), ..InvoiceParty::default() },
        tax: None,
        has_mail: true,
        exchange: ExchangeRates::default(),
    }
}

impl Shop {
    /// Opens a new store at noon of a day.
    pub(crate) async fn open(on: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::manual(day(on).start().after(Duration::from_hours(12)));
        crate::migrated::copy_into(data.path()).await;
        let options = Options { url: None, data: data.path(), migrate: true, clock: clock.clone() };
        let store = Store::open(options).await.unwrap();
        store.ensure_plans(&["free", "pro", "trial", "business", "annual"].map(Plan::unlimited)).await.unwrap();
        let shop = Self { books: Books::new(store, settings(), None), clock, data };
        shop.sell(150_000).await;
        shop
    }

    /// The folder of the store.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) fn store(&self) -> &Store {
        self.books.store()
    }

    /// Sells the plans; `pro` costs this amount.
    pub(crate) async fn sell(&self, pro: i64) -> usize {
        self.sell_at(price(pro, 0)).await
    }

    /// Sells the plans; `pro` has this price.
    pub(crate) async fn sell_at(&self, pro: PlanPrice) -> usize {
        let annual = PlanPrice { interval: BillingInterval::Year, ..price(12_000_000, 0) };
        let prices = [
            ("free", price(0, 0)),
            ("pro", pro),
            ("trial", price(50_000, 14)),
            ("business", price(1_500_000, 0)),
            ("annual", annual),
        ];
        let prices = prices.map(|(name, price)| (name.to_owned(), price));
        plan_versions::apply(self.store(), &prices).await.unwrap()
    }

    pub(crate) async fn user(&self, name: &str) -> UserId {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        self.store().create_user(&Actor::COMMAND, NewUser::member(email, name, "free")).await.unwrap().id
    }

    pub(crate) async fn subscribe(&self, user: UserId, plan: &str) -> Option<Uuid> {
        self.books.subscribe(&Actor::COMMAND, user, plan).await.unwrap().invoice
    }

    pub(crate) async fn refund_by_hand(&self, invoice: Uuid, amount: i64) {
        let reason = "outage";
        let reference = "BCA 1";
        let way = RefundWay::Hand;
        let new = NewRefund { invoice, amount, reason, way, reference, expected: None };
        self.books.refund(&Actor::COMMAND, new).await.unwrap();
    }

    pub(crate) async fn invoice(&self, id: Uuid) -> StoredInvoice {
        invoices::present(self.store(), id).await.unwrap().unwrap()
    }

    pub(crate) async fn invoices_of(&self, user: UserId) -> Vec<StoredInvoice> {
        let mut found = invoices::of_user(self.store(), user, None, Uuid::max(), 100).await.unwrap();
        found.reverse();
        found
    }

    /// Subscribes and pays the first invoice.
    pub(crate) async fn subscriber(&self, name: &str, plan: &str) -> UserId {
        let user = self.user(name).await;
        let invoice = self.subscribe(user, plan).await.unwrap();
        self.pay(invoice).await;
        user
    }

    /// A user, the first invoice, and the payment by card that paid it.
    pub(crate) async fn cardholder(&self) -> (UserId, Uuid, Uuid) {
        let user = self.user("ada").await;
        let invoice = self.subscribe(user, "pro").await.unwrap();
        let card = self.begin(&self.invoice(invoice).await, "card", 150_000).await;
        self.report(card, "capture").await;
        (user, invoice, card)
    }

    /// Whether keys of the user are refused.
    pub(crate) async fn is_held(&self, user: UserId) -> bool {
        self.store().find_user(&UserRef::Id(user)).await.unwrap().unwrap().is_held
    }

    pub(crate) async fn plan_of(&self, user: UserId) -> String {
        self.store().find_user(&UserRef::Id(user)).await.unwrap().unwrap().plan.name
    }

    /// The state of the user's subscription; `cancelled` without one.
    pub(crate) async fn state_of(&self, user: UserId) -> String {
        let found = subscriptions::present(self.store(), user).await.unwrap();
        found.map_or_else(|| "cancelled".to_owned(), |subscription| subscription.state.as_str().to_owned())
    }

    pub(crate) async fn wallet_of(&self, user: UserId) -> i64 {
        postings::balance(self.store(), user, access::Currency::Idr).await.unwrap()
    }

    /// Moves the clock to noon of a day.
    pub(crate) fn move_to(&self, text: &str) {
        let noon = day(text).start().after(Duration::from_hours(12));
        let now = self.clock.now();
        assert!(now < noon, "{text} is over");
        self.clock.advance(Duration::from_micros(noon.0 - now.0));
    }

    /// Adds a pending payment of an invoice, as a request of the customer does.
    pub(crate) async fn begin(&self, invoice: &StoredInvoice, method: &str, amount: i64) -> Uuid {
        self.add_payment(invoice.user, Some(invoice.id), method, amount).await
    }

    /// Adds a pending payment into the wallet.
    pub(crate) async fn begin_top_up(&self, user: UserId, amount: i64) -> Uuid {
        self.add_payment(user, None, "permata", amount).await
    }

    async fn add_payment(&self, user: UserId, invoice: Option<Uuid>, method: &str, amount: i64) -> Uuid {
        let id = self.store().new_id();
        let order = format!("TG-{}", id.simple());
        let expires_at = self.clock.now().after(Duration::from_hours(1));
        let new = NewPayment { id, user, invoice, order: &order, method, amount, expires_at };
        let mut transaction = self.store().begin_quiet().await.unwrap();
        payments::add(self.store(), &mut transaction, new).await.unwrap();
        transaction.commit().await.unwrap();
        id
    }

    /// Applies a status of the provider to a payment.
    pub(crate) async fn report(&self, payment: Uuid, status: &str) -> PaymentOutcome {
        self.try_report(payment, status).await.unwrap()
    }

    /// Applies a status of the provider, which may fail.
    pub(crate) async fn try_report(&self, payment: Uuid, status: &str) -> Result<PaymentOutcome, BillingError> {
        self.try_returned(payment, status, 0).await
    }

    /// Applies a status of the provider with the amount that it has returned, which may fail.
    pub(crate) async fn try_returned(
        &self,
        payment: Uuid,
        status: &str,
        refunded: i64,
    ) -> Result<PaymentOutcome, BillingError> {
        let stored = payments::present(self.store(), payment).await.unwrap().unwrap();
        let is_returned = matches!(status, "partial_refund" | "refund" | "partial_chargeback" | "chargeback");
        let is_success_code = is_returned || matches!(status, "settlement" | "capture");
        let report = StatusReport {
            transaction: format!("t-{payment}"),
            order: stored.order,
            status: status.to_owned(),
            fraud: None,
            is_success_code,
            amount: stored.amount,
            currency: "IDR".to_owned(),
            merchant: String::new(),
            refunded,
        };
        self.books.apply(payment, &report).await
    }

    /// Pays the rest of an invoice.
    pub(crate) async fn pay(&self, invoice: Uuid) {
        let invoice = self.invoice(invoice).await;
        let payment = self.begin(&invoice, "bca", invoice.remaining).await;
        self.report(payment, "settlement").await;
    }

    /// Asserts that entries, wallets, invoices and lines agree.
    pub(crate) async fn agrees(&self) {
        for compared in postings::audit(self.store(), 10).await.unwrap() {
            assert!(compared.found.is_empty(), "{compared:?}");
        }
    }
}
