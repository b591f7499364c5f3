//! The actions of routes on admitted requests. Each action has its module.

pub(crate) mod bound;
pub(crate) mod credential;
pub(crate) mod forward;
mod hash_key;
pub(crate) mod inference;
pub(crate) mod models;
pub(crate) mod respond;
mod rewrite;
mod tunnel;

use ai::EndpointCall;
use bytes::Bytes;
use config::snapshot;
use http::Response;
use meter::rate::RateLevel;
use meter::{AdmissionInfo, Charge, Reservation};

use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::forward::UpstreamResponse;
use crate::limits::budget;
use crate::limits::subject_quota;
use crate::refusal::problem::Problem;
use crate::response::relay::TappedResponse;

/// The action of the route that a request matches.
pub(crate) enum Action<'a> {
    /// The request is forwarded to the upstream of a configured route.
    Forward(forward::ForwardedRoute<'a>),
    /// The gateway's own response, from the configuration.
    Respond(&'a snapshot::FixedResponse),
    /// The client is sent to another address.
    Redirect(&'a snapshot::Redirect),
    /// An LLM call is sent to a provider.
    Inference(inference::InferenceEndpoint),
    /// The gateway reports that it runs.
    Status,
    /// The models that the client may use are listed.
    Models(EndpointCall<'static>),
}

/// The response of an action.
pub(crate) enum Handled {
    /// A response that the gateway created, with the state of the client's rate limit.
    Own(Response<Bytes>, Option<RateLevel>),
    /// An upstream's response, which is to be relayed.
    Relayed(RelayedResponse),
}

/// An upstream's response, with what relaying it needs.
pub(crate) struct RelayedResponse {
    pub(crate) answered: UpstreamResponse,
    pub(crate) tap: Option<Box<TappedResponse>>,
    pub(crate) admission: AdmissionInfo,
}

/// Reserves the maximum usage of the request in every limit and budget of its client; `charge` is `None` for a free
/// request. A client without a user has the quota and the budgets of its plan, an anonymous client no limits.
async fn limit(
    account: &mut RequestAccount,
    client: Option<&Client>,
    charge: Option<Charge>,
) -> Result<AdmissionInfo, Problem> {
    let of_subject = match client {
        None if charge.is_some_and(|charge| charge != Charge::default()) => subject_quota::limits(account).await?,
        None | Some(_) => None,
    };
    let reservation = match client.map(|client| &client.limits).or(of_subject.as_ref()) {
        Some(limits) => budget::reserve(account, limits, charge).await?,
        None => Reservation::open(),
    };
    let admission = reservation.info();
    account.reserved(reservation);
    Ok(admission)
}

/// Counts a request to which the gateway itself responds: it is free, but has a rate limit.
async fn limit_free(account: &mut RequestAccount, client: Option<&Client>) -> Result<AdmissionInfo, Problem> {
    let admission = limit(account, client, None).await?;
    account.spend();
    Ok(admission)
}
