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

#[tokio::test]
async fn what_was_committed_though_it_was_reported_as_failed_is_not_counted_again() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let mut spool = spool(place.folder.path());
        let mut known = KnownRows::default();
        let stats = IngestStats::default();
        let counted = async || -> Vec<String> {
            table(&store, "usage_counts").await.iter().map(|row| row["requests"].clone()).collect()
        };
        spool.writers[0].append(&counts(1)).unwrap();
        spool.writers[1].append(&counts(10)).unwrap();
        let before = ReadBatch::next(&mut spool.reader, 9).unwrap();
        write(&node, ReadBatch::next(&mut spool.reader, 9).unwrap(), &mut known, &stats).await.unwrap();
        // Not released: the same records again, and one more after them in a partition.
        spool.writers[0].append(&counts(100)).unwrap();
        let longer = ReadBatch::next(&mut spool.reader, 9).unwrap();
        assert_eq!(longer.batch.records.len(), 3);
        write(&node, longer, &mut known, &stats).await.unwrap();
        assert_eq!(counted().await, ["111"]);
        let ingested = positions(&node).await.unwrap();
        write(&node, before, &mut known, &stats).await.unwrap();
        assert_eq!((counted().await, positions(&node).await.unwrap()), (vec!["111".to_owned()], ingested));
    }
}
