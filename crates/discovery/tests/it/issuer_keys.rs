//! The keys of an issuer that rotates them, disappears, and returns garbage.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::credentials::issuer::{IssuerKeys, IssuerPlace, IssuerRegistry, IssuerSource, IssuerUrl};
use access::{Clock, Timestamp};
use discovery::{FetchedSource, Fetcher, IssuerKeyRefresh, Observation};
use jobs::{Job as _, NextRun};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use telemetry::Metrics;
use tls::UpstreamTls;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::issuer::Issuer;
use crate::private_tls::PrivateTls;

const NOON: Timestamp = Timestamp(1_795_176_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// The job, the keys of its first source, and the clock that the test moves.
struct Refresh {
    job: IssuerKeyRefresh,
    sources: Arc<Mutex<Vec<FetchedSource>>>,
    keys: Arc<IssuerKeys>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Refresh {
    fn new(place: IssuerPlace) -> Self {
        Self::with_tls(place, None)
    }

    fn with_tls(place: IssuerPlace, tls: Option<&Arc<UpstreamTls>>) -> Self {
        Self::over(vec![place], tls)
    }

    fn over(places: Vec<IssuerPlace>, own_tls: Option<&Arc<UpstreamTls>>) -> Self {
        let source = |place| IssuerSource { place, allow_link_local: false, tls: None };
        let sources: Vec<_> = places.into_iter().map(source).collect();
        let registry = Arc::new(IssuerRegistry::default());
        let clock = Clock::manual(NOON);
        let metrics = Metrics::new();
        let keys = registry.keys_of(&sources[0]);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let fetched = |source: IssuerSource| FetchedSource { source, tls: own_tls.cloned() };
        let sources = Arc::new(Mutex::new(sources.into_iter().map(fetched).collect::<Vec<_>>()));
        let configured = sources.clone();
        let job = IssuerKeyRefresh::new(
            registry,
            Arc::new(move || configured.lock().unwrap().clone()),
            Fetcher::new(&tls),
            Observation { metrics: metrics.clone(), clock: clock.clone() },
        );
        Self { job, sources, keys, clock, metrics }
    }

    /// Runs the job after `pause`, and returns the number of usable keys.
    async fn run_after(&mut self, pause: Duration) -> Option<usize> {
        self.clock.advance(pause);
        while self.job.run().await.unwrap() == NextRun::Now {}
        self.keys.load().map(|keys| keys.len())
    }

    async fn run(&mut self) -> Option<usize> {
        self.run_after(Duration::ZERO).await
    }
}

fn url(text: &str) -> IssuerUrl {
    IssuerUrl::parse(text).unwrap()
}

/// A document with this number of keys.
fn document(keys: usize) -> String {
    let key = |id| {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{id}"}}"#)
    };
    format!(r#"{{"keys":[{}]}}"#, (0..keys).map(key).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn keys_are_fetched_again_after_their_max_age() {
    let issuer = Issuer::start().await;
    let mut refresh = Refresh::new(IssuerPlace::Keys(url(&issuer.url("/keys?v=1"))));
    issuer.serve("/keys?v=1", "cache-control: public, max-age=120\r\n", &document(1));
    assert_eq!(refresh.run().await, Some(1));
    issuer.serve("/keys?v=1", "", &document(2));
    assert_eq!(refresh.run_after(MINUTE).await, Some(1));
    assert_eq!(refresh.run_after(MINUTE).await, Some(2));
    assert_eq!(issuer.requested(), ["/keys?v=1"; 2]);
    // Without `max-age`, the next fetch is after ten minutes.
    assert_eq!(refresh.run_after(9 * MINUTE).await, Some(2));
    assert_eq!(issuer.requested().len(), 0);
    refresh.run_after(MINUTE).await;
    assert_eq!(issuer.requested().len(), 1);
}

#[tokio::test]
async fn tokens_with_unknown_keys_request_one_fetch_a_second() {
    let issuer = Issuer::start().await;
    let mut refresh = Refresh::new(IssuerPlace::Keys(url(&issuer.url("/keys"))));
    issuer.serve("/keys", "cache-control: max-age=86400\r\n", &document(1));
    refresh.run().await;
    issuer.serve("/keys", "", &document(2));
    let keys = refresh.keys.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { tokio::join!(keys.refetched(), keys.refetched()) });
    while !refresh.keys.is_requested() {
        tokio::task::yield_now().await;
    }
    assert_eq!(refresh.run_after(Duration::from_millis(999)).await, Some(1));
    assert!(waiting.try_join_next().is_none());
    assert_eq!(refresh.run_after(Duration::from_millis(1)).await, Some(2));
    assert_eq!(waiting.join_next().await.unwrap().unwrap(), (true, true), "both waited for one fetch");
    assert_eq!(issuer.requested().len(), 2);
    // The request has ended.
    refresh.run_after(2 * MINUTE).await;
    assert_eq!(issuer.requested().len(), 0);
}

#[tokio::test]
async fn an_issuer_that_does_not_respond_delays_no_fetch_of_another() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let issuer = Issuer::start().await;
    let places = [issuer.url("/keys"), format!("http://{}/keys", silent.local_addr().unwrap())];
    let mut refresh = Refresh::over(places.iter().map(|place| IssuerPlace::Keys(url(place))).collect(), None);
    let mut waiting = JoinSet::new();
    for count in 1..=2 {
        issuer.serve("/keys", "", &document(count));
        let keys = refresh.keys.clone();
        waiting.spawn(async move { keys.refetched().await });
        while !refresh.keys.is_requested() {
            tokio::task::yield_now().await;
        }
        refresh.clock.advance(Duration::from_secs(1));
        while refresh.keys.load().is_none_or(|keys| keys.len() != count) {
            assert_eq!(refresh.job.run().await.unwrap(), NextRun::Now, "the other fetch is in progress");
        }
        assert!(waiting.join_next().await.unwrap().unwrap());
    }
    assert_eq!(issuer.requested(), ["/keys"; 2]);
}

#[tokio::test]
async fn last_keys_stay_in_use_while_the_issuer_is_away_or_returns_garbage() {
    let issuer = Issuer::start().await;
    let mut refresh = Refresh::new(IssuerPlace::Keys(url(&issuer.url("/keys"))));
    let large = format!("{{\"x\":\"{}\",{}", "x".repeat(1024 * 1024), &document(1)[1..]);
    let larger = format!("{{\"x\":\"{}\",{}", "x".repeat(10 * 1024 * 1024), &document(1)[1..]);
    let with_length = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let garbage = [
        String::new(),
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", issuer.url("/other")),
        format!("HTTP/1.1 206 Partial\r\ncontent-length: {}\r\n\r\n{}", document(1).len(), document(1)),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{}", document(1)),
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        with_length("<html></html>"),
        with_length("{\"keys\":[]}"),
        with_length(&document(65)),
        with_length(&large),
        with_length(&larger),
    ];
    for first in &garbage {
        issuer.respond("/keys", first);
        assert_eq!(refresh.run_after(MINUTE).await, None, "{first:.60}");
    }
    issuer.serve("/other", "", &document(3));
    issuer.serve("/keys", "", &document(2));
    assert_eq!(refresh.run_after(MINUTE).await, Some(2));
    let generation = refresh.keys.generation();
    for later in &garbage {
        issuer.respond("/keys", later);
        assert_eq!(refresh.run_after(10 * MINUTE).await, Some(2), "{later:.60}");
    }
    assert_eq!(refresh.keys.generation(), generation);
    assert!(!issuer.requested().contains(&"/other".to_owned()), "redirects are not followed");
    let metrics = refresh.metrics.encode();
    let of = format!("issuer=\"{}\"", issuer.url("/keys"));
    for series in [
        format!("tollgate_issuer_fetches_total{{{of},outcome=\"failed\"}} {}", 2 * garbage.len()),
        format!("tollgate_issuer_fetches_total{{{of},outcome=\"succeeded\"}} 1"),
        format!("tollgate_issuer_keys{{{of}}} 2"),
    ] {
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
    drop(issuer);
    assert_eq!(refresh.run_after(10 * MINUTE).await, Some(2));
}

#[tokio::test]
async fn an_issuer_that_is_removed_has_no_keys_in_metrics() {
    let issuer = Issuer::start().await;
    let mut refresh = Refresh::new(IssuerPlace::Keys(url(&issuer.url("/keys"))));
    issuer.serve("/keys", "", &document(2));
    assert_eq!(refresh.run().await, Some(2));
    let series = format!("tollgate_issuer_keys{{issuer=\"{}\"}}", issuer.url("/keys"));
    assert!(refresh.metrics.encode().contains(&series), "{series}");
    refresh.sources.lock().unwrap().clear();
    refresh.run().await;
    assert!(!refresh.metrics.encode().contains(&series), "{series}");
}

#[tokio::test]
async fn metadata_of_the_same_issuer_names_the_keys() {
    const METADATA: &str = "/t/.well-known/openid-configuration";
    let issuer = Issuer::start().await;
    let mut refresh = Refresh::new(IssuerPlace::Issuer(url(&issuer.url("/t"))));
    let metadata = |of: &str, keys: &str| format!(r#"{{"issuer":"{of}","jwks_uri":"{keys}"}}"#);
    issuer.serve("/keys", "", &document(1));
    for (of, keys) in [
        (issuer.url("/other"), issuer.url("/keys")),
        (issuer.url("/t/"), issuer.url("/keys")),
        (issuer.url("/t"), "http://169.254.169.254/keys".to_owned()),
        (issuer.url("/t"), "file:///etc/passwd".to_owned()),
    ] {
        issuer.serve(METADATA, "", &metadata(&of, &keys));
        assert_eq!(refresh.run_after(MINUTE).await, None, "{of} {keys}");
        assert_eq!(issuer.requested(), [METADATA]);
    }
    issuer.serve(METADATA, "", &metadata(&issuer.url("/t"), &issuer.url("/keys")));
    assert_eq!(refresh.run_after(MINUTE).await, Some(1));
    assert_eq!(issuer.requested(), [METADATA, "/keys"]);
}

#[tokio::test]
async fn keys_at_a_link_local_address_are_never_requested() {
    let mut refresh = Refresh::new(IssuerPlace::Keys(url("https://169.254.169.254/keys")));
    assert_eq!(refresh.run().await, None);
    assert!(refresh.metrics.encode().contains("outcome=\"failed\"} 1"));
}

#[tokio::test]
async fn keys_and_metadata_behind_a_private_authority_are_fetched_with_its_certificate_only() {
    const METADATA: &str = "/.well-known/openid-configuration";
    let private = PrivateTls::new("127.0.0.1");
    let issuer = Issuer::start_tls(private.server(false)).await;
    issuer.serve("/keys", "", &document(1));
    issuer.serve(METADATA, "", &format!(r#"{{"issuer":"{0}","jwks_uri":"{0}/keys"}}"#, issuer.url("")));
    for (tls, expected) in [
        (Some(private.upstream_tls(None, false)), Some(1)),
        (None, None),
        (Some(PrivateTls::new("127.0.0.1").upstream_tls(None, false)), None),
        (Some(private.upstream_tls(Some("other.internal"), false)), None),
    ] {
        for place in [IssuerPlace::Keys(url(&issuer.url("/keys"))), IssuerPlace::Issuer(url(&issuer.url("")))] {
            assert_eq!(Refresh::with_tls(place.clone(), tls.as_ref()).run().await, expected, "{place:?} {tls:?}");
        }
    }
    assert_eq!(issuer.requested(), ["/keys", METADATA, "/keys"]);
}

#[tokio::test]
async fn issuer_that_requires_a_client_certificate_gets_it_under_its_own_name() {
    let private = PrivateTls::new("keys.internal");
    let issuer = Issuer::start_tls(private.server(true)).await;
    issuer.serve("/keys", "", &document(1));
    let place = || IssuerPlace::Keys(url(&issuer.url("/keys")));
    let tls = |has_identity| Some(private.upstream_tls(Some("keys.internal"), has_identity));
    assert_eq!(Refresh::with_tls(place(), tls(false).as_ref()).run().await, None);
    assert_eq!(Refresh::with_tls(place(), tls(true).as_ref()).run().await, Some(1));
    assert_eq!(issuer.requested(), ["/keys"]);
}
