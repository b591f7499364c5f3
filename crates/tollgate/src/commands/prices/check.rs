//! `tollgate prices check`: the models that calls of the last days had no price for.

use std::process::ExitCode;
use std::time::Duration;

use access::Timestamp;
use config::Snapshot;
use config::snapshot::Traffic;
use ledger::{Ledger, UnpricedModel};
use serde_json::{Value, json};

use crate::commands::{block_on, open, printable};
use crate::failure;
use crate::terminal::say;

/// The time whose calls are read.
const DAYS: u64 = 7;
/// Exit code if calls had no price.
const UNPRICED: u8 = 3;

/// Runs the command against the store, and prints its result.
pub(super) fn run(snapshot: &Snapshot, as_json: bool) -> anyhow::Result<ExitCode> {
    let process = &snapshot.process;
    let (models, now) = block_on(async {
        let store = open(process).await?;
        let now = store.clock().now();
        let since = now.before(Duration::from_secs(DAYS * 86_400));
        let models = Ledger::new(store.clone()).unpriced_models(since).await;
        store.close().await;
        Ok((models.map_err(|error| failure::of_store(process, error))?, now))
    })?;
    let traffic = &snapshot.traffic;
    say(&match as_json {
        true => format!("{:#}\n", json!({"days": DAYS, "models": in_json(traffic, &models, now)})),
        false => in_words(traffic, &models, now),
    });
    Ok(if models.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNPRICED) })
}

/// Whether the configuration has a price for the model now.
fn has_price(traffic: &Traffic, model: &UnpricedModel, now: Timestamp) -> bool {
    let priced = |provider: &str, name: &str| {
        let provider = traffic.provider(provider)?;
        traffic.price(provider, (name, model.answered.as_deref()), now)
    };
    model
        .provider
        .as_deref()
        .zip(model.model.as_deref())
        .is_some_and(|(provider, name)| priced(provider, name).is_some())
}

/// Returns `PROVIDER/MODEL`, as `prices[].model` has it.
fn name_of(model: &UnpricedModel) -> String {
    let part = |name: &Option<String>| name.as_deref().unwrap_or("-").to_owned();
    format!("{}/{}", part(&model.provider), part(&model.model))
}

fn in_json(traffic: &Traffic, models: &[UnpricedModel], now: Timestamp) -> Vec<Value> {
    let one = |model: &UnpricedModel| {
        json!({
            "model": name_of(model),
            "answered_model": model.answered,
            "reason": model.reason,
            "requests": model.requests,
            "priced_now": has_price(traffic, model, now),
        })
    };
    models.iter().map(one).collect()
}

fn in_words(traffic: &Traffic, models: &[UnpricedModel], now: Timestamp) -> String {
    if models.is_empty() {
        return format!("every call of the last {DAYS} days had a price, or reported no usage\n");
    }
    let width = models.iter().map(|model| name_of(model).chars().count()).max().unwrap_or_default();
    let line = |model: &UnpricedModel| {
        let name = name_of(model);
        let mut line = format!("{name:width$}  {:>8} calls  {}", model.requests, words(&model.reason));
        if let Some(answered) = model.answered.as_deref().filter(|answered| Some(*answered) != model.model.as_deref()) {
            line.push_str(&format!("; responses name {answered}"));
        }
        if has_price(traffic, model, now) {
            line.push_str("; it has a price now");
        }
        printable(&line) + "\n"
    };
    let lines: String = models.iter().map(line).collect();
    format!(
        "{lines}add these models to `prices`, or to a price file: their cost is unknown, and no budget in money permits them\n"
    )
}

/// Returns a reason in words.
fn words(reason: &str) -> &str {
    match reason {
        "no_price" => "without a price",
        "no_rate" => "whose price lacks a rate",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(provider: &str, model: &str, reason: &str) -> UnpricedModel {
        UnpricedModel {
            provider: Some(provider.to_owned()),
            model: Some(model.to_owned()),
            answered: Some(format!("{model}-2026")),
            reason: reason.to_owned(),
            requests: 12,
        }
    }

    #[test]
    fn models_are_listed_with_their_calls_and_whether_they_have_a_price_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, "providers: [{name: openai, kind: openai, credential: k}]\n").unwrap();
        let environment = config::Environment::default();
        let sources = config::Sources { file: Some(&path), environment: &environment, flags: config::Flags::default() };
        let traffic = config::load(sources).unwrap().snapshot.traffic;
        let now = access::Day(20_778).start();
        let models = [model("openai", "gpt-99", "no_price"), model("openai", "gpt-5", "no_rate")];
        let text = in_words(&traffic, &models, now);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "openai/gpt-99        12 calls  without a price; responses name gpt-99-2026");
        assert!(
            lines[1].ends_with("whose price lacks a rate; responses name gpt-5-2026; it has a price now"),
            "{text}"
        );
        let json = Value::from(in_json(&traffic, &models, now));
        assert_eq!((&json[0]["model"], &json[0]["priced_now"]), (&json!("openai/gpt-99"), &json!(false)));
        assert_eq!((&json[1]["requests"], &json[1]["priced_now"]), (&json!(12), &json!(true)));
        assert!(in_words(&traffic, &[], now).starts_with("every call"));
    }
}
