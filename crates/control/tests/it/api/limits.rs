use std::num::NonZeroU32;

use access::{Credits, Plan, Role};
use serde_json::{Value, json};

use crate::api::explain::limited;
use crate::api::keys::patch;
use crate::api::usage;
use crate::client::get;
use crate::world::World;

const PATH: &str = "/api/limits";
const LIMITED: &str = "rate_limits: [{dimension: key, limit: 4, window: 60s}, {dimension: {header: X-Api-Key}, limit: 2, window: 60s}]\n\
    routes: [{name: a, path: /a, auth: {type: none}, respond: {}, rate_limits: [{dimension: ip, limit: 9, window: 1h}]}]\n";

#[tokio::test]
async fn limits_are_listed_with_the_keys_that_are_near_them() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let snapshot = limited(LIMITED);
    let rules = snapshot.traffic.rate_limits.all().to_vec();
    let counters = world.meter.rules().counters(rules.iter().map(|rule| &rule.id));
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let take = |position: usize, values: &[&[u8]], times: usize| {
        let mut key = meter::limiter::key::LimitKey::new();
        values.iter().for_each(|value| meter::limiter::key::push(&mut key, value));
        let terms = rules[position].usual.as_ref().unwrap().terms;
        for _ in 0..times {
            if counters[position].take(&key, terms, world.clock.mono()).is_err() {
                counters[position].note_refusal(&key, terms, world.clock.mono());
            }
        }
    };
    take(0, &[&ada.caller.key.0.to_be_bytes()], 5);
    take(1, &[b"secret"], 2);
    take(2, &[&[192, 0, 2, 1]], 1);
    let listed = get(world.address, PATH, &[&session.bearer()]).await.json();
    assert_eq!((&listed["is_live"], &listed["is_shared"]), (&json!(true), &json!(false)), "{listed}");
    let [of_key, of_header, of_route, ..] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let key = &of_key["keys"][0];
    assert_eq!((&key["used"], &key["remaining"], &key["refused"]), (&json!(4), &json!(0), &json!(1)), "{listed}");
    assert_eq!(key["values"][0]["id"], json!(ada.key.0), "{listed}");
    let owner = json!({"id": ada.user, "name": "ada@example.com"});
    assert_eq!((&key["values"][0]["owner"], key["values"][0]["label"].is_string()), (&owner, true), "{listed}");
    assert!(key["values"][0]["value"].as_str().unwrap().starts_with('…') && key["resets_at"].is_string(), "{listed}");
    assert_eq!(of_header["keys"][0]["values"][0]["value"], Value::Null, "the value may be a secret: {listed}");
    assert_eq!((&of_route["route"], &of_route["busy_keys"]), (&json!("a"), &json!(0)), "{listed}");
}

#[tokio::test]
async fn keys_and_subjects_near_the_limits_of_their_plans_are_listed() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let limit = NonZeroU32::new(10);
    let plan =
        Plan { requests_per_minute: limit, credits_per_day: Some(Credits::whole(1_000)), ..Plan::unlimited("starter") };
    world.store.apply_plans(&store::Actor::SYSTEM, std::slice::from_ref(&plan)).await.unwrap();
    let snapshot = limited(
        "rate_limits: []
plans: [{name: forty, credits_per_day: 40}]
auth: [{name: partners, type: key, plan: forty, keys: [{name: acme, value: 0123456789abcdef}]}]
routes: [{path: /listed, auth: {type: key, use: partners}, respond: {}}]
",
    );
    let acme = snapshot.listed_client("partners/acme").unwrap();
    world.subject_has_spent(access::SubjectId::from_subject(&acme.subject).unwrap(), acme.plan.unwrap(), 30);
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let bounds = access::KeyBounds { requests_per_minute: NonZeroU32::new(5), ..access::KeyBounds::default() };
    let limits = json!({"limits": {"requests_per_minute": 5}});
    assert_eq!(patch(&world, &session.bearer(), &ada.key.0.to_string(), &limits).await.status, 200);
    let terms = meter::Terms { caller: ada.caller, plan: &plan, bounds: &bounds, budgets: &[] };
    let limits = world.meter.limits(&terms);
    for _ in 0..4 {
        let ask = meter::AdmissionRequest {
            limits: &limits,
            charge: Some(meter::Charge::default()),
            at: world.clock.now(),
            now: world.clock.mono(),
            rate: meter::RateSource::Here,
        };
        world.meter.admit(&ask).unwrap().commit(ask.at).settle_as_reserved();
    }
    let listed = get(world.address, PATH, &[&session.bearer()]).await.json();
    let rates = find_limit(&listed, "requests_per_minute", "user");
    let quotas = find_limit(&listed, "credits_per_day", "subject");
    assert_eq!((&rates["dimensions"], &rates["busy_keys"]), (&json!(["user"]), &json!(1)), "{listed}");
    assert_eq!(rates["tiers"], json!([{"name": "starter", "policy": "\"requests_per_minute\";q=10;w=60"}]));
    let user = &rates["keys"][0];
    assert_eq!((&user["limit"], &user["used"], &user["remaining"]), (&json!(10), &json!(4), &json!(6)), "{listed}");
    assert_eq!((&user["values"][0]["id"], &user["refused"]), (&json!(ada.user), &Value::Null), "{listed}");
    assert_eq!(user["values"][0]["value"], "ada@example.com", "{listed}");
    let rates = find_limit(&listed, "requests_per_minute", "key");
    let tier = json!([{"name": "the largest of 1 key with its own", "policy": "\"requests_per_minute\";q=5;w=60"}]);
    assert_eq!((&rates["tiers"], &rates["busy_keys"]), (&tier, &json!(1)), "{listed}");
    let key = &rates["keys"][0];
    assert_eq!((&key["limit"], &key["used"], &key["remaining"]), (&json!(5), &json!(4), &json!(1)), "{listed}");
    assert_eq!((&key["values"][0]["id"], &key["refused"]), (&json!(ada.key.0), &Value::Null), "{listed}");
    assert_eq!(key["values"][0]["owner"]["name"], "ada@example.com", "{listed}");
    assert_eq!((&quotas["dimensions"], &quotas["busy_keys"]), (&json!(["subject"]), &json!(1)), "{listed}");
    assert_eq!(quotas["tiers"][0], json!({"name": "forty", "policy": "\"credits_per_day\";q=40;w=86400"}), "{listed}");
    let client = &quotas["keys"][0];
    assert_eq!((&client["limit"], &client["used"], &client["remaining"]), (&json!(40), &json!(30), &json!(10)));
    assert_eq!(client["resets_at"], json!("2026-11-21T00:00:00Z"), "{listed}");
    assert!(!listed.to_string().contains("0123456789abcdef"), "{listed}");
}

/// Returns the limit of this kind and dimension.
fn find_limit<'a>(listed: &'a Value, kind: &str, dimension: &str) -> &'a Value {
    let mut items = listed["items"].as_array().unwrap().iter();
    let found = items.find(|limit| limit["kind"] == kind && limit["dimensions"] == json!([dimension]));
    found.unwrap_or_else(|| panic!("{kind} {dimension}: {listed}"))
}

#[tokio::test]
async fn users_near_the_quota_of_their_plan_are_listed() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let plan = Plan { credits_per_day: Some(Credits::whole(20)), ..Plan::unlimited("starter") };
    world.store.apply_plans(&store::Actor::SYSTEM, std::slice::from_ref(&plan)).await.unwrap();
    world.configure(|running| running.traffic = limited("rate_limits: []\n").traffic);
    // Each request has three credits: ada has used more than a quarter, bob less.
    let events = [1, 2, 3].map(|seconds| usage::event_of(&ada, usage::time_at(seconds)));
    world.record(events.into_iter().chain([usage::event_of(&bob, usage::time_at(4))]).collect()).await;
    let listed = get(world.address, PATH, &[&session.bearer()]).await.json();
    let quotas = find_limit(&listed, "credits_per_day", "user");
    assert_eq!((&quotas["busy_keys"], &quotas["algorithm"]), (&json!(1), &json!("daily")), "{listed}");
    assert_eq!(quotas["tiers"], json!([{"name": "starter", "policy": "\"credits_per_day\";q=20;w=86400"}]), "{listed}");
    let user = &quotas["keys"][0];
    assert_eq!((&user["limit"], &user["used"], &user["remaining"]), (&json!(20), &json!(9), &json!(11)), "{listed}");
    let value = &user["values"][0];
    assert_eq!((&value["id"], &value["value"]), (&json!(ada.user), &json!("ada@example.com")), "{listed}");
}

#[tokio::test]
async fn a_process_without_the_proxy_lists_limits_without_their_state() {
    let world = World::start_apart().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    world.configure(|running| running.traffic = limited(LIMITED).traffic);
    let listed = get(world.address, PATH, &[&session.bearer()]).await.json();
    let kinds: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|limit| &limit["kind"]).collect();
    // Quotas of users are those of the store.
    let expected = ["rate_limit", "rate_limit", "rate_limit", "without_key", "credits_per_day"];
    assert_eq!((&listed["is_live"], kinds.as_slice()), (&json!(false), &expected.map(Value::from).each_ref()[..]));
    let busy: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|limit| &limit["busy_keys"]).collect();
    assert_eq!(busy, [&Value::Null, &Value::Null, &Value::Null, &Value::Null, &json!(0)], "{listed}");
}

#[tokio::test]
async fn only_an_admin_sees_who_is_near_a_limit() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    get(world.address, PATH, &[&session.bearer()]).await.refuses(403, "forbidden");
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}
