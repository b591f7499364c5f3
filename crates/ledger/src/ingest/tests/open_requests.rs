use super::*;

fn opened() -> OpenRequest {
    let UsageEvent { id, subject, started_at, day, charge, route, format, model, .. } = event();
    OpenRequest {
        id,
        subject,
        started_at,
        day,
        windows: Vec::new(),
        reserved: charge,
        route,
        format,
        model,
        price_version: None,
        origin: meter::RequestOrigin::default(),
    }
}

#[tokio::test]
async fn an_open_request_is_kept_when_its_segment_goes_and_forgotten_with_its_end() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let options = spool::SpoolOptions { size_bytes_max: 1 << 20, segment_bytes: 32 << 10, partitions: 1 };
        let folder = place.folder.path().join("spool");
        let mut spool = Spool::open(&folder, options, &[]).unwrap();
        let [kept, ended] = [opened(), opened()];
        // It is opened again later, with a larger reservation.
        let smaller = OpenRequest { reserved: Charge::default(), ..kept.clone() };
        for one in [&smaller, &ended] {
            spool.writers[0].append(&Record::Open(one.clone())).unwrap();
        }
        spool.writers[0].append(&Record::Close(ended.interrupted_event())).unwrap();
        // More than one segment of other records.
        for n in 0..1_600 {
            if n == 800 {
                assert_eq!(stored_requests(&node).await.unwrap(), std::slice::from_ref(&smaller));
                spool.writers[0].append(&Record::Open(kept.clone())).unwrap();
            }
            spool.writers[0].append(&counts(1)).unwrap();
            drain(&node, &mut spool.reader, &IngestStats::default()).await.unwrap();
        }
        assert_eq!(stored_requests(&node).await.unwrap(), std::slice::from_ref(&kept));
        drop(spool);
        // The state that the next start finds.
        let ingested = positions(&node).await.unwrap();
        let carried = stored_requests(&node).await.unwrap();
        let opening =
            spool::SpoolOpener { stored_requests: &carried, ..spool::SpoolOpener::new(&folder, options, &ingested) };
        let mut spool = opening.open().unwrap();
        assert_eq!(spool.interrupted.len(), 1);
        spool.settle(|one| one.request.interrupted_event()).unwrap();
        drain(&node, &mut spool.reader, &IngestStats::default()).await.unwrap();
        assert_eq!(stored_requests(&node).await.unwrap(), []);
        let outcomes: Vec<String> =
            table(&store, "usage_events").await.iter().map(|row| row["outcome"].clone()).collect();
        assert_eq!(outcomes, ["interrupted", "interrupted"]);
        let days = table(&store, "daily_usage").await;
        let day = days.iter().find(|row| row["key_no"] == "32").unwrap();
        let charged = ["requests", "credits", "charged_tokens", "charged_nano", "unpriced_requests"];
        assert_eq!(charged.map(|column| day[column].as_str()), ["2", "70", "72", "74", "2"]);
    }
}

/// A part of a batch may be read again without its end, after a commit whose response was lost.
#[tokio::test]
async fn a_batch_that_is_read_again_in_parts_leaves_no_open_request() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let batch = opened();
        let mut known = KnownRows::default();
        let end = || Record::CloseBatch { id: batch.id.0, counts: Vec::new() };
        let mut whole = Rows { read: vec![PLACE], ..rows_of([end()]) };
        whole.write(&node, &mut known, None).await.unwrap();
        known = KnownRows::default();
        let mut part = Rows { carried: vec![batch.clone()], ..rows_of([]) };
        part.write(&node, &mut known, None).await.unwrap();
        assert_eq!(stored_requests(&node).await.unwrap(), std::slice::from_ref(&batch));
        let mut rest = Rows { read: vec![PLACE], ..rows_of([end()]) };
        rest.write(&node, &mut known, None).await.unwrap();
        assert_eq!(stored_requests(&node).await.unwrap(), []);
    }
}
