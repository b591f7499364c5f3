//! Time series as CSV.

use access::amounts::usd::decimal;
use axum::response::Response;

use super::{GroupSeriesView, SeriesPoint, UsageSeriesView};
use crate::message::csv::{Table, figure, quoted_or_empty};
use crate::message::figures::CURRENCY;

const HEAD: &str = "at,name,key_id,other_groups,requests,succeeded,refused,errors,credits,input,cached_input,cache_write,output,reasoning,total,cost,currency,unpriced_requests,mean_ms,p50_ms,p95_ms,p99_ms";

/// Returns the table as a file: one row per series and step with requests; `with_empty` adds the other steps.
pub(super) fn response(series: &UsageSeriesView, with_empty: bool) -> Response {
    table(series, with_empty).response("usage.csv", None)
}

pub(super) fn table(series: &UsageSeriesView, with_empty: bool) -> Table {
    let mut table = Table::new(HEAD);
    for group in &series.series {
        for point in group.points.iter().filter(|point| with_empty || !point.is_empty()) {
            table.push(&row(group, point));
        }
    }
    table
}

fn row(group: &GroupSeriesView, point: &SeriesPoint) -> Vec<String> {
    let used = &point.used;
    let latency = &point.latency;
    let mut cells = vec![
        point.at.clone(),
        quoted_or_empty(group.name.as_deref()),
        figure(group.key.as_ref().map(|key| key.id)),
        figure(group.other_groups),
        used.requests.to_string(),
        figure(point.succeeded),
        figure(point.refused),
        figure(point.errors),
        used.credits.to_string(),
    ];
    cells.extend(used.tokens.classes().map(|tokens| tokens.to_string()));
    cells.extend([decimal(used.cost.nano_usd()), CURRENCY.to_owned(), used.unpriced_requests.to_string()]);
    cells.extend([latency.mean_ms, latency.p50_ms, latency.p95_ms, latency.p99_ms].map(figure));
    cells
}
