//! The topics of live messages, and their data.

use access::{Credits, Refusal};
use ledger::ResultTotals;
use serde::Serialize;
use telemetry::{BackendCondition, BackendStatus};
use utoipa::ToSchema;

use crate::day_insights::progress::IngestProgress;
use crate::message::figures::{Cost, Tokens, UsageFigures};
use crate::message::moment::{date, rfc3339};
use crate::message::problem::Problem;
use crate::process::live_readers::{LiveDay, LiveText, SharedDay};
use crate::process::state::State;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LiveTopic {
    /// Requests, credits and tokens of today.
    Usage,
    /// The cost of today.
    Spend,
    /// Requests of today by result.
    Refusals,
    /// The readiness, the ingest and the backends of this process; for admins and the role `finance`.
    Health,
}

impl LiveTopic {
    pub(crate) const ALL: [Self; 4] = [Self::Usage, Self::Spend, Self::Refusals, Self::Health];

    const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Spend => "spend",
            Self::Refusals => "refusals",
            Self::Health => "health",
        }
    }

    /// Reads `topics=usage,spend`; without it, all topics that the client may see.
    ///
    /// # Errors
    /// `bad_request` for another word, `forbidden` for `health` without the right to see all usage.
    pub(crate) fn of_query(words: Option<&str>, sees_all: bool) -> Result<Vec<Self>, Problem> {
        let Some(words) = words else {
            return Ok(Self::ALL.into_iter().filter(|topic| sees_all || *topic != Self::Health).collect());
        };
        let mut topics = Vec::new();
        for word in words.split(',') {
            let topic = Self::ALL.into_iter().find(|topic| topic.name() == word);
            let topic = topic.ok_or_else(|| {
                Problem::new(
                    Refusal::BadRequest,
                    "`topics` must be a list of `usage`, `spend`, `refusals` and `health`",
                )
            })?;
            if topic == Self::Health && !sees_all {
                let message = "the topic `health` is for admins and the role `finance`";
                return Err(Problem::new(Refusal::Forbidden, message));
            }
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        Ok(topics)
    }
}

/// A message of `GET /api/live`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiveMessage {
    /// The topic of `data`.
    pub(crate) topic: LiveTopic,
    /// The time of the figures.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// The figures of the topic.
    pub(crate) data: LiveData,
}

/// The figures of one topic.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LiveData {
    Usage(LiveUsage),
    Spend(LiveSpend),
    Refusals(LiveRefusals),
    Health(LiveHealth),
}

/// The recorded usage since midnight UTC.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveUsage {
    #[schema(format = Date)]
    date: String,
    /// The number of requests that count.
    requests: u64,
    /// The credits that the requests cost.
    #[schema(value_type = f64)]
    credits: Credits,
    tokens: Tokens,
}

/// The recorded cost since midnight UTC.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveSpend {
    #[schema(format = Date)]
    date: String,
    /// The sum of all known costs.
    cost: Cost,
    /// The number of LLM requests whose cost is not, or only partly, known.
    unpriced_requests: u64,
}

/// The recorded requests since midnight UTC by result.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveRefusals {
    #[schema(format = Date)]
    date: String,
    /// The number of requests that neither were refused nor failed.
    succeeded: u64,
    /// The number of requests that the gateway refused.
    refused: u64,
    /// The number of failed requests.
    errors: u64,
}

/// The state of this process.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveHealth {
    /// Whether this process accepts requests, as in `/readyz`.
    ready: bool,
    /// Why it does not.
    reason: Option<String>,
    /// The usage in spools, which the store does not have yet.
    spooled: u64,
    /// The largest delay of a node between the end of a request and its storage.
    lag_ms: u64,
    /// The backends that get requests; null if this process has no proxy.
    backends_available: Option<usize>,
    /// The backends that get none: unhealthy, ejected, or with an open circuit breaker.
    backends_unavailable: Option<usize>,
}

impl LiveMessage {
    /// Writes a message; the types contain no maps and no floats, so that they always have JSON.
    pub(super) fn text(self) -> Option<LiveText> {
        let data = serde_json::to_string(&self.data).ok()?;
        let message = serde_json::to_string(&self).ok()?;
        Some(LiveText { data: data.into(), message: message.into() })
    }

    /// Returns the message of a topic of usage, which is written once for all streams.
    pub(super) fn of_day(topic: LiveTopic, read: &SharedDay) -> Option<LiveText> {
        let of_usage = || LiveTopic::ALL.into_iter().filter(|topic| *topic != LiveTopic::Health);
        let texts = read.texts.get_or_init(|| {
            let at = rfc3339(read.at);
            let message =
                |topic| LiveData::of_day(topic, &read.day).map(|data| Self { topic, at: at.clone(), data }.text());
            of_usage().filter_map(message).flatten().collect()
        });
        of_usage().zip(texts).find(|(of, _)| *of == topic).map(|(_, text)| text.clone())
    }
}

impl LiveData {
    /// Returns the figures of one of the topics of usage.
    fn of_day(topic: LiveTopic, read: &LiveDay) -> Option<Self> {
        let date = date(read.day);
        let used = UsageFigures::from(&read.totals);
        match topic {
            LiveTopic::Usage => Some(Self::Usage(LiveUsage {
                date,
                requests: used.requests,
                credits: used.credits,
                tokens: used.tokens,
            })),
            LiveTopic::Spend => {
                Some(Self::Spend(LiveSpend { date, cost: used.cost, unpriced_requests: used.unpriced_requests }))
            }
            LiveTopic::Refusals => {
                let ResultTotals { succeeded, refused, errors } = read.results;
                Some(Self::Refusals(LiveRefusals { date, succeeded, refused, errors }))
            }
            LiveTopic::Health => None,
        }
    }

    /// Returns the state of this process.
    pub(super) fn health(state: &State, progress: &IngestProgress) -> Self {
        let reason = state.live_state.ready().err().map(|reason| reason.to_string());
        let backends = state.board.backends();
        let has_requests = |backend: &&BackendStatus| {
            matches!(backend.condition, BackendCondition::Available | BackendCondition::HalfOpen)
        };
        let counts = backends.as_ref().map(|all| (all.iter().filter(has_requests).count(), all.len()));
        Self::Health(LiveHealth {
            ready: reason.is_none(),
            reason,
            spooled: progress.spooled(),
            lag_ms: u64::try_from(progress.lag().as_millis()).unwrap_or(u64::MAX),
            backends_available: counts.map(|(available, _)| available),
            backends_unavailable: counts.map(|(available, all)| all - available),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_the_query_once_each_and_health_is_not_for_everybody() {
        let read = |words, sees_all| LiveTopic::of_query(words, sees_all).ok();
        assert_eq!(read(None, true).unwrap(), LiveTopic::ALL);
        assert_eq!(read(None, false).unwrap(), LiveTopic::ALL[..3]);
        assert_eq!(read(Some("spend,usage,spend"), false).unwrap(), [LiveTopic::Spend, LiveTopic::Usage]);
        assert_eq!(read(Some("health"), true).unwrap(), [LiveTopic::Health]);
        for (words, sees_all) in [("health", false), ("", true), ("usage,", true), ("all", true), ("Usage", true)] {
            assert!(read(Some(words), sees_all).is_none(), "{words}");
        }
    }
}
