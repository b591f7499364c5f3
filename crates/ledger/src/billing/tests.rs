use std::time::Duration;

use access::{Currency, Day, Timestamp, UserId, UserNo};
use invoicing::rules::invoice_kind::InvoiceKind;
use invoicing::rules::usage::UsageDay;
use store::Store;
use uuid::Uuid;

use super::{CHARGED_PAGE, ChargedDayOf, InvoiceParties, InvoiceParty, NewInvoice, StoredInvoiceDay};
use super::{charged_usage, invoices, parties, receipts};
use crate::fixture::{Place, tell};
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, id_text, people};

/// Returns the usage of a user on a day, of all models or of one.
async fn charged(store: &Store, day: Day, model: Option<&str>) -> UsageDay {
    let mut tx = store.begin_read().await.unwrap();
    let usage = charged_usage::of_days(&mut tx, UserNo(1), day, day).await.unwrap();
    tx.rollback().await.unwrap();
    usage.into_iter().find(|of| of.model.as_deref() == model).unwrap()
}

/// Adds the requests and counts of a user's day, page by page.
async fn listed(store: &Store, of: ChargedDayOf, model: Option<&str>) -> UsageDay {
    let mut sum = UsageDay { day: of.day, model: model.map(str::to_owned), ..UsageDay::default() };
    let mut after: Option<(Timestamp, Uuid)> = None;
    loop {
        let page = of.requests(store, after).await.unwrap();
        for request in page.iter().filter(|request| model.is_none() || request.model.as_deref() == model) {
            let tokens = request.usage.map(|usage| usage.classes()).into_iter().flatten().flatten();
            sum.requests += 1;
            sum.credits = sum.credits.saturating_add(request.credits);
            sum.tokens += tokens.map(|tokens| tokens.0).sum::<u64>();
            sum.cost_nano += request.cost_nano.unwrap_or(0);
            sum.unpriced_requests += u64::from(request.unpriced);
        }
        match page.last() {
            Some(last) if page.len() >= CHARGED_PAGE => after = Some((last.started_at, last.id)),
            Some(_) | None => break,
        }
    }
    if model.is_none() {
        for counts in of.folded(store).await.unwrap() {
            sum.requests += counts.requests;
            sum.credits = sum.credits.saturating_add(counts.credits);
        }
    }
    sum
}

#[tokio::test]
async fn charged_requests_add_up_to_the_charged_usage() {
    for place in Place::both().await {
        let store = place.open().await;
        people(&store).await;
        let mut node = IngestNode::join(&store, place.folder.path()).await;
        let mut fixture = UsageFixture::starting_on(TODAY);
        node.write(&[fixture.all(caller(1, 1)), fixture.all(caller(2, 3))].concat()).await;
        // More than one page, of the same time.
        let one = fixture.event(Some(caller(1, 1)), vec![attempt(3)]);
        let many: Vec<spool::Record> = (0..CHARGED_PAGE + 5)
            .map(|_| meter::UsageEvent { id: access::RequestId(store.new_id()), ..one.clone() })
            .map(spool::Record::Event)
            .collect();
        node.write(&many).await;
        let computed_at = store.now();
        let of = ChargedDayOf { user: UserNo(1), day: TODAY, computed_at };
        for model in [None, Some("fast"), Some("slow")] {
            assert_eq!(listed(&store, of, model).await, charged(&store, TODAY, model).await, "{:?}", store.kind());
        }
        let earlier = ChargedDayOf { computed_at: computed_at - 1, ..of };
        assert_eq!(earlier.requests(&store, None).await.unwrap(), [], "requests that were stored later are not listed");
    }
}

#[tokio::test]
async fn the_node_with_the_oldest_unstored_usage_is_behind() {
    for place in Place::both().await {
        let store = place.open().await;
        assert_eq!(charged_usage::behind(&store).await.unwrap(), None);
        let [one, other] = ["one", "other"].map(|folder| place.folder.path().join(folder));
        let [one, other] =
            [store.join(&one, "1.2.3").await.unwrap().id(), store.join(&other, "1.2.3").await.unwrap().id()];
        for (node, set, behind) in [
            // The other node has stored nothing yet.
            (one, "ingested_until = 20000000", Some(other)),
            (other, "ingested_until = 10000000", Some(other)),
            // It left within a second of its last usage, so it has nothing to store.
            (other, "left_at = 11000000", Some(one)),
            (one, "left_at = 21000001", Some(one)),
            (one, "ingested_until = 20000001", None),
        ] {
            tell(&store, &format!("UPDATE nodes SET {set} WHERE id = {}", id_text(&store, node))).await;
            assert_eq!(charged_usage::behind(&store).await.unwrap(), behind, "{set} on {:?}", store.kind());
        }
    }
}

#[tokio::test]
async fn a_forgotten_node_does_not_limit_the_stored_usage() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await.id();
        let joined_at = store.clock().now();
        tell(&store, "UPDATE nodes SET ingested_until = 10000000, spooled = 3").await;
        assert_eq!(charged_usage::stored_until(&store).await.unwrap(), Some(Timestamp(10_000_000)));
        store.clock().advance(store::SEEN_WITHIN + Duration::from_secs(1));
        store.forget_node(&store::Actor::COMMAND, node).await.unwrap();
        assert_eq!(charged_usage::stored_until(&store).await.unwrap(), Some(store.clock().now()));
        assert_eq!(charged_usage::behind(&store).await.unwrap(), None, "{:?}", store.kind());
        // Its data folder returns.
        place.join(&store).await;
        assert_eq!(charged_usage::stored_until(&store).await.unwrap(), Some(joined_at));
        assert_eq!(charged_usage::behind(&store).await.unwrap(), Some(node), "{:?}", store.kind());
    }
}

/// Stores a draft of the first user, and returns its id.
async fn draft(store: &Store) -> Uuid {
    people(store).await;
    let (user,) = store.query("SELECT id FROM users WHERE no = 1").one::<(Uuid,)>().await.unwrap();
    let new = NewInvoice {
        id: store.new_id(),
        user: UserId(user),
        subscription: None,
        kind: InvoiceKind::Manual,
        of_invoice: None,
        target_version: None,
        first_day: TODAY,
        last_day: TODAY,
        currency: Currency::Idr,
        subtotal: 100,
        tax_name: String::new(),
        tax_rate: String::new(),
        tax_base: 0,
        tax: 0,
        total: 100,
        rules_version: 1,
        digest: String::new(),
        reason: String::new(),
        usage_days: None,
        lines: Vec::new(),
    };
    let mut tx = store.begin().await.unwrap();
    invoices::add(store, &mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    new.id
}

#[tokio::test]
async fn a_draft_names_no_parties() {
    for place in Place::both().await {
        let store = place.open().await;
        let id = draft(&store).await;
        assert_eq!(parties::of_invoice(&store, id).await.unwrap(), InvoiceParties::default());
        let party = |name: &str| InvoiceParty { name: name.to_owned(), ..InvoiceParty::default() };
        let named = InvoiceParties { seller: party("Tollgate"), customer: party("Ada") };
        let mut tx = store.begin().await.unwrap();
        parties::name(&store, &mut tx, id, &named).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(parties::of_invoice(&store, id).await.unwrap(), named);
    }
}

#[tokio::test]
async fn the_requests_of_an_invoice_are_listed_once() {
    for place in Place::both().await {
        let store = place.open().await;
        let id = draft(&store).await;
        let mut tx = store.begin().await.unwrap();
        receipts::add(&store, &mut tx, id, "new").await.unwrap();
        tx.commit().await.unwrap();
        let day = |rows| StoredInvoiceDay { day: TODAY, rows, digest: "a1".to_owned() };
        receipts::set_listed(&store, id, "first", &[day(3)]).await.unwrap();
        // Another process listed them too, later.
        receipts::set_listed(&store, id, "second", &[day(4)]).await.unwrap();
        let terms = receipts::find(&store, id).await.unwrap().unwrap();
        assert_eq!((terms.terms.as_str(), terms.is_listed), ("first", true));
        assert_eq!(receipts::days(&store, id).await.unwrap(), [day(3)]);
    }
}
