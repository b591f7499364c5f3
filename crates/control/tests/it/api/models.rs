use access::{KeyBounds, Plan, Role};
use serde_json::{Value, json};
use store::{Actor, NewKey};

use crate::client::{get, post};
use crate::world::{Holder, World};

const PATH: &str = "/api/models";

/// Starts a world with this configuration file.
pub(super) async fn world(file: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.yaml");
    std::fs::write(&path, file).unwrap();
    let environment = config::Environment::default();
    let sources = config::Sources { file: Some(&path), environment: &environment, flags: config::Flags::default() };
    let traffic = config::load(sources).unwrap().snapshot.traffic;
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic = traffic);
    world
}

pub(super) const FILE: &str = "providers:
  - {name: openai, kind: openai, credential: vault}
  - {name: claude, kind: anthropic, credential: sk-ant-0123456789-abcd}
  - {name: own, kind: openai, base_url: 'http://10.1.2.3:9/v1', credential: none-secret}
models:
  - {name: fast, credits: 2, targets: [{provider: openai, model: gpt-5-mini}]}
  - {name: home, targets: [{provider: own, model: llama}]}
";

/// A user whose plan has no shared credentials.
pub(super) async fn poor(world: &World) -> Holder {
    let plan = Plan { shared_keys: false, ..Plan::unlimited("poor") };
    world.store.ensure_plans(&[plan]).await.unwrap();
    world.holder("bob", "poor").await
}

async fn models(world: &World, bearer: &str) -> Vec<Value> {
    let answer = get(world.address, PATH, &[bearer]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = answer.json();
    assert_eq!(page["next"], json!(null));
    page["items"].as_array().unwrap().clone()
}

fn named<'a>(models: &'a [Value], name: &str) -> &'a Value {
    models.iter().find(|model| model["name"] == name).unwrap_or_else(|| panic!("no {name}: {models:#?}"))
}

#[tokio::test]
async fn a_model_has_the_credential_of_the_first_target_that_can_serve_the_caller() {
    let smart =
        "  - {name: smart, targets: [{provider: openai, model: gpt-5}, {provider: claude, model: claude-opus-4-8}]}\n";
    let world = world(&format!("{FILE}{smart}")).await;
    let ada = world.holder("ada", "starter").await;
    let bob = poor(&world).await;
    for (holder, provider, model, credential) in
        [(&ada, "claude", "claude-opus-4-8", "shared"), (&bob, "openai", "gpt-5", "missing")]
    {
        let found = models(&world, &holder.bearer()).await;
        let smart = named(&found, "smart");
        let shown = (&smart["provider"], &smart["provider_model"], &smart["credential"]);
        assert_eq!(shown, (&json!(provider), &json!(model), &json!(credential)), "{smart}");
    }
}

#[tokio::test]
async fn models_have_prices_limits_and_credentials() {
    let world = world(FILE).await;
    let ada = world.holder("ada", "starter").await;
    let found = models(&world, &ada.bearer()).await;
    insta::assert_json_snapshot!([named(&found, "fast"), named(&found, "home")]);
    assert_eq!((&found[0]["name"], &found[1]["name"]), (&json!("fast"), &json!("home")), "in the order of the file");
    let haiku = named(&found, "claude/claude-haiku-4-5");
    assert_eq!((&haiku["listed"], &haiku["credential"]), (&json!(false), &json!("shared")));
    // One dollar per million tokens is a millionth of a dollar per token.
    assert_eq!(haiku["price"]["rates_pico"]["input"], 1_000_000);
    assert!(haiku["limits"]["input_tokens_max"].as_u64().unwrap() > 100_000, "{haiku}");
    assert!(found.len() < 1_000 && !found.iter().any(|model| model["name"] == "openai/gpt-5-mini"));

    let body = json!({"provider": "openai", "label": "mine", "secret": "sk-live-of-ada-1234"}).to_string();
    assert_eq!(post(world.address, "/api/provider-keys", &[&ada.bearer()], &body).await.status, 201);
    assert_eq!(named(&models(&world, &ada.bearer()).await, "fast")["credential"], "own");
    let poor = poor(&world).await;
    let found = models(&world, &poor.bearer()).await;
    assert!(found.iter().all(|model| model["credential"] == "missing"), "{found:#?}");
}

#[tokio::test]
async fn a_key_with_a_list_of_models_gets_these() {
    let world = world(FILE).await;
    let ada = world.holder("ada", "starter").await;
    let bounds = KeyBounds { models: Some(vec!["home".into(), "openai/gpt-5*".into()]), ..KeyBounds::default() };
    let key = access::ApiKey::generate("tollgate").unwrap();
    world
        .store
        .create_key(&Actor::COMMAND, NewKey { bounds, ..NewKey::unbounded(ada.user, "bound", &key) })
        .await
        .unwrap();
    world.refresh().await;
    let found = models(&world, &format!("X-API-Key: {}", key.expose())).await;
    assert_eq!(found[0]["name"], "home");
    // The key does not know the model by its entry, and not by the other name of the entry it knows.
    assert_eq!((&found[0]["aliases"], &named(&found, "openai/gpt-5-mini")["credits"]), (&json!([]), &json!(2)));
    let others = || found.iter().skip(1).map(|model| model["name"].as_str().unwrap());
    assert!(others().all(|name| name.starts_with("openai/gpt-5")) && others().count() > 1, "{found:#?}");
}

#[tokio::test]
async fn models_need_a_credential_and_the_store() {
    let world = world("ai: {enabled: false}\n").await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    assert_eq!(models(&world, &session.bearer()).await, Vec::<Value>::new());
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    get(world.address, &format!("{PATH}?user_id=1"), &[&session.bearer()]).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn a_plan_shows_its_models_and_aliases() {
    let plans = "plans: [{name: starter, models: ['openai/gpt-5*'], aliases: {gpt-4o: fast}}]\n";
    let world = world(&format!("{FILE}{plans}")).await;
    let ada = world.holder("ada", "starter").await;
    let bob = poor(&world).await;
    let found = models(&world, &ada.bearer()).await;
    let alias = named(&found, "gpt-4o");
    let shown = (&alias["provider"], &alias["provider_model"], &alias["listed"], &alias["credits"]);
    assert_eq!(shown, (&json!("openai"), &json!("gpt-5-mini"), &json!(true), &json!(2)), "{alias}");
    assert!(found.iter().all(|model| model["provider"] == "openai"), "{found:#?}");
    assert!(named(&found, "fast")["price"].is_object() && named(&found, "openai/gpt-5")["listed"] == false);
    assert_eq!(named(&models(&world, &bob.bearer()).await, "home")["provider"], "own", "another plan");
}
