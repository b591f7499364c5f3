//! SIGKILL of PostgreSQL during changes by users: acknowledged changes exist exactly once and remain readable. While
//! PostgreSQL is down, the only error is 503.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::database::Database;
use e2e::postgres::{PostgresServer, Stop};
use e2e::setup::{Folder, provider};
use e2e::{Answer, Call, Document, Gateway, Mock, Setup, eventually, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const PASSWORD: &str = "a long enough password";
/// Pause between two changes of one user.
const PAUSE: Duration = Duration::from_millis(50);

/// State shared by the loops: whether they must end, and the numbers of successful and of refused requests.
#[derive(Default)]
struct ChangeProgress {
    is_over: AtomicBool,
    done: AtomicUsize,
    put_off: AtomicUsize,
}

impl ChangeProgress {
    /// Returns the response of a successful request, checked against the document; `None` for a 503.
    async fn ask(&self, to: SocketAddr, call: Call, well: u16) -> Option<Answer> {
        let answer = call.send(to).await;
        let (method, target) = call.line();
        Document::committed().check(method, target, &answer).unwrap();
        if answer.status() == 503 {
            assert_eq!(answer.json()["error"]["code"], "unavailable", "{}", answer.text());
            self.put_off.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let answer = answer.expect(well);
        self.done.fetch_add(1, Ordering::Relaxed);
        Some(answer)
    }

    /// Creates resources with distinct labels until the end of the test; returns the acknowledged ones by label. A
    /// user may store at most 100 provider credentials.
    async fn make(self: Arc<Self>, to: SocketAddr, token: String, path: &'static str) -> BTreeMap<String, Value> {
        let mut created = BTreeMap::new();
        let mut nth = 0;
        while !self.is_over.load(Ordering::Relaxed) && nth < 90 {
            nth += 1;
            let label = format!("label {nth}");
            let body = match path {
                "/api/keys" => json!({"label": label}),
                _ => json!({"provider": "up", "label": label, "secret": format!("sk-number-{nth:08}")}),
            };
            if let Some(answer) = self.ask(to, Call::json(path, &body).key(&token), 201).await {
                created.insert(label, answer.json());
            }
            tokio::time::sleep(PAUSE).await;
        }
        created
    }

    /// Renews a session repeatedly, after a 503 with the same token; returns the last response.
    async fn renew(self: Arc<Self>, to: SocketAddr, mut session: Value) -> Value {
        while !self.is_over.load(Ordering::Relaxed) {
            let renewal = json!({"refresh_token": session["refresh_token"]});
            if let Some(answer) = self.ask(to, Call::json("/api/auth/refresh", &renewal), 200).await {
                session = answer.json();
            }
            tokio::time::sleep(PAUSE).await;
        }
        session
    }

    async fn goes_on(&self, what: &str) {
        let before = self.done.load(Ordering::Relaxed);
        eventually(what, async || (self.done.load(Ordering::Relaxed) > before + 30).then_some(())).await;
    }
}

async fn signed_up(gateway: &Gateway, name: &str) -> Value {
    let who = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "name": name, "refresh": true});
    gateway.ask(Call::json("/api/auth/register", &who)).await.expect(201).json()
}

/// Returns all items of a list, page by page.
async fn listed(gateway: &Gateway, path: &str, token: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut target = path.to_owned();
    loop {
        let page = gateway.ask(Call::get(&target).key(token)).await.expect(200).json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => target = format!("{path}?cursor={next}"),
            None => return items,
        }
    }
}

/// Asserts that acknowledged resources are listed exactly once with their id, and refused ones at most once.
fn each_once(acknowledged: &BTreeMap<String, Value>, listed: &[Value]) {
    let mut by_label: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in listed {
        by_label.entry(text(&item["label"])).or_default().push(item);
    }
    for (label, items) in &by_label {
        assert_eq!(items.len(), 1, "{label} exists several times");
    }
    for (label, created) in acknowledged {
        let items = by_label.get(label).unwrap_or_else(|| panic!("{label} was acknowledged but does not exist"));
        assert_eq!(items[0]["id"], created["id"], "{label}");
    }
}

#[tokio::test]
async fn acknowledged_records_survive_a_kill_of_postgres_exactly_once() {
    let mut server = PostgresServer::start().await;
    let mock = Mock::start().await;
    let providers = provider("up", "openai", mock.address()).replace(e2e::setup::CREDENTIAL, "vault");
    let setup = Setup::new()
        .section("providers", &format!("[{providers}]"))
        .section("signup", "open")
        .section("signup_plan", "open");
    let gateway = Gateway::start_in(Folder::on_postgres(Database::create_on(server.url())), setup).await;
    let ada = signed_up(&gateway, "ada").await;
    let eve = signed_up(&gateway, "eve").await;
    let token = text(&ada["access_token"]);
    let story = Arc::new(ChangeProgress::default());
    let mut making = JoinSet::new();
    for path in ["/api/keys", "/api/provider-keys"] {
        let created = Arc::clone(&story).make(gateway.control, token.clone(), path);
        making.spawn(async move { (path, created.await) });
    }
    let mut renewing = JoinSet::new();
    renewing.spawn(Arc::clone(&story).renew(gateway.control, eve));
    for _ in 0..2 {
        story.goes_on("changes are made").await;
        server.stop(Stop::Kill).await;
        let before = story.put_off.load(Ordering::Relaxed);
        eventually("changes are refused with 503", async || {
            (story.put_off.load(Ordering::Relaxed) > before + 2).then_some(())
        })
        .await;
        server.resume().await;
    }
    story.goes_on("changes are made again").await;
    story.is_over.store(true, Ordering::Relaxed);
    let created: BTreeMap<&str, BTreeMap<String, Value>> = making.join_all().await.into_iter().collect();
    let eve = renewing.join_next().await.unwrap().unwrap();

    each_once(&created["/api/keys"], &listed(&gateway, "/api/keys", &token).await);
    for created in created["/api/keys"].values() {
        gateway.validate(&text(&created["key"])).await;
    }
    each_once(&created["/api/provider-keys"], &listed(&gateway, "/api/provider-keys", &token).await);
    for created in created["/api/provider-keys"].values() {
        let test = Call::new("POST", &format!("/api/provider-keys/{}/test", text(&created["id"]))).key(&token);
        assert_eq!(gateway.ask(test).await.expect(200).json()["ok"], true, "{created} cannot be decrypted");
    }
    let access = text(&eve["access_token"]);
    assert_eq!(listed(&gateway, "/api/sessions", &access).await.len(), 1, "renewals must not create sessions");
    let renewal = json!({"refresh_token": eve["refresh_token"]});
    gateway.ask(Call::json("/api/auth/refresh", &renewal)).await.expect(200);
}
