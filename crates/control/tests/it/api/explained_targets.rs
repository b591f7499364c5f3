//! Why a call skips a target of its model, as `POST /api/explain` says it.

use std::sync::Arc;
use std::time::Duration;

use access::Role;
use serde_json::{Value, json};
use telemetry::{BackendBoard, BackendCondition, ReachedLimit, TARGET_RESULTS, TargetStatus};

use crate::api::explain::limited;
use crate::api::upstreams::status;
use crate::client::post;
use crate::world::World;

const CONFIGURED: &str = "\
providers:
  - {name: first, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: sk-of-a-test}
  - {name: second, kind: openai, base_url: 'http://127.0.0.2:9/v1', credential: sk-of-a-test}
  - {name: third, kind: openai, base_url: 'http://127.0.0.3:9/v1', credential: vault}
  - {name: fourth, kind: openai, base_url: 'http://127.0.0.4:9/v1', credential: sk-of-a-test}
  - {name: fifth, kind: openai, base_url: 'http://127.0.0.6:9/v1', credential: sk-of-a-test}
  - {name: claude, kind: anthropic, base_url: 'http://127.0.0.5:9', credential: sk-of-a-test}
models:
  - {name: smart, targets: [{provider: first, model: a}, {provider: second, model: a}, {provider: third, model: a},
     {provider: fourth, model: a}, {provider: claude, model: a}, {provider: fifth, model: a}]}
";

#[tokio::test]
async fn each_skipped_target_has_its_reason() {
    let board = BackendBoard::default();
    let open = |url: &str, condition| telemetry::BackendStatus { upstream: "second".into(), ..status(url, condition) };
    board.set(move || {
        vec![
            open("http://127.0.0.2:9/v1", BackendCondition::Open),
            open("http://127.0.0.9:9/v1", BackendCondition::Available),
        ]
    });
    board.set_targets(|| {
        let target = |provider: &str, cooled_down, reached_limit| TargetStatus {
            provider: provider.into(),
            model: "a".into(),
            attempts: [0; TARGET_RESULTS.len()],
            cooled_down,
            reached_limit,
            limit_skips: 0,
            content_us: None,
        };
        let reached = Some(ReachedLimit { limit: "tokens", left: Duration::from_millis(20_100) });
        let cooled = Some(Duration::from_millis(11_200));
        vec![target("first", cooled, reached), target("fourth", None, None), target("fifth", None, reached)]
    });
    let world = World::start_with_board(Arc::new(board)).await;
    world.configure(|running| running.traffic = limited(CONFIGURED).traffic);
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "endless").await;
    let explain = async |client: Option<String>| {
        let body = json!({"method": "POST", "url": "/v1/embeddings", "model": "smart", "as": client});
        let answer = post(world.address, "/api/explain", &[&session.bearer()], &body.to_string()).await;
        let targets = answer.json()["action"]["targets"].clone();
        let reasons = targets.as_array().unwrap().iter().map(|target| target["skipped"].clone());
        reasons.collect::<Vec<Value>>()
    };
    let cooled = json!("it is left out after failures, for 12 s more");
    let open = json!("the circuit breaker of the provider is open");
    let format = json!("the provider does not support the format embeddings");
    let full = json!("its limit `tokens` is reached, for at least 21 s more");
    let expected = [cooled.clone(), open.clone(), Value::Null, Value::Null, format.clone(), full.clone()];
    assert_eq!(explain(None).await, expected);
    let missing = json!("the client has no credential for the provider");
    assert_eq!(explain(Some(ada.key.0.to_string())).await, [cooled, open, missing, Value::Null, format, full]);
}
