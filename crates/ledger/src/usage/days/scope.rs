//! The requests whose figures of a day are requested: those of users, or those with a label.

use access::LabelId;
use store::sql::Query;

use crate::usage::scope::UsageOf;

/// The requests of a day that a query adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayUsageOf {
    /// The requests of one or several users.
    Users(UsageOf),
    /// The requests that were made under a label.
    Label(LabelId),
}

impl From<UsageOf> for DayUsageOf {
    fn from(of: UsageOf) -> Self {
        Self::Users(of)
    }
}

impl DayUsageOf {
    /// Returns the condition for events, counts and totals of labels that belong to the scope. The scope is `$1`.
    pub(super) const fn condition(self) -> &'static str {
        match self {
            Self::Users(of) => of.condition(),
            Self::Label(_) => "label_set_no IN (SELECT label_set_no FROM label_members WHERE label_id = $1)",
        }
    }

    /// Binds `$1` of [`condition`](Self::condition).
    pub(super) fn bind(self, query: Query<'_>) -> Query<'_> {
        match self {
            Self::Users(of) => of.bind(query),
            Self::Label(label) => query.bind(label.0),
        }
    }

    /// Whether the requests of several users are read, for which the events have no index but that of their ids.
    pub(super) const fn is_wide(self) -> bool {
        match self {
            Self::Users(of) => of.is_wide(),
            Self::Label(_) => true,
        }
    }

    /// Returns the table of the totals of days.
    pub(super) const fn totals(self) -> &'static str {
        match self {
            Self::Users(_) => "daily_routes",
            Self::Label(_) => "daily_labels",
        }
    }

    /// Returns the table of the totals of models, and the condition for rows of LLM requests.
    pub(super) const fn models(self) -> [&'static str; 2] {
        match self {
            Self::Users(_) => ["daily_models", ""],
            Self::Label(_) => ["daily_labels", " AND model_no >= 0"],
        }
    }

    /// One scope of each kind, to build all SQL texts.
    #[cfg(test)]
    pub(super) fn kinds() -> [Self; 4] {
        let [all, plan, user] = UsageOf::KINDS.map(Self::Users);
        [all, plan, user, Self::Label(LabelId(uuid::Uuid::nil()))]
    }
}
