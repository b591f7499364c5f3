//! The OpenAPI document: generated from the handlers, then completed with the rules that apply to every operation.
//!
//! A handler lists its own refusals in the extension `x-codes`. Refusals of bodies, authentication and layers are
//! added here. [`described`] collects the handlers, and finds schema names that two types share; `answers` adds the
//! error responses.

mod answers;
mod closed_words;
pub(crate) mod described;
pub(crate) mod served;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use access::Refusal;
use bytes::Bytes;
use config::snapshot::Brand;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi, PathItem, Server};
use utoipa::{OpenApi as _, ToSchema};

use crate::pages::scripts;
use crate::sign_in::limits;
use answers::ErrorBodyFormat;
use described::DescribedOperation;

/// The brand of the document if no brand is configured, for people and for machines.
const NAME: &str = "Tollgate";
const SLUG: &str = "tollgate";
/// The extension in which a handler lists its own refusals.
const CODES: &str = "x-codes";
/// The security schemes of operations. A handler lists `key` for a key, `session` for an access token, `token` for an
/// access token of a session that began with a password, and `cookie`. `key` together with `cookie` also accepts every
/// access token.
const KEY: &str = "key";
const KEY_HEADER: &str = "x_api_key";
const SESSION: &str = "session";
const TOKEN: &str = "token";
const COOKIE: &str = "cookie";

/// Refusals of every operation; `bad_request` because any head may be invalid.
const ALWAYS: [Refusal; 3] = [Refusal::BadRequest, Refusal::Internal, Refusal::Unavailable];
/// Refusals of an invalid or missing credential.
const WITH_CALLER: [Refusal; 11] = [
    Refusal::AmbiguousCredentials,
    Refusal::Unauthorized,
    Refusal::KeyMalformed,
    Refusal::KeyUnknown,
    Refusal::KeyRevoked,
    Refusal::KeyExpired,
    Refusal::TokenExpired,
    Refusal::UserSuspended,
    Refusal::PaymentRequired,
    // The key may be limited to other addresses.
    Refusal::Forbidden,
    Refusal::DirectoryBusy,
];
/// Refusals of an invalid body.
const WITH_BODY: [Refusal; 3] = [Refusal::RequestTimeout, Refusal::PayloadTooLarge, Refusal::UnsupportedMediaType];

/// The body of every error response.
#[derive(ToSchema)]
#[schema(as = Error)]
#[expect(dead_code, reason = "the schema of the JSON that `Problem` writes")]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

/// The reason why a request was refused.
#[derive(ToSchema)]
#[schema(as = ErrorObject)]
#[expect(dead_code, reason = "the schema of the JSON that `Problem` writes")]
pub(crate) struct ErrorObject {
    /// The error code, one of a closed list. Each code has a page in the documentation.
    code: String,
    /// The reason and the remedy, for people.
    message: String,
    /// The HTTP status code.
    status: u16,
    /// The problems of a configuration.
    #[schema(nullable = false)]
    problems: Option<Vec<ConfigurationProblem>>,
}

/// One problem of a configuration.
#[derive(ToSchema)]
#[schema(as = ConfigurationProblem)]
#[expect(dead_code, reason = "the schema of the JSON that `routes::configuration` writes")]
pub(crate) struct ConfigurationProblem {
    /// The code of the problem, such as `unknown_key` or `needs_restart`.
    code: String,
    /// The problem, for people.
    message: String,
    /// The name of the text; null if a variable is the cause.
    file: Option<String>,
    /// The line, from 1.
    line: Option<u32>,
    /// The column, from 1.
    column: Option<u32>,
    /// The problem with its line and a caret, as `tollgate check` prints it. Secrets are masked.
    text: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(license(name = "Apache-2.0", identifier = "Apache-2.0"), title = "Tollgate admin API", description = "Accounts, keys, usage and credentials of providers. Times are UTC, ids are UUIDv7, and money \
        consists of an integer and a currency. Below `/api/` and at the endpoints of insights, requests with unlisted fields or parameters are refused, and so are bodies of operations that list none."),
    components(schemas(ErrorBody, ErrorObject, ConfigurationProblem)),
    tags(
        (name = "auth", description = "Registration, sign-in and sign-out"),
        (name = "account", description = "The authenticated user and the user's sessions"),
        (name = "keys", description = "Keys with which clients authenticate to the proxy"),
        (name = "usage", description = "Usage and cost"),
        (name = "models", description = "Models and their providers"),
        (name = "provider keys", description = "Credentials of LLM providers, encrypted at rest"),
        (name = "admin", description = "Users, plans, invitations and the audit log; for admins"),
        (name = "insights", description = "The usage of a day classified and explained"),
        (name = "billing", description = "Subscriptions, invoices and payments"),
        (name = "health", description = "Health, readiness and metrics of this server")
    )
)]
struct Document;

/// The document's text. It is built at its first use: formatting alone takes as long as the rest of a start.
pub(crate) type DocumentText = LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>;

/// Returns the whole document: the operations as their handlers declare them, and everything that applies to all of them.
pub(crate) fn document(operations: &[DescribedOperation], version: &str) -> OpenApi {
    let mut document = Document::openapi();
    // A test finds names that two schemas share.
    let _ = described::describe(&mut document, operations);
    version.clone_into(&mut document.info.version);
    document.servers = Some(vec![Server::new("/")]);
    let components = document.components.get_or_insert_with(Components::new);
    security(components);
    let mut used_statuses = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations_of(item) {
            closed_words::close_parameters(operation);
            used_statuses.extend(complete_operation(method, path, operation));
        }
    }
    answers::components(components, &used_statuses);
    closed_words::close_schemas(components);
    document
}

/// Formats the document as it is served and kept in the repository: with a line for each part of an operation, and with the
/// fields in the handlers' order.
pub(crate) fn text(document: &OpenApi) -> Bytes {
    // An error here fails the test that compares the text with the repository's document.
    Bytes::from(config::json_lines(document, 4).unwrap_or_default())
}

/// Returns the document's text under another brand. The repository's text contains Tollgate in its title, its examples
/// and its cookies.
pub(crate) fn branded(text: &Bytes, brand: &Brand) -> Bytes {
    let name = brand.name.as_str();
    let slug = brand.slug();
    let Ok(document) = std::str::from_utf8(text) else { return text.clone() };
    if (name, slug) == (NAME, SLUG) {
        return text.clone();
    }
    let quoted = Value::from(name).to_string();
    let name = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    // Inserted text is not searched again, because a name may contain the slug.
    let parts: Vec<String> = document.split(NAME).map(|part| part.replace(SLUG, slug)).collect();
    Bytes::from(parts.join(name))
}

fn security(components: &mut Components) {
    let bearer = || HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let key = bearer().description(Some("A key: `tollgate_` and 32 hex digits")).build();
    components.add_security_scheme(KEY, SecurityScheme::Http(key));
    let jwt = |description| bearer().bearer_format("JWT").description(Some(description)).build();
    let session =
        jwt("An access token of a session. It has the rights of the password or key that the session began with");
    components.add_security_scheme(SESSION, SecurityScheme::Http(session));
    let token = jwt("An access token of a session that began with a password");
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    let header = ApiKeyValue::with_description("X-API-Key", "A key");
    components.add_security_scheme(KEY_HEADER, SecurityScheme::ApiKey(ApiKey::Header(header)));
    let cookie = ApiKeyValue::with_description(
        "__Host-tollgate_session",
        "The session of a browser that signed in; named `tollgate_session` for plain HTTP on loopback",
    );
    components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("put", &mut item.put),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// Completes an operation, and returns the codes of its refusals.
fn complete_operation(method: &str, path: &str, operation: &mut Operation) -> Vec<&'static str> {
    operation.operation_id = Some(operation_id(method, path));
    let mut codes: Vec<Refusal> = own_codes(operation);
    codes.extend(ALWAYS);
    let limited = !limits::is_free(path);
    if limited {
        codes.push(Refusal::RateLimited);
    }
    let schemes = operation.security.get_or_insert_default();
    if names(schemes, KEY) {
        schemes.push(SecurityRequirement::new::<_, [&str; 0], &str>(KEY_HEADER, []));
        // The token in the cookie is also accepted as a bearer token.
        if names(schemes, COOKIE) {
            schemes.push(SecurityRequirement::new::<_, [&str; 0], &str>(SESSION, []));
        }
    }
    if !schemes.is_empty() {
        codes.extend(WITH_CALLER);
    }
    // A page of another origin may have caused the request with the cookie.
    if names(schemes, COOKIE) && method != "get" {
        codes.push(Refusal::Forbidden);
    }
    if operation.request_body.is_some() {
        codes.extend(WITH_BODY);
    }
    // A body must arrive before it can be refused.
    if described::is_strict(path) {
        codes.push(Refusal::RequestTimeout);
    }
    let errors = if scripts::is_script(path) { ErrorBodyFormat::Scripts } else { ErrorBodyFormat::Json };
    answers::add(operation, &codes, limited, errors);
    codes.into_iter().map(Refusal::code).collect()
}

fn names(schemes: &[SecurityRequirement], scheme: &str) -> bool {
    let requirement = SecurityRequirement::new::<_, [&str; 0], &str>(scheme, []);
    schemes.contains(&requirement)
}

/// Returns the operation id, such as `get_api_keys_id` for `GET /api/keys/{id}`. Handlers of different paths have
/// equal names.
fn operation_id(method: &str, path: &str) -> String {
    // `/api/config` has the name without a prefix.
    let path = if path == "/config" { "/insights/config" } else { path };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "api");
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

/// Removes the extension and returns its refusals; the responses contain the same codes.
fn own_codes(operation: &mut Operation) -> Vec<Refusal> {
    let listed = operation.extensions.as_mut().and_then(|extensions| extensions.remove(CODES));
    if operation.extensions.as_ref().is_some_and(|extensions| extensions.is_empty()) {
        operation.extensions = None;
    }
    let listed: Vec<String> = listed.and_then(|codes| serde_json::from_value(codes).ok()).unwrap_or_default();
    Refusal::ALL.iter().copied().filter(|refusal| listed.iter().any(|code| code == refusal.code())).collect()
}

#[cfg(test)]
mod tests;
