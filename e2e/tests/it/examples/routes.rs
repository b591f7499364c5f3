//! The examples of changes that routes make.

use std::process::Stdio;

use e2e::python::python;
use e2e::setup::Folder;
use e2e::{Call, Upstream, commands, eventually};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::{Example, first_key};

#[tokio::test]
async fn cors_shares_responses_with_pages_of_the_listed_origins() {
    let example = Example::read("cors");
    let api = Upstream::json(&json!({"users": []})).await;
    let gateway = example.start(&[("USERS_URL".to_owned(), format!("http://{}", api.address()))]).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    let shared = "access-control-allow-origin: https://shop.example.com";
    assert!(outputs[0].starts_with("HTTP/1.1 204 ") && outputs[0].contains(shared), "{outputs:?}");
    assert!(outputs[0].contains("access-control-allow-methods: GET, POST"), "{outputs:?}");
    assert!(outputs[1].ends_with(r#"{"users":[]}"#) && outputs[1].contains(shared), "{outputs:?}");
    assert_eq!(api.only().head.word(1), "/api/v1/users");
    let refused = gateway.call(Call::get("/api/v1/users").header("origin", "https://a.example.org")).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.example.org"));
    gateway.call(Call::get("/health")).await.expect(200);
}

#[tokio::test]
async fn export_writes_requests_into_files() {
    let example = Example::read("export");
    let events = Folder::new();
    let api = Upstream::json(&json!({"users": []})).await;
    let variables = [
        ("USERS_URL".to_owned(), format!("http://{}", api.address())),
        ("EVENTS_DIR".to_owned(), events.path().display().to_string()),
    ];
    let gateway = example.start(&variables).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, [r#"{"users":[]}"#; 2]);
    eventually("both requests are in files", async || {
        let files = std::fs::read_dir(events.path()).unwrap().map(|file| file.unwrap().path());
        let text: String = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"))
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let rows = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let api = rows.filter(|row| row["route"] == "api");
        (api.map(|row| row["requests"].as_u64().unwrap()).sum::<u64>() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn transform_changes_what_the_api_and_the_client_receive() {
    let example = Example::read("transform");
    let api = Upstream::answering("200 OK\r\nserver: api", r#"{"users":[]}"#).await;
    let variables =
        [("USERS_URL".to_owned(), format!("http://{}", api.address())), ("BACKEND_TOKEN".to_owned(), "b".to_owned())];
    let gateway = example.start(&variables).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    assert!(outputs[0].contains("x-response-time: ") || outputs[0].contains("X-Response-Time: "), "{outputs:?}");
    assert!(!outputs[0].contains("server: "), "{outputs:?}");
    assert!(outputs[1].contains("HTTP/1.1 308 ") && outputs[1].contains("location: /v2/users"), "{outputs:?}");
    assert!(outputs[1].contains("@1767225600"), "{outputs:?}");
    let head = api.only().head;
    assert_eq!((head.word(1), head.header("x-collection")), ("/api/v1/users", Some("users")));
    assert_eq!((head.header("authorization"), head.header("x-forwarded-for")), (Some("Bearer b"), None));
}

/// Starts a server script, and returns it with its port.
async fn serve(set: &str, script: &str) -> (Child, String) {
    let mut command = python(set, script);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    (child, line.trim().to_owned())
}

#[tokio::test]
async fn blue_green_switches_by_one_word() {
    let example = Example::read("blue-green");
    let blue = Upstream::json(&json!({"v": 1})).await;
    let green = Upstream::json(&json!({"v": 2})).await;
    let url = |name: &str, api: &Upstream| (name.to_owned(), format!("http://{}", api.address()));
    let variables = [url("BLUE_URL", &blue), url("GREEN_URL", &green)];
    // A copy of the file, which changes.
    let folder = Folder::new();
    let file = folder.write("copy.yaml", &example.yaml);
    let gateway = example.start_with(&file, &variables).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    assert!(outputs[0].contains("x-live: blue") || outputs[0].contains("X-Live: blue"), "{outputs:?}");
    assert!(outputs[0].ends_with(r#"{"v":1}"#), "{outputs:?}");
    assert_eq!(outputs[1], r#"{"v":2}"#);
    let switched =
        example.yaml.replace("    upstreams: blue\n    transformations:", "    upstreams: green\n    transformations:");
    assert_ne!(switched, example.yaml);
    folder.write("copy.yaml", &switched);
    eventually("the other version is live", async || {
        (gateway.call(Call::get("/api/v1/users").key(&key)).await.text() == r#"{"v":2}"#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn grpc_refuses_calls_with_a_status_and_passes_others() {
    let example = Example::read("grpc");
    let (_server, port) = serve("protocols", "serve_grpc.py").await;
    let gateway = example.start(&[("SERVICE_URL".to_owned(), format!("h2c://127.0.0.1:{port}"))]).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    assert!(outputs[0].starts_with("HTTP/2 200") && outputs[0].contains("grpc-status: 16"), "{outputs:?}");
    assert!(outputs[0].contains("grpc-message: "), "{outputs:?}");
    assert!(outputs[1].starts_with("HTTP/2 200") && !outputs[1].contains("grpc-status: 1"), "{outputs:?}");
    gateway.uses(&key, 1).await;
    // Without the service, as printed.
    let gateway = example.start(&[]).await;
    let outputs = example.run(&gateway, &first_key(&gateway)).await;
    assert!(outputs[1].contains("grpc-status: 14"), "{outputs:?}");
}

#[tokio::test]
async fn websocket_opens_a_socket_with_a_key() {
    let example = Example::read("websocket");
    let (_server, port) = serve("current", "serve_websocket.py").await;
    let variables = [("SOCKETS_URL".to_owned(), format!("http://127.0.0.1:{port}"))];
    let gateway = example.start(&variables).await;
    let key = first_key(&gateway);
    // The server of the test returns the message itself.
    let mut calls = Example::read("websocket");
    calls.calls.iter_mut().for_each(|call| call.insert_str(0, "SOCKETS_URL=other "));
    assert_eq!(calls.run(&gateway, &key).await, ["hello\n"]);
    gateway.uses(&key, 1).await;
}

#[tokio::test]
async fn cache_sends_one_of_several_requests_to_the_api() {
    let example = Example::read("cache");
    let api = Upstream::answering("200 OK\r\ncache-tag: users", r#"{"users":[]}"#).await;
    let gateway = example.start(&[("CATALOGUE_URL".to_owned(), format!("http://{}", api.address()))]).await;
    let outputs = example.run(&gateway, "").await;
    for (output, (status, end)) in
        outputs.iter().zip([("fwd=miss", r#"{"users":[]}"#), ("hit", r#"{"users":[]}"#), ("hit", r#"{"us"#)])
    {
        assert!(output.contains(&format!("cache-status: tollgate; {status}")) && output.ends_with(end), "{output}");
    }
    assert_eq!((outputs.len(), api.seen().len()), (3, 1));
    let checked = commands::check(&Folder::new(), &example.file).await;
    assert!(checked.status.success(), "{checked:?}");
}
