//! The settings of insights, and the review of a day.

use std::time::Duration;

use access::{NanoUsd, Role};
use serde_json::{Value, json};

use super::labels::labelled;
use super::{date, node_ends, time_at};
use crate::api::reloads::execute;
use crate::client::{Answer, call, get};
use crate::world::{Holder, World, event};

const JSON: &str = "Content-Type: application/json";

/// Signs in a person with these roles; returns the header with the token.
async fn person(world: &World, name: &str, roles: &[&str]) -> String {
    granted(world, name, roles.iter().map(|role| json!({"role": role})).collect()).await
}

/// Signs in a person with these grants; returns the header with the token.
async fn granted(world: &World, name: &str, grants: Vec<Value>) -> String {
    let person = world.person_with(name, Role::Member).await;
    let body = json!({"grants": grants}).to_string();
    let root = super::admin_named(world, &format!("root-{name}")).await;
    let changed = call(world.address, &format!("PATCH /api/users/{}", person.user), &[JSON, &root], &body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["grants"].as_array().unwrap().len(), grants.len());
    world.sign_in(&person).await.bearer()
}

async fn post(world: &World, path: &str, bearer: &str, body: &Value) -> Answer {
    call(world.address, &format!("POST {path}"), &[JSON, bearer], &body.to_string()).await
}

async fn sign(world: &World, bearer: &str, body: Value) -> Answer {
    // Decisions are in the order of their times.
    world.clock.advance(Duration::from_millis(1));
    post(world, "/review/signoff", bearer, &body).await
}

/// A world with usage of yesterday whose node has ended.
async fn complete_world() -> (World, Holder) {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, time_at(1, 1), Some(NanoUsd(900)))]).await;
    node_ends(&world).await;
    (world, ada)
}

#[tokio::test]
async fn roles_approve_a_day_and_late_usage_reopens_it() {
    let (world, ada) = complete_world().await;
    let lead = person(&world, "lead", &["team_lead"]).await;
    let finance = person(&world, "fin", &["finance"]).await;
    let status = async |bearer: &str| get(world.address, "/review/status", &[bearer]).await.json();
    assert_eq!((&status(&lead).await["state"], &status(&lead).await["id"]), (&json!("ready"), &json!(date(1))));

    let version = status(&lead).await["figures_version"].as_u64().unwrap();
    let other = json!({"role": "team_lead", "approve": true, "figures_version": version + 1});
    assert!(sign(&world, &lead, other).await.refuses(409, "conflict").contains("read them again"));
    let partly = sign(&world, &lead, json!({"role": "team_lead", "approve": true, "figures_version": version})).await;
    assert_eq!(partly.json()["state"], "partly_approved", "{partly:?}");
    let twice = sign(&world, &lead, json!({"role": "team_lead", "approve": true})).await;
    assert!(twice.refuses(409, "conflict").contains("before"), "{twice:?}");
    let approved = sign(&world, &finance, json!({"role": "finance", "approve": true, "comment": "as billed"})).await;
    assert_eq!(approved.json()["state"], "approved", "{approved:?}");
    assert_eq!(approved.json()["history"][1]["comment"], "as billed");
    assert!(approved.json()["history"][1]["user"]["name"].is_string(), "{approved:?}");

    world.record(vec![event(ada.caller, time_at(1, 9), Some(NanoUsd(33)))]).await;
    node_ends(&world).await;
    let reopened = status(&finance).await;
    assert_eq!(reopened["state"], "reopened", "{reopened}");
    let difference = &reopened["difference"];
    assert_eq!((&difference["requests"], &difference["cost"]["amount_nano"]), (&json!(1), &json!(33)));
    assert_eq!(reopened["history"].as_array().unwrap().len(), 2);
    assert!(reopened["required"].as_array().unwrap().iter().all(|role| role["state"] == "waiting"));
    let again = sign(&world, &lead, json!({"role": "team_lead", "approve": true})).await.json();
    assert_eq!((&again["state"], &again["difference"]), (&json!("partly_approved"), &Value::Null));
    let rejected = sign(&world, &finance, json!({"role": "finance", "approve": false, "comment": "no"})).await.json();
    assert_eq!(rejected["state"], "rejected");
    let page = world.store.audit_page(&store::AuditFilter::default(), None, 50).await.unwrap();
    assert_eq!(page.lines.iter().filter(|line| line.action == "review.signoff").count(), 4);
}

/// The lead of a label and the role `finance` sign off the usage with the label, beside the review of all users.
#[tokio::test]
async fn the_usage_with_a_label_is_signed_off_on_its_own() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let of = |seconds, nano, label| labelled(event(ada.caller, time_at(1, seconds), Some(NanoUsd(nano))), label);
    world.record(vec![of(1, 900, "team=payments"), of(2, 40, "team=core")]).await;
    node_ends(&world).await;
    let lead_of = |label: &str| vec![json!({"role": "team_lead", "label": label})];
    let lead = granted(&world, "lead", lead_of("team=payments")).await;
    let finance = person(&world, "fin", &["finance"]).await;
    let id = format!("{}~team=payments", date(1));
    let status =
        async |query: &str, bearer: &str| get(world.address, &format!("/review/status{query}"), &[bearer]).await.json();
    let of_label = format!("?id={id}");
    // It is the widest scope of the lead.
    for query in ["", &of_label, &format!("?id={}", date(1))] {
        let ready = status(query, &lead).await;
        assert_eq!((&ready["id"], &ready["state"]), (&json!(id), &json!("ready")), "{query}");
        assert_eq!(ready["scope"], json!({"kind": "label", "label": "team=payments"}));
        let roles: Vec<_> = ready["required"].as_array().unwrap().iter().map(|of| of["role"].clone()).collect();
        assert_eq!(roles, ["team_lead", "finance"]);
    }
    sign(&world, &lead, json!({"role": "finance", "approve": true})).await.refuses(403, "forbidden");
    let partly = sign(&world, &lead, json!({"role": "team_lead", "approve": true})).await.json();
    assert_eq!((&partly["id"], &partly["state"]), (&json!(id), &json!("partly_approved")));
    let twice = sign(&world, &lead, json!({"role": "team_lead", "approve": true, "id": id})).await;
    assert!(twice.refuses(409, "conflict").contains("before"), "{twice:?}");
    let approved = sign(&world, &finance, json!({"role": "finance", "approve": true, "id": id})).await.json();
    assert_eq!(approved["state"], "approved", "{approved}");
    // The review of all users has no decision, and the same person may decide about it.
    let all = status("", &finance).await;
    assert_eq!((&all["id"], &all["state"], &all["history"]), (&json!(date(1)), &json!("ready"), &json!([])));
    let all = sign(&world, &finance, json!({"role": "finance", "approve": true})).await.json();
    assert_eq!(all["state"], "partly_approved");
    assert_eq!(status(&of_label, &finance).await["history"].as_array().unwrap().len(), 2);

    world.record(vec![of(9, 33, "team=payments"), of(10, 7, "team=core")]).await;
    node_ends(&world).await;
    let reopened = status("", &lead).await;
    assert_eq!(reopened["state"], "reopened", "{reopened}");
    let difference = &reopened["difference"];
    assert_eq!((&difference["requests"], &difference["cost"]["amount_nano"]), (&json!(1), &json!(33)));
}

#[tokio::test]
async fn a_foreign_and_an_absent_label_have_the_same_response() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let paid = event(ada.caller, time_at(1, 1), Some(NanoUsd(900)));
    world.record(vec![labelled(paid, "team=payments"), event(ada.caller, time_at(1, 2), Some(NanoUsd(7)))]).await;
    node_ends(&world).await;
    let core = granted(&world, "core", vec![json!({"role": "team_lead", "label": "team=core"})]).await;
    let member = person(&world, "member", &[]).await;
    let finance = person(&world, "fin", &["finance"]).await;
    let mut messages = Vec::new();
    let foreign = [(&core, "team=payments"), (&member, "team=payments"), (&core, "team=none"), (&finance, "team=none")];
    // Nothing has the label of this lead yet.
    for (bearer, label) in foreign.into_iter().chain([(&core, "team=core")]) {
        let id = format!("{}~{label}", date(1));
        let seen = get(world.address, &format!("/review/status?id={id}"), &[bearer]).await;
        messages.push(seen.refuses(404, "not_found"));
        let signed = sign(&world, bearer, json!({"role": "team_lead", "approve": true, "id": id})).await;
        messages.push(signed.refuses(404, "not_found"));
    }
    let user = format!("/review/status?id={}~user={}", date(1), ada.user);
    messages.push(get(world.address, &user, &[&finance]).await.refuses(404, "not_found"));
    messages.dedup();
    assert_eq!(messages, ["no review with this id is visible to you"]);
}

#[tokio::test]
async fn a_decision_is_refused_with_its_reason() {
    let (world, ada) = complete_world().await;
    let finance = person(&world, "fin", &["finance"]).await;
    let lead = person(&world, "lead", &["team_lead"]).await;
    for role in [String::new(), "é".repeat(51)] {
        sign(&world, &finance, json!({"role": role, "approve": true})).await.refuses(400, "bad_request");
    }
    // 50 characters are allowed, and are not a role that signs off.
    let long = sign(&world, &finance, json!({"role": "é".repeat(50), "approve": true})).await;
    long.refuses(422, "unprocessable");
    let long = json!({"role": "finance", "approve": true, "comment": "x".repeat(1_001)});
    sign(&world, &finance, long).await.refuses(400, "bad_request");
    sign(&world, &finance, json!({"role": "finance", "approve": false})).await.refuses(422, "unprocessable");
    sign(&world, &lead, json!({"role": "finance", "approve": true})).await.refuses(403, "forbidden");
    let by_key = sign(&world, &ada.bearer(), json!({"role": "finance", "approve": true})).await;
    by_key.refuses(403, "forbidden");
    let today = sign(&world, &finance, json!({"role": "finance", "approve": true, "id": "today"})).await;
    let message = today.refuses(409, "conflict");
    assert!(message.starts_with("the day is not over; it ends at "), "{message}");
    for id in ["9999-12-31", "test-001", "today~team=payments"] {
        let unknown = sign(&world, &finance, json!({"role": "finance", "approve": true, "id": id})).await;
        unknown.refuses(404, "not_found");
        get(world.address, &format!("/review/status?id={id}"), &[&finance]).await.refuses(404, "not_found");
    }
    get(world.address, "/review/status", &[&ada.bearer()]).await.refuses(404, "not_found");
    get(world.address, "/review/status?of=1", &[&finance]).await.refuses(400, "bad_request");
    // A node that has not reported its usage.
    let other = tempfile::tempdir().unwrap();
    world.store.join(other.path(), "9.8.7").await.unwrap();
    let open = sign(&world, &finance, json!({"role": "finance", "approve": true, "id": date(1)})).await;
    let message = open.refuses(409, "conflict");
    assert!(message.starts_with("1 node has not stored"), "{message}");
}

#[tokio::test]
async fn finance_sees_all_users_and_a_lead_only_the_own_usage() {
    let (world, _) = complete_world().await;
    let finance = person(&world, "fin", &["finance"]).await;
    let lead = person(&world, "lead", &["team_lead"]).await;
    let path = format!("/brief/{}", date(1));
    let all = get(world.address, &path, &[&finance]).await.json();
    assert_eq!((&all["scope"]["kind"], &all["spend"]["requests"]), (&json!("all"), &json!(1)));
    let own = get(world.address, &path, &[&lead]).await.json();
    assert_eq!((&own["scope"]["kind"], &own["spend"]["requests"]), (&json!("user"), &json!(0)));
    get(world.address, &format!("{path}~user={}", uuid::Uuid::from_u128(7)), &[&lead]).await.refuses(404, "not_found");
}

#[tokio::test]
async fn settings_are_changed_over_a_known_version_only() {
    let (world, ada) = complete_world().await;
    let finance = person(&world, "fin", &["finance"]).await;
    let first = get(world.address, "/config", &[&finance]).await;
    assert_eq!((first.headers["etag"].as_str(), &first.json()["version"]), ("\"1\"", &json!(1)));
    get(world.address, "/config", &[&ada.bearer()]).await.refuses(403, "forbidden");
    let root = super::admin_named(&world, "root").await;
    let mut settings = first.json();
    settings["rules"] = json!([{"name": "nightly", "class": "batch", "when": {"route": ["ai"]}, "confidence": 0.5}]);
    settings["signoff"]["roles"] = json!(["finance"]);
    let change = async |tag: &str, body: &Value| {
        let tag = format!("If-Match: {tag}");
        call(world.address, "POST /config", &[JSON, &root, &tag], &body.to_string()).await
    };
    post(&world, "/config", &finance, &settings).await.refuses(400, "bad_request");
    change("\"2\"", &settings).await.refuses(409, "conflict");
    let changed = change("\"1\"", &settings).await;
    assert_eq!((changed.status, changed.headers["etag"].as_str()), (200, "\"2\""), "{changed:?}");
    change("\"1\"", &settings).await.refuses(409, "conflict");
    assert_eq!(change("*", &settings).await.json()["version"], 3);

    // The new rule decides, and one role is sufficient.
    let brief = get(world.address, &format!("/brief/{}", date(1)), &[&finance]).await.json();
    assert_eq!((&brief["classes"], &brief["rules_version"]), (&json!([{"class": "batch", "requests": 1}]), &json!(3)));
    assert_eq!(brief["built_in_rules_version"], json!(insights::rules::BUILT_IN_VERSION));
    let approved = sign(&world, &finance, json!({"role": "finance", "approve": true})).await.json();
    assert_eq!(approved["state"], "approved");

    settings["forecast"]["interval"] = json!(0.85);
    let message = change("*", &settings).await.refuses(422, "unprocessable");
    assert!(message.contains("forecast.interval"), "{message}");
    settings["forecast"]["interval"] = json!(0.8);
    settings["rules"][0]["class"] = json!("unknown");
    let message = change("*", &settings).await.refuses(400, "bad_request");
    assert!(message.contains("expected one of agent_session"), "{message}");
    settings["rules"][0] = json!({"name": "n", "class": "batch", "when": {"path": ["x"]}, "confidence": 1});
    assert!(change("*", &settings).await.refuses(400, "bad_request").contains("path"));
}

#[tokio::test]
async fn an_approved_day_keeps_its_classes_until_usage_reopens_it() {
    let (world, ada) = complete_world().await;
    let finance = person(&world, "fin", &["finance", "team_lead"]).await;
    let lead = person(&world, "lead", &["team_lead"]).await;
    let root = super::admin_named(&world, "root").await;
    let change = async |class: &str| {
        let mut settings = get(world.address, "/config", &[&finance]).await.json();
        settings["rules"] = json!([{"name": "mine", "class": class, "when": {"route": ["ai"]}, "confidence": 0.5}]);
        let body = settings.to_string();
        let changed = call(world.address, "POST /config", &[JSON, &root, "If-Match: *"], &body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    };
    let classes = async |scope: &str| {
        let brief = get(world.address, &format!("/brief/{}{scope}", date(1)), &[&finance]).await.json();
        (brief["classes"][0]["class"].as_str().unwrap().to_owned(), brief["rules_version"].as_u64().unwrap())
    };
    let of_ada = format!("~user={}", ada.user.0);
    change("batch").await;
    sign(&world, &lead, json!({"role": "team_lead", "approve": true})).await;
    change("embedding").await;
    assert_eq!(classes("").await, ("embedding".to_owned(), 3), "one approval does not suffice");
    let approved = sign(&world, &finance, json!({"role": "finance", "approve": true})).await.json();
    assert_eq!(approved["state"], "approved");
    change("tool_loop").await;
    assert_eq!(classes("").await, ("embedding".to_owned(), 3), "the classes of the last approval");
    assert_eq!(classes(&of_ada).await, ("embedding".to_owned(), 3), "the rules of the approved day");
    world.record(vec![event(ada.caller, time_at(1, 9), Some(NanoUsd(33)))]).await;
    node_ends(&world).await;
    assert_eq!(classes("").await, ("tool_loop".to_owned(), 4), "a reopened day has the rules in force");
}

#[tokio::test]
async fn a_further_approval_keeps_the_classes_of_an_approved_day() {
    let (world, _) = complete_world().await;
    let finance = person(&world, "fin", &["finance"]).await;
    let other = person(&world, "cfo", &["finance"]).await;
    let lead = person(&world, "lead", &["team_lead"]).await;
    sign(&world, &lead, json!({"role": "team_lead", "approve": true})).await;
    sign(&world, &finance, json!({"role": "finance", "approve": true})).await;
    execute(&world, include_str!("no_requests.sql")).await;
    let again = sign(&world, &other, json!({"role": "finance", "approve": true})).await.json();
    assert_eq!(again["state"], "approved", "{again}");
    let day = access::Day::parse(&date(1)).unwrap();
    let decisions = ledger::Ledger::new(world.store.clone()).decisions(day, "all").await.unwrap();
    let of_finance = decisions.iter().filter(|of| of.role == "finance");
    let classes: Vec<Value> =
        of_finance.map(|of| serde_json::from_str::<Value>(&of.figures).unwrap()["classes"].clone()).collect();
    assert!(classes.len() == 2 && classes[0].is_object() && classes[0] == classes[1], "{classes:?}");
}

#[tokio::test]
async fn finance_cannot_change_the_roles_that_sign_off() {
    let (world, _) = complete_world().await;
    let finance = person(&world, "fin", &["finance"]).await;
    let mut settings = get(world.address, "/config", &[&finance]).await.json();
    settings["signoff"]["roles"] = json!(["finance"]);
    let change = async |body: &Value| {
        call(world.address, "POST /config", &[JSON, &finance, "If-Match: *"], &body.to_string()).await
    };
    assert!(change(&settings).await.refuses(403, "forbidden").contains("signoff.roles"));
    settings["signoff"]["roles"] = json!(["team_lead", "finance"]);
    settings["forecast"]["interval"] = json!(0.9);
    settings["roi"]["gateway_cost"]["amount_nano"] = json!(1);
    assert_eq!(change(&settings).await.status, 200);
    let page = world.store.audit_page(&store::AuditFilter::default(), None, 50).await.unwrap();
    let line = page.lines.iter().find(|line| line.action == "insights.change").unwrap();
    assert_eq!(line.detail["changed"], json!(["forecast", "roi"]));
}

#[tokio::test]
async fn grants_of_a_user_are_replaced_and_logged() {
    let (world, _) = complete_world().await;
    let bob = world.person_with("bob", Role::Member).await;
    let root = super::admin_named(&world, "root").await;
    let path = format!("/api/users/{}", bob.user);
    let change = async |grants: Value| {
        call(world.address, &format!("PATCH {path}"), &[JSON, &root], &json!({"grants": grants}).to_string()).await
    };
    let lead = json!([{"role": "finance", "label": null}, {"role": "team_lead", "label": "team=payments"}]);
    let changed =
        change(json!([{"role": "team_lead", "label": "team=payments"}, {"role": "finance"}, {"role": "finance"}]));
    assert_eq!(changed.await.json()["grants"], lead);
    assert_eq!(get(world.address, &path, &[&root]).await.json()["grants"], lead);
    let listed = get(world.address, "/api/users?email=bob@example.com", &[&root]).await.json();
    assert_eq!(listed["items"][0]["grants"], lead);
    for bad in [
        json!([{"role": ""}]),
        json!([{"role": "x".repeat(51)}]),
        json!([{"role": "team_lead", "label": "Team=x"}]),
        json!([{"role": "finnance"}]),
        json!([{"role": "finance", "label": "team=payments"}]),
    ] {
        change(bad).await.refuses(422, "unprocessable");
    }
    change(json!(vec![json!({"role": "a"}); 33])).await.refuses(422, "unprocessable");
    assert_eq!(change(json!([])).await.json()["grants"], json!([]));
    // Lines of the same time have no order.
    let page = world.store.audit_page(&store::AuditFilter::default(), None, 50).await.unwrap();
    let changes: Vec<_> = page.lines.iter().filter(|line| line.action == "user.change").collect();
    let removal = changes.iter().find(|line| line.detail["grants"] == json!([])).unwrap();
    assert_eq!(removal.detail["before"]["grants"][0], json!({"role": "finance"}));
}
