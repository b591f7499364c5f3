//! Settings from a `.env` file, variables and flags; the commands `config show` and `plans`.

use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Setup, Upstream, Wire, commands, eventually};
use serde_json::Value;

/// Runs a command that must succeed; returns its stdout.
async fn printed(folder: &Folder, words: &[&str]) -> String {
    let output = commands::run(folder, words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail; returns its exit code and stderr.
async fn refused(folder: &Folder, words: &[&str]) -> (Option<i32>, String) {
    let output = commands::run(folder, words).await;
    assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_server_reads_its_env_file_behind_its_variables() {
    let folder = Folder::new();
    let lines =
        "# c\nexport TOLLGATE_LOG__LEVEL=debug\r\nTOLLGATE_BRAND__NAME='Two Words'\nTOLLGATE_BRAND__KEY_PREFIX=other\n";
    folder.write(".env", lines);
    let setup = Setup::mocked().variable("TOLLGATE_BRAND__KEY_PREFIX", "codexible").variable("TOLLGATE_LISTN", "x");
    let gateway = Gateway::start_in(folder, setup).await;
    assert!(gateway.stdout().contains("Two Words"), "{}", gateway.stdout());
    for line in ["\"DEBUG\"", "TOLLGATE_LISTN is set but matches no setting; did you mean TOLLGATE_LISTEN?"] {
        gateway.logs(line).await;
    }
    // A command in the same folder reads the same file, but not the variables of the server.
    commands::users_create(gateway.folder(), "ada@example.com", "open").await;
    let created = printed(gateway.folder(), &["keys", "create", "--user", "ada@example.com", "--data", "data"]).await;
    let key = created.lines().last().unwrap();
    assert!(key.starts_with("other_"), "{created}");
    gateway.call(e2e::Call::get("/v1/models").key(key)).await.expect(200);
}

#[tokio::test]
async fn the_file_sets_the_numbers_of_workers_and_of_requests_in_flight() {
    let silent = Upstream::start(|turn| async move {
        std::future::pending::<()>().await;
        Some(turn)
    })
    .await;
    let setup = Setup::routed(silent.address(), "{path: {prefix: /o}, upstreams: backend, auth: {type: none}}")
        .section("workers", "3")
        .section("in_flight", "1");
    let gateway = Gateway::start(setup).await;
    let names = gateway.vitals().thread_names();
    assert_eq!(names.iter().filter(|name| name.starts_with("worker-")).count(), 3, "{names:?}");
    let mut first = Wire::connect(gateway.proxy).await.unwrap();
    first.write(b"GET /o HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually("the upstream has the request", async || (!silent.seen().is_empty()).then_some(())).await;
    let over = gateway.call(Call::get("/o")).await;
    assert_eq!((over.status(), over.json()["error"]["code"].as_str()), (503, Some("overloaded")));
    gateway.call(Call::get("/healthz")).await.expect(200);
    // A reset: the end of one direction alone would leave the response to the client.
    first.stream().set_zero_linger().unwrap();
    drop(first);
    gateway.at_rest().await;
    // Flags win over the file.
    let shown = printed(gateway.folder(), &["config", "show", "--config", "tollgate.yaml", "--workers", "5"]).await;
    let line = shown.lines().find(|line| line.starts_with("workers ")).unwrap_or_default();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["workers", "5", "flag", "--workers"], "{shown}");
    for number in ["0", "257"] {
        let (code, reported) = refused(gateway.folder(), &["config", "show", "--workers", number]).await;
        assert!(code == Some(2) && reported.contains("--workers"), "{reported}");
    }
}

#[tokio::test]
async fn an_invalid_env_file_stops_every_command_before_any_effect() {
    let folder = Folder::on_sqlite();
    folder.write(".env", "A=1\nTOLLGATE_DATA='S3CRET\n");
    for words in [
        &["serve"][..],
        &["users", "create", "--email", "ada@example.com"],
        &["config", "show"],
        &["plans", "list"],
        &["migrate", "up"],
        &["check", "tollgate.yaml"],
        &["backup", "b.db"],
    ] {
        let (code, reported) = refused(&folder, words).await;
        assert_eq!(code, Some(2), "{words:?}: {reported}");
        assert!(
            reported.starts_with("error[env_file]: a quote is not closed\n --> .env:2:15\n"),
            "{words:?}: {reported}"
        );
        assert!(!reported.contains("S3CRET"), "{reported}");
    }
    assert!(!folder.path().join("tollgate-data").exists());
    // Another file may be named, and must exist.
    folder.write("other.env", "TOLLGATE_LOG__LEVEL=loud\n");
    let (code, reported) = refused(&folder, &["config", "show", "--env-file", "other.env"]).await;
    assert_eq!(code, Some(2));
    assert!(reported.contains(" --> other.env:1 (TOLLGATE_LOG__LEVEL)") && !reported.contains("loud"), "{reported}");
    let (_, reported) = refused(&folder, &["config", "show", "--env-file", "none.env"]).await;
    assert!(reported.starts_with("error[file]: the variables cannot be read: "), "{reported}");
}

#[tokio::test]
async fn config_show_lists_the_source_of_each_setting() {
    let folder = Folder::on_sqlite();
    folder.write(".env", "DATABASE_URL=postgres://u:S3CRET@h/d\nTOLLGATE_METRICS__TOKEN=S3CRET\n");
    folder.write("tollgate.yaml", "brand:\n  name: \"a\\u202eb\"\nsignup: open\nsignup_plan: gone\n");
    let words = ["config", "show", "--config", "tollgate.yaml", "--listen", "127.0.0.1:1"];
    let output = commands::run(&folder, &words).await;
    let table = String::from_utf8(output.stdout).unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    let line = |key: &str| table.lines().find(|line| line.split(' ').next() == Some(key)).unwrap_or_default();
    for (key, ends) in [
        ("listen", "127.0.0.1:1 flag --listen"),
        ("store.url", "*** .env:1 DATABASE_URL"),
        ("metrics.token", "*** .env:2 TOLLGATE_METRICS__TOKEN"),
        ("brand.name", "a\\u{202e}b tollgate.yaml:2"),
        ("log.level", "info default"),
    ] {
        let words: Vec<&str> = line(key).split_whitespace().skip(1).collect();
        assert_eq!(words.join(" "), ends, "{table}");
    }
    assert!(notes.contains("note: signup_plan is gone, which `plans` does not list"), "{notes}");
    assert!(!table.contains("S3CRET") && !notes.contains("S3CRET"));

    let json = printed(&folder, &[&words[..], &["--json", "--source", "env-file", "--source", "flag"]].concat()).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&str> = json["settings"].as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["listen", "metrics.token", "store.url"]);
    assert_eq!(json["settings"][2]["value"], "***");
}

#[tokio::test]
async fn applied_plans_hold_on_a_running_server_within_a_second() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: two, credits_per_day: 2}")).await;
    let account = gateway.account("two").await;
    assert_eq!(gateway.validate(&account.key).await["quota"]["limit"], 2);
    gateway.folder().write("plans.yaml", "plans: [{name: two, credits_per_day: 5}, {name: new}]\n");
    let apply = ["plans", "apply", "--config", "plans.yaml", "--data", "data"];
    let dry = printed(gateway.folder(), &[&apply[..], &["--dry-run"]].concat()).await;
    assert!(dry.contains("+ new ") && dry.contains("- two ") && dry.contains("nothing was changed"), "{dry}");
    assert_eq!(gateway.validate(&account.key).await["quota"]["limit"], 2);
    let done = printed(gateway.folder(), &apply).await;
    assert!(done.contains("credits_per_day 5 ") && done.contains("done"), "{done}");
    let holds = async || (gateway.validate(&account.key).await["quota"]["limit"] == 5).then_some(());
    Canary::new().within(Duration::from_secs(1), "the new limit applies", holds).await;
    let again = printed(gateway.folder(), &apply).await;
    assert!(again.contains("nothing was changed"), "{again}");
    // A configuration without plans has the built-in ones.
    for arguments in [&["plans", "apply", "--data", "data"][..], &["plans", "apply", "--dry-run", "--data", "data"]] {
        let (_, refused) = refused(gateway.folder(), arguments).await;
        assert!(refused.contains("error: plans_missing: ") && refused.contains("--config"), "{refused}");
    }
    let listed = printed(gateway.folder(), &["plans", "list", "--data", "data"]).await;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["new", "open", "two"], "applying plans must not remove any");
}

#[tokio::test]
async fn a_signup_plan_that_no_store_has_stops_the_start() {
    let folder = Folder::new();
    let setup = Setup::mocked().section("signup", "open").section("signup_plan", "gone");
    let (code, reported) = commands::serve_to_its_end(&folder, &setup).await;
    assert_eq!(code, Some(1), "{reported}");
    assert!(reported.contains("error: signup_plan_missing: ") && reported.contains("gone"), "{reported}");
    // A plan that was created later is as valid as one of the file.
    folder.write("plans.yaml", "plans: [{name: gone}]\n");
    printed(&folder, &["plans", "apply", "--config", "plans.yaml", "--data", "data"]).await;
    Gateway::start_in(folder, setup).await;
}

#[tokio::test]
async fn a_fallback_plan_that_no_store_has_stops_the_start() {
    let setup = Setup::mocked().section("billing", "{enabled: true}");
    let folder = Folder::new();
    let (code, reported) = commands::serve_to_its_end(&folder, &setup).await;
    assert_eq!(code, Some(1), "{reported}");
    assert!(reported.contains("error: fallback_plan_missing: ") && reported.contains("starter"), "{reported}");
    Gateway::start_in(folder, setup.section("billing", "{enabled: true, fallback_plan: open}")).await;
}
