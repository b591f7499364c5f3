//! The check whether anything is left for a call, before expensive work on its body. It refuses only what the exact reservation,
//! which needs the result of that work, would refuse too.

use access::{Credits, NanoUsd, Tokens};
use ai::RequestFields;
use ai::bound::Extent;
use meter::{Charge, Measure};

use super::InferenceEndpoint;
use super::model_plan::InferenceRequest;
use crate::account::client::Client;
use crate::account::permits::BudgetHold;
use crate::account::{InferenceCall, RequestAccount};
use crate::limits::budget;
use crate::refusal::problem::Problem;

/// Refuses a call whose model is not known yet: before its body is inflated.
pub(super) async fn check_unread(
    account: &RequestAccount,
    endpoint: &InferenceEndpoint,
    client: &Client,
) -> Result<(), Problem> {
    let traffic = &account.request.snapshot.traffic;
    let credits = match traffic.credit_rates.of_plan(&client.principal.plan.name) {
        Some(rates) => rates.minimum,
        // A name that is no entry costs a credit at least.
        None => {
            let flat = traffic.models.iter().map(|entry| entry.credits);
            flat.min().unwrap_or(Credits::whole(1)).min(Credits::whole(1))
        }
    };
    let least = (!endpoint.called.endpoint.free()).then(|| Charge::credits(credits));
    budget::check(account, &client.limits, least).await
}

/// Refuses a call to a target. A further attempt of a call is not checked: most of its usage is reserved already.
pub(super) async fn check(
    account: &RequestAccount,
    fields: &RequestFields,
    of: InferenceRequest<'_>,
    call: &InferenceCall,
) -> Result<(), Problem> {
    if !matches!(account.permits.budgets, BudgetHold::Nothing) {
        return Ok(());
    }
    let least = (!call.free).then(|| least(account, fields, of, call));
    budget::check(account, &of.client.limits, least).await
}

/// Returns the least that the call can use: that of an empty body without output. Of a measure that the call uses at all, it is
/// one unit, as the whole is unknown.
fn least(account: &RequestAccount, fields: &RequestFields, of: InferenceRequest<'_>, call: &InferenceCall) -> Charge {
    let credits = Charge::credits(of.plan.least_credits());
    let limits = &of.client.limits;
    let limits_money = limits.limits_money(call.own_credential);
    if !limits_money && !limits.limits(Measure::Tokens) {
        return credits;
    }
    let traffic = &account.request.snapshot.traffic;
    let at = account.request.started_at;
    let provider = &call.provider;
    let model = &*call.model;
    let host = &provider.origin.host;
    let extent = Extent::read(&of.endpoint.called, fields, b"{}").limited(0).at_host(host).of_model(host, model);
    let bound = extent.bound(traffic.price(provider, (model, None), at), traffic.limits(provider, model, at));
    let mut least = match bound.money {
        Some(money) if limits_money && money > NanoUsd::ZERO => Charge::money(NanoUsd(1)),
        Some(_) | None => Charge::default(),
    };
    least.credits = credits.credits;
    if limits.limits(Measure::Tokens) && bound.tokens.is_some_and(|tokens| tokens > Tokens::ZERO) {
        least.tokens = Tokens(1);
    }
    if call.own_credential { least.unpooled() } else { least }
}
