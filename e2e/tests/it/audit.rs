//! The audit log of commands that change data, as an admin reads it.

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually};
use serde_json::{Value, json};

const PASSWORD: &str = "a long enough password";

/// Runs a command that must succeed; returns its stdout.
pub(crate) async fn must(folder: &Folder, words: &[&str]) -> String {
    let data = folder.data().to_string_lossy().into_owned();
    let words = [words, &["--data", data.as_str()]].concat();
    let output = commands::run(folder, &words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Creates an admin and returns an access token.
pub(crate) async fn admin(gateway: &Gateway) -> String {
    let sign_up = json!({"email": "root@example.org", "password": PASSWORD, "name": "Root"});
    let answer = gateway.ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    must(gateway.folder(), &["users", "role", "--user", "root@example.org", "admin"]).await;
    eventually("root is an admin", async || {
        let me = gateway.ask(Call::get("/api/me").key(&token)).await.expect(200).json();
        (me["acts_as"] == "admin").then_some(())
    })
    .await;
    token
}

/// Returns all entries of the audit log, oldest first.
async fn lines(gateway: &Gateway, token: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut path = "/api/audit?limit=50".to_owned();
    loop {
        let page = gateway.ask(Call::get(&path).key(token)).await.expect(200).json();
        lines.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => path = format!("/api/audit?limit=50&cursor={next}"),
            None => break,
        }
    }
    lines.reverse();
    lines
}

#[tokio::test]
async fn every_command_that_changes_something_leaves_its_lines() {
    let gateway = Gateway::start(Setup::new().section("signup", "open").section("signup_plan", "open")).await;
    let token = admin(&gateway).await;
    let folder = gateway.folder();
    let plans = folder.write("plans.yaml", "plans: [{name: open, credits_per_day: 7}, {name: gold}]\n");
    let plans = plans.to_string_lossy().into_owned();
    let ada = "ada@example.com";
    let table: [(&[&str], &[&str]); 19] = [
        (
            &["users", "create", "--email", ada, "--name", "Ada", "--plan", "open", "--link"],
            &["link.create", "user.create"],
        ),
        (&["users", "suspend", "--user", ada], &["user.change"]),
        (&["users", "suspend", "--user", ada], &[]),
        (&["users", "activate", "--user", ada], &["user.change"]),
        (&["users", "role", "--user", ada, "admin"], &["user.change"]),
        (&["users", "role", "--user", ada, "member"], &["user.change"]),
        (&["users", "password", "--user", ada, "--link"], &["link.create"]),
        (&["users", "list"], &[]),
        (&["keys", "create", "--user", ada, "--label", "laptop"], &["key.create"]),
        (&["keys", "list", "--user", ada], &[]),
        (&["plans", "apply", "--config", &plans], &["plan.change", "plan.create"]),
        (&["plans", "apply", "--config", &plans], &[]),
        (&["plans", "list"], &[]),
        (&["users", "plan", "--user", ada, "gold"], &["user.change"]),
        (&["users", "plan", "--user", ada, "gold"], &[]),
        (&["budgets", "set", "--user", ada, "--money", "5 USD", "--per", "day"], &["budget.change"]),
        (&["budgets", "set", "--user", ada, "--money", "5 USD", "--per", "day"], &[]),
        (&["budgets", "set", "--user", ada, "--none", "money", "--per", "day"], &["budget.change"]),
        (&["budgets", "list"], &[]),
    ];
    let mut reported = lines(&gateway, &token).await.len();
    for (words, left) in table {
        must(folder, words).await;
        let all = lines(&gateway, &token).await;
        let mut actions: Vec<&str> = all[reported..].iter().map(|line| line["action"].as_str().unwrap()).collect();
        actions.sort_unstable();
        assert_eq!(actions, left, "{words:?}");
        assert!(
            all[reported..].iter().all(|line| line["actor"]["kind"] == "command" && line["actor"]["address"].is_null())
        );
        reported = all.len();
    }
    let created = lines(&gateway, &token).await;
    let key = created.iter().rev().find(|line| line["action"] == "key.create").unwrap()["target_id"].as_str().unwrap();
    for left in [1, 0] {
        must(folder, &["keys", "revoke", "--key", key]).await;
        let now = lines(&gateway, &token).await.len();
        assert_eq!(now - reported, left);
        reported = now;
    }
}
