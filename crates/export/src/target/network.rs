//! The bounds of time of connections to a target.

use std::time::Duration;

/// Maximum time for one batch, from the name look-up to the confirmation.
pub(super) const BATCH_MAX: Duration = Duration::from_secs(30);
/// Maximum time to connect to one address.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(3);
