//! Look-up of a key and its owner by the key's hash, with the check whether the key is valid.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use access::{
    Amount, BudgetId, BudgetScope, KeyBounds, KeyHash, KeyId, KeyNo, LabelSet, Last4, LookupResult, NotFound, Plan,
    PlanId, Principal, Role, SubscriptionDates, Timestamp, UserId, UserNo, UserStatus,
};
use uuid::Uuid;

use crate::accounts::users::{self, Email};
use crate::columns::bounds_row::BoundsRow;
use crate::columns::labels::stored_labels;
use crate::error::DatabaseError;
use crate::limits::budgets::{ApplicableBudget, EVERYBODY};
use crate::opening::handle::Store;
use crate::plans::PlanRow;
use crate::sql::{ASKED_MAX, StoreKind, Texts, padded, timestamp};

/// Columns of a key and its owner. The query puts the presented secret's hash before them, and its expiry if it was
/// replaced.
const READ: &str = "k.id AS key_id, k.no AS key_no, k.label, k.prefix, k.last4, k.expires_at, k.revoked_at,
    k.credits_per_day AS key_credits_per_day, k.requests_per_minute AS key_requests_per_minute, k.routes, k.models,
    k.addresses, k.control, k.admin, k.labels AS key_labels, u.labels AS user_labels, u.role, u.id AS user_id, u.no AS user_no, u.email, u.name AS user_name, u.status, u.hold, u.plan_id, p.name, p.credits_per_day,
    p.requests_per_minute, p.budgets, p.shared_keys
    FROM api_keys k JOIN users u ON u.id = k.user_id JOIN plans p ON p.id = u.plan_id";
/// Finds keys by their current and by their previous secret. A list of hashes follows each. For 32 of them, in 300,000
/// keys, 0.22 to 0.30 ms became 0.38 to 0.44 on PostgreSQL, where one query with OR took 0.60, and 0.25 ms 0.29 on
/// SQLite (pgbench and sqlite3, 2026-11-20).
const BY_SECRET: (&str, &str) = ("SELECT k.hash AS asked, NULL AS until, ", "k.hash");
const BY_PREVIOUS: (&str, &str) = ("SELECT k.previous_hash AS asked, k.previous_until AS until, ", "k.previous_hash");
/// Whether any stored budget applies to the key; if none does, the budgets are not queried.
const IS_HELD: &str = "EXISTS (SELECT 1 FROM budgets b WHERE b.scope_id IN (k.id, u.id, u.plan_id, ";

pub(crate) static TEXTS: Texts = Texts::new(text);

/// A valid key with its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Owner of the key.
    pub user: IdentityUser,
    /// Key with its bounds.
    pub key: IdentityKey,
    /// Budgets that apply in addition to the limits of plan and key.
    pub budgets: Arc<[(BudgetId, Amount)]>,
}

/// The owner of an [`Identity`]. `Debug` omits the name, which may be the address.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityUser {
    /// Public id of the user.
    pub id: UserId,
    /// Number that usage events use for the user.
    pub no: UserNo,
    /// Name that is shown to people.
    pub name: String,
    /// E-mail address of the user; `None` for a service user.
    pub email: Option<Email>,
    /// Id of the user's plan.
    pub plan_id: PlanId,
    /// Plan of the user.
    pub plan: Arc<Plan>,
    /// Always active at present: keys of suspended users are invalid.
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
    /// Public id of the key.
    pub id: KeyId,
    /// Number that usage events use for the key.
    pub no: KeyNo,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// Name that the owner gives the key.
    pub label: String,
    /// The key is invalid from this time on.
    pub expires_at: Option<Timestamp>,
    /// Expiry of the presented secret if it is the one before the last rotation.
    pub rotated: Option<Timestamp>,
    /// Whether the key may call what admins call: it has the scope `admin`, and its user is an admin.
    pub is_admin: bool,
    /// Limits of the key in addition to those of its owner.
    pub bounds: Arc<KeyBounds>,
    /// The labels of the key, and those of the user with other names.
    pub labels: LabelSet,
}

impl Identity {
    /// Sets the budgets: those of the plan, and the stored ones that apply to the key.
    fn hold(&mut self, held: &[ApplicableBudget]) {
        let Identity { user, key, .. } = &*self;
        let of_plan = user.plan.budgets.iter().map(|budget| budget.id_and_amount(BudgetScope::User(user.no)));
        let held = held.iter().map(|held| held.id_and_amount(user.no, key.no, user.plan_id));
        self.budgets = of_plan.chain(held).collect();
    }

    /// Returns the user, if a budget begins with the user's subscription.
    fn subscriber(&self) -> Option<UserId> {
        self.budgets.iter().any(|(id, _)| id.per.is_of_subscription()).then_some(self.user.id)
    }

    /// Begins the windows of the user's subscription.
    fn begin_windows(&mut self, dates: SubscriptionDates) {
        self.user.plan = Arc::new((*self.user.plan).clone().for_subscriber(dates));
        self.budgets = self
            .budgets
            .iter()
            .map(|(id, amount)| (BudgetId { per: id.per.for_subscriber(dates), ..*id }, *amount))
            .collect();
    }

    /// Returns the part that the data plane needs.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            user: self.user.id,
            user_no: self.user.no,
            key: self.key.id,
            key_no: self.key.no,
            last4: Last4::parse(&self.key.last4),
            plan_id: self.user.plan_id,
            plan: self.user.plan.clone(),
            budgets: self.budgets.clone(),
            expires_at: self.key.expires_at.into_iter().chain(self.key.rotated).min(),
            rotated: self.key.rotated,
            is_admin: self.key.is_admin,
            bounds: self.key.bounds.clone(),
            provider_keys: access::ProviderKeys::default(),
            labels: self.key.labels.clone(),
        }
    }
}

#[derive(sqlx_macros::FromRow)]
struct IdentityRow {
    asked: Vec<u8>,
    until: Option<i64>,
    is_held: bool,
    key_id: Uuid,
    key_no: i64,
    label: String,
    prefix: String,
    last4: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    admin: bool,
    key_labels: Option<String>,
    user_labels: Option<String>,
    role: String,
    user_id: Uuid,
    user_no: i64,
    email: String,
    user_name: String,
    status: String,
    hold: bool,
    plan_id: Uuid,
    #[sqlx(flatten)]
    bounds: BoundsRow,
    #[sqlx(flatten)]
    plan: PlanRow,
}

/// Whether a key whose user has unpaid invoices is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnpaidUse {
    Refused,
    Accepted,
}

impl IdentityRow {
    fn judge(self, now: Timestamp, unpaid: UnpaidUse) -> Result<Result<Identity, NotFound>, DatabaseError> {
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
        if self.hold && unpaid == UnpaidUse::Refused {
            return Ok(Err(NotFound::Unpaid));
        }
        let rotated = self.until.map(timestamp);
        if rotated.is_some_and(|until| until <= now) {
            return Ok(Err(NotFound::Rotated));
        }
        let bounds = KeyBounds::try_from(self.bounds)?;
        let user = IdentityUser {
            id: UserId(self.user_id),
            no: UserNo(self.user_no),
            name: self.user_name,
            email: Email::stored(self.email),
            plan_id: PlanId(self.plan_id),
            plan: Arc::new(self.plan.try_into()?),
            status,
        };
        let key = IdentityKey {
            id: KeyId(self.key_id),
            no: KeyNo(self.key_no),
            prefix: self.prefix,
            last4: self.last4,
            label: self.label,
            expires_at,
            rotated,
            is_admin: self.admin && users::role(&self.role)? == Role::Admin,
            labels: stored_labels(self.key_labels.as_deref()).over(&stored_labels(self.user_labels.as_deref())),
            bounds: if bounds.is_unbounded() { KeyBounds::none() } else { Arc::new(bounds) },
        };
        Ok(Ok(Identity { budgets: Arc::default(), user, key }))
    }
}

impl Store {
    /// Returns the principal of the key with this hash.
    ///
    /// # Errors
    /// Database errors of any kind. An invalid key is not an error of the store.
    pub async fn find_principal(&self, hash: KeyHash) -> Result<LookupResult, DatabaseError> {
        Ok(self.identity(hash).await?.map(|identity| Arc::new(identity.principal())))
    }

    /// Returns the key with this hash and its owner, with all their fields.
    ///
    /// # Errors
    /// The errors of [`Store::find_principal`].
    pub async fn identity(&self, hash: KeyHash) -> Result<Result<Identity, NotFound>, DatabaseError> {
        let mut found = self.identities(&[hash]).await?;
        Ok(found.remove(&hash).unwrap_or(Err(NotFound::Unknown)))
    }

    /// Returns the key as [`identity`](Self::identity) does, also while invoices of its owner are not paid.
    ///
    /// # Errors
    /// The errors of [`Store::find_principal`].
    pub async fn identity_of_payer(&self, hash: KeyHash) -> Result<Result<Identity, NotFound>, DatabaseError> {
        let mut found = self.judged(&[hash], UnpaidUse::Accepted).await?;
        Ok(found.remove(&hash).unwrap_or(Err(NotFound::Unknown)))
    }

    /// Returns the keys with these hashes and their owners; unknown hashes are absent.
    ///
    /// # Errors
    /// The errors of [`Store::find_principal`].
    pub async fn identities(
        &self,
        hashes: &[KeyHash],
    ) -> Result<HashMap<KeyHash, Result<Identity, NotFound>>, DatabaseError> {
        self.judged(hashes, UnpaidUse::Refused).await
    }

    async fn judged(
        &self,
        hashes: &[KeyHash],
        unpaid: UnpaidUse,
    ) -> Result<HashMap<KeyHash, Result<Identity, NotFound>>, DatabaseError> {
        let mut found = HashMap::with_capacity(hashes.len());
        for asked in hashes.chunks(ASKED_MAX) {
            let asked = padded(asked);
            let mut query = self.look_up(TEXTS.text_for(self.kind(), asked.len()));
            for _ in [BY_SECRET, BY_PREVIOUS] {
                query = asked.iter().fold(query.bind(EVERYBODY), |query, hash| query.bind(hash.0.to_vec()));
            }
            let rows: Vec<IdentityRow> = query.all().await?;
            let held: Vec<KeyId> = rows.iter().filter(|row| row.is_held).map(|row| KeyId(row.key_id)).collect();
            let held = if held.is_empty() { HashMap::new() } else { self.budgets_holding(&held).await? };
            let now = self.clock().now();
            let mut subscribers = Vec::new();
            let mut judged = Vec::with_capacity(rows.len());
            for row in rows {
                let hash = <[u8; 32]>::try_from(row.asked.as_slice());
                let mut of_row = row.judge(now, unpaid)?;
                if let Ok(identity) = &mut of_row {
                    identity.hold(held.get(&identity.key.id).map_or(&[], Vec::as_slice));
                    subscribers.extend(identity.subscriber());
                }
                judged.extend(hash.ok().map(|hash| (KeyHash(hash), of_row)));
            }
            let dates = self.subscription_dates(&subscribers).await?;
            for (hash, mut of_hash) in judged {
                if let Ok(identity) = &mut of_hash
                    && let Some(dates) = dates.get(&identity.user.id)
                {
                    identity.begin_windows(*dates);
                }
                found.insert(hash, of_hash);
            }
        }
        Ok(found)
    }
}

/// Builds the query for a number of hashes. Each half has the scope id of global budgets, then the hashes.
fn text(kind: StoreKind, hashes: usize) -> String {
    let half = |(select, column): (&str, &str), first: usize| {
        let mut text = format!("{select}{IS_HELD}");
        kind.placeholder(first, &mut text);
        text.push_str(&format!(")) AS is_held, {READ} WHERE {column} IN "));
        kind.placeholders_from(first + 1, hashes, &mut text);
        text
    };
    let by_secret = half(BY_SECRET, 1);
    let by_previous = half(BY_PREVIOUS, hashes + 2);
    format!("{by_secret} UNION ALL {by_previous}")
}
