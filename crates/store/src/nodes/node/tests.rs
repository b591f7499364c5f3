use access::Timestamp;

use crate::fixture::{Place, tell};

#[tokio::test]
async fn a_node_with_unstored_usage_is_listed_beside_any_number_of_ended_ones() {
    let place = Place::sqlite();
    let store = place.open().await;
    let node = place.join(&store).await;
    let ended = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO nodes
        (id, version, incarnation, seen_at, left_at, ingested_until, created_at, updated_at)
        SELECT unhex(format('%s%08x', hex(zeroblob(12)), i)), '1.2.3', 1, 5, 5, 5, 5, 5 FROM n";
    tell(&store, ended).await;
    let newer = ended.replace("zeroblob(12)", "unhex('ffffffffffffffffffffffff')");
    tell(&store, &newer).await;
    let listed = store.node_progress().await.unwrap();
    assert_eq!(listed.len(), 10_000);
    assert!(listed.is_sorted_by_key(|node| node.id));
    assert_eq!((listed[0].id, listed[0].left_at), (node.id(), None));
    assert_eq!(listed[1].left_at, Some(Timestamp(5)));
}
