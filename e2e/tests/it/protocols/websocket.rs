//! WebSockets of the clients ws (Node) and websockets (Python), to a server of the latter: large messages, a reload and a shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::python::python;
use e2e::{Gateway, Setup, eventually, is_long, sdk};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// More than any buffer on the way, and the largest message of the tests.
const LARGE: usize = 64 << 20;
const ROUTE: &str = "{path: /socket, upstreams: backend, upgrades: [websocket]}";

/// A script whose output is read line by line; dropped, it ends.
struct Script {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin: child.stdin.take().unwrap(), lines, _child: child }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("the script prints a line")
    }

    /// Writes a line to the input of the script.
    async fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Lets the client send a message of this length, which must come back unchanged.
    async fn echoes(&mut self, length: usize) {
        self.tell(&length.to_string()).await;
        assert_eq!(self.line().await, "same", "{length}");
    }
}

async fn check(mut client: Command) {
    let mut server = Script::start(python("current", "serve_websocket.py"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.line().await.parse().unwrap()));
    let setup = Setup::routed(address, ROUTE).section("drain", "{delay: 0s, timeout: 500ms}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    client.env("URL", format!("ws://{}/socket", gateway.proxy)).env("KEY", &key);
    let mut client = Script::start(client);
    for length in [1, 125, 126, 65_535, 65_536, LARGE] {
        client.echoes(length).await;
    }
    // The file has no route for the socket any more: it stays open.
    let other =
        Setup::routed(address, "{path: /other, upstreams: backend}").section("drain", "{delay: 0s, timeout: 500ms}");
    gateway.folder().write("tollgate.yaml", &other.yaml().unwrap());
    gateway.process().hang_up();
    eventually("the file is applied", async || {
        let applied = "tollgate_config_reloads_total{result=\"applied\"} 1";
        gateway.metrics().await.contains(applied).then_some(())
    })
    .await;
    client.echoes(1_024).await;
    client.tell("wait").await;
    gateway.terminate();
    assert_eq!(client.line().await, "1001");
    let ended = gateway.stop().await;
    let line = ended.stderr.lines().find(|line| line.contains("\"path\":\"/socket\"")).unwrap().to_owned();
    let bytes = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<usize>().unwrap()
    };
    assert!(bytes("request_bytes") > LARGE && bytes("response_bytes") > LARGE, "{line}");
}

/// A client that has sent its Close frame receives the messages that the server sends before its own.
async fn check_close(mut client: Command) {
    let mut server = Script::start(python("current", "serve_closing_websocket.py"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.line().await.parse().unwrap()));
    let gateway = Gateway::start(Setup::routed(address, ROUTE)).await;
    client.env("URL", format!("ws://{}/socket", gateway.proxy)).env("KEY", gateway.key().await);
    let mut client = Script::start(client);
    client.tell("close").await;
    assert_eq!([client.line().await, client.line().await], ["late 0, late 1, late 2", "1000"]);
}

/// A client reads the same code at a timeout of its route as at a shutdown.
async fn check_timeouts(client: impl Fn() -> Command) {
    let mut server = Script::start(python("current", "serve_websocket.py"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.line().await.parse().unwrap()));
    let route = |path: &str, timeouts: &str| {
        format!("{{path: {path}, upstreams: backend, upgrades: [websocket], timeouts: {{{timeouts}}}}}")
    };
    let routes = [route("/idle", "idle: 1s"), route("/total", "total: 2s")].join(", ");
    let gateway = Gateway::start(Setup::routed(address, &routes)).await;
    let key = gateway.key().await;
    for path in ["/idle", "/total"] {
        let mut command = client();
        command.env("URL", format!("ws://{}{path}", gateway.proxy)).env("KEY", &key);
        let mut client = Script::start(command);
        client.tell("wait").await;
        assert_eq!(client.line().await, "1001", "{path}");
    }
}

/// Returns the verdicts of Autobahn about a server, on the cases with these patterns or on all usual ones.
async fn verdicts(url: &str, cases: &str) -> String {
    let mut client = python("autobahn", "autobahn.py");
    let output = client.env("URL", url).env("CASES", cases).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the verdicts about a server, which are the same behind the gateway. Those of frames that break the protocol after good
/// ones are strict or not by chance: the server drops its responses to the good ones if it reads both at once.
async fn same_verdicts(cases: &str) -> String {
    let mut server = Script::start(python("current", "serve_websocket.py"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.line().await.parse().unwrap()));
    let route = "{path: /socket, upstreams: backend, upgrades: [websocket], auth: none}";
    let gateway = Gateway::start(Setup::routed(address, route)).await;
    let direct = verdicts(&format!("ws://{address}"), cases).await;
    let routed = verdicts(&format!("ws://{}/socket", gateway.proxy), cases).await;
    let [direct, routed] = [direct, routed].map(|verdicts| verdicts.replace("NON-STRICT", "OK"));
    assert_eq!(direct, routed);
    direct
}

#[tokio::test]
async fn the_cases_of_autobahn_end_as_without_the_gateway() {
    let verdicts = same_verdicts("").await;
    assert!(verdicts.lines().count() > 240 && verdicts.matches(" | OK | OK | ").count() > 240, "{verdicts}");
}

#[tokio::test]
async fn the_large_messages_of_autobahn_end_as_without_the_gateway() {
    // Whole messages of up to 1 MiB, and one of 4 MiB in fragments. At length: up to 16 MiB, in fragments and writes of 64 bytes too.
    let (cases, count_min) = if is_long() { ("9.*", 50) } else { ("9.1.1 9.1.3 9.2.1 9.2.3 9.3.7 9.4.7", 6) };
    let verdicts = same_verdicts(cases).await;
    let is_ok = verdicts.lines().all(|line| line.contains(" | OK | OK | "));
    assert!(is_ok && verdicts.lines().count() >= count_min, "{verdicts}");
}

#[tokio::test]
async fn node_ws_opens_a_websocket() {
    check(sdk::node("websocket.mjs")).await;
}

#[tokio::test]
async fn node_ws_reads_after_its_close_frame() {
    check_close(sdk::node("websocket.mjs")).await;
}

#[tokio::test]
async fn python_websockets_reads_after_its_close_frame() {
    check_close(python("current", "calls_websocket.py")).await;
}

#[tokio::test]
async fn node_ws_is_closed_at_a_timeout() {
    check_timeouts(|| sdk::node("websocket.mjs")).await;
}

#[tokio::test]
async fn python_websockets_is_closed_at_a_timeout() {
    check_timeouts(|| python("current", "calls_websocket.py")).await;
}

#[tokio::test]
async fn python_websockets_opens_a_websocket() {
    check(python("current", "calls_websocket.py")).await;
}
