//! Changes of the configuration while the server runs: SIGHUP, the watch of the file, and the admin API.

mod etcd;
mod stored;
mod under_load;

use std::time::Duration;

use e2e::{Call, Gateway, Setup, Upstream, Wire, eventually, eventually_within};
use tokio::io::AsyncReadExt as _;

use crate::store;

/// The watch looks each second, and waits for a second look.
const WATCHED_WITHIN: Duration = Duration::from_secs(30);
const FILE: &str = "tollgate.yaml";

fn route(path: &str) -> String {
    format!("{{path: {path}, upstreams: backend, upgrades: [websocket], auth: {{type: none}}}}")
}

async fn fine() -> Upstream {
    Upstream::answering("200 OK", "fine").await
}

/// Waits until the proxy responds to a request for `path` with `status`.
async fn responds(gateway: &Gateway, path: &str, status: u16) {
    eventually_within(WATCHED_WITHIN, &format!("{path} is {status}"), async || {
        (gateway.call(Call::get(path)).await.status() == status).then_some(())
    })
    .await;
}

/// Returns the number of reloads with this result.
async fn reloads(gateway: &Gateway, result: &str) -> u64 {
    let metrics = gateway.metrics().await;
    let name = format!("tollgate_config_reloads_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn sighup_applies_a_changed_file_and_open_connections_stay() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        for number in 0..200 {
            if !turn.chunk(format!("data: {number}\n\n").as_bytes()).await {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        turn.chunk(b"").await;
        Some(turn)
    })
    .await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), &route("/a"))).await;
    let mut stream = Call::get("/a").open(gateway.proxy).await;
    assert_eq!(stream.status(), 200);
    drop(stream.next().await);
    let idle = Wire::connect(gateway.proxy).await.unwrap();
    let (first, idle) = Call::get("/none").over(idle, gateway.proxy).await.unwrap().reuse().await;
    assert_eq!(first.status(), 404);
    gateway.folder().write(FILE, &Setup::routed(upstream.address(), &route("/none")).yaml().unwrap());
    gateway.process().hang_up();
    eventually("the file is applied", async || (reloads(&gateway, "applied").await >= 1).then_some(())).await;
    gateway.logs("the configuration was applied").await;
    assert!(gateway.stderr().contains("routes["), "{}", gateway.stderr());
    assert_eq!(gateway.call(Call::get("/a")).await.status(), 404);
    // A connection that was open before has the new configuration for its next request.
    let next = Call::get("/none").over(idle, gateway.proxy).await.unwrap();
    assert_eq!(next.status(), 200);
    drop(next);
    let rest = stream.rest().await;
    assert!(rest.text().contains("data: 199"), "the stream ended early: {}", rest.text());
}

#[tokio::test]
async fn a_websocket_stays_open_over_reloads() {
    let upstream = Upstream::start(|mut turn| async move {
        let accepted = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        turn.write(accepted.as_bytes()).await;
        while turn.write(b"x").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    })
    .await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), &route("/a"))).await;
    let mut socket = tokio::net::TcpStream::connect(gateway.proxy).await.unwrap();
    let head =
        b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, head).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(socket.read_u8().await.unwrap());
    }
    assert!(received.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&received));
    for reload in 1..=5 {
        gateway.folder().write(FILE, &Setup::routed(upstream.address(), &route(&format!("/{reload}"))).yaml().unwrap());
        gateway.process().hang_up();
        eventually("the file is applied", async || (reloads(&gateway, "applied").await >= reload).then_some(())).await;
        // More than what both ends could have buffered before.
        for _ in 0..50 {
            assert_eq!(socket.read_u8().await.unwrap(), b'x');
        }
    }
}

#[tokio::test]
async fn a_refused_file_changes_nothing_and_is_reported_with_its_place() {
    let upstream = fine().await;
    let setup = Setup::routed(upstream.address(), &route("/a"));
    let gateway = Gateway::start(setup.clone()).await;
    let yaml = setup.yaml().unwrap();
    let lines = yaml.lines().count();
    for (text, parts) in [
        (format!("{yaml}rutes: []\n"), vec!["error[unknown_key]".to_owned(), format!("tollgate.yaml:{}:1", lines + 1)]),
        (
            format!("{yaml}control: {{listen: \"127.0.0.1:1\", cors: {{allowed_origins: [\"https://a.example\"]}}}}\n"),
            vec![
                "error[needs_restart]".to_owned(),
                "`control.cors.allowed_origins".to_owned(),
                format!("tollgate.yaml:{}:", lines + 1),
            ],
        ),
        ("a: [".to_owned(), vec!["error[yaml]".to_owned()]),
    ] {
        let before = reloads(&gateway, "refused").await;
        gateway.folder().write(FILE, &text);
        gateway.process().hang_up();
        eventually("the file is refused", async || (reloads(&gateway, "refused").await > before).then_some(())).await;
        for part in parts {
            gateway.logs(&part).await;
        }
        gateway.call(Call::get("/a")).await.expect(200);
    }
    std::fs::remove_file(gateway.folder().path().join(FILE)).unwrap();
    let before = reloads(&gateway, "refused").await;
    gateway.process().hang_up();
    eventually("a missing file is refused", async || (reloads(&gateway, "refused").await > before).then_some(())).await;
    gateway.call(Call::get("/a")).await.expect(200);
}

#[tokio::test]
async fn a_file_that_a_refused_configuration_names_is_watched() {
    let upstream = fine().await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), &route("/a"))).await;
    let later = "{path: /later, respond: {body: \"file:later.txt\"}, auth: {type: none}}";
    gateway.folder().write(FILE, &Setup::routed(upstream.address(), later).yaml().unwrap());
    eventually_within(WATCHED_WITHIN, "the file is refused", async || {
        (reloads(&gateway, "refused").await >= 1).then_some(())
    })
    .await;
    gateway.call(Call::get("/a")).await.expect(200);
    gateway.folder().write("later.txt", "mounted");
    responds(&gateway, "/later", 200).await;
}

#[tokio::test]
async fn prices_that_the_store_does_not_take_are_for_sale_later() {
    let setup = |rupiah: u32| {
        let plans = format!("[{{name: starter}}, {{name: pro, price: \"{rupiah} IDR\"}}]");
        Setup::bare().section("plans", &plans).section("billing", "{enabled: true}")
    };
    let gateway = Gateway::start(setup(150_000)).await;
    let data = gateway.folder().data();
    let rows = store::rows(gateway.folder(), &data);
    let execute = async |statement: &str| rows.execute(statement, statement).await;
    execute("ALTER TABLE plan_versions RENAME TO hidden").await;
    gateway.folder().write(FILE, &setup(200_000).yaml().unwrap());
    gateway.process().hang_up();
    gateway.logs("changed prices of plans are not for sale yet").await;
    execute("ALTER TABLE hidden RENAME TO plan_versions").await;
    execute("UPDATE revision SET value = value + 1").await;
    eventually("the new price is for sale", async || {
        let sold = "SELECT count(*) FROM plan_versions WHERE price = 200000 AND retired_at IS NULL";
        (store::number(gateway.folder(), sold).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn billing_that_a_changed_file_turns_on_starts_its_jobs_and_sells_its_plans() {
    let setup = |billing: &str| {
        let plans = "[{name: starter}, {name: pro, price: \"5 IDR\"}]";
        Setup::bare().section("plans", plans).section("billing", billing)
    };
    let gateway = Gateway::start(setup("{enabled: false}")).await;
    let runs = async |job: &str| gateway.metrics().await.contains(&format!("tollgate_job_running{{job=\"{job}\"}}"));
    assert!(!runs("billing_close").await, "no job of billing is claimed while it is off");
    gateway.folder().write(FILE, &setup("{enabled: true, stub: true}").yaml().unwrap());
    gateway.process().hang_up();
    eventually("the jobs of billing and of payments run", async || {
        (runs("billing_close").await && runs("midtrans_notifications").await).then_some(())
    })
    .await;
    eventually("the plan is for sale", async || {
        let sold = "SELECT count(*) FROM plan_versions WHERE price = 5 AND retired_at IS NULL";
        (store::number(gateway.folder(), sold).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_changed_listener_needs_a_restart() {
    let upstream = fine().await;
    let setup = Setup::routed(upstream.address(), &route("/a")).section("listen", "\"127.0.0.1:0\"");
    let gateway = Gateway::start(setup.clone()).await;
    let changed = Setup::routed(upstream.address(), &route("/b")).section("listen", "\"127.0.0.1:1\"");
    gateway.folder().write(FILE, &changed.yaml().unwrap());
    gateway.process().hang_up();
    eventually("the file is refused", async || (reloads(&gateway, "refused").await >= 1).then_some(())).await;
    gateway.logs("error[needs_restart]: `listen` cannot change while Tollgate runs").await;
    assert_eq!(gateway.call(Call::get("/a")).await.status(), 200);
    assert_eq!(gateway.call(Call::get("/b")).await.status(), 404);
}

#[tokio::test]
async fn a_swapped_configmap_is_applied_without_a_signal() {
    let upstream = fine().await;
    let setup = Setup::routed(upstream.address(), &route("/a"));
    let gateway = Gateway::start(setup).await;
    let folder = gateway.folder().path();
    let version = |name: &str, path: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        let yaml = Setup::routed(upstream.address(), &route(path)).yaml().unwrap();
        std::fs::write(folder.join(name).join(FILE), yaml).unwrap();
    };
    let swap = |name: &str| {
        std::os::unix::fs::symlink(name, folder.join("..next")).unwrap();
        std::fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
    };
    // The kubelet mounts FILE as a link to ..data/FILE, and replaces the link ..data.
    version("..v1", "/one");
    swap("..v1");
    std::os::unix::fs::symlink("..data/tollgate.yaml", folder.join("link")).unwrap();
    std::fs::rename(folder.join("link"), folder.join(FILE)).unwrap();
    responds(&gateway, "/one", 200).await;
    version("..v2", "/two");
    swap("..v2");
    responds(&gateway, "/two", 200).await;
    assert_eq!(gateway.call(Call::get("/one")).await.status(), 404);
}
