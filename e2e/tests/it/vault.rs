//! Credentials of providers: the choice of credential per request, undecryptable credentials, and the rotation of the
//! master key under load.

mod headers;
mod kinds;
mod own_money;
mod rotation;
mod secrets;
mod vertex;

use std::time::Duration;

use e2e::setup::{CREDENTIAL, Folder, OPEN};
use e2e::{Answer, Call, Canary, Gateway, Mock, Setup, commands, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format, MESSAGES};
use crate::store;

/// The time within which a change must apply, as documented.
const WITHIN: Duration = Duration::from_secs(1);
const KEYS: &str = "/api/provider-keys";
const PASSWORD: &str = "a password of an admin";

/// Starts a server with the mock, which records credentials: provider `up` has a configured credential, `any` and
/// `team` use the vault.
async fn served() -> (Gateway, Mock) {
    let mock = Mock::start().await;
    (Gateway::start(before(&mock)).await, mock)
}

fn before(mock: &Mock) -> Setup {
    let provider = |name: &str, credential: &str| {
        format!(
            "{{name: {name}, kind: openai, base_url: \"http://{}/v1\", credential: \"{credential}\"}}",
            mock.address()
        )
    };
    let claude = setup::provider("claude", "anthropic", mock.address());
    let providers = [provider("up", CREDENTIAL), provider("any", "vault"), provider("team", "vault:team"), claude];
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("control", "{rate_limits: []}")
        .plans("{name: alone, shared_keys: false}")
}

/// Returns a request to this provider; each `number` is a distinct model at the mock.
fn call(key: &str, provider: &str, number: u32) -> Call {
    Call::json(CHAT, &Format::Chat.body(&format!("{provider}/mock/tokens-{number}"), false)).key(key)
}

/// Returns the credential of the last request with this number.
async fn came_with(mock: &Mock, number: u32) -> String {
    let seen = mock.seen(&format!("tokens-{number}")).await;
    let header = seen["headers"]["authorization"].as_str().unwrap_or_else(|| panic!("no credential: {seen}"));
    header.strip_prefix("Bearer ").unwrap().to_owned()
}

/// Stores a credential and returns its id.
async fn put(gateway: &Gateway, token: &str, body: &Value) -> String {
    let created = gateway.ask(Call::json(KEYS, body).key(token)).await.expect(201).json();
    created["id"].as_str().unwrap().to_owned()
}

fn own(provider: &str, label: &str, secret: &str) -> Value {
    json!({"provider": provider, "label": label, "secret": secret})
}

/// Creates an admin and returns an access token.
async fn admin(gateway: &Gateway) -> String {
    let data = gateway.folder().data().display().to_string();
    let words =
        ["users", "create", "--email", "root@example.com", "--plan", OPEN, "--admin", "--link", "--data", &data];
    let output = commands::run(gateway.folder(), &words).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let link = printed.split_whitespace().find_map(|word| word.split_once("/link#")).unwrap().1.to_owned();
    let chosen = json!({"token": link, "password": PASSWORD});
    gateway.ask(Call::json("/api/auth/link", &chosen)).await.expect(200);
    let sign_in = json!({"email": "root@example.com", "password": PASSWORD});
    let signed_in = gateway.ask(Call::json("/api/auth/login", &sign_in)).await.expect(200).json();
    signed_in["access_token"].as_str().unwrap().to_owned()
}

/// A request to a provider; each `number` is a distinct model at the mock.
#[derive(Debug, Clone, Copy)]
struct NumberedCall<'a> {
    key: &'a str,
    provider: &'a str,
    number: u32,
}

const fn numbered<'a>(key: &'a str, provider: &'a str, number: u32) -> NumberedCall<'a> {
    NumberedCall { key, provider, number }
}

/// Sends requests until the provider receives this credential, which was stored immediately before.
async fn soon_with(gateway: &Gateway, mock: &Mock, numbered: NumberedCall<'_>, credential: &str) {
    let NumberedCall { key, provider, number } = numbered;
    let gets = async || {
        let answer = gateway.call(call(key, provider, number)).await;
        (answer.status() == 200 && came_with(mock, number).await == credential).then_some(())
    };
    Canary::new().within(WITHIN, &format!("{provider} gets {credential}"), gets).await;
}

/// Sends requests until one is refused with `status`, which was caused immediately before.
async fn soon_refused(gateway: &Gateway, numbered: NumberedCall<'_>, status: u16) -> Answer {
    let NumberedCall { key, provider, number } = numbered;
    let refused = async || (gateway.call(call(key, provider, number)).await.status() == status).then_some(());
    let since = Canary::new();
    since.within(WITHIN, &format!("{provider} answers {status}"), refused).await;
    // A worker that had not cached it refuses before the others, which see the change later.
    since.passes(WITHIN).await;
    gateway.call(call(key, provider, number)).await.expect(status)
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn own_credentials_precede_shared_ones_and_a_missing_credential_is_refused() {
    let (gateway, mock) = served().await;
    let ada = gateway.account(OPEN).await.key;
    let bob = gateway.account(OPEN).await.key;
    gateway.call(call(&ada, "up", 1)).await.expect(200);
    assert_eq!(came_with(&mock, 1).await, CREDENTIAL);
    let refused = gateway.call(call(&ada, "any", 2)).await.expect(403);
    assert_eq!(
        (code(&refused).as_str(), refused.header("x-should-retry")),
        ("forbidden", Some("false")),
        "{}",
        refused.text()
    );
    assert!(refused.text().contains("provider any") && refused.text().contains(KEYS), "{}", refused.text());

    let root = admin(&gateway).await;
    let mut shared = own("any", "first", "sk-shared-first");
    shared["shared"] = json!(true);
    put(&gateway, &root, &shared).await;
    soon_with(&gateway, &mock, numbered(&ada, "any", 2), "sk-shared-first").await;
    // With a label, only the credential with that label is used.
    gateway.call(call(&ada, "team", 3)).await.expect(403);
    let mut team = own("team", "team", "sk-shared-team");
    team["shared"] = json!(true);
    put(&gateway, &root, &team).await;
    soon_with(&gateway, &mock, numbered(&ada, "team", 3), "sk-shared-team").await;

    for (provider, number) in [("up", 1), ("any", 2), ("team", 3)] {
        let secret = format!("sk-adas-own-{provider}");
        put(&gateway, &ada, &own(provider, provider, &secret)).await;
        soon_with(&gateway, &mock, numbered(&ada, provider, number), &secret).await;
    }
    for (provider, number, secret) in
        [("up", 4, CREDENTIAL), ("any", 5, "sk-shared-first"), ("team", 6, "sk-shared-team")]
    {
        gateway.call(call(&bob, provider, number)).await.expect(200);
        assert_eq!(came_with(&mock, number).await, secret, "a user's credential is used for that user only");
    }
}

#[tokio::test]
async fn a_plan_without_shared_credentials_needs_own_ones() {
    let (gateway, mock) = served().await;
    let root = admin(&gateway).await;
    for provider in ["any", "team"] {
        let mut shared = own(provider, "team", "sk-shared-team");
        shared["shared"] = json!(true);
        shared["label"] = json!(if provider == "team" { "team" } else { "any" });
        put(&gateway, &root, &shared).await;
    }
    let eve = gateway.account("alone").await.key;
    for provider in ["up", "any", "team"] {
        let refused = gateway.call(call(&eve, provider, 1)).await.expect(403);
        assert_eq!(code(&refused), "forbidden");
    }
    // The refusal has the format of the path.
    let refused =
        gateway.call(Call::json(MESSAGES, &Format::Messages.body("claude/mock", false)).key(&eve)).await.expect(403);
    assert_eq!(refused.json()["error"]["type"], "permission_error", "{}", refused.text());
    assert_eq!(mock.requests("tokens-1").await, 0, "a refused request must not reach the provider");
    assert_eq!(gateway.used(&eve).await, 0, "a refused request must cost nothing");
    put(&gateway, &eve, &own("up", "mine", "sk-eves-own")).await;
    soon_with(&gateway, &mock, numbered(&eve, "up", 1), "sk-eves-own").await;
    gateway.call(call(&eve, "any", 1)).await.expect(403);
}

#[tokio::test]
async fn replaced_and_deleted_credentials_apply_within_a_second() {
    let (gateway, mock) = served().await;
    let ada = gateway.account(OPEN).await.key;
    let id = put(&gateway, &ada, &own("any", "mine", "sk-adas-first")).await;
    soon_with(&gateway, &mock, numbered(&ada, "any", 1), "sk-adas-first").await;
    let replaced = json!({"secret": "sk-adas-second"}).to_string();
    let change = Call::new("PATCH", &format!("{KEYS}/{id}")).header("content-type", "application/json").body(replaced);
    gateway.ask(change.key(&ada)).await.expect(200);
    soon_with(&gateway, &mock, numbered(&ada, "any", 1), "sk-adas-second").await;
    gateway.ask(Call::new("DELETE", &format!("{KEYS}/{id}")).key(&ada)).await.expect(204);
    soon_refused(&gateway, numbered(&ada, "any", 1), 403).await;
}

#[tokio::test]
async fn a_credential_is_tested_at_its_provider() {
    let (gateway, _mock) = served().await;
    let ada = gateway.account(OPEN).await.key;
    let id = put(&gateway, &ada, &own("any", "mine", "sk-adas-first")).await;
    let tested = gateway.ask(Call::new("POST", &format!("{KEYS}/{id}/test")).key(&ada)).await.expect(200).json();
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
}

/// The test moves a ciphertext to another row in the database.
#[tokio::test]
async fn a_moved_ciphertext_does_not_decrypt_and_no_other_credential_replaces_it() {
    let (gateway, mock) = served().await;
    let ada = gateway.account(OPEN).await.key;
    let eve = gateway.account(OPEN).await.key;
    let adas = put(&gateway, &ada, &own("up", "adas", "sk-adas-own")).await;
    let eves = put(&gateway, &eve, &own("up", "eves", "sk-eves-own")).await;
    soon_with(&gateway, &mock, numbered(&eve, "up", 1), "sk-eves-own").await;
    let rows = store::rows(gateway.folder(), Box::leak(Box::new(gateway.folder().data())));
    let moved = "UPDATE provider_keys SET sealed = (SELECT sealed FROM provider_keys WHERE label = 'adas') WHERE label = 'eves'";
    rows.execute(moved, moved).await;
    let raised = "UPDATE revision SET value = value + 1";
    rows.execute(raised, raised).await;
    let refused = soon_refused(&gateway, numbered(&eve, "up", 1), 503).await;
    assert_eq!(code(&refused), "unavailable", "{}", refused.text());
    gateway.call(call(&eve, "up", 2)).await.expect(503);
    assert_eq!(mock.requests("tokens-2").await, 0, "no other credential may be used instead");
    soon_with(&gateway, &mock, numbered(&ada, "up", 3), "sk-adas-own").await;
    let test = Call::new("POST", &format!("{KEYS}/{eves}/test")).key(&eve);
    gateway.ask(test).await.expect(503);
    assert!(undecryptable(&gateway).await > 0);
    gateway.logs("cannot be decrypted").await;
    let log = gateway.stderr();
    let reported = log.lines().filter(|line| line.contains("cannot be decrypted") && line.contains(&eves)).count();
    assert!(
        (1..=2).contains(&reported) && !log.contains(&adas),
        "one log line of the directory, one of the test: {log}"
    );
    // After replacement the credential can be decrypted again.
    let replaced = json!({"secret": "sk-eves-new"}).to_string();
    let change =
        Call::new("PATCH", &format!("{KEYS}/{eves}")).header("content-type", "application/json").body(replaced);
    gateway.ask(change.key(&eve)).await.expect(200);
    soon_with(&gateway, &mock, numbered(&eve, "up", 4), "sk-eves-new").await;
}

async fn undecryptable(gateway: &Gateway) -> i64 {
    gateway.gauge("tollgate_vault_undecryptable_total").await
}

#[tokio::test]
async fn the_age_of_the_master_key_is_a_metric() {
    let (gateway, _mock) = served().await;
    let age = gateway.gauge("tollgate_vault_key_age_seconds").await;
    assert!((0..60).contains(&age), "{age}");
    assert_eq!(undecryptable(&gateway).await, 0);
}

/// A process with credentials must not write a core file when it crashes.
#[tokio::test]
async fn a_server_leaves_no_core() {
    let (gateway, _mock) = served().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.process().id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

/// Returns the output of `vault status` for a folder's store.
async fn status(folder: &Folder, variables: &[(&str, &str)]) -> String {
    let data = folder.data().display().to_string();
    let output = commands::run_with(folder, &["vault", "status", "--data", &data], variables).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The vault can be tested without a provider: the built-in mock accepts a credential, and refuses one that begins
/// with `wrong`.
#[tokio::test]
async fn the_mock_is_called_with_a_credential_of_the_vault() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let mock = gateway.mock();
    gateway.call(call(&key, "mock", 1)).await.expect(200);
    assert!(mock.seen("tokens-1").await["headers"].get("authorization").is_none(), "the mock needs no credential");

    let created = put(&gateway, &key, &own("mock", "try", "sk-mock-right")).await;
    let test = format!("{KEYS}/{created}/test");
    let tested = gateway.ask(Call::new("POST", &test).key(&key)).await.expect(200).json();
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
    let gets = async || {
        gateway.call(call(&key, "mock", 2)).await.expect(200);
        let seen = mock.seen("tokens-2").await;
        (seen["headers"]["authorization"] == "Bearer sk-mock-right").then_some(())
    };
    Canary::new().within(WITHIN, "the mock gets the credential", gets).await;
    gateway.call(Call::json(MESSAGES, &Format::Messages.body("mock/tokens-3", false)).key(&key)).await.expect(200);
    assert_eq!(mock.seen("tokens-3").await["headers"]["x-api-key"], "sk-mock-right");

    let wrong = json!({"secret": "wrong-key"}).to_string();
    let change =
        Call::new("PATCH", &format!("{KEYS}/{created}")).header("content-type", "application/json").body(wrong);
    gateway.ask(change.key(&key)).await.expect(200);
    let tested = gateway.ask(Call::new("POST", &test).key(&key)).await.expect(200).json();
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(false), &json!(401)), "{tested}");
    let refused = soon_refused(&gateway, numbered(&key, "mock", 4), 401).await;
    assert!(
        refused.text().contains("begins with `wrong`") && !refused.text().contains("wrong-key"),
        "{}",
        refused.text()
    );
}
