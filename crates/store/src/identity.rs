//! What a key's hash says: who holds it, and whether it opens anything.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use access::{Found, KeyHash, KeyId, KeyNo, NotFound, Plan, Principal, Timestamp, UserId, UserNo, UserStatus};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::dialect::Db;
use crate::error::StoreError;
use crate::plans::PlanRow;
use crate::statement::timestamp;
use crate::store::Store;
use crate::users::{self, Email};

/// Hashes in one question to the database.
pub(crate) const HASHES_MAX: usize = 32;

/// A list of hashes and a parenthesis follow.
const FIND: &str =
    "SELECT k.hash, k.id AS key_id, k.no AS key_no, k.label, k.prefix, k.last4, k.expires_at, k.revoked_at,
    u.id AS user_id, u.no AS user_no, u.email, u.name AS user_name, u.status, p.name, p.credits_per_day,
    p.requests_per_minute
    FROM api_keys k JOIN users u ON u.id = k.user_id JOIN plans p ON p.id = u.plan_id WHERE k.hash IN (";

/// A key that opens something, with its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The owner.
    pub user: IdentityUser,
    /// The key.
    pub key: IdentityKey,
}

/// The owner of an [`Identity`]. Its name, which may be the address, does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityUser {
    /// Its id.
    pub id: UserId,
    /// Its number in events.
    pub no: UserNo,
    /// Shown to people.
    pub name: String,
    /// Its address.
    pub email: Email,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Always active, today: keys of others open nothing.
    pub status: UserStatus,
}

impl fmt::Debug for IdentityUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityUser")
            .field("id", &self.id)
            .field("no", &self.no)
            .field("plan", &self.plan)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The key of an [`Identity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityKey {
    /// Its id.
    pub id: KeyId,
    /// Its number in events.
    pub no: KeyNo,
    /// What stands before the underscore.
    pub prefix: String,
    /// The last four digits.
    pub last4: String,
    /// What its owner calls it.
    pub label: String,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// What the data plane needs of it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            user: self.user.id,
            user_no: self.user.no,
            key: self.key.id,
            key_no: self.key.no,
            plan: self.user.plan.clone(),
            expires_at: self.key.expires_at,
        }
    }
}

#[derive(sqlx::FromRow)]
struct IdentityRow {
    hash: Vec<u8>,
    key_id: Uuid,
    key_no: i64,
    label: String,
    prefix: String,
    last4: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    user_id: Uuid,
    user_no: i64,
    email: String,
    user_name: String,
    status: String,
    #[sqlx(flatten)]
    plan: PlanRow,
}

impl IdentityRow {
    fn judge(self, now: Timestamp) -> Result<Result<Identity, NotFound>, StoreError> {
        let expires_at = self.expires_at.map(timestamp);
        let status = users::status(&self.status)?;
        if self.revoked_at.is_some() {
            return Ok(Err(NotFound::Revoked));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Ok(Err(NotFound::Expired));
        }
        if status == UserStatus::Suspended {
            return Ok(Err(NotFound::Suspended));
        }
        let user = IdentityUser {
            id: UserId(self.user_id),
            no: UserNo(self.user_no),
            name: self.user_name,
            email: Email::stored(self.email),
            plan: Arc::new(self.plan.into()),
            status,
        };
        let key = IdentityKey {
            id: KeyId(self.key_id),
            no: KeyNo(self.key_no),
            prefix: self.prefix,
            last4: self.last4,
            label: self.label,
            expires_at,
        };
        Ok(Ok(Identity { user, key }))
    }
}

impl Store {
    /// Who a key's hash makes a request.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Database`]. That a key opens nothing is no error of the store.
    pub async fn find_principal(&self, hash: KeyHash) -> Result<Found, StoreError> {
        Ok(self.identity(hash).await?.map(|identity| Arc::new(identity.principal())))
    }

    /// Who holds the key with this hash, in full.
    ///
    /// # Errors
    /// As [`Store::find_principal`].
    pub async fn identity(&self, hash: KeyHash) -> Result<Result<Identity, NotFound>, StoreError> {
        let mut found = self.identities(&[hash]).await?;
        Ok(found.remove(&hash).unwrap_or(Err(NotFound::Unknown)))
    }

    /// Who holds the keys with these hashes, at most [`HASHES_MAX`]; unknown ones are absent.
    pub(crate) async fn identities(
        &self,
        hashes: &[KeyHash],
    ) -> Result<HashMap<KeyHash, Result<Identity, NotFound>>, StoreError> {
        let rows: Vec<IdentityRow> = find(hashes).build_query_as().fetch_all(self.readers()).await?;
        let now = self.clock().now();
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            if let Ok(hash) = <[u8; 32]>::try_from(row.hash.as_slice()) {
                found.insert(KeyHash(hash), row.judge(now)?);
            }
        }
        Ok(found)
    }
}

/// The question about `hashes`. The last one is repeated up to a power of two, so that few texts are prepared.
fn find(hashes: &[KeyHash]) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(FIND);
    let mut list = query.separated(", ");
    let repeated = hashes.last().into_iter().cycle();
    for hash in hashes.iter().chain(repeated).take(hashes.len().next_power_of_two()) {
        list.push_bind(hash.0.to_vec());
    }
    list.push_unseparated(")");
    query
}

/// Every text that [`find`] makes.
#[cfg(test)]
pub(crate) fn texts() -> Vec<String> {
    (0..=HASHES_MAX.ilog2()).map(|power| find(&vec![KeyHash([0; 32]); 1 << power]).into_string()).collect()
}
