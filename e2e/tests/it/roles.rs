//! Proxy and control as separate processes on one PostgreSQL.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::child::Process;
use e2e::database::Database;
use e2e::gateway::listening;
use e2e::setup::{Folder, OPEN};
use e2e::{Answer, Call, Canary, Gateway, Setup, commands, eventually, eventually_within};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

/// Timeout for a debug build on a busy machine.
const START: Duration = Duration::from_secs(30);
/// The time within which a change by command must apply, as documented.
const WITHIN: Duration = Duration::from_secs(1);

fn role(role: &str) -> Setup {
    Setup::mocked().plans("{name: hundred, credits_per_day: 100}").flag("--role").flag(role)
}

/// A process without the proxy.
struct Control {
    process: Process,
    folder: Folder,
    address: SocketAddr,
}

impl Control {
    async fn start(folder: Folder) -> Self {
        let process = Process::new(commands::serve(&folder, &role("control")));
        let line = eventually_within(START, "control listens", async || listening(&folder.read("stderr"))).await;
        assert!(line["proxy"].is_null() && line["mock"].is_null(), "{line}");
        let address = line["control"].as_str().unwrap().parse().unwrap();
        let control = Self { process, folder, address };
        control.ask(Call::get("/readyz")).await.expect(200);
        control
    }

    async fn ask(&self, call: Call) -> Answer {
        call.send(self.address).await
    }

    async fn usage(&self, key: &str) -> Value {
        self.ask(Call::get("/api/usage/today").key(key)).await.expect(200).json()
    }
}

/// Starts both processes, each with a separate data folder.
async fn halves() -> (Gateway, Control) {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    // Both processes migrate the empty database at the same time.
    tokio::join!(Gateway::start_in(folder, role("proxy")), Control::start(beside))
}

fn chat(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

#[tokio::test]
async fn control_returns_the_usage_that_the_proxy_counted() {
    let (proxy, control) = halves().await;
    // A command in either folder uses the shared store.
    commands::users_create(&control.folder, "ada@example.com", "hundred").await;
    let key = commands::keys_create(&control.folder, "ada@example.com", "laptop").await;
    let opened = control.ask(Call::json("/api/auth/validate", &json!({"token": key}))).await.expect(200).json();
    assert_eq!((&opened["quota"]["limit"], &opened["quota"]["used"]), (&json!(100), &json!(0)), "{opened}");
    for _ in 0..5 {
        proxy.call(chat(&key)).await.expect(200);
    }
    let usage = eventually("control reports the requests", async || {
        let usage = control.usage(&key).await;
        (usage["requests"] == 5).then_some(usage)
    })
    .await;
    let reported = (&usage["credits"], &usage["limit"], &usage["remaining"], &usage["tokens"]["output"]);
    assert_eq!(reported, (&json!(5), &json!(100), &json!(95), &json!(5)), "{usage}");
    let opened = control.ask(Call::json("/api/auth/validate", &json!({"token": key}))).await.expect(200).json();
    assert_eq!((&opened["quota"]["used"], &opened["quota"]["remaining"]), (&json!(5), &json!(95)), "{opened}");
}

#[tokio::test]
async fn proxys_control_listener_answers_probes_alone_and_controls_process_proxies_nothing() {
    let (proxy, control) = halves().await;
    let key = proxy.account(OPEN).await.key;
    for path in ["/livez", "/readyz", "/metrics"] {
        proxy.ask(Call::get(path)).await.expect(200);
        control.ask(Call::get(path)).await.expect(200);
    }
    for call in [
        Call::get("/health"),
        Call::get("/api/usage/today").key(&key),
        Call::json("/api/auth/validate", &json!({"token": key})),
        Call::get("/"),
    ] {
        let answer = proxy.ask(call).await.expect(404);
        assert_eq!(answer.json()["error"]["code"], "not_found");
    }
    control.ask(Call::get("/health")).await.expect(200);
    control.ask(chat(&key)).await.expect(404);
    proxy.call(chat(&key)).await.expect(200);
}

#[tokio::test]
async fn revocation_by_control_is_seen_by_the_proxy_within_a_second() {
    let (proxy, control) = halves().await;
    let key = proxy.account(OPEN).await.key;
    proxy.call(chat(&key)).await.expect(200);
    let validate = Call::json("/api/auth/validate", &json!({"token": key}));
    let opened = control.ask(validate.clone()).await.expect(200).json();
    commands::keys_revoke(&control.folder, opened["key"]["id"].as_str().unwrap()).await;
    let refused = async || Some(proxy.call(chat(&key)).await).filter(|answer| answer.status() == 401);
    let answer = Canary::new().within(WITHIN, "the proxy refuses the key", refused).await;
    assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
    assert_eq!(control.ask(validate).await.expect(401).json()["error"]["code"], "key_revoked");
}

#[tokio::test]
async fn each_half_ends_without_the_other() {
    let (proxy, mut control) = halves().await;
    let key = proxy.account("hundred").await.key;
    proxy.call(chat(&key)).await.expect(200);
    control.process.terminate();
    let code = eventually_within(START, "control ends", async || control.process.ended()).await;
    assert_eq!(code, Some(0));
    proxy.call(chat(&key)).await.expect(200);
    let again = Control::start(control.folder).await;
    let ended = proxy.stop().await;
    assert_eq!(ended.code, Some(0));
    let usage = again.usage(&key).await;
    assert_eq!(
        (&usage["requests"], &usage["remaining"]),
        (&json!(2), &json!(98)),
        "usage at the end of a drain is stored"
    );
    // The next proxy continues with the stored usage.
    let proxy = Gateway::start_in(ended.folder, role("proxy")).await;
    proxy.call(chat(&key)).await.expect(200);
    eventually("the third request is counted", async || (again.usage(&key).await["remaining"] == 97).then_some(()))
        .await;
}

#[tokio::test]
async fn control_has_no_usage_for_which_a_close_or_a_review_waits() {
    let (proxy, mut control) = halves().await;
    let key = proxy.account(OPEN).await.key;
    eventually("all usage is stored", async || {
        let status = control.ask(Call::get("/ingest/status").key(&key)).await.expect(200).json();
        status["complete_until"].is_string().then_some(())
    })
    .await;
    control.process.terminate();
    let code = eventually_within(START, "control ends", async || control.process.ended()).await;
    assert_eq!(code, Some(0));
    let left = "SELECT count(*) FROM nodes WHERE ingested_until >= left_at - 1000000";
    assert_eq!(crate::store::number(&control.folder, left).await, 1);
}

#[tokio::test]
async fn one_half_alone_without_postgres_is_refused() {
    for half in ["proxy", "control"] {
        let folder = Folder::on_sqlite();
        let (code, reported) = commands::serve_to_its_end(&folder, &role(half)).await;
        assert_eq!(code, Some(1), "{reported}");
        assert!(reported.contains("role_needs_postgres") && reported.contains("DATABASE_URL"), "{reported}");
        assert!(!folder.data().exists(), "a refused start must not create files");
    }
}
