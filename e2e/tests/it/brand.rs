//! With another brand, no text that users receive contains the product's name: every response and page is searched for
//! it.
//!
//! Names of metrics (`tollgate_…`) and of settings (`TOLLGATE_…`) do not change: only operators see those.

use e2e::{Answer, Call, Gateway, Setup, keys_in};
use serde_json::json;

use crate::bodies::Format;

const GOOGLE: &str = "/v1beta/models/mock";

/// The name of a surface and its text.
type SurfaceText = (String, String);

/// Returns head and body of a response.
fn shown(surface: &str, answer: &Answer) -> SurfaceText {
    (surface.to_owned(), format!("{:?}\n{}", answer.head, answer.text()))
}

async fn control(gateway: &Gateway, all: &mut Vec<SurfaceText>, key: &str) {
    let pages = ["/", "/docs", "/docs/api", "/api/site", "/link", "/openapi.json", "/health"];
    let scripts = ["/install.sh", "/install.sh?agent=claude", "/install.sh?agent=none", "/install.sh/none"];
    let api = ["/api/me", "/api/keys", "/api/usage/today", "/api/dashboard/overview", "/api/provider-keys", "/nothing"];
    for path in pages.into_iter().chain(scripts).chain(api) {
        let answer = gateway.ask(Call::get(path).key(key)).await;
        let error = path.ends_with("none") || path == "/nothing";
        assert_eq!(answer.status() >= 400, error, "{path}: {}", answer.text());
        all.push(shown(path, &answer));
    }
    for wrong in ["x", "codexible_x", &format!("codexible_{}", "0".repeat(32))] {
        all.push(shown("a wrong key", &gateway.ask(Call::get("/api/me").key(wrong)).await.expect(401)));
    }
    let signed_in = gateway.ask(Call::json("/api/auth/login", &json!({"key": key}))).await.expect(200);
    let head = format!("{:?}", signed_in.head);
    assert!(head.contains("codexible_session=") && head.contains("codexible_refresh="), "{head}");
    all.push(shown("signing in", &signed_in));
}

async fn proxy(gateway: &Gateway, all: &mut Vec<SurfaceText>, key: &str) {
    let models = gateway.call(Call::get("/v1/models").key(key)).await.expect(200);
    assert_eq!(models.json()["data"][0]["owned_by"], "codexible", "{}", models.text());
    all.push(shown("models", &models));
    all.push(shown("a model", &gateway.call(Call::get("/v1/models/mock").key(key)).await.expect(200)));
    let google = (format!("{GOOGLE}:generateContent"), json!({"contents": [{"parts": [{"text": "hi"}]}]}));
    let formats = Format::ALL.map(|format| (format.path().to_owned(), format.body("mock", false)));
    for (path, body) in formats.into_iter().chain([google.clone()]) {
        for wrong in ["x", &format!("codexible_{}", "0".repeat(32))] {
            all.push(shown(&path, &gateway.call(Call::json(&path, &body).key(wrong)).await.expect(401)));
        }
        all.push(shown(&path, &gateway.call(Call::json(&path, &body)).await.expect(401)));
        all.push(shown(&path, &gateway.call(Call::json(&path, &body).key(key)).await.expect(200)));
    }
    let streamed = (format!("{GOOGLE}/cut:streamGenerateContent?alt=sse"), google.1.clone());
    let unfinished = (format!("{GOOGLE}/unfinished:streamGenerateContent?alt=sse"), google.1);
    let cuts = Format::ALL.map(|format| (format.path().to_owned(), format.body("mock/cut", true)));
    for (path, body) in cuts.into_iter().chain([streamed, unfinished]) {
        let cut = gateway.call(Call::json(&path, &body).key(key)).await;
        all.push(shown("an aborted response", &cut));
    }
    let malformed = gateway.call(Call::get("/v1/models").key("x")).await.expect(401);
    assert!(malformed.text().contains("a key is codexible_ and 32 lowercase hex digits"), "{}", malformed.text());
    all.push(shown("an unknown path", &gateway.call(Call::get("/nothing").key(key)).await.expect(404)));
}

#[tokio::test]
async fn no_surface_bears_another_name_than_the_brand() {
    let gateway = Gateway::start(Setup::bare().flag("--demo").section("brand", "{name: Codexible}")).await;
    let key = keys_in(&gateway.stdout()).remove(0);
    assert!(key.starts_with("codexible_"), "the key prefix is derived from the brand name: {key}");
    // The test's folder contains the product's name, and operators run a command of the binary.
    let folder = gateway.folder().path().display().to_string();
    let start = gateway.stdout();
    let start = start.lines().filter(|line| !line.contains("tollgate setup-link")).collect::<Vec<_>>().join("\n");
    let mut all = vec![("the start".to_owned(), start.replace(&folder, ""))];
    control(&gateway, &mut all, &key).await;
    proxy(&gateway, &mut all, &key).await;
    assert!(all.iter().any(|(_, text)| text.contains("demo-starter@codexible.invalid")));
    let leaks: Vec<String> = all
        .iter()
        .flat_map(|(surface, text)| text.lines().map(move |line| (surface, line)))
        .filter(|(_, line)| line.to_lowercase().contains("tollgate"))
        .map(|(surface, line)| format!("{surface}: {}", line.trim().chars().take(200).collect::<String>()))
        .collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let document = gateway.ask(Call::get("/openapi.json")).await.json();
    assert_eq!(document["info"]["title"], "Codexible admin API");
    assert_eq!(document["info"]["license"], json!({"name": "Apache-2.0", "identifier": "Apache-2.0"}));
}
