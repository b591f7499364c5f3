use crate::client::{call, get};
use crate::world::World;

#[tokio::test]
async fn the_root_is_a_page_under_a_strict_policy() {
    let world = World::start().await;
    world.configure(|snapshot| "Codexible <&>".clone_into(&mut snapshot.process.brand.name));
    let page = get(world.address, "/", &[]).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"), "{page:?}");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script-src"), "{policy}");
    assert_eq!(
        (page.headers["x-frame-options"].as_str(), page.headers["referrer-policy"].as_str()),
        ("DENY", "no-referrer")
    );
    assert!(page.body.contains("<h1>Codexible &lt;&amp;&gt;</h1>") && !page.body.contains("<script"), "{page:?}");
    for link in ["/docs", "/docs/api", "/openapi.json", "/health"] {
        assert!(page.body.contains(&format!("href=\"{link}\"")), "{link}");
        assert_eq!(get(world.address, link, &[]).await.status, 200, "{link}");
    }
    let head = call(world.address, "HEAD /", &[], "").await;
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    call(world.address, "POST /", &[], "{}").await.refuses(405, "method_not_allowed");
}

#[tokio::test]
async fn a_path_of_the_proxy_is_refused_with_its_address() {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.process.public_url.proxy = Some("https://llm.example.com".to_owned()));
    let message = get(world.address, "/v1/models", &[]).await.refuses(404, "not_found");
    assert_eq!(message, "nothing is found at this path: requests to routes and models go to https://llm.example.com");
    let message = get(world.address, "/nowhere", &[]).await.refuses(404, "not_found");
    assert_eq!(message, "nothing is found at this path");
}
