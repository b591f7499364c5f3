//! Where each format says what we want to know.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Seen;
use crate::format::Format;
use crate::scan::{ANY, Path, Scanner};
use crate::short::Short;
use crate::usage::{chat, messages, responses};

/// Longest model name or id that is kept; of a longer one its start.
const NAME_BYTES_MAX: usize = 200;
/// The data of the event that ends a chat stream.
const DONE: &[u8] = b"[DONE]";

/// Tiers that cost what the price table says; Groq's is `on_demand`. Anthropic's is part of the usage.
const STANDARD_TIERS: [&str; 4] = ["default", "standard", "auto", "on_demand"];

/// Numbers of the paths below.
const USAGE: u8 = 0;
const MODEL: u8 = 1;
const ID: u8 = 2;
const TIER: u8 = 3;
const DELTA_USAGE: u8 = 3;
const TYPE: u8 = 4;
const FINISH: u8 = 4;

const OPENAI_BODY: &[Path] = &[&["usage"], &["model"], &["id"], &["service_tier"]];
const MESSAGES_BODY: &[Path] = &[&["usage"], &["model"], &["id"]];
const CHAT_CHUNK: &[Path] = &[&["usage"], &["model"], &["id"], &["service_tier"], &["choices", ANY, "finish_reason"]];
const RESPONSES_EVENT: &[Path] =
    &[&["response", "usage"], &["response", "model"], &["response", "id"], &["response", "service_tier"], &["type"]];
const MESSAGES_EVENT: &[Path] =
    &[&["message", "usage"], &["message", "model"], &["message", "id"], &["usage"], &["type"]];

static QUOTED_TIER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"service_tier\""));
static QUOTED_USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static QUOTED_FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
/// With it begins each escape that can stand for an ASCII letter.
static ESCAPED_LETTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));

/// Reads an answer's one JSON value, or those of its events one by one.
#[derive(Debug)]
pub(super) struct Reading {
    format: Format,
    streamed: bool,
    scanner: Scanner,
    head: Short<{ DONE.len() }>,
    told: messages::Told,
    /// Whether the tier that was told last is a standard one.
    standard: bool,
    seen: Seen,
}

impl Reading {
    pub(super) fn new(format: Format, streamed: bool) -> Self {
        let paths = match (streamed, format) {
            (false, Format::Chat | Format::Responses) => OPENAI_BODY,
            (false, Format::Messages) => MESSAGES_BODY,
            (true, Format::Chat) => CHAT_CHUNK,
            (true, Format::Responses) => RESPONSES_EVENT,
            (true, Format::Messages) => MESSAGES_EVENT,
        };
        Self {
            format,
            streamed,
            scanner: Scanner::new(paths),
            head: Short::new(),
            told: messages::Told::default(),
            standard: true,
            seen: Seen::default(),
        }
    }

    /// The value goes on.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.scanner.push(bytes);
    }

    /// A whole event. Whether it is a usage chunk.
    pub(super) fn event(&mut self, name: &[u8], data: &[u8]) -> bool {
        let idle = match self.format {
            Format::Chat => self.is_idle_chunk(data),
            Format::Responses | Format::Messages => !self.matters(Some(name)),
        };
        if idle {
            return false;
        }
        self.push_event(Some(name), data);
        self.end(Some(name))
    }

    /// The data of an event goes on. The text of an answer comes in events whose name tells that they hold nothing else.
    pub(super) fn push_event(&mut self, name: Option<&[u8]>, data: &[u8]) {
        match self.format {
            Format::Chat => self.head.add(data),
            Format::Responses | Format::Messages => {
                if !self.matters(name) {
                    return;
                }
            }
        }
        self.scanner.push(data);
    }

    /// The value, or the data of an event of this name, is over. Whether it is a usage chunk: no choice, and a usage.
    pub(super) fn end(&mut self, name: Option<&[u8]>) -> bool {
        let mut is_usage_chunk = false;
        if self.streamed && self.head.get() == Some(DONE) {
            self.seen.ended = true;
        } else if self.scanner.whole() {
            is_usage_chunk = self.read(name);
        }
        self.head.clear();
        self.scanner.reset();
        is_usage_chunk
    }

    /// What was seen.
    pub(super) fn seen(mut self) -> Seen {
        if self.format == Format::Messages {
            self.seen.usage = self.told.usage();
            self.standard = self.told.is_standard();
        }
        self.seen.priceable = self.standard && self.seen.usage.is_some();
        self.seen
    }

    /// Whether events of this name are read; without a name each is.
    fn matters(&self, name: Option<&[u8]>) -> bool {
        match (self.format, name) {
            (_, Some(b"")) | (Format::Chat, _) => true,
            (Format::Responses, Some(name)) => name == b"response.created" || is_terminal(self.format, name),
            (Format::Messages, Some(name)) => {
                matches!(name, b"message_start" | b"message_delta") || is_terminal(self.format, name)
            }
            (_, None) => false,
        }
    }

    /// Whether reading this chat chunk would change nothing, which is known of nearly all without scanning them.
    ///
    /// A string that only looks like a key costs a scan, no more.
    fn is_idle_chunk(&self, data: &[u8]) -> bool {
        // A chunk behind the one that finished can take the end back.
        !self.seen.ended
            && self.seen.model.is_some()
            && self.seen.id.is_some()
            && data != DONE
            && !leads_to(&QUOTED_USAGE, b'{', data)
            && !leads_to(&QUOTED_FINISH, b'"', data)
            && !values(&QUOTED_TIER, data).any(|value| self.is_news(value))
            && ESCAPED_LETTER.find(data).is_none()
    }

    /// Whether a tier that begins so could be another one than the last. OpenAI's chunks all have it.
    fn is_news(&self, tier: &[u8]) -> bool {
        let is = |word: &str| {
            let behind = tier.get(1..).and_then(|tier| tier.strip_prefix(word.as_bytes()));
            behind.is_some_and(|behind| behind.starts_with(b"\""))
        };
        tier.starts_with(b"\"") && !(self.standard && STANDARD_TIERS.into_iter().any(is))
    }

    fn read(&mut self, name: Option<&[u8]>) -> bool {
        for (path, text) in [(MODEL, &mut self.seen.model), (ID, &mut self.seen.id)] {
            if text.is_none() {
                *text = self.scanner.picked(path).and_then(string);
            }
        }
        let usage = self.scanner.picked(USAGE).filter(|json| json.starts_with(b"{"));
        let has_usage = usage.is_some();
        let usage = match self.format {
            Format::Chat => usage.and_then(chat::read),
            Format::Responses => usage.and_then(responses::read),
            Format::Messages => {
                for json in [usage, self.scanner.picked(DELTA_USAGE)].into_iter().flatten() {
                    self.told.read(json);
                }
                None
            }
        };
        self.seen.usage = usage.or(self.seen.usage);
        if self.format != Format::Messages
            && let Some(tier) = self.scanner.picked(TIER).and_then(string)
        {
            self.standard = STANDARD_TIERS.contains(&tier.as_str());
        }
        if !self.streamed {
            self.seen.ended = true;
            return false;
        }
        match self.format {
            Format::Chat => {
                if let Some(reason) = self.scanner.picked(FINISH) {
                    self.seen.ended = reason.starts_with(b"\"");
                }
                has_usage && self.scanner.passes_empty_array(FINISH)
            }
            Format::Responses | Format::Messages => {
                let kind = self.scanner.picked(TYPE).and_then(unquoted).or(name);
                self.seen.ended |= kind.is_some_and(|kind| is_terminal(self.format, kind));
                false
            }
        }
    }
}

fn is_terminal(format: Format, kind: &[u8]) -> bool {
    match format {
        Format::Chat => false,
        Format::Responses => matches!(kind, b"response.completed" | b"response.incomplete" | b"response.failed"),
        Format::Messages => kind == b"message_stop",
    }
}

/// Whether `key` stands before a value that begins with `first`.
fn leads_to(key: &Finder<'_>, first: u8, json: &[u8]) -> bool {
    values(key, json).any(|value| value.first() == Some(&first))
}

/// From where the values begin before which `key` stands.
fn values<'a>(key: &'a Finder<'_>, json: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    key.find_iter(json).filter_map(|at| {
        let rest = json.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(rest.strip_prefix(b":")?.trim_ascii_start())
    })
}

/// What a string says; `None` where it is none, or empty.
fn string(json: &[u8]) -> Option<String> {
    let text: String = serde_json::from_slice(json).ok()?;
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn unquoted(json: &[u8]) -> Option<&[u8]> {
    json.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

#[cfg(test)]
impl Reading {
    pub(super) fn held_bytes(&self) -> usize {
        self.scanner.held_bytes()
    }
}
