//! `tollgate explain`, `POST /api/explain`, and tests of a configuration.

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands};
use serde_json::{Value, json};

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
async fn check_runs_the_tests_of_the_file_and_serve_ignores_their_failures() {
    let folder = Folder::new();
    let file = folder.write("tollgate.yaml", CONFIG);
    let passed = commands::check(&folder, &file).await;
    assert!(passed.status.success() && text(&passed.stdout).contains("; 1 tests passed"), "{passed:?}");
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
