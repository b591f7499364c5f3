//! Rule: each relative link of a document has an existing target, and an index links every page of its folder.

use super::finding::Finding;
use super::tree::{File, Tree};

const INDEXED: &[&str] = &["docs/decisions/", "docs/errors/"];

/// Checks every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = documents(tree).flat_map(|file| dead_links(tree, file)).collect();
    findings.extend(INDEXED.iter().flat_map(|folder| unlisted_pages(tree, folder)));
    findings
}

fn documents(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| file.is(&["md"]))
}

/// Links of `file` whose target does not exist.
fn dead_links<'a>(tree: &'a Tree, file: &'a File) -> impl Iterator<Item = Finding> {
    links(file).filter(|(_, target)| !exists(tree, target)).map(|(line, target)| {
        file.line(line).fails(format!("links to {target}, which does not exist"), "fix the link, or write the page")
    })
}

/// Pages of `folder` that its `README.md` does not link.
fn unlisted_pages(tree: &Tree, folder: &str) -> Vec<Finding> {
    let index = format!("{folder}README.md");
    let named: Vec<String> = tree.file(&index).into_iter().flat_map(links).map(|(_, target)| target).collect();
    let pages = documents(tree).filter(|file| file.path.starts_with(folder) && file.path != index);
    let unlisted = pages.filter(|file| !named.contains(&file.path));
    unlisted.map(|file| file.whole().fails("is missing in its index", format!("link to it from {index}"))).collect()
}

/// Relative links outside of code blocks, resolved from the root, with their lines.
fn links(file: &File) -> impl Iterator<Item = (usize, String)> {
    let mut code = false;
    let text = file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    text.flat_map(|(number, line)| line.split("](").skip(1).map(move |rest| (number, rest))).filter_map(
        |(number, rest)| {
            let target = rest.split([')', '#']).next()?;
            let relative = !target.is_empty() && !target.contains(':');
            relative.then(|| (number, resolve(&file.path, target)))
        },
    )
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
        let page = "[a](errors/x.md) [b](https://example.com/y)\n[c](../README.md#top) [d](errors/) [e](#here)\n";
        let files = [("docs/page.md", page), ("docs/errors/x.md", ""), ("README.md", "[x](docs/errors/x.md)")];
        assert_eq!(dead_in(&files), Vec::<String>::new());
        let files = [("docs/page.md", "one\n[a](errors/y.md)\n```\n[b](errors/z.md)\n```\n")];
        assert_eq!(
            dead_in(&files),
            ["docs/page.md:2: links to docs/errors/y.md, which does not exist; fix the link, or write the page"]
        );
    }

    fn dead_in(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(files);
        let findings: Vec<Finding> = documents(&tree).flat_map(|file| dead_links(&tree, file)).collect();
        messages(&findings)
    }

    #[test]
    fn a_decision_or_an_error_outside_its_index_fails() {
        for folder in INDEXED {
            let (index, page) = (format!("{folder}README.md"), format!("{folder}0001-x.md"));
            assert_eq!(check(&Tree::of(&[(&page, "")])).len(), 1);
            assert_eq!(check(&Tree::of(&[(&index, "# Index"), (&page, "")])).len(), 1);
            assert!(check(&Tree::of(&[(&index, "[x](0001-x.md)"), (&page, "")])).is_empty());
        }
    }
}
