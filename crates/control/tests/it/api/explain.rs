use access::Role;
use control::nouns::explanation::{
    ExplanationQuery, ExplanationSources, HolderName, LiveCounters, StatefulExplanation,
};
use serde_json::{Value, json};

use crate::client::{get, post};
use crate::world::World;

const PATH: &str = "/api/explain";

#[tokio::test]
async fn an_admin_sees_what_happens_to_a_request() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let explain = async |body: &Value| post(world.address, PATH, &[&session.bearer()], &body.to_string()).await;
    let call = explain(&json!({"method": "POST", "url": "https://api.example.com/v1/messages"})).await;
    let explained = call.json();
    assert_eq!(
        (&explained["route"]["name"], &explained["action"]["format"], &explained["status"]),
        (&json!("/v1/messages"), &json!("messages"), &json!(401)),
        "{call:?}"
    );
    let with_key =
        explain(&json!({"method": "POST", "url": "/v1/messages", "headers": {"X-Api-Key": "tg_1"}})).await.json();
    assert_eq!((&with_key["authentication"]["has_credential"], &with_key["status"]), (&json!(true), &Value::Null));
    let unknown = explain(&json!({"url": "/nowhere?a=b"})).await.json();
    assert_eq!((&unknown["request"]["method"], &unknown["status"]), (&json!("GET"), &json!(404)));
}

#[tokio::test]
async fn a_request_that_the_gateway_would_refuse_is_refused() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    for body in [
        json!({"url": "/a/../b"}),
        json!({"url": "ftp://example.com/"}),
        json!({"url": "/a b"}),
        json!({"url": "/", "method": "G T"}),
        json!({"url": "/", "headers": {"a": "b\r\nc: d"}}),
    ] {
        post(world.address, PATH, &[&session.bearer()], &body.to_string()).await.refuses(422, "unprocessable");
    }
    let unknown = json!({"url": "/", "path": "/"}).to_string();
    post(world.address, PATH, &[&session.bearer()], &unknown).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn only_an_admin_sees_the_configuration() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let body = json!({"url": "/"}).to_string();
    post(world.address, PATH, &[&session.bearer()], &body).await.refuses(403, "forbidden");
    post(world.address, PATH, &[], &body).await.refuses(401, "unauthorized");
}

/// The snapshot of a configuration with rate limits and routes.
pub(super) fn limited(yaml: &str) -> config::Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, yaml).unwrap();
    let environment = config::Environment::default();
    let sources = config::Sources { file: Some(&file), environment: &environment, flags: config::Flags::default() };
    config::load(sources).unwrap().snapshot
}

const LIMITED: &str = "rate_limits: [{dimension: ip, limit: 4, window: 60s}, {dimension: key, limit: 8, window: 60s}, {dimension: ip, limit: 9, window: 60s, without: key}]\n\
    routes: [{name: a, path: /a, respond: {}}, {name: open, path: /open, auth: {type: none}, respond: {}}]\n";

/// Two models of one provider.
const MODELS: &str = "\
providers:
  - {name: openai, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: sk-of-a-test}
models:
  - {name: fast, targets: [{provider: openai, model: a}]}
  - {name: slow, targets: [{provider: openai, model: b}]}
";

#[tokio::test]
async fn the_state_of_limits_is_that_of_the_key_and_the_address() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let snapshot = limited(LIMITED);
    let now = world.clock.mono();
    let rules = snapshot.traffic.rate_limits.all().to_vec();
    let counters = world.meter.rules().counters(rules.iter().map(|rule| &rule.id));
    let mut key = meter::limiter::key::LimitKey::new();
    meter::limiter::key::push_address(&mut key, "192.0.2.1".parse().unwrap());
    let terms = rules[0].usual.as_ref().unwrap().terms;
    for _ in 0..3 {
        counters[0].take(&key, terms, now).unwrap();
    }
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    world.has_spent(ada.caller, world.clock.now().day(), 12);

    let explain = async |body: &Value| post(world.address, PATH, &[&session.bearer()], &body.to_string()).await;
    let body = json!({"url": "/a", "as": ada.key.0, "address": "192.0.2.1"});
    let explained = explain(&body).await.json();
    assert_eq!((&explained["as"]["user_name"], &explained["refusal"]), (&json!("ada"), &Value::Null), "{explained}");
    let left: Vec<&Value> = explained["limits"].as_array().unwrap().iter().map(|limit| &limit["remaining"]).collect();
    assert_eq!(left, [&json!(1), &json!(8)], "{explained}");
    assert!(explained["limits"][0]["resets_at"].is_string() && explained["limits"][1]["resets_at"].is_null());
    assert_eq!(explained["budgets"][0]["remaining"], json!(988), "{explained}");

    let without = explain(&json!({"url": "/a"})).await.json();
    assert_eq!((&without["status"], &without["as"]), (&json!(401), &Value::Null));
    let kinds: Vec<&Value> = without["limits"].as_array().unwrap().iter().map(|limit| &limit["kind"]).collect();
    assert_eq!(kinds, ["rate_limit", "rate_limit", "without_key"], "{without}");
    assert!(without["limits"].as_array().unwrap().iter().all(|limit| limit["reason"].is_string()), "{without}");
    explain(&json!({"url": "/a", "as": "0199aa00-0000-7000-8000-00000000dead"})).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_request_whose_quota_or_rate_limit_is_used_up_is_explained_as_refused() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let snapshot = limited(
        "rate_limits: [{dimension: ip, limit: 4, window: 60s}]\n\
         upstreams: [{name: u, backends: [{url: 'http://127.0.0.1:9'}]}]\n\
         routes: [{name: a, path: /a, upstreams: u}, {name: own, path: /own, respond: {}}]\n",
    );
    let rules = snapshot.traffic.rate_limits.all().to_vec();
    let counters = world.meter.rules().counters(rules.iter().map(|rule| &rule.id));
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    world.has_spent(ada.caller, world.clock.now().day(), 1_000);
    let explain = async |path: &str| {
        let body = json!({"url": path, "as": ada.key.0, "address": "192.0.2.1"});
        post(world.address, PATH, &[&session.bearer()], &body.to_string()).await.json()
    };
    let of_quota = explain("/a").await;
    assert_eq!(
        (&of_quota["status"], &of_quota["refusal"]["code"]),
        (&json!(429), &json!("quota_exceeded")),
        "{of_quota}"
    );
    assert_eq!(
        of_quota["refusal"]["message"],
        "the quota is used up: 1000 credits a day for the user, from the plan: 1000 used, 0 left; it is full again at \
         2026-11-21T00:00:00Z"
    );
    assert_eq!(explain("/own").await["refusal"], Value::Null, "static responses are free");
    let mut key = meter::limiter::key::LimitKey::new();
    meter::limiter::key::push_address(&mut key, "192.0.2.1".parse().unwrap());
    let terms = rules[0].usual.as_ref().unwrap().terms;
    for _ in 0..4 {
        counters[0].take(&key, terms, world.clock.mono()).unwrap();
    }
    for path in ["/a", "/own"] {
        let of_rate = explain(path).await;
        assert_eq!(of_rate["refusal"]["code"], "rate_limited", "{of_rate}");
        let message = of_rate["refusal"]["message"].as_str().unwrap();
        assert!(
            message.starts_with(
                "the rate limit ip (:1:15) is used up: 4 requests, 4 used, 0 left; it is full again at 20"
            ),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_call_is_explained_with_the_models_and_limits_of_the_clients_plan() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let snapshot = limited(&format!(
        "{MODELS}rate_limits: []
plans:
  - {{name: starter, models: [fast], aliases: {{big: fast}}, rate_limits: [{{dimension: [user, model], limit: 3, window: 60s}}]}}
  - {{name: other, rate_limits: [{{dimension: user, limit: 5, window: 60s}}]}}
",
    ));
    let rules = snapshot.traffic.rate_limits.all().to_vec();
    let counters = world.meter.rules().counters(rules.iter().map(|rule| &rule.id));
    let mut key = meter::limiter::key::LimitKey::new();
    meter::limiter::key::push_user(&mut key, &access::Subject::Key(ada.caller)).unwrap();
    ["fast", "starter"].iter().for_each(|value| meter::limiter::key::push(&mut key, value.as_bytes()));
    counters[0].take(&key, rules[0].tier(Some("starter")).unwrap().terms, world.clock.mono()).unwrap();
    world.configure(|running| running.traffic = snapshot.traffic.clone());

    let explain = async |model: &str| {
        let body = json!({"method": "POST", "url": "/v1/chat/completions", "model": model, "as": ada.key.0});
        post(world.address, PATH, &[&session.bearer()], &body.to_string()).await.json()
    };
    for model in ["fast", "big"] {
        let explained = explain(model).await;
        assert_eq!(explained["action"]["targets"][0]["model"], "a", "{explained}");
        let [limit] = explained["limits"].as_array().unwrap().as_slice() else { panic!("{explained}") };
        assert_eq!((&limit["name"], &limit["remaining"]), (&json!("user+model"), &json!(2)), "{explained}");
        assert_eq!(explained["rate_limits"][0]["tiers"][0]["name"], "starter", "{explained}");
    }
    let refused = explain("slow").await;
    assert_eq!((&refused["status"], &refused["refusal"]["code"]), (&json!(404), &json!("model_not_found")));
    let listed = get(world.address, "/api/limits", &[&session.bearer()]).await.json();
    let [limit, ..] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let shown = (&limit["dimensions"], &limit["tiers"][0]["name"], &limit["keys"][0]["values"][1]["value"]);
    assert_eq!(shown, (&json!(["user", "model"]), &json!("starter"), &json!("fast")), "{listed}");
}

/// Routes whose clients have a plan, and no user.
const SUBJECTS: &str = "\
rate_limits: []
plans:
  - {name: forty, credits_per_day: 40, requests_per_minute: 60, budgets: [{credits: 60, per: month}]}
  - {name: starter, credits_per_day: 1000}
budgets: {limits: [{dimension: user, tokens: 500, per: day}]}
auth:
  - {name: partners, type: key, plan: forty, keys: [{name: acme, value: 0123456789abcdef}]}
  - {name: named, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef, plan: forty}
  - {name: claimed, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdeF, plan: {claim: tier}}
routes:
  - {path: /listed, auth: {type: key, use: partners}, respond: {}}
  - {path: /named, auth: {type: jwt, use: named}, respond: {}}
  - {path: /claimed, auth: {type: jwt, use: claimed}, respond: {}}
  - {path: /key, respond: {}}
  - {path: /any, auth: {any: [{type: key}, {type: key, use: partners}]}, respond: {}}
  - {path: /open, auth: {type: none}, respond: {}}
";

#[tokio::test]
async fn a_listed_key_has_the_quota_and_the_budgets_of_its_plan() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let snapshot = limited(SUBJECTS);
    let acme = snapshot.listed_client("partners/acme").unwrap();
    let subject = access::SubjectId::from_subject(&acme.subject).unwrap();
    world.subject_has_spent(subject, acme.plan.unwrap(), 15);
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let explain = async |body: &Value| post(world.address, PATH, &[&session.bearer()], &body.to_string()).await;
    for path in ["/listed", "/any"] {
        let explained = explain(&json!({"url": path, "as": "partners/acme"})).await.json();
        assert_eq!((&explained["refusal"], &explained["as"]), (&Value::Null, &Value::Null), "{explained}");
        assert_eq!((&explained["subject"]["name"], &explained["subject"]["plan"]), (&json!("acme"), &json!("forty")));
        let [quota, month] = explained["budgets"].as_array().unwrap().as_slice() else { panic!("{explained}") };
        assert_eq!((&quota["dimension"], &quota["source"]), (&json!("subject"), &json!("plan")), "{explained}");
        let state = |of: &Value| [&of["credits"], &of["used"], &of["remaining"]].map(|n| n.as_u64().unwrap());
        assert_eq!((state(quota), state(month)), ([40, 15, 25], [60, 15, 45]), "{explained}");
        assert_eq!(
            (&quota["resets_at"], &month["resets_at"]),
            (&json!("2026-11-21T00:00:00Z"), &json!("2026-12-01T00:00:00Z"))
        );
        assert_eq!(quota["place"], json!(":3:5"), "the running configuration has no file: {explained}");
        assert_eq!((&quota["reason"], &explained["budgets_reason"]), (&Value::Null, &Value::Null), "{explained}");
        let rate = explained["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == "token_plan").unwrap();
        assert_eq!((&rate["limit"], &rate["remaining"]), (&json!(60), &json!(60)), "{explained}");
    }
    let elsewhere = explain(&json!({"url": "/key", "as": "partners/acme"})).await.json();
    assert_eq!((&elsewhere["status"], &elsewhere["budgets"]), (&json!(401), &json!([])), "{elsewhere}");
    explain(&json!({"url": "/listed", "as": "partners/bolt"})).await.refuses(404, "not_found");
    explain(&json!({"url": "/listed", "as": "acme"})).await.refuses(422, "unprocessable");
}

#[tokio::test]
async fn quotas_of_an_unknown_client_have_the_reason_why_their_use_is_unknown() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    world.configure(|running| running.traffic = limited(SUBJECTS).traffic);
    let explain = async |path: &str| {
        post(world.address, PATH, &[&session.bearer()], &json!({"url": path}).to_string()).await.json()
    };
    for (path, reason) in
        [("/named", "the subject of the access token"), ("/listed", "it depends on the key, which is not given")]
    {
        let explained = explain(path).await;
        let [quota, _] = explained["budgets"].as_array().unwrap().as_slice() else { panic!("{explained}") };
        assert_eq!((&quota["credits"], &quota["used"], &quota["remaining"]), (&json!(40), &Value::Null, &Value::Null));
        assert!(quota["reason"].as_str().unwrap().contains(reason), "{explained}");
        assert_eq!(explained["budgets_reason"], Value::Null, "{explained}");
    }
    for (path, reason) in [("/claimed", "the claim `tier` of the token"), ("/key", "the key, which is not given")] {
        let explained = explain(path).await;
        assert_eq!(explained["budgets"], json!([]), "{explained}");
        assert!(explained["budgets_reason"].as_str().unwrap().contains(reason), "{explained}");
    }
    let open = explain("/open").await;
    assert_eq!((&open["budgets"], &open["budgets_reason"]), (&json!([]), &Value::Null), "{open}");
}

#[tokio::test]
async fn budgets_of_a_key_have_their_lines_in_the_file() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    world.configure(|running| running.traffic = limited(SUBJECTS).traffic);
    let explain = async || {
        let body = json!({"url": "/key", "as": ada.key.0}).to_string();
        post(world.address, PATH, &[&session.bearer()], &body).await.json()
    };
    let explained = explain().await;
    let places: Vec<(&str, &str)> = explained["budgets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| (of["source"].as_str().unwrap(), of["place"].as_str().unwrap()))
        .collect();
    assert_eq!(places, [("plan", ":4:5"), ("configuration", ":5:20")], "{explained}");
    let plan = access::Plan { credits_per_day: Some(access::Credits::whole(7)), ..access::Plan::unlimited("starter") };
    world.configure(|running| {
        running.traffic.plans.iter_mut().filter(|of| of.name == "starter").for_each(|of| *of = plan.clone());
    });
    assert_eq!(explain().await["budgets"][0]["place"], Value::Null, "the store has another quota than the file");
}

#[tokio::test]
async fn a_key_that_is_not_valid_for_the_request_is_refused() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    world.configure(|running| running.traffic = limited(LIMITED).traffic);
    world.store.revoke_key(&store::Actor::SYSTEM, ada.key).await.unwrap();
    let body = json!({"url": "/a", "as": ada.key.0}).to_string();
    let explained = post(world.address, PATH, &[&session.bearer()], &body).await.json();
    assert_eq!((&explained["refusal"]["code"], &explained["status"]), (&json!("key_revoked"), &json!(401)));
}

#[tokio::test]
async fn a_key_that_may_not_use_the_model_is_refused_also_if_the_model_does_not_exist() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    world.configure(|running| running.traffic = limited(MODELS).traffic);
    let bound = store::KeyChange { models: Some(Some(vec!["fast".to_owned()])), ..store::KeyChange::default() };
    world.store.change_key(&store::Actor::SYSTEM, ada.key, bound).await.unwrap();
    let check = async |path: &str, model: Option<&str>, expected: (Value, Value)| {
        let body = json!({"method": "POST", "url": path, "model": model, "as": ada.key.0}).to_string();
        let explained = post(world.address, PATH, &[&session.bearer()], &body).await.json();
        let refusal = (explained["refusal"]["code"].clone(), explained["status"].clone());
        assert_eq!(refusal, expected, "{path} {model:?} {explained}");
    };
    let chat = "/v1/chat/completions";
    for model in [Some("fast"), None] {
        check(chat, model, (Value::Null, Value::Null)).await;
    }
    // No provider serves this endpoint.
    let embedding = "/v1beta/models/nowhere:embedContent";
    check(chat, Some("slow"), (json!("forbidden"), json!(403))).await;
    for of_path in ["/v1beta/models/slow:generateContent", embedding] {
        check(of_path, None, (json!("forbidden"), json!(403))).await;
    }
    let all = store::KeyChange { models: Some(None), ..store::KeyChange::default() };
    world.store.change_key(&store::Actor::SYSTEM, ada.key, all).await.unwrap();
    check(embedding, None, (json!("model_not_found"), json!(404))).await;
}

#[tokio::test]
async fn a_key_decides_about_a_route_that_accepts_several_credentials() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    let yaml = LIMITED.replace(
        "{name: a, path: /a, respond: {}}",
        "{name: a, path: /a, auth: {any: [{type: key}, {type: none}]}, respond: {}}",
    );
    world.configure(|running| running.traffic = limited(&yaml).traffic);
    let body = json!({"url": "/a", "as": ada.key.0, "address": "192.0.2.1"}).to_string();
    let explain = async |body: &str| post(world.address, PATH, &[&session.bearer()], body).await.json();
    let valid = explain(&body).await;
    assert_eq!(
        (&valid["refusal"], &valid["authentication"]["alternatives"][0]["decides"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(valid["limits"][1]["remaining"], json!(8), "the limit of keys counts it: {valid}");
    world.store.revoke_key(&store::Actor::SYSTEM, ada.key).await.unwrap();
    let revoked = explain(&body).await;
    assert_eq!((&revoked["refusal"]["code"], &revoked["status"]), (&json!("key_revoked"), &json!(401)));
    let without = explain(&json!({"url": "/a"}).to_string()).await;
    assert_eq!((&without["status"], &without["limits"][2]), (&json!(200), &Value::Null), "no credential is needed");
}

#[tokio::test]
async fn a_node_that_shares_limits_says_what_it_has_counted() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let snapshot = limited(LIMITED);
    let now = world.clock.mono();
    let rule = &snapshot.traffic.rate_limits.all()[0];
    let counters = world.meter.rules().counters(std::iter::once(&rule.id));
    let mut key = meter::limiter::key::LimitKey::new();
    meter::limiter::key::push_address(&mut key, "192.0.2.1".parse().unwrap());
    let nodes = std::num::NonZeroU32::new(2).unwrap();
    counters[0].take(&key, rule.usual.as_ref().unwrap().terms.share(nodes), now).unwrap();
    let unauthenticated = meter::window::counts::WindowCounts::default();
    let counters = LiveCounters { meter: &world.meter, unauthenticated: &unauthenticated, nodes: Some(nodes) };
    let board = telemetry::BackendBoard::default();
    let sources = ExplanationSources {
        store: &world.store,
        snapshot: &snapshot,
        clock: &world.clock,
        counters: Some(counters),
        board: &board,
    };
    let query = |key: Option<access::KeyId>| ExplanationQuery {
        request: config::WrittenRequest::parse("/a", &[]).unwrap(),
        holder: key.map(HolderName::Key),
        address: Some("192.0.2.1".parse().unwrap()),
    };
    let part = |remaining, share| {
        format!(
            "nodes share the limit through Redis; without Redis, this node would now admit {remaining} of its share of \
             {share} requests"
        )
    };
    for (key, expected) in [(Some(ada.key), [part(1, 2), part(4, 4)]), (None, [part(1, 2), part(9, 9)])] {
        let explained = StatefulExplanation::explain(sources, query(key)).await.unwrap();
        let explained = serde_json::to_value(explained).unwrap();
        let limits = explained["limits"].as_array().unwrap();
        let parts: Vec<&str> = limits.iter().filter_map(|limit| limit["reason"].as_str()).collect();
        let parts: Vec<&str> = parts.into_iter().filter(|reason| reason.starts_with("nodes")).collect();
        assert_eq!(parts, expected, "{explained}");
        assert!(limits.iter().all(|limit| limit["remaining"].is_null()), "no node knows the rest: {explained}");
    }
}

#[tokio::test]
async fn a_process_without_the_proxy_says_that_it_does_not_know_the_state() {
    let world = World::start_apart().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let ada = world.holder("ada", "starter").await;
    world.configure(|running| running.traffic = limited(LIMITED).traffic);
    let body = json!({"url": "/a", "as": ada.key.0, "address": "192.0.2.1"}).to_string();
    let explained = post(world.address, PATH, &[&session.bearer()], &body).await.json();
    for limit in explained["limits"].as_array().unwrap() {
        assert!(
            limit["remaining"].is_null() && limit["reason"].as_str().unwrap().contains("another process"),
            "{limit}"
        );
    }
    assert_eq!(explained["budgets"][0]["remaining"], json!(1_000), "the store knows budgets: {explained}");
}

#[tokio::test]
async fn the_address_of_the_client_is_compared_with_those_of_the_route() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let route = "{path: /a, auth: {type: none}, addresses: {deny: [192.0.2.0/24]}, respond: {}}";
    world.configure(|running| running.traffic = limited(&format!("routes: [{route}]\n")).traffic);
    for (address, status) in [("192.0.2.1", 403), ("198.51.100.1", 200)] {
        let body = json!({"url": "/a", "address": address}).to_string();
        let explained = post(world.address, PATH, &[&session.bearer()], &body).await.json();
        assert_eq!(explained["status"], status, "{explained}");
    }
}
