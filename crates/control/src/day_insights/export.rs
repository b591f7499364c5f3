//! The export of a day: a signed zip that is written while it is sent.

use std::io;
use std::sync::Arc;

use access::Day;
use axum::body::Body;
use bytes::Bytes;
use evidence::manifest::FORMAT_VERSION;
use evidence::{EvidenceWriter, Manifest, SigningKey};
use futures_util::stream;
use insights::Brief;
use insights::charts::{ChartKind, ChartTheme, draw};
use insights::figures::day::rfc3339;
use insights::page::html;
use ledger::{DayEvent, DayUsageOf, RequestPlace};
use meter::RequestResult;
use serde::Serialize;

use crate::message::csv;
use crate::process::state::App;

/// The head of `events.csv`.
const EVENTS_HEAD: &str = "id,started_at,user_id,trace_id,route,format,model,provider,streamed,status,outcome,refusal,tokens,cost_nano,duration_us,labels,own_cost_nano,result\r\n";
/// The head of `counts.csv`.
const COUNTS_HEAD: &str = "route,status_class,requests\r\n";

/// An export that is being written.
pub(crate) struct DayExport {
    app: Arc<App>,
    source: ExportSource,
    brief: Brief,
    key: SigningKey,
    writer: EvidenceWriter,
    next: ExportStep,
    sums: ExportedSums,
}

/// The requests that an export contains beside its brief.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ExportSource {
    /// The stored requests of a day.
    Usage(DayUsageOf, Day),
    /// The brief is an example, which has no requests.
    Example,
}

/// The part of the export that is written next.
enum ExportStep {
    Brief,
    Events(Option<RequestPlace>),
    Counts,
    Manifest,
    Done,
}

/// The sums of the exported requests, beside those of the brief.
#[derive(Debug, Default, Serialize)]
struct ExportedSums {
    events: u64,
    counted_requests: u64,
    /// The number of both that were refused.
    refused: u64,
    tokens: u64,
    cost_nano: i128,
    own_cost_nano: i128,
}

/// The content of `audit.json`.
#[derive(Debug, Serialize)]
struct ExportAudit<'a> {
    /// The sums of `events.csv` and `counts.csv`.
    exported: &'a ExportedSums,
    /// The number of requests of the brief, without refused ones.
    brief_requests: u64,
    /// The number of refused requests of the brief.
    brief_refused: u64,
    /// The number of tokens of the brief.
    brief_tokens: u64,
    /// The cost of the brief that the operator pays.
    brief_cost_nano: i64,
    /// The cost of the brief that users' own credentials paid.
    brief_own_cost_nano: i64,
    /// Whether the exported requests add up to the brief.
    equal: bool,
}

impl DayExport {
    /// Prepares the export of a brief.
    pub(crate) fn new(app: Arc<App>, source: ExportSource, brief: Brief, key: SigningKey) -> Self {
        let writer = EvidenceWriter::new();
        Self { app, source, brief, key, writer, next: ExportStep::Brief, sums: ExportedSums::default() }
    }

    /// Returns the zip as a body. If a part cannot be read, the body ends early, and the zip is not valid.
    pub(crate) fn into_body(self) -> Body {
        let parts = stream::try_unfold(self, |mut export| async move {
            loop {
                if matches!(export.next, ExportStep::Done) {
                    return Ok::<_, io::Error>(None);
                }
                if let Err(error) = export.step().await {
                    // The connection sends the parts that it has before it is aborted.
                    tokio::task::yield_now().await;
                    return Err(error);
                }
                let bytes = export.writer.take();
                if !bytes.is_empty() {
                    return Ok(Some((Bytes::from(bytes), export)));
                }
            }
        });
        Body::from_stream(parts)
    }

    /// Writes the next part.
    async fn step(&mut self) -> io::Result<()> {
        self.next = match std::mem::replace(&mut self.next, ExportStep::Done) {
            ExportStep::Brief => {
                self.write_brief().await?;
                ExportStep::Events(None)
            }
            ExportStep::Events(after) => {
                let page = match self.source {
                    ExportSource::Usage(of, day) => {
                        self.app.ledger.day_events(of, day, after).await.map_err(io::Error::other)?
                    }
                    ExportSource::Example => Vec::new(),
                };
                match page.last().map(DayEvent::place) {
                    None => ExportStep::Counts,
                    Some(last) => {
                        for event in &page {
                            self.write_event(event)?;
                        }
                        ExportStep::Events(Some(last))
                    }
                }
            }
            ExportStep::Counts => {
                self.write_counts().await?;
                ExportStep::Manifest
            }
            ExportStep::Manifest => {
                self.write_end()?;
                ExportStep::Done
            }
            ExportStep::Done => ExportStep::Done,
        };
        Ok(())
    }

    async fn write_brief(&mut self) -> io::Result<()> {
        let charts = ChartKind::ALL.map(|kind| draw(kind, &self.brief, ChartTheme::Light));
        let json = serde_json::to_vec_pretty(&self.brief)?;
        self.file("brief.json", &json)?;
        self.file("brief.html", html(&self.brief, &charts).as_bytes())?;
        for chart in &charts {
            self.file(&format!("charts/{}", chart.name), chart.svg.as_bytes())?;
        }
        for (kind, chart) in ChartKind::ALL.into_iter().zip(charts) {
            let png = self.app.pictures.png(chart.svg).await.map_err(io::Error::other)?;
            self.file(&format!("charts/{}.png", kind.as_str()), &png)?;
        }
        self.file("events.csv", EVENTS_HEAD.as_bytes())
    }

    fn write_event(&mut self, event: &DayEvent) -> io::Result<()> {
        let sums = &mut self.sums;
        sums.events = sums.events.saturating_add(1);
        sums.tokens = sums.tokens.saturating_add(event.tokens);
        sums.cost_nano = sums.cost_nano.saturating_add(event.cost.map_or(0, |cost| cost.0.into()));
        sums.own_cost_nano = sums.own_cost_nano.saturating_add(event.own_cost.map_or(0, |cost| cost.0.into()));
        sums.refused = sums.refused.saturating_add((event.result == RequestResult::Refused).into());
        let row = [
            event.id.0.to_string(),
            rfc3339(event.started_at),
            csv::figure(event.user.map(|user| user.0)),
            csv::figure(event.trace),
            csv::quoted_or_empty(event.route.as_deref()),
            csv::quoted_or_empty(event.format.as_deref()),
            csv::quoted_or_empty(event.model.as_deref()),
            csv::quoted_or_empty(event.provider.as_deref()),
            event.streamed.to_string(),
            event.status.to_string(),
            csv::quoted(&event.outcome),
            csv::quoted_or_empty(event.refusal.as_deref()),
            event.tokens.to_string(),
            csv::figure(event.cost.map(|cost| cost.0)),
            event.duration_us.to_string(),
            csv::quoted_or_empty(Some(event.labels.as_str()).filter(|labels| !labels.is_empty())),
            csv::figure(event.own_cost.map(|cost| cost.0)),
            event.result.as_str().to_owned(),
        ];
        self.write(format!("{}\r\n", row.join(",")).as_bytes())
    }

    async fn write_counts(&mut self) -> io::Result<()> {
        let counts = match self.source {
            ExportSource::Usage(of, day) => self.app.ledger.minute_groups(of, day).await.map_err(io::Error::other)?,
            ExportSource::Example => Vec::new(),
        };
        self.file("counts.csv", COUNTS_HEAD.as_bytes())?;
        for group in counts {
            self.sums.counted_requests = self.sums.counted_requests.saturating_add(group.requests);
            if RequestResult::of_class(group.status_class) == RequestResult::Refused {
                self.sums.refused = self.sums.refused.saturating_add(group.requests);
            }
            let route = csv::quoted_or_empty(group.route.as_deref());
            self.write(format!("{route},{},{}\r\n", group.status_class, group.requests).as_bytes())?;
        }
        Ok(())
    }

    fn write_end(&mut self) -> io::Result<()> {
        let sums = &self.sums;
        let spend = &self.brief.spend;
        let equal = sums.events.saturating_add(sums.counted_requests) == spend.requests.saturating_add(spend.refused)
            && sums.refused == spend.refused
            && sums.tokens == spend.tokens
            && sums.cost_nano == i128::from(spend.cost.amount_nano)
            && sums.own_cost_nano == i128::from(spend.own_cost.amount_nano);
        let audit = ExportAudit {
            exported: sums,
            brief_requests: spend.requests,
            brief_refused: spend.refused,
            brief_tokens: spend.tokens,
            brief_cost_nano: spend.cost.amount_nano,
            brief_own_cost_nano: spend.own_cost.amount_nano,
            equal,
        };
        let audit = serde_json::to_vec_pretty(&audit)?;
        self.file("audit.json", &audit)?;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            installation: self.app.live.load().process.brand.name.clone(),
            id: self.brief.id.clone(),
            figures_version: self.brief.figures_version,
            complete: self.brief.complete,
            created_at: rfc3339(self.app.clock.now()),
            public_key: String::new(),
            days_without_requests: Vec::new(),
            files: Vec::new(),
        };
        self.writer.finish(manifest, &self.key).map_err(io::Error::other)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writer.file(name, bytes).map_err(io::Error::other)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write(bytes).map_err(io::Error::other)
    }
}
