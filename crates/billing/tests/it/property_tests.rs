//! Random orders of changes: after each one, entries, wallets, invoices and lines agree; in the end no number is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use access::{Day, UserId};
use billing::books::{CancelAt, CreditedLine, NewCreditNote, NewRefund, RefundWay};
use billing::rules::tax::{Fraction, TaxRule};
use billing::{BillingError, BillingSettings, Books, InvoiceReview};
use ledger::billing::{StoredInvoice, payments};
use store::Actor;
use uuid::Uuid;

use crate::clock::charged;
use crate::shop::{Shop, day, settings};
use crate::traffic::Traffic;

const BY: &Actor = &Actor::COMMAND;
const SEEDS: u64 = 8;
const STEPS: u32 = 50;
const PLANS: [&str; 4] = ["pro", "business", "trial", "free"];
const STATUSES: [&str; 7] = ["settlement", "settlement", "pending", "expire", "deny", "capture", "chargeback"];
const RETURNS: [&str; 3] = ["partial_refund", "refund", "partial_chargeback"];

/// A change of the books, or of the clock and the usage.
#[derive(Debug, Clone, Copy)]
enum Step {
    Subscribe,
    Change,
    Cancel,
    Resume,
    Begin,
    Report,
    Return,
    TopUp,
    PayFromWallet,
    Void,
    WriteOff,
    Credit,
    Refund,
    Approve,
    Use,
    Advance,
    Close,
    Dun,
}

/// Steps that are listed more than once are more frequent.
const CHANGES: [Step; 26] = [
    Step::Subscribe,
    Step::Subscribe,
    Step::Change,
    Step::Cancel,
    Step::Resume,
    Step::Begin,
    Step::Begin,
    Step::Begin,
    Step::Report,
    Step::Report,
    Step::Report,
    Step::Return,
    Step::TopUp,
    Step::PayFromWallet,
    Step::Void,
    Step::WriteOff,
    Step::Credit,
    Step::Credit,
    Step::Refund,
    Step::Approve,
    Step::Use,
    Step::Use,
    Step::Advance,
    Step::Advance,
    Step::Close,
    Step::Dun,
];

/// A sequence of numbers that depends on its seed only (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Returns an amount from 1 to `most`.
    fn amount(&mut self, most: i64) -> i64 {
        1 + i64::try_from(self.below(most.unsigned_abs().max(1))).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(of.len().max(1) as u64)).unwrap();
        of.get(at).cloned()
    }
}

struct Walk {
    shop: Shop,
    traffic: Traffic,
    users: [UserId; 3],
    payments: Vec<Uuid>,
    numbers: Numbers,
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let mut shop = Shop::open("2026-10-31").await;
        shop.sell_at(charged()).await;
        let tax = TaxRule {
            name: "PPN".to_owned(),
            rate: Fraction { numerator: 12, denominator: 100 },
            base: Fraction { numerator: 11, denominator: 12 },
            from: day("2026-01-01"),
        };
        let tax = (!seed.is_multiple_of(3)).then_some(tax);
        let review = if seed.is_multiple_of(2) { InvoiceReview::Finance } else { InvoiceReview::None };
        let settings = BillingSettings { review, tax, ..settings() };
        shop.books = Books::new(shop.store().clone(), settings, None);
        let users = [shop.subscriber("ada", "pro").await, shop.user("bob").await, shop.user("eve").await];
        let traffic = Traffic::start(&shop, users[0]).await;
        Self { shop, traffic, users, payments: Vec::new(), numbers: Numbers(seed) }
    }

    /// Returns any invoice of a user, if the user has one.
    async fn invoice(&mut self, user: UserId) -> Option<StoredInvoice> {
        let all = self.shop.invoices_of(user).await;
        self.numbers.one(&all)
    }

    async fn take(&mut self, step: Step) -> Result<(), BillingError> {
        let user = self.numbers.one(&self.users).unwrap();
        let plan = self.numbers.one(&PLANS).unwrap();
        let books = self.shop.books.clone();
        match step {
            Step::Subscribe => books.subscribe(BY, user, plan).await.map(|_| ()),
            Step::Change => books.change(BY, user, plan).await.map(|_| ()),
            Step::Cancel => {
                let at = self.numbers.one(&[CancelAt::Now, CancelAt::End]).unwrap();
                books.cancel(BY, user, at).await.map(|_| ())
            }
            Step::Resume => books.resume(BY, user).await,
            Step::TopUp => self.top_up(user).await,
            Step::Report | Step::Return => self.report(step).await,
            Step::Use => {
                // Some usage is recorded late.
                let back = u32::try_from(self.numbers.below(40)).unwrap();
                let day = Day(self.shop.clock.now().day().0 - back);
                let requests = 1 + self.numbers.below(9);
                self.traffic.count(&self.shop, day, requests).await;
                Ok(())
            }
            Step::Advance => {
                let days = 5 + self.numbers.below(20);
                self.shop.clock.advance(Duration::from_hours(24 * days));
                Ok(())
            }
            Step::Close => {
                let counts = books.close_all(BY, None).await?;
                assert_eq!((counts.failed, counts.waiting), (0, 0), "{counts:?}");
                Ok(())
            }
            Step::Dun => books.dun().await,
            Step::Begin
            | Step::PayFromWallet
            | Step::Void
            | Step::WriteOff
            | Step::Credit
            | Step::Refund
            | Step::Approve => match self.invoice(user).await {
                Some(invoice) => self.correct(step, &invoice).await,
                None => Ok(()),
            },
        }
    }

    /// Begins a payment of an invoice, or applies what finance does with it.
    async fn correct(&mut self, step: Step, of: &StoredInvoice) -> Result<(), BillingError> {
        let books = self.shop.books.clone();
        let id = of.id;
        match step {
            Step::Begin if of.number.is_some() && of.remaining > 0 => {
                let method = self.numbers.one(&["qris", "bca", "permata", "card"]).unwrap();
                let payment = self.shop.begin(of, method, of.remaining).await;
                self.payments.push(payment);
                Ok(())
            }
            Step::PayFromWallet => books.pay_from_wallet(BY, of.user, id).await.map(|_| ()),
            Step::Void => books.void_invoice(BY, id).await,
            Step::WriteOff => books.write_off_invoice(BY, id).await,
            Step::Credit => {
                let line = CreditedLine { no: 1, amount: Some(self.numbers.amount(of.subtotal)) };
                books.credit_invoice(BY, id, NewCreditNote::new(&[line], "outage")).await.map(|_| ())
            }
            Step::Refund => {
                let amount = self.numbers.amount(100_000);
                let way = RefundWay::Hand;
                let new = NewRefund { invoice: id, amount, reason: "outage", way, reference: "TRX", expected: None };
                books.refund(BY, new).await.map(|_| ())
            }
            Step::Approve => books.approve_invoice(BY, id).await,
            Step::Begin
            | Step::Subscribe
            | Step::Change
            | Step::Cancel
            | Step::Resume
            | Step::Report
            | Step::Return
            | Step::TopUp
            | Step::Use
            | Step::Advance
            | Step::Close
            | Step::Dun => Ok(()),
        }
    }

    /// Reports a status of any payment, in any order.
    async fn report(&mut self, step: Step) -> Result<(), BillingError> {
        let Some(payment) = self.numbers.one(&self.payments) else { return Ok(()) };
        if matches!(step, Step::Report) {
            let status = self.numbers.one(&STATUSES).unwrap();
            return self.shop.try_report(payment, status).await.map(|_| ());
        }
        let amount = payments::present(self.shop.store(), payment).await.unwrap().unwrap().amount;
        let status = self.numbers.one(&RETURNS).unwrap();
        let refunded = self.numbers.amount(amount);
        self.shop.try_returned(payment, status, refunded).await.map(|_| ())
    }

    /// Adds money to the wallet of a user.
    async fn top_up(&mut self, user: UserId) -> Result<(), BillingError> {
        let amount = self.numbers.amount(200_000);
        let id = self.shop.begin_top_up(user, amount).await;
        self.payments.push(id);
        self.shop.try_report(id, "settlement").await.map(|_| ())
    }

    /// Returns the numbers of all documents by their series.
    async fn series(&self) -> BTreeMap<String, Vec<u64>> {
        let mut series: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for user in self.users {
            for number in self.shop.invoices_of(user).await.into_iter().filter_map(|invoice| invoice.number) {
                let (name, no) = number.rsplit_once('-').unwrap();
                series.entry(name.to_owned()).or_default().push(no.parse().unwrap());
            }
        }
        series
    }
}

#[tokio::test]
async fn no_order_of_changes_unbalances_the_books_or_loses_a_number() {
    for seed in 0..SEEDS {
        let mut walk = Walk::begin(seed).await;
        for nth in 0..STEPS {
            let step = walk.numbers.one(&CHANGES).unwrap();
            let place = format!("seed {seed}, step {nth}, {step:?}");
            match walk.take(step).await {
                Ok(())
                // The rules refuse a change that does not fit the state.
                | Err(
                    BillingError::AlreadySubscribed
                    | BillingError::NoSubscription
                    | BillingError::NoInvoice
                    | BillingError::Conflict(_)
                    | BillingError::CreditSpent
                    | BillingError::Change(_)
                    | BillingError::Credit(_)
                    | BillingError::Refund(_),
                ) => {}
                Err(error) => panic!("{place}: {error}"),
            }
            for compared in ledger::billing::postings::audit(walk.shop.store(), 10).await.unwrap() {
                assert!(compared.found.is_empty(), "{place}: {compared:?}");
            }
            for user in walk.users {
                assert!(walk.shop.wallet_of(user).await >= 0, "{place}");
            }
        }
        for (name, mut numbers) in walk.series().await {
            numbers.sort_unstable();
            let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
            assert_eq!(numbers, expected, "seed {seed}: {name}");
        }
    }
}
