//! Calls with users' own credentials, which the operator does not pay.

use access::NanoUsd;
use serde_json::{Value, json};

use super::labels::labelled;
use super::{date, time_at};
use crate::client::get;
use crate::world::{World, event};

/// The labels of each request.
const LABELS: &str = "team=payments";

fn cost(nano: i64) -> Value {
    json!({"amount_nano": nano, "currency": "USD"})
}

#[tokio::test]
async fn a_call_with_an_own_credential_is_a_cost_of_its_own_in_each_response() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let mut events = Vec::new();
    for (seconds, own, nano) in [(1, false, 700), (2, true, 90), (3, true, 10)] {
        let mut event = event(ada.caller, time_at(0, seconds), Some(NanoUsd(nano)));
        event.attempts[0].own_credential = own;
        events.push(labelled(event, LABELS));
    }
    // The first attempt is the operator's.
    let mut both = event(ada.caller, time_at(0, 4), Some(NanoUsd(5)));
    both.attempts.push(meter::Attempt { own_credential: true, cost: Some(NanoUsd(3)), ..both.attempts[0].clone() });
    events.push(labelled(both, LABELS));
    world.record(events).await;
    let root = super::admin(&world).await;
    for scope in [String::new(), format!("~user={}", ada.user.0), "~team=payments".to_owned()] {
        let brief = get(world.address, &format!("/brief/{}{scope}", date(0)), &[&root]).await.json();
        assert_eq!((&brief["spend"]["cost"], &brief["spend"]["own_cost"]), (&cost(705), &cost(103)), "{scope}");
        assert_eq!(brief["movers"][0]["difference"], 705, "{scope}");
        assert!(brief["headline"].as_str().unwrap().contains("spent 0.000000705 USD"), "{brief}");
    }
    let classes = get(world.address, "/classify/today", &[&root]).await.json();
    assert_eq!((&classes["cost"], &classes["own_cost"]), (&cost(705), &cost(103)));
    assert_eq!(classes["classes"][0]["cost"], cost(705));
    let roi = get(world.address, "/roi/today", &[&root]).await.json();
    assert_eq!((&roi["spent"], &roi["own_cost"]), (&cost(705), &cost(103)));
}
