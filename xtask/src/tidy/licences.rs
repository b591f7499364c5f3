//! Licences, sources and banned crates of all linked packages. The rule reads the lists of `deny.toml`, so that they
//! apply even without cargo-deny.

use super::finding::Finding;
use super::graph::Graph;
use super::tree::{File, Tree};

const LIST: &str = "deny.toml";
/// The licence of every workspace package: `license` in the workspace's manifest.
const OWN: &str = "Apache-2.0";

/// Checks the resolved graph against the lists.
pub(crate) fn check(graph: &Graph, tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.file(LIST) else {
        let lock = File { path: LIST.to_owned(), text: String::new() };
        return vec![lock.whole().fails("is missing", "it lists allowed licences and banned crates")];
    };
    let (allowed, banned) = (quoted(list, "[licenses]", "allow"), bans(list));
    let mut findings = Vec::new();
    if allowed.is_empty() || banned.is_empty() {
        let remedy = "write `allow = […]` in [licenses] and `deny = […]` in [bans], one entry per line";
        findings.push(list.whole().fails("contains no allowed licence or no banned crate", remedy));
    }
    for package in &graph.packages {
        let name = format!("`{} {}`", package.name, package.version);
        if let Some(source) = &package.foreign_source {
            let remedy = "use crates of the public registry only: publish it or remove it";
            findings.push(list.whole().fails(format!("{name} comes from {source}"), remedy));
        }
        if package.member {
            if package.licence.as_deref() != Some(OWN) {
                let remedy = "inherit `license.workspace = true`";
                findings.push(list.whole().fails(format!("{name} is not under {OWN}"), remedy));
            }
            continue;
        }
        match &package.licence {
            Some(licence) if permits(licence, &allowed) => {}
            licence => {
                let says = licence.as_deref().unwrap_or("no licence");
                let remedy = "remove it, or ask the owner to allow the licence in [licenses]";
                findings.push(list.whole().fails(format!("{name} has {says}, which is not allowed"), remedy));
            }
        }
    }
    findings.extend(banned.iter().filter_map(|ban| forbidden(graph, list, ban)));
    findings
}

/// A banned crate, and the reason.
struct Ban {
    line: usize,
    name: String,
    reason: String,
}

fn forbidden(graph: &Graph, list: &File, ban: &Ban) -> Option<Finding> {
    let path = graph.members().find_map(|member| graph.dependency_path(&member.name, &ban.name))?;
    let what = format!("`{}` is linked: {}", ban.name, path.join(" → "));
    Some(list.line(ban.line).fails(what, format!("{}: disable the feature that enables it", ban.reason)))
}

/// Lines of the list `key` in `section`, up to its closing bracket.
fn entries<'a>(list: &'a File, section: &'a str, key: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let opening = format!("{key} = [");
    list.lines()
        .map(|(number, line)| (number, line.trim()))
        .skip_while(move |(_, line)| *line != section)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .skip_while(move |(_, line)| !line.starts_with(&opening))
        .skip(1)
        .take_while(|(_, line)| !line.starts_with(']'))
}

fn quoted(list: &File, section: &str, key: &str) -> Vec<String> {
    entries(list, section, key)
        .filter_map(|(_, line)| Some(line.strip_prefix('"')?.split('"').next()?.to_owned()))
        .collect()
}

fn bans(list: &File) -> Vec<Ban> {
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name} = \""))?.1;
        rest.split('"').next().map(str::to_owned)
    };
    let ban = |(number, line): (usize, &str)| {
        Some(Ban { line: number, name: field(line, "crate")?, reason: field(line, "reason")? })
    };
    entries(list, "[bans]", "deny").filter_map(ban).collect()
}

/// Whether allowed licences satisfy an SPDX expression. The old form `A/B` means `A OR B`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let tested = any(&mut words, allowed);
    tested && words.next().is_none()
}

type SpdxWords<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut SpdxWords<'_>, allowed: &[String]) -> bool {
    let mut tested = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        tested |= all(words, allowed);
    }
    tested
}

fn all(words: &mut SpdxWords<'_>, allowed: &[String]) -> bool {
    let mut tested = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        tested &= one(words, allowed);
    }
    tested
}

fn one(words: &mut SpdxWords<'_>, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let tested = any(words, allowed);
        return words.next() == Some(")") && tested;
    }
    let Some(mut licence) = words.next().map(str::to_owned) else { return false };
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&licence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;
    use crate::tidy::graph::Package;

    const DENY: &str = "[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\", # a reason\n]\n\n[bans]\ndeny = [\n  \
                        { crate = \"ring\", reason = \"one TLS provider\" },\n]\n";

    fn check_package(package: Package) -> Vec<String> {
        let licence = Some(OWN.to_owned());
        let tollgate = Package { name: "tollgate".to_owned(), member: true, licence, ..Package::default() };
        let graph = Graph { packages: vec![tollgate, package], edges: vec![(0, 1)] };
        messages(&check(&graph, &Tree::of(&[(LIST, DENY)])))
    }

    fn package(name: &str, licence: Option<&str>) -> Package {
        let licence = licence.map(str::to_owned);
        Package { name: name.to_owned(), version: "1.0.0".to_owned(), licence, ..Package::default() }
    }

    #[test]
    fn expressions_are_satisfied_only_by_allowed_licences() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (expression, tested) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only/MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("ISC AND (GPL-3.0-only OR MIT)", true),
            ("(MIT OR ISC) AND GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT OR", true),
            ("MIT MIT", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &allowed), tested, "{expression}");
        }
    }

    #[test]
    fn a_licence_that_is_not_listed_fails() {
        assert!(check_package(package("good", Some("MIT OR Apache-2.0"))).is_empty());
        for (licence, says) in [(Some("AGPL-3.0-only"), "has AGPL-3.0-only"), (None, "has no licence")] {
            let messages = check_package(package("bad", licence));
            assert!(messages.len() == 1 && messages[0].contains(says), "{messages:?}");
        }
    }

    #[test]
    fn a_workspace_package_with_another_licence_fails() {
        for (licence, expected) in [(Some(OWN), 0), (Some("MIT"), 1), (None, 1)] {
            let messages = check_package(Package { member: true, ..package("ours", licence) });
            assert_eq!(messages.len(), expected, "{messages:?}");
        }
    }

    #[test]
    fn the_licence_is_here_in_full() {
        let licence = include_str!("../../../LICENSE");
        for part in
            ["Apache License\n", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS", "APPENDIX: How to apply"]
        {
            assert!(licence.contains(part), "{part}");
        }
    }

    #[test]
    fn a_git_dependency_fails() {
        let source = Some("git+https://example.com/fork".to_owned());
        let messages = check_package(Package { foreign_source: source, ..package("fork", Some("MIT")) });
        assert!(messages.len() == 1 && messages[0].contains("`fork 1.0.0` comes from git+"), "{messages:?}");
    }

    #[test]
    fn a_banned_crate_fails_with_the_way_to_it_and_the_reason() {
        let messages = check_package(package("ring", Some("ISC")));
        assert_eq!(
            messages,
            ["deny.toml:9: `ring` is linked: tollgate → ring; one TLS provider: disable the feature that enables it"]
        );
    }

    #[test]
    fn lists_that_cannot_be_read_fail() {
        for files in [&[][..], &[(LIST, "[licenses]\n")]] {
            assert!(!check(&Graph::default(), &Tree::of(files)).is_empty());
        }
    }
}
