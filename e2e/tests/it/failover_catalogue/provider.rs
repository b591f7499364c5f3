//! A provider of OpenAI's format whose models fail as the scenarios say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use e2e::{Turn, Upstream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::scenario::{FailoverScenario, ScenarioStep, ScriptedRefusal, StreamFault};

/// The words of a response.
pub(super) const WORDS: usize = 60;

/// The provider; dropping it closes its connections.
pub(super) struct FailingProvider {
    upstream: Upstream,
    models: ScenarioStates,
}

/// The attempts of a scenario that have arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct ScenarioAttempts {
    pub(super) primary: Vec<Instant>,
    pub(super) refused_prefills: usize,
    /// When the first target first served a call after its outage.
    pub(super) recovered: Option<Instant>,
}

/// The state of one scenario.
#[derive(Debug, Default)]
struct ScenarioState {
    steps: Vec<ScenarioStep>,
    refuses_prefill: bool,
    outage: Option<Instant>,
    attempts: ScenarioAttempts,
}

type ScenarioStates = Arc<Mutex<BTreeMap<String, ScenarioState>>>;

/// Returns the name of a scenario's provider, with which the names of its models begin.
pub(super) fn name(id: &str) -> String {
    id.to_ascii_lowercase()
}

impl FailingProvider {
    pub(super) async fn start(scenarios: &[FailoverScenario]) -> Self {
        let state = |scenario: &FailoverScenario| {
            let state = ScenarioState {
                steps: scenario.primary.clone(),
                refuses_prefill: scenario.fallback_refuses_prefill,
                ..ScenarioState::default()
            };
            (name(&scenario.id), state)
        };
        let models: ScenarioStates = Arc::new(Mutex::new(scenarios.iter().map(state).collect()));
        let served = Arc::clone(&models);
        let upstream = Upstream::start(move |turn| respond(Arc::clone(&served), turn)).await;
        Self { upstream, models }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    pub(super) fn attempts(&self, id: &str) -> ScenarioAttempts {
        lock(&self.models).get(&name(id)).map(|state| state.attempts.clone()).unwrap_or_default()
    }

    /// Returns the end of the scenario's outage.
    pub(super) fn outage(&self, id: &str) -> Option<Instant> {
        lock(&self.models).get(&name(id))?.outage
    }

    pub(super) fn begin_outage(&self, id: &str, down: Duration) {
        if let Some(state) = lock(&self.models).get_mut(&name(id)) {
            state.outage = Some(Instant::now() + down);
        }
    }

    pub(super) fn has_recovered(&self, id: &str) -> bool {
        self.attempts(id).recovered.is_some()
    }
}

fn lock(models: &ScenarioStates) -> MutexGuard<'_, BTreeMap<String, ScenarioState>> {
    models.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the attempt and returns what the model does.
fn step(models: &ScenarioStates, model: &str, body: &Value) -> ScenarioStep {
    let (scenario, target) = model.split_once('-').unwrap_or((model, ""));
    let mut models = lock(models);
    let Some(state) = models.get_mut(scenario) else { return ScenarioStep::Answer };
    let now = Instant::now();
    if target == "fallback" {
        let is_prefill =
            body["messages"].as_array().and_then(|all| all.last()).is_some_and(|last| last["role"] == "assistant");
        if !(is_prefill && state.refuses_prefill) {
            return ScenarioStep::Answer;
        }
        state.attempts.refused_prefills += 1;
        return ScenarioStep::Refuse(ScriptedRefusal {
            status: 400,
            code: Some("invalid_prefill".to_owned()),
            retry_after_s: None,
        });
    }
    let number = state.attempts.primary.len();
    state.attempts.primary.push(now);
    let step = state.steps.get(number).or(state.steps.last()).cloned().unwrap_or(ScenarioStep::Answer);
    match (step, state.outage) {
        (ScenarioStep::DownS(_), Some(end)) if now < end => ScenarioStep::Refuse(ScriptedRefusal {
            status: 503,
            code: Some("overloaded".to_owned()),
            retry_after_s: None,
        }),
        (ScenarioStep::DownS(_), _) => {
            state.attempts.recovered.get_or_insert(now);
            ScenarioStep::Answer
        }
        (step, _) => step,
    }
}

async fn respond(models: ScenarioStates, mut turn: Turn) -> Option<Turn> {
    let body: Value = serde_json::from_slice(&turn.read_body().await).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    match step(&models, &model, &body) {
        ScenarioStep::Answer | ScenarioStep::DownS(_) => stream(turn, &model, &StreamFault::default()).await,
        ScenarioStep::Stream(fault) => stream(turn, &model, &fault).await,
        ScenarioStep::Refuse(refusal) => refuse(turn, &refusal).await,
        ScenarioStep::Silence => {
            turn.wire.closed().await;
            None
        }
        ScenarioStep::Reset => {
            let _ = turn.wire.stream().set_zero_linger();
            None
        }
    }
}

async fn refuse(mut turn: Turn, refusal: &ScriptedRefusal) -> Option<Turn> {
    let body = json!({"error": {"message": "The scenario refuses.", "type": "scenario_error", "code": refusal.code}});
    let retry_after: String =
        refusal.retry_after_s.iter().map(|seconds| format!("\r\nretry-after: {seconds}")).collect();
    let head = format!("{} Refused\r\ncontent-type: application/json{retry_after}", refusal.status);
    turn.answer(&head, body.to_string().as_bytes()).await.then_some(turn)
}

/// Sends the words as events, with the fault.
async fn stream(mut turn: Turn, model: &str, fault: &StreamFault) -> Option<Turn> {
    turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
    sleep(Duration::from_secs(fault.first_word_after_s)).await;
    for number in 0..WORDS {
        if fault.cut_after == Some(number) {
            sleep(Duration::from_secs(fault.cut_pause_s)).await;
            return None;
        }
        if fault.broken_after == Some(number) {
            turn.chunk(b"data: {\"id\": \"c\", \"choices\": [{\"delta\": {\"content\": \n\n").await;
        }
        let delta = json!({"content": format!("word{number} ")});
        event(&mut turn, &chunk(model, &json!([{"index": 0, "delta": delta, "finish_reason": null}]))).await;
    }
    event(&mut turn, &chunk(model, &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))).await;
    let mut usage = chunk(model, &json!([]));
    usage["usage"] = json!({"prompt_tokens": 8, "completion_tokens": WORDS, "total_tokens": 8 + WORDS});
    event(&mut turn, &usage).await;
    if !fault.without_sentinel {
        turn.chunk(b"data: [DONE]\n\n").await;
    }
    turn.chunk(b"").await.then_some(turn)
}

fn chunk(model: &str, choices: &Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices})
}

async fn event(turn: &mut Turn, event: &Value) {
    turn.chunk(format!("data: {event}\n\n").as_bytes()).await;
}
