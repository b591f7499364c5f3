//! The changes to the fields of requests and responses that pass the gateway.
//!
//! A request's head is never changed: each function returns the edits with which it is written for its destination.

pub(crate) mod control_cookies;
pub(crate) mod credentials;
pub(crate) mod header_rules;
mod provider;

use std::sync::Arc;

use access::{Secret, is_key};
use ai::hosts::sigv4::SignedHeaders;
use ai::{ClaudeSurface, Dialect, Endpoint, PathCall, ProviderKind, ProviderPaths};
use config::snapshot::WithheldHeaders;
use config::snapshot::credentials::{KEY_HEADERS, bearer};
use http1::{AnnouncedContent, Fields, HeadEdits, InvalidPart, KnownName};

use crate::account::client_context::ClientOrigin;
use crate::account::trace_context::TraceContext;
use crate::client::head::{Head, text};
use crate::client::trusted::TrustRule;
use crate::transform::control_cookies::ControlCookies;
use crate::transform::header_rules::RouteHeaders;
use crate::transform::provider::BETAS;
pub(crate) use crate::transform::provider::client_betas;
use crate::upstream::outgoing::OutgoingTarget;
use crate::upstream::response_head::{RelayedHead, UpstreamHead, is_sharing};
use crate::worker::admitted_client::ServiceClient;
use crate::worker::token_client::TokenClient;

/// Room for the fields that one request adds to the edits of its destination.
const ADDED_BYTES_USUAL: usize = 384;

/// What a trusted proxy reports about the URL that its client requested.
pub(crate) const KEPT_OF_PROXIES: [KnownName; 3] =
    [KnownName::XForwardedHost, KnownName::XForwardedPort, KnownName::XForwardedPrefix];

/// The version of the Messages API that translated calls are written for.
const ANTHROPIC_VERSION: &[u8] = b"2023-06-01";

/// Response fields that describe the provider's account, or are the provider's ids of the request.
const OF_THE_ACCOUNT: [KnownName; 5] = [
    KnownName::OpenaiOrganization,
    KnownName::OpenaiProject,
    KnownName::RequestId,
    KnownName::SetCookie,
    KnownName::XRequestId,
];

/// The parts from which the edits of one request to a destination follow, besides the client's head.
pub(crate) struct RequestEdits<'a> {
    pub(crate) trace: &'a TraceContext,
    /// The edits that every request to the destination gets. They remove the fields of the connection.
    pub(crate) destination: &'a HeadEdits,
    pub(crate) receiver: Receiver<'a>,
}

/// The kind of a destination.
pub(crate) enum Receiver<'a> {
    Upstream(ForwardedClient<'a>),
    Provider(ProviderTarget<'a>),
}

/// The client of a request, as an ordinary upstream receives it.
pub(crate) struct ForwardedClient<'a> {
    pub(crate) origin: &'a ClientOrigin,
    /// The host that the upstream receives.
    pub(crate) host: &'a [u8],
    pub(crate) options: ForwardingOptions<'a>,
    pub(crate) id_text: &'a [u8],
    /// Whether the request asks for a WebSocket.
    pub(crate) upgrades: bool,
    /// The credentials that the route does not forward.
    pub(crate) withheld: WithheldHeaders,
    pub(crate) control_cookies: ControlCookies<'a>,
    pub(crate) trust: TrustRule<'a>,
    /// The client of an access token, and one that a service has admitted.
    pub(crate) token: Option<&'a TokenClient>,
    pub(crate) service: Option<&'a ServiceClient>,
    /// The changes of the route, if it has some.
    pub(crate) headers: Option<RouteHeaders<'a>>,
}

/// The fields that requests to ordinary upstreams get if they are configured.
#[derive(Default, Clone, Copy)]
pub(crate) struct ForwardingOptions<'a> {
    /// Whether to write `Forwarded` (RFC 7239).
    pub(crate) forwarded: bool,
    /// Whether to keep `X-Forwarded-Host`, `-Port` and `-Prefix`, which a trusted proxy has sent.
    pub(crate) keeps_received: bool,
    /// The protocol of the request and the name of this gateway, for `Via` (RFC 9110, 7.6.3).
    pub(crate) via: Option<[&'a str; 2]>,
}

/// The provider of an LLM call and the credential for it.
pub(crate) struct ProviderTarget<'a> {
    pub(crate) kind: ProviderKind,
    /// The dialect of the API that is called.
    pub(crate) dialect: Dialect,
    /// Whether the client has called another API, whose fields mean nothing to the provider.
    pub(crate) is_translated: bool,
    /// The part of Anthropic's API that the provider has, if the call has its format.
    pub(crate) surface: ClaudeSurface,
    /// The user's own or a shared credential; without one, none is sent.
    pub(crate) credential: Option<SentCredential<'a>>,
}

/// The form in which a credential is sent.
pub(crate) enum SentCredential<'a> {
    /// The secret as a value of its header.
    Secret(&'a Secret),
    /// The signature of the whole request.
    Signed(&'a SignedHeaders),
}

impl RequestEdits<'_> {
    /// Returns the edits with which the client's head is written, in memory of earlier ones. Every request passes these rules, in this order: the host, the fields
    /// of the connection, credentials, identity, forwarding or the provider's rules, the trace, and the changes of the route.
    ///
    /// # Errors
    /// An added value is not a field value, or the edits have too many names.
    pub(crate) fn head_edits(&self, head: &Head, memory: Vec<u8>) -> Result<HeadEdits, InvalidPart> {
        let mut edits = self.destination.clone_with_room(ADDED_BYTES_USUAL, memory);
        match &self.receiver {
            Receiver::Upstream(client) => {
                edits.append(KnownName::Host, client.host)?;
                connection(&mut edits, head, client.upgrades)?;
                withhold_credentials(&mut edits, head, client);
                client.control_cookies.withhold(&mut edits, head.fields())?;
                identify(&mut edits, head, client)?;
                forward(&mut edits, head, client)?;
            }
            Receiver::Provider(provider) => to_provider(&mut edits, head, provider)?,
        }
        self.trace.write(&mut edits)?;
        if let Receiver::Upstream(ForwardedClient { headers: Some(headers), .. }) = &self.receiver {
            headers.apply_to_request(&mut edits)?;
        }
        Ok(edits)
    }
}

/// Writes the fields of the connection to an ordinary upstream.
fn connection(edits: &mut HeadEdits, head: &Head, upgrades: bool) -> Result<(), InvalidPart> {
    if head.accepts_trailers() {
        edits.set(KnownName::Te, b"trailers")?;
        // HTTP/1.1 requires the option (RFC 9110, 10.1.4).
        edits.set(KnownName::Connection, b"te")?;
    }
    if head.announced() == AnnouncedContent::Chunked {
        edits.keep(KnownName::Trailer);
    }
    if upgrades { name_websocket(edits) } else { Ok(()) }
}

/// Adds the fields that ask for a WebSocket, or accept it.
pub(crate) fn name_websocket(edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    edits.append(KnownName::Connection, b"upgrade")?;
    edits.append(KnownName::Upgrade, b"websocket")
}

/// Removes the credentials of the route, which a request may have although nothing has verified them, and keys of this
/// gateway, which are never forwarded, even if the route requires none.
fn withhold_credentials(edits: &mut HeadEdits, head: &Head, client: &ForwardedClient<'_>) {
    let fields = head.fields();
    let withheld = client.withheld;
    if withholds_authorization(fields, withheld, client.token.is_some()) {
        edits.remove(KnownName::Authorization);
    }
    for name in KEY_HEADERS {
        if withheld.keys || fields.all(name).any(|value| is_key(value.trim_ascii())) {
            edits.remove(name);
        }
    }
}

/// Whether `Authorization` is not forwarded: it may be a credential of the route, or a key of this gateway.
pub(crate) fn withholds_authorization(fields: Fields<'_>, withheld: WithheldHeaders, has_token: bool) -> bool {
    let has_key = || fields.all(KnownName::Authorization).any(|value| bearer(value).is_some_and(is_key));
    withheld.authorization || has_token || has_key()
}

/// Writes the identity of the client: of the headers that a receiver may trust, those that are true.
fn identify(edits: &mut HeadEdits, head: &Head, client: &ForwardedClient<'_>) -> Result<(), InvalidPart> {
    client.trust.apply(edits, head.fields())?;
    if let Some(token) = client.token {
        token.edit(edits, head.fields())?;
    }
    if let Some(service) = client.service {
        service.edit(edits, head.fields())?;
    }
    Ok(())
}

/// Writes the address of the client, the host that it requested, and the ids of the request.
fn forward(edits: &mut HeadEdits, head: &Head, client: &ForwardedClient<'_>) -> Result<(), InvalidPart> {
    edits.append_all(&client.origin.edits)?;
    let keeps = client.options.keeps_received;
    if keeps {
        keep_received(edits, head)?;
    }
    if !(head.host().is_empty() || keeps && head.get(KnownName::XForwardedHost).is_some()) {
        edits.append(KnownName::XForwardedHost, head.host())?;
    }
    if let Some(left) = head.max_forwards() {
        edits.set(KnownName::MaxForwards, left.saturating_sub(1).to_string().as_bytes())?;
    }
    if client.options.forwarded {
        forwarded(edits, head, client)?;
    }
    if let Some([protocol, name]) = client.options.via {
        edits.append_parts(KnownName::Via, &[protocol, " ", name].map(str::as_bytes))?;
    }
    edits.append(KnownName::XRequestId, client.id_text)?;
    match head.correlation() {
        Some(correlation) => edits.set(KnownName::XCorrelationId, correlation.as_bytes()),
        None => Ok(()),
    }
}

/// Keeps what a trusted proxy reports about the URL that its client requested. Names with underscores are not kept.
fn keep_received(edits: &mut HeadEdits, head: &Head) -> Result<(), InvalidPart> {
    for name in KEPT_OF_PROXIES {
        for value in head.fields().all(name) {
            edits.append(name, value)?;
        }
    }
    Ok(())
}

/// Writes the client's address, the host and the scheme that it requested as one element of `Forwarded`.
fn forwarded(edits: &mut HeadEdits, head: &Head, client: &ForwardedClient<'_>) -> Result<(), InvalidPart> {
    let address = client.origin.address.as_bytes();
    let scheme = client.origin.scheme.as_bytes();
    // RFC 7239, 6: an IPv6 address is quoted and has brackets.
    let [open, close]: [&[u8]; 2] = if address.contains(&b':') { [b"\"[", b"]\""] } else { [b"", b""] };
    match head.host() {
        b"" => {
            let parts = [b"for=", open, address, close, b";proto=", scheme];
            edits.append_parts(KnownName::Forwarded, &parts)
        }
        // A valid host has neither a quote nor a backslash.
        host => {
            let parts = [b"for=", open, address, close, b";host=\"", host, b"\";proto=", scheme];
            edits.append_parts(KnownName::Forwarded, &parts)
        }
    }
}

/// Keeps the fields that the format of the provider has, and adds the credential.
fn to_provider(edits: &mut HeadEdits, head: &Head, to: &ProviderTarget<'_>) -> Result<(), InvalidPart> {
    if to.is_translated {
        edits.remove_fields(head.fields(), |field| !provider::is_allowed_translated(field.name));
        edits.set(KnownName::ContentType, b"application/json")?;
        if to.dialect == Dialect::Anthropic {
            edits.set_named(b"anthropic-version", ANTHROPIC_VERSION)?;
        }
    } else {
        edits.remove_fields(head.fields(), |field| !provider::is_allowed(to.dialect, field.name));
    }
    match to.surface {
        // The body has what the fields of Anthropic's API have elsewhere.
        ClaudeSurface::BedrockRuntime => {
            edits.set(KnownName::Accept, b"application/json")?;
            edits.remove_named(b"anthropic-version")?;
            edits.remove_named(BETAS)?;
        }
        ClaudeSurface::Vertex | ClaudeSurface::BedrockMantle if !to.is_translated => {
            let betas = client_betas(head);
            match to.surface.betas(&betas).join(",") {
                _ if betas.is_empty() => {}
                kept if kept.is_empty() => edits.remove_named(BETAS)?,
                kept => edits.set_named(BETAS, kept.as_bytes())?,
            }
        }
        ClaudeSurface::Anthropic | ClaudeSurface::Vertex | ClaudeSurface::BedrockMantle => {}
    }
    match &to.credential {
        Some(SentCredential::Secret(credential)) => {
            let (name, scheme) = to.kind.credential_header(to.dialect);
            let name = KnownName::find(name.as_bytes()).ok_or(InvalidPart::Name)?;
            edits.append_parts(name, &[scheme.as_bytes(), credential.expose().as_bytes()])
        }
        Some(SentCredential::Signed(SignedHeaders { authorization, date, session_token })) => {
            edits.append(KnownName::Authorization, authorization.expose().as_bytes())?;
            edits.set_named(b"x-amz-date", date.as_bytes())?;
            match session_token {
                Some(token) => edits.set_named(b"x-amz-security-token", token.expose().as_bytes()),
                None => Ok(()),
            }
        }
        None => Ok(()),
    }
}

/// Returns the provider's id of the request.
pub(crate) fn upstream_id(head: &UpstreamHead) -> Option<Arc<str>> {
    const UPSTREAM_ID_LEN_MAX: usize = 128;
    let of_amazon = || head.fields().named(b"x-amzn-requestid").next().and_then(text);
    let id = head.text(KnownName::XRequestId).or_else(|| head.text(KnownName::RequestId)).or_else(of_amazon);
    id.filter(|id| id.len() <= UPSTREAM_ID_LEN_MAX).map(Arc::from)
}

/// Edits a provider's response. The client of an LLM call does not see the provider's account.
///
/// # Errors
/// None of the values is invalid.
pub(crate) fn from_provider(relayed: &mut RelayedHead) -> Result<(), InvalidPart> {
    // They could describe the account.
    relayed.may_have_trailers = false;
    let RelayedHead { head, edits, .. } = relayed;
    for name in OF_THE_ACCOUNT {
        edits.remove(name);
    }
    edits.remove_fields(head.fields(), |field| is_of_the_account(field.name) || is_sharing(field.name));
    edits.set(KnownName::XAccelBuffering, b"no")
}

/// Whether a field describes the provider's account behind a shared key. Those of [`OF_THE_ACCOUNT`] do too.
fn is_of_the_account(name: &[u8]) -> bool {
    let begins_with = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let ends_with = |suffix: &[u8]| {
        name.len()
            .checked_sub(suffix.len())
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    name.eq_ignore_ascii_case(b"anthropic-organization-id")
        || begins_with(b"x-ratelimit")
        || begins_with(b"ratelimit")
        || begins_with(b"anthropic-ratelimit-")
        || begins_with(b"x-amzn-")
        // Codex sends the state of a turn back.
        || (begins_with(b"x-codex-") && !name.eq_ignore_ascii_case(b"x-codex-turn-state"))
        || ends_with(b"-primary-used-percent")
}

/// The target of an LLM call behind the provider's base URL: the endpoint's path, with the provider's own name of the
/// model, and the query parameters that the format allows. The received path begins with the `ai.prefix`, which is `prefix`.
/// `api` is the provider's kind with its paths. `None` if the path cannot contain the model.
pub(crate) fn to_endpoint(
    call: PathCall<'_>,
    prefix: &str,
    api: (ProviderKind, &ProviderPaths),
) -> Option<OutgoingTarget> {
    let (kind, paths) = api;
    if call.query.is_none() && call.called.is_verbatim() && paths.are_of_api(kind) {
        return Some(OutgoingTarget::Received { prefix_len: prefix.len() + kind.descriptor().base_path.len() });
    }
    paths.target(kind, call).map(OutgoingTarget::Written)
}

/// The target of a translated call behind the provider's base URL. The client's path and query belong to another endpoint.
pub(crate) fn to_other_endpoint(call: PathCall<'_>, api: (ProviderKind, &ProviderPaths)) -> Option<OutgoingTarget> {
    let (kind, paths) = api;
    let query = (call.called.endpoint == Endpoint::StreamGenerateContent).then_some("alt=sse");
    paths.target(kind, PathCall { query, ..call }).map(OutgoingTarget::Written)
}

#[cfg(test)]
mod tests;
