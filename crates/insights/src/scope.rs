//! The users whose usage a brief contains, and the ids of briefs.

use access::Day;
use access::people::labels::{is_label_name, is_label_value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::figures::day;

/// The users whose usage the figures contain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DayScope {
    /// All usage of the installation.
    All {},
    /// The usage of one user.
    User {
        /// The public id of the user.
        user_id: Uuid,
    },
    /// The usage with one label.
    Label {
        /// The label as `NAME=VALUE`.
        label: String,
    },
}

/// The id of a brief as the path contains it: a day, and the scope if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefId {
    /// The day; `None` for `today`.
    pub day: Option<Day>,
    /// The scope; `None` for the widest that the caller may see.
    pub scope: Option<DayScope>,
}

impl BriefId {
    /// Parses `2026-11-21`, `today`, `2026-11-21~user=ID` or `2026-11-21~NAME=VALUE`. Returns `None` for other texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, scope) = match text.split_once('~') {
            Some((date, scope)) => (date, Some(DayScope::of_id(scope)?)),
            None => (text, None),
        };
        let day = if date == "today" { None } else { Some(day::parse(date)?) };
        Some(Self { day, scope })
    }
}

impl DayScope {
    /// Parses the part of an id after `~`: `user=ID` or `NAME=VALUE`.
    fn of_id(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        if name == "user" {
            return Uuid::parse_str(value).ok().map(|user_id| Self::User { user_id });
        }
        let is_label = is_label_name(name) && is_label_value(value);
        is_label.then(|| Self::Label { label: text.to_owned() })
    }

    /// Parses the query parameter `scope`: `all`, `user:ID` or `label:NAME=VALUE`. Returns `None` for other texts.
    #[must_use]
    pub fn of_query(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "all").then_some(Self::All {}),
            Some(("user", id)) => Uuid::parse_str(id).ok().map(|user_id| Self::User { user_id }),
            Some(("label", label)) => Self::of_id(label).filter(|scope| matches!(scope, Self::Label { .. })),
            Some(_) => None,
        }
    }

    /// Returns the id of the brief of a day with this scope, which [`BriefId::parse`] reads.
    #[must_use]
    pub fn brief_id(&self, of: Day) -> String {
        let date = day::date(of);
        match self {
            Self::All {} => date,
            Self::User { user_id } => format!("{date}~user={user_id}"),
            Self::Label { label } => format!("{date}~{label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        let user = Uuid::from_u128(7);
        let day = Day(20_778);
        for scope in
            [DayScope::All {}, DayScope::User { user_id: user }, DayScope::Label { label: "team=payments".into() }]
        {
            let id = BriefId::parse(&scope.brief_id(day)).unwrap();
            assert_eq!(id.day, Some(day));
            assert_eq!(id.scope.unwrap_or(DayScope::All {}), scope);
        }
        assert_eq!(BriefId::parse("today"), Some(BriefId { day: None, scope: None }));
        for text in [
            "",
            "test-001",
            "2026-11-21~",
            "2026-11-21~team",
            "2026-11-21~user=me",
            "2026-11-21~Team=a",
            "2026-11-21~team=a\nb",
            "today~team=",
        ] {
            assert_eq!(BriefId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_scope_of_a_query_is_all_a_user_or_a_label() {
        let label = DayScope::Label { label: "team=payments".into() };
        assert_eq!(DayScope::of_query("label:team=payments"), Some(label));
        assert_eq!(DayScope::of_query("all"), Some(DayScope::All {}));
        for text in
            ["", "me", "label:", "label:team", "label:user=00000000-0000-0000-0000-000000000007", "user:x", "plan:pro"]
        {
            assert_eq!(DayScope::of_query(text), None, "{text:?}");
        }
    }
}
