use access::Role;
use serde_json::{Value, json};

use crate::api::explain::limited;
use crate::client::{Answer, call, get, post};
use crate::person::BrowserSession;
use crate::world::World;

const PATH: &str = "/api/plans";

async fn administered() -> (World, BrowserSession) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn create(world: &World, by: &BrowserSession, body: &Value) -> Answer {
    post(world.address, PATH, &[&by.bearer()], &body.to_string()).await
}

async fn patch(world: &World, by: &BrowserSession, name: &str, body: &Value) -> Answer {
    let headers = [by.bearer(), "Content-Type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    call(world.address, &format!("PATCH {PATH}/{name}"), &headers, &body.to_string()).await
}

#[tokio::test]
async fn every_caller_sees_the_plans() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let page = get(world.address, PATH, &[&ada.bearer()]).await.json();
    let endless = json!({"id": page["items"][0]["id"], "name": "endless", "credits_per_day": null, "requests_per_minute": null,
        "budgets": [], "shared_keys": true, "created_at": "2026-11-20T12:00:00Z", "updated_at": "2026-11-20T12:00:00Z",
        "for_sale": false, "price": null, "interval": null, "charges": null, "trial_days": null, "version": null});
    assert_eq!(
        (&page["items"][0], &page["items"][1]["name"], &page["next"]),
        (&endless, &json!("starter"), &Value::Null)
    );
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn a_plan_has_the_models_aliases_and_limits_of_the_configuration() {
    let (world, root) = administered().await;
    let snapshot = limited(
        "providers: [{name: openai, kind: openai, credential: sk-of-a-test}]
plans: [{name: team, models: ['openai/*'], aliases: {big: openai/gpt-5}, rate_limits: [{dimension: [user, model], limit: 60, window: 60s}]}]
",
    );
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let created = create(&world, &root, &json!({"name": "team"})).await.json();
    let changed = patch(&world, &root, "team", &json!({"credits_per_day": 5})).await.json();
    let listed = get(world.address, PATH, &[&root.bearer()]).await.json();
    let listed = listed["items"].as_array().unwrap().iter().find(|plan| plan["name"] == "team").unwrap();
    for plan in [&created, &changed, listed] {
        assert_eq!((&plan["models"], &plan["aliases"]), (&json!(["openai/*"]), &json!({"big": "openai/gpt-5"})));
        assert_eq!(plan["rate_limits"], json!(["\"user+model\";q=60;w=60"]), "{plan}");
    }
}

#[tokio::test]
async fn a_plan_is_made_once_and_changed_in_part() {
    let (world, root) = administered().await;
    let created =
        create(&world, &root, &json!({"name": "team", "credits_per_day": 50, "requests_per_minute": 6})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let mut team = created.json();
    assert_eq!(
        (&team["credits_per_day"], &team["requests_per_minute"], &team["shared_keys"]),
        (&json!(50), &json!(6), &json!(true))
    );
    create(&world, &root, &json!({"name": "team"})).await.refuses(409, "conflict");
    let changed = patch(&world, &root, "team", &json!({"credits_per_day": null, "shared_keys": false})).await;
    team["credits_per_day"] = Value::Null;
    team["shared_keys"] = json!(false);
    assert_eq!((changed.status, changed.json()), (200, team.clone()));
    assert_eq!(patch(&world, &root, "team", &json!({})).await.json(), team);
    let unlimited = create(&world, &root, &json!({"name": "a.b_c-1"})).await.json();
    assert_eq!((&unlimited["credits_per_day"], &unlimited["requests_per_minute"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn budgets_of_a_plan_are_set_as_a_whole() {
    let (world, root) = administered().await;
    let day = |money: &str| json!({"money": money, "per": "day"});
    let budgets = json!([day("0.50 USD"), {"credits": 0, "per": "month"}, {"tokens": 7, "per": "day"}]);
    let created = create(&world, &root, &json!({"name": "team", "budgets": budgets})).await.json();
    let shown = json!([{"credits": 0, "per": "month"}, {"tokens": 7, "per": "day"}, day("0.5 USD")]);
    assert_eq!(created["budgets"], shown);
    let remaining = patch(&world, &root, "team", &json!({"credits_per_day": 5})).await.json();
    assert_eq!(remaining["budgets"], shown);
    let other = patch(&world, &root, "team", &json!({"budgets": [day("1 USD")]})).await.json();
    assert_eq!(other["budgets"], json!([day("1 USD")]));
    let windows = json!([{"credits": 3, "per": "week-from-sunday/Asia/Jakarta"}, {"name": "session", "credits": 400, "per": "5h/first_use"},
        {"credits": 9, "per": "week/subscription"}, {"money": "20 USD", "per": "period"}]);
    let named = patch(&world, &root, "team", &json!({"budgets": windows})).await.json();
    let [mut set, mut shown] = [&windows, &named["budgets"]].map(|list| list.as_array().unwrap().clone());
    [&mut set, &mut shown].into_iter().for_each(|list| list.sort_by_key(Value::to_string));
    assert_eq!(set, shown);
    let none = patch(&world, &root, "team", &json!({"budgets": null})).await.json();
    assert_eq!(none["budgets"], json!([]));
}

#[tokio::test]
async fn a_changed_plan_applies_to_its_users() {
    let (world, root) = administered().await;
    let ada = world.holder("ada", "starter").await;
    assert_eq!(patch(&world, &root, "starter", &json!({"credits_per_day": 7})).await.status, 200);
    world.refresh().await;
    let today = get(world.address, "/api/usage/today", &[&ada.bearer()]).await.json();
    assert_eq!(today["limit"], 7);
}

#[tokio::test]
async fn a_plan_that_cannot_be_is_refused() {
    let (world, root) = administered().await;
    for (body, status, code) in [
        (json!({"name": "Team"}), 422, "unprocessable"),
        (json!({"name": ""}), 422, "unprocessable"),
        (json!({"name": "x".repeat(65)}), 422, "unprocessable"),
        (json!({"name": "t\u{0}"}), 422, "unprocessable"),
        (json!({"name": "t", "credits_per_day": u64::MAX}), 422, "unprocessable"),
        (json!({"name": "t", "credits_per_day": -1}), 400, "bad_request"),
        (json!({"name": "t", "credits_per_day": 1.5}), 400, "bad_request"),
        (json!({"name": "t", "requests_per_minute": 0}), 400, "bad_request"),
        (json!({"name": "t", "requests_per_minute": 4_294_967_296_u64}), 400, "bad_request"),
        (json!({"name": "t", "requests_per_minute": 2_147_483_648_u64}), 422, "unprocessable"),
        (json!({"name": "t", "shared_keys": null, "price": 1}), 400, "bad_request"),
        (json!({"name": "t", "budgets": [{"per": "day"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"credits": 1, "tokens": 1, "per": "day"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"money": "1", "per": "day"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"money": "10000000000 USD", "per": "day"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"tokens": u64::MAX, "per": "day"}]}), 422, "unprocessable"),
        (
            json!({"name": "t", "budgets": [{"tokens": 1, "per": "day"}, {"tokens": 2, "per": "day"}]}),
            422,
            "unprocessable",
        ),
        (json!({"name": "t", "budgets": [{"tokens": 1, "per": "year"}]}), 422, "unprocessable"),
        // The windows of one user are no windows of a plan.
        (json!({"name": "t", "budgets": [{"tokens": 1, "per": "week/2026-11-30T14:00Z"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"tokens": 1, "per": "period/30"}]}), 422, "unprocessable"),
        (json!({"name": "t", "budgets": [{"name": "A b", "tokens": 1, "per": "5h/first_use"}]}), 422, "unprocessable"),
        (
            json!({"name": "t", "budgets": [{"name": "a", "tokens": 1, "per": "day"}, {"name": "a", "credits": 1, "per": "day"}]}),
            422,
            "unprocessable",
        ),
        (json!({"name": "t", "budgets": [{"tokens": -1, "per": "day"}]}), 400, "bad_request"),
        (json!({"name": "t", "budgets": [{"tokens": 1}]}), 400, "bad_request"),
        (json!({"name": "t", "budgets": [{"money": 1, "per": "day"}]}), 400, "bad_request"),
        (json!({}), 400, "bad_request"),
    ] {
        create(&world, &root, &body).await.refuses(status, code);
    }
    for (name, body, status, code) in [
        ("gold", json!({}), 404, "not_found"),
        ("%00", json!({}), 400, "bad_request"),
        ("%ff", json!({}), 404, "not_found"),
        ("starter", json!({"name": "other"}), 400, "bad_request"),
        ("starter", json!({"credits_per_day": u64::MAX}), 422, "unprocessable"),
        ("starter", json!({"credits_per_day": "1"}), 400, "bad_request"),
        ("starter", json!({"requests_per_minute": 2_147_483_648_u64}), 422, "unprocessable"),
    ] {
        patch(&world, &root, name, &body).await.refuses(status, code);
    }
    patch(&world, &root, "starter", &json!([])).await.refuses(400, "bad_request");
}
