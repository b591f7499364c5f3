//! A separate database for each behaviour, and functions that fill it. Tests of `ledger` and `cluster` include this file.

use std::num::NonZeroU32;
use std::sync::Mutex;

use access::{ApiKey, Clock, Credits, Ids, MasterKey, Plan, RequestId, Secret, Timestamp, UserId, Vault};
use store::{Email, Key, NewKey, NewUser, Node, OpenError, Options, Store, User};
use tempfile::TempDir;

use crate::{migrated, postgres};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    url: Option<Secret>,
    pub(crate) clock: Clock,
    ids: Mutex<Ids>,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        let clock = Clock::manual(NOW);
        let ids = Mutex::new(Ids::new(clock.clone()));
        Self { folder: tempfile::tempdir().unwrap(), url: None, clock, ids }
    }

    pub(crate) async fn postgres() -> Self {
        Self::from_url(postgres::database("").await)
    }

    /// Uses an existing PostgreSQL database with a new data folder.
    pub(crate) fn from_url(url: Secret) -> Self {
        Self { url: Some(url), ..Self::sqlite() }
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_ref().unwrap().expose()
    }

    /// Opens a handle to the database: each call represents one more process.
    pub(crate) async fn store(&self) -> Store {
        self.try_store().await.unwrap()
    }

    pub(crate) async fn try_store(&self) -> Result<Store, OpenError> {
        let url = self.url.as_ref();
        let data = self.folder.path();
        if url.is_none() {
            migrated::copy_into(data).await;
        }
        Store::open(Options { url, data, migrate: true, clock: self.clock.clone() }).await
    }

    /// Starts the node of the data folder once more.
    pub(crate) async fn node(&self, store: &Store) -> Node {
        store.join(self.folder.path(), "1.2.3").await.unwrap()
    }

    pub(crate) fn id(&self) -> RequestId {
        RequestId(self.ids.lock().unwrap().next_uuid())
    }
}

pub(crate) fn plan(name: &str, credits_per_day: u64) -> Plan {
    Plan {
        credits_per_day: Some(Credits::whole(credits_per_day)),
        requests_per_minute: NonZeroU32::new(60),
        ..Plan::unlimited(name)
    }
}

/// Returns a vault with a different master key for each number up to 25.
pub(crate) fn vault(number: u8) -> Vault {
    Vault::new(&master_key(number), None)
}

pub(crate) fn master_key(number: u8) -> MasterKey {
    let digit = char::from(b'A' + number);
    MasterKey::parse(&format!("{}A", digit.to_string().repeat(42))).unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// Creates a user with the plan `starter`.
pub(crate) async fn user(store: &Store, address: &str) -> User {
    store.ensure_plans(&[plan("starter", 1_000)]).await.unwrap();
    let new = NewUser::member(email(address), "Ada", "starter");
    store.create_user(&store::Actor::COMMAND, new).await.unwrap()
}

pub(crate) fn new_key(user: UserId, secret: &ApiKey) -> NewKey {
    NewKey::unbounded(user, "laptop", secret)
}

pub(crate) async fn key(store: &Store, user: UserId) -> (ApiKey, Key) {
    let secret = ApiKey::generate("tollgate").unwrap();
    let key = store.create_key(&store::Actor::COMMAND, new_key(user, &secret)).await.unwrap();
    (secret, key)
}
