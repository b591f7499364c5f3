//! Usage events like those of a day with LLM calls, and the users and keys of measurements of the store.

use std::sync::Arc;

use access::{ApiKey, Clock, Credits, Ids, KeyNo, NanoUsd, Plan, PlanId, RequestId, Subject, Tokens, UserId, UserNo};
use anyhow::Context;
use meter::{Attempt, Caller, Charge, Outcome, Source, Usage, UsageEvent};
use store::{Email, NewKey, NewUser, Store};

/// The number of users, which are numbered from 1.
pub(crate) const USERS: u64 = 50;
/// The number of keys per user: the first user has the keys 1 to 4, and so on.
pub(crate) const KEYS_A_USER: u64 = 4;
const MODELS: [(&str, &str, &str, &str); 4] = [
    ("openai", "fast", "gpt-5-mini", "chat"),
    ("openai", "openai/gpt-5", "gpt-5", "responses"),
    ("anthropic", "anthropic/claude-haiku-4-5", "claude-haiku-4-5", "messages"),
    ("gemini", "gemini/gemini-2.5-flash", "gemini-2.5-flash", "generate_content"),
];
/// One of this many calls has a second attempt.
const SECOND_ATTEMPT: u64 = 50;
/// One of this many calls fails, without usage.
const ERROR: u64 = 25;

/// Creates events in order of time, each with a new id.
pub(crate) struct EventMaker {
    ids: Ids,
    clock: Clock,
    created: u64,
}

impl EventMaker {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { ids: Ids::new(clock.clone()), clock: clock.clone(), created: 0 }
    }

    pub(crate) fn next(&mut self) -> UsageEvent {
        self.created += 1;
        // Knuth's multiplicative hash, so that consecutive events differ.
        let random = self.created.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        let now = self.clock.now();
        let failed = random.is_multiple_of(ERROR);
        let (_, requested, _, format) = pick(random);
        let mut attempts = vec![attempt(random, failed)];
        if random.is_multiple_of(SECOND_ATTEMPT) {
            attempts.insert(0, attempt(random / 7, true));
        }
        let user = random % USERS;
        UsageEvent {
            id: RequestId(self.ids.uuid_at(now)),
            subject: Subject::Key(Caller {
                user: number(user + 1, UserNo),
                key: number(user * KEYS_A_USER + random / USERS % KEYS_A_USER + 1, KeyNo),
                plan: PlanId::NIL,
            }),
            started_at: now,
            day: now.day(),
            windows: Vec::new(),
            charge: Charge::credits(Credits::whole(1)),
            route: Arc::from(format),
            format: Some(Arc::from(format)),
            model: Some(Arc::from(requested)),
            streamed: random.is_multiple_of(2),
            status: if failed { 429 } else { 200 },
            outcome: Outcome::Completed,
            request_bytes: 1_024 + random % 8_192,
            response_bytes: 512 + random % 16_384,
            duration_us: 300_000 + random % 9_000_000,
            attempts,
            refusal: None,
            origin: meter::RequestOrigin::default(),
        }
    }
}

fn attempt(random: u64, failed: bool) -> Attempt {
    let (provider, _, model, format) = pick(random);
    let usage = Usage {
        input: Some(Tokens(200 + random % 4_000)),
        cached_input: Some(Tokens(random % 1_000)),
        output: Some(Tokens(50 + random % 800)),
        reasoning: Some(Tokens(random % 300)),
        ..Usage::empty(Source::Reported)
    };
    Attempt {
        provider: Arc::from(provider),
        model: Some(Arc::from(model)),
        answered_model: (!failed).then(|| Arc::from(format!("{model}-2026-05-01"))),
        status: Some(if failed { 429 } else { 200 }),
        upstream_id: Some(Arc::from(format!("req_{random:016x}{random:016x}"))),
        raw_usage: Some(Arc::from(raw_usage(format, random))),
        usage: (!failed).then_some(usage),
        cost: (!failed).then(|| NanoUsd(i64::try_from(random % 50_000_000).unwrap_or(0))),
        unknown: None,
        price_version: (!failed).then(|| Arc::from("builtin-2026-11-01")),
        own_credential: false,
        first_byte_us: Some(100_000 + random % 900_000),
        duration_us: 300_000 + random % 9_000_000,
    }
}

/// Returns a usage object as the providers of a format report it.
fn raw_usage(format: &str, random: u64) -> String {
    let [input, cached, output, reasoning] = [4_000, 1_000, 800, 300].map(|most| random % most);
    let total = input + output;
    match format {
        "chat" => format!(
            r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{reasoning},"audio_tokens":0}}}}"#
        ),
        "responses" => format!(
            r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":{cached}}},"output_tokens":{output},"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{total}}}"#
        ),
        "messages" => format!(
            r#"{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":{cached},"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"output_tokens":{output},"service_tier":"standard"}}"#
        ),
        _ => format!(
            r#"{{"promptTokenCount":{input},"candidatesTokenCount":{output},"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":{input}}}],"thoughtsTokenCount":{reasoning}}}"#
        ),
    }
}

fn pick(random: u64) -> (&'static str, &'static str, &'static str, &'static str) {
    let [first, ..] = MODELS;
    MODELS.into_iter().cycle().nth(usize::try_from(random / 3 % 4).unwrap_or(0)).unwrap_or(first)
}

fn number<T>(no: u64, of: fn(i64) -> T) -> T {
    of(i64::try_from(no).unwrap_or(i64::MAX))
}

/// The name of users and keys.
const NAME: &str = "bench";

/// Creates a user without limits.
pub(crate) async fn user(store: &Store) -> anyhow::Result<UserId> {
    users(store, 1).await?.pop().context("no user was created")
}

/// Creates `count` users without limits.
pub(crate) async fn users(store: &Store, count: u32) -> anyhow::Result<Vec<UserId>> {
    store.ensure_plans(&[Plan::unlimited(NAME)]).await?;
    let mut created = Vec::new();
    for nth in 0..count {
        let email = Email::parse(&format!("bench{nth}@example.com"))?;
        let new = NewUser::member(email, NAME, NAME);
        created.push(store.create_user(&store::Actor::COMMAND, new).await?.id);
    }
    Ok(created)
}

/// Creates users of an existing plan, each with a key. Returns the keys.
pub(crate) async fn callers(store: &Store, plan: &str, count: u32) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for nth in 0..count {
        let email = Email::parse(&format!("caller{nth}@example.com"))?;
        let user = store.create_user(&store::Actor::COMMAND, NewUser::member(email, NAME, plan)).await?.id;
        let secret = ApiKey::generate(NAME)?;
        store.create_key(&store::Actor::COMMAND, NewKey::unbounded(user, NAME, &secret)).await?;
        keys.push(secret.expose().to_owned());
    }
    Ok(keys)
}

/// Creates a key of the user.
pub(crate) async fn key(store: &Store, user: UserId) -> anyhow::Result<()> {
    let secret = ApiKey::generate(NAME)?;
    store.create_key(&store::Actor::COMMAND, NewKey::unbounded(user, NAME, &secret)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn events_differ_like_those_of_many_clients() {
        let mut events = EventMaker::new(&Clock::system());
        let created: Vec<UsageEvent> = (0..20_000).map(|_| events.next()).collect();
        let distinct = |of: fn(&UsageEvent) -> String| created.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|event| event.id.to_string()), created.len());
        assert_eq!(distinct(|event| format!("{:?}", event.subject)), 200);
        assert_eq!(distinct(|event| format!("{:?}", event.model)), 4);
        let several = created.iter().filter(|event| event.attempts.len() == 2).count();
        assert!((100..1_000).contains(&several), "{several}");
    }
}
