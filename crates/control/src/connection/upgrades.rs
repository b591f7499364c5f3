//! The change of a connection's protocol: a handler leaves what follows, and the task of the connection runs it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::checked_stream::HeadReport;
use crate::connection::connections::Serving;

/// What happens on a connection after its protocol has changed.
pub(crate) type UpgradedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The place of one connection for what follows the change of its protocol. Each request has it as an extension.
#[derive(Clone)]
pub(crate) struct UpgradeSlot(Arc<SlotState>);

struct SlotState {
    report: HeadReport,
    task: Mutex<(Option<UpgradedTask>, Option<Serving>)>,
}

impl fmt::Debug for UpgradeSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpgradeSlot")
    }
}

impl UpgradeSlot {
    /// Creates the place of a connection whose heads are reported to `report`.
    pub(crate) fn new(report: HeadReport) -> Self {
        Self(Arc::new(SlotState { report, task: Mutex::default() }))
    }

    /// Leaves what follows the response, which must have the status 101. Later bytes of the client are not those of requests.
    pub(crate) fn set(&self, task: UpgradedTask) {
        self.0.report.upgrade();
        self.0.task.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(task);
    }

    /// Marks the connection as busy until the task has ended.
    pub(crate) fn keep(&self, serving: Serving) {
        self.0.task.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(serving);
    }

    /// Takes what follows, if the protocol has changed.
    pub(crate) fn take(&self) -> Option<(UpgradedTask, Option<Serving>)> {
        let mut slot = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        Some((slot.0.take()?, slot.1.take()))
    }
}
