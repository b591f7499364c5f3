//! The keys of `providers`.

use access::Secret;
use ai::hosts::preset::Preset;
use ai::{Format, ProviderKind};
use serde_json::{Value as Json, json};
use settings::documents::json;
use settings::field::{ValueList, default, list, maybe_nested, optional, or_empty};
use settings::form::{Boolean, Scalar, TextForm, Words, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

use super::forms::{
    ACCOUNT_OBJECTS, CREDENTIAL, FORMAT, KIND, PRICE_SOURCE, URL, base_url_of_kind, formats_of_kind, name_of_mock,
};
use super::{NAME, UpstreamTlsInput};
use crate::snapshot::retry::ProviderPoolInput;
use crate::snapshot::translation::TEXT_FORMATS;
use crate::snapshot::{AccountObjects, Credential, PriceSource};

section! {
    ProviderInput {
        /// The provider in `PROVIDER/MODEL`.
        name: Option<Input<String>> = settings::field::required(NAME);
        /// The [API](providers.md#kinds) that the provider supports; either this or `preset`.
        kind: Option<Input<ProviderKind>> = optional(KIND, "");
        /// A [known host or server](providers.md#presets) with OpenAI's API, in place of `kind`.
        preset: Option<Input<Preset>> = optional(PRESET, "");
        /// The formats of calls for text; [others](translation.md) are translated into the first that can express them.
        formats: ValueList<Format> =
            list(FORMAT, TEXT_FORMATS.len(), "[of its kind](providers.md#kinds) or preset").not_empty("at least one format");
        /// Includes the version (`/v1`) for `openai` only.
        base_url: Option<Input<String>> = optional(URL, "the provider's public URL");
        /// Of `azure_openai`: `v1` (the default), or the date of an [API version](providers.md#azure).
        api_version: Option<Input<AzureVersion>> = optional(AZURE_VERSION, "");
        /// Of `bedrock`: the region, such as `us-east-1`.
        region: Option<Input<String>> = optional(REGION, "");
        /// Of `bedrock`: `mantle` (the default), or [`runtime`](providers.md#runtime).
        endpoint: Option<Input<BedrockEndpoint>> = optional(ENDPOINT, "");
        /// Of `vertex`: the id of the project in Google Cloud.
        project: Option<Input<String>> = optional(PROJECT, "");
        /// Of `vertex`: `global` (the default), or a region such as `europe-west4`.
        location_: Option<Input<String>> = optional(LOCATION, "");
        /// `${OPENAI_API_KEY:-}`, `file:/run/secrets/openai`, or a shared one in the [vault](vault.md): `vault`, `vault:LABEL`.
        credential: Option<Input<Credential>> = or_empty(CREDENTIAL, "none");
        /// Of `bedrock`: the keys that [sign requests](providers.md#bedrock), in place of `credential`.
        aws: Option<AwsInput> = maybe_nested::<AwsInput>();
        /// TLS to `https` URLs.
        tls: Option<UpstreamTlsInput> = maybe_nested::<UpstreamTlsInput>();
        /// The connections that are kept between calls.
        pool: Option<ProviderPoolInput> = maybe_nested::<ProviderPoolInput>();
        /// Whether [each address](discovery.md#names-in-urls) of the name in `base_url` is a backend, by the section `dns` if there is one.
        dns: Input<bool> = default(Boolean, || false);
        /// Objects of the operator's account that calls may name: of the [same user](providers.md#account-objects), or any.
        account_objects: Input<AccountObjects> = default(ACCOUNT_OBJECTS, || AccountObjects::Own);
        /// Costs without a configured price: of the [table](prices.md), or as the provider [reports](prices.md#reported-costs) them.
        price: Option<Input<PriceSource>> = optional(PRICE_SOURCE, "`reported` at OpenRouter, otherwise `table`");
        /// Whether `base_url` may have a link-local or metadata address. Only in the file.
        allow_link_local: Input<bool> = default(Boolean, || false);
        rules: Rule::ExactlyOne(&["kind", "preset"]), Rule::NotAll(&["credential", "aws"]), Rule::Values(keys_of_kinds),
            Rule::Values(base_url_of_kind), Rule::Values(formats_of_kind), Rule::Values(name_of_mock);
    }
}

section! {
    AwsInput {
        /// The name of the key: `${AWS_ACCESS_KEY_ID:-}`. Without both keys, the provider is off.
        access_key_id: Option<Input<Secret>> = or_empty(AWS_KEY, "none");
        /// The key that signs calls: `${AWS_SECRET_ACCESS_KEY:-}`.
        secret_access_key: Option<Input<Secret>> = or_empty(AWS_KEY, "none");
        /// The token of temporary keys.
        session_token: Option<Input<Secret>> = or_empty(AWS_KEY, "none");
        rules: Rule::Requires("access_key_id", "secret_access_key"), Rule::Requires("secret_access_key", "access_key_id");
    }
}

/// The version of Azure's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AzureVersion {
    V1,
    Dated(String),
}

/// The endpoint of Bedrock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BedrockEndpoint {
    #[default]
    Mantle,
    Runtime,
}

const PRESET: Words<Preset> = Words::new(&Preset::NAMED);
const V1: &str = "v1";
const AZURE_VERSION: TextForm<AzureVersion> = TextForm {
    parse: |text| match text {
        V1 => Ok(AzureVersion::V1),
        _ => accept(text, is_dated(text), "`v1`, or a date: 2024-10-21, 2025-04-01-preview").map(AzureVersion::Dated),
    },
    shown: |version| match version {
        AzureVersion::V1 => Value::text(V1),
        AzureVersion::Dated(date) => Value::text(date),
    },
    cell: "`v1`, `YYYY-MM-DD`, `YYYY-MM-DD-preview`",
    pattern: "^(v1|20[0-9]{2}-[01][0-9]-[0-3][0-9](-preview)?)$",
    scalar: Scalar::Text,
};

/// Whether a text is the date of a version.
fn is_dated(text: &str) -> bool {
    const FORM: &str = "20dd-md-Dd";
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let fits = |(byte, form): (u8, u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b'm' => matches!(byte, b'0' | b'1'),
        b'D' => matches!(byte, b'0'..=b'3'),
        _ => byte == form,
    };
    date.len() == FORM.len() && date.bytes().zip(FORM.bytes()).all(fits)
}

/// A part of a host.
const REGION: TextForm<String> = TextForm {
    parse: |text| accept(text, is_word_of_cloud(text, 32, b"-"), "a region: us-east-1"),
    shown: |region| Value::text(region),
    cell: "region",
    pattern: "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
    scalar: Scalar::Text,
};
/// A part of a host and of paths.
const LOCATION: TextForm<String> = TextForm {
    parse: |text| accept(text, is_word_of_cloud(text, 32, b"-"), "a location: global, europe-west4"),
    shown: |location| Value::text(location),
    cell: "location",
    pattern: "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
    scalar: Scalar::Text,
};
/// A part of paths. Old names contain a domain: `example.com:my-project`.
const PROJECT: TextForm<String> = TextForm {
    parse: |text| accept(text, is_word_of_cloud(text, 64, b"-.:"), "the id of a project: my-project"),
    shown: |project| Value::text(project),
    cell: "project",
    pattern: "^[a-z0-9]([a-z0-9.:-]{0,62}[a-z0-9])?$",
    scalar: Scalar::Any,
};

/// Whether a text has lowercase letters, digits and, except at its ends, `others`.
fn is_word_of_cloud(text: &str, len_max: usize, others: &[u8]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let has_plain_ends = [text.bytes().next(), text.bytes().last()].into_iter().all(|end| end.is_some_and(is_plain));
    text.len() <= len_max && has_plain_ends && text.bytes().all(|byte| is_plain(byte) || others.contains(&byte))
}
const ENDPOINT: Words<BedrockEndpoint> =
    Words::new(&[("mantle", BedrockEndpoint::Mantle), ("runtime", BedrockEndpoint::Runtime)]);
const AWS_KEY: TextForm<Secret> = TextForm {
    parse: |text| {
        let is_key = text.len() <= 4_096 && text.bytes().all(|byte| byte.is_ascii_graphic());
        accept(text, is_key, "at most 4,096 visible ASCII characters without a space").map(Secret::new)
    },
    shown: Value::secret,
    cell: "secret",
    pattern: "^[!-~]{1,4096}$",
    scalar: Scalar::Any,
};

/// The keys of one kind of provider each; other kinds refuse them.
pub(crate) const KEYS_OF_KINDS: [(&str, ProviderKind); 6] = [
    ("api_version", ProviderKind::AzureOpenAi),
    ("region", ProviderKind::Bedrock),
    ("endpoint", ProviderKind::Bedrock),
    ("aws", ProviderKind::Bedrock),
    ("project", ProviderKind::Vertex),
    ("location", ProviderKind::Vertex),
];

/// The conditions of keys on `kind`, and the keys that a kind needs.
fn keys_of_kinds() -> Json {
    let reference = json!({"$ref": "#/$defs/reference"});
    let is_kind = |kind: ProviderKind| {
        let words = json!({"anyOf": [{"const": kind.as_str()}, reference]});
        json!({"properties": {"kind": words}, "required": ["kind"]})
    };
    let mut rules: Vec<Json> =
        KEYS_OF_KINDS.iter().map(|(key, kind)| json!({"anyOf": [{"not": json::given(key)}, is_kind(*kind)]})).collect();
    let exactly = |kind: ProviderKind| json!({"properties": {"kind": {"const": kind.as_str()}}, "required": ["kind"]});
    let needs = |kind, condition: Json| json!({"if": exactly(kind), "then": condition});
    let outside = json!({"anyOf": [{"type": "null"}, reference, {"not": {"pattern": "[^/:]/+openai/*$"}}]});
    rules.push(needs(
        ProviderKind::AzureOpenAi,
        json!({"allOf": [json::given("base_url"), {"properties": {"base_url": outside}}]}),
    ));
    rules.push(needs(ProviderKind::Bedrock, json::given("region")));
    let messages = json!({"items": {"anyOf": [{"const": Format::Messages.name()}, reference]}});
    rules.push(json!({
        "if": {"properties": {"endpoint": {"const": "runtime"}}, "required": ["endpoint"]},
        "then": {"properties": {"formats": messages}},
    }));
    rules.push(needs(ProviderKind::Vertex, json::given("project")));
    let account = json!({"anyOf": [{"type": "null"}, reference, {"pattern": r"^($|vault$|vault:|\s*\{)"}]});
    rules.push(needs(ProviderKind::Vertex, json!({"properties": {"credential": account}})));
    json!({"allOf": rules})
}
