//! The actions of routes on admitted requests. Each action has its module.

pub(crate) mod bound;
pub(crate) mod cached;
mod changed_body;
pub(crate) mod credential;
pub(crate) mod forward;
mod hash_key;
pub(crate) mod inference;
mod limit;
pub(crate) mod models;
mod off_worker;
pub(crate) mod quotas;
pub(crate) mod respond;
mod rewrite;
mod tunnel;

use ai::EndpointCall;
use ai::models::quota::QuotaForm;
use bytes::Bytes;
use config::snapshot;
use http::Response;
use meter::AdmissionInfo;
use meter::rate::RateLevel;

pub(crate) use crate::action::changed_body::ChangedResponse;
use crate::forward::UpstreamResponse;
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
    /// The quotas and budgets of the client are reported.
    Quotas(QuotaForm),
    /// The models that the client may use are listed.
    Models(EndpointCall<'static>),
}

/// The response of an action.
pub(crate) enum ActionResponse {
    /// A response that the gateway created, with the state of the client's rate limit.
    Own(Box<Response<Bytes>>, Option<RateLevel>),
    /// An upstream's response, which is to be relayed.
    Relayed(RelayedResponse),
    /// An upstream's response whose body the route has changed, with the state of the client's rate limit.
    Changed(ChangedResponse, Option<RateLevel>),
}

/// An upstream's response, with what relaying it needs.
pub(crate) struct RelayedResponse {
    pub(crate) answered: UpstreamResponse,
    pub(crate) tap: Option<Box<TappedResponse>>,
    pub(crate) admission: AdmissionInfo,
}
