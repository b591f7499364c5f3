//! Purges of stored responses, which every node applies in the order of their numbers.

use serde_json::json;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{signed, statements, unsigned};

/// Maximum number of purges that remain. A node that has missed more than these empties its cache.
pub const CACHE_PURGES_MAX: u64 = 1_000;

/// The kind of a purge that concerns no response.
const NOTHING: &str = "none";

statements! {
    LAST = "SELECT coalesce(max(no), 0) FROM cache_purges";
    ADD = "INSERT INTO cache_purges (id, no, kind, text, soft, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)";
    DELETE = "DELETE FROM cache_purges WHERE no <= $1";
    AFTER = "SELECT id, no, kind, text, soft FROM cache_purges WHERE no > $1 ORDER BY no LIMIT 1000";
}

/// A purge of stored responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPurge {
    /// Id of the purge, which no other store has.
    pub id: Uuid,
    /// Number of the purge: one more than that of the purge before.
    pub number: u64,
    /// What the text is: `url`, `prefix`, `tag`, or `none` if nothing is purged.
    pub kind: String,
    /// The URL, its beginning, or the tag.
    pub text: String,
    /// Whether the responses are marked stale, and not removed.
    pub soft: bool,
}

impl Store {
    /// Records a purge, deletes those beyond the maximum, and returns its number. The line of the audit log does not
    /// have the text, which may contain an e-mail address. A purge of nothing has no line.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn add_cache_purge(&self, by: &Actor, kind: &str, text: &str, soft: bool) -> Result<u64, DatabaseError> {
        // The lock of the revision's row makes numbers visible in their order.
        let mut transaction = self.begin_quiet().await?;
        let (last,): (i64,) = transaction.query(LAST).one().await?;
        let id = self.new_id();
        let number = last.saturating_add(1);
        let add = transaction.query(ADD).bind(id).bind(number).bind(kind.to_owned()).bind(text.to_owned());
        add.bind(soft).bind(self.now()).run().await?;
        transaction.query(DELETE).bind(number.saturating_sub(signed(CACHE_PURGES_MAX))).run().await?;
        if kind != NOTHING {
            let act = Act::new(AuditAction::CachePurge, id, None).with(json!({"kind": kind, "soft": soft}));
            self.note(&mut transaction, by, act).await?;
        }
        transaction.commit().await?;
        Ok(unsigned(number))
    }

    /// Returns the purges after the one with this number, in their order. At most the last [`CACHE_PURGES_MAX`] exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn cache_purges_after(&self, number: u64) -> Result<Vec<StoredPurge>, DatabaseError> {
        let rows: Vec<(Uuid, i64, String, String, bool)> = self.query(AFTER).bind(signed(number)).all().await?;
        let purge = |(id, no, kind, text, soft)| StoredPurge { id, number: unsigned(no), kind, text, soft };
        Ok(rows.into_iter().map(purge).collect())
    }
}
