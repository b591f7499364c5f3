//! `tollgate audit`: consistency of the store, and comparison with a provider's report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Mock, Setup, Upstream, commands, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};
use crate::store;

/// The exit codes: everything agrees, or figures differ.
const AGREES: i32 = 0;
const DIFFERS: i32 = 3;

/// Runs `tollgate audit` with these arguments; returns its exit code and output.
async fn audit(folder: &Folder, words: &[&str]) -> (i32, String) {
    let output = commands::run(folder, &[&["audit", "--data", "data"], words].concat()).await;
    // A note that the configuration file is not read precedes the errors.
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: String = errors.split_inclusive('\n').filter(|line| !line.starts_with("note: ")).collect();
    (output.status.code().unwrap(), format!("{}{errors}", String::from_utf8_lossy(&output.stdout)))
}

pub(crate) async fn agrees(folder: &Folder) -> Value {
    let output = commands::run(folder, &["audit", "--data", "data", "--json"]).await;
    assert_eq!(output.status.code(), Some(AGREES), "{output:?}");
    let audit_output: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&audit_output["agrees"], &audit_output["differences"]), (&json!(true), &json!([])), "{audit_output}");
    audit_output
}

fn chat(key: &str, model: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body(model, false)).key(key)
}

#[tokio::test]
async fn a_server_under_load_is_no_difference() {
    let mock = Mock::start().await;
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = Setup::routed(
        upstream.address(),
        "{path: /folded, upstreams: backend}, {path: /rows, upstreams: backend, events: rows}",
    )
    .section("providers", &format!("[{}]", e2e::setup::provider("up", "openai", mock.address())));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for call in
        [chat(&key, "up/tokens-1"), chat(&key, "up/429"), Call::get("/folded").key(&key), Call::get("/rows").key(&key)]
    {
        let over = over.clone();
        let answered = answered.clone();
        let to = gateway.proxy;
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                call.clone().send(to).await;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..5 {
        let before = answered.load(Ordering::Relaxed);
        let more = async || (answered.load(Ordering::Relaxed) > before + 20).then_some(());
        eventually("the load continues", more).await;
        agrees(gateway.folder()).await;
    }
    over.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let ended = gateway.stop().await;
    let audit_output = agrees(&ended.folder).await;
    assert_eq!((&audit_output["interrupted"]["requests"], &audit_output["open"]["requests"]), (&json!(0), &json!(0)));
    let counted = store::number(&ended.folder, "SELECT sum(requests) FROM daily_usage").await;
    assert!(usize::try_from(counted).unwrap() > 100, "{counted}");
}

#[tokio::test]
async fn requests_interrupted_by_a_kill_are_reported_and_the_audit_agrees() {
    let mock = Mock::start().await;
    let setup = || Setup::provider("openai", mock.address());
    let gateway = Gateway::start(setup()).await;
    let key = gateway.key().await;
    gateway.call(chat(&key, "up/tokens-1")).await.expect(200);
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let call = chat(&key, "up/hang");
        let to = gateway.proxy;
        calls.spawn(async move { call.attempt(to).await.is_ok() });
    }
    eventually("three requests are in flight", async || (mock.requests("hang").await == 3).then_some(())).await;
    let again = Gateway::start_in(gateway.crash().folder, setup()).await;
    calls.join_all().await;
    let audit_output = agrees(again.folder()).await;
    assert_eq!(
        (&audit_output["interrupted"]["requests"], &audit_output["interrupted"]["credits"]),
        (&json!(3), &json!(3)),
        "{audit_output}"
    );
    let (code, words) = audit(again.folder(), &[]).await;
    assert_eq!(code, AGREES, "{words}");
    assert_eq!(audit_output["unpriced"][0]["reason"], "interrupted", "{audit_output}");
    assert!(words.contains("unknown cost (interrupted): 3 LLM requests; "), "{words}");
    assert!(
        words.contains(
            "interrupted: 3 requests were in flight when a server died; their reservations count as used: 3 credits, "
        ),
        "{words}"
    );
    assert!(words.ends_with(": all figures agree\n"), "{words}");
}

#[tokio::test]
async fn a_wrong_total_is_reported_and_repaired_while_the_server_runs() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    for _ in 0..3 {
        gateway.call(chat(&account.key, "mock/tokens-1")).await.expect(200);
    }
    gateway.counted(&account.key, 3).await;
    let folder = gateway.folder();
    let data = folder.data();
    let wrong = "UPDATE daily_usage SET requests = requests + 1, output_tokens = output_tokens - 1";
    store::rows(folder, &data).execute(wrong, wrong).await;
    let (code, audit_output) = audit(folder, &[]).await;
    assert_eq!(code, DIFFERS, "{audit_output}");
    assert!(
        audit_output.contains(": requests: totals 4, events 3 (+1)\n")
            && audit_output.contains("output_tokens: totals 2, events 3 (-1)"),
        "{audit_output}"
    );
    assert!(audit_output.starts_with("differs: 20") && audit_output.contains(": 2 figures differ\n"), "{audit_output}");
    let (_, audit_output) = audit(folder, &["--json"]).await;
    let audit_output: Value = serde_json::from_str(&audit_output).unwrap();
    let [place, expected, found] = ["place", "expected", "found"].map(|name| &audit_output["differences"][0][name]);
    assert_eq!((&place["of"], expected, found), (&json!("key"), &json!(3), &json!(4)), "{audit_output}");
    let listed = commands::keys_list(folder, &account.email).await;
    assert!(listed.contains(place["key_id"].as_str().unwrap()), "{listed}: {place}");

    let (code, audit_output) = audit(folder, &["--repair"]).await;
    assert_eq!(code, AGREES, "{audit_output}");
    assert!(
        audit_output.starts_with(
            "repaired: daily totals of 1 keys, 0 models, 0 plans, 0 subjects, 0 routes and 0 label sets, "
        ),
        "{audit_output}"
    );
    agrees(folder).await;
    assert_eq!(gateway.usage(&account.key).await["requests"], 3);
    assert_eq!(store::number(folder, "SELECT count(*) FROM audit_log WHERE action = 'totals.repair'").await, 1);
    let (code, audit_output) = audit(folder, &["--repair"]).await;
    assert!(code == AGREES && audit_output.starts_with("repaired: daily totals of 0 keys"), "{audit_output}");
    // Money without an entry is the only difference.
    let wallet = |id: &str| {
        format!(
            "INSERT INTO wallets (id, user_id, currency, balance, created_at, updated_at)
            SELECT {id}, id, 'IDR', 5000, 0, 0 FROM users WHERE email = '{}'",
            account.email
        )
    };
    store::rows(folder, &data).execute(&wallet("randomblob(16)"), &wallet("gen_random_uuid()")).await;
    let (code, audit_output) = audit(folder, &[]).await;
    let is_reported = audit_output.starts_with("differs: ") && audit_output.ends_with(": 1 figures differ\n");
    assert!(code == DIFFERS && is_reported, "{audit_output}");
}

#[tokio::test]
async fn differences_from_a_providers_report_are_listed() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(Setup::provider("openai", mock.address())).await;
    let key = gateway.key().await;
    for model in ["up/tokens-3", "up/tokens-3", "up/tokens-5"] {
        gateway.call(chat(&key, model)).await.expect(200);
    }
    gateway.counted(&key, 3).await;
    let folder = gateway.folder();
    // The provider's figures equal the usage in its responses.
    let rows = store::events(folder, 3).await;
    let sum = |model: &str, class: &str| -> u64 {
        let of_model = rows.iter().filter(|row| row.row["answered_model"] == model);
        of_model.map(|row| row.row[class].as_u64().unwrap_or(0)).sum()
    };
    let mut models: Vec<String> =
        rows.iter().map(|row| row.row["answered_model"].as_str().unwrap().to_owned()).collect();
    models.sort();
    models.dedup();
    let result = |model: &String, more: u64| {
        let requests = rows.iter().filter(|row| row.row["answered_model"] == **model).count();
        let input = ["input", "cached_input", "cache_write_short", "cache_write_long"];
        json!({
            "object": "organization.usage.completions.result", "model": model, "num_model_requests": requests,
            "input_tokens": input.iter().map(|class| sum(model, class)).sum::<u64>(),
            "input_cached_tokens": sum(model, "cached_input"),
            "output_tokens": sum(model, "output") + sum(model, "reasoning") + more, "project_id": null, "batch": null,
        })
    };
    // Start of the requests' day, in seconds since the Unix epoch.
    let began = 86_400 * store::number(folder, "SELECT max(day) FROM daily_usage").await;
    let page = |more: u64| {
        let results: Vec<Value> = models.iter().map(|model| result(model, more)).collect();
        let bucket = json!({"object": "bucket", "start_time": began, "end_time": began + 86_400, "results": results});
        json!({"object": "page", "data": [bucket], "has_more": false, "next_page": null}).to_string()
    };
    folder.write("same.json", &page(0));
    let (code, audit_output) = audit(folder, &["--provider-report", "same.json", "--config", "tollgate.yaml"]).await;
    assert_eq!(code, AGREES, "{audit_output}");
    assert!(
        audit_output.contains(&format!("the report agrees ({} pairs of day and model)", models.len())),
        "{audit_output}"
    );

    folder.write("more.json", &page(7));
    let words = ["--provider-report", "more.json", "--provider", "up"];
    let (code, audit_output) = audit(folder, &words).await;
    assert_eq!(code, DIFFERS, "{audit_output}");
    let output = sum(&models[0], "output") + sum(&models[0], "reasoning");
    let line = format!(" {}: output_tokens: recorded {output}, reported {} (difference -7)\n", models[0], output + 7);
    assert!(audit_output.contains(&line), "{audit_output}");
    let (_, audit_output) = audit(folder, &[&words[..], &["--json"]].concat()).await;
    let audit_output: Value = serde_json::from_str(&audit_output).unwrap();
    assert_eq!(
        (&audit_output["differences"][0]["measure"], &audit_output["differences"][0]["difference"]),
        (&json!("output_tokens"), &json!(-7))
    );

    // A table with days has the sums of all models.
    let day = audit_output["days"]["since"].as_str().unwrap();
    folder.write("table.csv", &format!("date,requests\n{day},3\n"));
    assert_eq!(audit(folder, &["--provider-report", "table.csv"]).await.0, AGREES);
    folder.write("table.csv", &format!("date,requests\n{day},4\n"));
    let (code, audit_output) = audit(folder, &["--provider-report", "table.csv"]).await;
    assert!(
        code == DIFFERS && audit_output.contains("all models: requests: recorded 3, reported 4 (difference -1)"),
        "{audit_output}"
    );
    let other_days = ["--provider-report", "table.csv", "--since", "2020-01-01", "--until", "2020-01-31"];
    let (code, audit_output) = audit(folder, &other_days).await;
    assert!(
        code == DIFFERS && audit_output.ends_with("2020-01-01 to 2020-01-31: no figures could be compared\n"),
        "{audit_output}"
    );
}

#[tokio::test]
async fn an_invalid_report_is_refused_with_the_position() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let folder = gateway.folder();
    // The forced mock leaves no other provider, whose report this could be.
    let config = folder.write("mocked.yaml", "mock: true\n").display().to_string();
    for (text, words, code, expected) in [
        ("date,requests\n2026-11-31,1", &[][..], 1, "report: line 2, date: expected a day as in 2026-11-20"),
        (
            r#"{"data": [{"start_time": 0, "results": [{}]}]}"#,
            &[],
            1,
            "report: page 1: data[0].results[0].object: missing",
        ),
        (
            r#"{"data": [{"start_time": 0, "results": []}]}"#,
            &["--config", &config],
            1,
            "no provider of kind openai is enabled",
        ),
        ("", &["--repair"], 2, "cannot be used with"),
        ("", &["--since", "yesterday"], 2, "expected a day, such as 2026-11-20"),
    ] {
        folder.write("report", text);
        let (ended, printed) = audit(folder, &[&["--provider-report", "report"], words].concat()).await;
        assert!(ended == code && printed.contains(expected), "{text} {words:?}: {ended} {printed}");
    }
    let (code, printed) = audit(folder, &["--since", "2026-11-02", "--until", "2026-11-01"]).await;
    assert!(code == 1 && printed.contains("--since 2026-11-02 is later than --until 2026-11-01"), "{printed}");
    let (code, printed) = audit(folder, &["--since", "2999-01-01"]).await;
    assert!(code == 1 && printed.contains("2999-01-01 is a future day"), "{printed}");
    let (code, printed) = audit(folder, &["--provider-report", "gone"]).await;
    assert!(code == 1 && printed.contains("gone"), "{printed}");
}

#[tokio::test]
async fn leases_are_checked_against_their_limits_and_unusable_ones_are_reported() {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let setup = || {
        Setup::mocked().plans("{name: hundred, credits_per_day: 100}").section("lease", "{ttl: 20s, recall_wait: 10s}")
    };
    let nodes = [Gateway::start_in(folder, setup()).await, Gateway::start_in(beside, setup()).await];
    let key = nodes[0].account("hundred").await.key;
    for node in nodes.iter().cycle().take(20) {
        node.call(chat(&key, "mock/tokens-1")).await.expect(200);
    }
    nodes[0].counted(&key, 20).await;
    let [one, dies] = nodes;
    agrees(one.folder()).await;
    let dead = dies.crash().folder;
    let data = dead.data();
    let rows = store::rows(&dead, &data);
    let id = std::fs::read_to_string(data.join("node")).unwrap();
    let silent: &'static str = Box::leak(
        format!(
            "UPDATE leases SET heard_at = 1, granted = spent + 7000000, used = spent WHERE CAST(node_id AS TEXT) = '{}'",
            id.trim()
        )
        .into_boxed_str(),
    );
    rows.execute(silent, silent).await;
    let (code, audit_output) = audit(one.folder(), &[]).await;
    assert_eq!(code, AGREES, "{audit_output}");
    assert!(audit_output.contains("unusable: 7 credits of user"), "{audit_output}");
    assert!(audit_output.contains(&format!("leased to node {}", id.trim())), "{audit_output}");
    let beyond: &'static str = Box::leak(silent.replace("spent + 7", "spent + 700").into_boxed_str());
    rows.execute(beyond, beyond).await;
    let (code, audit_output) = audit(one.folder(), &[]).await;
    assert_eq!(code, DIFFERS, "{audit_output}");
    assert!(
        audit_output.contains(": credits: spent and lent 7") && audit_output.contains(", at most the limit 100 (+6"),
        "{audit_output}"
    );
}
