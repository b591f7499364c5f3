//! Listeners and backends at sockets of the Unix domain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Gateway, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Maximum time until a process that drains has ended.
const DRAINED_WITHIN: Duration = Duration::from_secs(30);

/// Responds to each request with its `Host` and `X-Forwarded-For`.
async fn backend(listener: UnixListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let field =
                |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
            let body = format!("{} {}", field("host: "), field("x-forwarded-for: "));
            let length = body.len();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await
        });
    }
}

/// Returns the whole response to a request at a socket.
async fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

async fn is_served(proxy: &Path) {
    let response = get(proxy, "/who").await;
    let is_complete = response.starts_with("HTTP/1.1 200") && response.ends_with("\r\n\r\na.example 127.0.0.1");
    assert!(is_complete, "{response}");
}

#[tokio::test]
async fn requests_pass_between_unix_sockets_after_an_upgrade_and_after_a_crash() {
    let folder = Folder::on_sqlite();
    let [proxy, app] = ["proxy.sock", "app.sock"].map(|name| folder.path().join(name));
    let mut backends = JoinSet::new();
    backends.spawn(backend(UnixListener::bind(&app).unwrap()));
    let listeners = format!("['127.0.0.1:0', {{address: 'unix:{}', socket_mode: '0600'}}]", proxy.display());
    let upstream = format!(
        "[{{name: app, health_check: {{tcp: true, interval: 1s}}, backends: [{{url: 'unix:{}'}}]}}]",
        app.display()
    );
    let setup = || {
        Setup::mocked()
            .section("listen", &listeners)
            .section("upstreams", &upstream)
            .section("routes", "[{path: /who, upstreams: app, auth: none}]")
            .section("drain", "{delay: 0s, timeout: 20s}")
    };
    let mut gateway = Gateway::start_in(folder, setup()).await;
    is_served(&proxy).await;
    let file = fs::metadata(&proxy).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let before = gateway.upgrade(&[]).await.unwrap();
    // The successor has the open socket: requests are served while its predecessor drains, and afterwards.
    is_served(&proxy).await;
    before.ends_within(DRAINED_WITHIN).await;
    is_served(&proxy).await;
    let crashed = gateway.crash();
    assert!(UnixStream::connect(&proxy).await.is_err(), "the file of the killed process remains");
    let _gateway = Gateway::start_in(crashed.folder, setup()).await;
    is_served(&proxy).await;
    fs::remove_file(&app).unwrap();
    let response = get(&proxy, "/who").await;
    assert!(response.starts_with("HTTP/1.1 502") && response.contains("upstream_connect"), "{response}");
}
