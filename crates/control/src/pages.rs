//! Pages of ours: each one file with its own style and script, and no other source.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64ct::{Base64, Encoding};
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

const LINK: &str = include_str!("pages/link.html");
const DOCS: &str = include_str!("pages/docs.html");
/// Where the brand's name stands in a page.
const BRAND: &str = "{{brand}}";
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// What a page may do (CSP 3): run its own script, and ask this server.
static LINK_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(LINK));
static DOCS_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(DOCS));

/// The page that a one-time link opens; the link's token stands in the fragment, which never reaches us.
pub(crate) fn link(brand: &str) -> Response {
    page(LINK, &LINK_POLICY, brand)
}

/// The API's page, made in the browser from `/openapi.json`.
pub(crate) fn docs(brand: &str) -> Response {
    page(DOCS, &DOCS_POLICY, brand)
}

fn page(text: &str, policy: &HeaderValue, brand: &str) -> Response {
    let mut response = Html(text.replace(BRAND, &escaped(brand))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// `form-action 'none'`: without its script the page sends a password nowhere.
fn policy(page: &str) -> HeaderValue {
    let (script, style) = (hash(page, "script"), hash(page, "style"));
    let policy = format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The only element of this name, as CSP names its text.
fn hash(page: &str, element: &str) -> String {
    let text = page
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map_or("", |(text, _)| text);
    format!("'sha256-{}'", Base64::encode_string(&Sha256::digest(text.as_bytes())))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c => text.push(c),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn a_page_has_one_script_and_one_style_and_asks_nobody_else() {
        for page in [LINK, DOCS] {
            for element in ["script", "style"] {
                assert_eq!(page.matches(&format!("<{element}")).count(), 1, "{element}");
                assert!(page.contains(&format!("<{element}>")), "{element}");
            }
            let lower = page.to_lowercase();
            for outside in [
                "http:",
                "https:",
                "src=",
                "@import",
                " url(",
                ":url(",
                "style=",
                "onclick",
                "onload",
                "innerhtml",
                "eval(",
            ] {
                assert!(!lower.contains(outside), "{outside}");
            }
            for kept in ["localstorage", "sessionstorage", "indexeddb", "document.cookie"] {
                assert!(!lower.contains(kept), "{kept}");
            }
            let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
            assert!(!script.contains(BRAND), "its hash would differ from brand to brand");
        }
        for policy in [&LINK_POLICY, &DOCS_POLICY] {
            // `sha256sum` of the empty text.
            assert!(!policy.to_str().unwrap().contains("47DEQpj8HBSa"));
        }
    }

    #[test]
    fn every_input_has_a_label() {
        for page in [LINK, DOCS] {
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
        // CSP 3, 8.4: the example of `alert('Hello, world.');`
        let page = "<script>alert('Hello, world.');</script>";
        assert_eq!(hash(page, "script"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }
}
