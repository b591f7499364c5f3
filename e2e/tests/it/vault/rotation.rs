//! The master key is rotated while requests continue, and the command is killed during the rotation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::child::Process;
use tokio::task::JoinSet;

use super::*;

const BEFORE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const AFTER: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
/// Number of users, and of credentials per user: enough for several batches.
const USERS: u32 = 6;
const EACH: u32 = 99;
/// Number of credentials that the command re-encrypts in one transaction.
const BATCH: i64 = 100;

fn keys<'a>(current: &'a str, previous: &'a str) -> [(&'static str, &'a str); 2] {
    [("MASTER_ENCRYPTION_KEY", current), ("MASTER_ENCRYPTION_KEY_PREVIOUS", previous)]
}

fn with(setup: Setup, keys: [(&str, &str); 2]) -> Setup {
    keys.into_iter().fold(setup, |setup, (name, value)| setup.variable(name, value))
}

/// A user whose newest credential is used for requests.
struct Person {
    key: String,
    number: u32,
}

impl Person {
    fn secret(&self) -> String {
        format!("sk-newest-of-person-{}", self.number)
    }

    async fn fill(&self, gateway: &Gateway) {
        for nth in 1..EACH {
            put(gateway, &self.key, &own("any", &nth.to_string(), &format!("sk-{}-{nth}-old", self.number))).await;
        }
        // Ids of the same millisecond have no defined order.
        tokio::time::sleep(Duration::from_millis(2)).await;
        put(gateway, &self.key, &own("any", "newest", &self.secret())).await;
    }
}

/// Requests that continue until they are stopped; each must succeed.
struct RotationLoad {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    callers: JoinSet<()>,
}

impl RotationLoad {
    fn begin(gateway: &Gateway, people: &[Person]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for person in people {
            let call = call(&person.key, "any", person.number);
            let to = gateway.proxy;
            let stop = stop.clone();
            let served = served.clone();
            callers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    call.send(to).await.expect(200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { stop, served, callers }
    }

    async fn end(self) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("the load continues", async || (self.served.load(Ordering::Relaxed) > before + 20).then_some(()))
            .await;
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await;
    }
}

/// Returns how many credentials are encrypted with the newest master key.
async fn resealed(folder: &Folder) -> i64 {
    let newest = "SELECT count(*) FROM provider_keys WHERE master = \
        (SELECT fingerprint FROM master_keys ORDER BY created_at DESC LIMIT 1)";
    store::number(folder, newest).await
}

/// Runs `vault rotate` and kills it after its next batch, when it prints its first line.
async fn killed_after_a_batch(folder: &Folder) {
    let before = resealed(folder).await;
    let data = folder.data().display().to_string();
    let words = ["vault", "rotate", "--data", &data];
    let (child, _reader) = commands::begin_on_full_output(folder, &words, &keys(AFTER, BEFORE)).unwrap();
    let mut process = Process::new(child);
    eventually("a batch is re-encrypted", async || (resealed(folder).await >= before + BATCH).then_some(())).await;
    process.kill();
    assert_eq!(resealed(folder).await, before + BATCH);
}

async fn rotate(folder: &Folder) -> (bool, String) {
    let data = folder.data().display().to_string();
    let output = commands::run_with(folder, &["vault", "rotate", "--data", &data], &keys(AFTER, BEFORE)).await;
    let reported = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), reported)
}

#[tokio::test]
async fn a_killed_rotation_loses_nothing_and_can_be_continued() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(with(before(&mock), keys(BEFORE, ""))).await;
    let mut people = Vec::new();
    for number in 1..=USERS {
        let person = Person { key: gateway.account(OPEN).await.key, number };
        person.fill(&gateway).await;
        people.push(person);
    }
    let folder = gateway.stop().await.folder;
    let total = i64::from(USERS * EACH);

    // The servers have both keys; requests continue during the re-encryption.
    let gateway = Gateway::start_in(folder, with(before(&mock), keys(AFTER, BEFORE))).await;
    let folder = gateway.folder();
    assert_eq!(resealed(folder).await, 0, "a server alone must not re-encrypt credentials");
    let load = RotationLoad::begin(&gateway, &people);
    killed_after_a_batch(folder).await;
    let printed = status(folder, &keys(AFTER, BEFORE)).await;
    assert!(
        printed.contains("in use") && printed.contains("being replaced") && printed.contains("rotate"),
        "{printed}"
    );
    killed_after_a_batch(folder).await;
    // A credential that is replaced during the rotation stays replaced.
    let secret = "sk-replaced-during-the-rotation";
    let replacing = put(&gateway, &people[0].key, &own("up", "late", "sk-first")).await;
    let change = Call::new("PATCH", &format!("{KEYS}/{replacing}")).header("content-type", "application/json");
    let change = change.body(json!({"secret": secret}).to_string()).key(&people[0].key);
    let (rotated, replaced) = tokio::join!(rotate(folder), gateway.ask(change));
    replaced.expect(200);
    let (done, reported) = rotated;
    assert!(done && reported.contains("is retired") && reported.contains("can be removed"), "{reported}");
    load.end().await;
    assert_eq!(resealed(folder).await, total + 1);
    let (done, reported) = rotate(folder).await;
    assert!(done && reported.contains("nothing was changed"), "{reported}");
    for person in &people {
        assert_eq!(came_with(&mock, person.number).await, person.secret());
    }
    let folder = gateway.stop().await.folder;

    // The previous key is removed and no longer accepted.
    let retired = with(before(&mock), keys(BEFORE, AFTER));
    let (code, reported) = commands::serve_to_its_end(&folder, &retired).await;
    assert!(code == Some(1) && reported.contains("vault_key_retired"), "{reported}");
    let gateway = Gateway::start_in(folder, with(before(&mock), keys(AFTER, ""))).await;
    for person in &people {
        gateway.call(call(&person.key, "any", person.number + USERS)).await.expect(200);
        assert_eq!(came_with(&mock, person.number + USERS).await, person.secret());
    }
    soon_with(&gateway, &mock, numbered(&people[0].key, "up", 50), secret).await;
    assert_eq!(undecryptable(&gateway).await, 0);
    let printed = status(gateway.folder(), &keys(AFTER, "")).await;
    assert!(printed.contains("retired 2") && !printed.contains("being replaced"), "{printed}");
}

#[tokio::test]
async fn a_rotation_without_its_keys_names_the_missing_key() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(with(before(&mock), keys(BEFORE, ""))).await;
    let ada = gateway.account(OPEN).await.key;
    put(&gateway, &ada, &own("any", "mine", "sk-adas-own")).await;
    let data = gateway.folder().data().display().to_string();
    let rotate = async |keys: [(&str, &str); 2]| {
        let output = commands::run_with(gateway.folder(), &["vault", "rotate", "--data", &data], &keys).await;
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(rotate(keys(AFTER, "")).await.contains("vault_key_wrong"));
    assert!(rotate(keys(AFTER, AFTER)).await.contains("vault_key_wrong"));
    let keyless = rotate(keys("", BEFORE)).await;
    assert!(keyless.contains("has no master key") && keyless.contains("tollgate vault reset"), "{keyless}");
    soon_with(&gateway, &mock, numbered(&ada, "any", 1), "sk-adas-own").await;
}
