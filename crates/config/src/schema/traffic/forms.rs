//! The forms of single values of [`traffic`](super).

use std::sync::Arc;
use std::time::Duration;

use super::super::name::{NAME_EXPECTED, is_name};
use crate::resolve::MOCK;
use crate::snapshot::translation::{TEXT_FORMATS, text_formats};
use crate::snapshot::{
    AccountObjects, BudgetDimension, Credential, Events, ForwardedFields, HostMatch, HostName, OnHangup, Origin,
    PriceSource, QuotaStatus, SignupMode, UnboundedCalls,
};
use access::amounts::usd;
use access::{
    Budget, BudgetWindow, CalendarUnit, LimitPeriod, NanoUsd, Plan, PublicKey, QuotaName, Secret, ServiceAccount,
    WeekStart, Zone,
};
use ai::hosts::host::WITHOUT_PATH;
use ai::{Format, ProviderKind};
use serde_json::{Value as Json, json};
use settings::documents::json;
use settings::form::{Except, Form, FormRefusal, Scalar, SizeForm, TextForm, Whole, Words, accept, bad};
use settings::section::setting::Value;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Hyper refuses a smaller buffer for heads.
pub(super) const HEADERS: SizeForm = SizeForm::new(8 * KIB, 16 * MIB);
/// Bounds of `on_hangup: drain`.
pub(crate) const DRAIN_BYTES: u64 = 64 * KIB;
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(10);
pub(super) const ON_HANGUP: Words<OnHangup> = Words::new(&[
    ("cancel", OnHangup::Cancel),
    ("abort", OnHangup::Abort),
    ("drain", OnHangup::Drain { bytes_max: DRAIN_BYTES, within: DRAIN_TIME }),
]);

/// What upstreams receive of `X-Forwarded-*`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForwardedForm;

pub(super) const FORWARDED: ForwardedForm = ForwardedForm;

impl Form for ForwardedForm {
    type Value = ForwardedFields;

    fn parse(&self, text: &str) -> Result<ForwardedFields, FormRefusal> {
        match text {
            "append" | "false" => Ok(ForwardedFields::Append),
            "replace" => Ok(ForwardedFields::Replace),
            "true" => Ok(ForwardedFields::AppendBoth),
            _ => Err(FormRefusal::Word(vec!["append", "replace", "true"])),
        }
    }

    fn shown(&self, value: &ForwardedFields) -> Value {
        match value {
            ForwardedFields::Append => Value::text("append"),
            ForwardedFields::Replace => Value::text("replace"),
            ForwardedFields::AppendBoth => Value::Boolean(true),
        }
    }

    fn cell(&self) -> String {
        "`append`, `replace`, `true`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"enum": ["append", "replace", true, false, "true", "false"]})
    }
}

pub(super) const SERVER_NAME: TextForm<String> = TextForm {
    parse: |name| accept(name, tls::is_server_name(name), "a host name or an IP address"),
    shown: |name| Value::text(name),
    cell: "name",
    pattern: r"^([0-9A-Za-z._-]*[A-Za-z_][0-9A-Za-z._-]*|[0-9]+(\.[0-9]+){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$",
    scalar: Scalar::Text,
};

pub(super) const PUBLIC_KEY: TextForm<PublicKey> = TextForm {
    parse: |key| {
        let expected = "an Ed25519 public key in base64, as `openssl pkey -pubout` writes it";
        PublicKey::parse(key).ok_or_else(|| bad(expected))
    },
    shown: |key| Value::text(key),
    cell: "Ed25519 public key in base64",
    pattern: "^[A-Za-z0-9+/= -]+$",
    scalar: Scalar::Text,
};

pub(super) const PLAN: TextForm<String> = TextForm {
    parse: |name| {
        accept(name, is_name(name), NAME_EXPECTED)?;
        let has_capital = name.bytes().any(|byte| byte.is_ascii_uppercase());
        accept(name, !has_capital, "a name without capital letters")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[a-z0-9._-]{1,64}$",
    scalar: Scalar::Any,
};
pub(super) const SIGNUP: Words<SignupMode> =
    Words::new(&[("closed", SignupMode::Closed), ("invite", SignupMode::Invite), ("open", SignupMode::Open)]);
pub(super) const SIGNUP_PLAN: TextForm<String> = TextForm {
    parse: |name| accept(name, Plan::is_name(name), "the name of a plan"),
    shown: |name| Value::text(name),
    cell: "plan",
    pattern: "^[a-z0-9._-]{1,64}$",
    scalar: Scalar::Any,
};
/// The name of another entry.
pub(super) const ANY_NAME: TextForm<String> = TextForm {
    parse: |name| Ok(name.to_owned()),
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "",
    scalar: Scalar::Any,
};

/// The kinds of providers.
pub(super) const KIND: Words<ProviderKind> = Words::new(ProviderKind::NAMED);
/// The formats of calls for text.
pub(super) const FORMAT: Words<Format> = Words::new(&TEXT_FORMATS);
/// The condition of `formats` on `kind`: the mock may have all of them.
pub(super) fn formats_of_kind() -> Json {
    let reference = json!({"$ref": "#/$defs/reference"});
    let of_kind = |kind: ProviderKind| {
        let words: Vec<&str> = text_formats(kind).map(|(word, _)| word).collect();
        let formats = json!({"items": {"anyOf": [{"enum": words}, reference]}});
        let is_kind = json!({"properties": {"kind": {"const": kind.as_str()}}, "required": ["kind"]});
        // Presets have the kind of OpenAI.
        let is_preset = (kind == ProviderKind::OpenAi).then(|| json::given("preset"));
        let conditions: Vec<Json> = [is_kind].into_iter().chain(is_preset).collect();
        json!({"if": {"anyOf": conditions}, "then": {"properties": {"formats": formats}}})
    };
    json!({"allOf": ProviderKind::all().filter(|kind| *kind != ProviderKind::Mock).map(of_kind).collect::<Vec<_>>()})
}
/// The URL of a provider, which is parsed when its kind is known.
pub(super) const URL: TextForm<String> = TextForm {
    parse: |url| accept(url, url.is_ascii(), "an `http`, `https` or `h2c` URL"),
    shown: |url| Value::text(url),
    cell: "`http`, `https` or `h2c` URL",
    pattern: "^([Hh][Tt][Tt][Pp][Ss]?|[Hh]2[Cc])://[!-\"$->A-~]+$",
    scalar: Scalar::Text,
};
/// The condition of `base_url` on `kind`: OpenAI's clients have a path in their base URL, mostly `/v1`, the others have
/// no `/v1` ([`ai::ProviderDescriptor::base_path`]).
pub(super) fn base_url_of_kind() -> Json {
    // A host named `v1` is not a path.
    const V1: &str = "[^/:]/+v1/*$";
    let hosts = WITHOUT_PATH.map(|host| host.replace('.', "\\.")).join("|");
    let path = format!("[^/:]/+[^/]|://({hosts})(:[0-9]+)?/*$");
    let reference = json!({"$ref": "#/$defs/reference"});
    let url =
        |condition: Json| json!({"properties": {"base_url": {"anyOf": [{"type": "null"}, reference, condition]}}});
    let openai = json!({"properties": {"kind": {"const": ProviderKind::OpenAi.as_str()}}});
    json!({"if": openai, "then": url(json!({"pattern": path})), "else": {
        "anyOf": [{"properties": {"kind": reference}}, url(json!({"not": {"pattern": V1}}))],
    }})
}

/// The condition of `name` on `kind`: the built-in mock has one name.
pub(super) fn name_of_mock() -> Json {
    let is_mock =
        json!({"properties": {"kind": {"const": MOCK}}, "required": ["kind"], "not": json::given("base_url")});
    let name = json!({"anyOf": [{"const": MOCK}, {"$ref": "#/$defs/reference"}]});
    json!({"if": is_mock, "then": {"properties": {"name": name}}})
}

/// A description of valid credentials, which a header can carry.
const CREDENTIAL_EXPECTED: &str = "`vault`, `vault:LABEL`, or 1 to 4,096 visible ASCII characters without a space";
pub(super) const CREDENTIAL: Except<TextForm<Credential>> = Except(ANY_CREDENTIAL, "vault:");
const ANY_CREDENTIAL: TextForm<Credential> = TextForm {
    parse: |text| parse_credential(text).map_err(FormRefusal::Bad),
    shown: |credential| match credential {
        // Keys that sign have their own settings.
        Credential::None | Credential::Aws(_) => Value::None(()),
        Credential::Fixed(secret) => Value::secret(secret),
        Credential::ServiceAccount(account) => Value::secret(account.json()),
        Credential::Vault { label: None } => Value::text("vault"),
        Credential::Vault { label: Some(label) } => Value::text(format_args!("vault:{label}")),
    },
    cell: "1 to 4,096 visible ASCII characters, JSON of `vertex`",
    pattern: r"^(vault:.+|[!-~]{1,4096}|\s*\{[\s\S]+)$",
    scalar: Scalar::Any,
};
/// Longest credential, in bytes.
const CREDENTIAL_LEN_MAX: usize = 4_096;
/// Names a credential in the vault; a label may follow.
const VAULT: &str = "vault";
/// Longest label in the vault, in characters.
const LABEL_CHARS_MAX: usize = 200;

/// Parses `vault`, `vault:LABEL`, or the credential itself: the JSON file of a service account's key, or a secret.
///
/// # Errors
/// The description of valid credentials.
pub(crate) fn parse_credential(text: &str) -> Result<Credential, String> {
    if text.trim_start().starts_with('{') {
        let account = ServiceAccount::parse(text).map_err(|error| error.to_string())?;
        return Ok(Credential::ServiceAccount(Arc::new(account)));
    }
    let is_fixed = (1..=CREDENTIAL_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let parsed = match text.strip_prefix(VAULT).map(|rest| rest.strip_prefix(':').ok_or(rest)) {
        Some(Err("")) => Some(Credential::Vault { label: None }),
        Some(Ok(label)) => is_label(label).then(|| Credential::Vault { label: Some(label.into()) }),
        Some(Err(_)) | None => is_fixed.then(|| Credential::Fixed(Secret::new(text.to_owned()))),
    };
    parsed.ok_or_else(|| CREDENTIAL_EXPECTED.to_owned())
}

/// Whether a credential of the vault can have this label.
pub(super) fn is_label(text: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Longest name of a model, in bytes.
const MODEL_LEN_MAX: usize = 256;
pub(super) const MODEL: TextForm<String> = TextForm {
    parse: |name| accept(name, is_model(name), "1 to 256 visible ASCII characters without a space"),
    shown: |name| Value::text(name),
    cell: "1 to 256 visible ASCII characters",
    pattern: "^[!-~]{1,256}$",
    scalar: Scalar::Any,
};

pub(crate) fn is_model(name: &str) -> bool {
    (1..=MODEL_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Longest path of a route, in bytes.
const PATH_LEN_MAX: usize = 2_048;
pub(super) const PREFIX: TextForm<String> = TextForm {
    parse: |path| {
        let trimmed = path.trim_end_matches('/');
        let shown = if trimmed.is_empty() { "/" } else { trimmed };
        accept(shown, is_path(path), "a path: / or /llm")
    },
    shown: |path| Value::text(path),
    cell: "path",
    pattern: PATH_PATTERN,
    scalar: Scalar::Text,
};
pub(super) const PATH: TextForm<String> = TextForm {
    parse: |path| accept(path, is_path(path), "a path: /users, or {prefix: /users}"),
    shown: |path| Value::text(path),
    cell: "path of at most 2,048 bytes",
    pattern: PATH_PATTERN,
    scalar: Scalar::Text,
};
const PATH_PATTERN: &str = "^/[!-\"$-)+->@-z|~]{0,2047}$";

/// Whether `path` can be the path of a request: it begins with a slash, is encoded as it is sent, and has no query.
fn is_path(path: &str) -> bool {
    path.len() <= PATH_LEN_MAX
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'{' | b'}' | b'*'))
}

/// Longest host of a route (RFC 1035, 2.3.4).
const HOST_LEN_MAX: usize = 253;
pub(super) const HOST: TextForm<HostMatch> = TextForm {
    parse: |text| {
        let expected = "a host, perhaps with a port: api.example.com, *.example.com or api.example.com:8443";
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => {
                (host, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad(expected))?))
            }
            None => (text, None),
        };
        let (domain, is_wildcard) = host.strip_prefix("*.").map_or((host, false), |domain| (domain, true));
        let is_label = |label: &str| {
            let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            is_plain && !label.is_empty()
        };
        let is_host = host.len() <= HOST_LEN_MAX && domain.split('.').all(is_label);
        let name = accept(&domain.to_ascii_lowercase(), is_host, expected)?;
        let name = if is_wildcard { HostName::Below(name) } else { HostName::Exact(name) };
        Ok(HostMatch { name, port })
    },
    shown: |host| Value::text(host),
    cell: "host, or `*.` and a domain, perhaps with a port",
    pattern: concat!(
        r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*",
        r"(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
    ),
    scalar: Scalar::Text,
};

/// Longest method, in bytes.
const METHOD_LEN_MAX: usize = 32;
const METHODS_KNOWN: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
pub(super) const METHOD: Except<TextForm<String>> = Except(ANY_METHOD, "CONNECT");
const ANY_METHOD: TextForm<String> = TextForm {
    parse: |method| {
        let expected = "a method in capitals: GET, POST";
        if is_method(method) {
            Ok(method.to_owned())
        } else {
            Err(FormRefusal::Near { expected, known: METHODS_KNOWN })
        }
    },
    shown: |method| Value::text(method),
    cell: "method",
    pattern: "^[A-Z-]{1,32}$",
    scalar: Scalar::Text,
};

/// Whether this is a method other than `CONNECT`, which requests a tunnel.
fn is_method(method: &str) -> bool {
    (1..=METHOD_LEN_MAX).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        && method != "CONNECT"
}

/// A regular expression of field names.
pub(super) const FIELD_NAME_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";

/// Longest name of a header.
const HEADER_LEN_MAX: usize = 64;
/// The name of a header, in lowercase.
pub(super) const HEADER: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=HEADER_LEN_MAX).contains(&name.len());
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        accept(&name.to_ascii_lowercase(), has_length && is_plain, "a name such as X-HTTP-Method-Override")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_-]{1,64}$",
    scalar: Scalar::Whole,
};
pub(super) const EVENTS: Words<Events> = Words::new(&[("folded", Events::Folded), ("rows", Events::Rows)]);
pub(super) const BACKEND: TextForm<Origin> = TextForm {
    parse: |url| Origin::parse_backend(url).map_err(|error| FormRefusal::Bad(error.to_string())),
    shown: |origin| Value::text(origin),
    cell: "`http://HOST[:PORT][/PATH]`, `https://…`, `h2c://…`, `unix:/PATH`",
    pattern: "^(([Hh][Tt][Tt][Pp][Ss]?|[Hh]2[Cc])://[!-\"$->A-~]+|unix:/.{0,105}[^/])$",
    scalar: Scalar::Text,
};
pub(super) const AMOUNT: Whole<u64> = Whole::new(0, Budget::AMOUNT_MAX.0);
pub(super) const CREDITS: Whole<u64> = Whole::new(0, Plan::CREDITS_MAX.rounded_down());
/// Amounts up to [`Budget::AMOUNT_MAX`] nano-USD.
const MONEY_PATTERN: &str = r"^0*([0-9]{1,9}|[1-8][0-9]{9}|9[0-1][0-9]{8}|92[0-1][0-9]{7}|922[0-2][0-9]{6}|9223[0-2][0-9]{5}|92233[0-6][0-9]{4}|922337[0-1][0-9]{3}|92233720[0-2][0-9]|922337203[0-5])(\.[0-9]{1,9}0*)? USD$|^0*9223372036(\.([0-7][0-9]{0,8}0*|8([0-4][0-9]{0,7}0*|5([0-3][0-9]{0,6}0*|4([0-6][0-9]{0,5}0*|7([0-6][0-9]{0,4}0*|7([0-4][0-9]{0,3}0*|5([0-7][0-9]{0,2}0*|8(0([0-6]0*|70*)?)?)?)?)?)?)?)?))? USD$";
pub(super) const MONEY: TextForm<NanoUsd> = TextForm {
    parse: |text| usd::parse_money(text).map_err(|error| FormRefusal::Bad(error.to_string())),
    shown: |money| Value::Text(usd::written_money(*money)),
    cell: "`20 USD`",
    pattern: MONEY_PATTERN,
    scalar: Scalar::Text,
};
pub(super) const PER: Words<LimitPeriod> = Words::new(&[
    (CalendarUnit::Day.as_str(), LimitPeriod::Day),
    (CalendarUnit::Week.as_str(), LimitPeriod::Week),
    (CalendarUnit::Month.as_str(), LimitPeriod::Month),
]);
/// The length of a quota that is the trial or the paid period of the subscription.
const PERIOD: &str = "period";
/// Maximum number of windows of a plan.
pub(super) const QUOTAS_MAX: usize = Budget::WINDOWS_MAX;

/// The length of a quota's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaLength {
    /// A number of minutes.
    Minutes(u32),
    /// A calendar period, or its days.
    Calendar(CalendarUnit),
    /// The trial or the paid period of the subscription.
    Period,
}

/// The beginning of a quota's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaStart {
    /// The first call after the last window ended.
    FirstUse,
    /// The midnight of the plan's time zone.
    Calendar,
    /// The hour of the first payment, and its anniversaries.
    Subscription,
}

pub(super) const QUOTA_LENGTH: TextForm<QuotaLength> = TextForm {
    parse: |text| {
        if let Some(unit) = CalendarUnit::parse(text) {
            return Ok(QuotaLength::Calendar(unit));
        }
        if text == PERIOD {
            return Ok(QuotaLength::Period);
        }
        match BudgetWindow::parse(&format!("{text}/first_use")) {
            Some(BudgetWindow::FirstUse { minutes }) => Ok(QuotaLength::Minutes(minutes)),
            Some(BudgetWindow::Calendar { .. } | BudgetWindow::Anniversary { .. } | BudgetWindow::Period(_)) | None => {
                Err(bad("`day`, `week`, `month`, `period`, or `1m` to `90d`, such as `5h`"))
            }
        }
    },
    shown: |length| match length {
        QuotaLength::Minutes(minutes) => Value::text(BudgetWindow::FirstUse { minutes: *minutes }.per()),
        QuotaLength::Calendar(unit) => Value::text(unit.as_str()),
        QuotaLength::Period => Value::text(PERIOD),
    },
    cell: "`day`, `week`, `month`, `period`, `1m` to `90d`",
    pattern: "^(day|week|month|period|0*([1-9]|[1-8][0-9]|90)d|0*([1-9][0-9]{0,2}|1[0-9]{3}|20[0-9]{2}|21[0-5][0-9]|2160)h|0*([1-9][0-9]{0,4}|1[01][0-9]{4}|12[0-8][0-9]{3}|129[0-5][0-9]{2}|129600)m)$",
    scalar: Scalar::Text,
};
/// The condition of `from` on `per`: no calendar has a length in hours, the length of a month differs, and a paid period begins
/// with the subscription.
pub(super) fn start_of_length() -> Json {
    let reference = json!({"$ref": "#/$defs/reference"});
    let starts = |start: &str| json!({"properties": {"from": {"const": start}}, "required": ["from"]});
    let length = |length: Json| json!({"properties": {"per": {"anyOf": [length, reference]}}});
    json!({"allOf": [
        {"if": starts("calendar"), "then": length(json!({"enum": CalendarUnit::ALL.map(CalendarUnit::as_str)}))},
        {"if": starts("first_use"), "then": length(json!({"not": {"enum": [CalendarUnit::Month.as_str(), PERIOD]}}))},
    ]})
}

pub(super) const QUOTA_START: Words<QuotaStart> = Words::new(&[
    ("first_use", QuotaStart::FirstUse),
    ("calendar", QuotaStart::Calendar),
    ("subscription", QuotaStart::Subscription),
]);
pub(super) const QUOTA_NAME: TextForm<QuotaName> = TextForm {
    parse: |name| QuotaName::parse(name).ok_or_else(|| bad("1 to 32 of a-z, 0-9, `-`, `_` and `.`, such as `session`")),
    shown: |name| Value::text(name.as_str()),
    cell: "name",
    pattern: QuotaName::PATTERN,
    scalar: Scalar::Text,
};
pub(super) const WEEK_START: Words<WeekStart> = Words::new(&[
    (WeekStart::Monday.as_str(), WeekStart::Monday),
    (WeekStart::Saturday.as_str(), WeekStart::Saturday),
    (WeekStart::Sunday.as_str(), WeekStart::Sunday),
]);
pub(super) const ZONE: TextForm<Zone> = TextForm {
    parse: |name| Zone::parse(name).ok_or_else(|| bad("the name of a time zone, such as `Asia/Jakarta`")),
    shown: |zone| Value::text(zone.name()),
    cell: "time zone, such as `Asia/Jakarta`",
    pattern: "^[A-Za-z0-9_+/-]{1,64}$",
    scalar: Scalar::Text,
};
pub(super) const BUDGET_DIMENSION: Words<BudgetDimension> = Words::new(&[
    (BudgetDimension::Key.as_str(), BudgetDimension::Key),
    (BudgetDimension::User.as_str(), BudgetDimension::User),
    (BudgetDimension::Plan.as_str(), BudgetDimension::Plan),
    (BudgetDimension::Global.as_str(), BudgetDimension::Global),
]);
pub(super) const UNBOUNDED: Words<UnboundedCalls> = Words::new(&[
    (UnboundedCalls::Refuse.as_str(), UnboundedCalls::Refuse),
    (UnboundedCalls::Window.as_str(), UnboundedCalls::Window),
]);
pub(super) const ACCOUNT_OBJECTS: Words<AccountObjects> = Words::new(&[
    (AccountObjects::Own.as_str(), AccountObjects::Own),
    (AccountObjects::Any.as_str(), AccountObjects::Any),
]);
pub(super) const PRICE_SOURCE: Words<PriceSource> = Words::new(&[
    (PriceSource::Table.as_str(), PriceSource::Table),
    (PriceSource::Reported.as_str(), PriceSource::Reported),
]);
pub(super) const QUOTA_STATUS: Words<QuotaStatus> = Words::new(&[
    (QuotaStatus::TooManyRequests.as_str(), QuotaStatus::TooManyRequests),
    (QuotaStatus::PaymentRequired.as_str(), QuotaStatus::PaymentRequired),
    (QuotaStatus::Forbidden.as_str(), QuotaStatus::Forbidden),
    (QuotaStatus::Auto.as_str(), QuotaStatus::Auto),
]);
/// Maximum number of rounds, more than any provider runs for one request.
pub(super) const SERVER_TOOL_ROUNDS_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_itself_or_the_vaults() {
        let vault = |label: Option<&str>| Some(Credential::Vault { label: label.map(Into::into) });
        let fixed = |text: &str| Some(Credential::Fixed(Secret::new(text.to_owned())));
        for (text, expected) in [
            ("vault", vault(None)),
            ("vault:team", vault(Some("team"))),
            ("vault:the team's", vault(Some("the team's"))),
            ("vault:", None),
            ("vault:a\nb", None),
            ("vaulted", fixed("vaulted")),
            ("sk-live", fixed("sk-live")),
            ("sk live", None),
            ("", None),
        ] {
            assert_eq!(parse_credential(text).ok(), expected, "{text:?}");
        }
        for text in
            [format!("vault:{}", "x".repeat(201)), "x".repeat(4_097), "{\"type\":\"service_account\"}".to_owned()]
        {
            assert!(parse_credential(&text).is_err(), "{text}");
        }
    }
}
