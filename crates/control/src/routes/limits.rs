//! `GET /api/limits`: the rate limits and daily quotas, with the keys that have used the largest part of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::message::problem::Problem;
use crate::nouns::limit_states::{LimitSources, LimitStates, LimitStatesError, LiveLimits};
use crate::process::state::App;
use crate::sign_in::caller::Admin;

impl From<LimitStatesError> for Problem {
    fn from(error: LimitStatesError) -> Self {
        match error {
            LimitStatesError::Database(error) => error.into(),
            LimitStatesError::Search(error) => Self::fault(error),
        }
    }
}

/// Lists the rate limits of the running configuration, `requests_per_minute` of plans and keys, and the daily quotas of users
/// and of clients without a user, with the keys that are near them. Figures of users cover all processes, figures of other keys
/// this process.
#[utoipa::path(get, path = "/api/limits", tag = "admin", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = LimitStates, example = json!({
        "is_live": true, "is_shared": false,
        "items": [{"kind": "rate_limit", "name": "ip", "route": null, "dimensions": ["ip"], "policy": "\"ip\";q=100;w=60", "tiers": [],
            "is_without_key": false, "algorithm": "sliding_window", "is_shared": false, "place": "tollgate.yaml:8:5", "refused": 12,
            "overshoot": 0, "unusable": 0, "busy_keys": 1,
            "keys": [{"values": [{"dimension": "ip", "value": "203.0.113.9", "id": null, "label": null, "owner": null}], "limit": 100, "used": 93,
                "remaining": 7, "resets_at": "2026-11-20T08:04:33Z", "refused": 0}]}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin) -> Result<Json<LimitStates>, Problem> {
    let snapshot = app.live.load_full();
    let live = app.meter.as_ref().map(|meter| LiveLimits {
        meter,
        metrics: &app.metrics,
        nodes: app.windows.sharing_state().map(|state| state.nodes()),
    });
    let store = &app.store;
    let ledger = &app.ledger;
    let clock = &app.clock;
    Ok(Json(LimitStates::list(LimitSources { store, ledger, snapshot: &snapshot, clock, live }).await?))
}
