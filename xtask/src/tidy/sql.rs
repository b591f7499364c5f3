//! SQL is in three crates only, so that one place knows each table, and a test of each crate prepares each text.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Crates that contain SQL.
const CRATES: &[&str] = &["crates/store/", "crates/ledger/", "crates/cluster/"];

/// Files outside these crates that may contain SQL, with the reason. `e2e/` and `bench/` are not checked: they look at
/// the database of a running binary with their own client, as an operator does.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("crates/control/tests/it/postgres.rs", "creates the empty database of each test, before any store exists"),
    ("crates/control/tests/it/api/insights/bad_input.rs", "makes the store fail in the middle of a response"),
    ("crates/control/tests/it/api/reloads.rs", "makes the store fail during a reload"),
    ("crates/tollgate/src/wire/configuration/tests.rs", "makes the store fail while a changed file is applied"),
    ("crates/export/src/target/clickhouse.rs", "inserts into the operator's ClickHouse, which is no store of Tollgate"),
];

/// Identifiers of the SQL toolkit and of the database client, and calls that send SQL.
const CODE: &[&str] = &["sqlx", "sql::", "::sql", "statements!", ".look_up("];

/// A call that sends SQL, unless it has no arguments: `uri.query()` is a part of a URL.
const QUERY: &str = ".query(";

/// Beginnings of SQL texts.
const TEXTS: &[&str] = &["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"CREATE TABLE ", "\"PRAGMA "];

/// Checks the sources and tests of all other crates.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let is_checked = |file: &&File| {
        file.is(&["rs"])
            && !CRATES.iter().any(|folder| file.path.starts_with(folder))
            && !EXCEPTIONS.iter().any(|(path, _)| file.path == *path)
    };
    tree.below("crates/").filter(is_checked).flat_map(find).collect()
}

fn find(file: &File) -> impl Iterator<Item = Finding> {
    file.lines().filter_map(|(number, line)| {
        let found = sql_in(line)?;
        let what = format!("`{found}` is SQL outside store, ledger and cluster");
        Some(file.line(number).fails(what, "add a function to one of these crates, and call it"))
    })
}

/// The SQL that a line contains, or the call that sends SQL.
fn sql_in(line: &str) -> Option<&'static str> {
    if line.trim_start().starts_with("//") {
        return None;
    }
    let found = CODE.iter().find(|code| line.match_indices(**code).any(|(at, _)| is_whole(line, at, code)));
    let sends = || line.split(QUERY).skip(1).any(|arguments| !arguments.starts_with(')'));
    found
        .or_else(|| TEXTS.iter().find(|text| line.contains(**text)))
        .copied()
        .or_else(|| if sends() { Some(QUERY) } else { None })
}

/// Whether the text at `at` is not a part of a longer identifier.
fn is_whole(line: &str, at: usize, code: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let begins_inside = code.starts_with(is_letter) && line.get(..at).is_some_and(|before| before.ends_with(is_letter));
    let after = line.get(at + code.len()..).unwrap_or_default();
    let ends_inside = code.ends_with(is_letter) && after.starts_with(is_letter);
    !(begins_inside || ends_inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[(path, text)])))
    }

    #[test]
    fn sql_in_other_crates_fails_at_its_line() {
        for line in [
            "use sqlx::Connection;",
            "use store::sql::Transaction;",
            "use store::sql;",
            "use store::{Store, sql::Query};",
            "store::statements! { ALL = \"x\"; }",
            "let rows = store.query(ALL).all().await?;",
            "let row = store.look_up(ONE).one().await?;",
            "const ALL: &str = \"SELECT id FROM users\";",
            "run(\"DELETE FROM users\").await?;",
        ] {
            for path in ["crates/control/src/routes/users.rs", "crates/tollgate/tests/it/start.rs"] {
                let messages = check_text(path, &format!("//! Text.\n{line}\n"));
                assert_eq!(messages.len(), 1, "{line}");
                assert!(messages[0].starts_with(&format!("{path}:2: `")), "{messages:?}");
            }
        }
    }

    #[test]
    fn sql_in_its_crates_and_in_excepted_files_passes() {
        let others =
            ["crates/store/src/accounts/users.rs", "crates/ledger/tests/it/main.rs", "crates/cluster/src/leases.rs"];
        let unchecked = ["e2e/src/database.rs", "bench/src/lookup.rs", "docs/schema.md"];
        for path in others.into_iter().chain(unchecked).chain(EXCEPTIONS.iter().map(|(path, _)| *path)) {
            assert!(check_text(path, "sqlx::query(\"SELECT 1\")\n").is_empty(), "{path}");
        }
    }

    #[test]
    fn other_code_passes() {
        for line in [
            "let query = uri.query();",
            "// sqlx::query(\"SELECT 1\")",
            "let mysql::Kind = kind;",
            "Kind::sqlite => \"a SELECTED word\"",
            "store.overview(user).await?;",
        ] {
            assert!(check_text("crates/control/src/lib.rs", line).is_empty(), "{line}");
        }
    }
}
