//! The parts around a document: the list of all pages, and the links to the previous and the next page.

use super::table::PAGES;
use super::{ManualGroup, ManualPage};
use crate::pages::escape::escaped;

/// The references of the API: their addresses and titles. They are no documents.
pub(super) const REFERENCES: [(&str, &str); 2] =
    [("/docs/api", "API reference"), ("/openapi.json", "OpenAPI document")];

/// Returns the list of all pages by group. `current` is marked.
pub(in crate::pages) fn list(current: Option<&ManualPage>) -> String {
    let references = REFERENCES.map(|(address, title)| item(address, title, false)).concat();
    ManualGroup::INDEX.into_iter().fold(format!("<ul>\n{references}</ul>\n"), |text, group| {
        let items = group.pages().map(|page| item(&page.address(), &page.title(), is_same(page, current)));
        text + &format!("<h2>{}</h2>\n<ul>\n{}</ul>\n", group.title(), items.collect::<String>())
    })
}

/// Returns the links to the pages before and after `current` in the order of the list. `None` is the page of the list,
/// which precedes the first document.
pub(in crate::pages) fn turn(current: Option<&ManualPage>) -> String {
    let position = PAGES.iter().position(|page| is_same(page, current));
    let previous = position.and_then(|position| PAGES.get(position.checked_sub(1)?));
    let next = match position {
        Some(position) => PAGES.get(position + 1),
        None => PAGES.first(),
    };
    let links = [("prev", "Previous", previous), ("next", "Next", next)].map(|(relation, word, page)| match page {
        Some(page) => link(relation, word, page),
        None => String::new(),
    });
    format!("<nav class=\"turn\" aria-label=\"Previous and next page\">\n{}</nav>\n", links.concat())
}

fn item(address: &str, title: &str, is_current: bool) -> String {
    let mark = if is_current { " aria-current=\"page\"" } else { "" };
    format!("<li><a href=\"{address}\"{mark}>{}</a></li>\n", escaped(title))
}

fn link(relation: &str, word: &str, page: &ManualPage) -> String {
    let address = page.address();
    format!("<a rel=\"{relation}\" href=\"{address}\"><span>{word}</span> {}</a>\n", escaped(&page.title()))
}

fn is_same(page: &ManualPage, current: Option<&ManualPage>) -> bool {
    current.is_some_and(|current| current.path == page.path)
}
