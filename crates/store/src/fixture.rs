//! A database for one test, and what tests of the three crates with SQL share. Each of them includes this file.

use access::{Clock, Credits, RequestId, Secret, Timestamp};
use meter::{Caller, Charge, Outcome, UsageEvent};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};
use store::sql::StoreKind;
use store::{Node, OpenError, Options, Store};
use tempfile::TempDir;

#[path = "../tests/it/migrated.rs"]
mod migrated;
#[path = "../tests/it/postgres.rs"]
pub(crate) mod postgres;

/// Maximum time to wait for a connection, as long as tests wait for a condition on a busy machine.
const ACQUIRE: std::time::Duration = std::time::Duration::from_secs(20);

/// A database that only one test uses.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) url: Option<Secret>,
    /// Whether the first [`Place::open`] runs all migrations.
    pub(crate) is_empty: bool,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None, is_empty: false }
    }

    pub(crate) async fn postgres() -> Self {
        Self { url: Some(postgres::database("").await), ..Self::sqlite() }
    }

    /// Creates one place per supported database; without a server, as `make unit` does with `TOLLGATE_TEST_STORE=sqlite`, that of
    /// SQLite alone.
    pub(crate) async fn both() -> Vec<Self> {
        Self::both_from("", false).await
    }

    /// Like [`Place::both`], without tables: other places are copies of a database to which the migrations were applied.
    pub(crate) async fn both_empty() -> Vec<Self> {
        Self::both_from("TEMPLATE template0", true).await
    }

    async fn both_from(template: &str, is_empty: bool) -> Vec<Self> {
        let mut places = vec![Self { is_empty, ..Self::sqlite() }];
        if std::env::var("TOLLGATE_TEST_STORE").as_deref() != Ok("sqlite") {
            places.push(Self { url: Some(postgres::database(template).await), is_empty, ..Self::sqlite() });
        }
        places
    }

    pub(crate) fn options(&self, migrate: bool) -> Options<'_> {
        let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
        Options { url: self.url.as_ref(), data: self.folder.path(), migrate, clock }
    }

    pub(crate) async fn try_open(&self) -> Result<Store, OpenError> {
        if self.url.is_none() && !self.is_empty {
            migrated::copy_into(self.folder.path()).await;
        }
        Store::open_waiting(self.options(true), ACQUIRE).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn join(&self, store: &Store) -> Node {
        store.join(self.folder.path(), "1.2.3").await.unwrap()
    }
}

/// Runs one statement that no crate contains.
pub(crate) async fn tell(store: &Store, sql: &str) {
    let mut transaction = store.begin().await.unwrap();
    transaction.query(AssertSqlSafe(sql)).once().run().await.unwrap();
    transaction.commit().await.unwrap();
}

/// An LLM request of one credit that got a response, without attempts.
pub(crate) fn event(id: RequestId, caller: Option<Caller>, at: Timestamp) -> UsageEvent {
    UsageEvent {
        id,
        subject: caller.into(),
        started_at: at,
        day: at.day(),
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(1)),
        route: "ai".into(),
        format: Some("chat".into()),
        model: Some("fast".into()),
        streamed: true,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 36,
        response_bytes: 37,
        duration_us: 38,
        attempts: Vec::new(),
        refusal: None,
        origin: meter::RequestOrigin::default(),
    }
}

/// Query for every table except those of the migrations, with its columns in order: table, column, type, whether it is
/// the primary key.
pub(crate) const fn catalogue(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Sqlite => {
            "SELECT t.name, c.name, c.type, c.pk <> 0 FROM sqlite_master t JOIN pragma_table_info(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations' ORDER BY t.name, c.cid"
        }
        StoreKind::Postgres => {
            "SELECT c.table_name::text, c.column_name::text, upper(c.data_type::text), EXISTS (SELECT 1
                FROM information_schema.table_constraints t JOIN information_schema.key_column_usage k
                    USING (constraint_schema, constraint_name)
                WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_schema = c.table_schema
                    AND k.table_name = c.table_name AND k.column_name = c.column_name)
            FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name <> '_sqlx_migrations'
            ORDER BY c.table_name COLLATE \"C\", c.ordinal_position"
        }
    }
}

/// Returns the text of a list that `statements!` declared.
pub(crate) fn text(list: &[(&str, &str)], name: &str) -> String {
    list.iter().find(|(of, _)| *of == name).unwrap().1.to_owned()
}

/// The statements of one list that `statements!` declared, by their names.
pub(crate) type Statements = [(&'static str, &'static str)];

/// Checks that both databases accept every text of a crate: the statements of the lists, and those that it builds. A
/// statement on a missing table or column cannot be prepared.
pub(crate) async fn prepare_all(lists: &[&Statements], built: impl AsyncFn(&Store) -> Vec<String>) {
    for place in Place::both().await {
        let store = place.open().await;
        let listed = lists.iter().copied().flatten().map(|(_, sql)| (*sql).to_owned());
        let texts = listed.chain(built(&store).await);
        let mut connection = match &place.url {
            None => {
                let file = place.folder.path().join("tollgate.db");
                Err(SqliteConnection::connect(file.to_str().unwrap()).await.unwrap())
            }
            Some(url) => Ok(PgConnection::connect(url.expose()).await.unwrap()),
        };
        for sql in texts {
            let text = AssertSqlSafe(sql.clone()).into_sql_str();
            let prepared = match &mut connection {
                Err(sqlite) => sqlite.prepare(text).await.map(|_| ()),
                Ok(postgres) => postgres.prepare(text).await.map(|_| ()),
            };
            assert!(prepared.is_ok(), "{sql}: {:?}", prepared.err());
        }
    }
}

/// Checks that SQLite finds the rows of each query by the index that is named as in SQLite's plan, without a scan.
pub(crate) async fn check_indexes_of_sqlite(hot: Vec<(String, &'static str)>) {
    let place = Place::sqlite();
    let store = place.open().await;
    for (sql, index) in hot {
        let plan: Vec<(i64, i64, i64, String)> =
            store.query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        // The rows that a window function counts are those of a subquery.
        let is_scan = |step: &String| step.starts_with("SCAN") && !step.starts_with("SCAN (subquery");
        assert!(!plan.iter().any(is_scan), "{sql}: {plan:?}");
    }
}

/// Checks that PostgreSQL can find the rows of each query by an index.
pub(crate) async fn check_indexes_of_postgres(hot: Vec<(String, &'static str)>) {
    let place = Place::postgres().await;
    let mut transaction = place.open().await.begin().await.unwrap();
    // The planner would scan an empty table, so the test shows which index it could use.
    transaction.query("SET LOCAL enable_seqscan = off").run().await.unwrap();
    transaction.query("SET LOCAL plan_cache_mode = force_generic_plan").run().await.unwrap();
    for (nth, (sql, _)) in hot.into_iter().enumerate() {
        let parameters = (1..=100).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let unknown = vec!["unknown"; parameters].join(", ");
        transaction.query(AssertSqlSafe(format!("PREPARE hot_{nth} ({unknown}) AS {sql}"))).once().run().await.unwrap();
        let nulls = vec!["NULL"; parameters].join(", ");
        let explain = format!("EXPLAIN EXECUTE hot_{nth} ({nulls})");
        let plan: Vec<(String,)> = transaction.query(AssertSqlSafe(explain)).once().all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(step,)| step).collect();
        assert!(plan.iter().any(|step| step.contains("Index Cond")), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{sql}: {plan:?}");
    }
}

/// Checks that queries for shared credentials read only those: every look-up after a change waits for them, however
/// many users have their own.
pub(crate) async fn check_index_of_shared_credentials(texts: &[String]) {
    for place in Place::both().await {
        let mut transaction = place.open().await.begin().await.unwrap();
        for sql in texts {
            let plan = match transaction.kind() {
                StoreKind::Sqlite => {
                    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                    let plan: Vec<(i64, i64, i64, String)> = transaction.query(explain).once().all().await.unwrap();
                    plan.into_iter().map(|(.., detail)| detail).collect::<String>()
                }
                StoreKind::Postgres => {
                    transaction.query("SET LOCAL enable_seqscan = off").run().await.unwrap();
                    let explain = AssertSqlSafe(format!("EXPLAIN {sql}"));
                    let plan: Vec<(String,)> = transaction.query(explain).once().all().await.unwrap();
                    plan.into_iter().map(|(step,)| step).collect()
                }
            };
            assert!(
                plan.contains("provider_keys_everybodys") || plan.contains("provider_keys_shared"),
                "{sql}: {plan}"
            );
            assert!(!plan.contains("Seq Scan") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
