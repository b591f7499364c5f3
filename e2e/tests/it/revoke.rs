//! A change by command applies on a running server within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Setup, commands, eventually, setup};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};

/// The time within which a change must apply, as documented.
const WITHIN: Duration = Duration::from_secs(1);
const CALLERS: usize = 8;

fn call(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

/// Runs clients without pauses and makes `change` under their load. Every response later than [`WITHIN`] must have
/// `status`.
async fn check(gateway: &Gateway, key: &str, status: u16, change: impl AsyncFnOnce()) {
    let load = Arc::new(ChangeLoad::default());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(Arc::clone(&load).run(call(key), gateway.proxy, status));
    }
    eventually("the load runs", async || (load.served.load(Ordering::Relaxed) > 50).then_some(())).await;
    change().await;
    // The load alone occupies a small machine: the bound is extended by the machine's own delay.
    Canary::new().passes(WITHIN).await;
    load.after.store(true, Ordering::Relaxed);
    let start = Instant::now();
    eventually("requests are refused", async || {
        (load.refused_after.load(Ordering::Relaxed) > 50 && start.elapsed() > WITHIN / 2).then_some(())
    })
    .await;
    load.stop.store(true, Ordering::Relaxed);
    callers.join_all().await;
    assert_eq!(load.served_after.load(Ordering::Relaxed), 0, "served more than {WITHIN:?} after the change");
}

#[derive(Default)]
struct ChangeLoad {
    /// Whether the change is older than [`WITHIN`].
    after: AtomicBool,
    stop: AtomicBool,
    served: AtomicU64,
    served_after: AtomicU64,
    refused_after: AtomicU64,
}

impl ChangeLoad {
    async fn run(self: Arc<Self>, call: Call, to: std::net::SocketAddr, refusal: u16) {
        while !self.stop.load(Ordering::Relaxed) {
            let after = self.after.load(Ordering::Relaxed);
            let answer = call.send(to).await;
            let count = match (answer.status(), after) {
                (200, false) => &self.served,
                (200, true) => &self.served_after,
                (status, _) => {
                    assert_eq!(status, refusal, "{}", answer.text());
                    &self.refused_after
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn revoked_key_is_refused_within_a_second_under_load() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account(setup::OPEN).await;
    let other = commands::keys_create(gateway.folder(), &account.email, "other").await;
    let id = gateway.validate(&account.key).await["key"]["id"].as_str().unwrap().to_owned();
    let list = commands::keys_list(gateway.folder(), &account.email).await;
    assert!(list.contains(&id) && !list.contains(&account.key) && !list.contains(&other), "{list}");
    check(&gateway, &account.key, 401, async || commands::keys_revoke(gateway.folder(), &id).await).await;
    call(&other).send(gateway.proxy).await.expect(200);
}

#[tokio::test]
async fn suspended_users_keys_are_refused_within_a_second_and_open_again_when_activated() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account(setup::OPEN).await;
    check(&gateway, &account.key, 403, async || {
        commands::users_set(gateway.folder(), "suspend", &account.email).await;
    })
    .await;
    commands::users_set(gateway.folder(), "activate", &account.email).await;
    let opens = async || (call(&account.key).send(gateway.proxy).await.status() == 200).then_some(());
    Canary::new().within(WITHIN, "the key is valid again", opens).await;
}

#[tokio::test]
async fn key_created_beside_the_server_opens_within_a_second() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let first = gateway.account(setup::OPEN).await;
    for label in ["one", "two", "three"] {
        let key = commands::keys_create(gateway.folder(), &first.email, label).await;
        let opens = async || (call(&key).send(gateway.proxy).await.status() == 200).then_some(());
        Canary::new().within(WITHIN, "the new key is valid", opens).await;
    }
}

#[tokio::test]
async fn users_and_keys_can_be_made_before_the_first_start() {
    let folder = Folder::new();
    commands::users_create(&folder, "ada@example.com", "starter").await;
    let key = commands::keys_create(&folder, "ada@example.com", "laptop").await;
    let gateway = Gateway::start_in(folder, Setup::bare()).await;
    call(&key).send(gateway.proxy).await.expect(200);
    let valid = gateway.validate(&key).await;
    assert_eq!((&valid["user"]["plan"], &valid["key"]["label"]), (&"starter".into(), &"laptop".into()));
}

#[tokio::test]
async fn commands_that_fail_print_the_reason() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account(setup::OPEN).await;
    let data = gateway.folder().data().display().to_string();
    for (words, says) in [
        (&["keys", "create", "--user", "nobody@example.com", "--label", "x"][..], "nobody@example.com"),
        (&["users", "create", "--email", &account.email, "--plan", "open"], "another user"),
        (&["users", "create", "--email", "new@example.com", "--plan", "golden"], "golden"),
        (&["users", "create", "--email", "no address", "--plan", "open"], "e-mail"),
        (&["keys", "revoke", "--key", "0199aa00-0000-7000-8000-000000000000"], "0199aa00"),
        (&["keys", "revoke", "--key", "laptop"], "laptop"),
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--data", &data]).collect();
        let output = commands::run(gateway.folder(), &words).await;
        let reported = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && reported.contains(says), "{words:?}: {reported}");
        assert!(!reported.contains("panicked") && !reported.to_lowercase().contains("sql"), "{words:?}: {reported}");
    }
}
