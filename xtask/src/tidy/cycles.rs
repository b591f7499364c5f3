//! Import cycles between the modules of one crate.
//!
//! A module may import its own descendants and its ancestors, as `foo.rs` and `foo/bar.rs` usually do. Any other import
//! connects two branches of the tree of modules, and counts where these branches separate: if `a/x.rs` imports from
//! `b/y.rs`, `a` imports `b`. The siblings of each folder must have an order in which no module imports a later one.
//!
//! A name that a module imports through the `use` of another module counts for both: the module that exports the name
//! and the one that defines it. Tests do not count. Method calls and `#[path]` do not count either.

mod imports;
mod module;
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::imports::{Import, Siblings};
use self::module::Modules;
use super::finding::Finding;
use super::tree::{File, Tree};

/// Crates that have cycles, and the number of their modules that are in cycles. A number may only fall.
const PENDING: &[(&str, usize)] = &[("control", 5), ("ledger", 2)];

/// Folders with crates, and folders that are a crate.
const CRATES: &str = "crates/";
const SINGLE_CRATES: &[&str] = &["e2e/", "bench/", "fuzz/", "xtask/"];

/// Modules in the order of their imports; the last one imports the first one.
struct Cycle<'a> {
    folder: &'a str,
    modules: Vec<&'a str>,
}

/// Checks the sources of each crate, except its integration tests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    check_pending(tree, PENDING)
}

/// All cycles of one crate, or of every crate, also those that are pending.
pub(crate) fn list(tree: &Tree, crate_name: Option<&str>) -> Vec<Finding> {
    let listed = crates(tree).into_iter().filter(|(name, _)| crate_name.is_none_or(|wanted| wanted == *name));
    listed.flat_map(|(name, files)| CrateCycles::read(name, &files).findings()).collect()
}

fn check_pending(tree: &Tree, pending: &[(&str, usize)]) -> Vec<Finding> {
    let rule = File { path: "xtask/src/tidy/cycles.rs".to_owned(), text: String::new() };
    let mut findings = Vec::new();
    let mut unused: BTreeMap<&str, usize> = pending.iter().copied().collect();
    for (name, files) in crates(tree) {
        let cycles = CrateCycles::read(name, &files);
        let (count, allowed) = (cycles.modules_count(), unused.remove(name).unwrap_or(0));
        if count > allowed || !cycles.unreadable.is_empty() {
            findings.extend(cycles.findings());
        }
        if count != allowed && allowed > 0 {
            let what = format!("{count} modules of `{name}` are in cycles, and `PENDING` has {allowed}");
            let remedy = if count > allowed { "remove an import" } else { "write the lower number, or remove the row" };
            findings.push(rule.whole().fails(what, remedy));
        }
    }
    findings.extend(unused.keys().map(|name| {
        let what = format!("`PENDING` has a row for `{name}`, which is not a crate");
        rule.whole().fails(what, "remove the row")
    }));
    findings
}

/// The source files of each crate by its name.
fn crates(tree: &Tree) -> BTreeMap<&str, Vec<&File>> {
    let mut crates: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.is(&["rs"])) {
        let below = file.path.strip_prefix(CRATES);
        let single = || SINGLE_CRATES.iter().any(|folder| file.path.starts_with(folder)).then_some(file.path.as_str());
        let parts = below.or_else(single).and_then(|path| path.split_once('/'));
        if let Some((name, rest)) = parts
            && rest.starts_with("src/")
        {
            crates.entry(name).or_default().push(file);
        }
    }
    crates
}

/// The imports and the cycles of one crate.
struct CrateCycles<'a> {
    name: &'a str,
    folders: BTreeMap<String, Siblings<'a>>,
    unreadable: Vec<Finding>,
}

impl<'a> CrateCycles<'a> {
    fn read(name: &'a str, files: &[&'a File]) -> Self {
        let (modules, unreadable) = Modules::read(files);
        Self { name, folders: imports::between_siblings(&modules), unreadable }
    }

    /// The number of modules that are in a cycle.
    fn modules_count(&self) -> usize {
        let modules = |siblings: &Siblings<'_>| {
            siblings.imports.keys().filter(|module| shortest_cycle(siblings, module).is_some()).count()
        };
        self.folders.values().map(modules).sum()
    }

    /// The shortest cycle of each module, the shortest of all first.
    fn cycles(&self) -> Vec<(&Siblings<'a>, Cycle<'_>)> {
        let mut found: BTreeSet<(usize, &str, Vec<&str>)> = BTreeSet::new();
        for (folder, siblings) in &self.folders {
            for module in siblings.imports.keys() {
                if let Some(mut modules) = shortest_cycle(siblings, module) {
                    let first = modules.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
                    modules.rotate_left(first);
                    found.insert((modules.len(), folder, modules));
                }
            }
        }
        let with_imports = |(_, folder, modules)| Some((self.folders.get(folder)?, Cycle { folder, modules }));
        found.into_iter().filter_map(with_imports).collect()
    }

    fn findings(self) -> Vec<Finding> {
        let cycles: Vec<Finding> =
            self.cycles().iter().filter_map(|(siblings, cycle)| self.finding(siblings, cycle)).collect();
        self.unreadable.into_iter().chain(cycles).collect()
    }

    fn finding(&self, siblings: &Siblings<'_>, cycle: &Cycle<'_>) -> Option<Finding> {
        let imported = cycle.modules.iter().cycle().skip(1);
        let steps: Vec<&[Import<'_>]> =
            cycle.modules.iter().zip(imported).filter_map(|(from, to)| siblings.between(from, to)).collect();
        let first = steps.first()?.first()?;
        let path = |module: &&str| format!("`{}{module}`", cycle.folder);
        let order: Vec<String> = cycle.modules.iter().chain(cycle.modules.first()).map(path).collect();
        let places: Vec<String> = steps.iter().map(|imports| places(imports)).collect();
        let what =
            format!("modules of `{}` import each other: {} ({})", self.name, order.join(" → "), places.join(" → "));
        Some(first.place().fails(what, "move the code that both need into one of them, or into a third module"))
    }
}

/// The imports of one step as text: at most three of them.
fn places(imports: &[Import<'_>]) -> String {
    const SHOWN_MAX: usize = 3;
    let mut shown: Vec<String> = imports.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    if imports.len() > SHOWN_MAX {
        shown.push(format!("{} more", imports.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

/// The shortest way from a module over its imports back to itself.
fn shortest_cycle<'a>(siblings: &'a Siblings<'_>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in siblings.imported_by(at) {
            if next == start {
                let before = |module: &&'a str| reached_from.get(module).copied();
                let mut modules: Vec<&str> = std::iter::successors(Some(at), before).collect();
                modules.reverse();
                return Some(modules);
            }
            reached_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                at
            });
        }
    }
    None
}

#[cfg(test)]
mod tests;
