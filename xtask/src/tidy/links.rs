//! Rule: each relative link of a document has an existing target, its heading included, and an index links every page of
//! its folder.

use super::finding::Finding;
use super::tree::{File, Tree};

const INDEXED: &[&str] = &["docs/decisions/"];

/// Checks every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = documents(tree).flat_map(|file| dead_links(tree, file)).collect();
    findings.extend(documents(tree).flat_map(|file| dead_anchors(tree, file)));
    findings.extend(INDEXED.iter().flat_map(|folder| unlisted_pages(tree, folder)));
    findings
}

fn documents(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| file.is(&["md"]))
}

/// Links of `file` whose target does not exist.
fn dead_links<'a>(tree: &'a Tree, file: &'a File) -> impl Iterator<Item = Finding> {
    links(file).filter(|link| !exists(tree, &link.path)).map(|Link { line, path: target, .. }| {
        file.line(line).fails(format!("links to {target}, which does not exist"), "fix the link, or write the page")
    })
}

/// Links of `file` to headings that their page does not have.
fn dead_anchors<'a>(tree: &'a Tree, file: &'a File) -> impl Iterator<Item = Finding> {
    links(file).filter_map(|Link { line, path, anchor }| {
        let anchor = anchor?;
        let page = tree.file(&path)?;
        let exists =
            !page.is(&["md"]) || page.prose_lines().any(|(_, line)| heading_anchor(line).as_deref() == Some(anchor));
        let what = format!("links to {path}#{anchor}, and the page has no such heading");
        (!exists).then(|| file.line(line).fails(what, "link to a heading of the page"))
    })
}

/// The anchor of a heading as GitHub forms it: lowercase letters, digits, hyphens and underscores; a space is a hyphen.
fn heading_anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?.trim();
    let remaining = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    Some(remaining.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// Pages of `folder` that its `README.md` does not link.
fn unlisted_pages(tree: &Tree, folder: &str) -> Vec<Finding> {
    let index = format!("{folder}README.md");
    let named: Vec<String> = tree.file(&index).into_iter().flat_map(links).map(|link| link.path).collect();
    let pages = documents(tree).filter(|file| file.path.starts_with(folder) && file.path != index);
    let unlisted = pages.filter(|file| !named.contains(&file.path));
    unlisted.map(|file| file.whole().fails("is missing in its index", format!("link to it from {index}"))).collect()
}

/// A relative link, resolved from the root.
struct Link<'a> {
    line: usize,
    path: String,
    anchor: Option<&'a str>,
}

/// Relative links outside of code blocks.
fn links(file: &File) -> impl Iterator<Item = Link<'_>> {
    let targets =
        file.prose_lines().flat_map(|(number, line)| line.split("](").skip(1).map(move |rest| (number, rest)));
    targets.filter_map(|(line, rest)| {
        let target = rest.split(')').next()?;
        let (page, anchor) = target.split_once('#').map_or((target, None), |(page, anchor)| (page, Some(anchor)));
        let path = if page.is_empty() { file.path.clone() } else { resolve(&file.path, page) };
        (!target.is_empty() && !page.contains(':')).then_some(Link { line, path, anchor })
    })
}

fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn exists(tree: &Tree, path: &str) -> bool {
    let folder = format!("{path}/");
    tree.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    #[test]
    fn a_link_to_a_missing_page_fails() {
        let page = "[a](guides/x.md) [b](https://example.com/y)\n[c](../README.md#top) [d](guides/) [e](#here)\n";
        let files = [("docs/page.md", page), ("docs/guides/x.md", ""), ("README.md", "[x](docs/guides/x.md)")];
        assert_eq!(dead_in(&files), Vec::<String>::new());
        let files = [("docs/page.md", "one\n[a](guides/y.md)\n```\n[b](guides/z.md)\n```\n")];
        assert_eq!(
            dead_in(&files),
            ["docs/page.md:2: links to docs/guides/y.md, which does not exist; fix the link, or write the page"]
        );
    }

    #[test]
    fn a_link_to_a_missing_heading_fails() {
        let page = "# The page's `keys[]`\n```\n# no heading\n```\n[a](#the-pages-keys) [b](y.md#a_b) [c](y.md#c)\n[d](#no-heading)\n";
        let tree = Tree::from_files(&[("docs/x.md", page), ("docs/y.md", "## A_b\n")]);
        let findings: Vec<Finding> = documents(&tree).flat_map(|file| dead_anchors(&tree, file)).collect();
        assert_eq!(
            messages(&findings),
            [
                "docs/x.md:5: links to docs/y.md#c, and the page has no such heading; link to a heading of the page",
                "docs/x.md:6: links to docs/x.md#no-heading, and the page has no such heading; link to a heading of the page"
            ]
        );
    }

    fn dead_in(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::from_files(files);
        let findings: Vec<Finding> = documents(&tree).flat_map(|file| dead_links(&tree, file)).collect();
        messages(&findings)
    }

    #[test]
    fn a_decision_outside_its_index_fails() {
        for folder in INDEXED {
            let index = format!("{folder}README.md");
            let page = format!("{folder}0001-x.md");
            assert_eq!(check(&Tree::from_files(&[(&page, "")])).len(), 1);
            assert_eq!(check(&Tree::from_files(&[(&index, "# Index"), (&page, "")])).len(), 1);
            assert!(check(&Tree::from_files(&[(&index, "[x](0001-x.md)"), (&page, "")])).is_empty());
        }
    }
}
