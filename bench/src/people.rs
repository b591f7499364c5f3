//! Users and keys for measurements of the store.

use access::{ApiKey, Plan, UserId};
use anyhow::Context;
use store::{Email, NewKey, NewUser, Store};

/// The name of users and keys.
const NAME: &str = "bench";

/// Creates a user without limits.
pub(crate) async fn user(store: &Store) -> anyhow::Result<UserId> {
    users(store, 1).await?.pop().context("no user was created")
}

/// Creates `count` users without limits.
pub(crate) async fn users(store: &Store, count: u32) -> anyhow::Result<Vec<UserId>> {
    store.ensure_plans(&[Plan::unlimited(NAME)]).await?;
    let mut created = Vec::new();
    for nth in 0..count {
        let email = Email::parse(&format!("bench{nth}@example.com"))?;
        let new = NewUser::member(email, NAME, NAME);
        created.push(store.create_user(&store::Actor::COMMAND, new).await?.id);
    }
    Ok(created)
}

/// Creates users of an existing plan, each with a key. Returns the keys.
pub(crate) async fn callers(store: &Store, plan: &str, count: u32) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for nth in 0..count {
        let email = Email::parse(&format!("caller{nth}@example.com"))?;
        let user = store.create_user(&store::Actor::COMMAND, NewUser::member(email, NAME, plan)).await?.id;
        let secret = ApiKey::generate(NAME)?;
        store.create_key(&store::Actor::COMMAND, NewKey::of(user, NAME, &secret)).await?;
        keys.push(secret.expose().to_owned());
    }
    Ok(keys)
}

/// Creates a key of the user.
pub(crate) async fn key(store: &Store, user: UserId) -> anyhow::Result<()> {
    let secret = ApiKey::generate(NAME)?;
    store.create_key(&store::Actor::COMMAND, NewKey::of(user, NAME, &secret)).await?;
    Ok(())
}
