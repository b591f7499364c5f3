//! `GET /api/usage/today`.

use std::sync::Arc;

use access::{KeyId, KeyNo, NanoUsd, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use store::{KeyUsage, Totals};
use uuid::Uuid;

use crate::caller::Caller;
use crate::input;
use crate::moment::date;
use crate::problem::Problem;
use crate::quota::Quota;
use crate::state::App;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key_id: Option<Uuid>,
}

/// What was recorded of the day; the last three fields are the live meter's, and the user's also for one key.
#[derive(Debug, Serialize)]
pub(super) struct Today {
    date: String,
    #[serde(flatten)]
    used: Used,
    limit: Option<u64>,
    remaining: Option<u64>,
    resets_at: String,
    by_key: Vec<OfKey>,
}

#[derive(Debug, Serialize)]
struct OfKey {
    key_id: KeyId,
    label: String,
    prefix: String,
    last4: String,
    #[serde(flatten)]
    used: Used,
}

#[derive(Debug, Serialize)]
struct Used {
    requests: u64,
    credits: u64,
    tokens: Tokens,
    cost: Cost,
    unpriced_requests: u64,
}

/// Disjoint classes; `total` is their sum.
#[derive(Debug, Serialize)]
struct Tokens {
    input: u64,
    cached_input: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    total: u64,
}

#[derive(Debug, Serialize)]
struct Cost {
    amount_nano: NanoUsd,
    currency: &'static str,
}

impl From<&Totals> for Used {
    fn from(totals: &Totals) -> Self {
        let cache_write = totals.cache_write_short.saturating_add(totals.cache_write_long);
        let classes = [totals.input, totals.cached_input, cache_write, totals.output, totals.reasoning];
        let tokens = Tokens {
            input: totals.input,
            cached_input: totals.cached_input,
            cache_write,
            output: totals.output,
            reasoning: totals.reasoning,
            total: classes.into_iter().fold(0, u64::saturating_add),
        };
        Self {
            requests: totals.requests,
            credits: totals.credits,
            tokens,
            cost: Cost { amount_nano: totals.cost, currency: "USD" },
            unpriced_requests: totals.unpriced_requests,
        }
    }
}

impl From<KeyUsage> for OfKey {
    fn from(usage: KeyUsage) -> Self {
        let used = Used::from(&usage.total);
        Self { key_id: usage.key, label: usage.label, prefix: usage.prefix, last4: usage.last4, used }
    }
}

/// What the caller's user has used since midnight UTC, with all keys or with `?key_id=`.
pub(super) async fn today(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<Today>, Problem> {
    let Asked { key_id } = input::query(request.uri())?;
    let key = match key_id {
        Some(id) => Some(own_key(&app, &caller, KeyId(id)).await?),
        None => None,
    };
    let principal = &caller.principal;
    let day = app.clock.now().day();
    let usage = app.store.usage_of_day(principal.user_no, key, day).await.map_err(Problem::store)?;
    let quota = Quota::of(&app, principal.user_no, &principal.plan, day);
    Ok(Json(Today {
        date: date(day),
        used: Used::from(&usage.total),
        limit: quota.limit,
        remaining: quota.remaining,
        resets_at: quota.resets_at,
        by_key: usage.by_key.into_iter().map(OfKey::from).collect(),
    }))
}

/// The number of a key of the caller's user, revoked ones included.
///
/// # Errors
/// `not_found`, also for a key of another user: whether it exists is not told.
async fn own_key(app: &App, caller: &Caller, id: KeyId) -> Result<KeyNo, Problem> {
    let principal = &caller.principal;
    if id == principal.key {
        return Ok(principal.key_no);
    }
    let keys = app.store.keys(Some(principal.user)).await.map_err(Problem::store)?;
    let found = keys.into_iter().find(|key| key.id == id);
    found.map(|key| key.no).ok_or_else(|| Problem::new(Refusal::NotFound, "you have no key with this id"))
}
