//! Labels of users and keys, and the usage that carries them.

use access::{ClientProgram, LabelSet, NanoUsd, Role};
use meter::{RequestOrigin, SessionHash, ToolUse, UsageEvent};
use serde_json::{Value, json};

use super::{admin, date, owned, time_at};
use crate::client::{call, get};
use crate::world::{World, event};

const JSON: &str = "Content-Type: application/json";

pub(super) fn labelled(event: UsageEvent, labels: &str) -> UsageEvent {
    UsageEvent { origin: RequestOrigin { labels: LabelSet::of_text(labels), ..event.origin }, ..event }
}

#[tokio::test]
async fn admins_label_users_and_keys_and_members_do_not() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let root = admin(&world).await;
    let patch = async |path: &str, bearer: &str, labels: &Value| {
        let body = json!({"labels": labels}).to_string();
        call(world.address, &format!("PATCH {path}"), &[JSON, bearer], &body).await
    };
    let user = format!("/api/users/{}", ada.user);
    let key = format!("/api/keys/{}", ada.key);
    let labels = json!({"team": "payments", "cost_centre": "r-1"});
    assert_eq!(patch(&user, &root, &labels).await.json()["labels"], labels);
    assert_eq!(get(world.address, &user, &[&root]).await.json()["labels"], labels);
    let own = json!({"team": "core"});
    assert_eq!(patch(&key, &root, &own).await.json()["labels"], own);
    // The key's labels override those of the user, and the proxy gets both.
    world.refresh().await;
    let principal =
        world.store.find_principal(access::KeyHash::from_key(ada.secret.as_bytes()).unwrap()).await.unwrap().unwrap();
    assert_eq!(principal.labels.as_str(), "cost_centre=r-1,team=core");
    patch(&key, &ada.bearer(), &json!({})).await.refuses(403, "forbidden");
    assert_eq!(get(world.address, &key, &[&ada.bearer()]).await.json()["labels"], own);
    let many: serde_json::Map<String, Value> = (0..9).map(|nth| (format!("l{nth}"), json!("a"))).collect();
    for bad in [json!({"Team": "a"}), json!({"team": "a\nb"}), json!({"team": ""}), Value::Object(many)] {
        patch(&user, &root, &bad).await.refuses(422, "unprocessable");
        patch(&key, &root, &bad).await.refuses(422, "unprocessable");
    }
    assert_eq!(patch(&user, &root, &json!({})).await.json()["labels"], json!({}));
    let page = world.store.audit_page(&store::AuditFilter::default(), None, 50).await.unwrap();
    assert!(
        page.lines
            .iter()
            .any(|line| line.action == "user.change" && line.detail["labels"] == "cost_centre=r-1,team=payments")
    );
    assert!(page.lines.iter().any(|line| line.action == "key.change" && line.detail["labels"]["after"] == "team=core"));
}

#[tokio::test]
async fn leads_see_the_usage_of_their_label_and_no_other() {
    let world = World::start().await;
    let [ada, bob] = [world.holder("ada", "starter").await, world.holder("bob", "endless").await];
    let events = vec![
        labelled(event(ada.caller, time_at(0, 1), Some(NanoUsd(1_500))), "team=payments,tier=gold"),
        labelled(event(bob.caller, time_at(0, 2), Some(NanoUsd(40))), "team=payments"),
        labelled(event(bob.caller, time_at(0, 3), Some(NanoUsd(7))), "team=core"),
        event(bob.caller, time_at(0, 4), Some(NanoUsd(1))),
    ];
    world.record(events).await;
    let root = admin(&world).await;
    let lead = world.person_with("lead", Role::Member).await;
    let grants = json!({"grants": [{"role": "team_lead", "label": "team=payments"}]}).to_string();
    call(world.address, &format!("PATCH /api/users/{}", lead.user), &[JSON, &root], &grants).await;
    let lead = world.sign_in(&lead).await.bearer();
    let see = async |path: &str, bearer: &str| get(world.address, path, &[bearer]).await;

    let path = format!("/brief/{}~team=payments", date(0));
    let brief = see(&path, &lead).await.json();
    assert_eq!((&brief["id"], &brief["spend"]["requests"]), (&json!(format!("{}~team=payments", date(0))), &json!(2)));
    assert_eq!(brief["spend"]["cost"]["amount_nano"], 1_540);
    assert_eq!(brief["scope"], json!({"kind": "label", "label": "team=payments"}));
    assert!(brief["headline"].as_str().unwrap().starts_with("payments spent"));
    // It is the widest scope of the lead, and admins see the same figures.
    assert_eq!(see("/brief/today", &lead).await.json()["spend"], brief["spend"]);
    assert_eq!(see(&path, &root).await.json()["spend"], brief["spend"]);
    let classes = see("/classify/today?scope=label:team=payments", &lead).await.json();
    assert_eq!((&classes["requests"], &classes["cost"]), (&json!(2), &brief["spend"]["cost"]));
    assert_eq!(see("/brief/today~team=core", &root).await.json()["spend"]["cost"]["amount_nano"], 7);

    let mut messages = Vec::new();
    for (label, bearer) in [("team=core", &lead), ("team=none", &lead), ("tier=gold", &lead), ("team=none", &root)] {
        messages.push(see(&format!("/brief/today~{label}"), bearer).await.refuses(404, "not_found"));
        messages.push(see(&format!("/classify/today?scope=label:{label}"), bearer).await.refuses(404, "not_found"));
    }
    messages.push(see("/brief/today~team=payments", &bob.bearer()).await.refuses(404, "not_found"));
    messages.push(see("/classify/today?scope=all", &lead).await.refuses(404, "not_found"));
    messages.dedup();
    assert_eq!(messages, ["no usage of this scope is visible to you"]);

    let series = see("/api/usage/series?by=label:team&scope=all", &root).await.json();
    assert_eq!(series["by"], "label:team");
    let groups: Vec<(Option<&str>, u64)> = series["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            (
                of["name"].as_str(),
                of["points"].as_array().unwrap().iter().map(|at| at["requests"].as_u64().unwrap()).sum(),
            )
        })
        .collect();
    assert_eq!(groups, [(Some("payments"), 2), (None, 1), (Some("core"), 1)]);
    let csv = see("/api/usage/series?by=label:team&format=csv", &bob.bearer()).await;
    assert!(csv.status == 200 && csv.body.contains(",core,"), "{csv:?}");
    for bad in ["by=label:", "by=label:te%20am", "by=label:team&step=hour", "by=label:team&model=fast"] {
        see(&format!("/api/usage/series?{bad}"), &root).await.refuses(400, "bad_request");
    }
}

/// Labels are those of the time of the request: a later change of the user or the key changes no stored usage.
#[tokio::test]
async fn an_event_keeps_the_labels_under_which_it_was_made() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let made = labelled(event(ada.caller, time_at(0, 1), Some(NanoUsd(1_500))), "team=payments");
    let later = labelled(event(ada.caller, time_at(0, 2), Some(NanoUsd(40))), "team=core");
    world.record(vec![made.clone()]).await;
    let root = admin(&world).await;
    let spent = async |label: &str| {
        world.clock.advance(std::time::Duration::from_secs(6));
        let brief = get(world.address, &format!("/brief/today~team={label}"), &[&root]).await;
        (brief.status == 200).then(|| brief.json()["spend"]["cost"]["amount_nano"].as_i64().unwrap())
    };
    assert_eq!((spent("payments").await, spent("core").await), (Some(1_500), None));
    let body = json!({"labels": {"team": "core"}}).to_string();
    for path in [format!("/api/users/{}", ada.user), format!("/api/keys/{}", ada.key)] {
        assert_eq!(call(world.address, &format!("PATCH {path}"), &[JSON, &root], &body).await.status, 200);
    }
    assert_eq!((spent("payments").await, spent("core").await), (Some(1_500), None));
    world.record(vec![later]).await;
    assert_eq!((spent("payments").await, spent("core").await), (Some(1_500), Some(40)));
    let stored = get(world.address, &format!("/api/usage/requests/{}", made.id.0), &[&ada.bearer()]).await.json();
    assert_eq!(stored["labels"], json!({"team": "payments"}));
}

/// The filter of series and of the list of requests.
#[tokio::test]
async fn usage_is_selected_by_a_label() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let events = vec![
        labelled(event(ada.caller, time_at(0, 1), Some(NanoUsd(1_500))), "team=payments,tier=gold"),
        labelled(event(bob.caller, time_at(0, 2), Some(NanoUsd(40))), "team=payments"),
        labelled(event(bob.caller, time_at(0, 3), Some(NanoUsd(7))), "team=core"),
        event(bob.caller, time_at(0, 4), Some(NanoUsd(2))),
    ];
    world.record(events).await;
    let root = admin(&world).await;
    let see = async |path: &str, bearer: &str| get(world.address, path, &[bearer]).await;
    let of_label = async |query: &str, bearer: &str| {
        let series = see(&format!("/api/usage/series?{query}"), bearer).await.json();
        let points = series["series"].as_array().unwrap().iter().flat_map(|of| of["points"].as_array().unwrap());
        points.map(|point| point["cost"]["amount_nano"].as_i64().unwrap()).sum::<i64>()
    };
    let ada = ada.bearer();
    let bob = bob.bearer();
    assert_eq!(of_label("label=team%3Dpayments&scope=all", &root).await, 1_540);
    assert_eq!(of_label("label=team=payments&scope=all&by=user", &root).await, 1_540);
    assert_eq!(of_label("label=team=payments&scope=all&by=label:tier", &root).await, 1_540);
    let around = "since=2026-11-20T11:59:00Z&until=2026-11-20T12:01:00Z";
    assert_eq!(of_label(&format!("label=team=payments&scope=all&step=minute&{around}"), &root).await, 1_540);
    assert_eq!(of_label("label=team=core", &bob).await, 7);
    assert_eq!(of_label("label=team=payments", &bob).await, 40, "a member sees the own usage");
    assert_eq!(of_label("label=team=none&scope=all", &root).await, 0);
    let listed = see("/api/usage/requests?label=tier=gold&scope=all", &root).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let listed = see("/api/usage/requests?label=tier=gold", &bob).await.json();
    assert_eq!(listed["items"], json!([]));
    for bad in ["label=team", "label==a", "label=team=", "label=a=b,c=d", "label=a=%0A", "label="] {
        see(&format!("/api/usage/series?{bad}"), &ada).await.refuses(400, "bad_request");
        see(&format!("/api/usage/requests?{bad}"), &ada).await.refuses(400, "bad_request");
    }
    for bad in ["step=hour", "by=key", "by=route", "by=status"] {
        see(&format!("/api/usage/series?label=team=core&{bad}"), &ada).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn programs_tools_and_sessions_decide_classes() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let of = |seconds, client, tools, session: Option<u8>| {
        let event = event(ada.caller, time_at(0, seconds), Some(NanoUsd(10)));
        let session = session.map(|session| SessionHash([session; 16]));
        UsageEvent { origin: RequestOrigin { client, tools, session, ..RequestOrigin::default() }, ..event }
    };
    let python = ClientProgram::OpenAiPython;
    let claude = labelled(of(1, ClientProgram::ClaudeCode, ToolUse::Called, Some(9)), "team=payments,tier=gold");
    let offered = of(2, python, ToolUse::Offered, None);
    let mut events = vec![claude.clone(), offered.clone(), of(3, python, ToolUse::Called, Some(2))];
    events.extend((4..7).map(|seconds| of(seconds, python, ToolUse::Called, Some(1))));
    world.record(events).await;
    let detail = async |event: &UsageEvent| {
        get(world.address, &format!("/api/usage/requests/{}", event.id.0), &[&ada.bearer()]).await.json()
    };
    let request = detail(&claude).await;
    assert_eq!(request["labels"], json!({"team": "payments", "tier": "gold"}));
    assert_eq!((&request["program"], &request["tool_use"]), (&json!("claude_code"), &json!("called")));
    let request = detail(&offered).await;
    assert_eq!((&request["labels"], &request["tool_use"]), (&json!({}), &json!("offered")));

    let classes = get(world.address, "/classify/today", &[&ada.bearer()]).await.json();
    let mut found = super::by_name(&classes["classes"], "class");
    found.sort();
    assert_eq!(found, owned(&[("agent_session", 1), ("chat", 2), ("tool_loop", 3)]));
}

#[tokio::test]
async fn a_brief_has_the_budget_in_money_of_its_scope() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let charge = meter::Charge::money(NanoUsd(1_500));
    world.record(vec![UsageEvent { charge, ..event(ada.caller, time_at(0, 1), Some(NanoUsd(1_500))) }]).await;
    let root = admin(&world).await;
    let budget = async |path: &str| get(world.address, path, &[&root]).await.json()["spend"]["budget"].clone();
    let of_ada = format!("/brief/today~user={}", ada.user);
    assert_eq!((budget("/brief/today").await, budget(&of_ada).await), (Value::Null, Value::Null));
    for (of, money) in [
        (format!("user/{}/money/day", ada.user), "1 USD"),
        (format!("user/{}/money/month", ada.user), "20 USD"),
        ("global/-/money/month".to_owned(), "500 USD"),
    ] {
        let body = json!({"money": money}).to_string();
        let set = call(world.address, &format!("PUT /api/budgets/{of}"), &[JSON, &root], &body).await;
        assert!(set.status < 300, "{set:?}");
    }
    // Figures of today are cached for a short time.
    let nano = |nano: u64| json!({"amount_nano": nano, "currency": "USD"});
    let expected = |limit: u64| json!({"per": "month", "limit": nano(limit), "used": nano(1_500)});
    world.clock.advance(std::time::Duration::from_secs(6));
    assert_eq!(budget(&of_ada).await, expected(20_000_000_000));
    assert_eq!(budget("/brief/today").await, expected(500_000_000_000));
    // A brief of an earlier month has no budget.
    assert_eq!(budget(&format!("/brief/{}", date(40))).await, Value::Null);
}
