//! The keys of `auth[]` and of `routes[].auth`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::name::NAME;
use super::UpstreamTlsInput;
use super::auth_type::{AUTH_TYPE, AuthType, ENTRY_TYPE, EntryType};
use super::forms::ANY_NAME;
use super::key_place::{KEY_PLACES, KeyPlaceInput, KeyPlaceWord};
use crate::snapshot::ServiceUrl;
use access::credentials::basic::{BasicHash, USERS_MAX};
use access::credentials::jwt::{Algorithm, JwtKey};
use access::credentials::key_list::{LISTED_KEYS_MAX, ListedKeyHash};
use access::{Secret, credentials::issuer::IssuerUrl};
use serde_json::{Value as Json, json};
use settings::documents::json;
use settings::field::{
    Either, Entries, Map, ValueList, default, list, maybe_nested, nested, optional, required, sections,
    single_or_absent,
};
use settings::form::{Boolean, DurationForm, Scalar, TextForm, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    AuthEntryInput {
        /// The name that routes use.
        name: Option<Input<String>> = required(NAME);
        /// An access token, a key, a password, or the consent of a service.
        r#type: Option<Input<EntryType>> = required(ENTRY_TYPE);
        /// The accepted algorithms, which fit the key.
        algorithms: ValueList<Algorithm> =
            list(ALGORITHM, 13, "required").not_empty("the algorithms that the issuer uses, such as [RS256]");
        /// The secret of `HS256` (at least 32 bytes), `HS384` (48), `HS512` (64): `file:/run/secrets/jwt`.
        secret: Option<Input<Secret>> = optional(SECRET, "");
        /// Whether `secret` may be shorter, and so be guessed.
        weak_secret: Input<bool> = default(Boolean, || false);
        /// The public key: `file:/etc/tollgate/issuer.pem`.
        public_key: Option<Input<JwtKey>> = optional(PUBLIC_KEY, "");
        /// The URL of the issuer's [key set](authentication.md#keys-of-issuers).
        jwks: Option<Input<IssuerUrl>> = optional(JWKS, "from the metadata of `issuer`");
        /// Whether `jwks`, `issuer` or `url` may have a link-local or metadata address. Only in the file.
        allow_link_local: Input<bool> = default(Boolean, || false);
        /// The required `iss` of tokens, and the issuer of their subjects.
        issuer: Option<Input<String>> = optional(ISSUER, "any");
        /// Tokens need one of these in `aud`.
        audience: ValueList<String> = list(AUDIENCE, 16, "any").or_single();
        /// Maximum difference of clocks.
        leeway: Input<Duration> = default(LEEWAY, || Duration::from_secs(10));
        /// [Claims as headers](authentication.md#claims-as-headers) for upstreams, at most 16.
        claims_to_headers: Vec<(String, Input<String>)> =
            Map::new(CLAIM_HEADER, is_claim, "the name of a claim, of at most 128 characters", CLAIM_PATTERN);
        /// The [plan](authentication.md#plans) of the subjects: a plan, or a claim with its name.
        plan: Option<Either<String, ClaimInput>> = single_or_absent(ANY_NAME, nested::<ClaimInput>());
        /// With `type: key`: the keys.
        keys: Entries<ListedKeyInput> =
            sections::<ListedKeyInput>("none").not_empty("at least one key").at_most(LISTED_KEYS_MAX);
        /// With `type: basic`: the [users](authentication.md#users-and-passwords).
        users: Entries<BasicUserInput> =
            sections::<BasicUserInput>("none").not_empty("at least one user").at_most(USERS_MAX);
        /// With `type: forward`: the URL of the [service](authentication.md#services-that-decide).
        url: Option<Input<ServiceUrl>> = optional(SERVICE_URL, "");
        /// Response headers for upstreams. Routes accept them from no client.
        headers_to_upstream: ValueList<String> = list(CLAIM_HEADER, HEADERS_MAX, "none");
        /// The response header with the subject.
        subject: Option<Input<String>> = optional(RESPONSE_HEADER, "the address of the client");
        /// Maximum time for the service's response.
        timeout: Input<Duration> = default(SERVICE_TIMEOUT, || Duration::from_secs(2));
        /// Request headers whose values select a cached response with `max-age`. Requires `subject`.
        cache_by: ValueList<String> = list(RESPONSE_HEADER, HEADERS_MAX, "nothing is cached");
        /// The TLS to the service or issuer.
        tls: Option<UpstreamTlsInput> = maybe_nested::<UpstreamTlsInput>();
        /// With `type: key`, instead of `keys`: [keys in Redis](authentication.md#keys-in-redis).
        redis: Option<RedisKeysInput> = maybe_nested::<RedisKeysInput>();
        rules: Rule::Values(keys_of_type), Rule::NotAll(&["secret", "public_key"]),
            Rule::Requires("weak_secret", "secret"), Rule::NotAll(&["secret", "jwks"]), Rule::NotAll(&["public_key", "jwks"]),
            Rule::Requires("cache_by", "subject"), Rule::NotAll(&["secret", "tls"]), Rule::NotAll(&["public_key", "tls"]),
            Rule::Values(key_of_algorithms), Rule::Values(length_of_secret);
    }
}

section! {
    ListedKeyInput {
        /// The name in usage and logs.
        name: Option<Input<String>> = required(NAME);
        /// The SHA-256 of the key.
        sha256: Option<Input<ListedKeyHash>> = optional(SHA256, "");
        /// The key itself: `file:/run/secrets/partner`.
        value: Option<Input<ListedKeyHash>> = optional(LISTED_KEY, "");
        rules: Rule::ExactlyOne(&["sha256", "value"]);
    }
}

section! {
    RedisKeysInput {
        /// With `type: key`, instead of `keys`: the prefix of [keys in Redis](authentication.md#keys-in-redis).
        prefix: Input<String> = default(REDIS_PREFIX, || "tollgate:key:".to_owned());
    }
}

section! {
    BasicUserInput {
        /// The name, without a colon.
        name: Option<Input<String>> = required(USER_NAME);
        /// The Argon2id or bcrypt hash of the password.
        hash: Option<Input<BasicHash>> = required(BASIC_HASH);
    }
}

section! {
    ClaimInput {
        /// The name of a claim.
        claim: Option<Input<String>> = required(CLAIM);
        rules: Rule::Required("claim");
    }
}

section! {
    /// One credential that a route accepts.
    AuthMethodInput {
        /// A key, an [access token](#auth), a password, a service that decides, or nothing.
        r#type: Input<AuthType> = default(AUTH_TYPE, || AuthType::Key);
        /// The entry of `auth` that verifies it.
        r#use: Option<Input<String>> = optional(ANY_NAME, "the only entry of this type; `key`: [keys](keys.md) of users");
        /// [Required claims](authentication.md#required-claims) of tokens, at most 16; otherwise 403.
        require: Vec<(String, Input<String>)> =
            Map::new(CLAIM_VALUE, is_claim, "the name of a claim, of at most 128 characters", CLAIM_PATTERN);
        /// [Where clients send a key](authentication.md#keys-of-browsers).
        from: Vec<Either<KeyPlaceWord, KeyPlaceInput>> = KEY_PLACES;
        rules: Rule::Values(type_of_conditions);
    }
}

section! {
    AuthInput {
        ..method: AuthMethodInput;
        /// [Alternatives](authentication.md#alternatives) instead of `type`.
        any: Entries<AlternativeInput> =
            sections::<AlternativeInput>("none").not_empty("at least one alternative").at_most(ALTERNATIVES_MAX);
        rules: Rule::RequiredUnless("type", &["any"]), Rule::NotAll(&["type", "any"]), Rule::NotAll(&["use", "any"]),
            Rule::NotAll(&["require", "any"]), Rule::NotAll(&["from", "any"]);
    }
}

section! {
    AlternativeInput {
        ..method: AuthMethodInput;
        rules: Rule::Required("type");
    }
}

/// Maximum number of alternatives of one route.
const ALTERNATIVES_MAX: usize = 8;

/// The keys of an entry that has its key in the configuration, or a URL of its keys. Without any, `issuer` is a URL.
pub(crate) const KEYS: [&str; 3] = ["secret", "public_key", "jwks"];

/// The condition of `algorithms` on the key, and that of `issuer` on a key set without a URL.
fn key_of_algorithms() -> Json {
    let reference = || json!({"$ref": "#/$defs/reference"});
    let matching = |pattern: &str| json!({"anyOf": [reference(), {"pattern": pattern}]});
    let algorithms = |pattern: &str| json!({"properties": {"algorithms": {"items": matching(pattern)}}});
    let has = |keys: &[&str]| json!({"anyOf": keys.iter().map(|key| json::given(key)).collect::<Vec<_>>()});
    let issuer = json!({"properties": {"issuer": {"anyOf": [{"type": "null"}, matching(URL_PATTERN)]}}});
    json!({"allOf": [
        {"if": json::given("secret"), "then": algorithms("^HS"), "else": algorithms("^[REP]|^Ed")},
        {"if": has(&KEYS), "else": issuer},
    ]})
}

/// The condition of the length of `secret` on `weak_secret`. A character has up to four bytes.
fn length_of_secret() -> Json {
    let reference = || json!({"$ref": "#/$defs/reference"});
    let is_weak = json!({"required": ["weak_secret"], "properties": {"weak_secret": {"anyOf": [{"enum": [true, "true"]}, reference()]}}});
    let secret = json!({"anyOf": [{"type": "null"}, reference(), {"minLength": 8}]});
    json!({"if": is_weak, "else": {"properties": {"secret": secret}}})
}

/// The types of entries, each with the keys that not all types have.
const KEYS_OF_TYPES: [(EntryType, &[&str]); 4] = [
    (
        EntryType::Jwt,
        &[
            "algorithms",
            "secret",
            "weak_secret",
            "public_key",
            "jwks",
            "allow_link_local",
            "issuer",
            "audience",
            "leeway",
            "claims_to_headers",
            "tls",
        ],
    ),
    (EntryType::Key, &["keys", "redis"]),
    (EntryType::Basic, &["users"]),
    (EntryType::Forward, &["url", "headers_to_upstream", "subject", "timeout", "cache_by", "tls", "allow_link_local"]),
];

/// Returns the keys that an entry of this type does not have.
pub(crate) fn keys_of_other_types(of_type: EntryType) -> Vec<&'static str> {
    let own = || KEYS_OF_TYPES.iter().filter(|(other, _)| *other == of_type).flat_map(|(_, keys)| *keys);
    let others = KEYS_OF_TYPES.iter().filter(|(other, _)| *other != of_type).flat_map(|(_, keys)| *keys);
    // Two other types may have the same key.
    let others: BTreeSet<&str> = others.filter(|key| own().all(|own| own != *key)).copied().collect();
    others.into_iter().collect()
}

/// The keys that each type of entry needs, and those that it does not have.
fn keys_of_type() -> Json {
    let is = |of_type: EntryType| json!({"required": ["type"], "properties": {"type": {"const": of_type.as_str()}}});
    let any = |keys: &[&str]| json!({"anyOf": keys.iter().map(|key| json::given(key)).collect::<Vec<_>>()});
    let rules = KEYS_OF_TYPES.iter().map(|(of_type, _)| {
        let others = keys_of_other_types(*of_type);
        let needs = match of_type {
            EntryType::Jwt => json!({"required": ["algorithms"], "anyOf": [any(&KEYS), json::given("issuer")]}),
            EntryType::Key => json!({"oneOf": [json::given("keys"), json::given("redis")]}),
            EntryType::Basic => json::given("users"),
            EntryType::Forward => json::given("url"),
        };
        // Only tokens have claims.
        let plan = match of_type {
            EntryType::Jwt => json!({}),
            EntryType::Key | EntryType::Basic | EntryType::Forward => {
                json!({"properties": {"plan": {"not": {"type": "object"}}}})
            }
        };
        json!({"if": is(*of_type), "then": {"allOf": [needs, plan, {"not": any(&others)}]}})
    });
    json!({"allOf": rules.collect::<Vec<_>>()})
}

/// The condition of `use` and `require` on `type`.
fn type_of_conditions() -> Json {
    let kind = |types: &[AuthType]| {
        let types: Vec<&str> = types.iter().map(|of_type| of_type.as_str()).collect();
        json!({"properties": {"type": {"anyOf": [{"enum": types}, {"$ref": "#/$defs/reference"}]}}})
    };
    json!({"allOf": [
        {"if": {"required": ["require"]}, "then": kind(&[AuthType::Jwt])},
        {"if": {"required": ["use"]}, "then": kind(&[AuthType::Jwt, AuthType::Key, AuthType::Basic, AuthType::Forward])},
    ]})
}

/// Longer than a person waits for a page.
const SERVICE_TIMEOUT: DurationForm = DurationForm::new(Duration::from_millis(1), Duration::from_secs(30));
/// Maximum number of headers in one list.
const HEADERS_MAX: usize = 16;
const ALGORITHM: Words<Algorithm> = Words::new(Algorithm::NAMES);
/// Five minutes hide any useful difference of clocks.
const LEEWAY: DurationForm = DurationForm::new(Duration::ZERO, Duration::from_secs(300));

/// Longest secret, in bytes. The shortest one depends on the algorithm.
const SECRET_LEN_MAX: usize = 4_096;
const SECRET: TextForm<Secret> = TextForm {
    parse: |secret| {
        let has_length = (1..=SECRET_LEN_MAX).contains(&secret.len());
        let secret = accept(secret, has_length, "32 to 4,096 bytes, as `openssl rand -hex 32` writes them")?;
        let secret = Secret::new(secret);
        JwtKey::secret(&secret).map_err(|error| bad(&error.to_string()))?;
        Ok(secret)
    },
    shown: Value::secret,
    cell: "32 to 4,096 bytes",
    pattern: r"^([^-]|-[^-]|-$)[\s\S]*$",
    scalar: Scalar::Text,
};
const PUBLIC_KEY: TextForm<JwtKey> = TextForm {
    parse: |pem| JwtKey::public(pem).map_err(|error| bad(&error.to_string())),
    shown: |_| Value::text("PEM"),
    cell: "public key in PEM",
    pattern: r"^\s*-----BEGIN (RSA )?PUBLIC KEY-----",
    scalar: Scalar::Text,
};

const URL_PATTERN: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[^#@]+$";
const JWKS: TextForm<IssuerUrl> = TextForm {
    parse: |url| IssuerUrl::parse(url).map_err(|error| bad(&error.to_string())),
    shown: |url| Value::text(url),
    cell: "`https://HOST[:PORT]/PATH`, `http` to loopback",
    pattern: URL_PATTERN,
    scalar: Scalar::Text,
};

const SHA256: TextForm<ListedKeyHash> = TextForm {
    parse: |text| ListedKeyHash::parse(text).ok_or_else(|| bad("64 hexadecimal digits, as `sha256sum` writes them")),
    shown: |hash| Value::text(hash.to_hex()),
    cell: "64 hexadecimal digits",
    pattern: "^[0-9A-Fa-f]{64}$",
    scalar: Scalar::Any,
};
const LISTED_KEY: TextForm<ListedKeyHash> = TextForm {
    parse: |key| {
        ListedKeyHash::from_key(key.as_bytes())
            .ok_or_else(|| bad("16 to 4,096 visible ASCII characters without a space"))
    },
    shown: |hash| Value::secret(&Secret::new(hash.to_hex())),
    cell: "16 to 4,096 visible ASCII characters",
    pattern: "^[!-~]{16,4096}$",
    scalar: Scalar::Any,
};

const SERVICE_URL: TextForm<ServiceUrl> = TextForm {
    parse: |url| {
        ServiceUrl::parse(url).ok_or_else(|| bad("`http://HOST[:PORT]/PATH` or `https://…`, without user and fragment"))
    },
    shown: |url| Value::text(url),
    cell: "`http` or `https` URL",
    pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^#@]+$",
    scalar: Scalar::Text,
};
/// The name of a header that the gateway reads.
const RESPONSE_HEADER: TextForm<String> = TextForm {
    parse: |name| {
        let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        accept(name, is_token && (1..=64).contains(&name.len()), "the name of a header, such as X-User")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_-]{1,64}$",
    scalar: Scalar::Whole,
};
const REDIS_PREFIX: TextForm<String> = TextForm {
    parse: |prefix| {
        let is_valid = (1..=128).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_graphic());
        accept(prefix, is_valid, "1 to 128 visible ASCII characters without a space")
    },
    shown: |prefix| Value::text(prefix),
    cell: "1 to 128 visible ASCII characters",
    pattern: "^[!-~]{1,128}$",
    scalar: Scalar::Any,
};
const USER_NAME: TextForm<String> = TextForm {
    parse: |name| {
        let is_valid = access::SubjectText::<255>::parse(name).is_some() && !name.contains(':');
        accept(name, is_valid, "1 to 255 bytes without a colon and control characters")
    },
    shown: |name| Value::text(name),
    cell: "text",
    pattern: r"^[^:\x00-\x1F\x7F]{1,255}$",
    scalar: Scalar::Any,
};
const BASIC_HASH: TextForm<BasicHash> = TextForm {
    parse: |text| BasicHash::parse(text).map_err(|error| bad(&error.to_string())),
    shown: |hash| Value::secret(hash.text()),
    cell: "`$argon2id$…` or `$2b$…`",
    pattern: r"^\$(argon2id\$.{1,500}|2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{53})$",
    scalar: Scalar::Text,
};

/// Longest `iss` that a subject can have, in bytes.
const ISSUER_LEN_MAX: usize = 512;
const ISSUER: TextForm<String> = TextForm {
    parse: |issuer| {
        let is_valid = access::SubjectText::<ISSUER_LEN_MAX>::parse(issuer).is_some();
        accept(issuer, is_valid, "1 to 512 bytes without control characters")
    },
    shown: |issuer| Value::text(issuer),
    cell: "text",
    pattern: r"^[^\x00-\x1F\x7F]{1,512}$",
    scalar: Scalar::Any,
};
const AUDIENCE: TextForm<String> = ISSUER;

const CLAIM_LEN_MAX: usize = 128;
const CLAIM_PATTERN: &str = r"^[^\x00-\x1F\x7F]{1,128}$";

fn is_claim(name: &str) -> bool {
    (1..=CLAIM_LEN_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// The name of a claim.
pub(super) const CLAIM: TextForm<String> = TextForm {
    parse: |name| accept(name, is_claim(name), "the name of a claim, of at most 128 characters"),
    shown: |name| Value::text(name),
    cell: "name",
    pattern: CLAIM_PATTERN,
    scalar: Scalar::Any,
};

/// Whether a claim of a token can be compared with this value.
pub(super) fn is_claim_value(value: &str) -> bool {
    (1..=256).contains(&value.chars().count())
        && value.trim().len() == value.len()
        && !value.chars().any(char::is_control)
}

pub(super) const CLAIM_VALUE_PATTERN: &str = r"^[^\x00-\x20\x7F]([^\x00-\x1F\x7F]{0,254}[^\x00-\x20\x7F])?$";

/// A required value: an empty one would be met by every token.
const CLAIM_VALUE: TextForm<String> = TextForm {
    parse: |value| {
        accept(value, is_claim_value(value), "1 to 256 characters without control characters and outer spaces")
    },
    shown: |value| Value::text(value),
    cell: "text",
    pattern: CLAIM_VALUE_PATTERN,
    scalar: Scalar::Any,
};

/// Fields that the gateway writes, or that change the meaning of the message. A claim must not replace them.
const RESERVED_FIELDS: [&str; 24] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "range",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-api-key",
    "x-correlation-id",
    "x-goog-api-key",
    "x-request-id",
];
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "x-forwarded-", "x-ssl-client-"];
const CLAIM_HEADER: TextForm<String> = TextForm {
    parse: |name| {
        let plain = name.to_ascii_lowercase().replace('_', "-");
        let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let is_reserved = RESERVED_FIELDS.contains(&plain.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| plain.starts_with(prefix));
        let is_valid = is_token && (1..=64).contains(&name.len()) && !is_reserved;
        accept(name, is_valid, "a name such as X-User-Id, other than those that the gateway writes")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_-]{1,64}$",
    scalar: Scalar::Whole,
};
