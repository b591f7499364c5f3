//! Why rows were not exported. The texts contain no credential and no row.

use std::io;

use spool::SpoolError;
use thiserror::Error;
use tls::OutboundError;

/// Why a target did not accept rows. Each is repeated: rows are skipped only if too many wait.
#[derive(Debug, Error)]
pub enum EventExportError {
    /// The segments cannot be read, or the position cannot be stored.
    #[error("the export cannot read the spool or store its position")]
    Spool(#[from] SpoolError),
    /// The ids of keys and users cannot be read from the store.
    #[error("the export cannot read the ids of keys and users from the store")]
    Ids(#[source] jobs::JobError),
    /// A file cannot be written.
    #[error("the export cannot {action} {}", path.display())]
    File {
        /// The operation that failed.
        action: &'static str,
        /// The file or the folder.
        path: std::path::PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is no connection to the target.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The connection to the target ended.
    #[error("the target of the export cannot be reached")]
    Disconnected(#[source] io::Error),
    /// The target sent no complete HTTP/1.1 response.
    #[error("the target of the export sent no complete response")]
    Http(#[source] hyper::Error),
    /// The response is longer than a response to an insert.
    #[error("the target of the export sent a response that is too long")]
    LongResponse,
    /// A configured value is not valid in a request.
    #[error("the request to the target of the export is invalid")]
    Request(#[source] http::Error),
    /// The target did not respond in time.
    #[error("the target of the export did not respond in time")]
    TimedOut,
    /// ClickHouse did not insert the rows.
    #[error("ClickHouse did not insert the rows: status {status}, error code {code}")]
    NotInserted {
        /// The status of the response.
        status: u16,
        /// The code of ClickHouse's error; 0 without one.
        code: u32,
    },
    /// The server does not speak the protocol of NATS.
    #[error("the server sent a message that is not valid in the protocol of NATS")]
    NotNats,
    /// The server of NATS refused the connection or a message.
    #[error("NATS refused the connection or a message: {reason}")]
    NatsRefused {
        /// The first words of the server's message.
        reason: String,
    },
    /// No stream stores the subject.
    #[error("no stream of JetStream has the subject of the export: create it")]
    NoStream,
}
