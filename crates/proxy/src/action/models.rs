//! The action of the endpoints that list models.

use ai::EndpointCall;
use config::snapshot::Traffic;

use super::Handled;
use super::inference::model_plan::{no_model, not_in_plan};
use super::limit::limit_free;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::client::dialect::dialect_of;
use crate::refusal::problem::Problem;
use crate::refusal::render;

/// Lists the models that the key and its plan include, or returns the model in the path. Other models are reported as missing,
/// with the plan if that leaves the model out.
pub(crate) async fn models(
    called: &EndpointCall<'_>,
    account: &mut RequestAccount,
    client: &Client,
) -> Result<Handled, Problem> {
    let admission = limit_free(account, Some(client)).await?;
    let (snapshot, bounds) = (&account.request.snapshot, &client.principal.bounds);
    let dialect = dialect_of(called, &account.request.head);
    let plan = client.principal.plan.name.as_str();
    let mut names = snapshot.traffic.model_names_in_plan(plan);
    names.retain(|name| bounds.opens_model(name));
    let owner = snapshot.process.brand.slug();
    let body = match called.model.as_deref() {
        None => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            ai::models::list(dialect, &names, owner)
        }
        Some(name) if snapshot.traffic.serves_in_plan(plan, name) && bounds.opens_model(name) => {
            ai::models::one(dialect, name, owner)
        }
        Some(name) if bounds.opens_model(name) && is_served(&snapshot.traffic, plan, name) => {
            return Err(not_in_plan(plan, name));
        }
        Some(name) => return Err(no_model(name)),
    };
    Ok(Handled::Own(Box::new(render::json(body)), admission.rate))
}

/// Whether a model is served to users with some plan, under the name that this plan gives it.
fn is_served(traffic: &Traffic, plan: &str, name: &str) -> bool {
    traffic.serves(traffic.meant_in_plan(Some(plan), name))
}
