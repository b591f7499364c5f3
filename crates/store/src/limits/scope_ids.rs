//! Public ids and names of the keys, users, subjects and plans that budgets and leases refer to.

use std::collections::{BTreeSet, HashMap};

use access::{BudgetScope, KeyId, KeyNo, PlanId, SubjectId, UserId, UserNo};
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{ASKED_MAX, SqlValue, StoreKind, Texts, padded};

pub(crate) static KEYS: Texts =
    Texts::new(|kind, count| text(kind, count, "SELECT no, id, last4 FROM api_keys WHERE no IN "));
pub(crate) static USERS: Texts = Texts::new(|kind, count| text(kind, count, "SELECT no, id FROM users WHERE no IN "));

pub(crate) static SUBJECTS: Texts =
    Texts::new(|kind, count| text(kind, count, "SELECT id, kind, issuer, name FROM subjects WHERE id IN "));

#[derive(sqlx_macros::FromRow)]
struct SubjectRow {
    id: Uuid,
    #[sqlx(flatten)]
    subject: StoredSubject,
}

/// Maps scopes to the ids under which lists and the admin API show them. Scopes that the store does not know are
/// missing.
#[derive(Debug, Clone, Default)]
pub struct ScopeIds {
    keys: HashMap<KeyNo, (KeyId, String)>,
    users: HashMap<UserNo, UserId>,
    subjects: HashMap<SubjectId, StoredSubject>,
    plans: HashMap<PlanId, String>,
}

/// A subject without a user, as the store names it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct StoredSubject {
    /// The kind, as [`SubjectKind::as_str`](access::SubjectKind::as_str) spells it.
    pub kind: String,
    /// The issuer of a token, or the name of an entry of `auth`; empty for certificates.
    pub issuer: String,
    /// The name within the issuer.
    pub name: String,
}

impl ScopeIds {
    /// The id and the last four digits of a key.
    #[must_use]
    pub fn key(&self, no: KeyNo) -> Option<(KeyId, &str)> {
        self.keys.get(&no).map(|(id, last4)| (*id, last4.as_str()))
    }

    /// The id of a user.
    #[must_use]
    pub fn user(&self, no: UserNo) -> Option<UserId> {
        self.users.get(&no).copied()
    }

    /// The kind, the issuer and the name of a subject.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> Option<&StoredSubject> {
        self.subjects.get(&id)
    }

    /// The name of a plan.
    #[must_use]
    pub fn plan(&self, id: PlanId) -> Option<&str> {
        self.plans.get(&id).map(String::as_str)
    }
}

impl Store {
    /// Finds the public ids of `scopes`, with one query for every 32 of them.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn scope_ids(&self, scopes: impl IntoIterator<Item = BudgetScope>) -> Result<ScopeIds, DatabaseError> {
        let mut keys = BTreeSet::new();
        let mut users = BTreeSet::new();
        let mut subjects = BTreeSet::new();
        let mut has_plans = false;
        for scope in scopes {
            match scope {
                BudgetScope::Key(KeyNo(no)) => keys.extend([no]),
                BudgetScope::User(UserNo(no)) => users.extend([no]),
                BudgetScope::Subject(SubjectId(id)) => subjects.extend([id]),
                BudgetScope::Plan(_) => has_plans = true,
                BudgetScope::Global => {}
            }
        }
        let mut ids = ScopeIds::default();
        for some in keys.into_iter().collect::<Vec<_>>().chunks(ASKED_MAX) {
            let rows: Vec<(i64, Uuid, String)> = self.numbered(&KEYS, some).all().await?;
            ids.keys.extend(rows.into_iter().map(|(no, id, last4)| (KeyNo(no), (KeyId(id), last4))));
        }
        for some in users.into_iter().collect::<Vec<_>>().chunks(ASKED_MAX) {
            let rows: Vec<(i64, Uuid)> = self.numbered(&USERS, some).all().await?;
            ids.users.extend(rows.into_iter().map(|(no, id)| (UserNo(no), UserId(id))));
        }
        for some in subjects.into_iter().collect::<Vec<_>>().chunks(ASKED_MAX) {
            let rows: Vec<SubjectRow> = self.numbered(&SUBJECTS, some).all().await?;
            ids.subjects.extend(rows.into_iter().map(|row| (SubjectId(row.id), row.subject)));
        }
        if has_plans {
            ids.plans = self.stored_plans().await?.into_iter().map(|stored| (stored.id, stored.plan.name)).collect();
        }
        Ok(ids)
    }

    fn numbered<I>(&self, texts: &'static Texts, numbers: &[I]) -> crate::sql::Query<'_>
    where
        I: for<'t> SqlValue<'t> + Copy,
    {
        let numbers = padded(numbers);
        let query = self.query(texts.text_for(self.kind(), numbers.len()));
        numbers.into_iter().fold(query, |query, no| query.bind(no))
    }
}

fn text(kind: StoreKind, count: usize, select: &str) -> String {
    let mut text = select.to_owned();
    kind.placeholders(count, &mut text);
    text
}
