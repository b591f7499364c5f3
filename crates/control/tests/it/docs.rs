//! The documentation in the binary.

use std::collections::BTreeSet;

use crate::client::{call, get};
use crate::world::World;

const BROWSER: &str = "Accept: text/html,*/*;q=0.8";

#[tokio::test]
async fn a_document_is_a_page_under_a_strict_policy() {
    let world = World::start().await;
    world.configure(|snapshot| "Codexible <&>".clone_into(&mut snapshot.process.brand.name));
    let page = get(world.address, "/docs/routing", &[]).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"), "{page:?}");
    for part in [
        "<h1 id=\"routing\">Routing</h1>",
        "<h2 id=\"cross-origin-requests\">",
        "<title>Routing · Codexible &lt;&amp;&gt;</title>",
    ] {
        assert!(page.body.contains(part), "{part}: {page:?}");
    }
    assert!(!page.body.contains("{{") && !page.body.contains(" style="), "{page:?}");
    assert_eq!(page.body.matches("<script").count(), 1, "{page:?}");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains("; connect-src 'self'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let head = call(world.address, "HEAD /docs/routing", &[], "").await;
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    call(world.address, "POST /docs/routing", &[], "{}").await.refuses(405, "method_not_allowed");
}

#[tokio::test]
async fn the_documentation_links_to_every_document_and_to_the_api_reference() {
    let world = World::start().await;
    let below = get(world.address, "/docs/", &[]).await;
    assert_eq!((below.status, below.headers["location"].as_str()), (308, "/docs"));
    let index = get(world.address, "/docs", &[]).await;
    let hrefs = index.body.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: BTreeSet<&str> = hrefs.filter(|href| !href.starts_with('#')).collect();
    assert!(links.len() > 50 && links.contains("/docs/api") && links.contains("/docs/guides/routing"), "{links:?}");
    for link in links {
        let page = get(world.address, link, &[]).await;
        assert_eq!(page.status, 200, "{link}");
    }
    for heading in ["Start", "Guides and references", "Lists", "Operate"] {
        assert!(index.body.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    let reference = get(world.address, "/docs/api", &[]).await;
    assert!(reference.body.contains("<script>") && reference.body.contains("/openapi.json"), "{reference:?}");
    assert!(get(world.address, "/docs/admin-api", &[]).await.body.contains("<h1 id=\"admin-api\">Admin API</h1>"));
}

#[tokio::test]
async fn a_document_lists_all_pages_and_leads_to_the_next_one() {
    let world = World::start().await;
    let page = get(world.address, "/docs/routing", &[]).await;
    assert_eq!(page.body.matches(" aria-current=\"page\"").count(), 1, "{page:?}");
    for part in [
        "<details id=\"frame-pages\">\n<summary>All pages</summary>",
        "<li><a href=\"/docs/routing\" aria-current=\"page\">Routing</a></li>",
        "<li><a href=\"/docs/audit\">Auditing usage</a></li>",
        "<a rel=\"prev\" href=\"/docs/guides/routing\"><span>Previous</span> Guide: routing</a>",
        "<a rel=\"next\" href=\"/docs/explain\"><span>Next</span> Explain a request</a>",
    ] {
        assert!(page.body.contains(part), "{part}: {page:?}");
    }
}

#[tokio::test]
async fn the_search_has_the_titles_and_headings_under_the_brand() {
    let world = World::start().await;
    world.configure(|snapshot| "A \"b\" \\".clone_into(&mut snapshot.process.brand.name));
    let index = get(world.address, "/docs/search.json", &[]).await;
    assert_eq!((index.status, index.headers["content-type"].as_str()), (200, "application/json"));
    let index = index.json();
    let pages = index["pages"].as_array().unwrap();
    let errors = pages.iter().find(|page| page["address"] == "/docs/errors").unwrap();
    assert_eq!(errors["title"], "Error codes");
    let heading = serde_json::json!({"text": "key_expired", "anchor": "key_expired"});
    assert!(errors["headings"].as_array().unwrap().contains(&heading), "{errors}");
    call(world.address, "POST /docs/search.json", &[], "{}").await.refuses(405, "method_not_allowed");
}

#[tokio::test]
async fn the_address_of_an_error_code_leads_to_its_section() {
    let world = World::start().await;
    let moved = get(world.address, "/docs/errors/key_expired", &[]).await;
    assert_eq!((moved.status, moved.headers["location"].as_str()), (308, "/docs/errors#key_expired"));
    let page = get(world.address, "/docs/errors", &[]).await;
    assert!(page.body.contains("<h3 id=\"key_expired\"><code>key_expired</code></h3>"), "{page:?}");
}

#[tokio::test]
async fn an_unknown_document_is_an_unknown_path() {
    let world = World::start().await;
    for path in ["/docs/none", "/docs/guides", "/docs/routing.md", "/docs/routing/", "/docs/errors/none", "/docs/%FF"] {
        let page = get(world.address, path, &[BROWSER]).await;
        assert!(page.status == 404 && page.body.contains("This page does not exist"), "{path}: {page:?}");
        get(world.address, path, &["Accept: */*"]).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn the_openapi_document_is_compressed_and_revalidated() {
    let world = World::start().await;
    let plain = get(world.address, "/openapi.json", &[]).await;
    assert_eq!(plain.json()["servers"], serde_json::json!([{"url": "/"}]));
    let tag = plain.headers["etag"].clone();
    let known = get(world.address, "/openapi.json", &[&format!("If-None-Match: {tag}")]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let compressed = get(world.address, "/openapi.json", &["Accept-Encoding: gzip"]).await;
    assert_eq!(compressed.headers["content-encoding"], "gzip");
    let length: usize = compressed.headers["content-length"].parse().unwrap();
    assert!(length * 4 < plain.body.len(), "{length}");
    assert_ne!(compressed.headers["etag"], tag, "each form has its own tag");
}
