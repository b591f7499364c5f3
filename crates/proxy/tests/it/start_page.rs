//! The page for a person who opens the address of the API in a browser.

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::gateway::{Caller, Gateway};

/// What browsers send when a person opens an address.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const ROUTE: &str = "listen: '127.0.0.1:0'\nroutes: [{path: /here, respond: {body: here}}]\n";

async fn get(caller: &Caller, method: Method, target: &str, accept: &str) -> Response<Incoming> {
    let request = Request::builder().method(method).uri(target).header("accept", accept);
    caller.send_request(request, Full::default()).await
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned()
}

#[tokio::test]
async fn a_browser_is_told_where_the_dashboard_is() {
    for (listen, url) in [
        ("control: {listen: '127.0.0.1:8787'}\n", "http://127.0.0.1:8787"),
        ("public_url: {control: 'https://dash.example.com'}\n", "https://dash.example.com"),
    ] {
        for (ai, status) in [("", 200), ("ai: {enabled: false}\n", 404)] {
            let gateway = Gateway::plain(&format!("{listen}{ai}{ROUTE}"));
            let response = get(&gateway.caller(), Method::GET, "/", BROWSER).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-type"]),
                (status, &"text/html; charset=utf-8".parse().unwrap())
            );
            assert!(response.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
            let page = text(response).await;
            assert!(page.contains(&format!("<a href=\"{url}\">")) && page.contains(&format!("{url}/docs")), "{page}");
        }
    }
}

#[tokio::test]
async fn a_path_of_control_is_refused_with_the_address_of_control() {
    let listen = "control: {listen: '127.0.0.1:8787'}\n";
    for ai in ["", "ai: {enabled: false}\n"] {
        let gateway = Gateway::plain(&format!("{listen}{ai}{ROUTE}"));
        for target in ["/api/keys", "/dashboard", "/metrics"] {
            let response = get(&gateway.caller(), Method::GET, target, BROWSER).await;
            assert_eq!(response.status().as_u16(), 404, "{target}");
            let body = text(response).await;
            let sentence = "no route has this path: the admin API and the dashboard are at http://127.0.0.1:8787";
            assert!(body.contains(sentence) && body.contains("route_not_found"), "{target}: {body}");
        }
        let other = text(get(&gateway.caller(), Method::GET, "/apis", BROWSER).await).await;
        assert!(!other.contains("8787"), "{other}");
    }
    let routed = Gateway::plain(&format!("{listen}routes: [{{path: /metrics, respond: {{body: mine}}}}]\n"));
    assert_eq!(text(get(&routed.caller(), Method::GET, "/metrics", BROWSER).await).await, "mine");
}

#[tokio::test]
async fn programs_and_other_paths_get_what_they_got() {
    let with_llm = Gateway::plain(&format!("control: {{listen: '127.0.0.1:8787'}}\n{ROUTE}"));
    let without = Gateway::plain(&format!("ai: {{enabled: false}}\ncontrol: {{listen: '127.0.0.1:8787'}}\n{ROUTE}"));
    for (gateway, method, target, accept, status) in [
        (&with_llm, Method::GET, "/", "*/*", 200),
        (&with_llm, Method::GET, "/", "application/json", 200),
        (&with_llm, Method::GET, "/else", BROWSER, 404),
        (&without, Method::GET, "/", "*/*", 404),
        (&without, Method::POST, "/", BROWSER, 404),
        (&without, Method::GET, "/else", BROWSER, 404),
    ] {
        let response = get(&gateway.caller(), method, target, accept).await;
        assert_eq!(response.status().as_u16(), status, "{target} {accept}");
        assert_eq!(response.headers()["content-type"], "application/json", "{target} {accept}");
    }
    let routed =
        Gateway::plain("listen: '127.0.0.1:0'\nai: {enabled: false}\nroutes: [{path: /, respond: {body: mine}}]\n");
    assert_eq!(text(get(&routed.caller(), Method::GET, "/", BROWSER).await).await, "mine");
}

#[tokio::test]
async fn only_this_machine_is_told_of_a_listener() {
    let yaml = "listen: '127.0.0.1:0'\nai: {enabled: false}\ncontrol: {listen: '127.0.0.1:8787'}\ntrusted_proxies: ['127.0.0.1/32']\n";
    let gateway = Gateway::plain(yaml);
    let caller = gateway.caller();
    for (client, content_type) in [("127.0.0.1", "text/html; charset=utf-8"), ("203.0.113.7", "application/json")] {
        let request = Request::builder().uri("/").header("accept", BROWSER).header("x-forwarded-for", client);
        let response = caller.send_request(request, Full::default()).await;
        assert_eq!(response.headers()["content-type"], content_type, "{client}");
    }
}
