//! The progress of usage from the nodes into the store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The progress of today's usage into the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestStatus {
    /// The time of these figures.
    #[schema(format = DateTime)]
    pub as_of: String,
    /// The day of these figures, in UTC.
    #[schema(format = Date)]
    pub date: String,
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// All usage before this time is stored; null if no node has reported yet.
    #[schema(format = DateTime)]
    pub complete_until: Option<String>,
    /// `stored` plus `spooled`: the requests that nodes received, as far as a record in a spool is one request of the day.
    pub received: u64,
    /// The number of requests of the day in the store, of those that the caller may see.
    pub stored: u64,
    /// The number of records in the spools of all nodes.
    pub spooled: u64,
    /// The number of these requests that Tollgate refused.
    pub refused: u64,
    /// The largest delay of a node between the end of a request and its storage, in milliseconds.
    pub lag_ms: u64,
    /// The time of the oldest usage that is not stored; null if all is stored.
    #[schema(format = DateTime)]
    pub oldest_unsent_at: Option<String>,
    /// The state of each node; only for admins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nodes: Option<Vec<NodeIngest>>,
}

/// The progress of one node's usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeIngest {
    /// The id of the node.
    pub id: Uuid,
    /// The version of its binary.
    pub version: String,
    /// `live`, or `dead` if the node no longer reports.
    pub state: String,
    /// The time of its last report.
    #[schema(format = DateTime)]
    pub seen_at: String,
    /// All usage of the node before this time is stored; null before its first report.
    #[schema(format = DateTime)]
    pub ingested_until: Option<String>,
    /// The number of records in its spool.
    pub spooled: u64,
    /// The time of its oldest usage that is not stored; null if all is stored.
    #[schema(format = DateTime)]
    pub oldest_unsent_at: Option<String>,
}
