//! The action of an LLM endpoint: the body is read completely, and a tap reads the response.

pub(crate) mod request;

use ai::tap::Framing;
use ai::{EndpointCall, Format, Tap};
use http1::KnownName;

use self::request::{Inference, InferenceRequest};
use super::{Handled, RelayedResponse, limit};
use crate::account::client::Client;
use crate::account::{InferenceAccount, RequestAccount};
use crate::action::credential;
use crate::body::IncomingBody;
use crate::body::upload::Upload;
use crate::forward::{Outgoing, forward, undirected, unwritable};
use crate::refusal::problem::Problem;
use crate::response::relay::TappedResponse;
use crate::transform;
use crate::transform::{ProviderTarget, Receiver, RequestEdits};
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::response_head::RelayedHead;

/// An LLM endpoint with the format of its requests.
pub(crate) struct InferenceEndpoint {
    pub(crate) called: EndpointCall<'static>,
    pub(crate) format: Format,
}

impl InferenceEndpoint {
    /// Returns the account of a call. A call that is free of quota has no usage event, and so no format.
    pub(crate) fn account(&self) -> Box<InferenceAccount> {
        InferenceAccount::new((!self.called.endpoint.free()).then_some(self.format))
    }
}

/// Sends an LLM call to the provider of its model.
pub(crate) async fn infer(
    endpoint: &InferenceEndpoint,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: &Client,
) -> Result<Handled, Problem> {
    let InferenceEndpoint { called, format } = endpoint;
    let format = *format;
    let held = account.request.worker().shared.capacity.hold(&account.subject);
    let request = InferenceRequest { called, format, client, held };
    let Inference { call, charge, body, usage_injected } = request::read(account, body, request).await?;
    account.request.read_clock();
    let credential = credential::choose(&call.provider, &client.principal)?;
    let admission = limit(account, Some(client), charge).await?;
    if let Some(charge) = charge {
        account.open_record(charge).await?;
    }
    let request = &account.request;
    let to = request.snapshot.destinations.of_provider(&call.provider).map_err(undirected)?;
    let provider = ProviderTarget { kind: call.provider.kind, dialect: format.dialect(), credential };
    let (id, receiver) = (request.id, Receiver::Provider(provider));
    let edits = RequestEdits { id, destination: &to.destination.edits, receiver };
    let edits = edits.of(&request.head).map_err(unwritable)?;
    let (upload, progress) = Upload::segments(body, request.read_at());
    let prefix = request.snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
    let target = transform::to_endpoint(called, &request.head, prefix, &call.model);
    let head = OutgoingHead {
        head: request.head.clone(),
        edits,
        target,
        origin: to.destination.pool.target.clone(),
        upgrades: false,
    };
    let mut outgoing = Outgoing { head, to, progress, repeatable: false };
    let mut answered = forward(account, &mut outgoing, upload).await?;
    let upstream_id = transform::from_provider(&mut answered.head).map_err(unwritable)?;
    account.answered(answered.head.head.status(), upstream_id);
    if !answered.head.head.text(KnownName::ContentType).is_some_and(is_audio) {
        account.forget_billable();
    }
    let framing = framing(format, &answered.head, call.streamed);
    let streamed = matches!(framing, Framing::Events | Framing::Array);
    let tap =
        (!call.free).then(|| Box::new(TappedResponse { tap: Tap::new(format, framing, usage_injected), streamed }));
    Ok(Handled::Relayed(RelayedResponse { answered, tap, admission }))
}

/// Returns the framing of a response's events.
fn framing(format: Format, relayed: &RelayedHead, is_streamed: bool) -> Framing {
    match Framing::of(format, is_streamed, relayed.head.text(KnownName::ContentType)) {
        // An error response is one body, whatever its media type. Nothing is added to it.
        Framing::Events | Framing::Array if !relayed.head.is_success() => Framing::Json,
        framing @ (Framing::Json | Framing::Events | Framing::Array | Framing::Opaque) => framing,
    }
}

/// Returns whether a response is audio, and not an error page.
fn is_audio(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("audio/") || essence == "application/octet-stream"
}
