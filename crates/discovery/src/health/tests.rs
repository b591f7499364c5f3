use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

mod ended;

fn with_probe(probe: Probe) -> CheckRules {
    CheckRules {
        probe,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        unhealthy_threshold: 3,
        healthy_threshold: 2,
    }
}

fn get(statuses: RangeInclusive<u16>) -> Probe {
    Probe::Http { path: "/health?full=1".to_owned(), host: None, headers: HeaderMap::new(), statuses }
}

#[test]
fn the_first_check_decides_alone_and_later_ones_in_a_row() {
    let check = with_probe(Probe::Tcp);
    let mut state = HealthState::Unknown;
    for (has_failed, expected, changes) in [
        (true, HealthState::Unhealthy { successes: 0 }, false),
        (false, HealthState::Unhealthy { successes: 1 }, true),
        (true, HealthState::Unhealthy { successes: 0 }, false),
        (false, HealthState::Unhealthy { successes: 1 }, true),
        (false, HealthState::Healthy { failures: 0 }, false),
        (true, HealthState::Healthy { failures: 1 }, true),
        (true, HealthState::Healthy { failures: 2 }, true),
        (false, HealthState::Healthy { failures: 0 }, false),
        (true, HealthState::Healthy { failures: 1 }, true),
        (true, HealthState::Healthy { failures: 2 }, true),
        (true, HealthState::Unhealthy { successes: 0 }, false),
    ] {
        let (next, is_changing) = state.after(has_failed, &check);
        assert_eq!((next, is_changing), (expected, changes), "{state:?} {has_failed}");
        state = next;
    }
    assert_eq!(HealthState::Unknown.after(false, &check).0, HealthState::Healthy { failures: 0 });
}

/// Serves each connection with `response`, and keeps the requests.
async fn server(response: &'static [u8]) -> (SocketPort, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = requests.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = vec![0; 4096];
            let length = stream.read(&mut read).await.unwrap_or(0);
            seen.lock().unwrap().push(String::from_utf8_lossy(&read[..length]).into_owned());
            if response.is_empty() {
                std::future::pending::<()>().await;
            }
            let _ = stream.write_all(response).await;
        }
    });
    (SocketPort { port, _tasks: tasks }, requests)
}

struct SocketPort {
    port: u16,
    _tasks: JoinSet<()>,
}

fn endpoint(port: u16) -> CheckedEndpoint {
    CheckedEndpoint {
        scheme: CheckedScheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
        authority: "backend.test".to_owned(),
        path: "/v1".to_owned(),
        allow_link_local: false,
        tls: None,
    }
}

fn tls() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

async fn checked(port: u16, probe: &Probe) -> Result<(), String> {
    probe::check(&endpoint(port), probe, &tls(), None).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_check_of_http_compares_the_status() {
    for (response, statuses, expected) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"[..], 200..=299, Ok(())),
        (b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n", 200..=299, Err("the status is 503")),
        (b"HTTP/1.1 302 X\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n", 200..=299, Err("the status is 302")),
        (b"HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n", 401..=401, Ok(())),
    ] {
        let (server, requests) = server(response).await;
        assert_eq!(checked(server.port, &get(statuses)).await, expected.map_err(str::to_owned));
        let request = requests.lock().unwrap().first().unwrap().to_lowercase();
        assert!(request.starts_with("get /v1/health?full=1 http/1.1\r\n"), "{request}");
        assert!(request.contains("host: backend.test\r\n") && request.contains("connection: close"), "{request}");
    }
    let (server, _) = server(b"nonsense").await;
    let error = checked(server.port, &get(200..=299)).await.unwrap_err();
    assert!(error.starts_with("the response is invalid or incomplete"), "{error}");
}

/// A probe with a host and a header field.
fn get_as(host: &str) -> Probe {
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-check"), "1".parse().unwrap())]);
    Probe::Http { path: "/health".to_owned(), host: Some(host.to_owned()), headers, statuses: 200..=299 }
}

#[tokio::test]
async fn a_check_has_the_configured_host_and_fields() {
    let (server, requests) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(checked(server.port, &get_as("other.test")).await, Ok(()));
    let request = requests.lock().unwrap().first().unwrap().to_lowercase();
    assert!(request.contains("\r\nhost: other.test\r\n") && request.contains("\r\nx-check: 1\r\n"), "{request}");
    assert!(!request.contains("backend.test"), "{request}");
}

#[tokio::test]
async fn a_check_of_h2c_is_a_request_over_http2() {
    for (status, expected) in [(204, Ok(())), (503, Err("the status is 503".to_owned()))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut seen = String::new();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                seen = format!("{} {} {:?}", request.method(), request.uri(), request.headers()["x-check"]);
                let response = http::Response::builder().status(status).body(()).unwrap();
                respond.send_response(response, true).unwrap();
            }
            seen
        });
        let endpoint = CheckedEndpoint { scheme: CheckedScheme::H2c, ..endpoint(port) };
        let result = probe::check(&endpoint, &get_as("other.test"), &tls(), None).await;
        assert_eq!(result.map_err(|error| error.to_string()), expected);
        let seen = tasks.join_next().await.unwrap().unwrap();
        assert_eq!(seen, "GET http://other.test/v1/health \"1\"");
    }
}

#[tokio::test]
async fn a_check_over_tls_verifies_the_name_of_the_backend() {
    let signed = rcgen::generate_simple_self_signed(["backend.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let server = server.unwrap().with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let trusting = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let endpoint = |authority: &str| CheckedEndpoint {
        scheme: CheckedScheme::Https,
        authority: authority.to_owned(),
        ..endpoint(port)
    };
    let check = async |authority: &str, tls| {
        let result = probe::check(&endpoint(authority), &get(200..=299), tls, None).await;
        result.map_err(|error| error.to_string())
    };
    assert_eq!(check("backend.test", &trusting).await, Ok(()));
    for (authority, tls) in [("other.test", &trusting), ("backend.test", &tls())] {
        let error = check(authority, tls).await.unwrap_err();
        assert!(error.starts_with("TLS failed"), "{authority}: {error}");
    }
}

#[tokio::test]
async fn at_most_16_scripts_run_at_once_and_other_checks_do_not_wait_for_them() {
    let reports = Reports::default();
    let script = || with_probe(Probe::Script(vec!["/bin/sleep".to_owned(), "600".to_owned()]));
    let (server, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let named = |id: usize, check| CheckedBackend {
        id: format!("u http://{id}").into(),
        ..target(server.port, CheckRules { timeout: Duration::from_secs(600), ..check }, Instant::now(), &reports)
    };
    let mut all: Vec<CheckedBackend> = (0..40).map(|id| named(id, script())).collect();
    all.push(named(40, with_probe(get(200..=299))));
    let targets: Arc<[CheckedBackend]> = Arc::from(all);
    let mut job = HealthChecks::new(Arc::new(move || targets.clone()), tls());
    while reports.lock().unwrap().is_empty() {
        job.run().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.run().await.unwrap();
    assert_eq!(job.running.len(), SCRIPTS_MAX);
    assert_eq!(job.schedules.values().filter(|known| known.task.is_some()).count(), SCRIPTS_MAX);
    assert!(reports.lock().unwrap().iter().all(|(_, healthy)| *healthy == Some(true)), "only the other one ended");
}

#[tokio::test(start_paused = true)]
async fn the_checks_that_have_waited_longest_begin_first() {
    const ALL: usize = SCRIPTS_MAX * 3;
    let begin = Instant::now();
    let reports = Reports::default();
    let id = |number: usize| format!("u http://{number}");
    let check = || with_probe(Probe::Script(vec!["/bin/sleep".to_owned(), "600".to_owned()]));
    let named = |number| CheckedBackend { id: id(number).into(), ..target(1, check(), begin, &reports) };
    let targets: Arc<[CheckedBackend]> = (0..ALL).map(named).collect();
    let mut job = HealthChecks::new(Arc::new(move || targets.clone()), tls());
    job.follow();
    for number in 0..ALL {
        job.schedules.get_mut(&*id(number)).unwrap().due = begin + Duration::from_secs((ALL - number) as u64);
    }
    tokio::time::advance(Duration::from_secs(3_600)).await;
    job.begin_due();
    let runs: Vec<bool> = (0..ALL).map(|number| job.schedules[&*id(number)].task.is_some()).collect();
    assert_eq!(runs, (0..ALL).map(|number| number >= ALL - SCRIPTS_MAX).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_check_needs_a_connection_to_a_permitted_address() {
    let (server, _) = server(b"").await;
    assert_eq!(checked(server.port, &Probe::Tcp).await, Ok(()));
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert!(checked(unused, &Probe::Tcp).await.unwrap_err().starts_with("no connection"));
}

/// A name may resolve to such an address. Neither another port nor the `Host` of the check is a way around the rule.
#[tokio::test]
async fn no_check_connects_to_a_metadata_address() {
    for host in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "fe80::1",
        "100.100.100.200",
    ] {
        let metadata = CheckedEndpoint { host: host.to_owned(), ..endpoint(8_080) };
        for probe in [Probe::Tcp, get_as("backend.test"), Probe::Grpc { service: String::new() }] {
            let error = probe::check(&metadata, &probe, &tls(), None).await.unwrap_err();
            assert!(matches!(error, CheckFailure::LinkLocal), "{host} {probe:?}: {error}");
        }
    }
    // The name of a metadata service in `Host` leads nowhere else than to the backend.
    let (server, requests) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(checked(server.port, &get_as("169.254.169.254")).await, Ok(()));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

/// Sends a response piece by piece, up to `pieces`, until the connection ends. Returns the number of bytes that were sent.
async fn drip(pieces: usize, piece: &'static [u8], pause: Duration) -> (SocketPort, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let counted = sent.clone();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            for _ in 0..pieces {
                if stream.write_all(piece).await.is_err() {
                    break;
                }
                counted.fetch_add(piece.len(), Ordering::SeqCst);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    });
    (SocketPort { port, _tasks: tasks }, sent)
}

/// Runs the job with this check until its first report. Returns its failure.
async fn first_failure(port: u16, timeout: Duration) -> Option<String> {
    let failures: Arc<Mutex<Option<Option<String>>>> = Arc::default();
    let reported = failures.clone();
    let backend = CheckedBackend {
        id: "u http://b".into(),
        endpoint: endpoint(port),
        check: Arc::new(CheckRules { timeout, ..with_probe(get(200..=299)) }),
        report: Arc::new(move |checked: Option<CheckResult>| {
            reported.lock().unwrap().get_or_insert(checked.and_then(|checked| checked.failure));
        }),
    };
    let targets: Arc<[CheckedBackend]> = Arc::from([backend]);
    let mut job = HealthChecks::new(Arc::new(move || targets.clone()), tls());
    loop {
        job.run().await.unwrap();
        if let Some(failure) = failures.lock().unwrap().take() {
            return failure;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_head_that_drips_fails_at_the_timeout_of_the_check() {
    let (server, _) = drip(usize::MAX, b"a", Duration::from_millis(5)).await;
    let failure = first_failure(server.port, Duration::from_millis(200)).await;
    assert_eq!(failure.as_deref(), Some("no response in time"));
}

#[tokio::test]
async fn a_head_without_an_end_fails_at_its_maximum_size() {
    let (server, sent) =
        drip(1_000_000, b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", Duration::ZERO).await;
    let failure = first_failure(server.port, Duration::from_secs(30)).await.unwrap();
    assert!(failure.starts_with("the response is invalid or incomplete"), "{failure}");
    assert!(sent.load(Ordering::SeqCst) < 20_000_000, "the connection was closed");
}

#[tokio::test]
async fn content_of_100_mb_is_not_read() {
    const PIECE: &[u8] = &[b'a'; 100_000];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await.unwrap();
        let mut sent = 0;
        while sent < 100_000_000 && stream.write_all(PIECE).await.is_ok() {
            sent += PIECE.len();
        }
        sent
    });
    assert_eq!(first_failure(port, Duration::from_secs(30)).await, None);
    let sent = serving.join_next().await.unwrap().unwrap();
    assert!(sent < 50_000_000, "the check closed the connection after the head: {sent}");
}

/// Serves `grpc.health.v1.Health/Check` with this status; 5 is `NOT_FOUND` for another service.
async fn grpc_server(serving: u8) -> SocketPort {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut streams = JoinSet::new();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                let mut body = request.into_body();
                let mut received = Vec::new();
                // The connection must be polled while the content arrives.
                streams.spawn(async move {
                    while let Some(Ok(part)) = body.data().await {
                        received.extend_from_slice(&part);
                    }
                    let is_known = received == b"\0\0\0\0\x05\x0a\x03pay";
                    let head = http::Response::builder().header("content-type", "application/grpc");
                    let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    let mut trailers = HeaderMap::new();
                    if is_known {
                        stream.send_data(vec![0, 0, 0, 0, 2, 8, serving].into(), false).unwrap();
                    }
                    trailers.insert("grpc-status", if is_known { "0" } else { "5" }.parse().unwrap());
                    stream.send_trailers(trailers).unwrap();
                });
            }
        }
    });
    SocketPort { port, _tasks: tasks }
}

#[tokio::test]
async fn a_check_of_grpc_reads_the_status_of_the_service() {
    for (serving, service, expected) in [
        (1, "pay", Ok(())),
        (2, "pay", Err("the gRPC service does not serve (status 2)")),
        (1, "other", Err("the gRPC service does not serve (grpc-status 5)")),
    ] {
        let server = grpc_server(serving).await;
        let probe = Probe::Grpc { service: service.to_owned() };
        assert_eq!(checked(server.port, &probe).await, expected.map_err(str::to_owned));
    }
}

/// What the job reported, with the seconds since the start.
type Reports = Arc<Mutex<Vec<(u64, Option<bool>)>>>;

fn target(port: u16, check: CheckRules, begin: Instant, reports: &Reports) -> CheckedBackend {
    let reports = reports.clone();
    let report = move |checked: Option<CheckResult>| {
        reports.lock().unwrap().push((begin.elapsed().as_secs(), checked.map(|checked| checked.is_healthy)));
    };
    CheckedBackend {
        id: "u http://b".into(),
        endpoint: endpoint(port),
        check: Arc::new(check),
        report: Arc::new(report),
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_is_out_within_29_seconds_and_back_within_60_of_its_recovery() {
    /// The default of `slow_start`: the time in which the share of a backend that is back grows to its whole.
    const SLOW_START: u64 = 10;
    const RECOVERY: u64 = 40;
    // The listener accepts connections, and nobody responds on them until the recovery.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = hanging.local_addr().unwrap().port();
    let begin = Instant::now();
    let reports = Reports::default();
    let backend = target(port, with_probe(get(200..=299)), begin, &reports);
    let targets: Arc<[CheckedBackend]> = Arc::from([backend]);
    let mut job = HealthChecks::new(Arc::new(move || targets.clone()), tls());
    job.follow();
    // It was healthy until now, and the next check comes after the whole interval.
    let known = job.schedules.values_mut().next().unwrap();
    (known.state, known.due) = (HealthState::Healthy { failures: 0 }, begin + Duration::from_secs(10));
    let mut hanging = Some(hanging);
    let mut serving = JoinSet::new();
    let mut shares = Vec::new();
    while begin.elapsed() < Duration::from_secs(RECOVERY + 60) {
        if let Some(recovered) = hanging.take_if(|_| begin.elapsed() >= Duration::from_secs(RECOVERY)) {
            serving.spawn(async move {
                while let Ok((mut stream, _)) = recovered.accept().await {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
        job.run().await.unwrap();
        if shares.len() as u64 <= begin.elapsed().as_secs() {
            shares.push(reports.lock().unwrap().last().is_none_or(|(_, healthy)| *healthy != Some(false)));
        }
        tokio::time::sleep(SPEC.period).await;
    }
    let shown: String = shares.iter().map(|is_in| if *is_in { '1' } else { '0' }).collect();
    println!("in use at each second: {shown}");
    let reports = reports.lock().unwrap();
    let out = reports.iter().find(|(_, healthy)| *healthy == Some(false)).unwrap();
    assert!((26..=29).contains(&out.0), "{reports:?}");
    let back = reports.iter().find(|(at, healthy)| *at > RECOVERY && *healthy == Some(true)).unwrap();
    assert!(back.0 + SLOW_START <= RECOVERY + 60, "it has its whole share: {reports:?}");
    assert!(reports.iter().all(|(at, healthy)| *at <= back.0 || *healthy == Some(true)), "{reports:?}");
}

#[tokio::test]
async fn a_backend_that_is_not_checked_any_more_is_reported_once() {
    let (server, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let reports = Reports::default();
    let backend = target(server.port, with_probe(get(200..=299)), Instant::now(), &reports);
    let targets: Arc<Mutex<Arc<[CheckedBackend]>>> = Arc::new(Mutex::new(Arc::from([backend])));
    let current = targets.clone();
    let mut job = HealthChecks::new(Arc::new(move || current.lock().unwrap().clone()), tls());
    while reports.lock().unwrap().is_empty() {
        job.run().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    *targets.lock().unwrap() = Arc::from([]);
    job.run().await.unwrap();
    job.run().await.unwrap();
    let reports: Vec<Option<bool>> = reports.lock().unwrap().iter().map(|(_, healthy)| *healthy).collect();
    assert_eq!(reports, [Some(true), None]);
}
