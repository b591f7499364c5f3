//! The close of 1,000 subscribers: by one node, twice, killed half-way, and by three nodes at once.

use std::time::Duration;

use access::UserId;
use billing::close::CloseCounts;
use ledger::billing::{StoredInvoice, StoredInvoiceLine, invoices};
use tokio::time::Instant;
use uuid::Uuid;

use crate::shop::Shop;
use crate::traffic::execute;

const SUBSCRIBERS: usize = 1_000;

/// A shop whose subscribers' trials have ended.
async fn ended_trials() -> (Shop, Vec<UserId>) {
    let shop = Shop::open("2026-11-01").await;
    let mut users = Vec::new();
    for nth in 0..SUBSCRIBERS {
        let user = shop.user(&format!("user-{nth}")).await;
        shop.subscribe(user, "trial").await;
        users.push(user);
    }
    shop.move_to("2026-11-15");
    (shop, users)
}

/// Returns the only invoice of each user with its lines, without ids and number: those differ from store to store.
async fn made(shop: &Shop, users: &[UserId]) -> Vec<(StoredInvoice, Vec<StoredInvoiceLine>)> {
    let mut made = Vec::new();
    for user in users {
        let [invoice] = shop.invoices_of(*user).await.try_into().unwrap();
        let mut lines = invoices::lines(shop.store(), invoice.id).await.unwrap();
        for line in &mut lines {
            line.plan_version_id = None;
        }
        let user = UserId(Uuid::nil());
        let stored =
            StoredInvoice { id: Uuid::nil(), user, subscription: None, number: None, digest: String::new(), ..invoice };
        made.push((stored, lines));
    }
    made
}

/// Asserts that each number was given once.
async fn numbers_have_no_gap(shop: &Shop, users: &[UserId]) {
    let mut numbers = Vec::new();
    for user in users {
        numbers.extend(shop.invoices_of(*user).await.into_iter().filter_map(|invoice| invoice.number));
    }
    numbers.sort();
    let expected: Vec<String> = (1..=SUBSCRIBERS).map(|number| format!("INV-2026-{number:06}")).collect();
    assert_eq!(numbers, expected, "no number is lost or given twice");
}

#[tokio::test]
async fn a_close_that_is_killed_half_way_is_completed_by_three_nodes() {
    let (whole, users_of_whole) = ended_trials().await;
    let begun = Instant::now();
    assert_eq!(whole.books.close_periods(None).await.unwrap().made, SUBSCRIBERS);
    let took = begun.elapsed();
    println!("{SUBSCRIBERS} subscribers were closed in {} ms", took.as_millis());
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(whole.books.close_periods(None).await.unwrap(), CloseCounts::default(), "a second close");

    let (shop, users) = ended_trials().await;
    let books = shop.books.clone();
    let killed = tokio::spawn(async move { books.close_periods(None).await });
    while shop.invoices_of(users[SUBSCRIBERS / 2]).await.is_empty() {
        tokio::task::yield_now().await;
    }
    killed.abort();
    assert!(killed.await.is_err(), "the node was killed before it closed all periods");
    let [one, two, three] = [shop.books.clone(), shop.books.clone(), shop.books.clone()];
    let counts = tokio::join!(one.close_periods(None), two.close_periods(None), three.close_periods(None));
    let counts = [counts.0, counts.1, counts.2].map(Result::unwrap);
    assert!(counts.iter().all(|counts| counts.failed == 0 && counts.waiting == 0), "{counts:?}");
    assert_eq!(shop.books.close_periods(None).await.unwrap(), CloseCounts::default());
    for (of, users) in [(&whole, &users_of_whole), (&shop, &users)] {
        numbers_have_no_gap(of, users).await;
        of.agrees().await;
    }
    let expected = made(&whole, &users_of_whole).await;
    let found = made(&shop, &users).await;
    assert_eq!(expected[0].0.total, 50_000);
    assert!(expected == found, "an interrupted close makes the same invoices");
}

#[tokio::test]
async fn a_period_that_violates_a_constraint_does_not_stop_the_close_of_others() {
    let shop = Shop::open("2026-12-01").await;
    let mut users = Vec::new();
    // Ids of the same millisecond have any order.
    for name in ["ada", "eve"] {
        users.push(shop.subscriber(name, "pro").await);
        shop.clock.advance(Duration::from_secs(1));
    }
    execute(&shop, include_str!("taken_period.sql"));
    shop.move_to("2027-01-02");
    let counts = shop.books.close_periods(None).await.unwrap();
    assert_eq!((counts.made, counts.closed, counts.failed), (1, 1, 1), "{counts:?}");
    let invoices = (shop.invoices_of(users[0]).await.len(), shop.invoices_of(users[1]).await.len());
    assert_eq!(invoices, (1, 2));
}
