//! The requests of a day by class.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::figures::money::NanoMoney;
use crate::figures::ratio::Ratio;
use crate::scope::DayScope;

/// What a request was made for, as rules over its metadata decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A coding agent or another agent with a session.
    AgentSession,
    /// Repeated calls with tools in one session.
    ToolLoop,
    /// A conversation with a model.
    Chat,
    /// A single completion of a text.
    Completion,
    /// The embedding of texts.
    Embedding,
    /// By default, a chat or completion outside of sessions, without a stream and without called tools, of a key with many LLM
    /// requests on the day. Requests of the key in sessions or of other formats count too; refused ones do not.
    Batch,
    /// A request to an ordinary API.
    PlainApi,
    /// A probe of a monitor or a load balancer.
    HealthProbe,
    /// A request that no rule describes.
    Other,
}

impl Class {
    /// All classes, in the order of ties.
    pub const ALL: [Self; 9] = [
        Self::AgentSession,
        Self::ToolLoop,
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Batch,
        Self::PlainApi,
        Self::HealthProbe,
        Self::Other,
    ];

    /// The word of the class in JSON and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentSession => "agent_session",
            Self::ToolLoop => "tool_loop",
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Batch => "batch",
            Self::PlainApi => "plain_api",
            Self::HealthProbe => "health_probe",
            Self::Other => "other",
        }
    }
}

/// The requests of a day by class, with their cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// The id of the day's brief.
    pub id: String,
    /// The day in UTC.
    #[schema(format = Date)]
    pub date: String,
    /// The users whose usage the figures contain.
    pub scope: DayScope,
    /// The time of these figures.
    #[schema(format = DateTime)]
    pub as_of: String,
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// The version of the day's figures; it grows with each stored batch or repair that changes an earlier day.
    pub figures_version: u64,
    /// The version of the settings with the configured rules.
    pub rules_version: u64,
    /// The version of the built-in rules; it grows with each release that changes them. Example files may lack it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub built_in_rules_version: Option<u64>,
    /// The number of requests of the day, without refused ones.
    pub requests: u64,
    /// The number of refused requests. Example files may omit it.
    #[serde(default)]
    #[schema(required = true)]
    pub refused: u64,
    /// The number of tokens of the day.
    pub tokens: u64,
    /// The sum of all known costs, without calls with users' own credentials.
    pub cost: NanoMoney,
    /// The sum of all known costs of calls with users' own credentials, which the operator does not pay. Example files may omit
    /// it.
    #[serde(default)]
    #[schema(required = true)]
    pub own_cost: NanoMoney,
    /// The number of LLM requests whose cost is unknown or partly unknown.
    pub unpriced_requests: u64,
    /// The classes with requests, those with the largest cost first.
    pub classes: Vec<ClassShare>,
}

/// The requests of one class that one rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassShare {
    /// The class of the requests.
    pub class: Class,
    /// The number of requests, without refused ones. A class of refused requests alone has their cost.
    pub requests: u64,
    /// The part of the day's requests, from 0 to 1.
    #[schema(value_type = f64)]
    pub share: Ratio,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs, without calls with users' own credentials.
    pub cost: NanoMoney,
    /// The confidence of the deciding rule, from 0 to 1.
    #[schema(value_type = f64)]
    pub confidence: Ratio,
    /// The name of the rule that decided most of these requests.
    pub rule: String,
    /// Up to three of the requests; requests that are only counted have no id.
    pub request_ids: Vec<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_classes_are_those_of_json() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}
