use super::DayUsageOf;
use super::groups::GroupBounds;
use super::merged_groups::MergedGroups;
use super::slices::DaySlice;
use crate::fixture::Place;
use crate::handle::Ledger;
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, caller, people};

#[tokio::test]
async fn slices_of_any_size_have_each_event_once() {
    let place = Place::sqlite();
    let store = place.open().await;
    people(&store).await;
    let mut node = IngestNode::of(&store, place.folder.path()).await;
    let mut fixture = UsageFixture::on(TODAY);
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
            assert_eq!(merged, expected, "{of:?} in {} slices", slices.len());
        }
    }
    let all = DayUsageOf::from(crate::UsageOf::All);
    assert!(ledger.slices(all, TODAY, 1).await.unwrap().len() > 20);
    assert_eq!(ledger.slices(all, TODAY, 1_000).await.unwrap().len(), 1);
}
