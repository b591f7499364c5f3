//! HTTP/2 from a client that is not built on the crate `h2`.

use e2e::{Gateway, Setup, Upstream};
use tokio::process::Command;

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}}, \
    {path: {prefix: /k}, upstreams: backend}";

/// Runs curl with prior knowledge of HTTP/2. Returns its output.
async fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--http2-prior-knowledge", "--silent", "--show-error", "--max-time", "20"])
        .args(["--write-out", "|%{http_version} %{http_code} %{num_connects}\n"])
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn curl_sends_requests_over_one_connection() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTES)).await;
    let [open, keyed] = ["o/a", "k/a"].map(|path| format!("http://{}/{path}", gateway.proxy));
    assert_eq!(curl(&[&open, &open]).await, "fine|2 200 1\nfine|2 200 0\n");
    let refused = curl(&[&keyed]).await;
    assert!(refused.contains("unauthorized") && refused.ends_with("|2 401 1\n"), "{refused}");
}

#[tokio::test]
async fn curl_uploads_a_large_body_after_an_interim_response() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTES)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
    let body = format!("@{}", file.display());
    let url = format!("http://{}/o/a", gateway.proxy);
    let printed = curl(&["--header", "expect: 100-continue", "--data-binary", &body, &url]).await;
    assert_eq!(printed, "fine|2 200 1\n");
    assert_eq!(upstream.seen().last().unwrap().body.len(), 3_000_000);
}
