//! Keys of all users, with their owners, newest first.

use access::{KeyId, Timestamp};
use uuid::Uuid;

use super::row::{KeyRow, key_columns};
use super::{KEYS_PAGE_MAX, Key};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{micros, statements};

/// Maximum number of keys that one page scans. If few keys match the filter, a page may be shorter than requested, or empty,
/// although another page follows.
const LOOKED_AT_MAX: i64 = 5_000;

statements! {
    EVERYBODYS = concat!("SELECT ", key_columns!(), ",
            (SELECT u.name FROM users u WHERE u.id = api_keys.user_id) AS owner_name,
            (SELECT u.email FROM users u WHERE u.id = api_keys.user_id) AS owner_email
        FROM api_keys WHERE id < $1 AND id >= $2
        AND ($3 = 0 OR CASE WHEN revoked_at IS NOT NULL THEN 3 WHEN expires_at <= $4 THEN 2 ELSE 1 END = $3)
        AND coalesce(used_at, created_at) < $5
        AND ($6 = '' OR lower(label) LIKE lower($6) ESCAPE '!' OR lower(last4) LIKE lower($6) ESCAPE '!' OR user_id IN (
            SELECT id FROM users WHERE lower(name) LIKE lower($6) ESCAPE '!' OR lower(email) LIKE lower($6) ESCAPE '!'))
        ORDER BY id DESC LIMIT $7");
    SCAN_END = "SELECT id FROM api_keys WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
}

/// Filter for the keys of all users.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Only keys in this state.
    pub state: Option<OwnedKeyState>,
    /// Only keys that were not used since this time; keys without a use count from their creation.
    pub unused_since: Option<Timestamp>,
    /// Only keys whose label, last four characters, or owner's name or address contain this text, in any case of ASCII letters.
    pub text: Option<String>,
}

/// The state of a key. Each key has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnedKeyState {
    /// The key is accepted, if its user is active.
    Active,
    /// The expiry of the key has passed.
    Expired,
    /// The key was revoked.
    Revoked,
}

/// A key with its owner.
#[derive(Debug, Clone)]
pub struct OwnedKey {
    /// The key without its secret.
    pub key: Key,
    /// Name of the owner.
    pub owner_name: String,
    /// Address of the owner; `None` for a service user.
    pub owner_email: Option<String>,
}

/// One page of keys.
#[derive(Debug, Clone, Default)]
pub struct KeyPage {
    /// Keys of the page.
    pub keys: Vec<OwnedKey>,
    /// Key before which the next page begins; `None` at the end. An empty page may have a next page.
    pub next: Option<KeyId>,
}

#[derive(sqlx_macros::FromRow)]
struct OwnedKeyRow {
    #[sqlx(flatten)]
    key: KeyRow,
    owner_name: Option<String>,
    owner_email: Option<String>,
}

impl OwnedKeyState {
    /// Returns the number in the query.
    const fn number(self) -> i64 {
        match self {
            Self::Active => 1,
            Self::Expired => 2,
            Self::Revoked => 3,
        }
    }
}

impl KeyFilter {
    /// Returns the pattern of the text for `LIKE`; empty without a text.
    fn pattern(&self) -> String {
        let escaped =
            |letter: char| if matches!(letter, '%' | '_' | '!') { format!("!{letter}") } else { letter.into() };
        let text = self.text.as_deref().filter(|text| !text.is_empty());
        text.map_or_else(String::new, |text| format!("%{}%", text.chars().map(escaped).collect::<String>()))
    }

    const fn selects_some(&self) -> bool {
        self.state.is_some() || self.unused_since.is_some() || self.text.is_some()
    }
}

impl TryFrom<OwnedKeyRow> for OwnedKey {
    type Error = DatabaseError;

    fn try_from(row: OwnedKeyRow) -> Result<Self, DatabaseError> {
        let key = Key::try_from(row.key)?;
        Ok(Self { key, owner_name: row.owner_name.unwrap_or_default(), owner_email: row.owner_email })
    }
}

impl Store {
    /// Returns up to `limit` keys of all users that were created before `before`, newest first. The number of scanned keys is
    /// bounded.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn keys_of_everybody(
        &self,
        filter: &KeyFilter,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<KeyPage, DatabaseError> {
        let limit = limit.clamp(1, KEYS_PAGE_MAX - 1);
        let before = before.map_or(Uuid::max(), |key| key.0);
        let scanned = LOOKED_AT_MAX - 1;
        let stop: Option<(Uuid,)> =
            if filter.selects_some() { self.query(SCAN_END).bind(before).bind(scanned).find().await? } else { None };
        let stop = stop.map(|(id,)| id);
        let unused = filter.unused_since.map_or(i64::MAX, micros);
        let rows = self.query(EVERYBODYS).bind(before).bind(stop.unwrap_or_default());
        let rows = rows.bind(filter.state.map_or(0, OwnedKeyState::number)).bind(self.now()).bind(unused);
        let rows: Vec<OwnedKeyRow> = rows.bind(filter.pattern()).bind(i64::from(limit) + 1).all().await?;
        let mut keys = rows.into_iter().map(OwnedKey::try_from).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if keys.len() > limit {
            keys.truncate(limit);
            keys.last().map(|last| last.key.id)
        } else {
            stop.map(KeyId)
        };
        Ok(KeyPage { keys, next })
    }
}
