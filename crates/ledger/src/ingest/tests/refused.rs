use super::*;
use meter::Charge;

/// An event that Tollgate refused before it was sent.
fn refused(model: Option<&str>) -> UsageEvent {
    UsageEvent {
        id: id(),
        model: model.map(Into::into),
        charge: Charge::default(),
        status: 429,
        outcome: Outcome::Completed,
        attempts: Vec::new(),
        refusal: Some("quota_exceeded".into()),
        ..event()
    }
}

#[tokio::test]
async fn what_was_refused_is_no_error_and_no_request_of_the_day() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        ingest(&node, vec![refused(Some("fast")), refused(None)], Vec::new()).await;
        assert_eq!(table(&store, "daily_usage").await, []);
        let failed = UsageEvent { id: id(), status: 503, ..event() };
        // Neither has a model: an event of a plain route, and one of an unauthenticated client.
        let plain = UsageEvent { id: id(), format: None, ..event() };
        let open = UsageEvent { id: id(), subject: access::Subject::ANONYMOUS, ..event() };
        ingest(&node, vec![refused(Some("fast")), event(), failed, plain, open], Vec::new()).await;
        let models = table(&store, "daily_models").await;
        let figures = |model: &str| {
            let row = models.iter().find(|row| row["model_no"] == model).unwrap();
            ["requests", "refused", "errors", "credits", "cost_nano", "duration_us"].map(|column| row[column].clone())
        };
        assert_eq!((models.len(), figures("fast")), (2, ["2", "2", "1", "70", "92", "76"].map(str::to_owned)));
        assert_eq!(figures("0"), ["0", "1", "0", "0", "0", "0"].map(str::to_owned));
        assert_eq!(table(&store, "daily_usage").await[0]["requests"], "3");
        let events = table(&store, "usage_events").await;
        let row = events.iter().find(|row| row["refusal"] != "-").unwrap();
        let columns = ["refusal", "status", "attempts", "provider_no", "upstream_us", "cost_nano", "input_tokens"];
        assert_eq!(columns.map(|column| row[column].as_str()), ["quota_exceeded", "429", "0", "-", "-", "-", "-"]);
    }
}
