//! Two servers on one PostgreSQL: a revocation on one applies on the other within a second.

use std::time::Duration;

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Mock, Setup, TcpRelay, commands, eventually, setup, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format, RESPONSES};

/// The time within which a revocation must apply, as documented.
const WITHIN: Duration = Duration::from_secs(1);
const PASSWORD: &str = "a long enough password";

/// Two servers, and a user who registered on the first.
struct NodePair {
    one: Gateway,
    other: Gateway,
    /// The relay from the second server to the database.
    way: TcpRelay,
    token: String,
    key: String,
    key_id: String,
}

async fn pair(setup: Setup) -> NodePair {
    let setup = setup
        .section("signup", "open")
        .section("signup_plan", "open")
        .variable("MASTER_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .variable("JWT_SECRET", "the-same-secret-on-every-node-0123456789");
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let database = folder.database().unwrap();
    let way = TcpRelay::to(database.host()).await;
    let others = setup.clone().variable("DATABASE_URL", &database.url_by(way.address()));
    let one = Gateway::start_in(folder, setup).await;
    let other = Gateway::start_in(beside, others).await;
    let sign_up = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let token = text(&one.ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json()["access_token"]);
    let created = one.ask(Call::json("/api/keys", &json!({"label": "laptop"})).key(&token)).await.expect(201).json();
    let key = text(&created["key"]);
    let key_id = text(&created["id"]);
    let pair = NodePair { one, other, way, token, key, key_id };
    pair.everything_opens().await;
    pair
}

impl NodePair {
    fn call(&self) -> Call {
        Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&self.key)
    }

    /// Lets both servers authenticate the key and the token, so that they have cached both.
    async fn everything_opens(&self) {
        for server in [&self.one, &self.other] {
            server.call(self.call()).await.expect(200);
            for credential in [&self.key, &self.token] {
                server.ask(Call::get("/api/me").key(credential)).await.expect(200);
            }
        }
    }

    /// Asserts that every worker of the second server refuses the request with `code` within [`WITHIN`] after `since`.
    #[expect(clippy::print_stdout, reason = "the test harness shows it only where a test failed")]
    async fn refused(&self, since: &Canary, what: &str, code: &str, ask: impl AsyncFn(&Gateway) -> Value) {
        let is_refused = async || {
            let answer = ask(&self.other).await;
            println!("{what}, after {:?}: {answer}", since.elapsed());
            (answer["error"]["code"] == code).then_some(())
        };
        since.within(WITHIN, &format!("{what} is refused"), is_refused).await;
        // A worker that had not cached it refuses before the others, which see the change later.
        since.passes(WITHIN).await;
        for _ in 0..10 {
            assert_eq!(ask(&self.other).await["error"]["code"], code, "{what}");
        }
    }

    async fn key_is_refused(&self, since: &Canary, code: &str, code_of_the_format: &str) {
        let proxied = async |server: &Gateway| server.call(self.call()).await.json();
        self.refused(since, "the key at the proxy", code_of_the_format, proxied).await;
        let requested = async |server: &Gateway| server.ask(Call::get("/api/me").key(&self.key)).await.json();
        self.refused(since, "the key at control", code, requested).await;
    }

    async fn token_is_refused(&self, since: &Canary, code: &str) {
        let requested = async |server: &Gateway| server.ask(Call::get("/api/me").key(&self.token)).await.json();
        self.refused(since, "the access token", code, requested).await;
    }
}

#[tokio::test]
async fn a_key_revoked_on_one_node_is_refused_by_the_other_within_a_second() {
    let pair = pair(Setup::mocked()).await;
    let revoke = Call::new("DELETE", &format!("/api/keys/{}", pair.key_id)).key(&pair.token);
    pair.one.ask(revoke).await.expect(204);
    pair.key_is_refused(&Canary::new(), "key_revoked", "invalid_api_key").await;
}

#[tokio::test]
async fn a_user_suspended_on_one_node_is_refused_by_the_other_within_a_second() {
    let pair = pair(Setup::mocked()).await;
    commands::users_set(pair.one.folder(), "suspend", "ada@example.com").await;
    let since = Canary::new();
    pair.token_is_refused(&since, "user_suspended").await;
    let requested = async |server: &Gateway| server.ask(Call::get("/api/me").key(&pair.key)).await.json();
    pair.refused(&since, "the key at control", "user_suspended", requested).await;
    assert_eq!(pair.other.call(pair.call()).await.status(), 403);
}

#[tokio::test]
async fn a_sign_out_on_one_node_applies_on_the_other_within_a_second() {
    let pair = pair(Setup::mocked()).await;
    pair.one.ask(Call::new("POST", "/api/auth/logout").key(&pair.token)).await.expect(200);
    pair.token_is_refused(&Canary::new(), "token_expired").await;
    pair.other.ask(Call::get("/api/me").key(&pair.key)).await.expect(200);
}

#[tokio::test]
async fn a_changed_password_ends_sessions_on_every_node_within_a_second() {
    let pair = pair(Setup::mocked()).await;
    let sign_in = json!({"email": "ada@example.com", "password": PASSWORD});
    let elsewhere = pair.other.ask(Call::json("/api/auth/login", &sign_in)).await.expect(200).json();
    let elsewhere = text(&elsewhere["access_token"]);
    pair.other.ask(Call::get("/api/me").key(&elsewhere)).await.expect(200);
    let change = json!({"current": PASSWORD, "new": "another password, as long"});
    pair.one.ask(Call::json("/api/auth/password", &change).key(&pair.token)).await.expect(200);
    let since = Canary::new();
    let requested = async |server: &Gateway| server.ask(Call::get("/api/me").key(&elsewhere)).await.json();
    pair.refused(&since, "the other session", "token_expired", requested).await;
    pair.other.ask(Call::get("/api/me").key(&pair.token)).await.expect(200);
}

#[tokio::test]
async fn a_credential_deleted_on_one_node_is_not_sent_by_the_other_after_a_second() {
    let upstream = Mock::start().await;
    let pair = pair(own_credentials(&upstream)).await;
    let vaulted = json!({"provider": "own", "label": "mine", "secret": "sk-mine-0123456789"});
    let remaining = pair.one.ask(Call::json("/api/provider-keys", &vaulted).key(&pair.token)).await.expect(201).json();
    let call = Call::json(CHAT, &Format::Chat.body("own/tokens-1", false)).key(&pair.key);
    let opens = async || (pair.other.call(call.clone()).await.status() == 200).then_some(());
    eventually("the credential is used", opens).await;
    let entry = format!("/api/provider-keys/{}", text(&remaining["id"]));
    pair.one.ask(Call::new("DELETE", &entry).key(&pair.token)).await.expect(204);
    let since = Canary::new();
    let proxied = async |server: &Gateway| server.call(call.clone()).await.json();
    pair.refused(&since, "the deleted credential", "forbidden", proxied).await;
}

/// Nodes are not notified of changes but poll for them. A node without database access continues with its cache, and
/// polls as soon as it can.
#[tokio::test]
async fn changes_during_a_partition_apply_within_a_second_of_its_end() {
    for what in ["revoked", "suspended", "signed out"] {
        let pair = pair(Setup::mocked()).await;
        pair.way.cut();
        let cut_off =
            async || (pair.other.ask(Call::get("/api/usage/today").key(&pair.key)).await.status() == 503).then_some(());
        eventually("the second node has no database", cut_off).await;
        match what {
            "revoked" => {
                let revoke = Call::new("DELETE", &format!("/api/keys/{}", pair.key_id)).key(&pair.token);
                pair.one.ask(revoke).await.expect(204);
            }
            "suspended" => commands::users_set(pair.one.folder(), "suspend", "ada@example.com").await,
            _ => drop(pair.one.ask(Call::new("POST", "/api/auth/logout").key(&pair.token)).await.expect(200)),
        }
        // Cached keys remain valid for an hour, sessions for less than a second.
        pair.other.call(pair.call()).await.expect(200);
        let forgotten =
            async || (pair.other.ask(Call::get("/api/me").key(&pair.token)).await.status() == 503).then_some(());
        eventually("the cached session has expired", forgotten).await;
        pair.way.mend();
        let since = Canary::new();
        match what {
            "revoked" => pair.key_is_refused(&since, "key_revoked", "invalid_api_key").await,
            "suspended" => {
                pair.token_is_refused(&since, "user_suspended").await;
                let requested = async |server: &Gateway| server.ask(Call::get("/api/me").key(&pair.key)).await.json();
                pair.refused(&since, "the key at control", "user_suspended", requested).await;
                assert_eq!(pair.other.call(pair.call()).await.status(), 403);
            }
            _ => pair.token_is_refused(&since, "token_expired").await,
        }
    }
}

/// Repeated connection failures on both nodes must not delay the revocation after they end.
#[tokio::test]
async fn cut_connections_keep_nothing_open() {
    let pair = pair(Setup::mocked()).await;
    let database = pair.one.folder().database().unwrap();
    let revoke = Call::new("DELETE", &format!("/api/keys/{}", pair.key_id)).key(&pair.token);
    database.cut();
    eventually("the key is revoked", async || {
        let answer = pair.one.ask(revoke.clone()).await;
        assert!([204, 503].contains(&answer.status()), "{}", answer.text());
        database.cut();
        (answer.status() == 204).then_some(())
    })
    .await;
    pair.key_is_refused(&Canary::new(), "key_revoked", "invalid_api_key").await;
}

#[tokio::test]
async fn a_node_without_its_data_folder_is_forgotten() {
    const LOST: &str = "0199aa00-0000-7000-8000-000000000000";
    let gateway = Gateway::start(Setup::mocked()).await;
    let folder = gateway.folder();
    let data = folder.data();
    let rows = crate::store::rows(folder, &data);
    let add = |id: String| {
        format!(
            "INSERT INTO nodes (id, version, incarnation, seen_at, spooled, created_at, updated_at)
            VALUES ({id}, '1', 1, 1000000, 7, 1, 1)"
        )
    };
    rows.execute(&add(format!("x'{}'", LOST.replace('-', ""))), &add(format!("'{LOST}'"))).await;
    let own = std::fs::read_to_string(data.join("node")).unwrap();
    let data_flag = data.display().to_string();
    let listed = commands::run(folder, &["nodes", "list", "--data", data_flag.as_str()]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let state = |id: &str, state: &str| listed.lines().any(|line| line.starts_with(id) && line.contains(state));
    assert!(state(own.trim(), "  running  ") && state(LOST, "  silent   1970-01-01"), "{listed}");
    for (id, is_done, says) in [
        (own.trim(), false, "node_folder_exists"),
        ("0199aa00-0000-7000-8000-000000000001", false, "0199aa00-0000-7000-8000-000000000000  last seen 1970-01-01"),
        (LOST, true, "had 7 records"),
        (LOST, false, "node_has_left"),
    ] {
        let output = commands::run(folder, &["nodes", "forget", id, "--data", data_flag.as_str()]).await;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(output.status.success() == is_done && printed.contains(says), "{id}: {printed}");
    }
    assert_eq!(rows.number("SELECT count(*) FROM audit_log WHERE action = 'node.forget'").await, 1);
}

#[tokio::test]
async fn the_usage_of_a_killed_node_is_drained_from_its_folder_without_a_start() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let call = |model: &str, streamed| Call::json(CHAT, &Format::Chat.body(model, streamed)).key(&key);
    gateway.call(call("mock/tokens-1", false)).await.expect(200);
    let mut open = JoinSet::new();
    let stream = call("mock/long", true);
    let proxy = gateway.proxy;
    open.spawn(async move { stream.send(proxy).await });
    eventually("the stream runs", async || (gateway.gauge("tollgate_requests_in_flight").await == 1).then_some(()))
        .await;
    let drain = ["nodes", "drain", "--data", "data"];
    let printed = |output: std::process::Output| {
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    // The folder of a node that runs is left alone.
    let (is_done, refusal) = printed(commands::run(gateway.folder(), &drain).await);
    assert!(!is_done && refusal.contains("data_in_use"), "{refusal}");
    let folder = gateway.crash().folder;
    open.abort_all();
    let interrupted = "SELECT count(*) FROM usage_events WHERE outcome = 'interrupted'";
    assert_eq!(crate::store::number(&folder, interrupted).await, 0);
    // A second run finds nothing to do.
    for _ in 0..2 {
        let (is_done, output) = printed(commands::run(&folder, &drain).await);
        assert!(is_done && output.contains("the store has all usage of"), "{output}");
        assert_eq!(crate::store::number(&folder, interrupted).await, 1);
        let all = "SELECT count(*) FROM usage_events WHERE attempts > 0 OR outcome = 'interrupted'";
        assert_eq!(crate::store::number(&folder, all).await, 2);
    }
    let listed = commands::run(&folder, &["nodes", "list", "--data", "data"]).await.stdout;
    let listed = String::from_utf8_lossy(&listed);
    assert!(!listed.is_empty() && listed.lines().all(|line| line.contains("  left  ")), "{listed}");
    crate::audit::must(&folder, &["audit"]).await;
    let (is_done, missing) = printed(commands::run(&folder, &["nodes", "drain", "--data", "missing"]).await);
    assert!(!is_done && missing.contains("missing"), "{missing}");
    assert!(!folder.path().join("missing").exists());
}

/// Returns a setup with the mock and a provider that works only with credentials of clients.
fn own_credentials(upstream: &Mock) -> Setup {
    let own = format!("{{name: own, kind: openai, base_url: \"http://{}/v1\", credential: vault}}", upstream.address());
    Setup::new().section("providers", &format!("[{{name: mock, kind: mock}}, {own}]"))
}

#[tokio::test]
async fn an_id_of_the_operators_account_is_its_users_on_every_node() {
    let upstream = Mock::start().await;
    let provider = setup::provider("shared", "openai", upstream.address());
    let providers = format!("[{provider}, {{name: mock, kind: mock}}]");
    let pair = pair(Setup::new().section("providers", &providers)).await;
    let made = pair.one.call(Call::json(RESPONSES, &Format::Responses.body("shared/tokens-1", false)).key(&pair.key));
    let id = text(&made.await.expect(200).json()["id"]);
    assert!(id.contains("-tgo-"), "{id}");
    let next = json!({"model": "shared/tokens-1", "input": "hi", "previous_response_id": id, "max_output_tokens": 16});
    for server in [&pair.one, &pair.other] {
        server.call(Call::json(RESPONSES, &next).key(&pair.key)).await.expect(200);
    }
    let sign_up = json!({"email": "eve@example.com", "password": PASSWORD, "name": "Eve"});
    let token =
        text(&pair.one.ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json()["access_token"]);
    let created =
        pair.one.ask(Call::json("/api/keys", &json!({"label": "laptop"})).key(&token)).await.expect(201).json();
    let foreign = text(&created["key"]);
    for server in [&pair.one, &pair.other] {
        let refused = server.call(Call::json(RESPONSES, &next).key(&foreign)).await.expect(404).json();
        assert_eq!(refused["error"]["code"], "previous_response_not_found", "{refused}");
    }
    let requests = upstream.requests("tokens-1").await;
    assert_eq!(requests, 3, "the provider gets no foreign id");
}
