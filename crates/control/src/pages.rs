//! Tollgate's HTML pages. Each has its own style and script, and loads nothing else.

mod escape;
pub(crate) mod install;
mod manual;
pub(crate) mod scripts;
pub(crate) mod static_file;

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64ct::{Base64, Encoding};
use config::Snapshot;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use self::escape::escaped;
use self::manual::{ManualPage, frame, search};

/// A page without scripts whose heading is the name of the brand.
macro_rules! plain {
    ($rest:literal) => {
        concat!(include_str!("pages/plain-head.html"), include_str!("pages/plain-brand.html"), include_str!($rest))
    };
}

/// The pattern of all paths of documents.
pub(crate) const MANUAL_PATH: &str = "/docs/{*path}";
/// The path of the titles and headings of all documents.
pub(crate) const SEARCH_PATH: &str = "/docs/search.json";
const LINK: &str = include_str!("pages/link.html");
const DOCS: &str = include_str!("pages/docs.html");
const HOME: &str = plain!("pages/home.html");
/// The page at the dashboard's paths of a build without the dashboard.
const UNBUILT: &str = plain!("pages/unbuilt.html");
/// The page at unknown paths of a build without the dashboard.
const NOT_FOUND: &str = plain!("pages/not-found.html");
/// The frame of a document.
const MANUAL: &str = concat!(include_str!("pages/plain-head.html"), include_str!("pages/manual.html"));
/// The part of [`HOME`] about LLM requests.
const HOME_LLM: &str = include_str!("pages/home-llm.html");
/// The placeholder of the brand's name in a page.
const BRAND: &str = "{{brand}}";
/// The placeholder in [`MANUAL`] for the title of the document.
const TITLE: &str = "{{title}}";
/// The placeholder in [`MANUAL`] for the document.
const BODY: &str = "{{body}}";
/// The placeholder in [`MANUAL`] for the list of all pages.
const LIST: &str = "{{list}}";
/// The placeholder in [`MANUAL`] for the links to the previous and the next page.
const TURN: &str = "{{turn}}";
/// The placeholder in [`HOME`] for the part about LLM requests.
const LLM: &str = "{{llm}}";
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// The policy (CSP 3) of the link page: it may run its own script and send requests to this server.
static LINK_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(LINK));
static DOCS_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(DOCS));
static MANUAL_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(MANUAL));
/// The policy of a page without scripts, which sends no requests.
static HOME_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(HOME));
static NOT_FOUND_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(NOT_FOUND));
static UNBUILT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(UNBUILT));

/// The page behind a one-time link. The link's token is in the fragment, which browsers do not send to the server.
pub(crate) fn link(brand: &str) -> Response {
    page(LINK, &LINK_POLICY, brand)
}

/// The page of the API reference, which the browser builds from `/openapi.json`.
pub(crate) fn docs(brand: &str) -> Response {
    page(DOCS, &DOCS_POLICY, brand)
}

/// The documentation of a build without the dashboard: the API reference, and all documents by group.
pub(crate) fn documentation(brand: &str) -> Response {
    framed("Documentation", &format!("<h1>Documentation</h1>\n{}", frame::list(None)), None, brand)
}

/// The document at `/docs/SLUG`, if it exists.
pub(crate) fn document(slug: &str, brand: &str) -> Option<Response> {
    ManualPage::find(slug).map(|page| framed(&page.title(), page.html(), Some(page), brand))
}

/// The address of the section of an error code, if `/docs/SLUG` is the address of a code.
pub(crate) fn error_section(slug: &str) -> Option<String> {
    ManualPage::error_section(slug)
}

/// The titles and headings of all documents as JSON, for the search.
pub(crate) fn search_index(brand: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, max-age=300")];
    (headers, search::index(brand)).into_response()
}

/// Inserts a text into the frame of a document. The brand is inserted last, because the text names it too. `current` is
/// the document, if it is one.
fn framed(title: &str, body: &str, current: Option<&ManualPage>, brand: &str) -> Response {
    let frame = MANUAL.replace(LIST, &frame::list(current)).replace(TURN, &frame::turn(current));
    page(&frame.replace(TITLE, &escaped(title)).replace(BODY, body), &MANUAL_POLICY, brand)
}

/// The page of a build without the dashboard: how to build it.
pub(crate) fn unbuilt(brand: &str) -> Response {
    (StatusCode::NOT_FOUND, page(UNBUILT, &UNBUILT_POLICY, brand)).into_response()
}

/// The page at unknown paths of a build without the dashboard.
pub(crate) fn not_found(brand: &str) -> Response {
    (StatusCode::NOT_FOUND, page(NOT_FOUND, &NOT_FOUND_POLICY, brand)).into_response()
}

/// The page at `/` of a build without the dashboard: links to the other pages, and with LLM endpoints their base URLs
/// and a first request.
pub(crate) fn home(snapshot: &Snapshot) -> Response {
    // The brand is inserted last, so that placeholders in its name are not replaced.
    page(&HOME.replace(LLM, &llm(snapshot).unwrap_or_default()), &HOME_POLICY, &snapshot.process.brand.name)
}

/// Returns the part about LLM requests, or `None` without LLM endpoints.
fn llm(snapshot: &Snapshot) -> Option<String> {
    let call = snapshot.traffic.first_call()?;
    let proxy = install::proxy(&snapshot.process);
    let variable = snapshot.process.brand.key_variable();
    let prefix = snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
    let command = format!(
        "curl -N '{proxy}{}' \\\n  -H \"Authorization: Bearer ${variable}\" -H 'Content-Type: application/json' \\\n  -d '{}'",
        call.path, call.body
    );
    let replacements = [
        ("{{base}}", format!("{proxy}{prefix}")),
        ("{{variable}}", variable),
        ("{{control}}", snapshot.process.control_url(&snapshot.process.control.listen)),
        ("{{call}}", command),
    ];
    Some(replacements.iter().fold(HOME_LLM.to_owned(), |page, (mark, text)| page.replace(mark, &escaped(text))))
}

fn page(text: &str, policy: &HeaderValue, brand: &str) -> Response {
    let mut response = Html(text.replace(BRAND, &escaped(brand))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Builds a page's policy. With `form-action 'none'`, the page cannot send a password without its script. A page
/// without a script may run no script and send no requests.
pub(crate) fn policy(page: &str) -> HeaderValue {
    let style = hash(page, "style");
    let script = if page.contains("<script>") {
        format!("script-src {}; connect-src 'self'; ", hash(page, "script"))
    } else {
        String::new()
    };
    let font = if page.contains("@font-face") { "font-src 'self'; " } else { "" };
    let policy = format!(
        "default-src 'none'; {script}{font}style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Returns the CSP hash of the only element with this name.
fn hash(page: &str, element: &str) -> String {
    let text = page
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map_or("", |(text, _)| text);
    format!("'sha256-{}'", Base64::encode_string(&Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn a_page_has_one_script_and_one_style_and_loads_nothing_from_other_hosts() {
        for page in [LINK, DOCS, MANUAL] {
            for element in ["script", "style"] {
                assert_eq!(page.matches(&format!("<{element}")).count(), 1, "{element}");
                assert!(page.contains(&format!("<{element}>")), "{element}");
            }
            let lower = page.to_lowercase();
            for outside in
                ["http:", "https:", "src=", "@import", ":url(", "style=", "onclick", "onload", "innerhtml", "eval("]
            {
                assert!(!lower.contains(outside), "{outside}");
            }
            // The fonts of the dashboard, from this server.
            assert_eq!(lower.matches(" url(").count(), lower.matches(" url(/dashboard/fonts/").count());
            for storage in ["localstorage", "sessionstorage", "indexeddb", "document.cookie"] {
                assert!(!lower.contains(storage), "{storage}");
            }
            let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
            assert!(!script.contains(BRAND), "its hash would differ from brand to brand");
        }
        for policy in [&LINK_POLICY, &DOCS_POLICY, &MANUAL_POLICY] {
            // The SHA-256 hash of the empty text.
            assert!(!policy.to_str().unwrap().contains("47DEQpj8HBSa"));
        }
    }

    fn snapshot(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
        let environment = config::Environment::default();
        let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
        let mut snapshot = config::load(sources).unwrap().snapshot;
        change(&mut snapshot);
        let traffic = snapshot.traffic.with_mock(config::snapshot::Origin::parse("http://127.0.0.1:1").unwrap());
        Snapshot { traffic, ..snapshot }
    }

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn home_names_the_addresses_and_runs_no_script() {
        let response = home(&snapshot(|snapshot| {
            snapshot.process.brand.name = "A&B {{llm}}".to_owned();
            snapshot.process.brand.key_prefix = "ab".to_owned();
            snapshot.process.public_url.proxy = Some("https://llm.example.com/x".to_owned());
            snapshot.process.public_url.control = Some("https://control.example.com".to_owned());
            snapshot.traffic.ai.as_mut().unwrap().prefix = "/p'&".to_owned();
        }));
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(!policy.contains("connect-src") && !policy.contains("47DEQpj8HBSa"), "{policy}");
        let page = text(response).await;
        for part in [
            "<h1>A&amp;B {{llm}}</h1>",
            "<code>https://llm.example.com/x/p&#39;&amp;/v1</code>",
            "href=\"/docs/api\"",
            "href=\"/openapi.json\"",
            "href=\"/install.sh\"",
            "Authorization: Bearer $AB_KEY&quot;",
            "&quot;model&quot;:&quot;mock&quot;",
            "https://control.example.com/install.sh?agent=claude",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script") && !page.contains(" style=") && !page.to_lowercase().contains("tollgate"));
        assert_eq!(page.matches("{{").count(), 2, "only the brand's name in the title and the heading: {page}");
    }

    #[tokio::test]
    async fn home_has_no_llm_part_without_llm_endpoints() {
        let page = text(home(&snapshot(|snapshot| snapshot.traffic.ai = None))).await;
        assert!(page.contains("href=\"/docs/api\"") && !page.contains("install.sh") && !page.contains("{{"), "{page}");
    }

    #[test]
    fn every_input_has_a_label() {
        for page in [LINK, DOCS, MANUAL] {
            for id in page.split("<input id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(page.contains(&format!("for=\"{id}\"")), "{id}");
            }
        }
    }

    #[tokio::test]
    async fn a_brand_is_text() {
        let body = link("<b>\"A&B\"'").into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(body.to_vec()).unwrap();
        assert!(page.contains("<title>&lt;b&gt;&quot;A&amp;B&quot;&#39;</title>"));
        assert!(!page.contains(BRAND));
    }

    #[test]
    fn a_hash_is_that_of_the_specification() {
        // The example of CSP 3, 8.4: `alert('Hello, world.');`.
        let page = "<script>alert('Hello, world.');</script>";
        assert_eq!(hash(page, "script"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }
}
