//! Amounts in `meter` have types: a bare integer named like an amount has no unit.

use super::finding::Finding;
use super::tree::{File, Tree};

/// The folder to which the rule applies.
const FOLDER: &str = "crates/meter/src/";
/// The integers that amounts are made of.
const INTEGERS: &[&str] = &["u64", "i64", "AtomicU64", "AtomicI64"];
/// Words that make a name the name of an amount.
const AMOUNT_WORDS: &[&str] = &[
    "allowance",
    "amount",
    "amounts",
    "ceiling",
    "charge",
    "cost",
    "credits",
    "excess",
    "free",
    "granted",
    "left",
    "limit",
    "money",
    "nano",
    "need",
    "overrun",
    "prelogged",
    "queued",
    "remaining",
    "requested",
    "reserved",
    "share",
    "spent",
    "surplus",
    "tokens",
    "unspent",
    "used",
    "want",
];

/// Fields that stay integers.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "crates/meter/src/budgets/counter.rs",
        name: "limit",
        reason: "the only word with relaxed ordering",
    },
    Exception { path: "crates/meter/src/stats.rs", name: "credits", reason: PART_OF_A_SUM },
    Exception { path: "crates/meter/src/stats.rs", name: "tokens", reason: PART_OF_A_SUM },
    Exception { path: "crates/meter/src/stats.rs", name: "money", reason: PART_OF_A_SUM },
];
const PART_OF_A_SUM: &str = "a slice may be below zero; only the sum of all slices is an amount";

struct Exception {
    path: &'static str,
    name: &'static str,
    reason: &'static str,
}

/// Checks fields, parameters, variables and return types, except in tests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut unused: Vec<&Exception> = EXCEPTIONS.iter().filter(|of| tree.file(of.path).is_some()).collect();
    let mut findings = Vec::new();
    for file in tree.below(FOLDER).filter(|file| file.is(&["rs"]) && file.name() != "tests.rs") {
        for (line, name) in bare_amounts(file) {
            if let Some(known) = EXCEPTIONS.iter().find(|known| (known.path, known.name) == (&*file.path, name)) {
                unused.retain(|of| !std::ptr::eq(*of, known));
                continue;
            }
            let what = format!("`{name}` is an amount and a bare integer");
            let remedy = "use `Credits`, `Tokens`, `NanoUsd` or `Amount`; name a count after the counted things";
            findings.push(file.line(line).fails(what, remedy));
        }
    }
    findings.extend(unused.into_iter().filter_map(|of| {
        let what = format!("the exception for `{}` ({}) is unused", of.name, of.reason);
        Some(tree.file(of.path)?.whole().fails(what, "remove it from the rule"))
    }));
    findings
}

/// Returns the names with their lines.
fn bare_amounts(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let tests = file.lines().find(|(_, line)| line.trim() == "mod tests {").map_or(usize::MAX, |(at, _)| at);
    file.lines().take_while(move |(at, _)| *at < tests).flat_map(|(at, line)| {
        let code = if line.trim_start().starts_with("//") { "" } else { line };
        integers(code)
            .filter_map(|(before, _)| named(before))
            .filter(|name| is_amount(name))
            .map(move |name| (at, name))
    })
}

/// Returns the text before and behind each bare integer type of a line.
fn integers(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    INTEGERS.iter().flat_map(move |integer| {
        let split = move |(at, _): (usize, &str)| {
            let (before, rest) = line.split_at_checked(at)?;
            let behind = rest.strip_prefix(integer)?;
            let is_whole = !before.ends_with(is_word) && !behind.starts_with(is_word) && !behind.starts_with("::");
            is_whole.then_some((before, behind))
        };
        line.match_indices(integer).filter_map(split)
    })
}

/// Returns the name of the field, parameter or function that has the type behind `before`.
fn named(before: &str) -> Option<&str> {
    const WRAPPERS: &[&str] = &["&", "mut", "Option<", "Vec<", "Box<", "Arc<", "Cell<", "["];
    let mut rest = before.trim_end();
    while let Some(outer) = WRAPPERS.iter().find_map(|wrapper| rest.strip_suffix(wrapper)) {
        rest = outer.trim_end();
    }
    if let Some(signature) = rest.strip_suffix("->") {
        let (_, name) = signature.split_once("fn ")?;
        return name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
    }
    let name = rest.strip_suffix(':').filter(|name| !name.ends_with(':'))?;
    name.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

/// Whether a word of the name is one of [`AMOUNT_WORDS`]. The last word of a count or a time is another unit.
fn is_amount(name: &str) -> bool {
    const OTHER_UNITS: &[&str] = &["at", "bytes", "count", "ms", "no", "requests", "ticks", "us"];
    let is_other = name.rsplit('_').next().is_some_and(|last| OTHER_UNITS.contains(&last));
    !is_other && name.split('_').any(|word| AMOUNT_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[(path, text)])))
    }

    #[test]
    fn bare_amounts_fail_at_their_line() {
        for (code, name) in [
            ("pub struct A {\n    pub spent: u64,\n}", "spent"),
            ("struct A {\n    cost_nano: Option<i64>,\n}", "cost_nano"),
            ("struct A {\n    used: AtomicU64,\n}", "used"),
            ("impl A {\n    fn take(&self, now: Mono, amount: u64) {}\n}", "amount"),
            ("impl A {\n    pub const fn left(self) -> u64 {\n}", "left"),
            ("impl A {\n    fn limit_of(&self, at: Day) -> Option<u64>;\n}", "limit_of"),
            ("fn f(\n    tokens: &mut [u64],\n) {}", "tokens"),
        ] {
            let messages = check_text("crates/meter/src/new.rs", code);
            assert_eq!(messages.len(), 1, "{code}: {messages:?}");
            assert!(
                messages[0].starts_with(&format!("crates/meter/src/new.rs:2: `{name}` is an amount")),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn typed_amounts_counts_and_tests_pass() {
        for code in [
            "struct A { spent: Amount, cost: Option<NanoUsd>, limit: u32 }",
            "struct A { reserved_count: u64, requests: u64, incarnation: u64, deadline: AtomicU64 }",
            "fn f(limits: BTreeMap<(CounterId, u64), Amount>) -> Amount { u64::MAX }",
            "// spent: u64\nfn f() { let used = u64::from(1); }",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn f(amount: u64) {}\n}",
        ] {
            assert_eq!(check_text("crates/meter/src/new.rs", code), [""; 0], "{code}");
        }
        assert!(check_text("crates/meter/src/lease/tests.rs", "fn f(amount: u64) {}").is_empty());
        assert!(check_text("crates/other/src/new.rs", "fn f(amount: u64) {}").is_empty());
    }

    #[test]
    fn unused_exceptions_fail() {
        let messages = check_text("crates/meter/src/budgets/counter.rs", "struct A { limit: Amount }");
        assert!(messages.len() == 1 && messages[0].contains("the exception for `limit`"), "{messages:?}");
        assert!(check_text("crates/meter/src/budgets/counter.rs", "struct A { limit: AtomicU64 }").is_empty());
    }
}
