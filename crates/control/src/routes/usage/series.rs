//! `GET /api/usage/series`: figures per step of time, for charts.

mod table;

use std::sync::Arc;
use std::time::Duration;

use access::people::labels::{LABEL_NAME_BYTES_MAX, is_label_text};
use access::{KeyId, Refusal, Timestamp, UserId};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use ledger::{GroupName, RequestKey, SeriesFigures, SeriesFilter, SeriesGroup, SeriesStep};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input;
use crate::message::figures::{UsageFigures, ms};
use crate::message::moment::{self, rfc3339};
use crate::message::problem::Problem;
use crate::nouns::labels_view;
use crate::nouns::usage_scope::{Scope, Selection};
use crate::process::state::App;
use crate::sign_in::caller::KeyReader;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UsageSeriesQuery {
    /// The grouping: one series per model, key, route, user, plan or status. `model` has LLM requests only; `plan` is the
    /// plan that users have now; `status` is the result of requests: `succeeded`, `refused` or `failed`. `label:NAME` is one
    /// series per value of a label, such as `label:team`, in steps of a day. Without it, there is one series.
    #[param(pattern = "^(model|key|route|user|plan|status|label:[A-Za-z][A-Za-z0-9_]{0,31})$")]
    by: Option<String>,
    /// The length of a step: `minute` (at most 6 hours), `hour` (at most 7 days) or `day` (at most 366 days, in UTC).
    /// Default `day`.
    #[param(inline, value_type = Option<StepParameter>)]
    step: Option<String>,
    /// The first step contains this time (RFC 3339). Default: an hour, a day or 30 days before `until`.
    #[param(format = DateTime)]
    since: Option<String>,
    /// The last step begins before this time (RFC 3339). Default: now.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Returns only requests of the key with this id. `key` is an earlier name of the parameter, which is accepted too.
    #[serde(alias = "key")]
    key_id: Option<Uuid>,
    /// Returns only LLM requests for this model, as clients name it.
    model: Option<String>,
    /// Returns only requests with this label, as `NAME=VALUE`, in steps of a minute, or in steps of a day with `by` of `user`,
    /// `plan`, `model` or a label and without a key. Requests that were made
    /// under more than the maximum of 1,000 label sets have no label.
    #[param(max_length = 791, pattern = "^[^=,]+=[^,]+$")]
    label: Option<String>,
    /// The usage of `me` (the default), of `all` users, of `user:ID`, of the users with the plan `plan:NAME` now, or of
    /// the key `key:ID`. Only for admins, except `me`.
    scope: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
    /// Whether a table has a row for each step without requests too. Default false.
    empty: Option<bool>,
    /// The format of the response. Default `json`.
    #[param(inline, value_type = Option<FormatParameter>)]
    format: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupParameter {
    Model,
    Key,
    Route,
    User,
    Plan,
    Status,
    Label,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StepParameter {
    Minute,
    Hour,
    Day,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FormatParameter {
    #[default]
    Json,
    Csv,
}

/// Time series of usage. Each series has the same steps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSeries)]
struct UsageSeriesView {
    /// The grouping; null if there is one series of all requests.
    by: Option<String>,
    #[schema(inline)]
    step: StepParameter,
    /// The start of the first step.
    #[schema(format = DateTime)]
    since: String,
    /// The end of the last step.
    #[schema(format = DateTime)]
    until: String,
    /// Whether `since` is later than requested, because the range has more rows than one response reads, or begins
    /// before the usage that `retention.events` keeps. Steps of a minute read at most 8,000 recorded requests and 8,000
    /// counts per key, route, status class and minute. Steps of an hour, and steps of a day with a filter that daily
    /// totals do not have, read at most 8,000 totals per key, model, route and hour. Other steps of a day are never
    /// truncated.
    truncated: bool,
    /// The series of the ten groups with the most requests, including refused ones, and one of all remaining groups.
    series: Vec<GroupSeriesView>,
}

/// The figures of one group of requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSeriesGroup)]
struct GroupSeriesView {
    /// The model, the key's label, the route, the user's name, the plan, the result or the value of the label; null without `by`, for the remaining groups, and if it is unknown.
    name: Option<String>,
    /// The key of the series; null for other groupings, and if the store no longer contains it.
    key: Option<SeriesKeyView>,
    /// The user of the series; only with `by=user`.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The number of groups that the series adds up, if it is the series of the remaining groups; null for other series.
    other_groups: Option<u64>,
    /// One item per step, oldest first; steps without requests have zeros.
    points: Vec<SeriesPoint>,
}

/// The key of a series.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSeriesKey)]
struct SeriesKeyView {
    #[schema(value_type = Uuid)]
    id: KeyId,
    label: String,
    prefix: String,
    last4: String,
}

/// The figures of a step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSeriesPoint)]
struct SeriesPoint {
    /// The start of the step.
    #[schema(format = DateTime)]
    at: String,
    #[serde(flatten)]
    used: UsageFigures,
    /// The number of requests that neither were refused nor failed. Null in daily totals of keys, as are the next two.
    succeeded: Option<u64>,
    /// The number of requests that the gateway refused, because the request is invalid, its key is not accepted or a limit
    /// is exhausted.
    refused: Option<u64>,
    /// The number of failed requests: the upstream responded with an error, cut its response or could not be reached, or
    /// the gateway failed. Requests that the client aborted are not failed. The rate of failures is `errors` divided by
    /// the sum of `errors` and `succeeded`.
    errors: Option<u64>,
    latency: SeriesLatency,
}

/// Durations from a request's head to the end of the response, of recorded requests that reached an upstream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSeriesLatency)]
struct SeriesLatency {
    /// The mean duration. Null without such requests, and in daily totals of keys, which have no durations.
    mean_ms: Option<f64>,
    /// The median duration: exact (nearest rank), not estimated. Null without such requests, in steps of a day, and in
    /// steps of an hour before the newest 8,000 recorded requests of the range.
    p50_ms: Option<f64>,
    /// The 95th percentile, as exact.
    p95_ms: Option<f64>,
    /// The 99th percentile, as exact.
    p99_ms: Option<f64>,
}

impl GroupParameter {
    const ALL: [(&str, Self); 6] = [
        ("model", Self::Model),
        ("key", Self::Key),
        ("route", Self::Route),
        ("user", Self::User),
        ("plan", Self::Plan),
        ("status", Self::Status),
    ];
}

impl FormatParameter {
    const ALL: [(&str, Self); 2] = [("json", Self::Json), ("csv", Self::Csv)];
}

impl From<GroupParameter> for SeriesGroup {
    fn from(by: GroupParameter) -> Self {
        match by {
            GroupParameter::Model => Self::Model,
            GroupParameter::Key => Self::Key,
            GroupParameter::Route => Self::Route,
            GroupParameter::User => Self::User,
            GroupParameter::Plan => Self::Plan,
            GroupParameter::Status => Self::Status,
            GroupParameter::Label => Self::Label,
        }
    }
}

impl StepParameter {
    const ALL: [(&str, Self); 3] = [("minute", Self::Minute), ("hour", Self::Hour), ("day", Self::Day)];

    const fn step(self) -> SeriesStep {
        match self {
            Self::Minute => SeriesStep::Minute,
            Self::Hour => SeriesStep::Hour,
            Self::Day => SeriesStep::Day,
        }
    }

    /// The default length of the range.
    const fn range(self) -> Duration {
        match self {
            Self::Minute => Duration::from_hours(1),
            Self::Hour => Duration::from_hours(24),
            Self::Day => Duration::from_hours(30 * 24),
        }
    }

    /// The maximum number of steps.
    const fn points_max(self) -> u64 {
        match self {
            Self::Minute => 6 * 60,
            Self::Hour => 7 * 24,
            Self::Day => 366,
        }
    }
}

impl From<&SeriesFigures> for SeriesLatency {
    fn from(figures: &SeriesFigures) -> Self {
        let nth = |nth: usize| figures.quantiles_us.and_then(|quantiles| quantiles.get(nth).copied()).map(ms);
        Self { mean_ms: figures.mean_us.map(ms), p50_ms: nth(0), p95_ms: nth(1), p99_ms: nth(2) }
    }
}

impl From<RequestKey> for SeriesKeyView {
    fn from(key: RequestKey) -> Self {
        Self { id: key.id, label: key.label, prefix: key.prefix, last4: key.last4 }
    }
}

impl UsageSeriesView {
    fn new(found: ledger::UsageSeries, by: Option<String>, step: StepParameter) -> Self {
        let since = found.since;
        let until = found.until;
        let count = (until.0 - since.0) / step.step().micros();
        let series = found.series.into_iter().map(|group| {
            let mut user_id = None;
            let (name, key, other_groups) = match group.name {
                GroupName::All => (None, None, None),
                GroupName::Model(name) | GroupName::Route(name) | GroupName::Plan(name) | GroupName::Label(name) => {
                    (name, None, None)
                }
                GroupName::Key(key) => (key.as_ref().map(|key| key.label.clone()), key.map(Into::into), None),
                GroupName::User(user) => {
                    user_id = user.as_ref().map(|user| user.id);
                    (user.map(|user| user.name), None, None)
                }
                GroupName::Status(result) => (Some(result.as_str().to_owned()), None, None),
                GroupName::Rest(groups) => (None, None, Some(groups)),
            };
            let mut used = group.points.into_iter().peekable();
            let points = (0..count).map(|nth| {
                let at = Timestamp(since.0 + nth * step.step().micros());
                let figures = used.next_if(|(of, _)| *of == nth).map(|(_, figures)| figures);
                SeriesPoint::new(at, &figures.unwrap_or(found.unused))
            });
            GroupSeriesView { name, key, user_id, other_groups, points: points.collect() }
        });
        let series = series.collect();
        Self { by, step, since: rfc3339(since), until: rfc3339(until), truncated: found.truncated, series }
    }
}

impl SeriesPoint {
    /// Whether the step has no requests, also none from caches.
    fn is_empty(&self) -> bool {
        let results = [self.succeeded, self.refused, self.errors];
        self.used.requests == 0 && results.iter().all(|requests| requests.unwrap_or(0) == 0)
    }

    fn new(at: Timestamp, figures: &SeriesFigures) -> Self {
        Self {
            at: rfc3339(at),
            used: UsageFigures::from(&figures.totals),
            succeeded: figures.results.map(|results| results.succeeded),
            refused: figures.results.map(|results| results.refused),
            errors: figures.results.map(|results| results.errors),
            latency: SeriesLatency::from(figures),
        }
    }
}

/// Returns usage as time series, in total or per model, key, route, user, plan, status or value of a label.
///
/// It is the usage of a user, or for admins of any scope. Series of several users read at most 100,000 rows instead of 8,000.
///
/// With `format=csv`, the response is a table with one row per series and step.
#[utoipa::path(get, path = "/api/usage/series", tag = "usage", params(UsageSeriesQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, content(
        (UsageSeriesView = "application/json", example = json!({
            "by": "model", "step": "day", "since": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z", "truncated": false,
            "series": [{"name": "fast", "key": null, "other_groups": null, "points": [{
                "at": "2026-11-20T00:00:00Z", "requests": 12, "credits": 12,
                "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
                "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced_requests": 0, "succeeded": 10, "refused": 1, "errors": 2,
                "latency": {"mean_ms": 812.5, "p50_ms": null, "p95_ms": null, "p99_ms": null}
            }]}]
        })),
        (String = "text/csv", example = "at,name,key_id,other_groups,requests,succeeded,refused,errors,credits,input,cached_input,cache_write,output,reasoning,total,cost,currency,unpriced_requests,mean_ms,p50_ms,p95_ms,p99_ms\r\n2026-11-20T00:00:00Z,fast,,,12,10,1,2,12,900,100,0,400,50,1450,0.001234,USD,0,812.5,,,\r\n"),
    ))))]
pub(in crate::routes) async fn series(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    request: Request,
) -> Result<Response, Problem> {
    let query: UsageSeriesQuery = input::query(request.uri())?;
    let (by, label) = grouping(query.by.as_deref())?;
    let step = chosen("step", query.step.as_deref(), &StepParameter::ALL)?.unwrap_or(StepParameter::Day);
    let format = chosen("format", query.format.as_deref(), &FormatParameter::ALL)?.unwrap_or_default();
    let (since, until) = range(&query, step, app.clock.now())?;
    let selection = Selection { scope: query.scope.as_deref(), user_id: query.user_id, key_id: query.key_id };
    let scope = Scope::resolve(&app, &caller, selection).await?;
    let key = scope.key_no();
    let filter = SeriesFilter {
        by: by.map(SeriesGroup::from),
        step: step.step(),
        since,
        until,
        key,
        model: query.model.clone(),
        label,
        with_label: query.label.as_deref().map(labels_view::filter).transpose()?,
    };
    check_label(&filter)?;
    let is_whole = step == StepParameter::Day && filter.key.is_none() && filter.model.is_none();
    if filter.label.is_some() && !is_whole {
        let message = "`by=label:NAME` needs `step=day`, and neither `key_id` nor `model`";
        return Err(Problem::new(Refusal::BadRequest, message));
    }
    let found = app.ledger.usage_series(scope.of, &filter).await?;
    let series = UsageSeriesView::new(found, query.by, step);
    Ok(match format {
        FormatParameter::Json => Json(series).into_response(),
        FormatParameter::Csv => table::response(&series, query.empty.unwrap_or(false)),
    })
}

/// Checks that the figures of a label exist: totals per hour, key, route and result have none.
///
/// # Errors
/// `bad_request` for other figures.
fn check_label(filter: &SeriesFilter) -> Result<(), Problem> {
    let is_known = match (filter.step, filter.by) {
        (SeriesStep::Minute, _) => true,
        (SeriesStep::Day, Some(SeriesGroup::Key | SeriesGroup::Route | SeriesGroup::Status))
        | (SeriesStep::Hour, _) => false,
        (
            SeriesStep::Day,
            None | Some(SeriesGroup::Model | SeriesGroup::User | SeriesGroup::Plan | SeriesGroup::Label),
        ) => filter.key.is_none(),
    };
    if filter.with_label.is_none() || is_known {
        return Ok(());
    }
    let message =
        "`label` needs `step=minute`, or `step=day` without a key and with `by` of `user`, `plan`, `model` or a label";
    Err(Problem::new(Refusal::BadRequest, message))
}

/// Returns the grouping, and the name of the label for groups of its values.
///
/// # Errors
/// `bad_request` for another word.
fn grouping(text: Option<&str>) -> Result<(Option<GroupParameter>, Option<String>), Problem> {
    match text.and_then(|text| text.strip_prefix("label:")) {
        Some(name) if is_label_text(name) && (1..=LABEL_NAME_BYTES_MAX).contains(&name.len()) => {
            Ok((Some(GroupParameter::Label), Some(name.to_owned())))
        }
        Some(_) => {
            Err(Problem::new(Refusal::BadRequest, "`by=label:NAME` needs the name of a label, such as `label:team`"))
        }
        None => Ok((chosen("by", text, &GroupParameter::ALL)?, None)),
    }
}

/// Returns the value of a parameter with a closed list of words.
///
/// # Errors
/// `bad_request` for another word.
fn chosen<T: Copy>(name: &str, text: Option<&str>, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let list = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| Problem::new(Refusal::BadRequest, format!("`{name}` must be one of {}", list())))
}

/// Returns the requested range, within the bounds of the step.
///
/// # Errors
/// `bad_request` for a range that ends before it begins, or has too many steps.
fn range(query: &UsageSeriesQuery, step: StepParameter, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let refused = |message: String| Problem::new(Refusal::BadRequest, message);
    let until = moment::parse_query("until", query.until.as_deref())?.unwrap_or(now);
    let since = moment::parse_query("since", query.since.as_deref())?.unwrap_or_else(|| until.before(step.range()));
    if since > until {
        return Err(refused("`since` must not be later than `until`".to_owned()));
    }
    let length = step.step().micros();
    let points = until.0.div_ceil(length).saturating_sub(since.0 / length);
    // A range that is not aligned to steps touches one more.
    if points > step.points_max() + 1 {
        return Err(refused(
            "the range has too many steps: `minute` covers at most 6 hours, `hour` 7 days, `day` 366 days".to_owned(),
        ));
    }
    Ok((since, until))
}

#[cfg(test)]
mod tests;
