//! The documents of the repository as pages below `/docs/`. The binary contains their Markdown.

pub(super) mod frame;
mod render;
pub(super) mod search;
mod table;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use access::Refusal;

use self::table::PAGES;

/// A group of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ManualGroup {
    Start,
    Guides,
    Lists,
    Operate,
}

impl ManualGroup {
    /// The groups of the index, in its order.
    pub(super) const INDEX: [Self; 4] = [Self::Start, Self::Guides, Self::Lists, Self::Operate];

    /// The heading of the group in the index.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Guides => "Guides and references",
            Self::Lists => "Lists",
            Self::Operate => "Operate",
        }
    }

    /// The pages of this group, in the order of the index.
    pub(super) fn pages(self) -> impl Iterator<Item = &'static ManualPage> {
        PAGES.iter().filter(move |page| page.group == self)
    }
}

/// One document with its rendered form.
#[derive(Debug)]
pub(super) struct ManualPage {
    group: ManualGroup,
    /// The path in the folder `docs`, such as `guides/routing.md`.
    path: &'static str,
    /// The document in Markdown, which begins with its heading.
    text: &'static str,
    /// The document in HTML, after the first request for it.
    html: OnceLock<String>,
}

impl ManualPage {
    /// Finds a page by the end of its address, such as `guides/routing`.
    pub(super) fn find(slug: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.slug() == slug)
    }

    /// The end of the address. `/docs/api` is the API reference, so the document about the API has another address.
    fn slug(&self) -> &'static str {
        match self.path {
            "api.md" => "admin-api",
            path => path.strip_suffix(".md").unwrap_or(path),
        }
    }

    /// Finds the section of an error code by the end of the code's address, such as `errors/key_expired`.
    pub(super) fn error_section(slug: &str) -> Option<String> {
        let code = slug.strip_prefix("errors/")?;
        let is_known = Refusal::ALL.iter().any(|refusal| refusal.code() == code);
        is_known.then(|| format!("/docs/errors#{code}"))
    }

    /// The path of the page on this server.
    pub(super) fn address(&self) -> String {
        format!("/docs/{}", self.slug())
    }

    /// The text of the first heading.
    pub(super) fn title(&self) -> String {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ").replace('`', "")
    }

    /// The document in HTML, with [`BRAND`](super::BRAND) for the name of the product. The first call renders it.
    pub(super) fn html(&self) -> &str {
        self.html.get_or_init(|| render::html(self))
    }
}
