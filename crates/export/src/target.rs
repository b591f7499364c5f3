//! The targets of the export.

pub mod clickhouse;
pub mod file;
pub mod nats;

use std::time::Duration;

use access::Timestamp;

use crate::error::EventExportError;
use crate::row::EncodedRow;

/// Maximum time for one batch, from the name look-up to the confirmation.
const BATCH_MAX: Duration = Duration::from_secs(30);
/// Maximum time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The name of the server in errors.
const SERVER: &str = "the target of the export";

/// The target of all rows.
#[derive(Debug)]
pub enum EventTarget {
    /// Files of JSON lines.
    Files(file::EventFiles),
    /// A table of ClickHouse.
    ClickHouse(clickhouse::ClickHouseTable),
    /// A stream of NATS JetStream.
    Nats(nats::NatsStream),
}

impl EventTarget {
    /// Hands rows to the target. It has them durably after `Ok`; after an error, it may have some of them. The future may be
    /// dropped.
    pub(crate) async fn send(&self, rows: Vec<EncodedRow>, now: Timestamp) -> Result<(), EventExportError> {
        match self {
            Self::Files(files) => files.append(rows, now).await,
            Self::ClickHouse(table) => table.insert(&rows).await,
            Self::Nats(stream) => stream.publish(&rows).await,
        }
    }
}
