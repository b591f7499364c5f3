//! After the whole life of a server, no secret occurs outside the files and responses that are meant to contain it.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::setup::CREDENTIAL;
use e2e::{Answer, Call, Gateway, Mock, Setup, commands, eventually, text};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

const PASSWORDS: [&str; 3] = ["first-password-of-ada-41", "second-password-of-ada-42", "never-the-password-43"];
const VAULTED: [&str; 2] = ["sk-vaulted-credential-of-ada-0123456789", "sk-vaulted-credential-replaced-9876543210"];
const METRICS_TOKEN: &str = "metrics-token-0123456789abcdef";
/// Files that are meant to contain secrets.
const OWN: [&str; 2] = ["secrets", "tollgate.yaml"];

/// The secrets of a server's life, and all responses that must not contain one.
struct ServerLife {
    gateway: Gateway,
    secrets: Vec<String>,
    answers: Vec<(String, Vec<u8>)>,
}

impl ServerLife {
    /// Sends a request to control, keeps the response for the search, and asserts its status.
    async fn ask(&mut self, call: Call, status: u16) -> Answer {
        let what = format!("{:?}", call.line());
        let answer = self.gateway.ask(call).await.expect(status);
        self.keep(what, &answer);
        answer
    }

    /// Like [`ServerLife::ask`], for a response that contains secrets in these fields; collects the secrets.
    async fn reveal(&mut self, call: Call, status: u16, names: &[&str]) -> Value {
        let answer = self.gateway.ask(call).await.expect(status);
        let cookies = answer.head.all("set-cookie").into_iter().filter_map(|cookie| {
            let (_, value) = cookie.split(';').next()?.split_once('=')?;
            (!value.is_empty()).then(|| value.to_owned())
        });
        self.secrets.extend(cookies);
        let reported = answer.json();
        for name in names {
            self.secrets.push(reported[name].as_str().unwrap_or_else(|| panic!("no {name}: {reported}")).to_owned());
        }
        reported
    }

    fn keep(&mut self, what: String, answer: &Answer) {
        let mut bytes = answer.head.raw.clone();
        bytes.extend_from_slice(&answer.body);
        self.answers.push((what, bytes));
    }
}

#[tokio::test]
async fn no_secret_is_in_files_logs_metrics_or_responses() {
    let upstream = Mock::start().await;
    let setup = Setup::provider("openai", upstream.address())
        .section("signup", "open")
        .section("signup_plan", "open")
        .section("metrics", &format!("{{token: {METRICS_TOKEN}}}"))
        .section("log", "{level: debug}");
    let gateway = Gateway::start(setup).await;
    let mut life =
        ServerLife { gateway, secrets: vec![CREDENTIAL.to_owned(), METRICS_TOKEN.to_owned()], answers: Vec::new() };
    life.secrets.extend(PASSWORDS.iter().chain(&VAULTED).map(|secret| (*secret).to_owned()));
    live(&mut life, &upstream).await;

    let metrics = life.gateway.ask(Call::get("/metrics").key(METRICS_TOKEN)).await.expect(200);
    life.answers.push(("GET /metrics".to_owned(), metrics.text().into_bytes()));
    let ServerLife { gateway, secrets, answers } = life;
    let ended = gateway.stop().await;
    let copy = ended.folder.path().join("copy.db");
    let words = ["backup", copy.to_str().unwrap(), "--data", ended.folder.data().to_str().unwrap()].map(str::to_owned);
    let copied = commands::run(&ended.folder, &words).await;
    assert!(copied.status.success(), "{copied:?}");

    let mut searched = answers;
    for file in files(ended.folder.path()) {
        searched.push((file.display().to_string(), written(&fs::read(&file).unwrap())));
    }
    assert!(searched.iter().any(|(name, _)| name.ends_with("copy.db")), "the store must be searched");
    assert!(secrets.len() > 15, "{}", secrets.len());
    for (place, bytes) in &searched {
        for secret in &secrets {
            for needle in needles(secret.as_bytes()) {
                assert!(!holds(bytes, &needle), "{place} contains {secret} as {}", String::from_utf8_lossy(&needle));
            }
        }
    }
}

/// Registers and signs in; creates, uses, rotates and revokes keys; stores credentials; and repeats each step with
/// invalid input.
async fn live(life: &mut ServerLife, upstream: &Mock) {
    let ada = "ada@example.com";
    let [first, second, wrong] = PASSWORDS;
    let sign_up = json!({"email": ada, "password": first, "name": "Ada", "refresh": true});
    let session =
        life.reveal(Call::json("/api/auth/register", &sign_up), 201, &["access_token", "refresh_token"]).await;
    let token = text(&session["access_token"]);
    let refresh = json!({"refresh_token": session["refresh_token"]});
    life.reveal(Call::json("/api/auth/refresh", &refresh), 200, &["access_token", "refresh_token"]).await;

    let created = life.reveal(Call::json("/api/keys", &json!({"label": "laptop"})).key(&token), 201, &["key"]).await;
    let key = text(&created["key"]);
    let id = text(&created["id"]);
    let vaulted = json!({"provider": "up", "label": "mine", "secret": VAULTED[0]});
    let remaining = life.ask(Call::json("/api/provider-keys", &vaulted).key(&token), 201).await.json();
    let entry = format!("/api/provider-keys/{}", text(&remaining["id"]));
    use_credential(life, upstream, &key, VAULTED[0]).await;
    let test = life.gateway.ask(Call::new("POST", &format!("{entry}/test")).key(&token)).await;
    life.keep("test".to_owned(), &test);
    let replaced = json!({"secret": VAULTED[1]});
    life.ask(
        Call::new("PATCH", &entry).header("content-type", "application/json").body(replaced.to_string()).key(&token),
        200,
    )
    .await;

    let rotated = Call::json(&format!("/api/keys/{id}/rotate"), &json!({"grace": "1h"})).key(&token);
    let rotated = life.reveal(rotated, 200, &["key"]).await;
    use_credential(life, upstream, &text(&rotated["key"]), VAULTED[1]).await;
    call_the_model(life, &key, 200).await;
    life.reveal(Call::json("/api/auth/login", &json!({"key": rotated["key"]})), 200, &["access_token"]).await;

    for path in [
        "/api/me",
        "/api/keys",
        "/api/sessions",
        "/api/provider-keys",
        "/api/usage/today",
        "/api/usage/requests",
        "/api/usage/history?days=2",
        "/api/usage/series?by=key",
        "/api/models",
        "/api/providers",
        "/api/dashboard/overview",
    ] {
        life.ask(Call::get(path).key(&token), 200).await;
    }
    refusals(life, &token, &key, wrong).await;
    let change = json!({"current": first, "new": second});
    life.ask(Call::json("/api/auth/password", &change).key(&token), 200).await;
    life.ask(Call::json("/api/auth/login", &json!({"email": ada, "password": first})), 401).await;
    let last = life
        .reveal(Call::json("/api/auth/login", &json!({"email": ada, "password": second})), 200, &["access_token"])
        .await;
    life.ask(Call::new("DELETE", &format!("/api/keys/{id}")).key(&token), 204).await;
    life.ask(Call::new("DELETE", &entry).key(&token), 204).await;
    // Reuse of a refresh token ends its session.
    life.ask(Call::json("/api/auth/refresh", &refresh), 401).await;
    life.ask(Call::get("/api/me").key(&token), 401).await;
    let last = text(&last["access_token"]);
    life.ask(Call::new("POST", "/api/auth/logout").key(&last), 200).await;
}

/// Invalid input must not be repeated in responses.
async fn refusals(life: &mut ServerLife, token: &str, key: &str, wrong: &str) {
    life.ask(Call::json("/api/auth/login", &json!({"email": "ada@example.com", "password": wrong})), 401).await;
    life.ask(Call::json("/api/auth/login", &json!({"email": "ada@example.com", "passwort": wrong})), 400).await;
    life.ask(Call::post("/api/auth/login", format!("{{\"password\": \"{wrong}\"")), 400).await;
    life.ask(
        Call::json("/api/provider-keys", &json!({"provider": VAULTED[0], "label": "x", "secret": VAULTED[0]}))
            .key(token),
        422,
    )
    .await;
    life.ask(
        Call::json("/api/provider-keys", &json!({"provider": "up", "label": "x", "secret": VAULTED[0], VAULTED[1]: 1}))
            .key(token),
        400,
    )
    .await;
    let broken = format!("{key}0");
    life.ask(Call::get("/api/me").key(&broken), 401).await;
    let unknown = key.chars().rev().filter(char::is_ascii_hexdigit).take(32).collect::<String>();
    life.ask(Call::get("/api/me").key(&format!("tollgate_{unknown}")), 401).await;
    life.ask(Call::get("/api/me").key(&format!("{token}x")), 401).await;
    let answer =
        life.gateway.call(Call::json(CHAT, &Format::Chat.body("up/tokens-1", false)).key(&broken)).await.expect(401);
    life.keep("a broken key at the proxy".to_owned(), &answer);
}

/// Calls the model until the provider receives this credential: nodes learn of a new one within a second.
async fn use_credential(life: &mut ServerLife, upstream: &Mock, key: &str, credential: &str) {
    eventually("the vault's credential is used", async || {
        call_the_model(life, key, 200).await;
        upstream.seen("tokens-1").await["credentials"].to_string().contains(credential).then_some(())
    })
    .await;
}

async fn call_the_model(life: &mut ServerLife, key: &str, status: u16) {
    let answer =
        life.gateway.call(Call::json(CHAT, &Format::Chat.body("up/tokens-1", false)).key(key)).await.expect(status);
    life.keep("a call of the model".to_owned(), &answer);
}

/// Collapses runs of zero bytes, which are allocated but unwritten space.
fn written(bytes: &[u8]) -> Vec<u8> {
    let mut remaining = bytes.to_vec();
    remaining.dedup_by(|next, last| *next == 0 && *last == 0);
    remaining
}

/// Returns every file below `folder` except those that are meant to contain secrets.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if OWN.iter().any(|own| path.file_name().is_some_and(|name| name == *own)) {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Returns the search patterns of a secret: the whole and its second half, in plain text, hex, and base64 at every
/// offset.
fn needles(secret: &[u8]) -> Vec<Vec<u8>> {
    let (_, half) = secret.split_at(secret.len() / 2);
    let mut found = Vec::new();
    for part in [secret, half] {
        found.push(part.to_vec());
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        found.extend([hex.clone().into_bytes(), hex.to_uppercase().into_bytes()]);
        for alphabet in [*b"+/", *b"-_"] {
            found.extend((0..3).map(|skipped| base64(part.get(skipped..).unwrap_or_default(), alphabet)));
        }
    }
    found
}

/// Encodes whole groups of three bytes: neighbouring bytes do not change their digits.
fn base64(bytes: &[u8], [plus, slash]: [u8; 2]) -> Vec<u8> {
    let digit = |six: u8| match six {
        0..=25 => b'A' + six,
        26..=51 => b'a' + six - 26,
        52..=61 => b'0' + six - 52,
        62 => plus,
        _ => slash,
    };
    let group = |three: &[u8]| [three[0] >> 2, three[0] << 4 | three[1] >> 4, three[1] << 2 | three[2] >> 6, three[2]];
    bytes.chunks_exact(3).flat_map(group).map(|six| digit(six & 63)).collect()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let secret = b"first-password-of-ada-41";
    let found = |bytes: &[u8]| needles(secret).iter().any(|needle| holds(bytes, needle));
    for text in [
        "x first-password-of-ada-41 y",
        "word-of-ada-41",
        "66697273742d70617373776f72642d6f662d6164612d3431",
        "Zmlyc3QtcGFzc3dvcmQtb2YtYWRhLTQx",
        "eGZpcnN0LXBhc3N3b3JkLW9mLWFkYS00MQ==",
        "eHhmaXJzdC1wYXNzd29yZC1vZi1hZGEtNDE=",
    ] {
        assert!(found(text.as_bytes()), "{text}");
    }
    assert!(!found(b"another text"));
}
