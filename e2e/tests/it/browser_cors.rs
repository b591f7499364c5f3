//! Pages in Chromium that call a route of another origin: fetch, EventSource, a preflight request on a route with keys, cookies,
//! and an origin that the route does not list.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use e2e::{Gateway, Setup, Upstream, eventually_within};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Time in which a browser on a busy machine starts and runs a page.
const BROWSED_WITHIN: Duration = Duration::from_secs(60);

/// The page, which sends the results of its calls to its own server.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><script>
const { api, key } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const call = async (path, options) => {
  try {
    const response = await fetch(api + path, options);
    return { status: response.status, id: response.headers.get("x-request-id") !== null, total: response.headers.get("x-total"),
      hidden: response.headers.get("x-hidden"), text: await response.text() };
  } catch {
    return "refused";
  }
};
const events = (path) => new Promise((resolve) => {
  const source = new EventSource(api + path);
  source.onmessage = ({ data }) => { source.close(); resolve(data); };
  source.onerror = () => { source.close(); resolve("refused"); };
});
const withKey = (method) => ({ method, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
  body: method === "GET" ? undefined : "{}" });
const results = {
  simple: await call("/open"),
  keyed: await call("/keyed", withKey("PUT")),
  keyless: await call("/keyed"),
  method: await call("/keyed", withKey("DELETE")),
  header: await call("/keyed", { headers: { "x-unlisted": "1", authorization: `Bearer ${key}` } }),
  cookies: await call("/cookies", { credentials: "include" }),
  uncredentialed: await call("/open", { credentials: "include" }),
  events: await events("/events"),
  unshared: await call("/unshared"),
};
await fetch("/results", { method: "POST", body: JSON.stringify(results) });
</script>"#;

/// Starts a server that returns the page, as a module, and gets its results.
async fn pages() -> Upstream {
    Upstream::start(|mut turn| async move {
        turn.read_body().await;
        let page = PAGE.replace("<script>", "<script type=\"module\">");
        turn.answer("200 OK\r\ncontent-type: text/html", page.as_bytes()).await.then_some(turn)
    })
    .await
}

/// Starts the API, which has no field of CORS itself.
async fn api() -> Upstream {
    Upstream::start(|mut turn| async move {
        turn.read_body().await;
        let head = match turn.head.word(1) {
            "/events" => "200 OK\r\ncontent-type: text/event-stream",
            _ => "200 OK\r\nx-total: 7\r\nx-hidden: 1\r\naccess-control-allow-origin: https://wrong.example",
        };
        turn.answer(head, b"data: fine\n\n").await.then_some(turn)
    })
    .await
}

/// Opens a page in the Chromium of the variable `CHROMIUM`, or in Debian's. `scripts/setup.sh` prefers its build without a window.
fn browse(profile: &Path, url: &str) -> Child {
    let debian = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].map(OsString::from);
    let debian = debian.into_iter().find(|path| Path::new(path).exists());
    let chromium = std::env::var_os("CHROMIUM").or(debian);
    let chromium = chromium.unwrap_or_else(|| panic!("there is no Chromium; scripts/setup.sh test installs it"));
    let mut command = Command::new(chromium);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]);
    command.arg(format!("--user-data-dir={}", profile.display())).arg(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("Chromium: {error}"))
}

/// Returns the results of the page at this host.
async fn results(host: &str, pages: &Upstream, gateway: &Gateway, key: &str) -> Value {
    let profile = tempfile::tempdir().unwrap();
    let api = format!("http://127.0.0.1:{}", gateway.proxy.port());
    let url = format!("http://{host}:{}/#api={api}&key={key}", pages.address().port());
    let _browser = browse(profile.path(), &url);
    eventually_within(BROWSED_WITHIN, "the page sends its results", async || {
        let seen = pages.seen();
        let sent = seen.iter().find(|seen| seen.head.word(1) == "/results" && seen.whole)?;
        serde_json::from_slice(&sent.body).ok()
    })
    .await
}

#[tokio::test]
async fn pages_in_chromium_read_what_the_route_shares() {
    let others = pages().await;
    let pages = pages().await;
    let api = api().await;
    let origin = format!("http://127.0.0.1:{}", pages.address().port());
    let cors = format!("allowed_origins: ['{origin}'], exposed_headers: [X-Total]");
    let keyed = "allowed_methods: [GET, PUT], allowed_headers: [Authorization, Content-Type]";
    let route = |path: &str, auth: &str, cors: &str| {
        format!("{{path: {path}, upstreams: backend, auth: {auth}, cors: {{{cors}}}}}")
    };
    let routes = [
        route("/open", "none", &cors),
        route("/events", "none", &cors),
        route("/keyed", "key", &format!("{cors}, {keyed}")),
        route("/cookies", "none", &format!("{cors}, allow_credentials: true")),
        "{path: /unshared, upstreams: backend, auth: none}".to_owned(),
    ];
    let gateway = Gateway::start(Setup::routed(api.address(), &routes.join(", "))).await;
    let key = gateway.key().await;
    let found = results("127.0.0.1", &pages, &gateway, &key).await;
    // The route's list is the whole list: the request's id is not in it.
    let shared = json!({"status": 200, "id": false, "total": "7", "hidden": null, "text": "data: fine\n\n"});
    for name in ["simple", "keyed", "cookies"] {
        assert_eq!(found[name], shared, "{name} {found}");
    }
    // The page reads the code of a refusal.
    assert_eq!(found["keyless"]["status"], 401, "{found}");
    assert!(found["keyless"]["text"].as_str().unwrap().contains("\"unauthorized\""), "{found}");
    for name in ["method", "header", "uncredentialed", "unshared"] {
        assert_eq!(found[name], "refused", "{name} {found}");
    }
    assert_eq!(found["events"], "fine", "{found}");
    // The same page at another origin reads nothing.
    let found = results("localhost", &others, &gateway, &key).await;
    for (name, result) in found.as_object().unwrap() {
        assert_eq!(result, "refused", "{name} {found}");
    }
}
