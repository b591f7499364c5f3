//! `pages`: the latency of every read of the dashboard's pages over HTTP, in a store with many events.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::loader::Loader;
use crate::overview::ADMIN;
use crate::read_flags::{ReadFlags, ReadServer};
use crate::reads::Reads;

/// The maximum of the 95th percentile of each read.
const TARGET: Duration = Duration::from_millis(200);
/// The number of events in the store.
const EVENTS: u64 = 1_000_000;
/// The reads of a user's pages, as `dashboard/features` sends them.
const READS: [&str; 16] = [
    "/api/site",
    "/api/me",
    "/api/dashboard/overview",
    "/api/usage/history?days=14",
    "/api/usage/history?days=90",
    "/api/usage/series?step=day&by=model",
    "/api/usage/series?step=hour",
    "/api/usage/requests?limit=50",
    "/api/usage/requests?limit=50&status=4xx",
    "/api/keys?revoked=true&limit=200",
    "/api/models",
    "/api/providers",
    "/api/usage/series?step=hour&by=key",
    "/api/usage/series?step=minute&by=model",
    "/api/usage/series?step=day&by=route",
    "/api/usage/today",
];
/// The reads of an admin's pages.
const ADMIN_READS: [&str; 14] = [
    "/api/me",
    "/api/dashboard/overview",
    "/api/users?limit=50",
    "/api/users?limit=50&status=active",
    "/api/users?email=user-7%40example.com",
    "/api/users/{user}",
    "/api/users/{user}/keys?limit=50&revoked=true",
    "/api/dashboard/overview?user_id={user}",
    "/api/invites?limit=50",
    "/api/plans",
    "/api/budgets?limit=50",
    "/api/audit?limit=50",
    "/api/provider-keys?shared=true",
    "/api/sessions?limit=50",
];

/// Runs the measurements and prints a line for each. Returns whether all met the target.
pub(crate) async fn run(flags: ReadFlags) -> anyhow::Result<bool> {
    let ReadServer { server, reads, database: _database } = flags.start(EVENTS).await?;
    let mut good = true;
    for path in READS {
        good &= reads.meet(path, TARGET).await?;
    }
    let admin = sign_in(&reads).await?;
    let users = admin.first_json("/api/users?limit=200").await?;
    let user = users.pointer("/items/0/id").and_then(|id| id.as_str()).context("a list of users")?.to_owned();
    for path in ADMIN_READS {
        good &= admin.meet(&path.replace("{user}", &user), TARGET).await?;
    }
    server.stop().await?;
    Ok(good)
}

/// Returns the same reads with the access token of an admin.
async fn sign_in(reads: &Reads) -> anyhow::Result<Reads> {
    let mut loader = Loader::connect(reads.address, None).await?;
    let body = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    let session = loader.send("POST", "/api/auth/login", &body).await?.json()?;
    let token = session.get("access_token").and_then(|token| token.as_str()).context("an access token")?;
    Ok(Reads { keys: Arc::from([Arc::from(token)]), ..*reads })
}
