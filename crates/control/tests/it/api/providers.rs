use std::time::Duration;

use access::{NanoUsd, Role, Timestamp};
use meter::{Attempt, Outcome, UsageEvent};
use serde_json::{Value, json};
use store::{Actor, NewUser};

use super::models::{FILE, poor, world};
use crate::client::{get, post};
use crate::world::{Holder, NOON, World, event, tidy};

const PATH: &str = "/api/providers";

async fn providers(world: &World, bearer: &str) -> Vec<Value> {
    let answer = get(world.address, PATH, &[bearer]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

async fn store_credential(world: &World, bearer: &str, body: Value) {
    let stored = post(world.address, "/api/provider-keys", &[bearer], &body.to_string()).await;
    assert_eq!(stored.status, 201, "{stored:?}");
}

/// A request to a provider that began `seconds` before noon.
fn request(holder: &Holder, seconds: u64, provider: &str, status: Option<u16>) -> UsageEvent {
    let event = event(holder.caller, Timestamp(NOON.0 - seconds * 1_000_000), Some(NanoUsd(1)));
    let attempts =
        event.attempts.iter().map(|of| Attempt { provider: provider.into(), status, ..of.clone() }).collect();
    UsageEvent { attempts, ..event }
}

#[tokio::test]
async fn providers_show_the_callers_credentials_and_no_secret() {
    let world = world(FILE).await;
    let ada = world.holder("ada", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    let states = |items: &[Value]| -> Vec<Value> { items.iter().map(|of| of["credential"]["state"].clone()).collect() };
    assert_eq!(states(&providers(&world, &ada.bearer()).await), ["missing", "shared", "shared"]);
    let new = |label: &str| json!({"provider": "openai", "label": label, "secret": format!("sk-live-{label}")});
    store_credential(
        &world,
        &root,
        json!({"provider": "openai", "label": "team", "secret": "sk-live-team", "shared": true}),
    )
    .await;
    assert_eq!(states(&providers(&world, &ada.bearer()).await), ["shared", "shared", "shared"]);
    store_credential(&world, &ada.bearer(), new("first")).await;
    world.clock.advance(Duration::from_secs(1));
    world.refresh().await;
    store_credential(&world, &ada.bearer(), new("second")).await;

    let answer = get(world.address, PATH, &[&ada.bearer()]).await;
    let own = &answer.json()["items"][0]["credential"]["own"];
    assert_eq!(
        (&own[0]["label"], &own[0]["last4"], &own[1]["label"]),
        (&json!("second"), &json!("cond"), &json!("first"))
    );
    insta::assert_snapshot!(tidy(&answer));
    let of_admin = get(world.address, PATH, &[&root]).await;
    insta::assert_snapshot!(tidy(&of_admin));
    for text in [&answer.body, &of_admin.body] {
        assert!(!text.contains("sk-live") && !text.contains("sk-ant") && !text.contains("none-secret"), "{text}");
    }
    // A member does not learn hosts and shared credentials.
    assert!(!answer.body.contains("10.1.2.3") && !answer.body.contains("team"), "{}", answer.body);
    let poor = poor(&world).await;
    assert_eq!(states(&providers(&world, &poor.bearer()).await), ["missing", "missing", "missing"]);
}

#[tokio::test]
async fn a_stored_credential_switches_an_offered_provider_on() {
    let world = world("mock: false\n").await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let shown = async |bearer: &str| -> Vec<String> {
        let items = providers(&world, bearer).await;
        let line = |of: &Value| format!("{} {} {}", of["name"], of["offered"], of["credential"]["state"]);
        items.iter().map(line).collect()
    };
    let models = async |bearer: &str| {
        let found = get(world.address, "/api/models", &[bearer]).await.json();
        found["items"].as_array().unwrap().iter().any(|model| model["name"] == "openai/gpt-5-mini")
    };
    let missing = |name: &str| format!(r#""{name}" true "missing""#);
    assert_eq!(shown(&ada.bearer()).await, ["openai", "anthropic", "gemini"].map(missing));
    assert!(!models(&ada.bearer()).await, "nobody can call it");
    store_credential(&world, &ada.bearer(), json!({"provider": "openai", "label": "mine", "secret": "sk-live-mine"}))
        .await;
    assert_eq!(shown(&ada.bearer()).await[0], r#""openai" true "own""#);
    assert!(models(&ada.bearer()).await);
    assert_eq!(shown(&bob.bearer()).await[0], missing("openai"));
    assert!(!models(&bob.bearer()).await, "the credential is Ada's own");
}

#[tokio::test]
async fn a_shared_credential_is_refused_where_keys_of_a_demo_could_spend_it() {
    let world = world("mock: false\n").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    let shared = json!({"provider": "openai", "label": "team", "secret": "sk-live-team", "shared": true}).to_string();
    world.configure(|snapshot| snapshot.process.control.listen = "0.0.0.0:8787".parse().unwrap());
    let demo = NewUser { demo: true, ..NewUser::service("demo", "starter") };
    world.store.create_user(&Actor::COMMAND, demo).await.unwrap();
    let refused = post(world.address, "/api/provider-keys", &[&root], &shared).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (409, &json!("conflict")), "{refused:?}");
    world.configure(|snapshot| snapshot.process.control.listen = "127.0.0.1:8787".parse().unwrap());
    assert_eq!(post(world.address, "/api/provider-keys", &[&root], &shared).await.status, 201);
}

#[tokio::test]
async fn health_is_that_of_the_newest_requests() {
    let world = world(FILE).await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let gone = UsageEvent { outcome: Outcome::CallerGone, ..request(&ada, 1, "openai", None) };
    let cut = UsageEvent { outcome: Outcome::UpstreamCut, ..request(&bob, 2, "claude", Some(200)) };
    let plain = UsageEvent { format: None, ..request(&ada, 1, "own", Some(500)) };
    // A failed connection has no attempt, and the model names the provider.
    let unreachable = UsageEvent {
        attempts: Vec::new(),
        refusal: Some("upstream_connect".into()),
        model: Some("home".into()),
        status: 502,
        ..request(&bob, 3, "own", None)
    };
    let refused = UsageEvent { refusal: Some("quota_exceeded".into()), ..unreachable.clone() };
    let refused = UsageEvent { id: request(&bob, 2, "own", None).id, ..refused };
    let mut own_credential = request(&bob, 1, "openai", Some(401));
    own_credential.attempts[0].own_credential = true;
    // The shared credential of the next target was refused, too.
    let mut of_both = request(&bob, 6, "openai", Some(503));
    of_both.attempts[0].own_credential = true;
    of_both.attempts.extend(request(&bob, 6, "claude", Some(401)).attempts);
    world
        .record(vec![
            unreachable,
            refused,
            own_credential,
            of_both,
            request(&ada, 3_601, "own", Some(200)),
            request(&ada, 30, "openai", Some(503)),
            request(&ada, 20, "openai", Some(200)),
            request(&ada, 10, "openai", Some(429)),
            request(&ada, 5, "openai", Some(400)),
            request(&ada, 4, "claude", Some(200)),
            gone,
            cut,
            plain,
        ])
        .await;
    let health = |items: &[Value]| -> Vec<Value> {
        let of =
            |item: &Value| json!([item["health"]["status"], item["health"]["requests"], item["health"]["failures"]]);
        items.iter().map(of).collect()
    };
    let own = providers(&world, &ada.bearer()).await;
    assert_eq!(health(&own), [json!(["ok", 4, 2]), json!(["ok", 1, 0]), json!(["unknown", 0, 0])]);
    assert_eq!(own[0]["health"]["last_success_at"], "2026-11-20T11:59:55Z");
    let failure = (&own[0]["health"]["last_failure_at"], &own[0]["health"]["last_failure_status"]);
    assert_eq!(failure, (&json!("2026-11-20T11:59:50Z"), &json!(429)));
    assert_eq!(own[2]["health"]["last_success_at"], json!(null));
    let bobs = providers(&world, &bob.bearer()).await;
    assert_eq!(health(&bobs)[0], json!(["failing", 1, 1]), "the own credential is refused");
    // A member sees own requests only, an admin all that say something about the shared credential.
    let root = world.person_with("root", Role::Admin).await;
    let all = providers(&world, &world.sign_in(&root).await.bearer()).await;
    let expected = [json!(["ok", 4, 2]), json!(["failing", 3, 2]), json!(["failing", 1, 1])];
    assert_eq!(health(&all), expected);
    // An agent that repeats a refused call hides no other requests.
    let mut repeated =
        vec![request(&bob, 0, "openai", Some(401)); usize::try_from(ledger::PROVIDER_REQUESTS_MAX).unwrap()];
    for event in &mut repeated {
        event.id = request(&bob, 0, "openai", None).id;
        event.attempts[0].own_credential = true;
    }
    world.record(repeated).await;
    assert_eq!(health(&providers(&world, &world.sign_in(&root).await.bearer()).await), expected);
}
