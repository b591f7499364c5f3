//! `tollgate explain`.

use std::net::IpAddr;
use std::process::ExitCode;

use access::Clock;
use anyhow::{Context as _, anyhow};
use config::snapshot::Origin;
use config::{Snapshot, WrittenRequest};
use control::nouns::explanation::{ExplanationQuery, ExplanationSources, HolderName, StatefulExplanation};
use serde::Serialize;
use telemetry::BackendBoard;

use crate::cli::Explain;
use crate::commands::{block_on, load, open, printable};
use crate::terminal::say;

/// Width of the column of labels, as in the text of an explanation.
const LABEL: usize = 15;

/// A URL in place of the one of the mock provider of a server.
const MOCK: &str = "http://127.0.0.1";

/// Loads the configuration as `serve` would, and prints what happens to the request.
pub(crate) fn run(args: &Explain) -> anyhow::Result<ExitCode> {
    let request = WrittenRequest::parse(&args.request, &args.headers).map_err(|error| anyhow!("expected {error}"))?;
    let request = request.with_model(args.model.clone()).with_address(args.address);
    let mut snapshot = load(&args.place, &args.overrides.flags())?.snapshot;
    if snapshot.traffic.mock.on {
        // `serve` adds the mock with a port that the system chooses. An explanation has no addresses of providers.
        snapshot.traffic = snapshot.traffic.with_mock(Origin::parse(MOCK)?);
    }
    let Some(holder) = args.holder.as_deref() else {
        let explanation = snapshot.explain(&request);
        return print(args, &explanation, &explanation.to_string());
    };
    let explanation = of_holder(&snapshot, request, holder, args.address)?;
    let mut text = explanation.explanation().to_string();
    for (label, line) in explanation.lines() {
        text.push_str(&format!("{label:LABEL$} {line}\n"));
    }
    print(args, &explanation, &text)
}

/// Explains a request of a client. The counts of rate limits are in the running servers, those of budgets in the store.
fn of_holder(
    snapshot: &Snapshot,
    request: WrittenRequest,
    holder: &str,
    address: Option<IpAddr>,
) -> anyhow::Result<StatefulExplanation> {
    let holder = HolderName::parse(holder).with_context(|| {
        format!("{holder} is neither the id of a key nor ENTRY/NAME of a client that the configuration lists")
    })?;
    block_on(async {
        let store = open(&snapshot.process).await?;
        let clock = Clock::system();
        let board = BackendBoard::default();
        let sources = ExplanationSources { store: &store, snapshot, clock: &clock, counters: None, board: &board };
        let query = ExplanationQuery { request, holder: Some(holder), address };
        let explanation = StatefulExplanation::explain(sources, query).await;
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
