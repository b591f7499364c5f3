use sqlx::AssertSqlSafe;
use store::sql::StoreKind;

use crate::fixture::Place;

type UsageQuery = (String, &'static [&'static str], &'static [&'static str]);

/// Queries that APIs of usage run: the text, and how SQLite and PostgreSQL find the rows of each table.
fn of_usage() -> Vec<UsageQuery> {
    let text = |name: &str| super::parts().into_iter().find(|(of, _)| *of == name).unwrap().1.to_owned();
    vec![
        (
            text("KEYS"),
            &[
                "INDEX daily_usage_user (user_no=? AND day>? AND day<?)",
                "SEARCH api_keys USING INDEX api_keys_",
                "SEARCH k USING INDEX",
                "SEARCH u USING",
            ],
            &["using daily_usage_user", "using api_keys_", "using users_pkey"],
        ),
        (
            text("ONE"),
            &["usage_events USING INDEX sqlite_autoindex_usage_events_1 (id=?)"],
            &["using usage_events_pkey"],
        ),
        (
            text("SETS_OF_LABEL"),
            &["INDEX sqlite_autoindex_label_members_2 (label_id=?)"],
            &["using label_members_label_id_label_set_no_key"],
        ),
        (text("MODEL"), &["(kind=? AND name=?)"], &["((kind = 'model'::text) AND (name = $1))"]),
        (text("ONLY_ATTEMPT"), &["a USING INDEX sqlite_autoindex_usage_events_1 (id=?)"], &["using usage_events_pkey"]),
        (
            text("ATTEMPTS"),
            &["a USING INDEX sqlite_autoindex_usage_attempts_2 (event_id=?)"],
            &["using usage_attempts_event_id_no_key"],
        ),
        (text("OF_USER"), &["INDEX usage_events_user (user_no=? AND started_at>?)"], &[IN_ORDER]),
        (
            text("OF_ALL"),
            &["usage_events USING INDEX sqlite_autoindex_usage_events_1 (id>?)"],
            &["Index Scan Backward using usage_events_pkey"],
        ),
    ]
}

/// Returns how the rows of a query of one user are found.
fn of_one_user(sql: &str) -> (&'static [&'static str], &'static [&'static str]) {
    let has = |name: &str| sql.contains(name);
    if has("minute * 60000000") && !has("usage_events") {
        return (&["INDEX usage_counts_user (user_no=? AND minute>? AND minute<?)"], &["using usage_counts_user"]);
    }
    if has("outcome <> 'completed'") {
        return (
            &["INDEX usage_events_unsuccessful_user (user_no=? AND started_at>? AND (started_at,id)<(?,?))"],
            &["using usage_events_unsuccessful_user"],
        );
    }
    if has("(started_at, id) <") {
        return (
            &["INDEX usage_events_user (user_no=? AND started_at>? AND (started_at,id)<(?,?))"],
            &["Backward using usage_events_user"],
        );
    }
    if has("daily_labels") {
        return (&["INDEX daily_labels_user (user_no=? AND day>? AND day<?)"], &["using daily_labels_user"]);
    }
    // The figures of some keys on a day.
    if has("key_no IN (") {
        return (
            &["INDEX sqlite_autoindex_daily_usage_2 (day=? AND user_no=? AND key_no=?)"],
            &["using daily_usage_day_user_no_key_no"],
        );
    }
    match (has("daily_usage"), has("daily_models"), has("daily_routes"), has("hourly_usage")) {
        (true, ..) => (&["INDEX daily_usage_user (user_no=? AND day"], &["using daily_usage_user"]),
        (_, true, ..) => (
            &["INDEX sqlite_autoindex_daily_models_2 (user_no=? AND day"],
            &["using daily_models_user_no_day_model_no_key"],
        ),
        (_, _, true, _) => (
            &["INDEX sqlite_autoindex_daily_routes_2 (user_no=? AND day"],
            &["using daily_routes_user_no_day_route_no_key"],
        ),
        (.., true) if has("usage_events") && has("outcome = 'budget_cut'") => {
            (&["INDEX sqlite_autoindex_hourly_usage_2 (user_no=? AND hour>? AND hour<?)"], &["using usage_events_user"])
        }
        (.., true) if has("AS of_key") => (
            &["INDEX sqlite_autoindex_hourly_usage_2 (user_no=? AND hour>? AND hour<?)"],
            &["using hourly_usage_user_no_hour", "using usage_events_"],
        ),
        (.., true) if has("usage_events") => (
            &[
                "INDEX sqlite_autoindex_hourly_usage_2 (user_no=? AND hour>? AND hour<?)",
                "COVERING INDEX usage_events_user (user_no=? AND started_at>? AND started_at<?)",
            ],
            &["using hourly_usage_user_no_hour", "Index Only Scan using usage_events_user"],
        ),
        (.., true) => (
            &["INDEX sqlite_autoindex_hourly_usage_2 (user_no=? AND hour>? AND hour<?)"],
            &["using hourly_usage_user_no_hour"],
        ),
        _ if has("usage_counts") && has("usage_events") => (
            &[
                "INDEX usage_events_user (user_no=? AND started_at>? AND started_at<?)",
                "INDEX usage_counts_user (user_no=? AND minute>? AND minute<?)",
            ],
            &["using usage_events_user", "using usage_counts_user"],
        ),
        // The counts of a day by route and status.
        _ if has("usage_counts") && has("AND day = $4") => {
            (&["INDEX usage_counts_user (user_no=? AND minute>? AND minute<?)"], &["using usage_counts_user"])
        }
        _ if has("usage_counts") => {
            (&["COVERING INDEX usage_counts_user (user_no=? AND minute>? AND minute<?)"], &["using usage_counts_user"])
        }
        _ => (&["INDEX usage_events_user (user_no=? AND started_at>? AND started_at<?)"], &["using usage_events_user"]),
    }
}

/// Returns how the rows of a query of all users are found: totals and counts by their time, events by their id.
fn of_all_users(sql: &str) -> (&'static [&'static str], &'static [&'static str]) {
    let has = |name: &str| sql.contains(name);
    if ["daily_usage", "daily_models", "daily_routes", "daily_labels"].into_iter().any(has) {
        (&["(day"], &["Index Cond: ("])
    } else if has("hourly_usage") {
        (&["INDEX hourly_usage_hour (hour>? AND hour<?)"], &["hourly_usage_hour"])
    } else if has("usage_counts") && has("AND id <") && !has("usage_events") {
        (&["INDEX sqlite_autoindex_usage_counts_1 (id>? AND id<?)"], &["usage_counts_pkey"])
    } else if has("usage_counts") {
        (&["usage_counts_minute (minute>? AND minute<?)"], &["usage_counts_minute"])
    } else if has("outcome <> 'completed'") {
        (&["INDEX usage_events_unsuccessful (id>? AND id<?)"], &["usage_events_unsuccessful"])
    } else if has(" AND model_no = 1") {
        (&["INDEX usage_events_model (model_no=? AND id>? AND id<?)"], &["usage_events_model"])
    } else {
        (&["INDEX sqlite_autoindex_usage_events_1 (id>? AND id<?)"], &["usage_events_pkey"])
    }
}

/// The queries that are built, as above. Those of plans also read all users, whose number bounds them.
fn of_built(kind: StoreKind) -> Vec<UsageQuery> {
    let built = super::built(kind).into_iter().filter(|sql| !sql.contains("plan_id"));
    // A filter by text reads all names.
    let built = built.filter(|sql| !sql.contains("LIKE"));
    let queries = built.filter(|sql| !sql.contains("max(k.used_at)")).map(|sql| {
        let is_of_all = sql.contains("CAST($1 AS BIGINT) IS NULL")
            || sql.contains("label_id = $1")
            || sql.starts_with("SELECT ") && sql.contains("AND id < $4");
        let (sqlite, postgres) = if is_of_all { of_all_users(&sql) } else { of_one_user(&sql) };
        // A text for SQLite has its own placeholders.
        let postgres = if sql.contains("$1") { postgres } else { &[] };
        (sql, sqlite, postgres)
    });
    queries.collect()
}

fn queries(kind: StoreKind) -> Vec<UsageQuery> {
    // The groups of a day's events have a text of their own for PostgreSQL.
    let is_shared = |(sql, ..): &UsageQuery| kind == StoreKind::Sqlite || !sql.contains("min(id)");
    let of_postgres = |(sql, ..): &UsageQuery| kind == StoreKind::Postgres && sql.contains("min(CAST(id AS TEXT))");
    let built = of_built(StoreKind::Sqlite).into_iter().filter(is_shared);
    let built = built.chain(of_built(StoreKind::Postgres).into_iter().filter(of_postgres));
    of_usage().into_iter().chain(built).collect()
}

/// Rows are read in the order of the index, and no more rows than needed.
const IN_ORDER: &str = "Index Scan Backward using usage_events_user";

/// Results of earlier steps of the query for time series.
const RESULTS: [&str; 6] = ["source", "top", "figures", "durations", "latency", "used"];

/// Whether a step of SQLite's plan reads a whole table; a result of an earlier step (in parentheses, or named by one
/// letter or in [`RESULTS`]) does not count.
fn reads_all(step: &str) -> bool {
    let is_table = |of: &str| of.len() > 1 && !RESULTS.contains(&of);
    step.strip_prefix("SCAN ").is_some_and(|of| !of.starts_with('(') && of.split(' ').next().is_some_and(is_table))
}

#[tokio::test]
async fn answers_about_usage_read_no_table_through_on_sqlite() {
    let place = Place::sqlite();
    let store = place.open().await;
    for (sql, found, _) in queries(StoreKind::Sqlite) {
        let plan: Vec<(i64, i64, i64, String)> =
            store.query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        for found in found {
            assert!(plan.iter().any(|step| step.contains(found)), "{found}: {sql}: {plan:#?}");
        }
        assert!(!plan.iter().any(|step| reads_all(step)), "{sql}: {plan:#?}");
    }
}

/// Only the rows of a page are sorted, after they are joined: each page would otherwise sort all events of the day.
#[tokio::test]
async fn pages_of_the_events_of_a_day_are_read_in_their_order_on_sqlite() {
    let place = Place::sqlite();
    let store = place.open().await;
    let page = format!("LIMIT {}) e", super::DAY_EVENTS_MAX);
    let pages: Vec<String> = super::built(StoreKind::Sqlite).into_iter().filter(|sql| sql.contains(&page)).collect();
    assert_eq!(pages.len(), 4);
    for sql in pages {
        let plan: Vec<(i64, i64, i64, String)> =
            store.query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).all().await.unwrap();
        let mut of_page = plan.iter().map_while(|(.., step)| (step != "SCAN e").then_some(step));
        assert!(of_page.all(|step| !step.contains("TEMP B-TREE")), "{sql}: {plan:#?}");
    }
}

#[tokio::test]
async fn answers_about_usage_read_no_table_through_on_postgres() {
    let place = Place::postgres().await;
    let mut transaction = place.open().await.begin().await.unwrap();
    // As above; in addition, the planner would sort the rows of an empty table.
    for setting in ["enable_seqscan = off", "enable_sort = off", "plan_cache_mode = force_generic_plan"] {
        transaction.query(AssertSqlSafe(format!("SET LOCAL {setting}"))).run().await.unwrap();
    }
    for (nth, (sql, _, found)) in
        queries(StoreKind::Postgres).into_iter().filter(|(.., found)| !found.is_empty()).enumerate()
    {
        let parameters = (1..=10).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let unknown = vec!["unknown"; parameters].join(", ");
        transaction
            .query(AssertSqlSafe(format!("PREPARE usage_{nth} ({unknown}) AS {sql}")))
            .once()
            .run()
            .await
            .unwrap();
        let nulls = vec!["NULL"; parameters].join(", ");
        let explain = format!("EXPLAIN EXECUTE usage_{nth} ({nulls})");
        let plan: Vec<(String,)> = transaction.query(AssertSqlSafe(explain)).once().all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(step,)| step).collect();
        for found in found {
            assert!(plan.iter().any(|step| step.contains(found)), "{found}: {sql}: {plan:#?}");
        }
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{sql}: {plan:#?}");
    }
}
