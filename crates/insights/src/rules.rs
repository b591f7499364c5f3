//! The rules that decide the class of a request from its metadata. The first rule that matches decides.

use crate::classification::Class;
use crate::figures::ratio::Ratio;
use crate::settings::{ClassRule, NumberRange, RULES_MAX, RuleConditions};

/// The word of ordinary APIs in the condition `format`.
pub const NO_FORMAT: &str = "none";

/// The version of the built-in rules. A change of the rules adds 1.
pub const BUILT_IN_VERSION: u64 = 1;

/// The metadata of requests. An unknown value matches no condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The program that sent the requests.
    pub client: Option<&'a str>,
    /// The name of the route.
    pub route: Option<&'a str>,
    /// The format; `None` for ordinary APIs.
    pub format: Option<&'a str>,
    /// The model as the client wrote it.
    pub model: Option<&'a str>,
    /// The HTTP status of the responses.
    pub status: u16,
    /// Whether the responses were streamed; `None` if unknown.
    pub streamed: Option<bool>,
    /// The use of tools.
    pub tools: Option<&'a str>,
    /// The number of LLM requests of the key on the day that were not refused; 0 in a session and without a key.
    pub requests_per_key: Option<u64>,
    /// The number of requests of the session.
    pub requests_per_session: Option<u64>,
    /// The seconds since the previous request of the session.
    pub interval_s: Option<u64>,
    /// A number of input tokens that is in the same ranges of all rules as that of the requests.
    pub input_tokens: Option<u64>,
}

/// The rules in force: the configured ones, then the built-in ones, whose last one matches every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    rules: Vec<ClassRule>,
}

impl RuleSet {
    /// Returns the rules with `own` before the built-in ones.
    #[must_use]
    pub fn with(own: &[ClassRule]) -> Self {
        Self { rules: own.iter().take(RULES_MAX).cloned().chain(built_in()).collect() }
    }

    /// Returns the first rule that matches; `None` never occurs, because the last rule matches every request.
    #[must_use]
    pub fn decide(&self, of: &Metadata<'_>) -> Option<&ClassRule> {
        self.rules.iter().find(|rule| matches(&rule.when, of))
    }

    /// Returns the numbers at which a range of a condition begins or has ended, ascending and each once. Requests with
    /// numbers between two neighbours match the same rules.
    #[must_use]
    pub fn bounds(&self, of: impl Fn(&RuleConditions) -> Option<NumberRange>) -> Vec<u64> {
        let ranges = self.rules.iter().filter_map(|rule| of(&rule.when));
        let bounds = ranges.flat_map(|range| [range.min, range.max.map(|max| max.saturating_add(1))]);
        // Every number is at least zero.
        let mut bounds: Vec<u64> = bounds.flatten().filter(|bound| *bound > 0 && *bound <= NUMBER_MAX).collect();
        bounds.sort_unstable();
        bounds.dedup();
        bounds
    }

    /// Whether every rule with a condition on sessions matches only requests with this use of tools.
    #[must_use]
    pub fn has_sessions_of(&self, tools: &str) -> bool {
        let has_session = |when: &RuleConditions| when.requests_per_session.is_some() || when.interval_s.is_some();
        let of_sessions = self.rules.iter().filter(|rule| has_session(&rule.when));
        of_sessions.map(|rule| rule.when.tools.as_deref()).all(|of| of == Some(&[tools.to_owned()]))
    }
}

/// No request has more tokens, and no session more requests; larger numbers do not fit into a column.
const NUMBER_MAX: u64 = 1 << 53;

fn matches(when: &RuleConditions, of: &Metadata<'_>) -> bool {
    let one_of = |allowed: &Option<Vec<String>>, value: Option<&str>| match allowed {
        None => true,
        Some(allowed) => value.is_some_and(|value| allowed.iter().any(|allowed| allowed == value)),
    };
    let within = |range: Option<NumberRange>, value: Option<u64>| match range {
        None => true,
        Some(NumberRange { min, max }) => {
            value.is_some_and(|value| min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max))
        }
    };
    is_client(when.client.as_deref(), of.client)
        && one_of(&when.route, of.route)
        && one_of(&when.format, Some(of.format.unwrap_or(NO_FORMAT)))
        && one_of(&when.model, of.model)
        && within(when.status, Some(of.status.into()))
        && when.streamed.is_none_or(|streamed| of.streamed == Some(streamed))
        && one_of(&when.tools, of.tools)
        && within(when.requests_per_key, of.requests_per_key)
        && within(when.requests_per_session, of.requests_per_session)
        && within(when.interval_s, of.interval_s)
        && within(when.input_tokens, of.input_tokens)
}

/// Whether every request that matches `when` also matches `other`.
#[must_use]
pub fn covered(when: &RuleConditions, other: &RuleConditions) -> bool {
    let words = |of: &Option<Vec<String>>, other: &Option<Vec<String>>| match (of, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(of), Some(other)) => of.iter().all(|word| other.contains(word)),
    };
    let range = |of: Option<NumberRange>, other: Option<NumberRange>| match (of, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(of), Some(other)) => {
            let max = |range: NumberRange| range.max.unwrap_or(u64::MAX);
            of.min.unwrap_or(0) >= other.min.unwrap_or(0) && max(of) <= max(other)
        }
    };
    words(&when.client, &other.client)
        && words(&when.route, &other.route)
        && words(&when.format, &other.format)
        && words(&when.model, &other.model)
        && range(when.status, other.status)
        && (other.streamed.is_none() || when.streamed == other.streamed)
        && words(&when.tools, &other.tools)
        && range(when.requests_per_key, other.requests_per_key)
        && range(when.requests_per_session, other.requests_per_session)
        && range(when.interval_s, other.interval_s)
        && range(when.input_tokens, other.input_tokens)
}

/// Whether the program is one of those of the condition. The names of programs are written with `-` or `_`.
fn is_client(allowed: Option<&[String]>, client: Option<&str>) -> bool {
    let equal = |one: &str, other: &str| one.bytes().map(dashed).eq(other.bytes().map(dashed));
    allowed.is_none_or(|allowed| client.is_some_and(|client| allowed.iter().any(|one| equal(one, client))))
}

const fn dashed(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte }
}

/// Returns the built-in rules, of [`BUILT_IN_VERSION`]. The last one matches every request.
fn built_in() -> Vec<ClassRule> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let rule = |name: &str, class, confidence, when| ClassRule {
        name: name.to_owned(),
        class,
        when,
        confidence: Ratio(confidence),
    };
    let any = RuleConditions::default;
    vec![
        rule(
            "embedding",
            Class::Embedding,
            10_000,
            RuleConditions { format: words(&["embeddings", "embed_content"]), ..any() },
        ),
        rule(
            "coding_agent",
            Class::AgentSession,
            9_500,
            RuleConditions { client: words(&["codex", "claude_code"]), ..any() },
        ),
        rule(
            "tool_loop",
            Class::ToolLoop,
            9_000,
            RuleConditions {
                tools: words(&["called"]),
                requests_per_session: Some(NumberRange { min: Some(3), max: None }),
                ..any()
            },
        ),
        rule(
            "batch",
            Class::Batch,
            6_000,
            RuleConditions {
                format: words(BATCH_FORMATS),
                streamed: Some(false),
                tools: words(&["none", "offered"]),
                requests_per_key: Some(NumberRange { min: Some(BATCH_REQUESTS_MIN), max: None }),
                ..any()
            },
        ),
        rule(
            "health",
            Class::HealthProbe,
            9_000,
            RuleConditions { format: words(&[NO_FORMAT]), route: words(HEALTH_ROUTES), ..any() },
        ),
        rule("plain", Class::PlainApi, 10_000, RuleConditions { format: words(&[NO_FORMAT]), ..any() }),
        rule("completion", Class::Completion, 9_000, RuleConditions { format: words(&["completions"]), ..any() }),
        rule(
            "streamed_chat",
            Class::Chat,
            8_000,
            RuleConditions { format: words(CHAT_FORMATS), streamed: Some(true), ..any() },
        ),
        rule(
            "chat",
            Class::Chat,
            6_000,
            RuleConditions { format: words(CHAT_FORMATS), streamed: Some(false), ..any() },
        ),
        rule("other", Class::Other, 10_000, any()),
    ]
}

/// The formats of conversations.
const CHAT_FORMATS: &[&str] = &["chat", "responses", "messages", "generate_content"];
/// The formats of which a batch is made.
const BATCH_FORMATS: &[&str] = &["chat", "responses", "messages", "generate_content", "completions"];
/// The smallest number of LLM requests of a key on one day, without refused ones, that make a batch.
const BATCH_REQUESTS_MIN: u64 = 1_000;
/// The names of routes that serve probes.
const HEALTH_ROUTES: &[&str] = &["health", "healthz", "livez", "readyz", "ping", "status"];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(own: &[ClassRule], of: Metadata<'_>) -> (Class, String) {
        let rules = RuleSet::with(own);
        let rule = rules.decide(&of).unwrap();
        (rule.class, rule.name.clone())
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let chat = Metadata { format: Some("chat"), status: 200, streamed: Some(true), ..Metadata::default() };
        for (of, class, name) in [
            (chat, Class::Chat, "streamed_chat"),
            (Metadata { streamed: Some(false), ..chat }, Class::Chat, "chat"),
            (Metadata { streamed: None, ..chat }, Class::Other, "other"),
            (Metadata { client: Some("codex"), ..chat }, Class::AgentSession, "coding_agent"),
            (Metadata { client: Some("claude-code"), ..chat }, Class::AgentSession, "coding_agent"),
            (Metadata { client: Some("openai-python"), ..chat }, Class::Chat, "streamed_chat"),
            (Metadata { tools: Some("called"), requests_per_session: Some(3), ..chat }, Class::ToolLoop, "tool_loop"),
            (Metadata { tools: Some("called"), requests_per_session: Some(2), ..chat }, Class::Chat, "streamed_chat"),
            (Metadata { format: Some("embeddings"), ..chat }, Class::Embedding, "embedding"),
            (Metadata { format: None, route: Some("health"), ..chat }, Class::HealthProbe, "health"),
            (Metadata { format: None, route: Some("users"), ..chat }, Class::PlainApi, "plain"),
        ] {
            assert_eq!(named(&[], of), (class, name.to_owned()), "{of:?}");
        }
        let own = ClassRule {
            name: "nightly".to_owned(),
            class: Class::Batch,
            when: RuleConditions {
                model: Some(vec!["gpt-5-mini".to_owned()]),
                status: Some(NumberRange { min: Some(200), max: Some(299) }),
                input_tokens: Some(NumberRange { min: Some(1_000), max: Some(4_000) }),
                ..RuleConditions::default()
            },
            confidence: Ratio(5_000),
        };
        let batch = Metadata { model: Some("gpt-5-mini"), input_tokens: Some(1_000), ..chat };
        let own = [own];
        assert_eq!(named(&own, batch).0, Class::Batch);
        for of in [
            Metadata { input_tokens: Some(999), ..batch },
            Metadata { input_tokens: Some(4_001), ..batch },
            Metadata { input_tokens: None, ..batch },
            Metadata { status: 500, ..batch },
            Metadata { model: None, ..batch },
        ] {
            assert_eq!(named(&own, of).0, Class::Chat, "{of:?}");
        }
        assert_eq!(RuleSet::with(&own).bounds(|when| when.input_tokens), [1_000, 4_001]);
        assert!(RuleSet::with(&own).has_sessions_of("called") && !RuleSet::with(&own).has_sessions_of("offered"));
        let when =
            RuleConditions { interval_s: Some(NumberRange { min: Some(60), max: None }), ..RuleConditions::default() };
        let own = [ClassRule { when, ..own[0].clone() }];
        assert!(!RuleSet::with(&own).has_sessions_of("called"), "a rule needs the sessions of all requests");
    }

    /// The limits of each condition, one by one.
    #[test]
    fn many_requests_of_a_key_outside_of_sessions_are_a_batch() {
        let chat = Metadata { format: Some("chat"), status: 200, ..Metadata::default() };
        let many = Metadata { streamed: Some(false), tools: Some("none"), requests_per_key: Some(1_000), ..chat };
        for (of, class, name) in [
            (many, Class::Batch, "batch"),
            (Metadata { tools: Some("offered"), ..many }, Class::Batch, "batch"),
            (Metadata { format: Some("completions"), ..many }, Class::Batch, "batch"),
            (
                Metadata { format: Some("completions"), requests_per_key: Some(999), ..many },
                Class::Completion,
                "completion",
            ),
            (Metadata { requests_per_key: Some(999), ..many }, Class::Chat, "chat"),
            (Metadata { requests_per_key: None, ..many }, Class::Chat, "chat"),
            (Metadata { streamed: Some(true), ..many }, Class::Chat, "streamed_chat"),
            (Metadata { tools: Some("called"), ..many }, Class::Chat, "chat"),
            (Metadata { tools: None, ..many }, Class::Chat, "chat"),
            (Metadata { client: Some("codex"), ..many }, Class::AgentSession, "coding_agent"),
            (Metadata { format: Some("embeddings"), ..many }, Class::Embedding, "embedding"),
            (Metadata { format: None, route: Some("users"), ..many }, Class::PlainApi, "plain"),
        ] {
            assert_eq!(named(&[], of), (class, name.to_owned()), "{of:?}");
        }
        assert_eq!(RuleSet::with(&[]).bounds(|when| when.requests_per_key), [1_000]);
    }

    #[test]
    fn a_rule_is_covered_by_one_with_weaker_conditions() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let any = RuleConditions::default();
        let codex = RuleConditions { client: words(&["codex"]), ..any.clone() };
        let agents = RuleConditions { client: words(&["codex", "aider"]), ..any.clone() };
        let range = |min, max| RuleConditions { status: Some(NumberRange { min, max }), ..any.clone() };
        let streamed = RuleConditions { streamed: Some(true), ..codex.clone() };
        for (when, other, expected) in [
            (&any, &any, true),
            (&codex, &any, true),
            (&any, &codex, false),
            (&codex, &agents, true),
            (&agents, &codex, false),
            (&streamed, &codex, true),
            (&codex, &streamed, false),
            (&range(Some(400), Some(499)), &range(Some(400), None), true),
            (&range(Some(400), None), &range(Some(400), Some(499)), false),
            (&range(None, None), &range(Some(1), None), false),
        ] {
            assert_eq!(covered(when, other), expected, "{when:?} {other:?}");
        }
    }

    #[test]
    fn every_request_matches_a_rule() {
        let all = ClassRule {
            name: "all".to_owned(),
            class: Class::Batch,
            when: RuleConditions::default(),
            confidence: Ratio::ONE,
        };
        assert_eq!(named(&[all], Metadata::default()).0, Class::Batch);
        assert_eq!(named(&[], Metadata { format: Some("later"), ..Metadata::default() }).0, Class::Other);
    }
}
