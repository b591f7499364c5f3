use access::{Day, Timestamp, UserNo};
use store::Store;
use uuid::Uuid;

use super::charged_usage;
use super::{CHARGED_PAGE, ChargedDay, ChargedDayOf};
use crate::fixture::Place;
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, people};

/// Returns the usage of a user on a day, of all models or of one.
async fn charged(store: &Store, day: Day, model: Option<&str>) -> ChargedDay {
    let mut on = store.snapshot().await.unwrap();
    let usage = charged_usage::of_days(&mut on, UserNo(1), day, day).await.unwrap();
    on.rollback().await.unwrap();
    usage.into_iter().find(|of| of.model.as_deref() == model).unwrap()
}

/// Adds the requests and counts of a user's day, page by page.
async fn listed(store: &Store, of: ChargedDayOf, model: Option<&str>) -> ChargedDay {
    let mut sum = ChargedDay {
        day: of.day,
        model: model.map(str::to_owned),
        requests: 0,
        credits: 0,
        tokens: 0,
        cost_nano: 0,
        unpriced_requests: 0,
    };
    let mut after: Option<(Timestamp, Uuid)> = None;
    loop {
        let page = of.requests(store, after).await.unwrap();
        for request in page.iter().filter(|request| model.is_none() || request.model.as_deref() == model) {
            let tokens = request.usage.map(|usage| usage.classes()).into_iter().flatten().flatten();
            sum.requests += 1;
            sum.credits += i64::try_from(request.credits).unwrap();
            sum.tokens += i64::try_from(tokens.map(|tokens| tokens.0).sum::<u64>()).unwrap();
            sum.cost_nano += i64::try_from(request.cost_nano.unwrap_or(0)).unwrap();
            sum.unpriced_requests += i64::from(request.unpriced);
        }
        match page.last().filter(|_| page.len() >= CHARGED_PAGE) {
            Some(last) => after = Some((last.started_at, last.id)),
            None => break,
        }
    }
    for counts in of.folded(store).await.unwrap().into_iter().filter(|_| model.is_none()) {
        sum.requests += i64::try_from(counts.requests).unwrap();
        sum.credits += i64::try_from(counts.credits).unwrap();
    }
    sum
}

#[tokio::test]
async fn charged_requests_add_up_to_the_charged_usage() {
    for place in Place::both().await {
        let store = place.open().await;
        people(&store).await;
        let mut node = IngestNode::of(&store, place.folder.path()).await;
        let mut fixture = UsageFixture::on(TODAY);
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
