//! The life cycle of a key through API and commands: bounds, changes, rotation, revocation, and their effect on the
//! proxy.

use std::time::Duration;

use e2e::{Answer, Call, Canary, Gateway, Setup, Upstream, commands, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};
use crate::store;

/// The time within which a change must apply, as documented.
const WITHIN: Duration = Duration::from_secs(1);

const ROUTES: &str = "{name: users, path: {prefix: /users}, upstreams: backend, auth: {type: key}},
    {name: orders, path: {prefix: /orders}, upstreams: backend, auth: {type: key}}";

fn chat(model: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body(model, false))
}

async fn create(gateway: &Gateway, key: &str, body: &Value) -> Value {
    gateway.ask(Call::json("/api/keys", body).key(key)).await.expect(201).json()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

async fn patch(gateway: &Gateway, key: &str, id: &Value, body: &Value) -> Value {
    let call = Call::new("PATCH", &format!("/api/keys/{}", id.as_str().unwrap()));
    let call = call.header("content-type", "application/json").body(body.to_string());
    gateway.ask(call.key(key)).await.expect(200).json()
}

async fn rotate(gateway: &Gateway, key: &str, id: &Value, body: &Value) -> Value {
    let path = format!("/api/keys/{}/rotate", id.as_str().unwrap());
    gateway.ask(Call::json(&path, body).key(key)).await.expect(200).json()
}

async fn show(gateway: &Gateway, key: &str, id: &Value) -> Value {
    gateway.ask(Call::get(&format!("/api/keys/{}", id.as_str().unwrap())).key(key)).await.expect(200).json()
}

/// Waits until a request with the key has this status, which was caused immediately before.
async fn becomes(gateway: &Gateway, call: &Call, status: u16) -> Answer {
    let answered = async || Some(call.send(gateway.proxy).await).filter(|answer| answer.status() == status);
    let since = Canary::new();
    let answer = since.within(WITHIN, &format!("the answer is {status}"), answered).await;
    // A worker that had not cached the key answers so before the others, which see the change later.
    since.passes(WITHIN).await;
    answer
}

#[tokio::test]
async fn bounds_hold_on_the_proxy_and_are_changed_within_a_second() {
    let upstream = Upstream::answering("200 OK", b"ok").await;
    let setup = Setup::routed(upstream.address(), ROUTES).flag("--mock");
    let gateway = Gateway::start(setup).await;
    let owner = gateway.account(setup::OPEN).await;
    let bounds = json!({"label": "ci", "scopes": {"routes": ["users"], "models": ["mock/tokens-*"]}});
    let created = create(&gateway, &owner.key, &bounds).await;
    let key = text(&created, "key");
    assert_eq!(gateway.validate(&key).await["key"]["scopes"], bounds["scopes"]);

    gateway.call(Call::get("/users/7").key(&key)).await.expect(200);
    gateway.call(chat("mock/tokens-1").key(&key)).await.expect(200);
    for (call, reported) in [
        (Call::get("/orders/7"), "users"),
        (chat("mock"), "mock/tokens-*"),
        (chat("no-such"), "mock/tokens-*"),
        (Call::json("/v1/messages", &Format::Messages.body("mock", false)), "mock/tokens-*"),
        (Call::json("/v1/messages/count_tokens", &Format::Messages.body("mock", false)), "mock/tokens-*"),
        (Call::json(Format::Responses.path(), &Format::Responses.body("mock", true)), "mock/tokens-*"),
        (Call::json("/v1beta/models/mock:generateContent", &json!({"contents": []})), "mock/tokens-*"),
    ] {
        let answer = gateway.call(call.clone().key(&key)).await.expect(403);
        assert!(answer.text().contains(reported), "{:?}: {}", call.line(), answer.text());
    }
    assert_eq!(upstream.seen().len(), 1);
    let list = gateway.call(Call::get("/v1/models").key(&key)).await.expect(200).json();
    assert_eq!(list["data"], json!([]), "none of the listed may be asked for");
    // A refusal costs nothing.
    gateway.uses(&key, 2).await;

    patch(&gateway, &owner.key, &created["id"], &json!({"scopes": {"routes": null, "models": ["mock"]}})).await;
    becomes(&gateway, &chat("mock").key(&key), 200).await;
    gateway.call(Call::get("/orders/7").key(&key)).await.expect(200);
    let list = gateway.call(Call::get("/v1/models").key(&key)).await.expect(200).json();
    assert_eq!(list["data"][0]["id"], "mock");
    patch(&gateway, &owner.key, &created["id"], &json!({"addresses": ["203.0.113.0/24"]})).await;
    becomes(&gateway, &chat("mock").key(&key), 403).await;
    let elsewhere = gateway.ask(Call::get("/api/keys").key(&key)).await.expect(403);
    assert_eq!(elsewhere.json()["error"]["code"], "forbidden");
}

#[tokio::test]
async fn a_keys_own_quota_holds_beside_its_users_and_over_a_crash() {
    let setup = Setup::mocked().plans("{name: ten, credits_per_day: 10}");
    let gateway = Gateway::start(setup.clone()).await;
    let owner = gateway.account("ten").await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci", "limits": {"credits_per_day": 4}})).await;
    let key = text(&created, "key");
    let call = chat("mock/tokens-1");
    let statuses = async |gateway: &Gateway, key: &str, calls: usize| {
        let mut passed = 0;
        for _ in 0..calls {
            match call.clone().key(key).send(gateway.proxy).await {
                answer if answer.status() == 200 => passed += 1,
                answer => assert_eq!(answer.expect(429).json()["error"]["code"], "insufficient_quota"),
            }
        }
        passed
    };
    assert_eq!(statuses(&gateway, &key, 6).await, 4);
    let reported = call.clone().key(&key).send(gateway.proxy).await.text();
    assert!(reported.contains("this key's own quota of 4 credits"), "{reported}");
    let valid = gateway.validate(&key).await;
    assert_eq!((&valid["key"]["quota"]["remaining"], &valid["quota"]["remaining"]), (&json!(0), &json!(6)));
    gateway.counted(&owner.key, 4).await;

    let gateway = Gateway::start_in(gateway.crash().folder, setup).await;
    assert_eq!(statuses(&gateway, &key, 2).await, 0, "it is remembered");
    assert_eq!(statuses(&gateway, &owner.key, 8).await, 6, "the rest is the user's");
    patch(&gateway, &owner.key, &created["id"], &json!({"limits": null})).await;
    let refuses = async || {
        let reported = call.clone().key(&key).send(gateway.proxy).await.expect(429).text();
        reported.contains("the day's quota of 10 credits").then_some(())
    };
    Canary::new().within(WITHIN, "the user's quota is what refuses", refuses).await;
}

#[tokio::test]
async fn a_keys_own_rate_limit_is_in_headers_and_refusals() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let owner = gateway.account(setup::OPEN).await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci", "limits": {"requests_per_minute": 3}})).await;
    let call = chat("mock/tokens-1").key(&text(&created, "key"));
    for left in ["2", "1", "0"] {
        let answer = gateway.call(call.clone()).await.expect(200);
        assert_eq!(answer.head.header("x-ratelimit-remaining"), Some(left));
    }
    let refused = gateway.call(call).await.expect(429);
    assert!(refused.text().contains("3 requests a minute with this key"), "{}", refused.text());
    assert!(refused.head.header("retry-after").is_some());
    gateway.call(chat("mock/tokens-1").key(&owner.key)).await.expect(200);
}

#[tokio::test]
async fn a_secret_replaced_without_grace_is_refused_within_a_second() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let owner = gateway.account(setup::OPEN).await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci"})).await;
    let old = text(&created, "key");
    gateway.call(chat("mock/tokens-1").key(&old)).await.expect(200);
    let rotated = rotate(&gateway, &owner.key, &created["id"], &json!({})).await;
    let new = text(&rotated, "key");
    gateway.call(chat("mock/tokens-1").key(&new)).await.expect(200);
    let refused = becomes(&gateway, &chat("mock/tokens-1").key(&old), 401).await;
    assert!(refused.text().contains("replaced"), "{}", refused.text());
    assert_eq!((&rotated["id"], &rotated["label"]), (&created["id"], &created["label"]));
    // Until it was refused it may have been served.
    let served = gateway.mock().requests("tokens-1").await;
    let usage = gateway.counted(&owner.key, served).await;
    assert_eq!(usage["by_key"].as_array().unwrap().len(), 1, "usage is the key's, whatever its secret: {usage}");
    for text in [gateway.stderr(), gateway.stdout(), gateway.metrics().await] {
        assert!(!text.contains(&old[9..]) && !text.contains(&new[9..]));
    }
}

#[tokio::test]
async fn two_secrets_open_a_key_in_its_grace_and_use_of_the_old_one_shows() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let owner = gateway.account(setup::OPEN).await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci"})).await;
    let first = text(&created, "key");
    let second = text(&rotate(&gateway, &owner.key, &created["id"], &json!({"grace": "10s"})).await, "key");
    assert_eq!(show(&gateway, &owner.key, &created["id"]).await["previous"]["last_used_at"], Value::Null);
    gateway.call(chat("mock/tokens-1").key(&second)).await.expect(200);
    gateway.call(chat("mock/tokens-1").key(&first)).await.expect(200);
    assert_eq!(gateway.validate(&first).await["key"]["rotated"], true);
    eventually("the use of both is written", async || {
        let shown = show(&gateway, &owner.key, &created["id"]).await;
        (shown["previous"]["last_used_at"].is_string() && shown["last_used_at"].is_string()).then_some(())
    })
    .await;
    eventually("the grace is over", async || {
        (chat("mock/tokens-1").key(&first).send(gateway.proxy).await.status() == 401).then_some(())
    })
    .await;
    gateway.call(chat("mock/tokens-1").key(&second)).await.expect(200);
}

#[tokio::test]
async fn last_use_is_written_soon_and_before_the_server_ends() {
    let upstream = Upstream::answering("200 OK", b"ok").await;
    let setup = Setup::routed(upstream.address(), ROUTES).flag("--mock");
    let gateway = Gateway::start(setup.clone()).await;
    let owner = gateway.account(setup::OPEN).await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci"})).await;
    assert_eq!(show(&gateway, &owner.key, &created["id"]).await["last_used_at"], Value::Null);
    gateway.call(Call::get("/users/7").key(&text(&created, "key"))).await.expect(200);
    let mut first = String::new();
    eventually("the use of a folded route is written", async || {
        let shown = show(&gateway, &owner.key, &created["id"]).await;
        first = shown["last_used_at"].as_str()?.to_owned();
        Some(())
    })
    .await;
    gateway.call(chat("mock/tokens-1").key(&text(&created, "key"))).await.expect(200);
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup).await;
    let last = text(&show(&gateway, &owner.key, &created["id"]).await, "last_used_at");
    assert!(last > first, "{first} {last}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let owner = gateway.account(setup::OPEN).await;
    let created = create(&gateway, &owner.key, &json!({"label": "ci"})).await;
    let call = chat("mock/tokens-1").key(&text(&created, "key"));
    gateway.call(call.clone()).await.expect(200);
    let path = format!("/api/keys/{}", text(&created, "id"));
    for _ in 0..2 {
        gateway.ask(Call::new("DELETE", &path).key(&owner.key)).await.expect(204);
    }
    becomes(&gateway, &call, 401).await;
    let listed = gateway.ask(Call::get("/api/keys?revoked=true").key(&owner.key)).await.expect(200).json();
    assert!(listed["items"][0]["revoked_at"].is_string(), "{listed}");
}

#[tokio::test]
async fn the_commands_bind_label_and_rotate_keys() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let owner = gateway.account(setup::OPEN).await;
    let data = gateway.folder().data().display().to_string();
    let run = async |words: &[&str]| {
        let words: Vec<&str> = words.iter().copied().chain(["--data", &data]).collect();
        let output = commands::run(gateway.folder(), &words).await;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        let err: String = err.split_inclusive('\n').filter(|line| !line.starts_with("note: ")).collect();
        (output.status.success(), format!("{out}{err}"))
    };
    let create = ["keys", "create", "--user", &owner.email, "--label", "ci", "--expires", "90d", "--model", "mock/*"];
    let bound = ["--model", "mock", "--address", "127.0.0.1", "--credits-per-day", "9", "--requests-per-minute", "60"];
    let (done, reported) = run(&[&create[..], &bound].concat()).await;
    assert!(done, "{reported}");
    let key = reported.trim_end().lines().last().unwrap().to_owned();
    let id = reported.split(' ').next().unwrap().to_owned();
    let valid = gateway.validate(&key).await["key"].clone();
    assert_eq!(valid["scopes"], json!({"routes": null, "models": ["mock/*", "mock"]}));
    assert_eq!(valid["limits"], json!({"credits_per_day": 9, "requests_per_minute": 60}));
    assert_eq!((&valid["addresses"], valid["expires_at"].is_string()), (&json!(["127.0.0.1/32"]), true));

    assert!(run(&["keys", "label", "--key", &id, "--label", "build"]).await.0);
    let (done, reported) = run(&["keys", "rotate", "--key", &id, "--grace", "1h"]).await;
    let new = reported.trim_end().lines().last().unwrap().to_owned();
    assert!(done && new != key, "{reported}");
    gateway.call(chat("mock/tokens-1").key(&new)).await.expect(200);
    gateway.call(chat("mock/tokens-1").key(&key)).await.expect(200);
    let (_, list) = run(&["keys", "list", "--user", &owner.email]).await;
    for reported in
        ["build", "expires 20", "models mock/*, mock", "from 127.0.0.1/32", "9 credits a day", "60 requests a minute"]
    {
        assert!(list.contains(reported), "{reported}: {list}");
    }
    assert!(list.contains(&format!("user {}", owner.email)), "{list}");
    assert!(list.contains(&format!("secret …{} until", &key[key.len() - 4..])), "{list}");
    assert!(!list.contains(&key[9..]) && !list.contains(&new[9..]), "{list}");

    for (words, says) in [
        (&["keys", "create", "--user", &*owner.email, "--address", "nowhere"][..], "addresses"),
        (&["keys", "create", "--user", &owner.email, "--model", "a*b"], "models"),
        (&["keys", "create", "--user", &owner.email, "--expires", "soon"], "duration"),
        (&["keys", "create", "--user", &owner.email, "--requests-per-minute", "0"], "requests-per-minute"),
        (&["keys", "rotate", "--key", &id, "--grace", "8d"], "at most 7d"),
        (&["keys", "rotate", "--key", "0199aa00-0000-7000-8000-000000000000"], "no key 0199aa00"),
        (&["keys", "label", "--key", &id, "--label", "a\nb"], "label"),
    ] {
        let (done, reported) = run(words).await;
        assert!(!done && reported.contains(says) && !reported.contains("panicked"), "{words:?}: {reported}");
    }
    // A label that the rules of today would refuse cannot steer the terminal.
    let stored = gateway.folder().data();
    let rows = store::rows(gateway.folder(), &stored);
    rows.execute(
        "UPDATE api_keys SET label = 'a' || char(8238) || 'b'",
        "UPDATE api_keys SET label = 'a' || chr(8238) || 'b'",
    )
    .await;
    let (_, list) = run(&["keys", "list", "--user", &owner.email]).await;
    assert!(list.contains("  a\\u{202e}b") && !list.contains('\u{202e}'), "{list:?}");

    let (done, help) = run(&["keys", "--help"]).await;
    assert!(done || help.contains("Examples"), "{help}");
}

/// Commands on the store run in a shell that has none of the server's variables.
#[tokio::test]
async fn commands_on_the_store_ignore_unset_variables_of_the_rest_of_the_file() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let folder = gateway.folder();
    let owner = gateway.account("open").await;
    folder.write("unset.yaml", "providers: [{name: openai, kind: openai, credential: '${UNSET_IN_THIS_SHELL}'}]\n");
    let data = folder.data().display().to_string();
    for (words, says) in [
        (&["keys", "list"][..], owner.email.as_str()),
        (&["users", "list"], owner.email.as_str()),
        (&["jobs", "list"], ""),
        (&["leases", "list"], ""),
        (&["budgets", "list"], ""),
        (&["migrate", "status"], "up to date"),
        (&["vault", "status"], ""),
    ] {
        let output = commands::run(folder, &[words, &["--config", "unset.yaml", "--data", &data]].concat()).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && printed.contains(says), "{words:?}: {output:?}");
    }
    folder.write("broken.yaml", "store: {migrate: '${UNSET_IN_THIS_SHELL}'}\n");
    let output = commands::run(folder, &["keys", "list", "--config", "broken.yaml", "--data", &data]).await;
    let reported = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && reported.contains("UNSET_IN_THIS_SHELL"), "{output:?}");
}

#[tokio::test]
async fn a_key_that_is_sent_elsewhere_is_refused_or_masked() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let encoded = key.replace('_', "%5F");
    for path in
        [format!("/{key}"), format!("/v1/models/{key}"), format!("/v1/models/{encoded}"), format!("/a?b={encoded}")]
    {
        let answer = gateway.call(Call::get(&path).key(&key)).await;
        assert!(matches!(answer.status(), 400 | 404) && !answer.text().contains(&key), "{path}: {}", answer.text());
    }
    let refused = gateway.call(Call::get(&format!("/v1/models/{encoded}")).key(&key)).await.expect(400);
    assert!(refused.text().contains("the path contains a key"), "{}", refused.text());
    for model in [key.clone(), format!("mock/{key}")] {
        let call = Call::json(CHAT, &Format::Chat.body(&model, false)).key(&key);
        let refused = gateway.call(call).await.expect(400);
        assert!(refused.text().contains("contains a key") && !refused.text().contains(&key), "{}", refused.text());
    }
    let call = Call::get("/v1/models").key(&key).header("x-request-id", &key);
    gateway.call(call.header("user-agent", &format!("tool/{key}"))).await.expect(200);
    let secret = key.rsplit('_').next().unwrap();
    let rows = eventually("the refused models are rows", async || {
        let rows = gateway.ask(Call::get("/api/usage/requests").key(&key)).await.expect(200).text();
        (rows.matches("\"result\":\"refused\"").count() == 2).then_some(rows)
    })
    .await;
    let keys = gateway.ask(Call::get("/api/keys").key(&key)).await.expect(200).text();
    let metrics = gateway.ask(Call::get("/metrics")).await.text();
    for text in [rows, keys, metrics, gateway.stderr()] {
        assert!(!text.contains(secret), "{text}");
    }
}
