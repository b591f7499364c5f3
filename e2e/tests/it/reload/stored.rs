use e2e::database::Database;
use e2e::setup::{CREDENTIAL, Folder, provider};
use e2e::{Answer, Call, Gateway, Setup, Upstream, commands};
use serde_json::{Value, json};

use super::{FILE, fine, responds, route};
use crate::people::{TestUser, admin};
use crate::store;

async fn apply(gateway: &Gateway, root: &TestUser, yaml: &str) -> Answer {
    let call = Call::json("/api/config", &json!({"yaml": yaml})).key(&root.token).header("if-match", "*");
    gateway.ask(call).await
}

/// A setup in which users can register and become admins.
fn routed(upstream: &Upstream, path: &str) -> Setup {
    let setup =
        Setup::routed(upstream.address(), &route(path)).section("signup", "open").section("signup_plan", "open");
    // The credential is a reference, because texts with secrets are not stored.
    let provider = provider("up", "openai", upstream.address()).replace(CREDENTIAL, "\"${PROVIDER_CREDENTIAL:-}\"");
    setup.section("providers", &format!("[{provider}]")).variable("PROVIDER_CREDENTIAL", CREDENTIAL)
}

async fn shown(folder: &Folder) -> (Value, String) {
    let output = commands::run(
        folder,
        &[
            "config",
            "show",
            "--json",
            "--config",
            FILE,
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
            "--addr",
            "127.0.0.1:0",
        ],
    )
    .await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    (shown["configuration"].clone(), shown["settings"].to_string())
}

#[tokio::test]
async fn a_configuration_of_the_api_outlives_a_restart_until_the_file_changes() {
    let upstream = fine().await;
    let setup = |path: &str| routed(&upstream, path);
    let gateway = Gateway::start(setup("/file")).await;
    let root = admin(&gateway, "root").await;
    assert_eq!(shown(gateway.folder()).await.0, json!({"source": "file", "number": null}));
    let applied = apply(&gateway, &root, &setup("/api").yaml().unwrap()).await.expect(200).json();
    assert!(applied["id"].is_string(), "{applied}");
    responds(&gateway, "/api", 200).await;
    let history = gateway.ask(Call::get("/api/config/history").key(&root.token)).await.expect(200).json();
    let sources: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|item| &item["source"]).collect();
    assert_eq!(sources, ["api", "file"], "{history}");

    let gateway = Gateway::start_in(gateway.stop().await.folder, setup("/file")).await;
    responds(&gateway, "/api", 200).await;
    let (in_force, settings) = shown(gateway.folder()).await;
    assert_eq!(in_force, json!({"source": "api", "number": 2}));
    assert!(settings.contains("stored configuration 2:"), "{settings}");

    let gateway = Gateway::start_in(gateway.stop().await.folder, setup("/changed")).await;
    responds(&gateway, "/changed", 200).await;
    assert_eq!(shown(gateway.folder()).await.0, json!({"source": "file", "number": null}));
    assert_eq!(gateway.call(Call::get("/api")).await.status(), 404);
}

#[tokio::test]
async fn a_configuration_reaches_every_process_with_the_same_file() {
    let upstream = fine().await;
    let setup = |path: &str| routed(&upstream, path);
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let apart = folder.beside();
    let one = Gateway::start_in(folder, setup("/file")).await;
    let other = Gateway::start_in(beside, setup("/file")).await;
    let third = Gateway::start_in(apart, setup("/other")).await;
    let root = admin(&one, "root").await;
    apply(&one, &root, &setup("/api").yaml().unwrap()).await.expect(200);
    responds(&one, "/api", 200).await;
    responds(&other, "/api", 200).await;
    assert_eq!(third.call(Call::get("/other")).await.status(), 200);
    let history = one.ask(Call::get("/api/config/history").key(&root.token)).await.expect(200).json();
    let first = history["items"].as_array().unwrap().iter().find(|item| item["number"] == 1).unwrap().clone();
    let back = Call::json("/api/config/rollback", &json!({"id": first["id"]})).key(&root.token);
    one.ask(back.header("if-match", "*")).await.expect(200);
    responds(&other, "/file", 200).await;
}

#[tokio::test]
async fn a_start_without_a_valid_configuration_of_the_api_says_how_to_leave_it_out() {
    let upstream = fine().await;
    let setup = |path: &str| routed(&upstream, path);
    let gateway = Gateway::start(setup("/file")).await;
    let root = admin(&gateway, "root").await;
    apply(&gateway, &root, &setup("/api").yaml().unwrap()).await.expect(200);
    let folder = gateway.stop().await.folder;
    // As an earlier version has stored it.
    let invalid = "UPDATE configurations SET text = replace(text, '/api', '/a/../b') WHERE source = 'api'";
    store::rows(&folder, &folder.data()).execute(invalid, invalid).await;
    let (code, reported) = commands::serve_to_its_end(&folder, &setup("/file")).await;
    assert_eq!(code, Some(2), "{reported}");
    let way_out = format!("echo '# changed' >> {}", folder.path().join(FILE).display());
    assert!(reported.contains("stored_config") && reported.contains(&way_out), "{reported}");
    let gateway = Gateway::start_in(folder, setup("/changed")).await;
    responds(&gateway, "/changed", 200).await;
}
