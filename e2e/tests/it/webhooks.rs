//! Webhooks of billing, verified by the libraries `standardwebhooks` of Python and Node.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use e2e::python::python;
use e2e::{Answer, Call, Gateway, Setup, commands, eventually, sdk, text};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::billing::Shop;
use crate::people::PASSWORD;
use crate::store;

/// The time in which a delivery must arrive.
const SOON: Duration = Duration::from_secs(60);

/// The runtime whose library verifies deliveries.
#[derive(Debug, Clone, Copy)]
enum ReceiverRuntime {
    Python,
    Node,
}

/// A receiver of webhooks; dropped, it ends.
struct Receiver {
    address: SocketAddr,
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Receiver {
    async fn start(runtime: ReceiverRuntime) -> Self {
        let mut command = match runtime {
            ReceiverRuntime::Python => python("webhooks", "serve_webhooks.py"),
            ReceiverRuntime::Node => sdk::node("webhooks.mjs"),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _child: child, stdin, lines }
    }

    /// Sets the behaviour from now on.
    async fn behaves(&mut self, mode: &str) {
        self.stdin.write_all(format!("{mode}\n").as_bytes()).await.unwrap();
        assert_eq!(self.delivery().await["mode"], mode.split(' ').next().unwrap());
    }

    /// Returns the next delivery that arrives.
    async fn delivery(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.expect("a delivery arrives").unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Returns the next delivery, which must be verified.
    async fn verified(&mut self) -> Value {
        let delivery = self.delivery().await;
        assert_eq!(delivery["verified"], true, "{delivery}");
        delivery
    }
}

/// Creates an admin, and returns the token of the sign-in by password.
pub(crate) async fn admin(gateway: &Gateway) -> String {
    let data = gateway.folder().data().display().to_string();
    let words =
        ["users", "create", "--email", "root@example.com", "--plan", "starter", "--admin", "--link", "--data", &data];
    let output = commands::run(gateway.folder(), &words).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let link = printed.split_whitespace().find_map(|word| word.split_once("/link#")).unwrap().1.to_owned();
    let chosen = json!({"token": link, "password": PASSWORD});
    gateway.ask(Call::json("/api/auth/link", &chosen)).await.expect(200);
    let sign_in = json!({"email": "root@example.com", "password": PASSWORD});
    text(&gateway.ask(Call::json("/api/auth/login", &sign_in)).await.expect(200).json()["access_token"])
}

/// A shop, the token of an admin who sets its webhooks, and a receiver that accepts everything.
struct Announcing {
    shop: Shop,
    admin: String,
    receiver: Receiver,
}

impl Announcing {
    async fn open(runtime: ReceiverRuntime) -> Self {
        let receiver = Receiver::start(runtime).await;
        let receivers = Setup::bare().flag("--demo").section("outbound", "{allow: [127.0.0.0/8]}");
        let shop = Shop::open_with(receivers).await;
        let admin = admin(&shop.gateway).await;
        Self { shop, admin, receiver }
    }

    async fn ask(&self, call: Call) -> Answer {
        self.shop.gateway.ask(call.key(&self.admin)).await
    }

    /// Adds a webhook for the receiver, which verifies deliveries with its secret from now on. Returns its path.
    async fn webhook(&mut self, events: &Value) -> String {
        let new = json!({"url": format!("http://{}/hook?token=t0ken", self.receiver.address), "events": events});
        let webhook = self.ask(Call::json("/api/webhooks", &new)).await.expect(201).json();
        self.receiver.behaves(&format!("secret {}", text(&webhook["secret"]))).await;
        format!("/api/webhooks/{}", text(&webhook["id"]))
    }

    /// Makes the next attempt of each delivery due.
    async fn is_due(&self) {
        let data = self.shop.gateway.folder().data();
        let due = "UPDATE webhook_deliveries SET next_at = 0";
        store::rows(self.shop.gateway.folder(), &data).execute(due, due).await;
    }

    /// Waits until one delivery fits.
    async fn exists(&self, sql: &'static str) {
        eventually("a delivery has the state", async || (self.shop.count(sql).await == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn events_of_a_payment_are_verified_by_standard_webhooks() {
    events_of_a_payment_are_verified(ReceiverRuntime::Python).await;
}

#[tokio::test]
async fn events_of_a_payment_are_verified_by_standard_webhooks_of_node() {
    events_of_a_payment_are_verified(ReceiverRuntime::Node).await;
}

async fn events_of_a_payment_are_verified(runtime: ReceiverRuntime) {
    let mut all = Announcing::open(runtime).await;
    all.webhook(&json!(["invoice.*", "payment.*", "subscription.changed"])).await;
    let (invoice, payment) = all.shop.begin(&json!({"method": "qris"})).await;
    let opened = all.receiver.verified().await;
    assert_eq!((&opened["message"]["type"], &opened["path"]), (&json!("invoice.opened"), &json!("/hook?token=t0ken")));
    let data = &opened["message"]["data"];
    assert_eq!(
        (&data["id"], &data["state"], &data["total"]["amount"]),
        (&json!(invoice), &json!("open"), &json!(150_000))
    );
    assert_eq!(opened["headers"]["content-type"], "application/json");
    all.shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    let mut types = Vec::new();
    for _ in 0..3 {
        types.push(text(&all.receiver.verified().await["message"]["type"]));
    }
    types.sort();
    assert_eq!(types, ["invoice.paid", "payment.paid", "subscription.changed"]);
    eventually("all deliveries are stored as accepted", async || {
        (all.shop.count("SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered'").await == 4).then_some(())
    })
    .await;
    let log = all.shop.gateway.stderr();
    assert!(!log.contains("whsec_") && !log.contains("t0ken"), "the log has a secret: {log}");
}

#[tokio::test]
async fn a_delivery_that_is_not_accepted_is_repeated_with_its_id_and_can_be_replayed() {
    let mut all = Announcing::open(ReceiverRuntime::Python).await;
    all.receiver.behaves("status 503").await;
    let webhook = all.webhook(&json!(["invoice.opened"])).await;
    all.shop.begin(&json!({"method": "qris"})).await;
    let first = all.receiver.verified().await;
    all.exists("SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting' AND attempts = 1 AND status = 503")
        .await;
    all.receiver.behaves("status 302").await;
    all.is_due().await;
    let second = all.receiver.verified().await;
    assert_eq!(second["path"], "/hook?token=t0ken");
    all.exists("SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting' AND attempts = 2 AND status = 302")
        .await;
    // Both secrets sign after a rotation: the receiver still has the old one.
    all.ask(Call::post(&format!("{webhook}/rotate"), "")).await.expect(200);
    all.receiver.behaves("status 200").await;
    all.is_due().await;
    let third = all.receiver.verified().await;
    assert_eq!(text(&third["headers"]["webhook-signature"]).split(' ').count(), 2, "{third}");
    all.exists("SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered' AND attempts = 3 AND status = 200")
        .await;
    let listed = all.ask(Call::get(&format!("{webhook}/deliveries?state=delivered"))).await.expect(200).json();
    let id = text(&listed["items"][0]["id"]);
    all.ask(Call::post(&format!("{webhook}/deliveries/{id}/replay"), "")).await.expect(200);
    let replayed = all.receiver.verified().await;
    for delivery in [first, second, third, replayed] {
        assert_eq!(delivery["headers"]["webhook-id"], id.as_str());
    }
}
