use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::dialect::{CATALOGUE, EXPLAIN};
use crate::store::tests::open;
use crate::{api_keys, identity, ingest, plans, revision, usage, users};

/// Every text that the crate sends, but for migrations and pragmas.
fn all() -> Vec<String> {
    let lists = [
        api_keys::STATEMENTS,
        ingest::STATEMENTS,
        ingest::NAMES,
        plans::STATEMENTS,
        revision::STATEMENTS,
        usage::STATEMENTS,
        users::STATEMENTS,
    ];
    let mut texts: Vec<String> = lists.into_iter().flatten().map(|(_, sql)| (*sql).to_owned()).collect();
    texts.extend(identity::texts());
    texts.extend(ingest::texts());
    texts
}

#[tokio::test]
async fn every_statement_prepares() {
    let (_folder, store) = open().await;
    let mut connection = store.readers().acquire().await.unwrap();
    for sql in all() {
        let prepared = connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await;
        assert!(prepared.is_ok(), "{sql}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn every_table_has_id_created_at_and_updated_at() {
    let (_folder, store) = open().await;
    let columns: Vec<(String, String, String, i64)> =
        sqlx::query_as(CATALOGUE).fetch_all(store.readers()).await.unwrap();
    let mut tables: Vec<&str> = columns.iter().map(|(table, ..)| table.as_str()).collect();
    tables.dedup();
    let known = [
        "api_keys",
        "daily_usage",
        "ingested",
        "names",
        "plans",
        "revision",
        "usage_attempts",
        "usage_counts",
        "usage_events",
        "users",
    ];
    assert_eq!(tables, known);
    for table in known {
        let has = |name: &str, kind: &str, key: i64| {
            columns.iter().any(|(of, column, is, primary)| {
                (of == table, column == name, is == kind, *primary == key) == (true, true, true, true)
            })
        };
        assert!(has("id", "BLOB", 1), "{table}.id");
        assert!(has("created_at", "BIGINT", 0) && has("updated_at", "BIGINT", 0), "{table}");
    }
}

#[tokio::test]
async fn hot_questions_use_indexes() {
    let (_folder, store) = open().await;
    let text = |list: &[(&str, &str)], name: &str| list.iter().find(|(of, _)| *of == name).unwrap().1.to_owned();
    for (sql, index) in [
        (identity::texts().remove(0), "sqlite_autoindex_api_keys"),
        (text(usage::STATEMENTS, "OF_DAY"), "(day=? AND user_no=?)"),
        (text(usage::STATEMENTS, "CREDITS_OF_DAY"), "(day=?)"),
        (text(users::STATEMENTS, "FIND_BY_EMAIL"), "(email=?)"),
        (text(api_keys::STATEMENTS, "LIST_OF_USER"), "api_keys_user (user_id=?)"),
        (text(ingest::NAMES, "FIND"), "(kind=? AND name=?)"),
        (
            "SELECT id FROM usage_events WHERE user_no = $1 AND started_at > $2".to_owned(),
            "usage_events_user (user_no=? AND started_at>?)",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("{EXPLAIN}{sql}"))).fetch_all(store.readers()).await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{sql}: {plan:?}");
    }
}
