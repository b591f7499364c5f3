//! The example of a shop that creates customers with an admin key.

use e2e::{Call, Gateway, commands, eventually};
use serde_json::{Value, json};

use super::{Example, run_in};

const PASSWORD: &str = "correct horse battery";

/// Creates an admin with a password, and a key of this admin with the scope `admin`.
async fn admin(gateway: &Gateway) -> (String, String) {
    let data = gateway.folder().data().display().to_string();
    let words = ["users", "create", "--email", "owner@example.com", "--admin", "--password-stdin", "--data", &data];
    let created = commands::run_with_input(gateway.folder(), &words, PASSWORD.as_bytes()).await;
    assert!(created.status.success(), "{created:?}");
    let body = json!({"email": "owner@example.com", "password": PASSWORD});
    let session = gateway.ask(Call::json("/api/auth/login", &body)).await.expect(200).json();
    let body =
        json!({"label": "shop", "scopes": ["admin"], "expires_at": session["expires_at"], "addresses": ["127.0.0.1"]});
    let session = session["access_token"].as_str().unwrap().to_owned();
    let key = gateway.ask(Call::json("/api/keys", &body).key(&session)).await.expect(201).json();
    (session, key["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_shop_creates_a_customer_with_a_plan_and_a_key_and_reads_the_usage_of_the_month() {
    let example = Example::read("reselling");
    let gateway = example.start(&[]).await;
    let (session, key) = admin(&gateway).await;
    let workspace = example.workspace(&gateway);
    let run = async |call: &str| {
        let output = run_in(&workspace, &gateway, call, [("ADMIN_KEY", key.as_str())]).await;
        assert!(output.status.success(), "{call}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let [open, call, usage] = example.calls.as_slice() else { panic!("three commands: {:?}", example.calls) };
    run(open).await;
    let customer: Value = serde_json::from_str(&workspace.read("customer.json")).unwrap();
    let held = gateway.validate(customer["key"].as_str().unwrap()).await;
    assert_eq!((&held["user"]["name"], &held["user"]["plan"]), (&json!("Corner Shop"), &json!("retail")), "{held}");
    assert!(run(call).await.contains("chat.completion"));
    let printed = eventually("the usage of the call is stored", async || {
        Some(run(usage).await).filter(|printed| printed.starts_with("Corner Shop: 1 requests, 0."))
    });
    let printed = printed.await;
    assert!(!printed.contains(" 0.000000000 USD") && printed.trim_end().ends_with("-01"), "{printed}");
    // A second customer has the same plan.
    run(&open.replace("Corner", "Second")).await;
    let used = gateway.ask(Call::get("/api/audit?action=key.use&limit=200").key(&session)).await.expect(200).json();
    let paths = used["items"].as_array().unwrap().iter().map(|line| line["detail"]["path"].as_str().unwrap());
    assert_eq!(paths.filter(|path| *path == "/api/users").count(), 2, "{used}");

    // An invalid key is reported and ends the command.
    let refused = run_in(&workspace, &gateway, open, [("ADMIN_KEY", "tollgate_0")]).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("key_malformed: "), "{refused:?}");
}
