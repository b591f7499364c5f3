//! The conditions of a list of requests.

use access::{KeyNo, LabelId, Timestamp};
use meter::RequestResult;

/// The condition for rows whose route, key or subject has a name that contains a text, with any case of ASCII letters.
/// `$TEXT` is the pattern. The database folds the case of both sides, because SQLite folds only ASCII letters.
pub(super) const TEXT: &str =
    "route_no IN (SELECT no FROM names WHERE kind = 'route' AND lower(name) LIKE lower($TEXT) ESCAPE '!')
    OR key_no IN (SELECT no FROM api_keys
        WHERE lower(label) LIKE lower($TEXT) ESCAPE '!' OR lower(last4) LIKE lower($TEXT) ESCAPE '!')
    OR user_no IN (SELECT no FROM users WHERE lower(name) LIKE lower($TEXT) ESCAPE '!')
    OR subject_no IN (SELECT no FROM subjects WHERE lower(name) LIKE lower($TEXT) ESCAPE '!')";
/// The further conditions for rows of events.
pub(super) const TEXT_OF_EVENTS: &str =
    " OR model_no IN (SELECT no FROM names WHERE kind = 'model' AND lower(name) LIKE lower($TEXT) ESCAPE '!')
    OR provider_no IN (SELECT no FROM names WHERE kind = 'provider' AND lower(name) LIKE lower($TEXT) ESCAPE '!')
    OR refusal LIKE lower($TEXT) ESCAPE '!'";

/// The condition of the indexes for requests that were refused or have failed. It has the words of the index.
const UNSUCCESSFUL: &str = " AND (status >= 400 OR refusal IS NOT NULL OR outcome <> 'completed')";

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A request to an LLM endpoint.
    Llm,
    /// A request of an ordinary route.
    Route,
}

/// The conditions that select the requests of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Returns only requests with this key.
    pub key: Option<KeyNo>,
    /// Only requests for this model, as the client named it.
    pub model: Option<String>,
    /// Only requests with this label.
    pub label: Option<LabelId>,
    /// Only responses with a status in this range, both ends included.
    pub status: Option<(u16, u16)>,
    /// Only requests with this result.
    pub result: Option<RequestResult>,
    /// Only requests that began at or after this time.
    pub since: Option<Timestamp>,
    /// Only requests that began before this time.
    pub until: Option<Timestamp>,
    /// Only requests of this kind.
    pub kind: Option<RequestKind>,
    /// Only requests of one of these routes, or LLM endpoints.
    pub routes: Option<Vec<String>>,
    /// Only requests of which a name (route, model, provider, user, key, subject) or the error code contains this text.
    pub text: Option<String>,
}

impl RequestFilter {
    /// Whether a scan may meet rows that do not match the filter.
    pub(super) const fn chooses(&self) -> bool {
        let chooses = self.key.is_some() || self.model.is_some() || self.status.is_some() || self.result.is_some();
        chooses || self.label.is_some() || self.kind.is_some() || self.routes.is_some() || self.text.is_some()
    }

    /// The condition that an index serves, if each event that the filter selects has it.
    pub(super) fn indexed(&self) -> &'static str {
        let is_result = matches!(self.result, Some(RequestResult::Refused | RequestResult::Failed));
        if is_result || self.status.is_some_and(|(low, _)| low >= 400) { UNSUCCESSFUL } else { "" }
    }

    /// Whether lines of counts may match the filter.
    pub(super) const fn has_counts(&self) -> bool {
        !matches!(self.kind, Some(RequestKind::Llm)) && self.model.is_none()
    }

    /// The pattern of the text, for `LIKE`.
    pub(super) fn pattern(&self) -> Option<String> {
        let escaped =
            |letter: char| if matches!(letter, '%' | '_' | '!') { format!("!{letter}") } else { letter.into() };
        let text = self.text.as_ref()?;
        Some(format!("%{}%", text.chars().map(escaped).collect::<String>()))
    }
}
