//! `tollgate explain`.

use std::process::ExitCode;

use access::Clock;
use anyhow::{Context as _, anyhow};
use config::{Snapshot, WrittenRequest};
use control::explanation::{ExplanationQuery, ExplanationSources, HolderName, StatefulExplanation};
use serde::Serialize;
use telemetry::BackendBoard;

use crate::cli::Explain;
use crate::commands::{block_on, load, open, printable};
use crate::terminal::say;

/// Width of the column of labels, as in the text of an explanation.
const LABEL: usize = 15;

/// Loads the configuration as `serve` would, and prints what happens to the request.
pub(crate) fn run(args: &Explain) -> anyhow::Result<ExitCode> {
    let request = WrittenRequest::parse(&args.request, &args.headers).map_err(|error| anyhow!("expected {error}"))?;
    let request = request.with_model(args.model.clone());
    let snapshot = load(&args.place, &args.overrides.flags())?.snapshot;
    let Some(holder) = args.holder.as_deref() else {
        let explanation = snapshot.explain(&request);
        return print(args, &explanation, &explanation.to_string());
    };
    let explanation = of_holder(&snapshot, request, holder)?;
    let mut text = explanation.explanation().to_string();
    for (label, line) in explanation.lines() {
        text.push_str(&format!("{label:LABEL$} {line}\n"));
    }
    print(args, &explanation, &text)
}

/// Explains a request of a client. The counts of rate limits are in the running servers, those of budgets in the store.
fn of_holder(snapshot: &Snapshot, request: WrittenRequest, holder: &str) -> anyhow::Result<StatefulExplanation> {
    let holder = HolderName::parse(holder).with_context(|| {
        format!("{holder} is neither the id of a key nor ENTRY/NAME of a client that the configuration lists")
    })?;
    block_on(async {
        let store = open(&snapshot.process).await?;
        let clock = Clock::system();
        let board = BackendBoard::default();
        let sources = ExplanationSources { store: &store, snapshot, clock: &clock, counters: None, board: &board };
        let query = ExplanationQuery { request, holder: Some(holder), address: None };
        let explanation = StatefulExplanation::of(sources, query).await;
        store.close().await;
        Ok(explanation?)
    })
}

fn print(args: &Explain, json: &impl Serialize, text: &str) -> anyhow::Result<ExitCode> {
    if args.json {
        say(&format!("{}\n", serde_json::to_string_pretty(json)?));
    } else {
        text.lines().for_each(|line| say(&format!("{}\n", printable(line))));
    }
    Ok(ExitCode::SUCCESS)
}
