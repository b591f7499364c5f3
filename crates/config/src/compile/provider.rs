//! Compiles the parts of an entry of `providers` that depend on its kind or preset.

use std::sync::Arc;

use ai::hosts::host::WITHOUT_PATH;
use ai::hosts::sigv4::AwsCredential;
use ai::{Format, ProviderKind, ProviderPaths};
use settings::error::{Code, Problem};
use settings::field::ValueList;
use settings::input::Input;
use settings::section::section_input::SectionInput;
use settings::section::{Location, SettingsReader};

use crate::schema::traffic::{AwsInput, AzureVersion, BedrockEndpoint, KEYS_OF_KINDS, ProviderInput};
use crate::snapshot::translation::default_formats;
use crate::snapshot::{AccountObjects, Credential, Origin};

/// The name of Bedrock's `mantle` endpoint as a service, in its hosts and in signatures.
const MANTLE: &str = "bedrock-mantle";
/// The name of its `runtime` endpoint in its hosts, and as a service in signatures.
const RUNTIME: &str = "bedrock-runtime";
const RUNTIME_SERVICE: &str = "bedrock";
/// The beginning of the names of Amazon's regions in China, whose hosts have another domain.
const IN_CHINA: &str = "cn-";
/// The location of Vertex AI that chooses a region for each call.
const GLOBAL: &str = "global";
/// The kind of all presets.
const OF_PRESETS: ProviderKind = ProviderKind::OpenAi;

/// Returns an entry that no file lists, at this place of the list.
pub(super) fn unlisted(
    nth: usize,
    name: Input<String>,
    kind: ProviderKind,
    formats: ValueList<Format>,
) -> ProviderInput {
    ProviderInput {
        location: Location::unset(format!("providers[{nth}]"), ProviderInput::SPEC),
        kind: Some(name.derived(kind)),
        name: Some(name),
        preset: None,
        formats,
        base_url: None,
        api_version: None,
        region: None,
        endpoint: None,
        project: None,
        location_: None,
        credential: None,
        aws: None,
        tls: None,
        account_objects: Input::default(AccountObjects::Own),
        price: None,
        pool: None,
        dns: Input::default(false),
        allow_link_local: Input::default(false),
    }
}

/// Returns the kind of an entry, and reports keys that it does not have. Exactly one of `kind` and `preset` is given.
pub(super) fn kind(reader: &SettingsReader<'_>, entry: &ProviderInput) -> Option<ProviderKind> {
    let location = &entry.location;
    if !location.has("kind") && !location.has("preset") {
        location.missing(reader, &["kind", "preset"]);
        return None;
    }
    if location.has("kind") && location.has("preset") {
        let message = format!("`{}` has both `kind` and `preset`", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of `kind` and `preset`"));
        return None;
    }
    let kind = entry.kind.as_ref().map(|kind| kind.value).or(entry.preset.as_ref().map(|_| OF_PRESETS))?;
    let foreign = KEYS_OF_KINDS.iter().find(|(key, of)| location.has(key) && *of != kind);
    if let Some((key, of)) = foreign {
        let message = format!("`{}` has `{key}`, which only `kind: {}` has", location.path, of.as_str());
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(format!("no `{key}`")));
        return None;
    }
    Some(kind)
}

/// Returns the base URL of an entry without one, and reports keys that the kind needs.
pub(super) fn base_url(reader: &SettingsReader<'_>, entry: &ProviderInput, kind: ProviderKind) -> Option<String> {
    let location = &entry.location;
    match kind {
        ProviderKind::AzureOpenAi => {
            if !location.has("base_url") {
                location.missing(reader, &["base_url"]);
            }
            None
        }
        ProviderKind::Bedrock => {
            if !location.has("region") {
                location.missing(reader, &["region"]);
            }
            entry.region.as_ref().map(|region| bedrock_url(bedrock_endpoint(entry), &region.value))
        }
        ProviderKind::Vertex => {
            if !location.has("project") {
                location.missing(reader, &["project"]);
            }
            entry.project.as_ref().map(|_| vertex_url(vertex_location(entry)))
        }
        ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Gemini | ProviderKind::Mock => {
            let of_preset = entry.preset.as_ref().map(|preset| preset.value.base_url.to_owned());
            of_preset.or_else(|| kind.own_url())
        }
    }
}

/// Returns the endpoint of an entry of Bedrock.
fn bedrock_endpoint(entry: &ProviderInput) -> BedrockEndpoint {
    entry.endpoint.as_ref().map(|endpoint| endpoint.value).unwrap_or_default()
}

/// Returns the URL of an endpoint of Bedrock.
fn bedrock_url(endpoint: BedrockEndpoint, region: &str) -> String {
    match endpoint {
        BedrockEndpoint::Mantle => format!("https://{MANTLE}.{region}.api.aws"),
        BedrockEndpoint::Runtime => {
            let domain = if region.starts_with(IN_CHINA) { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{RUNTIME}.{region}.{domain}")
        }
    }
}

/// Returns the location of an entry of Vertex AI.
fn vertex_location(entry: &ProviderInput) -> &str {
    entry.location_.as_ref().map_or(GLOBAL, |location| location.value.as_str())
}

/// Returns the URL of Vertex AI for a location. The continents `us` and `eu` have another domain.
fn vertex_url(location: &str) -> String {
    match location {
        GLOBAL => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// Returns a provider's origin with the path of its base URL. Clients of kinds with a `base_path` have the version of
/// the API in that path; those of other kinds write it behind the base URL.
pub(super) fn origin_of(kind: ProviderKind, url: &str) -> Result<Origin, String> {
    let origin = Origin::parse(url).map_err(|error| error.to_string())?;
    let such_as = || kind.own_url().map(|url| format!(", such as {url}")).unwrap_or_default();
    let base_path = kind.descriptor().base_path;
    if base_path.is_empty() && origin.path.ends_with("/v1") {
        return Err(format!("a URL without /v1 at its end{}", such_as()));
    }
    if kind == ProviderKind::AzureOpenAi && origin.path.ends_with("/openai") {
        return Err("a URL without /openai at its end, such as https://RESOURCE.openai.azure.com".to_owned());
    }
    if !base_path.is_empty() && origin.path.is_empty() && !WITHOUT_PATH.contains(&origin.host.as_str()) {
        return Err(format!("a URL that ends in {base_path} or in another path{}", such_as()));
    }
    Ok(origin)
}

/// Returns the paths of an entry's endpoints.
pub(super) fn paths(entry: &ProviderInput) -> ProviderPaths {
    if let Some(project) = &entry.project {
        let folder = format!("/v1/projects/{}/locations/{}", project.value, vertex_location(entry));
        return ProviderPaths::Vertex(folder.into());
    }
    match entry.api_version.as_ref().map(|version| &version.value) {
        Some(AzureVersion::Dated(date)) => ProviderPaths::AzureDated(date.as_str().into()),
        None if bedrock_endpoint(entry) == BedrockEndpoint::Runtime => ProviderPaths::BedrockRuntime,
        Some(AzureVersion::V1) | None => ProviderPaths::OfKind,
    }
}

/// Returns the formats of an entry without `formats`. Deployments of Azure with a date have Responses in few versions.
pub(super) fn formats(entry: &ProviderInput, kind: ProviderKind, origin: Option<&Origin>) -> Vec<Format> {
    match (&entry.preset, paths(entry)) {
        (Some(preset), _) => preset.value.formats.to_vec(),
        (None, ProviderPaths::AzureDated(_)) => vec![Format::Chat],
        (None, ProviderPaths::BedrockRuntime) => vec![Format::Messages],
        (None, ProviderPaths::OfKind | ProviderPaths::Vertex(_)) => default_formats(kind, origin),
    }
}

/// Returns the credential of an entry; `None` if the provider is off without one.
pub(super) fn credential(reader: &SettingsReader<'_>, entry: &ProviderInput, kind: ProviderKind) -> Option<Credential> {
    let location = &entry.location;
    if location.has("credential") && location.has("aws") {
        let message = format!("`{}` has both `credential` and `aws`", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of `credential` and `aws`"));
        return None;
    }
    let given = entry.credential.as_ref().and_then(|credential| {
        let fitting = fitting(kind, credential.value.clone());
        let at = credential.value_origin().unwrap_or(location.at);
        fitting.map_err(|expected| reader.bad(at, &location.name("credential"), expected)).ok()
    });
    let signing = || {
        let aws = entry.aws.as_ref().zip(entry.region.as_ref());
        aws.and_then(|(aws, region)| signing(reader, aws, &region.value, bedrock_endpoint(entry)))
    };
    let needs_none = kind == ProviderKind::Mock || entry.preset.as_ref().is_some_and(|preset| preset.value.is_local);
    given.or_else(signing).or(needs_none.then_some(Credential::None))
}

/// Returns a credential that a kind may have.
///
/// # Errors
/// The description of valid credentials.
pub(super) fn fitting(kind: ProviderKind, credential: Credential) -> Result<Credential, String> {
    match (kind == ProviderKind::Vertex, &credential) {
        (true, Credential::Fixed(_)) => {
            Err("the JSON file of a service account's key: file:/run/secrets/sa.json, or `vault`".to_owned())
        }
        (false, Credential::ServiceAccount(_)) => Err(format!("a credential of `kind: {}`", kind.as_str())),
        _ => Ok(credential),
    }
}

/// Returns the keys that sign requests; `None` without them.
fn signing(reader: &SettingsReader<'_>, aws: &AwsInput, region: &str, endpoint: BedrockEndpoint) -> Option<Credential> {
    let AwsInput { location, access_key_id, secret_access_key, session_token } = aws;
    let keys = ["access_key_id", "secret_access_key"];
    if keys.iter().any(|key| location.has(key)) {
        keys.iter().filter(|key| !location.has(key)).for_each(|key| location.missing(reader, &[key]));
    }
    let (id, key) = access_key_id.as_ref().zip(secret_access_key.as_ref())?;
    Some(Credential::Aws(Arc::new(AwsCredential {
        access_key_id: id.value.clone(),
        secret_access_key: key.value.clone(),
        session_token: session_token.as_ref().map(|token| token.value.clone()),
        region: region.into(),
        service: match endpoint {
            BedrockEndpoint::Mantle => MANTLE,
            BedrockEndpoint::Runtime => RUNTIME_SERVICE,
        },
    })))
}
