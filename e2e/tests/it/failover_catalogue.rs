//! The scenarios of failoverbench against the binary with default keys, except `first_byte`: its budget gives each call 30 s.
//! `e2e/fixtures/failover_catalogue.yaml` has the scenarios and the verdict of each; `docs/fallback.md` has the counts.

mod judgement;
mod provider;
mod scenario;

use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use e2e::{Answer, Call, Canary, Gateway, Setup, at_once, setup};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bodies::CHAT;
use judgement::{CallResult, ScenarioObservation};
use provider::FailingProvider;
use scenario::{FailoverScenario, ScenarioStep, ScenarioVerdict};

/// The page that states how many scenarios have each verdict.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fallback.md");
/// The calls of a scenario with an outage, at least.
const CALLS: usize = 20;
/// A model that is always healthy.
const HEALTHY: &str = "healthy";

#[tokio::test]
async fn scenarios_of_failoverbench_have_the_listed_verdicts() {
    let scenarios = scenario::read();
    let provider = Rc::new(FailingProvider::start(&scenarios).await);
    let gateway = Gateway::start(configured(&scenarios, &provider)).await;
    let tester = Rc::new(Tester { key: gateway.key().await, gateway, provider });
    let runs = scenarios.into_iter().map(|scenario| {
        let tester = Rc::clone(&tester);
        async move { tester.run(scenario).await }
    });
    let verdicts = at_once(runs).await;
    let wrong: Vec<&str> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), tester.gateway.stderr());
    let mut counts: BTreeMap<ScenarioVerdict, usize> = BTreeMap::new();
    verdicts.into_iter().flatten().for_each(|verdict| *counts.entry(verdict).or_default() += 1);
    let number = |verdict: ScenarioVerdict| counts.get(&verdict).copied().unwrap_or_default();
    let passed = number(ScenarioVerdict::Pass);
    let partial = number(ScenarioVerdict::Partial);
    let safe = number(ScenarioVerdict::Safe);
    let count = format!("{passed} pass, {partial} are partial, {safe} are safe");
    assert!(fs::read_to_string(PAGE).unwrap().contains(&count), "docs/fallback.md does not contain: {count}");
}

/// Returns a configuration with a model per scenario: its first target fails, the second one serves.
fn configured(scenarios: &[FailoverScenario], provider: &FailingProvider) -> Setup {
    let names = || scenarios.iter().map(|scenario| scenario.id.as_str()).chain([HEALTHY]);
    let providers: Vec<String> =
        names().map(|id| setup::provider(&provider::name(id), "openai", provider.address())).collect();
    let model = |id: &str| {
        let name = provider::name(id);
        format!(
            "{{name: {id}, targets: [{{provider: {name}, model: {name}-primary}}, \
             {{provider: {name}, model: {name}-fallback}}]}}"
        )
    };
    let models: Vec<String> = names().map(model).collect();
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", &format!("[{}]", models.join(", ")))
        .section("ai", "{timeouts: {first_byte: 30s}}")
}

struct Tester {
    gateway: Gateway,
    key: String,
    provider: Rc<FailingProvider>,
}

impl Tester {
    /// Runs a scenario and returns its verdict, or how it differs from the listed one.
    async fn run(&self, scenario: FailoverScenario) -> Result<ScenarioVerdict, String> {
        let canary = Canary::new();
        let calls = match scenario.primary.as_slice() {
            [ScenarioStep::DownS(down_s)] => self.sequence(&scenario, Duration::from_secs(*down_s)).await,
            _ => vec![self.call(&scenario.id).await],
        };
        let alive = self.call(HEALTHY).await;
        let observed = ScenarioObservation {
            calls,
            is_alive: alive.is_whole(),
            attempts: self.provider.attempts(&scenario.id),
            outage: self.provider.outage(&scenario.id),
            canary,
        };
        let (verdict, reasons) = observed.judge(&scenario);
        if verdict == scenario.verdict {
            return Ok(verdict);
        }
        Err(format!("{} is {verdict:?}, not {:?}: {reasons} {observed:?}", scenario.id, scenario.verdict))
    }

    /// Calls the model every few seconds until its first target serves a call, and at least as often as the catalogue.
    async fn sequence(&self, scenario: &FailoverScenario, down: Duration) -> Vec<CallResult> {
        let every = Duration::from_secs(scenario.calls_every_s);
        let begun = Instant::now();
        let mut results = Vec::new();
        self.provider.begin_outage(&scenario.id, down);
        let mut next = begun;
        while results.len() < CALLS || (!self.provider.has_recovered(&scenario.id) && begun.elapsed() < down * 3) {
            tokio::time::sleep_until(next).await;
            results.push(self.call(&scenario.id).await);
            next += every;
        }
        results
    }

    /// Sends a streamed call and reads its response as a careful client does.
    async fn call(&self, model: &str) -> CallResult {
        let body = json!({
            "model": model, "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "Explain a gateway in sixty words."}]
        });
        let begun = Instant::now();
        let answer = Call::json(CHAT, &body).key(&self.key).send(self.gateway.proxy).await;
        read(&answer, begun)
    }
}

/// Reads a streamed response: events that are not JSON are skipped, and an error event is an error.
fn read(answer: &Answer, begun: Instant) -> CallResult {
    let mut result = CallResult {
        begun,
        elapsed: begun.elapsed(),
        is_success: answer.status() == 200 && answer.whole,
        text: String::new(),
        has_usage: false,
        served_by: answer.header("x-tollgate-model").unwrap_or_default().to_owned(),
    };
    for event in answer.events() {
        let Ok(event) = serde_json::from_str::<Value>(&event.data) else { continue };
        if event.get("error").is_some() {
            result.is_success = false;
        }
        result.has_usage |= event["usage"].is_object();
        result.text.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    result
}
