//! The state of a source of members, as the admin API shows it.

use access::Timestamp;
use config::snapshot::{SourceStatus, Upstream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::moment::rfc3339;

/// A source of the members of an upstream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberSourceState)]
pub(crate) struct SourceView {
    /// The name of the upstream.
    upstream: String,
    /// The kind and the name of the source.
    source: String,
    /// The members in use; null before the first list.
    members: Option<usize>,
    /// When the source last responded; null if it has not since the start.
    responded_at: Option<String>,
    /// The age of that response in seconds.
    age_s: Option<u64>,
    /// The reason why the source fails, or why members are left out; null otherwise.
    error: Option<String>,
}

impl SourceView {
    /// Returns the sources of an upstream at `now`.
    pub(crate) fn list(upstream: &Upstream, now: Timestamp) -> Vec<Self> {
        let Some(discovery) = &upstream.discovery else { return Vec::new() };
        let view = |status: &SourceStatus| Self {
            upstream: upstream.name.to_string(),
            source: status.name.to_string(),
            members: status.members,
            responded_at: status.responded_at.map(rfc3339),
            age_s: status.responded_at.map(|at| now.unix_seconds().saturating_sub(at.unix_seconds())),
            error: status.error.as_deref().map(str::to_owned),
        };
        discovery.list().sources.iter().map(view).collect()
    }

    /// Returns the state in one line.
    pub(crate) fn line(&self) -> String {
        let members = self.members.map_or_else(|| "no list yet".to_owned(), |count| format!("{count} members"));
        let age = self.age_s.map(|age| format!(", {age} s ago")).unwrap_or_default();
        let error = self.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
        format!("{}: {members}{age}{error}", self.source)
    }
}
