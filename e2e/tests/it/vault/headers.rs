//! Credentials of the vault in headers of routes: `vault:LABEL`.

use e2e::Upstream;

use super::*;

/// Sends requests until the upstream receives this value, which was stored immediately before.
async fn soon_sends(gateway: &Gateway, upstream: &Upstream, value: &str) {
    let sends = async || {
        let answer = gateway.call(Call::get("/orders").header("authorization", "Bearer of-the-client")).await;
        (answer.status() == 200 && upstream.seen().last()?.head.all("authorization") == [value]).then_some(())
    };
    Canary::new().within(WITHIN, &format!("the upstream gets {value}"), sends).await;
}

#[tokio::test]
async fn a_header_of_a_route_has_the_credential_of_its_upstream() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let route = |path: &str, value: &str| {
        format!(
            "{{path: {path}, upstreams: backend, auth: none, transformations: {{request: {{add_headers: {{Authorization: '{value}'}}}}}}}}"
        )
    };
    let routes = [route("/orders", "Bearer vault:team"), route("/others", "vault:of openai")].join(", ");
    let openai = setup::provider("openai", "openai", upstream.address());
    let setup = Setup::routed(upstream.address(), &routes).section("providers", &format!("[{openai}]"));
    let gateway = Gateway::start(setup).await;
    let root = admin(&gateway).await;
    let shared = |provider: &str, label: &str, secret: &str| json!({"provider": provider, "label": label, "secret": secret, "shared": true});

    // Without its credential, no request reaches the upstream, and neither with that of a provider.
    put(&gateway, &root, &shared("openai", "of openai", "sk-of-the-provider")).await;
    for path in ["/orders", "/others"] {
        let refused = gateway.call(Call::get(path)).await.expect(503);
        assert_eq!(code(&refused), "unavailable", "{}", refused.text());
        assert!(!refused.text().contains("team") && !refused.text().contains("openai"), "{}", refused.text());
    }
    assert_eq!(upstream.seen().len(), 0);
    gateway.logs("the vault has no shared credential").await;

    let id = put(&gateway, &root, &shared("backend", "team", "s-first-of-team")).await;
    soon_sends(&gateway, &upstream, "Bearer s-first-of-team").await;
    let change = |body: Value| {
        let call = Call::new("PATCH", &format!("{KEYS}/{id}")).header("content-type", "application/json");
        call.body(body.to_string()).key(&root)
    };
    gateway.ask(change(json!({"secret": "s-second-of-team"}))).await.expect(200);
    soon_sends(&gateway, &upstream, "Bearer s-second-of-team").await;
    gateway.call(Call::get("/others")).await.expect(503);

    let config = gateway.ask(Call::get("/api/config").key(&root)).await.expect(200).text();
    let explained = json!({"method": "GET", "url": "http://localhost/orders"});
    let explained = gateway.ask(Call::json("/api/explain", &explained).key(&root)).await.text();
    assert!(config.contains("Bearer vault:team"), "{config}");
    for text in [config, explained, gateway.stderr(), gateway.metrics().await] {
        assert!(!text.contains("of-team") && !text.contains("sk-of-the-provider"), "{text}");
    }

    // Another label is another credential.
    gateway.ask(change(json!({"label": "renamed"}))).await.expect(200);
    let refused = async || (gateway.call(Call::get("/orders")).await.status() == 503).then_some(());
    Canary::new().within(WITHIN, "the credential is missing", refused).await;
}
