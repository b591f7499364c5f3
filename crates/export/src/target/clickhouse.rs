//! A table of ClickHouse, over its HTTP interface: one `INSERT` for each batch.
//!
//! A repeated batch has the same token, which ClickHouse recognizes (`insert_deduplication_token`). After a restart, batches may
//! begin elsewhere, so the table should have a unique order by `id`.

use std::sync::Arc;

use access::Secret;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use sha2::{Digest as _, Sha256};
use tls::outbound::{connect, encrypt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{BATCH_MAX, CONNECT_MAX, SERVER};
use crate::error::EventExportError;
use crate::row::EncodedRow;

/// Maximum size of a response.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;
const EXCEPTION: &str = "x-clickhouse-exception-code";
const USER: &str = "x-clickhouse-user";
const KEY: &str = "x-clickhouse-key";

/// A table and the server that has it.
#[derive(Debug, Clone)]
pub struct ClickHouseTable {
    /// Whether the connection has TLS.
    pub is_https: bool,
    /// The host name, or an address without brackets.
    pub host: String,
    /// The port of the HTTP interface.
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// The path before the query.
    pub path: String,
    /// The database of the table.
    pub database: String,
    /// The name of the table.
    pub table: String,
    /// The user with the right to insert.
    pub user: String,
    /// The password of the user.
    pub password: Option<Secret>,
    /// Verifies the certificate of the server.
    pub tls: Arc<ClientConfig>,
}

impl ClickHouseTable {
    pub(crate) async fn insert(&self, rows: &[EncodedRow]) -> Result<(), EventExportError> {
        let text: String = rows.iter().flat_map(|row| [&*row.json, "\n"]).collect();
        timeout(BATCH_MAX, self.insert_slowly(text.into())).await.unwrap_or(Err(EventExportError::TimedOut))
    }

    async fn insert_slowly(&self, body: Bytes) -> Result<(), EventExportError> {
        let stream = connect(SERVER, &self.host, self.port, CONNECT_MAX).await?;
        if !self.is_https {
            return self.exchange(TokioIo::new(stream), body).await;
        }
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = encrypt(SERVER, stream, &self.host, &Arc::new(tls)).await?;
        self.exchange(TokioIo::new(stream), body).await
    }

    /// Returns the path and the query of an insert.
    fn target(&self, body: &[u8]) -> String {
        let Self { path, database, table, .. } = self;
        let query = format!("INSERT INTO {database}.{table} FORMAT JSONEachRow");
        let query = utf8_percent_encode(&query, NON_ALPHANUMERIC);
        let token: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{path}/?query={query}&insert_deduplication_token={token}&insert_deduplicate=1&async_insert=0\
             &wait_end_of_query=1&date_time_input_format=best_effort&input_format_skip_unknown_fields=1\
             &input_format_null_as_default=1"
        )
    }

    async fn exchange<T: Read + Write + Unpin + Send + 'static>(
        &self,
        io: T,
        body: Bytes,
    ) -> Result<(), EventExportError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(RESPONSE_BYTES_MAX)
            .handshake(io)
            .await
            .map_err(EventExportError::Http)?;
        // Dropping the set ends the connection.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = Request::post(self.target(&body))
            .header(header::HOST, &*self.authority)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header(header::USER_AGENT, "tollgate")
            .header(header::CONNECTION, "close")
            .header(USER, &*self.user);
        if let Some(password) = &self.password {
            request = request.header(KEY, password.expose());
        }
        let request = request.body(Full::new(body)).map_err(EventExportError::Request)?;
        let response = sender.send_request(request).await.map_err(EventExportError::Http)?;
        let status = response.status();
        // An exception after the head has a special header, and the status of success.
        let code = response.headers().get(EXCEPTION).and_then(|code| code.to_str().ok()?.parse().ok());
        if !status.is_success() || code.is_some() {
            return Err(EventExportError::NotInserted { status: status.as_u16(), code: code.unwrap_or(0) });
        }
        // A response that ends early says nothing about the insert. Its text may contain rows, so it is not logged.
        match Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await {
            Ok(_) => Ok(()),
            Err(error) if error.is::<LengthLimitError>() => Err(EventExportError::LongResponse),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(EventExportError::Http(*error)),
                Err(error) => Err(EventExportError::Disconnected(std::io::Error::other(error))),
            },
        }
    }
}
