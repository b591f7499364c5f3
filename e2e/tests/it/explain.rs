//! `tollgate explain`, `POST /api/explain`, and tests of a configuration.

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, Upstream, commands, eventually};
use serde_json::{Value, json};

use crate::audit::must;

const CONFIG: &str = "\
upstreams:
  - {name: users, backends: [{url: 'http://127.0.0.1:9001'}]}
routes:
  - {name: users, host: api.example.com, path: '/users/{id}', headers: {X-Tenant: acme}, upstreams: users}
tests:
  - request: GET https://api.example.com/users/7
    headers: {X-Tenant: acme}
    expect: {route: users, upstream: users, status: 401}
";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn explain_prints_the_route_with_its_line_as_text_and_as_json() {
    let folder = Folder::new();
    folder.write("tollgate.yaml", CONFIG);
    let words = ["explain", "--config", "tollgate.yaml", "GET https://api.example.com/users/7", "-H", "X-Tenant: acme"];
    let output = commands::run(&folder, &words).await;
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for line in [
        "route           users (tollgate.yaml:4:5)",
        "the header x-tenant is `acme`",
        "response        401 unauthorized: the route needs a key",
    ] {
        assert!(printed.contains(line), "no {line:?} in {printed}");
    }
    let output = commands::run(&folder, &[&words[..], &["--json"]].concat()).await;
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&explained["route"]["name"], &explained["status"]), (&json!("users"), &json!(401)));
    assert!(!folder.path().join("tollgate-data").exists(), "the command has no effect");
    for (request, reason) in [("GET /a/../b", "a segment . or .."), ("ftp://h/", "a method and a URL")] {
        let refused = commands::run(&folder, &["explain", request]).await;
        assert!(!refused.status.success() && text(&refused.stderr).contains(reason), "{refused:?}");
    }
    let refused = commands::run(&folder, &["explain", "/", "-H", "X-Tenant"]).await;
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("NAME: VALUE"), "{refused:?}");
}

#[tokio::test]
async fn explain_compares_an_address_with_those_of_the_route() {
    let folder = Folder::new();
    let route = "{path: /a, auth: {type: none}, addresses: {allow: [10.0.0.0/8]}, respond: {}}";
    folder.write("tollgate.yaml", &format!("routes: [{route}]\n"));
    for (address, response) in [("192.0.2.1", "403 forbidden"), ("10.0.0.1", "200")] {
        let words = ["explain", "--config", "tollgate.yaml", "/a", "--address", address];
        let printed = text(&commands::run(&folder, &words).await.stdout);
        assert!(printed.contains(&format!("response        {response}")), "{printed}");
    }
}

#[tokio::test]
async fn check_runs_the_tests_of_the_file_and_serve_ignores_their_failures() {
    let folder = Folder::new();
    let file = folder.write("tollgate.yaml", CONFIG);
    let passed = commands::check(&folder, &file).await;
    assert!(passed.status.success() && text(&passed.stdout).contains("; 1 test passed"), "{passed:?}");
    let file = folder.write("tollgate.yaml", &CONFIG.replace("status: 401", "status: 200"));
    let failed = commands::check(&folder, &file).await;
    let reported = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(2), "{reported}");
    assert!(reported.contains("error[test]: the test fails: the result is 401\n"), "{reported}");
    assert!(reported.contains("tollgate.yaml:8:53") && reported.contains("^^^ expected 200"), "{reported}");
    let gateway = Gateway::start(Setup::bare().flag("--config").flag(file.to_str().unwrap())).await;
    let unknown = gateway.call(Call::get("/users/7")).await.expect(404);
    assert_eq!(unknown.json()["error"]["code"], "route_not_found");
}

/// A listed key, which no explanation contains.
const ACME: &str = "0123456789abcdef";

#[tokio::test]
async fn explain_shows_what_keys_have_used_of_their_quotas() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let routes =
        "{path: /listed, auth: {type: key, use: partners}, upstreams: backend}, {path: /key, upstreams: backend}";
    let setup = Setup::routed(upstream.address(), routes)
        .plans("{name: forty, credits_per_day: 40, requests_per_minute: 600, budgets: [{credits: 60, per: month}]}")
        .section(
            "auth",
            &format!("[{{name: partners, type: key, plan: forty, keys: [{{name: acme, value: {ACME}}}]}}]"),
        );
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup).await;
    let account = gateway.account("forty").await;
    for _ in 0..3 {
        gateway.call(Call::get("/key").key(&account.key)).await.expect(200);
    }
    for _ in 0..12 {
        gateway.call(Call::get("/listed").header("x-api-key", ACME)).await.expect(200);
    }
    let folder = gateway.folder();
    let keys = must(folder, &["keys", "list", "--user", &account.email]).await;
    let id = keys.lines().find(|line| line.ends_with("  e2e")).unwrap().split_whitespace().next().unwrap();
    for (path, client, whose, used) in [("/key", id, "user", 3), ("/listed", "partners/acme", "subject", 12)] {
        let words = ["explain", "--config", "tollgate.yaml", path, "--as", client];
        let quota = format!("40 credits a day for the {whose}, from the plan (");
        let state = format!("): {used} used, {} left, until ", 40 - used);
        // Usage reaches the store a moment after the response.
        let text = eventually(&format!("{quota}…{state}"), async || {
            let text = must(folder, &words).await;
            let line = text.lines().find(|line| line.starts_with("quota "));
            line.is_some_and(|line| line.contains(&quota) && line.contains(&state)).then_some(text)
        })
        .await;
        assert!(text.contains(&format!("60 credits a month for the {whose}, from the plan (")), "{text}");
        let json: Value = serde_json::from_str(&must(folder, &[&words[..], &["--json"]].concat()).await).unwrap();
        assert_eq!((&json["budgets"][0]["used"], &json["budgets"][0]["remaining"]), (&json!(used), &json!(40 - used)));
        assert!(!format!("{text}{json}").contains(ACME) && !text.contains(&account.key), "{text}");
    }
    let listed: Value =
        serde_json::from_str(&must(folder, &["limits", "--config", "tollgate.yaml", "--json"]).await).unwrap();
    let of_clients = |kind: &str| {
        let is_of = |limit: &&Value| limit["dimensions"] == json!(["subject"]) && limit["kind"] == kind;
        listed["items"].as_array().unwrap().iter().find(is_of).unwrap_or_else(|| panic!("{kind}: {listed}"))
    };
    let rates = of_clients("requests_per_minute");
    assert_eq!(rates["tiers"][0]["name"], "forty", "{listed}");
    let quota = of_clients("credits_per_day");
    assert_eq!(quota["tiers"], json!([{"name": "forty", "policy": "\"credits_per_day\";q=40;w=86400"}]), "{listed}");
    let client = &quota["keys"][0];
    assert_eq!((&client["limit"], &client["used"], &client["remaining"]), (&json!(40), &json!(12), &json!(28)));
    assert_eq!(client["values"][0]["value"], "acme (partners)", "{listed}");
    let unknown = must(folder, &["explain", "--config", "tollgate.yaml", "/listed"]).await;
    assert!(unknown.contains(": 40 credits a day, 60 credits a month for each subject\n"), "{unknown}");
}
