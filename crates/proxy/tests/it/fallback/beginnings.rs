//! Attempts that have begun: trials of a target, long beginnings, and what counts of an attempt that was sent.

use super::*;

/// Waits until the first target is no longer left out.
async fn until_tried_again(gateway: &Gateway) {
    let begin = Instant::now();
    while !gateway.metrics().contains("tollgate_target_cooled_down{provider=\"p0\",model=\"m0\"} 0") {
        assert!(begin.elapsed() < PATIENCE, "its time passes: {}", gateway.metrics());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_trial_with_a_wrong_request_is_followed_by_the_next_call() {
    let script = Script::Recovers { first: (429, "retry-after: 1\r\n"), second: 400 };
    let first = provider(script).await;
    let second = provider(Script::Serves).await;
    let gateway = before(&[&first, &second], ", sticky: off");
    assert_eq!(ask(&gateway, true, "").await.model, "p1/m1");
    until_tried_again(&gateway).await;
    assert_eq!(ask(&gateway, true, "").await.status, 400);
    let next = ask(&gateway, true, "").await;
    assert_eq!((next.status, &*next.model), (200, "p0/m0"), "{next:?}");
}

#[tokio::test]
async fn an_error_after_a_long_beginning_is_a_failure_without_cost() {
    let script = Script::Pauses { before: ROLE, pause_ms: 11_000, after: ERROR_EVENT };
    let first = provider(script).await;
    let second = provider(Script::Serves).await;
    let yaml = configuration(&[first.address, second.address], ", sticky: off, cooldown: {failures: 1}");
    let mut gateway = Gateway::plain(&yaml.replace(", first_content: 1s", ""));
    with_money(&gateway, 10_000_000);
    let got = ask(&gateway, true, "").await;
    assert!(got.status == 200 && got.body.contains("the first broke"), "{got:?}");
    assert_eq!(ask(&gateway, true, "").await.model, "p1/m1", "the first one is left out");
    let records = gateway.stop().await;
    let costs: Vec<NanoUsd> = events(&records).map(|event| event.charge.money).collect();
    assert_eq!((costs.len(), costs[0]), (2, NanoUsd(0)), "{records:?}");
}

#[tokio::test]
async fn a_whole_response_that_is_later_than_the_first_content_falls_over() {
    let first = provider(Script::LateWhole).await;
    let second = provider(Script::Serves).await;
    let gateway = before(&[&first, &second], ", first_content: 300ms");
    let got = ask(&gateway, false, "").await;
    assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "2"), "{got:?}");
}

#[tokio::test]
async fn a_call_that_a_provider_has_received_counts_in_rate_limits() {
    let first = provider(Script::Cuts(ROLE)).await;
    let second = provider(Script::Serves).await;
    let yaml = configuration(&[first.address, second.address], ", cooldown: {failures: 100}");
    let gateway = Gateway::plain(&format!("rate_limits: [{{dimension: user, limit: 1, window: 60s}}]\n{yaml}"));
    with_money(&gateway, 1_500_000);
    let got = ask(&gateway, true, "").await;
    assert!(got.status == 429 && got.body.contains("insufficient_quota"), "{got:?}");
    let again = ask(&gateway, true, "").await;
    assert!(again.status == 429 && !again.body.contains("insufficient_quota"), "{again:?}");
    assert_eq!(first.asked().len(), 1);
}

#[tokio::test]
async fn the_time_of_the_first_content_of_a_model_replaces_that_of_all_models() {
    for (rules, model, attempts) in [("", "p1/m1", "2"), (", first_content: 10s", "p0/m0", "1")] {
        let first = provider(Script::Late { head_ms: 0, content_ms: 1_500 }).await;
        let second = provider(Script::Serves).await;
        let gateway = before(&[&first, &second], rules);
        let got = ask(&gateway, true, "").await;
        assert_eq!((got.status, &*got.model, &*got.attempts), (200, model, attempts), "{rules}: {got:?}");
        assert_eq!(got.body.matches("second").count(), 1, "one answer: {rules}: {got:?}");
    }
}

#[tokio::test]
async fn a_call_that_a_quota_refuses_leaves_the_trial_of_a_target_to_the_next_call() {
    let first = provider(Script::Says(429, "retry-after: 1\r\n", "{\"error\":{\"message\":\"slow down\"}}")).await;
    let second = provider(Script::Serves).await;
    let gateway = before(&[&first, &second], ", sticky: off");
    assert_eq!(ask(&gateway, true, "").await.model, "p1/m1");
    until_tried_again(&gateway).await;
    with_money(&gateway, 1);
    let refused = ask(&gateway, true, "").await;
    assert!(refused.status == 429 && refused.body.contains("insufficient_quota"), "{refused:?}");
    assert_eq!(first.asked().len(), 1, "nothing was sent");
    with_money(&gateway, 10_000_000);
    assert_eq!(ask(&gateway, true, "").await.status, 200);
    assert_eq!(first.asked().len(), 2, "the next call tries it");
}

#[tokio::test]
async fn a_client_that_leaves_between_two_attempts_leaves_nothing_reserved() {
    let first = provider(Script::Says(500, JSON, "{}")).await;
    let mut gateway =
        before(&[&first], ", retry: {attempts: 5, backoff: 5s, max_backoff: 5s}, cooldown: {failures: 100}");
    let asking = timeout(Duration::from_millis(1), ask(&gateway, true, "")).await;
    assert!(asking.is_err());
    let begin = Instant::now();
    while first.asked().is_empty() && begin.elapsed() < Duration::from_secs(2) {
        drop(timeout(Duration::from_millis(20), ask(&gateway, true, "")).await);
    }
    while gateway.in_flight() > 0 {
        assert!(begin.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let records = gateway.stop().await;
    let opens = records.iter().filter(|record| matches!(record, Record::Open(_))).count();
    let closes = records.iter().filter(|record| matches!(record, Record::Close(_))).count();
    assert_eq!(opens, closes, "{records:?}");
    assert_eq!(gateway.ended().interrupted, 0);
}
