use super::*;

/// The batch is written a second time without the repeated event, and its counts must not get lost.
#[tokio::test]
async fn counts_beside_an_event_given_twice_are_stored_once() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let event = event();
        let Record::Counts { counts, .. } = counts(3) else { unreachable!() };
        ingest(&node, vec![event.clone(), event], counts).await;
        assert_eq!(table(&store, "usage_events").await.len(), 1, "{:?}", store.kind());
        let rows = table(&store, "usage_counts").await;
        assert_eq!(rows.iter().map(|row| row["requests"].as_str()).collect::<Vec<_>>(), ["3"], "{:?}", store.kind());
    }
}
