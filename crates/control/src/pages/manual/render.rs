//! Markdown to HTML: tables, and headings with the anchors of GitHub.
//!
//! A link to a file that is not a page becomes plain text, and an image its description. HTML in Markdown is removed, so
//! that a document cannot contain scripts or styles.

use std::collections::BTreeMap;

use pulldown_cmark::html::push_html;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

use super::ManualPage;
use super::table::PAGES;
use crate::pages::BRAND;

/// The name of the product. Prose has the name of the brand instead.
const NAME: &str = "Tollgate";

/// Returns the HTML of a document.
pub(super) fn html(page: &ManualPage) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(page.text, Options::ENABLE_TABLES).collect();
    let mut rewriter = Rewriter { page, anchors: Anchors::default(), is_linked: false, is_code: false };
    let rewritten = events.iter().enumerate().filter_map(|(index, event)| {
        let rest = events.get(index..).unwrap_or_default();
        rewriter.rewrite(event.clone(), rest)
    });
    let mut text = String::new();
    push_html(&mut text, rewritten);
    text
}

/// A heading of a document, with [`BRAND`] for the name of the product.
pub(super) struct DocumentHeading {
    pub(super) text: String,
    pub(super) anchor: String,
}

/// Returns the headings of a document below its title, in their order.
pub(super) fn headings(page: &ManualPage) -> Vec<DocumentHeading> {
    let events: Vec<Event<'_>> = Parser::new_ext(page.text, Options::ENABLE_TABLES).collect();
    let mut anchors = Anchors::default();
    let mut headings = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if matches!(event, Event::Start(Tag::Heading { .. })) {
            let text = heading(events.get(index..).unwrap_or_default());
            headings.push(DocumentHeading { anchor: anchors.take(&text), text: branded(&text) });
        }
    }
    headings.into_iter().skip(1).collect()
}

/// Changes the events of one document.
struct Rewriter<'a> {
    page: &'a ManualPage,
    anchors: Anchors,
    /// Whether the current link has a target on this server or outside.
    is_linked: bool,
    is_code: bool,
}

impl<'a> Rewriter<'a> {
    /// Returns the event to write, if any. `rest` begins with this event.
    fn rewrite(&mut self, event: Event<'a>, rest: &[Event<'a>]) -> Option<Event<'a>> {
        if let Event::Start(tag) = event {
            return self.start(tag, rest).map(Event::Start);
        }
        if let Event::End(tag) = event {
            self.is_code &= tag != TagEnd::CodeBlock;
            let is_removed = tag == TagEnd::Image || (tag == TagEnd::Link && !self.is_linked);
            return (!is_removed).then_some(Event::End(tag));
        }
        if let Event::Text(text) = event {
            return Some(Event::Text(if self.is_code { text } else { CowStr::from(branded(&text)) }));
        }
        (!matches!(event, Event::Html(_) | Event::InlineHtml(_))).then_some(event)
    }

    fn start(&mut self, tag: Tag<'a>, rest: &[Event<'a>]) -> Option<Tag<'a>> {
        if let Tag::Heading { level, classes, attrs, .. } = tag {
            let id = Some(CowStr::from(self.anchors.take(&heading(rest))));
            return Some(Tag::Heading { level, id, classes, attrs });
        }
        if let Tag::Link { link_type, dest_url, title, id } = tag {
            let address = address(self.page, &dest_url);
            self.is_linked = address.is_some();
            return address.map(|address| Tag::Link { link_type, dest_url: CowStr::from(address), title, id });
        }
        if matches!(tag, Tag::Table(_)) {
            // Alignments would be inline styles, which the policy of the page forbids.
            return Some(Tag::Table(Vec::new()));
        }
        self.is_code |= matches!(tag, Tag::CodeBlock(_));
        (!matches!(tag, Tag::Image { .. })).then_some(tag)
    }
}

/// The anchors of a document with the number of headings that each one has.
#[derive(Debug, Default)]
struct Anchors(BTreeMap<String, usize>);

impl Anchors {
    /// Returns the anchor of the next heading as GitHub forms it: lowercase letters, digits, hyphens and underscores; a
    /// space is a hyphen. Equal headings have numbers.
    fn take(&mut self, heading: &str) -> String {
        let kept: String = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ')).collect();
        let anchor = kept.trim().to_lowercase().replace(' ', "-");
        let uses = self.0.entry(anchor.clone()).or_default();
        let number = *uses;
        *uses += 1;
        if number == 0 { anchor } else { format!("{anchor}-{number}") }
    }
}

/// The text of the heading with which these events begin.
fn heading(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let texts =
        inside.filter_map(|event| if let Event::Text(text) | Event::Code(text) = event { Some(&**text) } else { None });
    texts.collect()
}

/// Replaces the name of the product where it is a word: names of alerts, such as `TollgateDown`, are the same with every
/// brand.
fn branded(text: &str) -> String {
    let mut parts = text.split(NAME);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let name = if part.starts_with(char::is_alphanumeric) { NAME } else { BRAND };
        text + name + part
    })
}

/// Returns the address of the target of a link in `page`, or `None` if it is neither a page nor on another server.
fn address(page: &ManualPage, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return Some(target.to_owned());
    }
    let (path, fragment) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { page.path.to_owned() } else { resolve(page.path, path)? };
    let address = match path.as_str() {
        // With the dashboard, that page has other headings.
        "README.md" => return Some("/docs".to_owned()),
        "openapi.json" => "/openapi.json".to_owned(),
        path => PAGES.iter().find(|page| page.path == path)?.address(),
    };
    Some(match fragment {
        Some(fragment) => format!("{address}#{fragment}"),
        None => address,
    })
}

/// Resolves a relative path from a file in the folder `docs`; `None` outside of this folder.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
