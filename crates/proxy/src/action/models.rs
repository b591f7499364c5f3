//! The action of the endpoints that list models.

use ai::EndpointCall;
use bytes::Bytes;
use http::Response;

use super::inference::request;
use crate::account::RequestAccount;
use crate::answer::{self, Problem};
use crate::authenticate::Client;
use crate::dialect::dialect_of;

/// Lists the models that the key may use, or returns the model in the path. Other models are reported as missing.
pub(crate) fn models(
    called: &EndpointCall<'_>,
    account: &RequestAccount,
    client: &Client,
) -> Result<Response<Bytes>, Problem> {
    let (snapshot, bounds) = (&account.request.snapshot, &client.principal.bounds);
    let dialect = dialect_of(called, &account.request.head);
    let mut names = snapshot.traffic.model_names();
    names.retain(|name| bounds.opens_model(name));
    let owner = snapshot.process.brand.slug();
    let body = match called.model.as_deref() {
        None => ai::models::list(dialect, &names, owner),
        Some(name) if snapshot.traffic.serves(name) && bounds.opens_model(name) => {
            ai::models::one(dialect, name, owner)
        }
        Some(name) => return Err(request::no_model(name)),
    };
    Ok(answer::json(body))
}
