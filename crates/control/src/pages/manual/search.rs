//! The index of the search: the titles and headings of all pages as JSON. It is built once, from the documents in the
//! binary.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::frame::REFERENCES;
use super::render;
use super::table::PAGES;
use crate::pages::BRAND;

/// The index, with [`BRAND`] for the name of the product.
static INDEX: OnceLock<String> = OnceLock::new();

/// Returns the index in JSON. The first call builds it.
pub(in crate::pages) fn index(brand: &str) -> String {
    let quoted = Value::from(brand).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    INDEX.get_or_init(text).replace(BRAND, inside)
}

fn text() -> String {
    let references = REFERENCES.iter().map(|(address, title)| entry(title, address, &[]));
    let documents = PAGES.iter().map(|page| {
        let headings = render::headings(page).into_iter();
        let headings = headings.map(|heading| json!({"text": heading.text, "anchor": heading.anchor}));
        entry(&page.title(), &page.address(), &headings.collect::<Vec<Value>>())
    });
    json!({"pages": references.chain(documents).collect::<Vec<Value>>()}).to_string()
}

fn entry(title: &str, address: &str, headings: &[Value]) -> Value {
    json!({"title": title, "address": address, "headings": headings})
}
