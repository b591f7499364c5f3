//! A connection to one Redis server or to a Redis Cluster. The client library follows the redirections of a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisFuture, RedisResult, Value};

/// Maximum number of times that the library sends a command again, after a redirection or a failure.
const RETRIES: u32 = 2;

/// A connection. Clones use the same one.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects to the server, and to all nodes of its cluster if it is in one.
    pub(super) async fn open(client: &Client, within: Duration) -> RedisResult<Self> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(Some(within));
        let mut server = client.get_multiplexed_async_connection_with_config(&config).await?;
        // Without the permission to call INFO, the server is used alone.
        let info = redis::cmd("INFO").arg("cluster").query_async::<String>(&mut server).await.unwrap_or_default();
        if !info.contains("cluster_enabled:1") {
            return Ok(Self::Server(server));
        }
        let cluster = ClusterClientBuilder::new([client.get_connection_info().clone()]);
        let cluster = cluster.retries(RETRIES).connection_timeout(within).response_timeout(within).build()?;
        Ok(Self::Cluster(cluster.get_async_connection().await?))
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
