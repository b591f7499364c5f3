use std::sync::{Arc, Mutex};

use access::{Role, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::{Answer, call, get, post};
use crate::world::{Holder, World};

mod private_tls;
mod test;

const PATH: &str = "/api/provider-keys";
const SECRET: &str = "sk-live-of-ada-1234";

/// A provider that sends the same response to every request, and records the requests.
struct Provider {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Provider {
    /// Starts a provider that sends `answer` unchanged and closes the connection.
    async fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let answer = answer.to_owned();
        let reported = seen.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                reported.lock().unwrap().push(String::from_utf8(head).unwrap());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, seen, _tasks: tasks }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Starts a world with these providers (the items of a YAML list).
async fn world(providers: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, format!("providers: [{providers}]\n")).unwrap();
    let environment = config::Environment::default();
    let sources = config::Sources { file: Some(&file), environment: &environment, flags: config::Flags::default() };
    let traffic = config::load(sources).unwrap().snapshot.traffic;
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic = traffic);
    world
}

async fn usual() -> World {
    world("{name: openai, kind: openai, credential: vault}, {name: claude, kind: anthropic, credential: sk-fixed}, {name: m, kind: mock, base_url: 'http://127.0.0.1:9'}").await
}

async fn create(world: &World, bearer: &str, body: &Value) -> Answer {
    post(world.address, PATH, &[bearer], &body.to_string()).await
}

fn new(label: &str) -> Value {
    json!({"provider": "openai", "label": label, "secret": SECRET})
}

fn id(answer: &Answer) -> String {
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn patch(world: &World, bearer: &str, id: &str, body: &Value) -> Answer {
    let headers = [bearer, "Content-Type: application/json"];
    call(world.address, &format!("PATCH {PATH}/{id}"), &headers, &body.to_string()).await
}

async fn delete(world: &World, bearer: &str, id: &str) -> Answer {
    call(world.address, &format!("DELETE {PATH}/{id}"), &[bearer], "").await
}

async fn list(world: &World, bearer: &str) -> Vec<Value> {
    let answer = get(world.address, PATH, &[bearer]).await;
    assert_eq!((answer.status, &answer.json()["next"]), (200, &Value::Null), "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

/// Returns the decrypted credentials of the holder in the store.
async fn opened(world: &World, holder: &Holder) -> Vec<String> {
    let rows = world.store.provider_keys(Some(holder.user)).await.unwrap();
    let open = |row: &store::StoredProviderKey| row.open(&world.vault).unwrap().expose().to_owned();
    rows.iter().map(open).collect()
}

#[tokio::test]
async fn a_credential_is_stored_and_only_its_last_characters_are_returned() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let created = create(&world, &ada.bearer(), &new("work")).await;
    let shown = json!({"id": id(&created), "provider": "openai", "label": "work", "last4": "1234", "shared": false,
        "created_at": "2026-11-20T12:00:00Z", "updated_at": "2026-11-20T12:00:00Z"});
    assert_eq!((created.status, created.json()), (201, shown.clone()));
    assert_eq!(list(&world, &ada.bearer()).await, [shown]);
    assert_eq!(opened(&world, &ada).await, [SECRET]);
    let claude = json!({"provider": "claude", "label": "other", "secret": "sk-ant-5678"});
    assert_eq!(create(&world, &ada.bearer(), &claude).await.json()["last4"], "5678");
}

#[tokio::test]
async fn it_is_renamed_replaced_and_deleted() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let created = id(&create(&world, &ada.bearer(), &new("work")).await);
    world.clock.advance(std::time::Duration::from_millis(1));
    create(&world, &ada.bearer(), &new("home")).await;
    patch(&world, &ada.bearer(), &created, &json!({"label": "home"})).await.refuses(409, "conflict");
    let renamed = patch(&world, &ada.bearer(), &created, &json!({"label": "office"})).await.json();
    assert_eq!((&renamed["label"], &renamed["last4"]), (&json!("office"), &json!("1234")));
    world.clock.advance(std::time::Duration::from_millis(59_999));
    let replaced = patch(&world, &ada.bearer(), &created, &json!({"secret": "sk-live-of-ada-9876"})).await.json();
    assert_eq!((&replaced["label"], &replaced["last4"]), (&json!("office"), &json!("9876")));
    assert_eq!(replaced["updated_at"], "2026-11-20T12:01:00Z");
    assert_eq!(opened(&world, &ada).await, ["sk-live-of-ada-9876", SECRET]);
    assert_eq!(patch(&world, &ada.bearer(), &created, &json!({})).await.json(), replaced);
    assert_eq!(delete(&world, &ada.bearer(), &created).await.status, 204);
    delete(&world, &ada.bearer(), &created).await.refuses(404, "not_found");
    assert_eq!(list(&world, &ada.bearer()).await.len(), 1);
}

#[tokio::test]
async fn invalid_values_are_named_and_not_repeated() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    for (field, value) in [
        ("label", json!("")),
        ("label", json!("  ")),
        ("label", json!("a\u{0}b")),
        ("label", json!("x".repeat(201))),
        ("secret", json!("short7!")),
        ("secret", json!("sk-live with a space")),
        ("secret", json!("sk-live-ümlaut")),
        ("secret", json!("sk-live-\u{7f}-delete")),
        ("secret", json!(format!("sk-{}", "x".repeat(4_094)))),
        ("provider", json!("other")),
        ("provider", json!("")),
    ] {
        let mut body = new("work");
        body[field] = value.clone();
        let says = create(&world, &ada.bearer(), &body).await.refuses(422, "unprocessable");
        assert!(says.contains(&format!("`{field}`")) && !says.contains("sk-live"), "{says}");
        if field == "provider" {
            assert!(says.ends_with("openai, claude, m"), "{says}");
        }
    }
    for body in
        ["{}", r#"{"provider": "openai", "label": "x"}"#, r#"{"provider": "openai", "label": "x", "secret": 5}"#]
    {
        post(world.address, PATH, &[&ada.bearer()], body).await.refuses(400, "bad_request");
    }
    let mut unknown = new("work");
    unknown["owner"] = json!("x");
    let says = create(&world, &ada.bearer(), &unknown).await.refuses(400, "bad_request");
    assert!(says.contains("owner") && !says.contains(SECRET), "{says}");
    let odd =
        r#"{"provider": "openai", "label": "x", "secret": "sk-live-of-ada-1234", "secret": "sk-live-of-ada-1234"}"#;
    let says = post(world.address, PATH, &[&ada.bearer()], odd).await.refuses(400, "bad_request");
    assert!(!says.contains(SECRET), "{says}");
    assert_eq!(list(&world, &ada.bearer()).await, [] as [Value; 0]);
    // Credentials for the mock provider are accepted as well.
    let for_mock = json!({"provider": "m", "label": "mock", "secret": SECRET});
    let created = create(&world, &ada.bearer(), &for_mock).await;
    assert_eq!((created.status, &created.json()["provider"]), (201, &json!("m")), "{created:?}");
    // Values at the maximum are accepted.
    let widest = json!({"provider": "openai", "label": "ü".repeat(200), "secret": "x".repeat(4_096)});
    assert_eq!(create(&world, &ada.bearer(), &widest).await.status, 201);
    let shortest = json!({"provider": "openai", "label": "x", "secret": "12345678"});
    assert_eq!(create(&world, &ada.bearer(), &shortest).await.status, 201);
}

#[tokio::test]
async fn a_label_is_unique_per_owner() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    create(&world, &ada.bearer(), &new("work")).await;
    create(&world, &ada.bearer(), &new("work")).await.refuses(409, "conflict");
    assert_eq!(create(&world, &bob.bearer(), &new("work")).await.status, 201);
}

#[tokio::test]
async fn an_owner_has_at_most_a_hundred() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    for nth in 0..100 {
        let owner = Some(ada.user);
        let label = nth.to_string();
        let provider = "openai".to_owned();
        let secret = Secret::new(SECRET.to_owned());
        let new = store::NewProviderKey { owner, provider, label, secret };
        world.store.create_provider_key(&store::Actor::COMMAND, &world.vault, new).await.unwrap();
    }
    create(&world, &ada.bearer(), &new("more")).await.refuses(409, "conflict");
    assert_eq!(list(&world, &ada.bearer()).await.len(), 100);
}

/// Foreign, absent and malformed ids cause identical responses.
#[tokio::test]
async fn anothers_is_absent_byte_for_byte() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    let foreign = id(&create(&world, &ada.bearer(), &new("work")).await);
    let mut shared = new("all");
    shared["shared"] = json!(true);
    let shared = id(&create(&world, &root, &shared).await);
    let absent = "0199aa00-0000-7000-8000-000000000000";
    let body = json!({"label": "mine"}).to_string();
    for (method, tail) in [("PATCH", ""), ("DELETE", ""), ("POST", "/test")] {
        let mut answers = Vec::new();
        for id in [absent, foreign.as_str(), shared.as_str(), "x"] {
            let headers = [&bob.bearer(), "Content-Type: application/json"];
            let body = if method == "PATCH" { body.as_str() } else { "" };
            let answer = call(world.address, &format!("{method} {PATH}/{id}{tail}"), &headers, body).await;
            answer.refuses(404, "not_found");
            answers.push(answer.body);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{method}: {answers:?}");
    }
    delete(&world, &bob.bearer(), "%00").await.refuses(400, "bad_request");
    // Admins have no access to the credentials of single users.
    delete(&world, &root, &foreign).await.refuses(404, "not_found");
    assert_eq!(opened(&world, &ada).await, [SECRET]);
}

#[tokio::test]
async fn shared_credentials_need_an_admin_session_with_a_password() {
    let world = usual().await;
    let root = world.person_with("root", Role::Admin).await;
    let key = format!("Authorization: Bearer {}", world.key_of(root.user, "laptop", None).await);
    let ada = world.holder("ada", "starter").await;
    let root = world.sign_in(&root).await.bearer();
    let mut shared = new("all");
    shared["shared"] = json!(true);
    for bearer in [&ada.bearer(), &key] {
        create(&world, bearer, &shared).await.refuses(403, "forbidden");
        get(world.address, &format!("{PATH}?shared=true"), &[bearer]).await.refuses(403, "forbidden");
    }
    let created = create(&world, &root, &shared).await;
    assert_eq!((created.status, &created.json()["shared"]), (201, &json!(true)));
    assert_eq!(create(&world, &root, &new("all")).await.status, 201, "shared credentials have separate labels");
    assert_eq!(list(&world, &root).await.len(), 1);
    let page = get(world.address, &format!("{PATH}?shared=true"), &[&root]).await.json();
    assert_eq!(page["items"], json!([created.json()]));
    // An admin's key has the rights of a member.
    delete(&world, &key, &id(&created)).await.refuses(404, "not_found");
    assert_eq!(patch(&world, &root, &id(&created), &json!({"label": "everybody"})).await.status, 200);
    assert_eq!(delete(&world, &root, &id(&created)).await.status, 204);
}

#[tokio::test]
async fn credentials_of_upstreams_are_shared() {
    let world = world("]\nupstreams: [{name: orders, backends: [{url: 'http://127.0.0.1:9'}]}").await;
    let root = world.person_with("root", Role::Admin).await;
    let ada = world.holder("ada", "starter").await.bearer();
    let root = world.sign_in(&root).await.bearer();
    let mut body = json!({"provider": "orders", "label": "team", "secret": SECRET});
    for bearer in [&ada, &root] {
        let message = create(&world, bearer, &body).await.refuses(422, "unprocessable");
        assert!(!message.contains("orders"), "{message}");
    }
    body["shared"] = json!(true);
    let created = create(&world, &root, &body).await;
    assert_eq!(created.json()["provider"], "orders");
    let unknown = json!({"provider": "ordres", "label": "team", "secret": SECRET, "shared": true});
    let message = create(&world, &root, &unknown).await.refuses(422, "unprocessable");
    assert!(message.contains("upstreams: orders"), "{message}");
    let test = call(world.address, &format!("POST {PATH}/{}/test", id(&created)), &[&root], "").await;
    test.refuses(409, "conflict");
}

#[tokio::test]
async fn without_a_credential_nothing_is_listed() {
    let world = usual().await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    post(world.address, PATH, &[], &new("work").to_string()).await.refuses(401, "unauthorized");
    let ada = world.holder("ada", "starter").await;
    get(world.address, &format!("{PATH}?shared=perhaps"), &[&ada.bearer()]).await.refuses(400, "bad_request");
    get(world.address, &format!("{PATH}?owner=x"), &[&ada.bearer()]).await.refuses(400, "bad_request");
}

/// Requests that carry a credential leave it neither in the audit log nor on disk in plain text.
#[tokio::test]
async fn no_credential_is_stored_in_plaintext() {
    let world = usual().await;
    let ada = world.holder("ada", "starter").await;
    let created = id(&create(&world, &ada.bearer(), &new("work")).await);
    patch(&world, &ada.bearer(), &created, &json!({"secret": "sk-live-of-ada-9876"})).await;
    delete(&world, &ada.bearer(), &created).await;
    for entry in std::fs::read_dir(world.data()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in [SECRET, "sk-live-of-ada-9876"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", path.display());
        }
    }
}
