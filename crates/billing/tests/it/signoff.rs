//! Invoices that wait until the days of their period are signed off in insights.

use access::{BillingInterval, Day, PlanPrice, UserId};
use billing::books::CancelAt;
use billing::close::CloseCounts;
use billing::{BillingError, BillingSettings, Books, InvoiceReview};
use insights::review::ReviewState;
use ledger::billing::StoredInvoice;
use ledger::{Ledger, NewDecision};
use store::Actor;

use crate::shop::{Shop, charged, day, price, settings};
use crate::traffic::Traffic;

const ROLES: [&str; 2] = ["team_lead", "finance"];

/// A shop that waits for sign-offs, and the people who sign.
struct SigningShop {
    shop: Shop,
    people: [UserId; 2],
}

impl SigningShop {
    async fn open(on: &str) -> Self {
        let mut shop = Shop::open(on).await;
        shop.sell_at(charged(price(150_000, 0))).await;
        shop.books = books(&shop);
        let people = [shop.user("lead").await, shop.user("cfo").await];
        Self { shop, people }
    }

    /// Approves days for the first `roles` roles.
    async fn approve(&self, days: impl IntoIterator<Item = Day>, roles: usize) {
        let ledger = Ledger::new(self.shop.store().clone());
        for day in days {
            let figures_version = ledger.figures_version(day).await.unwrap();
            for (role, user) in ROLES.into_iter().zip(self.people).take(roles) {
                let scope = "all";
                let figures = "{}";
                let new =
                    NewDecision { day, scope, role, user, approve: true, comment: None, figures_version, figures };
                ledger.decide(&Actor::COMMAND, new).await.unwrap();
            }
        }
    }

    async fn close(&self) -> CloseCounts {
        self.shop.books.close_periods(None).await.unwrap()
    }

    async fn newest(&self, user: UserId) -> StoredInvoice {
        self.shop.invoices_of(user).await.pop().unwrap()
    }

    /// The days that the newest invoice of a user waits for.
    async fn unsigned(&self, user: UserId) -> Vec<(Day, ReviewState)> {
        let invoice = self.newest(user).await;
        let mut unsigned = self.shop.books.unsigned_days(&[invoice]).await.unwrap();
        unsigned.drain().flat_map(|(_, days)| days).map(|of| (of.day, of.state)).collect()
    }
}

fn books(shop: &Shop) -> Books {
    Books::new(shop.store().clone(), BillingSettings { review: InvoiceReview::Signoff, ..settings() }, None)
}

fn days(first: &str, last: &str) -> impl Iterator<Item = Day> {
    (day(first).0..=day(last).0).map(Day)
}

#[tokio::test]
async fn an_invoice_opens_by_itself_when_the_last_day_of_its_period_is_signed_off() {
    let mut of = SigningShop::open("2026-11-01").await;
    let ada = of.shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&of.shop, ada).await;
    traffic.count(&of.shop, day("2026-11-10"), 5).await;
    of.shop.move_to("2026-12-01");
    let counts = of.close().await;
    assert_eq!((counts.made, counts.closed, counts.signed, counts.unsigned), (1, 1, 0, 1));
    assert_eq!(of.newest(ada).await.state.as_str(), "review");
    assert_eq!(of.unsigned(ada).await.len(), 30);
    let late = day("2026-11-15");
    of.approve(days("2026-11-01", "2026-11-30").filter(|day| *day != late), 2).await;
    assert_eq!(of.unsigned(ada).await, [(late, ReviewState::Ready)]);
    of.approve([late], 1).await;
    assert_eq!(of.unsigned(ada).await, [(late, ReviewState::PartlyApproved)]);
    let refused = of.shop.books.approve_invoice(&Actor::SYSTEM, of.newest(ada).await.id).await;
    assert!(matches!(refused, Err(BillingError::Conflict(text)) if text.contains("unsigned_days")), "{refused:?}");
    // Another process continues the wait.
    of.shop.books = books(&of.shop);
    assert_eq!((of.close().await.unsigned, of.newest(ada).await.state.as_str()), (1, "review"));
    let finance = NewDecision {
        day: late,
        scope: "all",
        role: "finance",
        user: of.people[1],
        approve: true,
        comment: None,
        figures_version: 0,
        figures: "{}",
    };
    Ledger::new(of.shop.store().clone()).decide(&Actor::COMMAND, finance).await.unwrap();
    let preview = of.shop.books.preview_close(None).await.unwrap();
    assert_eq!((preview.signed, of.newest(ada).await.state.as_str()), (1, "review"), "a dry run opens nothing");
    // Several nodes close at once.
    let [one, two, three] = [(); 3].map(|()| books(&of.shop));
    let counts = tokio::join!(one.close_periods(None), two.close_periods(None), three.close_periods(None));
    let counts = [counts.0, counts.1, counts.2].map(Result::unwrap);
    assert_eq!(counts.iter().map(|counts| counts.signed).sum::<usize>(), 1, "{counts:?}");
    assert!(counts.iter().all(|counts| counts.failed == 0), "{counts:?}");
    let invoice = of.newest(ada).await;
    assert_eq!((invoice.state.as_str(), invoice.total), ("open", 150_500));
    assert_eq!(invoice.number.as_deref(), Some("INV-2026-000002"));
    assert_eq!(invoice.due_at.map(|at| at.day()), Some(day("2026-12-08")), "the time to pay begins with the number");
    assert_eq!(of.close().await, CloseCounts::default());
    of.shop.agrees().await;
}

#[tokio::test]
async fn usage_after_the_sign_off_reopens_its_day_and_is_billed_when_that_is_signed_off_again() {
    let of = SigningShop::open("2026-11-01").await;
    let ada = of.shop.subscriber("ada", "pro").await;
    let mut traffic = Traffic::start(&of.shop, ada).await;
    traffic.count(&of.shop, day("2026-11-03"), 1).await;
    of.shop.move_to("2026-12-01");
    of.close().await;
    let november = || days("2026-11-01", "2026-11-30");
    let late = day("2026-11-10");
    of.approve(november().filter(|day| *day != day_before(late)), 2).await;
    // It arrives before the invoice is opened: the day must be signed off again.
    traffic.count(&of.shop, late, 3).await;
    of.approve([day_before(late)], 2).await;
    assert_eq!(of.unsigned(ada).await, [(late, ReviewState::Reopened)]);
    of.approve([late], 2).await;
    assert_eq!(of.close().await.signed, 1);
    let first = of.newest(ada).await;
    assert_eq!((first.state.as_str(), first.total), ("open", 150_100), "the invoice stays as it was made");
    // It arrives after the invoice was opened, which does not change.
    traffic.count(&of.shop, late, 2).await;
    assert_eq!(of.close().await, CloseCounts::default());
    assert_eq!(of.newest(ada).await, first);
    of.shop.move_to("2027-01-01");
    of.close().await;
    of.approve(days("2026-12-01", "2026-12-31"), 2).await;
    assert_eq!(of.close().await.unsigned, 1);
    assert_eq!(of.unsigned(ada).await, [(late, ReviewState::Reopened)]);
    of.approve([late], 2).await;
    assert_eq!(of.close().await.signed, 1);
    let next = of.newest(ada).await;
    assert_eq!((next.state.as_str(), next.total), ("open", 150_500), "five late requests are charged");
    of.shop.agrees().await;
}

fn day_before(day: Day) -> Day {
    Day(day.0 - 1)
}

#[tokio::test]
async fn an_invoice_without_charged_usage_waits_for_no_day() {
    let of = SigningShop::open("2026-11-01").await;
    let ada = of.shop.user("ada").await;
    of.shop.subscribe(ada, "trial").await;
    let idle = of.shop.subscriber("eve", "pro").await;
    let flat = of.shop.subscriber("max", "business").await;
    Traffic::start(&of.shop, flat).await.count(&of.shop, day("2026-11-10"), 5).await;
    of.shop.move_to("2026-11-15");
    let counts = of.close().await;
    assert_eq!((counts.made, counts.unsigned), (1, 0));
    assert_eq!(of.newest(ada).await.state.as_str(), "open", "a trial has no charged usage");
    of.shop.move_to("2026-12-01");
    let counts = of.close().await;
    assert_eq!((counts.made, counts.unsigned), (2, 0));
    assert_eq!(of.newest(idle).await.state.as_str(), "open", "no usage");
    assert_eq!(of.newest(flat).await.state.as_str(), "open", "the plan does not charge its usage");
}

#[tokio::test]
async fn the_days_of_a_year_that_a_month_replaced_are_signed_off_before_their_usage_is_charged() {
    let of = SigningShop::open("2026-01-01").await;
    let year = PlanPrice { interval: BillingInterval::Year, ..price(1_200_000, 0) };
    of.shop.sell_at(charged(year)).await;
    let ada = of.shop.subscriber("ada", "pro").await;
    let used = day("2026-01-03");
    Traffic::start(&of.shop, ada).await.count(&of.shop, used, 5).await;
    of.shop.move_to("2026-03-10");
    let change = of.shop.books.change(&Actor::COMMAND, ada, "business").await.unwrap().unwrap();
    of.shop.pay(change).await;
    of.shop.move_to("2026-04-11");
    assert_eq!(of.close().await.unsigned, 1);
    of.approve(days("2026-01-01", "2026-04-09").filter(|day| *day != used), 2).await;
    assert_eq!((of.close().await.signed, of.unsigned(ada).await), (0, vec![(used, ReviewState::Ready)]));
    of.approve([used], 2).await;
    assert_eq!(of.close().await.signed, 1);
    let invoice = of.newest(ada).await;
    assert_eq!((invoice.state.as_str(), invoice.total), ("open", 1_500_500));
    of.shop.agrees().await;
}

#[tokio::test]
async fn the_days_of_a_period_that_a_cancellation_closes_are_signed_off_too() {
    let of = SigningShop::open("2026-11-01").await;
    let ada = of.shop.subscriber("ada", "pro").await;
    Traffic::start(&of.shop, ada).await.count(&of.shop, day("2026-11-10"), 5).await;
    // November has ended, and is not closed yet.
    of.shop.move_to("2026-12-01");
    of.shop.books.cancel(&Actor::COMMAND, ada, CancelAt::Now).await.unwrap();
    of.shop.move_to("2026-12-02");
    assert_eq!(of.close().await.unsigned, 1);
    of.approve([day("2026-12-01")], 2).await;
    assert_eq!((of.close().await.signed, of.unsigned(ada).await.len()), (0, 30));
    of.approve(days("2026-11-01", "2026-11-30"), 2).await;
    assert_eq!(of.close().await.signed, 1);
    let invoice = of.newest(ada).await;
    assert_eq!((invoice.state.as_str(), invoice.total), ("open", 500));
    of.shop.agrees().await;
}

#[tokio::test]
async fn a_cancellation_costs_the_same_if_the_invoice_of_the_period_waits() {
    for review in [InvoiceReview::None, InvoiceReview::Finance, InvoiceReview::Signoff] {
        let mut of = SigningShop::open("2026-11-01").await;
        of.shop.books = Books::new(of.shop.store().clone(), BillingSettings { review, ..settings() }, None);
        let ada = of.shop.subscriber("ada", "pro").await;
        Traffic::start(&of.shop, ada).await.count(&of.shop, day("2026-11-10"), 5).await;
        of.shop.move_to("2026-12-01");
        of.close().await;
        let invoice = of.newest(ada).await.id;
        of.shop.move_to("2026-12-03");
        of.shop.books.cancel(&Actor::COMMAND, ada, CancelAt::Now).await.unwrap();
        of.approve(days("2026-11-01", "2026-11-30"), 2).await;
        of.close().await;
        if review == InvoiceReview::Finance {
            of.shop.books.approve_invoice(&Actor::SYSTEM, invoice).await.unwrap();
        }
        // 28 of the 31 days of December are not used.
        let opened = of.shop.invoice(invoice).await;
        assert_eq!((opened.state.as_str(), opened.total, opened.remaining), ("open", 150_500, 15_016), "{review:?}");
        assert_eq!(of.newest(ada).await.kind.as_str(), "credit_note", "{review:?}");
        of.shop.agrees().await;
    }
}

#[tokio::test]
async fn invoices_that_another_review_left_are_counted() {
    let mut of = SigningShop::open("2026-11-01").await;
    let ada = of.shop.subscriber("ada", "pro").await;
    Traffic::start(&of.shop, ada).await.count(&of.shop, day("2026-11-10"), 5).await;
    of.shop.move_to("2026-12-01");
    let counts = of.close().await;
    assert_eq!((counts.unsigned, counts.held), (1, 0));
    for review in [InvoiceReview::None, InvoiceReview::Finance] {
        of.shop.books = Books::new(of.shop.store().clone(), BillingSettings { review, ..settings() }, None);
        let counts = of.close().await;
        let since = counts.review_since.map(|at| at.day());
        assert_eq!((counts.unsigned, counts.held, since), (0, 1, Some(day("2026-12-01"))), "{review:?}");
    }
}
