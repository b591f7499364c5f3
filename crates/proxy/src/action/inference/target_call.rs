//! An LLM call as one of its targets gets it, and the attempt to send it.

use std::rc::Rc;

use access::Secret;
use ai::bound::{Extent, LoweredLimit};
use ai::tap::ResponseFraming;
use ai::{EndpointCall, Format, RequestFields, Tap};
use bytes::Bytes;
use config::snapshot::Target;
use http1::KnownName;
use meter::Charge;

use super::InferenceEndpoint;
use super::model_plan::ModelPlan;
use super::parsed_call::{ON_WORKER_BYTES_MAX, ParsedCall, off_worker};
use crate::account::client::Client;
use crate::account::{InferenceCall, RequestAccount};
use crate::action::bound::{CallLimits, CallSize};
use crate::action::limit::limit;
use crate::action::{Handled, RelayedResponse, bound, credential};
use crate::body::upload::Upload;
use crate::forward::{Outgoing, forward, undirected, unwritable};
use crate::refusal::problem::Problem;
use crate::response::relay::TappedResponse;
use crate::transform;
use crate::transform::{ProviderTarget, Receiver, RequestEdits};
use crate::upstream::destinations::ChosenDestination;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::response_head::RelayedHead;

/// One target of a plan, with the client and the endpoint of the call.
pub(super) struct PlannedTarget<'a> {
    pub(super) endpoint: &'a InferenceEndpoint,
    pub(super) client: &'a Client,
    pub(super) plan: &'a ModelPlan,
    pub(super) target: &'a Target,
}

/// A call as one target gets it.
pub(super) struct TargetCall<'a> {
    endpoint: &'a InferenceEndpoint,
    client: &'a Client,
    call: Rc<InferenceCall>,
    /// The user's own or a shared credential of the provider; `None` if the provider needs none.
    credential: Option<&'a Secret>,
    /// The maximum that the attempt may use, in credits and in the measures that the client's budgets limit; `None` for a
    /// free request.
    charge: Option<Charge>,
    /// The body in pieces: slices of the client's bytes, and the edits between them.
    body: Vec<Bytes>,
    /// Whether the usage chunk of the response must be removed, because the gateway requested it.
    usage_injected: bool,
}

impl<'a> TargetCall<'a> {
    /// Prepares the call for one target of its plan.
    pub(super) async fn new(
        account: &mut RequestAccount,
        parsed: ParsedCall,
        to: PlannedTarget<'a>,
    ) -> Result<Self, Problem> {
        let PlannedTarget { endpoint, client, plan, target } = to;
        let (called, ParsedCall { mut fields, content }) = (&endpoint.called, parsed);
        let call = Rc::new(InferenceCall {
            format: endpoint.format,
            requested_model: plan.requested.clone(),
            provider: target.provider.clone(),
            model: target.model.clone(),
            streamed: fields.stream,
            billable: fields.billable,
            free: called.endpoint.free(),
        });
        if let Some(inference) = &mut account.inference {
            inference.call = Some(call.clone());
        }
        let mut charge = (!call.free).then(|| Charge::credits(plan.credits));
        if let Some(charge) = &mut charge
            && bound::is_required(&client.limits)
        {
            let extent = extent(called, &fields, &content).await?;
            let (most, lowered) = most(account, &call, client, extent)?;
            (charge.tokens, charge.money) = (most.tokens, most.money);
            if let Some(lowered) = lowered {
                fields = fields.with_limit(lowered);
            }
        }
        let rewritten = fields.rewrite(&content, &call.model, true);
        account.request.read_clock();
        let credential = credential::choose(&target.provider, &client.principal)?;
        let (body, usage_injected) = (rewritten.segments, rewritten.usage_injected);
        Ok(Self { endpoint, client, call, credential, charge, body, usage_injected })
    }

    /// Reserves the maximum that the attempt may use, records it as open, and sends it to the provider.
    pub(super) async fn send(self, account: &mut RequestAccount) -> Result<Handled, Problem> {
        let Self { endpoint, client, call, credential, charge, body, usage_injected } = self;
        let InferenceEndpoint { called, format } = endpoint;
        let admission = limit(account, Some(client), charge).await?;
        if let Some(charge) = charge {
            account.open_record(charge).await?;
        }
        let request = &account.request;
        let chosen = request.snapshot.destinations.of_provider(&call.provider, request.read_at());
        let ChosenDestination { destination, group } = chosen.map_err(undirected)?;
        let provider = ProviderTarget { kind: call.provider.kind, dialect: format.dialect(), credential };
        let (trace, receiver) = (request.trace(), Receiver::Provider(provider));
        let edits = RequestEdits { trace, destination: &destination.edits, receiver };
        let edits = edits.of(&request.head).map_err(unwritable)?;
        let (upload, progress) = Upload::segments(body, request.read_at());
        let prefix = request.snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
        let target = transform::to_endpoint(called, &request.head, prefix, &call.model);
        let (head, origin) = (request.head.clone(), destination.pool.target.clone());
        let head = OutgoingHead { head, edits, target, origin, upgrades: false };
        let mut outgoing = Outgoing { head, group, key: None, progress, repeatable: false, retry: None };
        let mut answered = forward(account, &mut outgoing, destination, upload).await?;
        let upstream_id = transform::from_provider(&mut answered.head).map_err(unwritable)?;
        account.answered(answered.head.head.status(), upstream_id);
        if !answered.head.head.text(KnownName::ContentType).is_some_and(is_audio) {
            account.forget_billable();
        }
        let framing = framing(*format, &answered.head, call.streamed);
        let streamed = matches!(framing, ResponseFraming::Events | ResponseFraming::Array);
        let tap = (!call.free)
            .then(|| Box::new(TappedResponse { tap: Tap::new(*format, framing, usage_injected), streamed }));
        Ok(Handled::Relayed(RelayedResponse { answered, tap, admission }))
    }
}

/// Returns the maximum usage of a call, and the limit of output that makes it fit the remaining budgets.
fn most(
    account: &RequestAccount,
    call: &InferenceCall,
    client: &Client,
    extent: Extent,
) -> Result<(Charge, Option<LoweredLimit>), Problem> {
    let (request, traffic) = (&account.request, &account.request.snapshot.traffic);
    let at = request.worker().shared.clock.now();
    let holding = CallLimits { limits: &client.limits, budgets: &traffic.budgets, at };
    let extent = extent.with_tool_rounds(holding.budgets.server_tool_rounds);
    let (provider, model) = (&call.provider, &*call.model);
    let extent = if traffic.always_searches(provider, model) { extent.searching() } else { extent };
    let price = traffic.price(provider, (model, None), request.started_at);
    let limits = traffic.limits(provider, model, request.started_at);
    holding.bound(&CallSize { extent: &extent, model, price, limits })
}

/// Reads the extent of the request's maximum usage from the body.
async fn extent(called: &EndpointCall<'_>, fields: &RequestFields, body: &Bytes) -> Result<Extent, Problem> {
    if body.len() <= ON_WORKER_BYTES_MAX {
        return Ok(Extent::read(called, fields, body));
    }
    let (called, fields, body) = (called.clone().into_owned(), fields.clone(), body.clone());
    off_worker(move || Extent::read(&called, &fields, &body)).await
}

/// Returns the framing of a response's events.
fn framing(format: Format, relayed: &RelayedHead, is_streamed: bool) -> ResponseFraming {
    match ResponseFraming::of(format, is_streamed, relayed.head.text(KnownName::ContentType)) {
        // An error response is one body, whatever its media type. Nothing is added to it.
        ResponseFraming::Events | ResponseFraming::Array if !relayed.head.is_success() => ResponseFraming::Json,
        framing @ (ResponseFraming::Json
        | ResponseFraming::Events
        | ResponseFraming::Array
        | ResponseFraming::Opaque) => framing,
    }
}

/// Returns whether a response is audio, and not an error page.
fn is_audio(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("audio/") || essence == "application/octet-stream"
}
