//! The action of the endpoints that list models.

mod listing;

use access::Timestamp;
use ai::EndpointCall;
use ai::models::ModelCard;
use config::CatalogModel;
use config::snapshot::Traffic;

use super::ActionResponse;
use super::inference::model_plan::{no_model, not_in_plan};
use super::limit::limit_free;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::client::dialect::dialect_of;
use crate::refusal::problem::Problem;
use crate::refusal::render;

/// Lists the models that the key and its plan include, or describes the model in the path. Other models are reported as missing,
/// with the plan if that leaves the model out.
pub(crate) async fn models(
    called: &EndpointCall<'_>,
    account: &mut RequestAccount,
    client: &Client,
) -> Result<ActionResponse, Problem> {
    let admission = limit_free(account, Some(client)).await?;
    let snapshot = &account.request.snapshot;
    let bounds = &client.principal.bounds;
    let traffic = &snapshot.traffic;
    let at = account.request.started_at;
    let dialect = dialect_of(called, &account.request.head);
    let plan = client.principal.plan.name.as_str();
    let owner = snapshot.process.brand.slug();
    let body = match called.model.as_deref() {
        None => {
            // Boxed, because its future is large and other requests do not need it.
            let own = Box::pin(listing::of_providers(&account.request, client)).await;
            let models = traffic.listed_in_plan(plan, at, |name| bounds.opens_model(name), &own);
            let cards: Vec<ModelCard<'_>> = models.iter().map(|model| card(traffic, model, at)).collect();
            ai::models::list(dialect, &cards, owner)
        }
        Some(name) if traffic.serves_in_plan(plan, name) && bounds.opens_model(name) => {
            let meant = traffic.meant_in_plan(Some(plan), name);
            let described = traffic.described_name(meant, at);
            let card = described.as_ref().map_or(ModelCard::named(name), |model| card(traffic, model, at));
            ai::models::one(dialect, &ModelCard { name, ..card }, owner)
        }
        Some(name) if bounds.opens_model(name) && is_served(traffic, plan, name) => {
            return Err(not_in_plan(plan, name));
        }
        Some(name) => return Err(no_model(name)),
    };
    Ok(ActionResponse::Own(Box::new(render::json(body)), admission.rate))
}

/// Returns the description of a model for clients.
fn card<'a>(traffic: &'a Traffic, model: &'a CatalogModel<'a>, at: Timestamp) -> ModelCard<'a> {
    ModelCard {
        name: &model.name,
        known_model: Some(traffic.known_name(model.provider, model.model)),
        limits: model.limits,
        price: model.price,
        today: at.day(),
    }
}

/// Whether a model is served to users with some plan, under the name that this plan gives it.
fn is_served(traffic: &Traffic, plan: &str, name: &str) -> bool {
    traffic.serves(traffic.meant_in_plan(Some(plan), name))
}
