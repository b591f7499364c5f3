//! The translation of a call for a provider without the client's format: the call in the provider's format, and the head of
//! the response in the client's.

use access::Refusal;
use ai::count::{counted_call, counting_body};
use ai::translate::conversation::input_of;
use ai::translate::{
    DroppedFields, FittedCall, GooglePath, JsonObject, NativeTarget, ProviderAccount, ResponseContext, ResponseIds,
    ResponseTranslator, TRANSLATED, TranslatedRequest, TranslationOptions, UntranslatableCall, client_status, request,
};
use ai::{ClaudeSurface, EndpointCall, Format, ResponseFraming};
use bytes::Bytes;
use http1::{HeadEdits, InvalidPart, KnownName};

use super::InferenceEndpoint;
use super::model_plan::PlannedModel;
use super::parsed_call::{ParsedCall, counted};
use super::references;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::action::credential;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::body::buffer;
use crate::capacity::MemoryPermit;
use crate::forward::translated::{RememberedCall, TranslatedResponse};
use crate::refusal::problem::Problem;
use crate::response::compression::OF_CONTENT;
use crate::transform::client_betas;
use crate::upstream::response_head::RelayedHead;
use crate::worker::conversations::CONVERSATION_BYTES_MAX;

/// The response header with the names of the dropped fields.
const DROPPED: &[u8] = b"x-tollgate-dropped";
/// Maximum length of a name in that field. A longer one contains a name of the client's.
const DROPPED_NAME_LEN_MAX: usize = 128;

/// A call in the format of its provider.
pub(super) struct TranslatedCall {
    pub(super) parsed: ParsedCall,
    /// The endpoint of the provider's format.
    pub(super) called: EndpointCall<'static>,
    pub(super) translation: CallTranslation,
    /// The format of the provider.
    pub(super) format: Format,
}

/// The count of a call in a format of its provider.
pub(super) struct TranslatedCount {
    pub(super) parsed: ParsedCall,
    /// The counter of the provider's format.
    pub(super) called: EndpointCall<'static>,
    /// The format of the provider.
    pub(super) format: Format,
}

/// What the translation of a response needs.
pub(super) struct CallTranslation {
    /// The format of the client.
    client: Format,
    context: ResponseContext,
    /// The fields that the provider does not get.
    dropped: Vec<String>,
    /// The input of a call that later calls may continue.
    remembered: Option<Box<str>>,
}

/// Translates a call into the first format of its provider that can express it, and reads the result as a client's call is
/// read.
///
/// # Errors
/// No format of the provider can express the call, or the call exceeds the memory of the client.
pub(super) async fn translate(
    account: &RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    target: &PlannedModel,
    client: &Client,
) -> Result<TranslatedCall, Problem> {
    let translator = RequestTranslator::new(account, parsed, endpoint, target, client);
    let may_be_continued = endpoint.format == Format::Responses && !endpoint.called.endpoint.free();
    let work = move || {
        let remembered = may_be_continued.then(|| input_of(&translator.content, CONVERSATION_BYTES_MAX)).flatten();
        let to: Vec<Format> =
            translator.target.provider.of_model(&translator.target.model).translations(translator.from).collect();
        let (format, translated) = translator.first_possible(&to, &translator.content)?;
        let TranslatedRequest { body, dropped, context } = translated;
        let called =
            EndpointCall::of_format(format, translator.is_streamed, &translator.target.model).ok_or_else(unnameable)?;
        let client = translator.from;
        let parsed = counted(&called, body, translator.held)?;
        Ok(TranslatedCall {
            parsed,
            called,
            translation: CallTranslation { client, context, dropped, remembered },
            format,
        })
    };
    if parsed.content.len() <= ON_WORKER_BYTES_MAX { work() } else { off_worker(account, work).await? }
}

/// Translates a count into the first format that can express the call and in which its provider counts; `None` if there is no such
/// format.
///
/// # Errors
/// The count exceeds the memory of the client.
pub(super) async fn translate_count(
    account: &RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    target: &PlannedModel,
    client: &Client,
) -> Result<Option<TranslatedCount>, Problem> {
    let to: Vec<Format> = target.provider.of_model(&target.model).counters(endpoint.format).collect();
    if to.is_empty() {
        return Ok(None);
    }
    let translator = RequestTranslator::new(account, parsed, endpoint, target, client);
    let called = endpoint.called.endpoint;
    let work = move || {
        let content = counted_call(called, &translator.content);
        let (format, translated) = match translator.first_possible(&to, content) {
            Err(problem) if problem.refusal == Refusal::FormatMismatch => return Ok(None),
            translated => translated?,
        };
        let kind = translator.target.provider.kind;
        let model = &*translator.target.model;
        let counting = counting_body(kind, format, model, &translated.body);
        let Some(body) = counting else { return Ok(None) };
        let Some(called) = EndpointCall::counter(format, model) else { return Ok(None) };
        match counted(&called, Bytes::from(body), translator.held) {
            Ok(parsed) => Ok(Some(TranslatedCount { parsed, called, format })),
            Err(problem) if problem.refusal == Refusal::BadRequest => Ok(None),
            Err(problem) => Err(problem),
        }
    };
    if parsed.content.len() <= ON_WORKER_BYTES_MAX { work() } else { off_worker(account, work).await? }
}

/// The translation of a request, which may run on another thread than its worker's.
struct RequestTranslator {
    from: Format,
    is_streamed: bool,
    content: Bytes,
    held: MemoryPermit,
    target: PlannedModel,
    clients: EndpointCall<'static>,
    query: Option<String>,
    known_model: String,
    owner: String,
    output_tokens_max: Option<u64>,
    json_object: JsonObject,
    dropped: DroppedFields,
}

impl RequestTranslator {
    fn new(
        account: &RequestAccount,
        parsed: &ParsedCall,
        endpoint: &InferenceEndpoint,
        target: &PlannedModel,
        client: &Client,
    ) -> Self {
        let PlannedModel { provider, model, .. } = target;
        let traffic = &account.request.snapshot.traffic;
        let limits = traffic.limits(provider, model, account.request.started_at);
        let rules = traffic.ai.as_ref().map(|ai| ai.translate).unwrap_or_default();
        Self {
            from: endpoint.format,
            is_streamed: parsed.fields.stream,
            content: parsed.content.clone(),
            held: parsed.held.another(),
            target: target.clone(),
            clients: endpoint.called.clone(),
            query: account.request.head.query().map(str::to_owned),
            known_model: traffic.known_name(provider, model).to_owned(),
            owner: credential::owner(provider, &client.principal),
            output_tokens_max: limits.map(|limits| limits.output_tokens_max),
            json_object: rules.json_object,
            dropped: rules.dropped,
        }
    }

    /// Returns the call in the first of these formats that can express it, otherwise the first error. For example, the Responses API
    /// has no `stop`, and the same provider may have Chat Completions too. What a translation builds besides `content` counts for
    /// the client until it ends.
    fn first_possible(&self, formats: &[Format], content: &[u8]) -> Result<(Format, TranslatedRequest), Problem> {
        let PlannedModel { provider, model, prompt_cache, .. } = &self.target;
        let options = TranslationOptions {
            google: GooglePath::from_call(&self.clients, self.query.as_deref()),
            model,
            known_model: &self.known_model,
            kind: provider.kind,
            host: &provider.origin.host,
            surface: ClaudeSurface::of_provider(provider.kind, &provider.paths),
            owner: &self.owner,
            output_tokens_max: self.output_tokens_max,
            json_object: self.json_object,
            dropped: self.dropped,
            prompt_cache: *prompt_cache,
        };
        let mut first = None;
        for to in formats {
            let mut built = self.held.another();
            let mut full = None;
            let mut room = |bytes| {
                let counted = buffer::hold(&mut built, bytes);
                full = counted.err();
                full.is_none()
            };
            match request(self.from, *to, content, &options, &mut room) {
                Ok(translated) => return Ok((*to, translated)),
                Err(why) => match full {
                    Some(problem) => return Err(problem),
                    None => _ = first.get_or_insert(why),
                },
            }
        }
        Err(untranslatable(first.unwrap_or_else(|| UntranslatableCall {
            param: "model".to_owned(),
            message: "the provider of this model does not support the format of this path".to_owned(),
        })))
    }
}

/// Returns the call without state of other providers, which responses of translated calls have given to the client; `None`
/// if it has none. `known_model` is the name by which the rules of its model are known.
///
/// # Errors
/// The call exceeds the memory of the client.
pub(super) async fn without_state(
    account: &RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    known_model: &str,
) -> Result<Option<ParsedCall>, Problem> {
    let format = endpoint.format;
    if !TRANSLATED.contains(&format) {
        return Ok(None);
    }
    if parsed.content.len() <= ON_WORKER_BYTES_MAX {
        let changed = ai::translate::without_state(format, known_model, &parsed.content);
        return changed.map(|body| counted(&endpoint.called, body, parsed.held.another())).transpose();
    }
    let content = parsed.content.clone();
    let held = parsed.held.another();
    let called = endpoint.called.clone();
    let known_model = known_model.to_owned();
    off_worker(account, move || {
        if !ai::translate::may_have_state(format, &content) {
            return Ok(None);
        }
        let mut built = held.another();
        buffer::hold(&mut built, content.len())?;
        let changed = ai::translate::without_state(format, &known_model, &content);
        drop(built);
        changed.map(|body| counted(&called, body, held)).transpose()
    })
    .await?
}

/// Returns the call as its host of Claude takes it, and the fields that the host lacks; `None` if it takes the call as it is.
///
/// # Errors
/// The call exceeds the memory of the client.
pub(super) async fn fit_to_surface(
    account: &RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    surface: ClaudeSurface,
) -> Result<Option<(ParsedCall, Vec<String>)>, Problem> {
    if endpoint.format != Format::Messages || surface.takes_all() {
        return Ok(None);
    }
    let content = parsed.content.clone();
    let held = parsed.held.another();
    let called = endpoint.called.clone();
    let betas = client_betas(&account.request.head);
    let work = move || {
        let Some(FittedCall { body, dropped }) = ai::translate::fit_to_surface(surface, &betas, &content) else {
            return Ok(None);
        };
        Ok(Some((counted(&called, body, held)?, dropped)))
    };
    if parsed.content.len() <= ON_WORKER_BYTES_MAX { work() } else { off_worker(account, work).await? }
}

/// Returns the call with the fields of its model, which the client has not named, and the fields that it lacks; `None` if the model
/// takes the call as it is.
///
/// # Errors
/// The provider cannot obey a field, or the call exceeds the memory of the client.
pub(super) async fn fit_to_model(
    account: &RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    target: &PlannedModel,
) -> Result<Option<(ParsedCall, Vec<String>)>, Problem> {
    if !target.adapts || !TRANSLATED.contains(&endpoint.format) || endpoint.called.endpoint.free() {
        return Ok(None);
    }
    let traffic = &account.request.snapshot.traffic;
    let known_model = traffic.known_name(&target.provider, &target.model).to_owned();
    let content = parsed.content.clone();
    let held = parsed.held.another();
    let called = endpoint.called.clone();
    let format = endpoint.format;
    let provider = target.provider.clone();
    let work = move || {
        let target = NativeTarget { known_model: &known_model, kind: provider.kind, host: &provider.origin.host };
        let fitted = ai::translate::fit_to_model(format, target, &content).map_err(untranslatable)?;
        let Some(FittedCall { body, dropped }) = fitted else { return Ok(None) };
        Ok(Some((counted(&called, body, held)?, dropped)))
    };
    if parsed.content.len() <= ON_WORKER_BYTES_MAX { work() } else { off_worker(account, work).await? }
}

/// Returns the refusal of a model whose name the provider's path cannot contain.
pub(super) fn unnameable() -> Problem {
    let message = "the name of the model contains `.` or `..` between slashes, or escapes, which its provider's path cannot contain";
    Problem::new(Refusal::BadRequest, message).of_param(Some("model"))
}

/// Returns the refusal of a call that the provider's format cannot express.
fn untranslatable(why: UntranslatableCall) -> Problem {
    Problem::new(Refusal::FormatMismatch, why.message).of_param(Some(why.param))
}

impl CallTranslation {
    /// Begins the translation of a response, whose head gets the fields and the status of the client's format. `None` for a
    /// response without content of the provider's API, such as a redirection, which is relayed as it is.
    ///
    /// # Errors
    /// None of the values is invalid.
    pub(super) fn begin(
        self,
        account: &RequestAccount,
        relayed: &mut RelayedHead,
        framing: ResponseFraming,
        provider_account: ProviderAccount,
    ) -> Result<Option<Box<TranslatedResponse>>, InvalidPart> {
        let status = relayed.head.status();
        if matches!(status, 204 | 205 | 300..=399) {
            return Ok(None);
        }
        let request_id = account.request.id.to_string();
        let ids = ResponseIds { request_id: &request_id, unix_seconds: account.request.wall_at().unix_seconds() };
        let translator = ResponseTranslator::new(self.context, ids, framing, status).with_account(provider_account);
        let retry_after = relayed.head.text(KnownName::RetryAfter).and_then(|seconds| seconds.parse().ok());
        let translator = translator.with_retry_after(retry_after);
        edit(relayed, translator.content_type(), &self.dropped)?;
        let held = account.request.worker().shared.capacity.hold(&account.identity.subject);
        let status = if status < 400 { status } else { client_status(self.client, status) };
        let shared = &account.request.worker().shared;
        let remembered = self
            .remembered
            .zip(references::owner(account))
            .map(|(input, owner)| Box::new(RememberedCall { input, owner, shared: shared.clone() }));
        let translated = TranslatedResponse::new(translator, status, account.request.id, held);
        Ok(Some(Box::new(translated.with_remembered(remembered))))
    }
}

/// Edits the head of a response: its content is another, and fields of the provider's format mean nothing to the client.
fn edit(relayed: &mut RelayedHead, content_type: &str, dropped: &[String]) -> Result<(), InvalidPart> {
    relayed.is_changed = true;
    relayed.may_have_trailers = false;
    let RelayedHead { head, edits, .. } = relayed;
    edits.remove_fields(head.fields(), |field| {
        is_of_provider(field.name) || OF_CONTENT.iter().any(|name| field.name.eq_ignore_ascii_case(name))
    });
    for name in [KnownName::ContentEncoding, KnownName::ContentRange, KnownName::Etag] {
        edits.remove(name);
    }
    edits.set(KnownName::ContentType, content_type.as_bytes())?;
    name_dropped(edits, dropped)
}

/// Names the fields of the client's call that its provider does not get.
pub(super) fn name_dropped(edits: &mut HeadEdits, dropped: &[String]) -> Result<(), InvalidPart> {
    let is_name =
        |name: &&String| name.len() <= DROPPED_NAME_LEN_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    let names: Vec<&str> = dropped.iter().filter(is_name).map(String::as_str).collect();
    if names.is_empty() { Ok(()) } else { edits.set_named(DROPPED, names.join(", ").as_bytes()) }
}

/// Whether a field of a response belongs to the API of one provider.
fn is_of_provider(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 3] = [b"openai-", b"anthropic-", b"x-goog-"];
    PREFIXES.iter().any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}
