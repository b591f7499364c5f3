//! `ai` and `providers`.

use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use ai::ProviderKind;

use super::{Taken, name};
use crate::compile::server;
use crate::error::{Code, Problem};
use crate::grammar;
use crate::load::{Flags, Note};
use crate::resolve::MOCK;
use crate::section::Section;
use crate::snapshot::{Ai, Mock, Origin, Provider, Timeouts};

const OPENAI_URL: &str = "https://api.openai.com/v1";
const ANTHROPIC_URL: &str = "https://api.anthropic.com";
/// Kinds that the example names and this version does not speak.
const KINDS_LATER: [&str; 5] = ["gemini", "azure_openai", "bedrock", "vertex", "ollama"];
/// Longest credential.
const CREDENTIAL_LEN_MAX: usize = 4_096;

/// What became of `providers`.
pub(super) struct Providers {
    /// Those that are switched on.
    pub(super) on: Vec<Arc<Provider>>,
    /// Every name that models may use, whether switched on or not.
    pub(super) names: Vec<String>,
    /// The built-in mock.
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

/// The providers of the file, else those of the environment, else the mock.
pub(super) fn providers(root: &Section<'_>, flags: &Flags, notes: &mut Vec<Note>) -> Providers {
    let mut providers = Providers { on: Vec::new(), names: Vec::new(), mock: Mock::default() };
    if root.get("providers").is_some() {
        from_file(root, &mut providers, notes);
    } else {
        from_environment(root, &mut providers, notes);
    }
    if flags.mock {
        let off = std::mem::take(&mut providers.on).into_iter();
        notes.retain(|note| !matches!(note, Note::ProviderFromEnvironment { .. }));
        notes.extend(off.map(|provider| Note::ProviderMocked { provider: provider.name.to_string() }));
    }
    providers.mock.forced = flags.mock;
    providers.mock.on |= flags.mock || providers.on.is_empty();
    if !providers.names.iter().any(|name| name == MOCK) {
        providers.names.push(MOCK.to_owned());
    }
    providers
}

fn from_environment(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) {
    let reader = root.reader();
    for (name, kind, variable, url) in [
        ("openai", ProviderKind::OpenAi, "OPENAI_API_KEY", OPENAI_URL),
        ("anthropic", ProviderKind::Anthropic, "ANTHROPIC_API_KEY", ANTHROPIC_URL),
    ] {
        providers.names.push(name.to_owned());
        let Some(value) = reader.variable(variable) else {
            continue;
        };
        if !is_credential(&value) {
            let message = format!("{variable} holds something that is no credential");
            reader.report(Problem::new(Code::Environment, None, message).expected(CREDENTIAL));
            continue;
        }
        if let Ok(origin) = origin_of(kind, url) {
            let credential = Some(Secret::new(value));
            providers.on.push(Arc::new(Provider { name: name.into(), kind, origin, credential }));
            notes.push(Note::ProviderFromEnvironment { provider: name.to_owned(), variable });
        }
    }
    if reader.variable("GEMINI_API_KEY").is_some() {
        notes.push(Note::ProviderNotYet { variable: "GEMINI_API_KEY" });
    }
}

fn from_file(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) {
    let mut taken = Taken::default();
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
        let url = match (&url, kind) {
            (Some(url), _) => url.value.as_str(),
            (None, ProviderKind::OpenAi) => OPENAI_URL,
            (None, ProviderKind::Anthropic) => ANTHROPIC_URL,
            (None, ProviderKind::Mock) => {
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
        let credential = credential.filter(|credential| !credential.is_empty());
        if credential.is_none() && kind != ProviderKind::Mock {
            notes.push(Note::ProviderOff { provider: name.value });
            continue;
        }
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

/// What a credential is made of: what a header can carry.
const CREDENTIAL: &str = "1 to 4,096 visible ASCII characters without a space";

fn is_credential(text: &str) -> bool {
    (1..=CREDENTIAL_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn credential(section: &Section<'_>) -> Option<Secret> {
    let text = section.text("credential")?;
    if text.value.starts_with("vault:") && !text.foreign {
        section.not_yet(text.at, &format!("`{}` from the vault", section.name("credential")));
        return None;
    }
    if !text.value.is_empty() && !is_credential(&text.value) {
        section.bad(text.at, "credential", CREDENTIAL);
        return None;
    }
    Some(Secret::new(text.value))
}

/// A provider's origin: OpenAI's clients have `/v1` in their base URL, Anthropic's have not.
fn origin_of(kind: ProviderKind, url: &str) -> Result<Origin, String> {
    let mut origin = Origin::parse(url).map_err(|error| error.to_string())?;
    let without = origin.path.strip_suffix("/v1").map(str::to_owned);
    match (kind, without) {
        (ProviderKind::OpenAi, Some(path)) => origin.path = path,
        (ProviderKind::OpenAi, None) => return Err(format!("a URL that ends in /v1, such as {OPENAI_URL}")),
        (ProviderKind::Anthropic | ProviderKind::Mock, Some(_)) => {
            return Err(format!("a URL without /v1 at its end, such as {ANTHROPIC_URL}"));
        }
        (ProviderKind::Anthropic | ProviderKind::Mock, None) => {}
    }
    Ok(origin)
}
