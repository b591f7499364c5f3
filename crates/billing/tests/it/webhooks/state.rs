//! The test event, and the state of webhooks that accept nothing.

use billing::BillingError;
use ledger::billing::webhook_deliveries as deliveries;

use super::{Announcing, BY, HOUR, Receiver};

#[tokio::test]
async fn a_test_event_is_attempted_once_and_disables_nothing() {
    let mut all = Announcing::open().await;
    let mut receiver = Receiver::start(500).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    all.shop.books.test_webhook(BY, webhook).await.unwrap();
    let again = all.shop.books.test_webhook(BY, webhook).await;
    assert!(matches!(again, Err(BillingError::Conflict(_))), "{again:?}");
    all.run().await;
    let failed = all.deliveries(webhook).await.remove(0);
    assert_eq!((failed.state.as_str(), failed.attempts, failed.status), ("failed", 1, Some(500)));
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(all.endpoint(webhook).await.disabled_at, None);

    receiver.responds(204);
    all.shop.books.test_webhook(BY, webhook).await.unwrap();
    all.run().await;
    let accepted = all.deliveries(webhook).await.remove(1);
    assert_eq!((accepted.state.as_str(), accepted.event.as_str()), ("delivered", "webhook.test"));
    assert_eq!(all.actions().await, ["webhook.test", "webhook.test", "webhook.create"]);
}

#[tokio::test]
async fn deliveries_that_are_repeated_are_counted_until_they_are_accepted() {
    let mut all = Announcing::open().await;
    let receiver = Receiver::start(503).await;
    let webhook = all.webhook(receiver.address, &["invoice.opened"]).await;
    let ada = all.shop.user("ada").await;
    all.shop.subscribe(ada, "pro").await;
    let store = all.shop.store().clone();
    assert_eq!(deliveries::repeated(&store).await.unwrap(), []);
    all.run().await;
    let since = all.deliveries(webhook).await.remove(0).queued_at;
    let repeated = deliveries::RepeatedDeliveries { endpoint: webhook, count: 1, since };
    assert_eq!(deliveries::repeated(&store).await.unwrap(), [repeated]);
    receiver.responds(200);
    all.shop.clock.advance(HOUR);
    all.run().await;
    assert_eq!(deliveries::repeated(&store).await.unwrap(), []);
}
