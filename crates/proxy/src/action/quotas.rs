//! The action of the paths at which a client reads its quotas and budgets. It reads counters of this process only.

use std::borrow::Cow;

use access::{Amount, Principal};
use ai::models::quota::{KeyQuotas, QuotaForm, QuotaWindow};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http1::KnownName;
use meter::{BudgetLevel, BudgetScope, Limits};

use super::ActionResponse;
use super::limit::limit_free;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::account::request::RequestContext;
use crate::refusal::limit_items::budget_name;
use crate::refusal::problem::Problem;
use crate::refusal::render;

/// Reports the quotas and budgets of the client, also of one that has used them up. Those that several users share are omitted.
pub(crate) async fn quotas(
    form: QuotaForm,
    account: &mut RequestAccount,
    client: &Client,
) -> Result<ActionResponse, Problem> {
    let admission = limit_free(account, Some(client)).await?;
    let request = &account.request;
    let principal = &client.principal;
    let key_id = principal.key.to_string();
    let user_id = principal.user.to_string();
    let quotas = KeyQuotas {
        plan: &principal.plan.name,
        key_id: &key_id,
        user_id: &user_id,
        models: principal.bounds.models.as_deref().unwrap_or_default(),
        expires_at: principal.expires_at,
        windows: windows(request, principal, &client.limits),
        now: request.wall_at(),
    };
    let is_text = form == QuotaForm::Usage && prefers_text(request);
    let mut response = if is_text { text(quotas.line()) } else { render::json(quotas.body(form)) };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(ActionResponse::Own(Box::new(response), admission.rate))
}

/// Returns the windows of a key, the least share left first, and then its rates.
fn windows(request: &RequestContext, principal: &Principal, limits: &Limits) -> Vec<QuotaWindow> {
    let now = request.wall_at();
    let of_budget = |BudgetLevel { budget, name, period, limit, left, unspent }| {
        let name = name.map_or_else(|| budget_name(budget), |name| Cow::Owned(name.to_string()));
        QuotaWindow { name, scope: budget.scope, budget: Some(budget), limit, left, unspent, resets_at: period.end() }
    };
    let mut windows: Vec<QuotaWindow> = limits.levels(now).map(of_budget).collect();
    windows.sort_by_key(|window| u128::from(window.left.0) * 1_000_000 / u128::from(window.limit.0.max(1)));
    let rates = [
        (BudgetScope::Key(principal.key_no), principal.bounds.requests_per_minute),
        (BudgetScope::User(principal.user_no), principal.plan.requests_per_minute),
    ];
    for (owner, limit) in rates.into_iter().filter_map(|(owner, limit)| Some((owner, limit?))) {
        let level = request.worker().shared.meter.rate_level(owner, limit, false, request.mono());
        let left = Amount(level.remaining.into());
        windows.push(QuotaWindow {
            name: Cow::Borrowed("requests_per_minute"),
            scope: owner,
            budget: None,
            limit: Amount(level.limit.into()),
            left,
            unspent: left,
            resets_at: now.after(level.reset),
        });
    }
    windows
}

/// Whether the client asks for text and not for JSON.
fn prefers_text(request: &RequestContext) -> bool {
    request.head.get(KnownName::Accept).is_some_and(|accept| accept.starts_with(b"text/plain"))
}

fn text(line: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(line));
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}
