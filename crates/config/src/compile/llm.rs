//! Compiles `ai` and `providers`.

use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use ai::ProviderKind;

use super::{UsedNames, name};
use crate::compile::server;
use crate::error::{Code, Problem};
use crate::grammar;
use crate::load::{Flags, Note};
use crate::resolve::MOCK;
use crate::section::Section;
use crate::snapshot::{Ai, Credential, Mock, Origin, Provider, Timeouts};

/// Kinds of the example that this version does not support.
const KINDS_LATER: [&str; 4] = ["azure_openai", "bedrock", "vertex", "ollama"];
/// Longest credential, in bytes.
const CREDENTIAL_LEN_MAX: usize = 4_096;

/// The result of compiling `providers`.
pub(super) struct Providers {
    /// The providers that are on.
    pub(super) on: Vec<Arc<Provider>>,
    /// Every name that models may use, including those of providers that are off.
    pub(super) names: Vec<String>,
    /// The built-in mock provider.
    pub(super) mock: Mock,
}

pub(super) fn ai(root: &Section<'_>, general: Timeouts) -> Option<Ai> {
    let section = root.section("ai", &grammar::AI);
    let section = section.as_ref();
    let defaults =
        Timeouts { first_byte: Duration::from_secs(10 * 60), total: Duration::from_secs(30 * 60), ..general };
    let timeouts = section.and_then(|ai| ai.section("timeouts", &grammar::TIMEOUTS));
    let timeouts = server::timeouts(timeouts.as_ref(), defaults);
    let prefix = section.and_then(|ai| {
        ai.parsed("prefix", "a path: / or /llm", |path| {
            super::route::is_path(path).then(|| path.trim_end_matches('/').to_owned())
        })
    });
    let enabled = section.and_then(|ai| ai.boolean("enabled")).unwrap_or(true);
    enabled.then(|| Ai { prefix: prefix.unwrap_or_default(), timeouts })
}

/// Returns the providers of the file, otherwise those of the environment, otherwise the mock.
pub(super) fn providers(root: &Section<'_>, flags: &Flags, notes: &mut Vec<Note>) -> Providers {
    let mut providers = Providers { on: Vec::new(), names: Vec::new(), mock: Mock::default() };
    if root.get("providers").is_some() {
        from_file(root, &mut providers, notes);
    } else {
        from_environment(root, &mut providers, notes);
    }
    let forced = root.boolean("mock").unwrap_or(false) || flags.mock;
    if forced {
        let off = std::mem::take(&mut providers.on).into_iter();
        notes.retain(|note| !matches!(note, Note::ProviderFromEnvironment { .. }));
        notes.extend(off.map(|provider| Note::ProviderMocked { provider: provider.name.to_string() }));
    }
    providers.mock.forced = forced;
    providers.mock.on |= forced || providers.on.is_empty();
    if !providers.names.iter().any(|name| name == MOCK) {
        providers.names.push(MOCK.to_owned());
    }
    providers
}

fn from_environment(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) {
    let reader = root.reader();
    for kind in ProviderKind::ALL {
        let (Some(variable), Some(url)) = (variable(kind), own_url(kind)) else {
            continue;
        };
        let name = kind.as_str();
        providers.names.push(name.to_owned());
        let Some(value) = reader.variable(variable) else {
            continue;
        };
        let Some(credential) = parse(value) else {
            let message = format!("{variable} does not hold a valid credential");
            reader.report(Problem::new(Code::Environment, None, message).expected(CREDENTIAL));
            continue;
        };
        if let Ok(origin) = origin_of(kind, url) {
            providers.on.push(Arc::new(Provider { name: name.into(), kind, origin, credential }));
            notes.push(Note::ProviderFromEnvironment { provider: name.to_owned(), variable });
        }
    }
}

fn from_file(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) {
    let mut taken = UsedNames::default();
    for section in root.sections("providers", &grammar::PROVIDER) {
        let name = name(&section, &mut taken, "provider");
        if let Some(name) = &name {
            providers.names.push(name.value.clone());
        }
        let kind = kind(&section);
        let url = section.text("base_url");
        let credential = credential(&section);
        let (Some(name), Some(kind)) = (name, kind) else {
            continue;
        };
        let url = match (&url, own_url(kind)) {
            (Some(url), _) => url.value.as_str(),
            (None, Some(own)) => own,
            (None, None) => {
                if name.value == MOCK {
                    providers.mock.on = true;
                } else {
                    section.bad(name.at, "name", "`mock` for the built-in mock; another one needs its `base_url`");
                }
                continue;
            }
        };
        let origin = match origin_of(kind, url) {
            Ok(origin) => origin,
            Err(expected) => {
                let at = section.get("base_url").map_or(section.at, |node| node.at);
                section.bad(at, "base_url", expected);
                continue;
            }
        };
        let credential = match credential {
            Some(credential) => credential,
            None if kind == ProviderKind::Mock => Credential::None,
            None => {
                notes.push(Note::ProviderOff { provider: name.value });
                continue;
            }
        };
        providers.on.push(Arc::new(Provider { name: name.value.into(), kind, origin, credential }));
    }
}

fn kind(section: &Section<'_>) -> Option<ProviderKind> {
    if section.get("kind").is_none() {
        section.missing("kind");
    }
    let kinds = ProviderKind::ALL.map(|kind| (kind.as_str(), kind));
    section.word_or_later("kind", &kinds, &KINDS_LATER)
}

/// A description of valid credentials, which a header can carry.
const CREDENTIAL: &str = "`vault`, `vault:LABEL`, or 1 to 4,096 visible ASCII characters without a space";
/// Names a credential in the vault; a label may follow.
const VAULT: &str = "vault";
/// Longest label in the vault, in characters.
const LABEL_CHARS_MAX: usize = 200;

fn is_credential(text: &str) -> bool {
    (1..=CREDENTIAL_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns the credential; `None` if it is missing or invalid.
fn credential(section: &Section<'_>) -> Option<Credential> {
    let text = section.text("credential").filter(|text| !text.value.is_empty())?;
    let credential = parse(text.value);
    if credential.is_none() {
        section.bad(text.at, "credential", CREDENTIAL);
    }
    credential
}

/// Parses `vault`, `vault:LABEL`, or the credential itself.
fn parse(text: String) -> Option<Credential> {
    match text.strip_prefix(VAULT).map(|rest| rest.strip_prefix(':').ok_or(rest)) {
        Some(Err("")) => Some(Credential::Vault { label: None }),
        Some(Ok(label)) => is_label(label).then(|| Credential::Vault { label: Some(label.into()) }),
        Some(Err(_)) | None => is_credential(&text).then(|| Credential::Fixed(Secret::new(text))),
    }
}

fn is_label(text: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Returns the base URL of a kind's own API, as its clients configure it; `None` for the mock.
const fn own_url(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::OpenAi => Some("https://api.openai.com/v1"),
        ProviderKind::Anthropic => Some("https://api.anthropic.com"),
        ProviderKind::Gemini => Some("https://generativelanguage.googleapis.com"),
        ProviderKind::Mock => None,
    }
}

/// Returns the variable that enables a kind's own API if no provider is configured.
pub(crate) const fn variable(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::OpenAi => Some("OPENAI_API_KEY"),
        ProviderKind::Anthropic => Some("ANTHROPIC_API_KEY"),
        ProviderKind::Gemini => Some("GEMINI_API_KEY"),
        ProviderKind::Mock => None,
    }
}

fn such_as(kind: ProviderKind) -> String {
    own_url(kind).map(|url| format!(", such as {url}")).unwrap_or_default()
}

/// Returns a provider's `base_url`, from which [`origin_of`] makes its origin.
pub(crate) fn base_url(kind: ProviderKind, origin: &Origin) -> String {
    match kind {
        ProviderKind::OpenAi => format!("{origin}/v1"),
        ProviderKind::Anthropic | ProviderKind::Gemini | ProviderKind::Mock => origin.to_string(),
    }
}

/// Returns a provider's origin: OpenAI's clients have `/v1` in their base URL, Anthropic's and Google's do not.
fn origin_of(kind: ProviderKind, url: &str) -> Result<Origin, String> {
    let mut origin = Origin::parse(url).map_err(|error| error.to_string())?;
    let without = origin.path.strip_suffix("/v1").map(str::to_owned);
    match (kind, without) {
        (ProviderKind::OpenAi, Some(path)) => origin.path = path,
        (ProviderKind::OpenAi, None) => return Err(format!("a URL that ends in /v1{}", such_as(kind))),
        (ProviderKind::Anthropic | ProviderKind::Gemini | ProviderKind::Mock, Some(_)) => {
            return Err(format!("a URL without /v1 at its end{}", such_as(kind)));
        }
        (ProviderKind::Anthropic | ProviderKind::Gemini | ProviderKind::Mock, None) => {}
    }
    Ok(origin)
}

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
            assert_eq!(parse(text.to_owned()), expected, "{text:?}");
        }
        assert_eq!(parse(format!("vault:{}", "x".repeat(201))), None);
        assert_eq!(parse("x".repeat(4_097)), None);
    }
}
