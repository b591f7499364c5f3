use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pulldown_cmark::{Event, Parser};

use super::*;

/// Documents that are not pages: the index, which `/docs` replaces, and the coverage of the tests.
const WITHOUT_PAGE: [&str; 2] = ["README.md", "coverage.md"];

fn folder(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A page outside the table.
fn page(text: &'static str) -> ManualPage {
    ManualPage { group: ManualGroup::Guides, path: "guides/x.md", text, html: OnceLock::new() }
}

/// The values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let before = format!(" {attribute}=\"");
    html.split(before.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_document_for_users_is_a_page() {
    let mut documents = BTreeSet::new();
    for below in ["", "guides/"] {
        for entry in std::fs::read_dir(folder("docs").join(below)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                documents.insert(format!("{below}{name}"));
            }
        }
    }
    for path in WITHOUT_PAGE {
        assert!(documents.remove(path), "{path}");
    }
    let pages: BTreeSet<String> = PAGES.iter().map(|page| page.path.to_owned()).collect();
    assert_eq!(pages, documents);
    assert_eq!(pages.len(), PAGES.len(), "a document is in the table twice");
}

#[test]
fn the_index_has_the_order_of_the_readme() {
    let readme = std::fs::read_to_string(folder("docs/README.md")).unwrap();
    let indexed: Vec<&str> =
        ManualGroup::INDEX.into_iter().flat_map(ManualGroup::pages).map(|page| page.path).collect();
    let mut linked: Vec<&str> = Vec::new();
    for path in readme.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
        if indexed.contains(&path) && !linked.contains(&path) {
            linked.push(path);
        }
    }
    assert_eq!(indexed, linked);
    assert_eq!(indexed.len(), PAGES.len(), "a page is in no group of the index");
}

#[test]
fn every_error_code_has_its_heading_and_its_address_leads_there() {
    let page = ManualPage::find("errors").unwrap();
    let ids = values(page.html(), "id");
    let links = values(page.html(), "href");
    for refusal in Refusal::ALL {
        let code = refusal.code();
        let address = format!("/docs/errors#{code}");
        assert!(ids.contains(&code) && links.contains(&address.as_str()), "{code}");
        assert_eq!(ManualPage::error_section(&format!("errors/{code}")), Some(address));
    }
    for slug in
        ["errors/none", "errors/", "errors", "errors/key_expired/", "errors/codes", "key_expired", "errors/KEY_EXPIRED"]
    {
        assert_eq!(ManualPage::error_section(slug), None, "{slug}");
    }
}

#[test]
fn the_dashboard_lists_the_same_pages() {
    let source = std::fs::read_to_string(folder("dashboard/features/landing/manual.ts")).unwrap();
    let mut expected = String::new();
    for group in ManualGroup::INDEX {
        expected.push_str(&format!("  [\"{}\", [\n", group.title()));
        for page in group.pages() {
            expected.push_str(&format!("    [\"{}\", \"{}\"],\n", page.slug(), page.title()));
        }
        expected.push_str("  ]],\n");
    }
    let (_, list) = source.split_once(" = [\n").unwrap();
    let expected = format!("{expected}];\n");
    assert!(list == expected, "dashboard/features/landing/manual.ts must end with:\n{expected}");
}

#[test]
fn every_link_leads_to_a_page_and_to_a_heading_of_it() {
    let anchors: BTreeMap<String, BTreeSet<&str>> =
        PAGES.iter().map(|page| (page.address(), values(page.html(), "id").into_iter().collect())).collect();
    let mut dead = Vec::new();
    let mut followed = 0;
    for page in &PAGES {
        for link in values(page.html(), "href") {
            if link.starts_with("https://") || link == "/openapi.json" || link == "/docs" {
                continue;
            }
            followed += 1;
            let (address, fragment) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let exists = anchors.get(address).is_some_and(|ids| fragment.is_none_or(|anchor| ids.contains(anchor)));
            if !exists {
                dead.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(followed > 300, "{followed}");
}

#[test]
fn every_page_has_one_title_and_no_text_is_lost_with_html() {
    let mut addresses = BTreeSet::from(["/docs/api".to_owned()]);
    for page in &PAGES {
        assert!(addresses.insert(page.address()), "{}", page.address());
        assert!(page.text.starts_with("# ") && !page.title().is_empty(), "{}", page.path);
        assert_eq!(page.html().matches("<h1 ").count(), 1, "{}", page.path);
        for part in [" style=", "<img", "<script", "<!--"] {
            assert!(!page.html().contains(part), "{}: {part}", page.path);
        }
        assert!(!page.text.contains("{{brand}}"), "{}", page.path);
        // Only comments are removed. A comment may have several lines.
        let mut html = String::new();
        for event in Parser::new_ext(page.text, pulldown_cmark::Options::ENABLE_TABLES) {
            if let Event::Html(part) | Event::InlineHtml(part) = event {
                html.push_str(&part);
            }
        }
        let remaining = html.split("<!--").map(|part| part.split_once("-->").map_or(part, |(_, after)| after));
        assert_eq!(remaining.collect::<String>().trim(), "", "{}", page.path);
    }
}

#[test]
fn the_list_names_every_page_once_and_marks_the_current_one() {
    let current = ManualPage::find("guides/routing").unwrap();
    let list = frame::list(Some(current));
    let expected: Vec<String> = PAGES.iter().map(ManualPage::address).collect();
    let links = values(&list, "href");
    assert_eq!(links[..2], ["/docs/api", "/openapi.json"]);
    assert_eq!(links[2..], expected);
    assert_eq!(list.matches("<a href=\"/docs/guides/routing\" aria-current=\"page\">").count(), 1);
    assert_eq!(list.matches("aria-current").count(), 1);
    assert_eq!(frame::list(None).matches("aria-current").count(), 0);
}

#[test]
fn each_page_leads_to_the_next_one_and_back() {
    assert_eq!(values(&frame::turn(None), "href"), [PAGES[0].address()]);
    for pair in PAGES.windows(2) {
        let next = format!("<a rel=\"next\" href=\"{}\">", pair[1].address());
        assert!(frame::turn(Some(&pair[0])).contains(&next), "{next}");
        let previous = format!("<a rel=\"prev\" href=\"{}\">", pair[0].address());
        assert!(frame::turn(Some(&pair[1])).contains(&previous), "{previous}");
    }
    for (page, relation) in [(PAGES.first(), "next"), (PAGES.last(), "prev")] {
        assert_eq!(values(&frame::turn(page), "rel"), [relation]);
    }
}

#[test]
fn the_search_finds_every_title_and_every_heading() {
    let text = search::index("B");
    assert!((10_000..100_000).contains(&text.len()), "{}", text.len());
    let index: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pages = index["pages"].as_array().unwrap();
    assert_eq!(pages[0], serde_json::json!({"title": "API reference", "address": "/docs/api", "headings": []}));
    assert_eq!(pages.len(), PAGES.len() + frame::REFERENCES.len());
    for (page, entry) in PAGES.iter().zip(&pages[frame::REFERENCES.len()..]) {
        assert_eq!((&entry["title"], &entry["address"]), (&page.title().into(), &page.address().into()));
        let headings = entry["headings"].as_array().unwrap();
        let anchors: Vec<&str> = headings.iter().map(|heading| heading["anchor"].as_str().unwrap()).collect();
        // The first one is the title.
        assert_eq!(anchors, values(page.html(), "id")[1..], "{}", page.path);
        for heading in headings {
            assert!(!heading["text"].as_str().unwrap().is_empty(), "{}: {heading}", page.path);
        }
        // The frame has its own ids.
        assert!(anchors.iter().all(|anchor| !anchor.starts_with("frame-")), "{}", page.path);
    }
}

#[test]
fn a_brand_in_the_index_is_text() {
    let brand = "a\"b\\c\n{{brand}}";
    let index: serde_json::Value = serde_json::from_str(&search::index(brand)).unwrap();
    assert_eq!(index["pages"][0]["title"], "API reference");
}

#[test]
fn markdown_is_rendered_as_on_github() {
    for (text, html) in [
        ("# The page's `keys[]`", "<h1 id=\"the-pages-keys\">The page's <code>keys[]</code></h1>\n"),
        ("## A\n## A", "<h2 id=\"a\">A</h2>\n<h2 id=\"a-1\">A</h2>\n"),
        ("a <b>c</b> <!-- d --> &amp; `<e>`", "<p>a c  &amp; <code>&lt;e&gt;</code></p>\n"),
        ("<script>\nalert(1)\n</script>", ""),
        ("![A picture](../demo.svg)", "<p>A picture</p>\n"),
        ("```mermaid\nA --> B\n```", "<pre><code class=\"language-mermaid\">A --&gt; B\n</code></pre>\n"),
        (
            "| a | b |\n|---|--:|\n| 1 | 2 |",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>\n",
        ),
    ] {
        assert_eq!(page(text).html(), html, "{text}");
    }
}

#[test]
fn links_lead_to_pages_or_are_text() {
    for (target, address) in [
        ("../routing.md", Some("/docs/routing")),
        ("../routing.md#grpc", Some("/docs/routing#grpc")),
        ("routing.md", Some("/docs/guides/routing")),
        ("./routing.md", Some("/docs/guides/routing")),
        ("../api.md#usage", Some("/docs/admin-api#usage")),
        ("../errors.md", Some("/docs/errors")),
        ("../errors.md#key_expired", Some("/docs/errors#key_expired")),
        ("../README.md", Some("/docs")),
        ("../openapi.json", Some("/openapi.json")),
        ("https://example.com/x", Some("https://example.com/x")),
        ("../decisions/0031-profile.md", None),
        ("../../examples/cors/README.md", None),
        ("../../../routing.md", None),
        ("../../e2e/guarantees.md", None),
        ("none.md", None),
        ("javascript:alert(1)", None),
        ("//example.com/x", None),
        ("mailto:a@example.com", None),
    ] {
        let page = page(String::leak(format!("a [`b` c]({target}) d")));
        let inside = "<code>b</code> c";
        let link = address.map_or(inside.to_owned(), |address| format!("<a href=\"{address}\">{inside}</a>"));
        assert_eq!(page.html(), format!("<p>a {link} d</p>\n"), "{target}");
    }
}

#[test]
fn prose_names_the_brand_and_code_names_the_product() {
    let text = "Tollgate's `Tollgate` runs Tollgate. TollgateDown\n\n```text\nTollgate\n```";
    let html = "<p>{{brand}}'s <code>Tollgate</code> runs {{brand}}. TollgateDown</p>\n<pre><code class=\"language-text\">Tollgate\n</code></pre>\n";
    assert_eq!(page(text).html(), html);
}
