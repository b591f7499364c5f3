//! Requests of ordinary routes in the figures of the admin API: sent, failed and refused ones, with a key and without.

use e2e::{Call, Gateway, ReservedPort, Setup, Upstream, commands, eventually};
use serde_json::{Value, json};

use crate::reconcile::agrees;

/// Registers a user who becomes an admin, and returns a token.
async fn admin(gateway: &Gateway) -> String {
    let sign_up = json!({"email": "root@example.org", "password": "a long enough password", "name": "Root"});
    let answer = gateway.ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let data = gateway.folder().data().to_string_lossy().into_owned();
    let words = ["users", "role", "--user", "root@example.org", "admin", "--data", data.as_str()];
    assert!(commands::run(gateway.folder(), &words).await.status.success());
    eventually("the user acts as an admin", async || {
        let me: Value = gateway.ask(Call::get("/api/me").key(&token)).await.expect(200).json();
        (me["acts_as"] == "admin").then_some(token.clone())
    })
    .await
}

fn setup(fine: &Upstream, down: &ReservedPort) -> Setup {
    let backend = |name: &str, address| format!("{{name: {name}, backends: [{{url: \"http://{address}\"}}]}}");
    let upstreams = [backend("fine", fine.address()), backend("down", down.address())].join(", ");
    let routes = "[{name: open, path: /open, upstreams: fine, auth: {type: none}}, \
        {name: keyed, path: /keyed, upstreams: fine, auth: {type: key}}, \
        {name: rows, path: /rows, upstreams: fine, auth: {type: key}, events: rows}, \
        {name: broken, path: /broken, upstreams: down, auth: {type: none}}, \
        {name: fixed, path: /fixed, respond: {status: 404}, auth: {type: none}}]";
    Setup::new()
        .section("upstreams", &format!("[{upstreams}]"))
        .section("routes", routes)
        .section("signup", "open")
        .section("signup_plan", "three")
        .plans("{name: three, credits_per_day: 3}")
}

#[tokio::test]
async fn requests_of_each_route_are_counted_by_result_and_add_up() {
    let fine = Upstream::answering("200 OK", "fine").await;
    let down = ReservedPort::new();
    let gateway = Gateway::start(setup(&fine, &down)).await;
    let key = gateway.account("three").await.key;
    let token = admin(&gateway).await;
    let ask = async |path: &str| gateway.ask(Call::get(path).key(&token)).await.expect(200).json();
    let call = async |path: &str, key: Option<&str>| {
        let call = Call::get(path);
        gateway.call(key.map_or_else(|| call.clone(), |key| call.clone().key(key))).await.status()
    };
    for (path, key, statuses) in [
        ("/open", None, &[200, 200][..]),
        ("/rows", Some(key.as_str()), &[200]),
        ("/keyed", Some(key.as_str()), &[200, 200, 429, 429]),
        ("/keyed", None, &[401]),
        ("/rows", Some(key.as_str()), &[429]),
        ("/broken", None, &[502]),
        ("/fixed", None, &[404]),
        ("/unknown", None, &[404]),
    ] {
        for status in statuses {
            assert_eq!(call(path, key).await, *status, "{path}");
        }
    }
    let expected = json!({
        "open": [2, 0, 0], "keyed": [2, 3, 0], "rows": [1, 1, 0], "broken": [0, 0, 1], "fixed": [0, 0, 1],
    });
    let items = eventually("the requests are counted", async || {
        let listed = ask("/api/routes").await;
        let items = listed["items"].as_array().unwrap().clone();
        let results = |item: &Value| json!([item["succeeded"], item["refused"], item["errors"]]);
        let found: Value = items.iter().map(|item| (item["name"].as_str().unwrap(), results(item))).collect();
        (found == expected).then_some(items)
    })
    .await;
    let open = &items[0];
    assert!(open["latency"]["p50_ms"].as_f64() > Some(0.0), "{open}");
    let live: Value = items.iter().map(|item| (item["name"].as_str().unwrap(), item["live"].clone())).collect();
    let counts = |requests: u64, failed: u64| json!({"requests": requests, "failed": failed});
    let expected = json!({
        "open": counts(2, 0), "keyed": counts(5, 0), "rows": counts(2, 0), "broken": counts(1, 1), "fixed": counts(1, 1),
    });
    assert_eq!(live, expected);
    let overview = ask("/api/dashboard/overview?scope=all").await;
    assert_eq!(overview["errors"], json!({"today": 2, "requests": 7, "refused": 4, "rate": 2.0 / 7.0}), "{overview}");
    assert_eq!(overview["today"]["requests"], 5, "{overview}");
    let own =
        gateway.ask(Call::get("/api/usage/requests?kind=route&status=refused").key(&key)).await.expect(200).json();
    let counts: Vec<&Value> = own["items"].as_array().unwrap().iter().map(|item| &item["count"]).collect();
    assert!(counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>() == 3, "{own}");
    // Refused requests cost nothing.
    assert_eq!(gateway.usage(&key).await["credits"], 3);
    agrees(gateway.folder()).await;
}
