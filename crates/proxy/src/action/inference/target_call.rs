//! An LLM call as one of its targets gets it, and the attempt to send it.

use std::borrow::Cow;
use std::rc::Rc;

use access::{Credits, ObjectOwner, Refusal};
use ai::bound::{Extent, LoweredLimit};
use ai::hosts::host::reports_usage_unasked;
use ai::tap::{AccountGuard, ResponseFraming};
use ai::translate::ProviderAccount;
use ai::{ClaudeSurface, Dialect, EndpointCall, Format, PathCall, ProviderPaths, RequestFields, ResponseEdits, Tap};
use bytes::Bytes;
use meter::{AdmissionInfo, Charge, Measure};

use super::access_token::SentToken;
use super::account_objects::ReferringCall;
use super::model_plan::{InferenceRequest, PlannedModel};
use super::parsed_call::ParsedCall;
use super::prepared_call::{PreparedCall, prepare};
use super::signing::SignedCall;
use super::target_response::{edit_head, framing, name_target, response_edits};
use super::translation::{CallTranslation, unnameable};
use super::{account_objects, hosted, other_models, runtime};
use crate::account::permits::BudgetHold;
use crate::account::{InferenceCall, RequestAccount};
use crate::action::bound::{CallLimits, CallSize};
use crate::action::credential::ChosenCredential;
use crate::action::limit::limit;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::action::{ActionResponse, RelayedResponse, bound, changed_body, credential};
use crate::body::upload::Upload;
use crate::forward::{Outgoing, UpstreamResponse, forward, undirected, unwritable};
use crate::limits::budget;
use crate::refusal::problem::Problem;
use crate::response::relay::TappedResponse;
use crate::transform;
use crate::transform::{ProviderTarget, Receiver, RequestEdits, SentCredential};
use crate::upstream::destinations::ChosenDestination;
use crate::upstream::outgoing::{OutgoingHead, OutgoingTarget};
use crate::upstream::targets::attempts::{TargetAttempt, WatchedBeginning};
use crate::upstream::targets::refused_credentials::CredentialUse;

/// A call as one target gets it.
pub(super) struct TargetCall<'a> {
    of: InferenceRequest<'a>,
    call: Rc<InferenceCall>,
    /// The user's own or a shared credential of the provider; `None` if the provider needs none.
    credential: Option<ChosenCredential<'a>>,
    /// The maximum that the attempt may use, in credits and in the measures that the client's budgets limit; `None` for a
    /// free request.
    pub(super) charge: Option<Charge>,
    /// The body in pieces: slices of the client's bytes, and the edits between them.
    body: Vec<Bytes>,
    /// Whether the usage chunk of the response must be removed, because the gateway requested it.
    usage_injected: bool,
    /// The endpoint of a call in another format than the client's.
    other: Option<EndpointCall<'static>>,
    /// The translation for a provider without the client's format, until the head of the response has arrived.
    translation: Option<Box<CallTranslation>>,
    /// The fields of a call in its provider's format that the provider does not get.
    dropped: Vec<String>,
    /// The values of a response in the client's format that the client gets in another form.
    edits: ResponseEdits,
    /// The user whose objects the call may name in the operator's account; `None` if it may name any.
    owner: Option<ObjectOwner>,
    /// Whether the client asked for the model by another name than the provider's.
    is_renamed: bool,
}

impl<'a> TargetCall<'a> {
    /// Prepares the call for one target.
    pub(super) async fn new(
        account: &mut RequestAccount,
        parsed: &ParsedCall,
        of: InferenceRequest<'a>,
        target: &'a PlannedModel,
    ) -> Result<Self, Problem> {
        let prepared = prepare(account, parsed, of, target).await?;
        Self::of_prepared(account, parsed, of, target, prepared).await
    }

    /// Returns a call that is prepared for one target.
    pub(super) async fn of_prepared(
        account: &mut RequestAccount,
        parsed: &ParsedCall,
        of: InferenceRequest<'a>,
        target: &'a PlannedModel,
        prepared: PreparedCall,
    ) -> Result<Self, Problem> {
        let InferenceRequest { endpoint, client, plan } = of;
        let PreparedCall { call, changed, other, translation, dropped } = prepared;
        let called = other.as_ref().unwrap_or(&endpoint.called);
        let ParsedCall { fields, content, .. } = changed.as_ref().unwrap_or(parsed);
        let format = call.provider_format;
        let referring = ReferringCall { format, target, requested: &parsed.fields.model, fields, content };
        let mut owned = account_objects::of_user(account, client, referring).await?;
        let mut fields = Cow::Borrowed(fields);
        let mut charge = (!call.free).then(|| Charge::credits(plan.least_credits()));
        let is_restricted = other_models::are_restricted(account, &call, client);
        let is_bounded =
            charge.is_some() && bound::is_required(&client.limits, call.own_credential, plan.credit_rates.is_some());
        let extent =
            if is_restricted || is_bounded { Some(extent(account, called, &fields, content).await?) } else { None };
        if is_restricted && let Some(extent) = extent.as_ref() {
            other_models::check(account, &call, client, extent)?;
        }
        if is_bounded
            && let Some(charge) = &mut charge
            && let Some(extent) = extent
        {
            let (most, lowered) = most(account, &call, of, extent)?;
            *charge = Charge { credits: charge.credits.max(most.credits), ..most };
            if let Some(lowered) = lowered {
                fields = Cow::Owned(fields.into_owned().with_limit(lowered));
            }
        }
        if let Some(form) = target.provider.paths.hosted(called.endpoint) {
            let client = other.is_none().then_some(&*account.request.head);
            fields = Cow::Owned(hosted::in_form_of(account, form, fields.into_owned(), content, client).await?);
        }
        if let Some(owned) = owned.as_mut().filter(|owned| !owned.fields.is_empty()) {
            fields = Cow::Owned(fields.into_owned().with_owned(&mut owned.fields));
        }
        let includes_usage = !reports_usage_unasked(&target.provider.origin.host);
        let rewritten = fields.rewrite(content, &call.model, includes_usage);
        account.request.read_clock();
        let credential = credential::choose(&target.provider, &client.principal)?;
        // The translation of a response reads the usage chunk, and removes it if the client did not request it.
        let usage_injected = rewritten.usage_injected && translation.is_none();
        let is_renamed = parsed.fields.model != *call.model;
        let owner = owned.as_ref().map(|owned| owned.owner.clone());
        // A translation has its own ids, and names the model as the client did.
        let edits = match translation {
            Some(_) => ResponseEdits::default(),
            None => response_edits(is_renamed.then_some(parsed.fields.model.as_str()), owned),
        };
        let body = rewritten.segments;
        let translation = translation.map(Box::new);
        Ok(Self {
            of,
            call,
            credential,
            charge,
            body,
            usage_injected,
            other,
            translation,
            dropped,
            edits,
            owner,
            is_renamed,
        })
    }

    /// Reserves the maximum that the first attempt may use, and records it as open.
    pub(super) async fn reserve(&self, account: &mut RequestAccount) -> Result<AdmissionInfo, Problem> {
        let admission = limit(account, Some(self.of.client), self.charge).await?;
        if let Some(charge) = self.charge {
            account.open_record(charge).await?;
        }
        Ok(admission)
    }

    /// Reserves the amounts that this further attempt may use beyond those that are reserved and unused. Returns whether it may be sent: the
    /// request counts on its day, on which nothing can be reserved any more after midnight.
    pub(super) async fn reserve_more(&self, account: &mut RequestAccount) -> Result<bool, Problem> {
        let Some(charge) = self.charge else { return Ok(true) };
        let Some(inference) = &mut account.inference else { return Ok(true) };
        // Flat credits are those of the whole call, and are reserved already.
        let credits = if self.of.plan.credit_rates.is_some() { charge.credits } else { Credits::ZERO };
        let charge = Charge { credits, ..charge };
        let earlier = inference.earlier.get_or_insert_default();
        earlier.reserved = charge;
        let more = earlier.used.and(&charge).less(&account.permits.reserved());
        if more == Charge::default() {
            return Ok(true);
        }
        if account.day() != account.request.wall_at().day() {
            return Ok(false);
        }
        let reservation = budget::reserve_more(account, &self.of.client.limits, more).await?;
        // It may have waited until after midnight.
        let day = account.request.wall_at().day();
        if account.day() != day || reservation.day(account.request.wall_at()) != day {
            return Ok(false);
        }
        account.permits.further.push(BudgetHold::Reserved(reservation));
        account.open_record(account.permits.reserved()).await?;
        Ok(true)
    }

    /// Sends the call to its provider, and waits for the head of the response.
    pub(super) async fn forward(&mut self, account: &mut RequestAccount) -> Result<UpstreamResponse, Problem> {
        let Self { of, call, credential, body, other, translation, dropped, owner, .. } = self;
        let translation = translation.take();
        let request = &account.request;
        let chosen = request.snapshot.destinations.of_provider(&call.provider, request.read_at());
        let ChosenDestination { destination, group } = chosen.map_err(undirected)?;
        let kind = call.provider.kind;
        let dialect = call.provider_format.dialect();
        let is_translated = other.is_some();
        let target = target_of(account, of, call, other.as_ref()).ok_or_else(unnameable)?;
        let signed = SignedCall { origin: &call.provider.origin, target: &target, body };
        let signed = signed.sign(account, *credential).await?;
        let token = match credential {
            // Boxed, because its future is large and other providers do not need it.
            Some(ChosenCredential::ServiceAccount(key)) => {
                Some(Box::pin(SentToken::for_key(account, &call.provider, *key)).await?)
            }
            Some(ChosenCredential::Secret(_) | ChosenCredential::Aws(_)) | None => None,
        };
        let sent = credential.and_then(|credential| match credential {
            ChosenCredential::Secret(secret) => Some(SentCredential::Secret(secret)),
            ChosenCredential::Aws(_) => signed.as_ref().map(SentCredential::Signed),
            ChosenCredential::ServiceAccount(_) => token.as_ref().map(|token| SentCredential::Secret(&token.text)),
        });
        let is_runtime = call.provider.paths == ProviderPaths::BedrockRuntime;
        let surface = surface_of(call);
        let provider = ProviderTarget { kind, dialect, is_translated, surface, credential: sent };
        let trace = request.trace();
        let receiver = Receiver::Provider(provider);
        let edits = RequestEdits { trace, destination: &destination.edits, receiver };
        let mut edits = edits.head_edits(&request.head, request.worker().buffers.take_lines()).map_err(unwritable)?;
        if let Some(owner) = owner {
            account_objects::edit_head(owner, request.head.fields(), &mut edits).map_err(unwritable)?;
        }
        let (upload, progress) = Upload::segments(std::mem::take(body), request.read_at());
        let head = request.head.clone();
        let origin = destination.pool.target.clone();
        let head = OutgoingHead { head, edits, target, origin, upgrades: false };
        let mut outgoing = Outgoing { head, group, key: None, progress, repeatable: false, retry: None };
        let mut answered = forward(account, &mut outgoing, destination, upload).await?;
        account.request.worker().buffers.give_back_lines(outgoing.head.edits.into_memory());
        let status = answered.head.head.status();
        if let Some(token) = &token {
            token.answered(account, status);
        }
        // Known before a body is read: the client may leave meanwhile, and an error costs nothing.
        account.note_response_head(status, transform::upstream_id(&answered.head.head));
        if is_runtime {
            // Boxed, because only this endpoint needs it.
            Box::pin(runtime::read(account, &mut answered)).await?;
        }
        edit_head(call, account, &mut answered, dropped).await?;
        if let Some(translation) = translation {
            if answered.head.head.is_success() && answered.head.head.is_compressed() {
                let message = "the provider compressed its response, which Tollgate did not request, so that it cannot be \
                               translated: tell the operator";
                return Err(Problem::new(Refusal::UpstreamProtocol, message));
            }
            let framing = framing(call.provider_format, &answered.head, call.streamed);
            let begun = translation.begin(account, &mut answered.head, framing, account_of(call, *credential));
            answered.translated = begun.map_err(unwritable)?;
        }
        Ok(answered)
    }

    /// Whether the credential is the operator's.
    pub(super) fn is_shared(&self) -> bool {
        self.credential.is_some() && !self.call.own_credential
    }

    /// Notes that the provider lastingly refuses the operator's credential.
    pub(super) fn refuse_credential(&self, account: &RequestAccount) {
        let request = &account.request;
        if let Some(of) = self.credential_use() {
            request.snapshot.destinations.refused_credentials().refused(of, request.read_at());
        }
    }

    /// Whether the provider has lastingly refused the operator's credential within the last minute.
    pub(super) fn is_credential_refused(&self, account: &RequestAccount) -> bool {
        let request = &account.request;
        let refused = request.snapshot.destinations.refused_credentials();
        refused.has_any() && self.credential_use().is_some_and(|of| refused.is_refused(of, request.read_at()))
    }

    /// Returns the use of the operator's credential; `None` without one.
    fn credential_use(&self) -> Option<CredentialUse<'_>> {
        let credential = self.credential.as_ref()?.identity();
        let provider = self.provider();
        let model = self.model();
        self.is_shared().then_some(CredentialUse { provider, model, credential })
    }

    /// Returns the account at the provider that the call uses.
    pub(super) fn account(&self) -> ProviderAccount {
        account_of(&self.call, self.credential)
    }

    /// Returns the call as its account has it.
    pub(super) fn call(&self) -> &InferenceCall {
        &self.call
    }

    /// Whether the provider serves the models of a project, which its errors name.
    pub(super) fn is_of_project(&self) -> bool {
        self.call.provider.has_service_accounts()
    }

    /// Whether the credential is the user's own.
    pub(super) fn is_own(&self) -> bool {
        self.call.own_credential
    }

    /// Returns the name of the provider.
    pub(super) fn provider(&self) -> &str {
        &self.call.provider.name
    }

    /// Returns the provider's name of the model.
    pub(super) fn model(&self) -> &str {
        &self.call.model
    }

    /// Returns the format of the provider's response.
    pub(super) fn provider_format(&self) -> Format {
        self.call.provider_format
    }

    /// Returns the framing of the response's events.
    pub(super) fn framing(&self, answered: &UpstreamResponse) -> ResponseFraming {
        framing(self.call.provider_format, &answered.head, self.call.streamed)
    }

    /// Returns the tap that reads the response.
    pub(super) fn tap(&self, framing: ResponseFraming) -> Tap {
        Tap::new(self.call.provider_format, framing, self.usage_injected)
    }

    /// Returns the response on its way to the client.
    pub(super) fn relayed(
        self,
        account: &RequestAccount,
        answered: UpstreamResponse,
        admission: AdmissionInfo,
    ) -> Result<ActionResponse, Problem> {
        self.relayed_from(account, None, answered, admission)
    }

    /// Returns the response on its way to the client. If its beginning was not read yet, `last` is the attempt that it decides.
    pub(super) fn relayed_from(
        self,
        account: &RequestAccount,
        last: Option<TargetAttempt>,
        mut answered: UpstreamResponse,
        admission: AdmissionInfo,
    ) -> Result<ActionResponse, Problem> {
        if self.is_renamed {
            name_target(account, &mut answered, self.provider(), self.model()).map_err(unwritable)?;
        }
        let guarded = self.account();
        let names_project = self.is_of_project();
        let request_id = account.request.id;
        let domain = account.request.snapshot.process.brand.slug();
        let framing = self.framing(&answered);
        let streamed = matches!(framing, ResponseFraming::Events | ResponseFraming::Array);
        let tap = (!self.call.free).then(|| {
            let beginning = last.map(|last| Box::new(WatchedBeginning::new(last, self.call.provider_format, framing)));
            let mut tap = self.tap(framing);
            // The translation of a response finds its end itself.
            if answered.translated.is_none() {
                tap = tap.refusing_empty();
            }
            // A translation edits and hides itself. Compressed content, which the gateway did not request, passes as it is.
            if answered.translated.is_none() && answered.head.head.is_success() && !answered.head.head.is_compressed() {
                tap = tap.with_edits(self.edits);
                if guarded == ProviderAccount::Shared {
                    tap = tap.with_guard(AccountGuard::new(guarded, names_project, request_id, domain));
                }
            }
            Box::new(TappedResponse { tap, streamed, beginning })
        });
        if tap.as_ref().is_some_and(|tapped| tapped.tap.has_edits()) {
            changed_body::edit_head(&mut answered.head)?;
        }
        Ok(ActionResponse::Relayed(RelayedResponse { answered, tap, admission }))
    }

    /// Whether the response is read on its way to the client.
    pub(super) fn is_read(&self) -> bool {
        !self.call.free
    }
}

/// Returns the part of Anthropic's API that the provider has, for a call in its format.
fn surface_of(call: &InferenceCall) -> ClaudeSurface {
    match call.provider_format.dialect() {
        Dialect::Anthropic => ClaudeSurface::of_provider(call.provider.kind, &call.provider.paths),
        Dialect::OpenAi | Dialect::Google => ClaudeSurface::Anthropic,
    }
}

/// Returns the account at the provider that a call with this credential uses.
fn account_of(call: &InferenceCall, credential: Option<ChosenCredential<'_>>) -> ProviderAccount {
    match credential {
        _ if call.own_credential => ProviderAccount::Own,
        Some(_) => ProviderAccount::Shared,
        None => ProviderAccount::Nobody,
    }
}

/// Returns the maximum usage of a call, and the limit of output that makes it fit the remaining budgets.
fn most(
    account: &RequestAccount,
    call: &InferenceCall,
    of: InferenceRequest<'_>,
    extent: Extent,
) -> Result<(Charge, Option<LoweredLimit>), Problem> {
    let InferenceRequest { client, plan, .. } = of;
    let rates = if client.limits.limits(Measure::Credits) { plan.credit_rates.as_ref() } else { None };
    let request = &account.request;
    let traffic = &account.request.snapshot.traffic;
    // As the admission: the server of leases decides the period.
    let shared = &request.worker().shared;
    let at = shared.leases.as_ref().map_or_else(|| request.wall_at(), |leases| leases.wall_time(&shared.clock));
    let used = account.inference.as_ref().and_then(|inference| inference.earlier.as_ref()).map(|earlier| earlier.used);
    let held = account.permits.reserved().less(&used.unwrap_or_default());
    let own_credential = call.own_credential;
    let holding = CallLimits { limits: &client.limits, budgets: &traffic.budgets, held, at, own_credential };
    let provider = &call.provider;
    let model = &*call.model;
    let host = &provider.origin.host;
    let extent = extent.at_host(host).with_tool_rounds(holding.budgets.server_tool_rounds);
    let at_model = |model| {
        let extent = extent.clone().of_model(host, model);
        let extent = if traffic.always_searches(provider, model) { extent.searching() } else { extent };
        let price = traffic.price(provider, (model, None), request.started_at);
        let limits = traffic.limits(provider, model, request.started_at);
        let credits = rates.map(|rates| rates.price(&plan.requested, &provider.name, model));
        CallSize { extent, model, price, limits, credits }
    };
    let others = extent.models().iter().map(String::as_str);
    let sizes: Vec<_> = std::iter::once(model).chain(others).map(at_model).collect();
    holding.bound(&sizes)
}

/// Returns path and query of a call behind the base URL of its provider; `None` if the path cannot contain the model.
fn target_of(
    account: &RequestAccount,
    of: &InferenceRequest<'_>,
    call: &InferenceCall,
    other: Option<&EndpointCall<'static>>,
) -> Option<OutgoingTarget> {
    let request = &account.request;
    let prefix = request.snapshot.traffic.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
    let paths = (call.provider.kind, &call.provider.paths);
    let model = &*call.model;
    let query = request.head.query();
    let is_streamed = call.streamed;
    let path_call = |called| PathCall { called, model, query, is_streamed };
    match other {
        Some(called) => transform::to_other_endpoint(path_call(called), paths),
        None => transform::to_endpoint(path_call(&of.endpoint.called), prefix, paths),
    }
}

/// Reads the extent of the request's maximum usage from the body.
pub(super) async fn extent(
    account: &RequestAccount,
    called: &EndpointCall<'_>,
    fields: &RequestFields,
    body: &Bytes,
) -> Result<Extent, Problem> {
    if body.len() <= ON_WORKER_BYTES_MAX {
        return Ok(Extent::read(called, fields, body));
    }
    let called = called.clone().into_owned();
    let fields = fields.clone();
    let body = body.clone();
    off_worker(account, move || Extent::read(&called, &fields, &body)).await
}
