use super::groups::GroupBounds;
use super::merged_groups::MergedGroups;
use super::slices::DaySlice;
use super::{DayUsageOf, EventGroup};
use crate::fixture::Place;
use crate::handle::Ledger;
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, caller, people};

#[tokio::test]
async fn slices_of_any_size_have_each_event_once() {
    let place = Place::sqlite();
    let store = place.open().await;
    people(&store).await;
    let mut node = IngestNode::join(&store, place.folder.path()).await;
    let mut fixture = UsageFixture::starting_on(TODAY);
    for _ in 0..3 {
        node.write(&[fixture.all(caller(1, 1)), fixture.all(caller(2, 3))].concat()).await;
    }
    let ledger = Ledger::new(store);
    let bounds = GroupBounds { input_tokens: &[50], requests_per_key: &[5], ..GroupBounds::default() };
    for of in DayUsageOf::kinds() {
        let whole = ledger.groups_of(of, bounds, false, DaySlice::whole(TODAY)).await.unwrap();
        let mut expected = MergedGroups::default();
        expected.add_all(whole);
        let expected = expected.into_groups();
        for events in [1, 2, 7, 1_000] {
            let slices = ledger.slices(of, TODAY, events).await.unwrap();
            let merged = ledger.merged(of, bounds, slices.iter()).await.unwrap().into_groups();
            let without = merged.iter().cloned().map(|group| EventGroup { between: None, ..group });
            assert_eq!(without.collect::<Vec<_>>(), expected, "{of:?} in {} slices", slices.len());
            if events == 1 && of == DayUsageOf::from(crate::UsageOf::All) {
                // Each slice has one event, so a third one of each group is known.
                assert!(merged.iter().any(|group| group.requests > 2));
                for EventGroup { requests, ids: [first, last], between, .. } in merged {
                    assert_eq!(between.is_some(), requests > 2, "{requests} requests");
                    assert!(between.is_none_or(|id| first < id && id < last), "{first:?} {between:?} {last:?}");
                }
            }
        }
    }
    let all = DayUsageOf::from(crate::UsageOf::All);
    assert!(ledger.slices(all, TODAY, 1).await.unwrap().len() > 20);
    assert_eq!(ledger.slices(all, TODAY, 1_000).await.unwrap().len(), 1);
}

#[tokio::test]
async fn durations_of_slices_add_up() {
    let place = Place::sqlite();
    let store = place.open().await;
    people(&store).await;
    let mut node = IngestNode::join(&store, place.folder.path()).await;
    let mut fixture = UsageFixture::starting_on(TODAY);
    node.write(&[fixture.all(caller(1, 1)), fixture.all(caller(2, 3))].concat()).await;
    let ledger = Ledger::new(store);
    let all = DayUsageOf::from(crate::UsageOf::All);
    let whole = ledger.durations_of_day(all, TODAY).await.unwrap();
    // Every event of the fixture takes a millisecond.
    assert_eq!(whole.iter().map(|of| of.duration_ms).collect::<Vec<_>>(), [1]);
    assert!(whole[0].requests > 2, "{whole:?}");
    assert_eq!(ledger.durations_in_slices(all, TODAY, 1).await.unwrap(), whole);
}
