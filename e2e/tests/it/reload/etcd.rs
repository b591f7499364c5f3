//! A configuration in a key of etcd, which changes, fails and returns while clients send requests.

use e2e::{Call, Etcd, Gateway, Setup, Upstream, eventually_within};
use serde_json::{Value, json};

use super::{FILE, WATCHED_WITHIN, fine, reloads, responds, route};
use crate::people::{TestUser, admin};

const KEY: &str = "/tollgate/config";

/// A setup whose only route is `path`, and which follows the key.
fn followed(etcd: &Etcd, upstream: &Upstream, path: &str) -> Setup {
    with_routes(etcd, upstream, &route(path))
}

fn with_routes(etcd: &Etcd, upstream: &Upstream, routes: &str) -> Setup {
    Setup::routed(upstream.address(), routes)
        .section("signup", "open")
        .section("signup_plan", "open")
        .section("providers", "[{name: up, kind: openai, base_url: \"http://127.0.0.1:9/v1\", credential: vault}]")
        .section("etcd", &format!("{{urls: {}}}", etcd.urls()))
        .section("config", &format!("{{etcd: {KEY}}}"))
}

async fn shown(gateway: &Gateway, root: &TestUser) -> Value {
    gateway.ask(Call::get("/api/config").key(&root.token)).await.expect(200).json()
}

/// Waits until the error of the key contains a text; an empty one means no error.
async fn reports(gateway: &Gateway, root: &TestUser, error: &str) {
    eventually_within(WATCHED_WITHIN, &format!("the key reports {error:?}"), async || {
        let shown = shown(gateway, root).await;
        let reported = shown["etcd"]["error"].as_str().unwrap_or_default();
        (if error.is_empty() { reported.is_empty() } else { reported.contains(error) }).then_some(())
    })
    .await;
}

/// Returns the actions of the audit log that concern configurations, with their sources.
async fn audited(gateway: &Gateway, root: &TestUser) -> Vec<String> {
    let log = gateway.ask(Call::get("/api/audit?limit=200").key(&root.token)).await.expect(200).json();
    let lines = log["items"].as_array().unwrap().iter().rev();
    let lines = lines.filter(|line| line["action"].as_str().unwrap().starts_with("config"));
    lines.map(|line| format!("{} {} {}", line["action"], line["actor"]["kind"], line["detail"])).collect()
}

#[tokio::test]
async fn the_value_of_the_key_is_in_force_and_outlives_etcd() {
    let mut etcd = Etcd::start().await;
    let upstream = fine().await;
    let setup = |path: &str| followed(&etcd, &upstream, path);
    etcd.put(KEY, &setup("/first").yaml().unwrap());
    let file = setup("/file");
    let gateway = Gateway::start_in(e2e::setup::Folder::new(), file.clone()).await;
    assert_eq!(gateway.call(Call::get("/first")).await.status(), 200, "the first request has the value of the key");
    let root = admin(&gateway, "root").await;
    etcd.put(KEY, &setup("/second").yaml().unwrap());
    responds(&gateway, "/second", 200).await;
    assert_eq!(gateway.call(Call::get("/first")).await.status(), 404);
    let running = shown(&gateway, &root).await;
    assert_eq!(
        (&running["source"], &running["etcd"]["key"], &running["etcd"]["error"]),
        (&json!("etcd"), &json!(KEY), &Value::Null)
    );
    assert!(running["etcd"]["revision"].as_u64().unwrap() > 0 && running["etcd"]["responded_at"].is_string());
    // The API does not replace what the key would replace again.
    let call =
        Call::json("/api/config", &json!({"yaml": setup("/api").yaml()})).key(&root.token).header("if-match", "*");
    let refused = gateway.ask(call).await.expect(409);
    assert!(refused.text().contains(KEY), "{}", refused.text());
    let lines = audited(&gateway, &root).await;
    assert!(lines.iter().any(|line| line.contains("system") && line.contains("\"source\":\"etcd\"")), "{lines:?}");
    // Without etcd, the last value stays, also over a restart.
    let changed = setup("/changed");
    let last = setup("/third").yaml().unwrap();
    etcd.kill_all();
    reports(&gateway, &root, "no connection").await;
    assert_eq!(gateway.call(Call::get("/second")).await.status(), 200);
    let gateway = Gateway::start_in(gateway.stop().await.folder, file).await;
    assert_eq!(gateway.call(Call::get("/second")).await.status(), 200, "a start without etcd");
    reports(&gateway, &root, "no connection").await;
    // A changed file is in force until etcd responds.
    gateway.folder().write(FILE, &changed.yaml().unwrap());
    responds(&gateway, "/changed", 200).await;
    etcd.resume().await;
    responds(&gateway, "/second", 200).await;
    reports(&gateway, &root, "").await;
    etcd.put(KEY, &last);
    responds(&gateway, "/third", 200).await;
    // With etcd, a changed file leaves the value of the key in force.
    let before = reloads(&gateway, "applied").await;
    gateway.folder().write(FILE, &format!("{}# changed\n", changed.yaml().unwrap()));
    eventually_within(WATCHED_WITHIN, "the file is read", async || {
        (reloads(&gateway, "applied").await > before).then_some(())
    })
    .await;
    assert_eq!(gateway.call(Call::get("/third")).await.status(), 200);
}

#[tokio::test]
async fn values_that_are_no_configuration_are_refused_with_their_reason() {
    let etcd = Etcd::start().await;
    let upstream = fine().await;
    let good = followed(&etcd, &upstream, "/good").yaml().unwrap();
    let gateway = Gateway::start(followed(&etcd, &upstream, "/file")).await;
    let root = admin(&gateway, "root").await;
    assert_eq!(gateway.call(Call::get("/file")).await.status(), 200, "the key does not exist yet");
    reports(&gateway, &root, "config_key_missing").await;
    etcd.put(KEY, &good);
    responds(&gateway, "/good", 200).await;
    reports(&gateway, &root, "").await;
    let stolen = "brand: {name: \"${JWT_SECRET}\"}\n";
    for (value, reason) in [
        (" ", "config_key_empty"),
        ("rutes: []\n", "unknown_key"),
        (&*format!("{good}production: true\n"), "needs_restart"),
        (&*format!("{good}{stolen}"), "forbidden_reference"),
        (&*format!("{good}midtrans: {{server_key: literal}}\n"), "literal_secret"),
    ] {
        etcd.put(KEY, value);
        reports(&gateway, &root, reason).await;
        assert!(gateway.metrics().await.contains("tollgate_config_source_refused 1"), "{reason}");
        assert_eq!(gateway.call(Call::get("/good")).await.status(), 200, "{reason}");
    }
    gateway.logs("the configuration was refused; the running one stays in force").await;
    let large = gateway.folder().write("large", &format!("{good}#{}\n", "x".repeat(1 << 20)));
    etcd.put_file(KEY, &large);
    reports(&gateway, &root, "config_key_too_large").await;
    etcd.delete(KEY);
    reports(&gateway, &root, "config_key_missing").await;
    assert_eq!(gateway.call(Call::get("/good")).await.status(), 200);
    let lines = audited(&gateway, &root).await;
    assert!(lines.iter().any(|line| line.contains("system") && line.contains("\"valid\":false")), "{lines:?}");
    etcd.put(KEY, &good.replace("/good", "/better"));
    responds(&gateway, "/better", 200).await;
    assert!(gateway.metrics().await.contains("tollgate_config_source_refused 0"));
}

#[tokio::test]
async fn a_value_that_names_a_missing_file_is_refused_until_the_file_exists() {
    let etcd = Etcd::start().await;
    let upstream = fine().await;
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("provider_key");
    let allowed = format!("{{config: {{files: [{}]}}}}", secrets.path().display());
    let setup = |path: &str| followed(&etcd, &upstream, path).section("control", &allowed);
    let gateway = Gateway::start(setup("/file")).await;
    let root = admin(&gateway, "root").await;
    let named = format!("credential: \"file:{}\"", secret.display());
    etcd.put(KEY, &setup("/new").yaml().unwrap().replace("credential: vault", &named));
    reports(&gateway, &root, &secret.display().to_string()).await;
    reports(&gateway, &root, "etcd /tollgate/config:").await;
    assert_eq!(gateway.call(Call::get("/file")).await.status(), 200);
    std::fs::write(&secret, "sk-of-a-file").unwrap();
    responds(&gateway, "/new", 200).await;
    reports(&gateway, &root, "").await;
}

#[tokio::test]
async fn a_key_that_flaps_is_applied_at_most_once_a_second_and_fails_no_request() {
    let etcd = Etcd::start().await;
    let upstream = fine().await;
    let two =
        |path: &str| with_routes(&etcd, &upstream, &format!("{}, {}", route("/always"), route(path))).yaml().unwrap();
    let gateway = Gateway::start(followed(&etcd, &upstream, "/always")).await;
    let begun = tokio::time::Instant::now();
    let before = reloads(&gateway, "applied").await;
    let mut changes = 0;
    let mut last = String::new();
    while begun.elapsed() < std::time::Duration::from_secs(4) {
        last = format!("/v{changes}");
        etcd.put(KEY, &two(&last));
        changes += 1;
        assert_eq!(gateway.call(Call::get("/always")).await.status(), 200);
    }
    responds(&gateway, &last, 200).await;
    let applied = reloads(&gateway, "applied").await - before;
    let seconds = begun.elapsed().as_secs();
    assert!(applied >= 1 && applied <= seconds + 2, "{applied} of {changes} in {seconds} s");
}
