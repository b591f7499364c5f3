//! Failed starts report the fault, its place and a remedy; successful starts report the started components.

use std::io::{BufRead, BufReader};
use std::path::Path;

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually};
use tokio::net::TcpListener;

use crate::bodies::{CHAT, Format};
use crate::store;

/// Asserts that a start fails and prints these texts.
async fn check_in(folder: &Folder, setup: &Setup, says: &[&str]) {
    let (code, reported) = commands::serve_to_its_end(folder, setup).await;
    assert!(matches!(code, Some(1..)), "exit code {code:?}: {reported}");
    for word in says {
        assert!(reported.contains(word), "no {word:?} in: {reported}");
    }
    assert!(!reported.contains("panicked"), "{reported}");
}

async fn check(setup: Setup, says: &[&str]) {
    check_in(&Folder::new(), &setup, says).await;
}

#[tokio::test]
async fn ports_in_use_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--addr"] {
        check(Setup::new().flag(flag).flag(&address), &[&address]).await;
    }
    // Workers of one server share the port; other processes cannot use it.
    let gateway = Gateway::start(Setup::mocked()).await;
    let address = gateway.proxy.to_string();
    check(Setup::new().flag("--listen").flag(&address), &[&address]).await;
}

#[tokio::test]
async fn data_folder_that_cannot_be_written_is_named() {
    // Below a file there is no folder, not even for root.
    let folder = Folder::new();
    folder.write("data", "a file");
    let path = folder.data().display().to_string();
    check_in(&folder, &Setup::new(), &[&path]).await;
}

#[tokio::test]
async fn second_server_on_the_same_data_names_the_first() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let first = format!("process {}", gateway.process().id());
    check_in(gateway.folder(), &Setup::new(), &["data_in_use", &first, &gateway.proxy.to_string()]).await;
    gateway.call(Call::get("/")).await.expect(200);
}

/// The data folder is free after its server ended, in any way.
#[tokio::test]
async fn data_folder_is_free_after_a_crash() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let again = Gateway::start_in(gateway.crash().folder, Setup::mocked()).await;
    again.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
}

/// Asserts that `check` and `serve` refuse a file and report its name, line and column and these texts.
async fn check_file(yaml: &str, place: &str, says: &[&str]) {
    let folder = Folder::new();
    let path = folder.write("bad.yaml", yaml);
    let output = commands::check(&folder, &path).await;
    let reported = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{reported}");
    let place = format!("bad.yaml:{place}");
    for word in [&place.as_str()].into_iter().chain(says) {
        assert!(reported.contains(word), "no {word:?} in: {reported}");
    }
    let setup = Setup::bare().flag("--config").flag(path.to_str().unwrap());
    check_in(&folder, &setup, &[&place]).await;
}

#[tokio::test]
async fn invalid_yaml_is_reported_with_its_position() {
    check_file("listen: 127.0.0.1:0\ndrain: {delay: 2s\nplans: []\n", "", &[]).await;
    check_file("listen: 127.0.0.1:0\n  data: x\n", "2:", &[]).await;
    check_file("sizes: {body: many}\n", "1:", &["body"]).await;
    check_file("listen: nowhere\n", "1:9", &["listen"]).await;
}

#[tokio::test]
async fn unknown_setting_is_reported_with_similar_names() {
    check_file("# a file\ndrain:\n  delay: 2s\n  timeoutt: 5s\n", "4:3", &["timeoutt", "timeout"]).await;
    check_file("lissten: 127.0.0.1:0\n", "1:1", &["lissten", "listen"]).await;
}

#[tokio::test]
async fn key_of_a_later_version_is_not_yet() {
    let limit = "{dimension: ip, with: key, limit: 1, window: 1s}";
    let routes = format!("log:\n  level: info\nroutes:\n  - {{path: /a, respond: {{}}, rate_limits: [{limit}]}}\n");
    check_file(&routes, "4:", &["not_yet", "with"]).await;
}

#[tokio::test]
async fn missing_environment_variable_is_named() {
    check_file("data: ./x\nbrand: {name: \"${TOLLGATE_E2E_MISSING}\"}\n", "2:", &["TOLLGATE_E2E_MISSING"]).await;
}

#[tokio::test]
async fn duplicates_are_reported() {
    let upstream = "upstreams: [{name: b, backends: [{url: \"http://127.0.0.1:1\"}]}]\n";
    let routes = "routes:\n  - {path: /a, upstreams: b}\n  - {path: /a, upstreams: b}\n";
    check_file(&format!("{upstream}{routes}"), "4:", &["/a"]).await;
    check_file("data: x\ndata: y\n", "2:", &["data"]).await;
    check_file(&format!("{upstream}routes: [{{path: /a, upstreams: c}}]\n"), "2:", &["c"]).await;
}

#[tokio::test]
async fn good_file_passes_the_check() {
    let folder = Folder::new();
    let yaml = Setup::routed("127.0.0.1:1".parse().unwrap(), "{path: /a, upstreams: backend}").yaml().unwrap();
    let output = commands::check(&folder, &folder.write("good.yaml", &yaml)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = commands::check(&folder, Path::new("no-such-file.yaml")).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file.yaml"));
}

#[tokio::test]
async fn demo_users_a_real_credential_and_a_public_listener_do_not_start_together() {
    let exposed = || {
        Setup::bare().flag("--demo").flag("--listen").flag("0.0.0.0:0").variable("OPENAI_API_KEY", "sk-real-credential")
    };
    let folder = Folder::new();
    check_in(&folder, &exposed(), &["demo_keys_exposed"]).await;
    // The users are what counts, not the flag.
    let demo = Gateway::start_in(folder, Setup::bare().flag("--demo")).await;
    let folder = demo.stop().await.folder;
    let without_flag =
        Setup::bare().flag("--listen").flag("0.0.0.0:0").variable("OPENAI_API_KEY", "sk-real-credential");
    let (code, reported) = commands::serve_to_its_end(&folder, &without_flag).await;
    assert!(matches!(code, Some(1..)) && reported.contains("demo_keys_exposed"), "{reported}");
    assert!(!reported.contains("sk-real-credential"), "{reported}");
    // Any two of the three do.
    drop(Gateway::start_in(folder, Setup::bare().variable("OPENAI_API_KEY", "sk-real-credential")).await);
}

#[tokio::test]
async fn start_prints_whether_calls_cost_money() {
    let mock = Gateway::start(Setup::bare()).await;
    let printed = |gateway: &Gateway| format!("{}{}", gateway.stdout(), gateway.stderr()).to_ascii_lowercase();
    assert!(printed(&mock).contains("mock"), "{}", printed(&mock));
    let real = Gateway::start(Setup::bare().variable("OPENAI_API_KEY", "sk-real-credential")).await;
    assert!(printed(&real).contains("money") && printed(&real).contains("openai"), "{}", printed(&real));
    assert!(!printed(&real).contains("sk-real-credential"));
    // The mock is not on beside a real provider unless it is asked for.
    assert!(e2e::gateway::listening(&real.stderr()).unwrap()["mock"].is_null());
    let forced = Setup::bare().variable("OPENAI_API_KEY", "sk-real-credential").flag("--mock");
    let forced = Gateway::start(forced).await;
    let answer = Call::get("/v1/models").send(forced.mock().address()).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn database_of_a_newer_version_is_served_unless_it_is_incompatible() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let folder = gateway.stop().await.folder;
    let on_sqlite = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (99990101000000, 'of the future', TRUE, X'00', 0)";
    let on_postgres = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (99990101000000, 'of the future', TRUE, '0', 0)";
    store::rows(&folder, &folder.data()).execute(on_sqlite, on_postgres).await;
    // Servers one minor version apart share a store: it only grew.
    let gateway = Gateway::start_in(folder, Setup::mocked()).await;
    gateway.validate(&key).await;
    let folder = gateway.stop().await.folder;
    let raised = "UPDATE schema_floor SET version = 99990101000000";
    store::rows(&folder, &folder.data()).execute(raised, raised).await;
    check_in(&folder, &Setup::mocked(), &["store_newer", "99990101000000"]).await;
}

#[tokio::test]
async fn help_has_examples() {
    let folder = Folder::new();
    for words in [
        &["--help"][..],
        &["serve", "--help"],
        &["keys", "--help"],
        &["users", "--help"],
        &["users", "create", "--help"],
        &["users", "password", "--help"],
        &["users", "role", "--help"],
        &["users", "plan", "--help"],
    ] {
        let output = commands::run(&folder, words).await;
        let reported = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}");
        assert!(reported.contains("Example") && reported.contains("tollgate "), "{words:?}: {reported}");
    }
    let output = commands::run(&folder, &["serve", "--no-such-flag"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "asking for help leaves nothing");
}

#[tokio::test]
async fn tollgate_without_a_command_explains_the_start_or_serves_an_existing_setup() {
    let folder = Folder::on_sqlite();
    let output = commands::run(&folder, &[] as &[&str]).await;
    let reported = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && reported.contains("tollgate serve --demo") && reported.contains("tollgate.yaml"),
        "{reported}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "an explanation leaves nothing");
    // A configuration, then a data folder without one.
    let address = "listen: \"127.0.0.1:0\"\ncontrol: {listen: \"127.0.0.1:0\"}\n";
    folder.write("tollgate.yaml", address);
    for (says, ports) in
        [("running `tollgate serve --config tollgate.yaml`", None), ("running `tollgate serve`\n", Some("127.0.0.1:0"))]
    {
        let variables: Vec<(&str, &str)> = ports
            .into_iter()
            .flat_map(|port| [("TOLLGATE_LISTEN", port), ("TOLLGATE_CONTROL__LISTEN", port)])
            .collect();
        let mut child = commands::begin(&folder, &[] as &[&str], &variables);
        let mut output = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        while !output.contains("\"listening\"") {
            assert!(lines.read_line(&mut output).unwrap() > 0, "{output}");
        }
        assert!(output.contains(says), "{output}");
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = std::fs::remove_file(folder.path().join("tollgate.yaml"));
    }
    assert!(folder.path().join("tollgate-data").is_dir());
}

#[tokio::test]
async fn health_answers_without_a_key() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let health = gateway.ask(Call::get("/health")).await.expect(200).json();
    assert_eq!(health["status"], "ok");
    assert!(health["version"].is_string() && health["uptime_s"].is_u64(), "{health}");
    gateway.ask(Call::get("/livez")).await.expect(200);
    eventually("metrics count the calls", async || {
        gateway.metrics().await.contains("api_requests_total").then_some(())
    })
    .await;
    assert_eq!(gateway.ask(Call::get("/no/such")).await.expect(404).json()["error"]["code"], "not_found");
    gateway.ask(Call::get("/api/usage/today")).await.expect(401);
}
