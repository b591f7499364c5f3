use super::*;
use crate::fixture::{Place, tell};

static STORED: Insert = Insert::new(
    "stored_rows",
    &["no", "word", "flag", "state", "size"],
    &[("word", SqlType::Text), ("flag", SqlType::Boolean), ("state", SqlType::Text)],
    "ON CONFLICT (no) DO NOTHING",
)
.with_usual(&[("word", UsualValue::Null), ("state", UsualValue::Text("done")), ("size", UsualValue::Bigint(-1))]);

static ADDED: Insert = Insert::new(
    "added_columns",
    &["no", "word", "size", "flag"],
    &[("word", SqlType::Text), ("flag", SqlType::Boolean)],
    "",
)
.with_added(2)
.with_usual(&[("size", UsualValue::Null)]);

type StoredRow = (i64, Option<String>, bool, &'static str, i64);
/// The values of a row, and its times.
type ReadRow = (i64, Option<String>, bool, String, i64, i64, i64);

fn bind<'r>(stored: &'r StoredRow, row: &mut Values<'r>) {
    let (no, word, flag, state, size) = stored;
    row.put(*no).put(word.as_deref()).put(*flag).put(*state).put(*size);
}

#[test]
fn conflicts_add_all_values_but_the_key_and_keep_the_id() {
    static SUMS: Insert =
        Insert::adding("sums", &["id", "day", "requests", "cost_nano"], &[("id", SqlType::Uuid)], &["day"]);
    let text = SUMS.text(StoreKind::Postgres, Shape::Full, 1);
    let (_, conflict) = text.split_once(" ON CONFLICT ").unwrap();
    let words: Vec<&str> = conflict.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "(day) DO UPDATE SET requests = sums.requests + excluded.requests, \
         cost_nano = CASE WHEN sums.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807 \
         ELSE sums.cost_nano + excluded.cost_nano END, updated_at = excluded.updated_at"
    );
}

/// Statements have 16, 4 or 1 rows on SQLite, and up to 1,024 on PostgreSQL.
#[tokio::test]
async fn batches_of_every_size_store_each_value_once_in_its_column() {
    for place in Place::both().await {
        let store = place.open().await;
        tell(
            &store,
            "CREATE TABLE stored_rows (no BIGINT PRIMARY KEY, word TEXT, flag BOOLEAN NOT NULL, state TEXT NOT NULL,
            size BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
        )
        .await;
        let mut expected = Vec::new();
        for count in (0_i64..40).chain([1_030]) {
            let first = i64::try_from(expected.len()).unwrap();
            let word = |no: i64| (no % 3 == 0 || no % 7 == 0).then(|| format!("word {no}"));
            let row = |no: i64| {
                let state = if no % 11 == 0 { "failed" } else { "done" };
                let size = if no % 13 == 0 { no } else { -1 };
                (no, word(no), no % 2 == 0, state, size)
            };
            let rows: Vec<StoredRow> = (first..first + count).map(row).collect();
            let mut transaction = store.begin_bulk().await.unwrap();
            let written = STORED.bulk(&mut transaction, count, &rows, bind).await.unwrap();
            let again = STORED.bulk(&mut transaction, -1, &rows, bind).await.unwrap();
            assert_eq!((written, again), (u64::try_from(count).unwrap(), 0), "{:?}", store.kind());
            transaction.commit().await.unwrap();
            expected.extend(
                rows.into_iter()
                    .map(|(no, word, flag, state, size)| (no, word, flag, state.to_owned(), size, count, count)),
            );
        }
        let read =
            store.query("SELECT no, word, flag, state, size, created_at, updated_at FROM stored_rows ORDER BY no");
        let stored: Vec<ReadRow> = read.all().await.unwrap();
        assert_eq!(stored, expected, "{:?}", store.kind());
    }
}

#[tokio::test]
async fn columns_that_a_migration_added_get_their_values_after_the_times() {
    for place in Place::both().await {
        let store = place.open().await;
        tell(
            &store,
            "CREATE TABLE added_columns (no BIGINT PRIMARY KEY, word TEXT, created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL, size BIGINT, flag BOOLEAN)",
        )
        .await;
        let rows: Vec<(i64, String, Option<i64>, bool)> =
            (0..21).map(|no| (no, format!("word {no}"), (no % 5 == 0).then_some(no * 10), no % 2 == 0)).collect();
        let mut transaction = store.begin_bulk().await.unwrap();
        let written = ADDED
            .bulk(&mut transaction, 7, &rows, |(no, word, size, flag), row| {
                row.put(*no).put(word.as_str()).put(*size).put(*flag);
            })
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let read = store.query("SELECT no, word, size, flag, created_at, updated_at FROM added_columns ORDER BY no");
        let stored: Vec<(i64, String, Option<i64>, bool, i64, i64)> = read.all().await.unwrap();
        let expected: Vec<_> = rows.into_iter().map(|(no, word, size, flag)| (no, word, size, flag, 7, 7)).collect();
        assert_eq!((written, stored), (21, expected), "{:?}", store.kind());
    }
}

#[tokio::test]
async fn a_row_with_a_missing_value_is_refused() {
    for place in Place::both().await {
        let store = place.open().await;
        let mut transaction = store.begin_bulk().await.unwrap();
        let written = STORED
            .bulk(&mut transaction, 0, &[1_i64, 2], |no, row| {
                row.put(*no).put(None::<&str>);
            })
            .await;
        let error = std::error::Error::source(&written.unwrap_err()).unwrap().to_string();
        assert!(error.contains("stored_rows gets 2 values for 5 columns"), "{error}");
    }
}
