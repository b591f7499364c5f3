//! The first use of the product: `serve --demo`, the command that it prints, and the usage that it counts.

use std::process::Stdio;
use std::time::Duration;

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually, keys_in};
use tokio::process::Command;

use crate::bodies::{CHAT, Format};
use crate::store;

fn demo() -> Setup {
    Setup::bare().flag("--demo")
}

/// Returns the `curl` command in `stdout`, to the end of its last continuation line.
fn printed_curl(stdout: &str) -> String {
    let mut command = String::new();
    for line in stdout.lines().skip_while(|line| !line.trim_start().starts_with("curl ")) {
        command.push_str(line);
        command.push('\n');
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    assert!(!command.is_empty(), "no curl in: {stdout}");
    command
}

/// Runs a command in `sh` and returns its stdout.
async fn shell(command: &str) -> String {
    let mut child = Command::new("sh");
    child.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), child.output()).await.expect("curl hangs").unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr} (a missing curl is installed with `apt install curl`)");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn printed_curl_streams_and_is_counted_within_two_seconds() {
    let gateway = Gateway::start(demo()).await;
    let stdout = gateway.stdout();
    let keys = keys_in(&stdout);
    assert_eq!(keys.len(), 3, "{stdout}");
    for word in ["starter", "pro", "business", &gateway.proxy.to_string(), &gateway.control.to_string()] {
        assert!(stdout.to_ascii_lowercase().contains(word), "no {word} in: {stdout}");
    }
    let command = printed_curl(&stdout);
    assert!(command.contains(&keys[0]), "{command}");
    let streamed = shell(&command).await;
    let events = e2e::sse::parse(streamed.as_bytes());
    assert!(events.len() > 3, "{streamed}");
    assert_eq!(events.last().unwrap().data, "[DONE]");

    let usage = gateway.counted(&keys[0], 1).await;
    assert_eq!(usage["credits"], 1);
    assert!(usage["tokens"]["output"].as_u64().is_some_and(|tokens| tokens > 0), "{usage}");
    assert!(usage["limit"].is_u64() && usage["resets_at"].is_string(), "{usage}");
}

#[tokio::test]
async fn each_demo_key_has_the_plan_that_is_printed_with_it() {
    let gateway = Gateway::start(demo()).await;
    let stdout = gateway.stdout();
    let mut plans = Vec::new();
    for key in keys_in(&stdout) {
        let plan = gateway.validate(&key).await["user"]["plan"].as_str().unwrap().to_ascii_lowercase();
        let line = stdout.lines().find(|line| line.contains(&key)).unwrap().to_ascii_lowercase();
        assert!(line.contains(&plan), "{plan}: {line}");
        plans.push(plan);
    }
    plans.sort();
    assert_eq!(plans, ["business", "pro", "starter"]);
}

#[tokio::test]
async fn second_start_shows_the_same_keys() {
    let first = Gateway::start(demo()).await;
    let keys = keys_in(&first.stdout());
    let second = Gateway::start_in(first.stop().await.folder, demo()).await;
    assert_eq!(keys_in(&second.stdout()), keys);
    second.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&keys[2])).await.expect(200);
    // Another folder has others.
    let other = Gateway::start(demo()).await;
    assert!(keys_in(&other.stdout()).iter().all(|key| !keys.contains(key)));
}

#[tokio::test]
async fn keys_are_printed_before_any_log_line_and_are_not_logged() {
    let folder = Folder::new();
    let setup = demo().section("log", "{level: trace}");
    let child = commands::serve_in_one_stream(&folder, &setup);
    let gateway = Gateway::started(folder, child, "stdout").await;
    let all = keys_in(&gateway.stdout());
    let strange = format!("tollgate_{}", "ab".repeat(16));
    for key in all.iter().chain([&strange]) {
        for name in ["authorization", "x-api-key"] {
            let value = if name == "authorization" { format!("Bearer {key}") } else { key.clone() };
            let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", true)).header(name, &value);
            gateway.call(call).await;
            gateway.ask(Call::get("/api/usage/today").header(name, &value)).await;
        }
    }
    let output = gateway.stdout();
    let lines: Vec<&str> = output.lines().collect();
    let is_log = |line: &&str| line.starts_with('{');
    // At this level PostgreSQL's client logs how it parses its URL; Tollgate itself logs nothing before the greeting.
    let greeting = lines.iter().position(|line| !is_log(line)).unwrap();
    let (early, lines) = lines.split_at(greeting);
    assert!(early.iter().all(|line| line.contains("\"target\":\"sqlx")), "{early:?}");
    let (before, after) = lines.split_at(lines.iter().position(is_log).unwrap());
    assert_eq!(keys_in(&before.join("\n")), all);
    assert!(after.len() > 10, "a trace log has lines");
    let leak =
        early.iter().chain(after).find(|line| all.iter().chain([&strange]).any(|key| line.contains(key.as_str())));
    assert!(leak.is_none(), "{leak:?}");
    assert!(after.iter().all(is_log), "something is printed between log lines");
}

#[tokio::test]
async fn brand_is_printed_and_its_keys_have_its_prefix() {
    let gateway = Gateway::start(demo().section("brand", "{name: Codexible, key_prefix: codexible}")).await;
    let stdout = gateway.stdout();
    let keys = keys_in(&stdout);
    assert!(stdout.contains("Codexible") && keys.iter().all(|key| key.starts_with("codexible_")), "{stdout}");
    // On PostgreSQL, the first lease of a quota can come too late.
    let call = || Call::json(CHAT, &Format::Chat.body("mock", false)).key(&keys[0]);
    eventually("the key is served", async || (gateway.call(call()).await.status() == 200).then_some(())).await;
}

#[tokio::test]
async fn the_printed_call_works_without_llm_endpoints() {
    let gateway = Gateway::start(demo().section("ai", "{enabled: false}")).await;
    let stdout = gateway.stdout();
    let command = printed_curl(&stdout);
    assert!(command.contains(&gateway.control.to_string()) && !stdout.contains("chat/completions"), "{stdout}");
    let usage: serde_json::Value = serde_json::from_str(&shell(&command).await).unwrap();
    assert_eq!(usage["requests"], 0, "{usage}");
}

#[tokio::test]
async fn servers_on_one_database_share_three_demo_keys() {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let first = Gateway::start_in(folder, demo()).await;
    let keys = keys_in(&first.stdout());
    assert_eq!(keys.len(), 3);
    let second = Gateway::start_in(beside, demo()).await;
    let stdout = second.stdout();
    assert_eq!(keys_in(&stdout), Vec::<String>::new());
    // The command for another key names the data folder of this server.
    let command = stdout.lines().find(|line| line.contains("tollgate keys create --user")).unwrap();
    let data = format!("--data {}", second.folder().data().display());
    assert!(stdout.contains("demo-keys.json") && command.ends_with(&data), "{stdout}");
    assert_eq!(store::number(second.folder(), "SELECT count(*) FROM api_keys").await, 3);
    second.validate(&keys[0]).await;
    // A restart changes nothing on either.
    let second = Gateway::start_in(second.stop().await.folder, demo()).await;
    assert_eq!(keys_in(&second.stdout()), Vec::<String>::new());
    let first = Gateway::start_in(first.stop().await.folder, demo()).await;
    assert_eq!(keys_in(&first.stdout()), keys);
    assert_eq!(store::number(first.folder(), "SELECT count(*) FROM api_keys").await, 3);
}

/// Runs the two requests of the README, one after the other, in the parent of the data folder.
#[tokio::test]
async fn the_readmes_calls_run_as_printed() {
    let gateway = Gateway::start(demo()).await;
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let calls: Vec<&str> = blocks.into_iter().filter(|block| block.contains("curl ")).collect();
    assert_eq!(calls.len(), 2, "{readme}");
    let folder = gateway.folder();
    std::os::unix::fs::symlink(folder.data(), folder.path().join("tollgate-data")).unwrap();
    let script = calls.join("echo; echo ====\n");
    let script = script.replace("127.0.0.1:8080", &gateway.proxy.to_string());
    let script = script.replace("127.0.0.1:8787", &gateway.control.to_string());
    let output = shell(&format!("cd '{}'\n{script}", folder.path().display())).await;
    let (streamed, usage) = output.split_once("\n====\n").unwrap();
    assert_eq!(e2e::sse::parse(streamed.as_bytes()).last().unwrap().data, "[DONE]", "{streamed}");
    let usage: serde_json::Value = serde_json::from_str(usage).unwrap();
    assert!(usage["limit"].is_u64() && usage["remaining"].is_u64(), "{usage}");
}
