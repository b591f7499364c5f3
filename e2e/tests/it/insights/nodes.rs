//! Three servers on one PostgreSQL show the same days, and a day is signed off once. The clocks of the servers and of
//! PostgreSQL are shifted equally.

use e2e::{Answer, Call, Gateway, Setup, eventually, text};
use serde_json::{Value, json};

use crate::audit::must;
use crate::bodies::{CHAT, Format};
use crate::people::PASSWORD;
use crate::storms::noon::Noon;

/// Members that differ between two responses about the same usage.
const TIMES: [&str; 6] = ["as_of", "complete_until", "ingested_until", "lag_ms", "oldest_unsent_at", "seen_at"];

/// Three servers, with an admin, a team lead and a person of finance.
struct Fleet {
    nodes: Vec<Gateway>,
    key: String,
    /// The day on which the servers start, which is the id of its review.
    day: String,
    noon: Noon,
}

impl Fleet {
    async fn start() -> Self {
        let noon = Noon::begin_before_midnight().await;
        let folder = noon.folder();
        let second = folder.beside();
        let third = folder.beside();
        let first = Gateway::start_in(folder, setup(&noon)).await;
        let (second, third) =
            tokio::join!(Gateway::start_in(second, setup(&noon)), Gateway::start_in(third, setup(&noon)));
        let key = first.key().await;
        let status = first.ask(Call::get("/ingest/status").key(&key)).await.expect(200).json();
        let fleet = Self { nodes: vec![first, second, third], key, day: text(&status["date"]), noon };
        fleet.register().await;
        fleet
    }

    async fn register(&self) {
        let mut users = Vec::new();
        for name in ["root", "lead", "fin"] {
            let sign_up = json!({"email": format!("{name}@example.org"), "password": PASSWORD, "name": name});
            let answer = self.nodes[0].ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json();
            users.push(text(&answer["user"]["id"]));
        }
        must(self.nodes[0].folder(), &["users", "role", "--user", "root@example.org", "admin"]).await;
        let root = self.sign_in("root").await;
        for (user, role) in users[1..].iter().zip(["team_lead", "finance"]) {
            let call = Call::new("PATCH", &format!("/api/users/{user}")).header("content-type", "application/json");
            let grant = call.body(json!({"grants": [{"role": role}]}).to_string()).key(&root);
            let granted = async || (self.nodes[0].ask(grant.clone()).await.status() == 200).then_some(());
            eventually("the role is granted", granted).await;
        }
    }

    /// Signs in with a password; returns the access token, which ends before the day.
    async fn sign_in(&self, name: &str) -> String {
        let sign_in = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
        eventually("the person signs in", async || {
            let answer = self.nodes[0].ask(Call::json("/api/auth/login", &sign_in)).await;
            (answer.status() == 200).then(|| text(&answer.json()["access_token"]))
        })
        .await
    }

    fn call(&self, model: &str, streamed: bool) -> Call {
        Call::json(CHAT, &Format::Chat.body(&format!("mock/{model}"), streamed)).key(&self.key)
    }

    /// Waits until every node has the same response, apart from times, and it is the expected one. Returns it.
    async fn everywhere(&self, path: &str, token: &str, is_expected: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{path} is the expected one on every node"), async || {
            let mut seen = Vec::new();
            for node in &self.nodes {
                let answer = node.ask(Call::get(path).key(token)).await;
                if answer.status() != 200 {
                    return None;
                }
                seen.push(without_times(answer.json()));
            }
            let first = seen.first()?.clone();
            (is_expected(&first) && seen.iter().all(|other| *other == first)).then_some(first)
        })
        .await
    }

    fn review(&self) -> String {
        format!("/review/status?id={}", self.day)
    }

    async fn sign(&self, node: usize, token: &str, role: &str) -> Answer {
        let body = json!({"id": self.day, "role": role, "approve": true});
        self.nodes[node].ask(Call::json("/review/signoff", &body).key(token)).await
    }
}

fn setup(noon: &Noon) -> Setup {
    noon.clock_of(Setup::mocked().section("signup", "open").section("signup_plan", "open"))
}

fn without_times(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let others = members.into_iter().filter(|(name, _)| !TIMES.contains(&name.as_str()));
            others.map(|(name, of)| (name, without_times(of))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_times).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// Returns the id of a node, under which `/ingest/status` lists it.
fn id(node: &Gateway) -> String {
    node.folder().read("data/node").trim().to_owned()
}

/// Returns the ids of the listed nodes with a state, in their order.
fn in_state(status: &Value, state: &str) -> Vec<String> {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    nodes.filter(|node| node["state"] == state).map(|node| text(&node["id"])).collect()
}

#[tokio::test]
async fn three_nodes_show_the_same_day_and_it_is_signed_off_once() {
    let mut fleet = Fleet::start().await;
    let root = fleet.sign_in("root").await;
    for node in fleet.nodes.iter().cycle().take(6) {
        node.call(fleet.call("tokens-1", false)).await.expect(200);
    }
    let is_stored = |of: &Value| of["stored"] == 6 && of["spooled"] == 0 && in_state(of, "live").len() == 3;
    let status = fleet.everywhere("/ingest/status", &root, is_stored).await;
    assert_eq!((&status["received"], &status["complete"]), (&json!(6), &json!(false)));
    let mut ids: Vec<String> = fleet.nodes.iter().map(id).collect();
    ids.sort_unstable();
    assert_eq!(in_state(&status, "live"), ids, "{status}");
    let classes = fleet.everywhere("/classify/today", &root, |of| of["requests"] == 6).await;
    let brief = fleet.everywhere("/brief/today", &root, |of| of["spend"]["requests"] == 6).await;
    assert_eq!((&classes["id"], &classes["tokens"]), (&brief["id"], &brief["spend"]["tokens"]));

    // The stream counts on the day on which it began, and is stored when it ends.
    let late = fleet.call("long", true).open(fleet.nodes[2].proxy).await;
    assert_eq!(late.status(), 200);
    fleet.noon.pass_midnight();
    let lead = fleet.sign_in("lead").await;
    let finance = fleet.sign_in("fin").await;
    fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "ready").await;
    let (one, other) = tokio::join!(fleet.sign(0, &lead, "team_lead"), fleet.sign(1, &lead, "team_lead"));
    let mut statuses = [one.status(), other.status()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.text(), other.text());
    let partly = fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "partly_approved").await;
    assert_eq!(partly["history"].as_array().map(Vec::len), Some(1), "{partly}");
    fleet.sign(2, &lead, "team_lead").await.expect(409);
    fleet.sign(1, &finance, "finance").await.expect(200);
    fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "approved").await;

    drop(late);
    let reopened = fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "reopened").await;
    assert_eq!(reopened["difference"]["requests"], 1, "{reopened}");
    let brief = format!("/brief/{}", fleet.day);
    fleet.everywhere(&brief, &finance, |of| of["spend"]["requests"] == 7).await;
}

#[tokio::test]
async fn a_killed_node_is_named_and_its_day_is_complete_when_it_returns() {
    let mut fleet = Fleet::start().await;
    let root = fleet.sign_in("root").await;
    for node in &fleet.nodes {
        node.call(fleet.call("tokens-1", false)).await.expect(200);
    }
    fleet.everywhere("/ingest/status", &root, |of| of["stored"] == 3 && of["spooled"] == 0).await;
    let killed = fleet.nodes.remove(2);
    let dead = [id(&killed)];
    let folder = killed.crash().folder;
    fleet.noon.pass_midnight();
    let root = fleet.sign_in("root").await;
    let lead = fleet.sign_in("lead").await;
    let is_named = |of: &Value| in_state(of, "dead") == dead && in_state(of, "live").len() == 2;
    fleet.everywhere("/ingest/status", &root, is_named).await;
    let status = fleet.nodes[0].ask(Call::get("/ingest/status").key(&root)).await.expect(200).json();
    assert!(text(&status["complete_until"]).starts_with(&fleet.day), "{status}");
    let review = fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "collecting").await;
    assert_eq!(review["complete"], false);
    eventually("only the killed node is missing", async || {
        let refused = fleet.sign(1, &lead, "team_lead").await;
        assert_ne!(refused.status(), 200, "{}", refused.text());
        refused.text().contains("1 node has not stored all usage of the day").then_some(())
    })
    .await;

    let back = Gateway::start_in(folder, setup(&fleet.noon)).await;
    fleet.nodes.push(back);
    fleet.everywhere(&fleet.review(), &lead, |of| of["state"] == "ready").await;
    fleet.sign(2, &lead, "team_lead").await.expect(200);
}
