//! The house rules that a machine can check. Each module is one rule over plain data, and its tests use bad input.
//!
//! Reading order: [`tree`] (the files that git lists) and [`graph`] (the packages of the workspace) are the
//! input of all rules.

mod amounts;
mod containers;
mod cycles;
mod dashboards;
mod dependencies;
mod errors;
mod finding;
mod graph;
mod guarantees;
mod language;
mod links;
mod metrics;
mod names;
mod plain;
mod prose;
mod signatures;
mod sizes;
mod sql;
mod tables;
mod tree;
mod type_names;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use dashboards::write as write_dashboards;
pub(crate) use finding::Finding;

/// Runs every rule on the repository at `root`. Each finding fails the check.
///
/// # Errors
/// Git or cargo fails.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let tree = tree::Tree::read(root)?;
    let graph = graph::Graph::read(root)?;
    let mut findings = dependencies::check(&graph, &tree);
    findings.extend(sizes::check(&tree));
    findings.extend(names::check(&tree));
    findings.extend(plain::check(&tree));
    findings.extend(type_names::check(&tree));
    findings.extend(words::check(&tree));
    findings.extend(language::check(&tree));
    findings.extend(signatures::check(&tree));
    findings.extend(amounts::check(&tree));
    findings.extend(sql::check(&tree));
    findings.extend(errors::check(&tree));
    findings.extend(links::check(&tree));
    findings.extend(tables::check(&tree));
    findings.extend(guarantees::check(&tree));
    findings.extend(containers::check(&tree));
    findings.extend(metrics::check(&tree));
    findings.extend(dashboards::check(&tree));
    findings.extend(cycles::check(&tree));
    Ok(findings)
}

/// Number of language findings per folder and rule.
///
/// # Errors
/// Git fails.
pub(crate) fn count_language(root: &Path) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    Ok(language::count(&tree::Tree::read(root)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = check(&crate::root().unwrap()).unwrap();
        let failed: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
    }
    #[test]
    fn decisions_name_what_they_replace() {
        let tree = tree::Tree::read(&crate::root().unwrap()).unwrap();
        let decisions: Vec<&str> = tree.below("docs/decisions/").map(|file| file.text.as_str()).collect();
        let missing: Vec<&str> = [
            "reqwest",
            "fred",
            "Nightly Rust",
            "governor",
            "NextAuth",
            "`gen_random_uuid()`",
            "`TIMESTAMP DEFAULT NOW()`",
            "Redis cache",
            "PostgreSQL 15",
            "Redis 7",
            "`query!`",
        ]
        .into_iter()
        .filter(|name| !decisions.iter().any(|text| text.contains(name)))
        .collect();
        assert_eq!(missing, [""; 0]);
    }
}
