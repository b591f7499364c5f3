use std::time::Duration;

use access::{Amount, Budget, BudgetId, BudgetScope, Credits, LimitPeriod, Measure, NanoUsd, PlanId, Role, Tokens};
use config::snapshot::{BudgetDimension, BudgetLimit};
use meter::{Charge, UsageEvent};
use serde_json::{Value, json};

use crate::client::{Answer, call, get};
use crate::person::BrowserSession;
use crate::world::{Holder, NOON, World, event};

const PATH: &str = "/api/budgets";

async fn administered() -> (World, BrowserSession) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn put(world: &World, by: &BrowserSession, budget: &str, body: &Value) -> Answer {
    let headers = [by.bearer(), "Content-Type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    call(world.address, &format!("PUT {PATH}/{budget}"), &headers, &body.to_string()).await
}

async fn delete(world: &World, by: &BrowserSession, budget: &str) -> Answer {
    call(world.address, &format!("DELETE {PATH}/{budget}"), &[&by.bearer()], "").await
}

async fn list(world: &World, by: &BrowserSession, query: &str) -> Value {
    let answer = get(world.address, &format!("{PATH}{query}"), &[&by.bearer()]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Returns the store's id of a plan.
async fn plan(world: &World, name: &str) -> PlanId {
    let plans = world.store.stored_plans().await.unwrap();
    plans.into_iter().find(|stored| stored.plan.name == name).unwrap().id
}

/// A user with 3 recorded credits, 300 tokens and a cost of 1,500 nano-USD.
async fn used(world: &World) -> Holder {
    let ada = world.holder("ada", "starter").await;
    let charge = Charge { credits: Credits::whole(3), tokens: Tokens(300), ..Charge::money(NanoUsd(1_500)) };
    world.record(vec![UsageEvent { charge, ..event(ada.caller, NOON, Some(access::NanoUsd(1_500))) }]).await;
    ada
}

#[tokio::test]
async fn a_budget_is_set_changed_listed_and_removed() {
    let (world, root) = administered().await;
    let ada = used(&world).await;
    let starter = plan(&world, "starter").await;
    for (budget, body, shown) in [
        (
            format!("user/{}/credits/day", ada.user),
            json!({"credits": 50}),
            json!({"dimension": "user", "id": ada.user, "name": "ada@example.com", "per": "day", "credits": 50, "used": 3,
                "remaining": 47, "resets_at": "2026-11-21T00:00:00Z", "source": "api"}),
        ),
        (
            format!("key/{}/money/month", ada.key),
            json!({"money": "20 USD"}),
            json!({"dimension": "key", "id": ada.key, "name": "ada", "per": "month", "money": "20 USD",
                "used": {"amount_nano": 1_500, "currency": "USD"},
                "remaining": {"amount_nano": 19_999_998_500_u64, "currency": "USD"}, "resets_at": "2026-12-01T00:00:00Z",
                "source": "api"}),
        ),
        (
            format!("plan/{starter}/credits/month"),
            json!({"credits": 2}),
            json!({"dimension": "plan", "id": starter, "name": "starter", "per": "month", "credits": 2, "used": 0,
                "remaining": 2, "resets_at": "2026-12-01T00:00:00Z", "source": "api"}),
        ),
        (
            "global/-/credits/day".to_owned(),
            json!({"credits": 2}),
            json!({"dimension": "global", "id": "-", "name": null, "per": "day", "credits": 2, "used": 3, "remaining": 0,
                "resets_at": "2026-11-21T00:00:00Z", "source": "api"}),
        ),
    ] {
        let answer = put(&world, &root, &budget, &body).await;
        assert_eq!((answer.status, answer.json()), (200, shown.clone()), "{budget}");
        let page = list(&world, &root, "").await;
        assert_eq!(page, json!({"items": [shown], "next": null}), "{budget}");
        let revision = world.store.revision().await.unwrap();
        assert_eq!(delete(&world, &root, &budget).await.status, 204, "{budget}");
        assert!(world.store.revision().await.unwrap() > revision, "other processes follow");
        assert_eq!(list(&world, &root, "").await["items"], json!([]), "{budget}");
        delete(&world, &root, &budget).await.refuses(404, "not_found");
    }
    let budget = "plan/starter/tokens/day";
    assert_eq!(put(&world, &root, budget, &json!({"tokens": 7})).await.json()["tokens"], 7);
    assert_eq!(put(&world, &root, budget, &json!({"tokens": 8})).await.json()["tokens"], 8);
    let window = format!("user/{}/credits/5h%2Ffirst_use", ada.user);
    let set = put(&world, &root, &window, &json!({"credits": 400})).await.json();
    assert_eq!((&set["per"], &set["remaining"]), (&json!("5h/first_use"), &json!(400)));
    let week =
        put(&world, &root, &format!("user/{}/credits/week%2Fsubscription", ada.user), &json!({"credits": 9})).await;
    assert!(week.json()["per"].as_str().unwrap().starts_with("week/20"), "{}", week.json());
    put(&world, &root, "global/-/credits/5h%2Ffirst_use", &json!({"credits": 1})).await.refuses(422, "unprocessable");
    for window in ["credits/5h%2Ffirst_use", "credits/week%2Fsubscription"] {
        assert_eq!(delete(&world, &root, &format!("user/{}/{window}", ada.user)).await.status, 204);
    }
    assert_eq!(list(&world, &root, "").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn configured_budgets_are_listed_first_on_all_pages() {
    let (world, root) = administered().await;
    let ada = used(&world).await;
    let limit = |dimension, amount| {
        let budget = Budget::new(Measure::Credits, LimitPeriod::Day, Measure::Credits.limit_of(amount));
        BudgetLimit { dimension, budget }
    };
    world.configure(|snapshot| {
        snapshot.traffic.budgets.limits = vec![limit(BudgetDimension::User, 5), limit(BudgetDimension::Global, 10)];
    });
    for (budget, body) in [("user", json!({"credits": 1})), ("key", json!({"credits": 2}))] {
        world.clock.advance(Duration::from_millis(1));
        let id = if budget == "user" { ada.user.to_string() } else { ada.key.to_string() };
        assert_eq!(put(&world, &root, &format!("{budget}/{id}/credits/day"), &body).await.status, 200);
    }
    let whole = list(&world, &root, "").await;
    let items = whole["items"].as_array().unwrap();
    let reported = |item: &Value| json!([item["dimension"], item["id"], item["credits"], item["used"], item["source"]]);
    assert_eq!(
        items.iter().map(reported).collect::<Vec<_>>(),
        [
            json!(["user", null, 5, null, "configuration"]),
            json!(["global", "-", 10, 3, "configuration"]),
            json!(["user", ada.user, 1, 3, "api"]),
            json!(["key", ada.key, 2, 3, "api"]),
        ]
    );
    let mut paged = Vec::new();
    let mut next = String::from("?limit=1");
    for _ in 0..4 {
        let page = list(&world, &root, &next).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        next = format!("?limit=1&cursor={}", page["next"].as_str().unwrap_or("none"));
    }
    assert_eq!((&paged, next.ends_with("none")), (items, true));
}

#[tokio::test]
async fn budgets_of_the_caller_are_listed_with_their_usage() {
    let (world, root) = administered().await;
    let ada = used(&world).await;
    let bob = world.holder("bob", "starter").await;
    let second = world.key(&ada, "second").await;
    let starter = plan(&world, "starter").await;
    world.configure(|snapshot| {
        let budget = Budget::new(Measure::Tokens, LimitPeriod::Month, Amount(1_000));
        snapshot.traffic.budgets.limits = [BudgetDimension::Key, BudgetDimension::User, BudgetDimension::Plan]
            .map(|dimension| BudgetLimit { dimension, budget })
            .to_vec();
    });
    for (budget, body) in [
        (format!("user/{}/credits/month", ada.user), json!({"credits": 90})),
        (format!("key/{}/credits/day", ada.key), json!({"credits": 2})),
        (format!("key/{}/credits/day", second.key), json!({"credits": 4})),
        (format!("user/{}/credits/month", bob.user), json!({"credits": 1})),
        ("global/-/money/month".to_owned(), json!({"money": "5 USD"})),
        (format!("plan/{starter}/credits/day"), json!({"credits": 70})),
    ] {
        assert_eq!(put(&world, &root, &budget, &body).await.status, 200, "{budget}");
    }
    world.refresh().await;
    let reported = |body: &Value| {
        let of = |budget: &Value| {
            // An amount that the user may not see is null, but its field is present.
            let measure =
                ["money", "credits", "tokens"].into_iter().find(|measure| budget.get(*measure).is_some()).unwrap();
            let dimension = budget["dimension"].as_str().unwrap();
            let per = budget["per"].as_str().unwrap();
            format!("{dimension} {measure} {per} {} {}", budget[measure], budget["source"].as_str().unwrap())
        };
        body["budgets"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let own = ["user credits day 1000 plan", "user credits month 90 api", "user tokens month 1000 configuration"];
    let shared =
        ["plan credits day 70 api", "plan tokens month 1000 configuration", "global money month \"5 USD\" api"];
    let hidden = ["plan credits day null api", "plan tokens month null configuration", "global money month null api"];
    let with_key = [&["key credits day 2 api", "key tokens month 1000 configuration"], &own[..], &hidden].concat();
    let today = get(world.address, "/api/usage/today", &[&ada.bearer()]).await.json();
    assert_eq!(reported(&today), with_key);
    let refusing = &today["budgets"][0];
    assert_eq!(
        (&refusing["id"], &refusing["used"], &refusing["remaining"], &refusing["resets_at"]),
        (&json!(ada.key), &json!(3), &json!(0), &json!("2026-11-21T00:00:00Z"))
    );
    let overview = get(world.address, "/api/dashboard/overview", &[&ada.bearer()]).await.json();
    assert_eq!(reported(&overview), with_key);
    let other = get(world.address, &format!("/api/usage/today?key_id={}", second.key), &[&ada.bearer()]).await.json();
    assert_eq!(reported(&other)[0], "key credits day 4 api");
    let seen = get(world.address, &format!("/api/usage/today?user_id={}", ada.user), &[&root.bearer()]).await.json();
    assert_eq!(reported(&seen), [own, shared].concat());
}

/// The usage of all users of a plan, or of all users together, is hidden from single users.
#[tokio::test]
async fn amounts_of_shared_budgets_are_shown_to_admins_alone() {
    let (world, root) = administered().await;
    let ada = used(&world).await;
    let starter = plan(&world, "starter").await;
    world.configure(|snapshot| {
        let budget = Budget::new(Measure::Tokens, LimitPeriod::Day, Amount(1_000));
        snapshot.traffic.budgets.limits = vec![BudgetLimit { dimension: BudgetDimension::Global, budget }];
    });
    for (budget, body) in
        [("global/-/money/month", json!({"money": "5 USD"})), ("plan/starter/credits/day", json!({"credits": 70}))]
    {
        assert_eq!(put(&world, &root, budget, &body).await.status, 200, "{budget}");
    }
    let month = "2026-12-01T00:00:00Z";
    let day = "2026-11-21T00:00:00Z";
    let hidden = json!([
        {"dimension": "plan", "id": starter, "name": null, "per": "day", "credits": null, "used": null,
            "remaining": null, "resets_at": day, "source": "api"},
        {"dimension": "global", "id": "-", "name": null, "per": "day", "tokens": null, "used": null,
            "remaining": null, "resets_at": day, "source": "configuration"},
        {"dimension": "global", "id": "-", "name": null, "per": "month", "money": null, "used": null,
            "remaining": null, "resets_at": month, "source": "api"},
    ]);
    let shared = |body: &Value| -> Value {
        let is_shared = |budget: &&Value| budget["dimension"] == "plan" || budget["dimension"] == "global";
        body["budgets"].as_array().unwrap().iter().filter(is_shared).cloned().collect()
    };
    let bob = world.person("bob").await;
    let bob = world.sign_in(&bob).await;
    for path in ["/api/usage/today", "/api/dashboard/overview"] {
        let by_key = get(world.address, path, &[&ada.bearer()]).await.json();
        assert_eq!(shared(&by_key), hidden, "{path}");
        assert_eq!(shared(&get(world.address, path, &[&bob.bearer()]).await.json()), hidden, "{path}");
        // The user's own budgets stay visible.
        assert_eq!((&by_key["budgets"][0]["credits"], &by_key["budgets"][0]["used"]), (&json!(1_000), &json!(3)));
        let of_ada = format!("{path}?user_id={}", ada.user);
        let seen = shared(&get(world.address, &of_ada, &[&root.bearer()]).await.json());
        let amounts = |at: usize, measure: &str| [measure, "used", "remaining"].map(|field| seen[at][field].clone());
        assert_eq!(amounts(0, "credits"), [json!(70), json!(0), json!(70)], "{path}: {seen}");
        assert_eq!(amounts(1, "tokens"), [json!(1_000), json!(300), json!(700)], "{path}");
        assert_eq!((&seen[2]["money"], &seen[2]["used"]["amount_nano"]), (&json!("5 USD"), &json!(1_500)), "{path}");
    }
}

#[tokio::test]
async fn a_budget_includes_requests_in_flight_if_the_meter_runs_here() {
    let (world, root) = administered().await;
    let ada = used(&world).await;
    let of_user =
        BudgetId { scope: BudgetScope::User(ada.caller.user), measure: Measure::Credits, per: LimitPeriod::Day };
    world.meter.begin(of_user, NOON.day(), Measure::Credits.limit_of(3));
    world.has_spent(ada.caller, NOON.day(), 5);
    let budget = format!("user/{}/credits/day", ada.user);
    assert_eq!(put(&world, &root, &budget, &json!({"credits": 10})).await.json()["used"], 8);
    // No counter of the month exists yet.
    let budget = format!("user/{}/credits/month", ada.user);
    assert_eq!(put(&world, &root, &budget, &json!({"credits": 10})).await.json()["used"], 3);
}

#[tokio::test]
async fn a_budget_that_cannot_be_is_refused() {
    let (world, root) = administered().await;
    let ada = world.holder("ada", "starter").await;
    let closed_port = "0199aa00-0000-7000-8000-00000000dead";
    let one = json!({"credits": 1});
    for budget in [
        format!("user/{closed_port}/credits/day"),
        format!("key/{closed_port}/credits/day"),
        format!("key/{}/credits/day", ada.user),
        format!("plan/{closed_port}/credits/day"),
        "plan/gold/credits/day".to_owned(),
        "user/ada/credits/day".to_owned(),
        "user/-/credits/day".to_owned(),
        format!("global/{closed_port}/credits/day"),
        format!("team/{closed_port}/credits/day"),
        "global/-/credits/year".to_owned(),
        "global/-/requests/day".to_owned(),
        "global/%ff/credits/day".to_owned(),
    ] {
        put(&world, &root, &budget, &one).await.refuses(404, "not_found");
        delete(&world, &root, &budget).await.refuses(404, "not_found");
    }
    for (body, status, code) in [
        (json!({}), 422, "unprocessable"),
        (json!({"tokens": 1}), 422, "unprocessable"),
        (json!({"credits": 1, "tokens": 1}), 422, "unprocessable"),
        (json!({"credits": u64::MAX}), 422, "unprocessable"),
        (json!({"credits": -1}), 400, "bad_request"),
        (json!({"credits": 1.5}), 400, "bad_request"),
        (json!({"credits": 1, "per": "day"}), 400, "bad_request"),
        (json!([]), 400, "bad_request"),
    ] {
        put(&world, &root, "global/-/credits/day", &body).await.refuses(status, code);
    }
    for money in [json!("1"), json!("1 EUR"), json!("10000000000 USD")] {
        put(&world, &root, "global/-/money/day", &json!({"money": money})).await.refuses(422, "unprocessable");
    }
    assert_eq!(list(&world, &root, "").await["items"], json!([]));
}

#[tokio::test]
async fn budgets_are_for_admins() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    get(world.address, PATH, &[&session.bearer()]).await.refuses(403, "forbidden");
    put(&world, &session, "global/-/credits/day", &json!({"credits": 1})).await.refuses(403, "forbidden");
    delete(&world, &session, "global/-/credits/day").await.refuses(403, "forbidden");
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}
