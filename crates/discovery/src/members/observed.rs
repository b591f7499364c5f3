//! What the task of a source has read last, which the job takes over.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use access::credentials::issuer::is_link_local;
use access::{Clock, Timestamp};

use super::source::{FOUND_MAX, FoundMember};
use crate::source_error::SourceError;

/// The last result of a source, which its task writes.
#[derive(Debug)]
pub(super) struct ObservedSource {
    result: Mutex<SourceResult>,
    clock: Clock,
    allow_link_local: bool,
}

/// The last list of a source, and its last failure.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceResult {
    /// The last list, sorted; `None` before the first.
    pub(super) members: Option<Arc<[FoundMember]>>,
    /// When the source last responded.
    pub(super) responded_at: Option<Timestamp>,
    /// The reason why the source fails now.
    pub(super) error: Option<Arc<str>>,
    /// A remark on members that are left out.
    pub(super) left_out: Option<Arc<str>>,
    /// The failures since the start of the task.
    pub(super) failures: u64,
}

impl ObservedSource {
    pub(super) fn new(clock: Clock, allow_link_local: bool) -> Self {
        Self { result: Mutex::default(), clock, allow_link_local }
    }

    /// Takes over a whole list. Members beyond the maximum, and those at addresses that are not allowed, are left out; `remark`
    /// says which ones the source has left out.
    pub(super) fn found(&self, mut members: Vec<FoundMember>, remark: Option<String>) {
        let all = members.len();
        members.retain(|member| self.allow_link_local || !member.host.parse::<IpAddr>().is_ok_and(is_link_local));
        let forbidden = all - members.len();
        members.sort_unstable();
        members.dedup_by(|one, other| one.host == other.host && one.port == other.port && one.url == other.url);
        let surplus = members.len().saturating_sub(FOUND_MAX);
        members.truncate(FOUND_MAX);
        let left_out = match (forbidden, surplus) {
            (0, 0) => remark,
            (0, surplus) => Some(format!("{surplus} members beyond the maximum of {FOUND_MAX} are left out")),
            (forbidden, _) => Some(format!(
                "{forbidden} members have link-local or metadata addresses, which only `allow_link_local: true` permits"
            )),
        };
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        if result.members.as_deref() != Some(&members) {
            result.members = Some(members.into());
        }
        result.responded_at = Some(self.clock.now());
        result.error = None;
        result.left_out = left_out.map(Into::into);
    }

    /// Records a failure; the last list remains.
    pub(super) fn failed(&self, error: &SourceError) {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.failures += 1;
        result.error = Some(error.to_string().into());
    }

    pub(super) fn result(&self) -> SourceResult {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
