//! The pages of the dashboard, from a small set of files.

use dashboard::{File, Files};

use crate::client::{call, get, raw};
use crate::world::World;

const PAGE: File = File {
    path: "",
    media_type: "text/html; charset=utf-8",
    hash: "0a",
    scripts: &["sha256-AAAA", "sha256-BBBB"],
    plain: b"<p>plain",
    br: Some(b"compressed by Brotli"),
    gzip: Some(b"compressed by gzip"),
};
const SCRIPT: File = File { media_type: "text/javascript; charset=utf-8", scripts: &[], ..PAGE };

/// A built folder with one page of each kind, sorted by path.
static BUILT: [File; 9] = [
    File { path: "404.html", plain: b"<p>unknown", ..PAGE },
    File { path: "_next/static/chunks/a1b2.js", ..SCRIPT },
    File { path: "dashboard/icon.svg", media_type: "image/svg+xml", br: None, gzip: None, ..SCRIPT },
    File { path: "dashboard/keys.html", ..PAGE },
    File { path: "dashboard/keys.txt", media_type: "text/plain; charset=utf-8", ..SCRIPT },
    File { path: "docs.html", plain: b"<p>docs", ..PAGE },
    File { path: "index.html", plain: b"<p>landing", ..PAGE },
    File { path: "index.txt", ..SCRIPT },
    File { path: "link.html", plain: b"<p>link", ..PAGE },
];

#[tokio::test]
async fn pages_have_a_policy_of_their_own_scripts_and_are_revalidated() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    for (path, body) in
        [("/", "<p>landing"), ("/docs", "<p>docs"), ("/link", "<p>link"), ("/dashboard/keys", "<p>plain")]
    {
        let page = get(world.address, path, &[]).await;
        assert_eq!((page.status, page.body.as_str()), (200, body), "{path}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
        assert_eq!(page.headers["cache-control"], "no-cache", "{path}");
        let policy = &page.headers["content-security-policy"];
        assert!(policy.contains("script-src 'self' 'sha256-AAAA' 'sha256-BBBB';"), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in
            [("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")]
        {
            assert_eq!(page.headers[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn pages_may_call_the_proxy_if_it_allows_them_and_nothing_else() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    let check = async |expected: &str| {
        for path in ["/", "/dashboard/keys", "/dashboard/none"] {
            let policy = get(world.address, path, &[]).await.headers["content-security-policy"].clone();
            let rule = policy.split("; ").find(|rule| rule.starts_with("connect-src"));
            assert_eq!(rule, Some(expected), "{path}");
        }
    };
    world.configure(|snapshot| snapshot.process.public_url.proxy = Some("https://llm.example.com:8443/v".to_owned()));
    check("connect-src 'self' https://llm.example.com:8443").await;
    let origin = async |host: &str| {
        let request = format!("GET /api/site HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(world.address, request.as_bytes()).await.json()["llm"]["page_origin"].as_str().unwrap().to_owned()
    };
    world.configure(|snapshot| snapshot.process.control.listen = "127.0.0.1:8787".parse().unwrap());
    assert_eq!(origin("localhost:8787").await, "http://localhost:8787");
    for host in ["127.0.0.1:8787", "localhost:1", "other.example:8787"] {
        assert_eq!(origin(host).await, "http://127.0.0.1:8787", "{host}");
    }
    world.configure(|snapshot| snapshot.process.public_url.control = Some("https://c.example.com".to_owned()));
    assert_eq!(origin("localhost:8787").await, "https://c.example.com");
    world.configure(|snapshot| snapshot.process.public_url.proxy = None);
    check("connect-src 'self' http://127.0.0.1:8080").await;
    world.configure(|snapshot| snapshot.traffic.ai = None);
    check("connect-src 'self'").await;
}

#[tokio::test]
async fn the_site_tells_the_brands_colour() {
    let world = World::start().await;
    assert!(get(world.address, "/api/site", &[]).await.json()["color"].is_null());
    world.configure(|snapshot| snapshot.process.brand.color = Some("#c2410c".to_owned()));
    assert_eq!(get(world.address, "/api/site", &[]).await.json()["color"], "#c2410c");
}

#[tokio::test]
async fn hashed_files_are_immutable_and_every_file_has_a_tag_per_form() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    let path = "/dashboard/_next/static/chunks/a1b2.js";
    for (accepted, coding, body, tag) in [
        ("gzip, br", Some("br"), "compressed by Brotli", "\"0a-br\""),
        ("gzip", Some("gzip"), "compressed by gzip", "\"0a-gzip\""),
        ("br;q=0", None, "<p>plain", "\"0a-identity\""),
    ] {
        let accept = format!("Accept-Encoding: {accepted}");
        let file = get(world.address, path, &[&accept]).await;
        assert_eq!((file.status, file.body.as_str(), file.headers["etag"].as_str()), (200, body, tag), "{accepted}");
        assert_eq!(file.headers.get("content-encoding").map(String::as_str), coding, "{accepted}");
        assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable");
        assert!(!file.headers.contains_key("content-security-policy"));

        let known = format!("If-None-Match: {tag}");
        let same = get(world.address, path, &[&accept, &known]).await;
        assert_eq!((same.status, same.body.as_str(), same.headers["etag"].as_str()), (304, "", tag), "{accepted}");
        assert_eq!(same.headers["cache-control"], "public, max-age=31536000, immutable");
        let other = get(world.address, path, &[&accept, "If-None-Match: \"0b-br\""]).await;
        assert_eq!((other.status, other.body.as_str()), (200, body), "{accepted}");
    }
    let head = call(world.address, &format!("HEAD {path}"), &["Accept-Encoding: br"], "").await;
    assert_eq!((head.status, head.body.as_str(), head.headers["etag"].as_str()), (200, "", "\"0a-br\""));
    assert_eq!(head.headers["content-length"], "20");
}

#[tokio::test]
async fn other_files_of_a_page_are_served_below_the_dashboard_only() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    for (path, media_type) in
        [("/dashboard/icon.svg", "image/svg+xml"), ("/dashboard/keys.txt", "text/plain; charset=utf-8")]
    {
        let file = get(world.address, path, &["Accept-Encoding: br"]).await;
        assert_eq!((file.status, file.headers["content-type"].as_str()), (200, media_type), "{path}");
        assert_eq!(file.headers["cache-control"], "no-cache", "{path}");
    }
    for path in ["/index.txt", "/index.html", "/404.html", "/_next/static/chunks/a1b2.js"] {
        get(world.address, path, &[]).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn unknown_pages_get_a_page_and_unknown_files_an_error() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    for path in ["/dashboard/none", "/dashboard/keys/none", "/dashboard/_none"] {
        let page = get(world.address, path, &["If-None-Match: *"]).await;
        assert_eq!((page.status, page.body.as_str()), (404, "<p>unknown"), "{path}");
        assert!(page.headers.contains_key("content-security-policy"), "{path}");
    }
    get(world.address, "/dashboard/_next/static/chunks/none.js", &[]).await.refuses(404, "not_found");
    call(world.address, "POST /dashboard/keys", &[], "").await.refuses(405, "method_not_allowed");
    for path in ["/dashboard", "/dashboard/"] {
        let moved = get(world.address, path, &[]).await;
        assert_eq!((moved.status, moved.headers["location"].as_str()), (308, "/dashboard/overview"), "{path}");
    }
}

#[tokio::test]
async fn browsers_get_a_page_at_unknown_paths_and_other_clients_an_error() {
    const BROWSER: &str = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    for (files, text) in [(Files::new(&BUILT), "<p>unknown"), (Files::new(&[]), "This page does not exist")] {
        let world = World::start_with_dashboard(files).await;
        for path in ["/nope", "/nope/", "/nope/none"] {
            let page = get(world.address, path, &[BROWSER]).await;
            assert!(page.status == 404 && page.body.contains(text), "{path}: {page:?}");
            assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
            assert!(page.headers.contains_key("content-security-policy"), "{path}");
            get(world.address, path, &["Accept: */*"]).await.refuses(404, "not_found");
        }
        get(world.address, "/api/nope", &[BROWSER]).await.refuses(404, "not_found");
        call(world.address, "POST /nope", &[BROWSER], "").await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_page_leads_to_the_page() {
    let world = World::start_with_dashboard(Files::new(&BUILT)).await;
    for (path, target) in
        [("/dashboard/keys/", "/dashboard/keys"), ("/dashboard/keys/?id=1&x=%0A", "/dashboard/keys?id=1&x=%0A")]
    {
        let moved = get(world.address, path, &[]).await;
        assert_eq!((moved.status, moved.headers["location"].as_str()), (308, target), "{path}");
    }
}

#[tokio::test]
async fn a_build_without_the_dashboard_says_how_to_build_it() {
    let world = World::start().await;
    world.configure(|snapshot| "Codexible".clone_into(&mut snapshot.process.brand.name));
    let page = get(world.address, "/dashboard/overview", &[]).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (404, "text/html; charset=utf-8"), "{page:?}");
    assert!(page.body.contains("make dashboard") && page.body.contains("<h1>Codexible</h1>"), "{page:?}");
    assert!(get(world.address, "/docs", &[]).await.body.contains("/openapi.json"));
}

#[tokio::test]
async fn a_site_is_described_to_everybody() {
    let world = World::start().await;
    world.configure(|snapshot| {
        snapshot.process.public_url.control = Some("https://control.example.com".to_owned());
        snapshot.process.public_url.proxy = Some("https://llm.example.com/x".to_owned());
    });
    let site = get(world.address, "/api/site", &[]).await.json();
    assert_eq!((site["name"].as_str(), site["signup"].as_str()), (Some("Tollgate"), Some("closed")));
    assert_eq!((site["version"].as_str(), site["key_prefix"].as_str()), (Some("9.8.7"), Some("tollgate")));
    assert_eq!(site["control_url"], "https://control.example.com");
    assert_eq!(site["llm"]["base_url"], "https://llm.example.com/x");
    world.configure(|snapshot| snapshot.traffic.ai = None);
    assert!(get(world.address, "/api/site", &[]).await.json()["llm"].is_null());
}
