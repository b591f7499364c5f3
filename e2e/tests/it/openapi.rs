//! The OpenAPI document and its page, as control serves them.

use e2e::document::schema;
use e2e::python::python;
use e2e::{Call, Document, Gateway, Setup};
use serde_json::Value;

#[tokio::test]
async fn the_document_is_openapi_and_the_repositorys() {
    let gateway = Gateway::start(Setup::new()).await;
    let answer = gateway.ask(Call::get("/openapi.json")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(
        answer.json() == *Document::committed().value(),
        "docs/openapi.json is stale: UPDATE_OPENAPI=1 cargo test --workspace --lib openapi"
    );
    let file = gateway.folder().write("openapi.json", &answer.text());
    let checked = python("openapi", "-m").arg("openapi_spec_validator").arg(&file).output().await.unwrap();
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn every_example_matches_its_schema() {
    let document = Document::committed();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for operation in document.operations() {
        let mut check = |what: &str, described: &Value, example: &Value| {
            checked += 1;
            if let Err(differs) = schema::check(document.value(), described, example) {
                wrong.push(format!("{}, {what}: {differs}", operation.summary()));
            }
        };
        for (status, answer) in operation.answers() {
            for content in answer["content"].as_object().into_iter().flatten().map(|(_, content)| content) {
                let named = content["examples"].as_object().into_iter().flatten().map(|(_, example)| example);
                let values = named.map(|example| &schema::resolved(document.value(), example)["value"]);
                for example in content.get("example").into_iter().chain(values) {
                    check(status, &content["schema"], example);
                }
            }
        }
        if let Some(body) = operation.body() {
            let either = body["oneOf"].as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
            for body in either {
                if let Some(example) = schema::resolved(document.value(), body).get("example") {
                    check("its body", body, example);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(checked > 10);
}

#[tokio::test]
async fn the_page_is_served_completely_and_may_connect_only_to_this_server() {
    let gateway = Gateway::start(Setup::new().section("brand", "{name: \"Ada & <Co>\"}")).await;
    let answer = gateway.ask(Call::get("/docs/api")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'sha256-",
        "style-src 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = answer.text();
    assert!(page.contains("Ada &amp; &lt;Co&gt;"));
    for outside in ["http:", "https:", "src=", "localStorage", "sessionStorage", "document.cookie", "indexedDB"] {
        assert!(!page.contains(outside), "{outside}");
    }
}
