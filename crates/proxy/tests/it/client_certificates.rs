//! Certificates of clients: which handshakes succeed, and what upstreams and records contain of the subject.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use access::Subject;
use rcgen::{CertificateParams, DnType};
use rustls::{ClientConfig, RootCertStore};
use spool::Record;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use crate::client_http2::StreamClient;
use crate::gateway::Gateway;
use crate::listener_tls::{Certificates, connect, get, start};
use crate::raw::Raw;
use crate::tokens;
use crate::upstream::Authority;

const SPOOFED: &str = "X-SSL-Client-S-DN: CN=root\r\nx_ssl_client_s_dn: CN=root\r\n";

/// A listener that requests certificates of one authority.
struct Listener {
    servers: Certificates,
    clients: Authority,
    gateway: Gateway,
    _upstream: Raw,
}

impl Listener {
    async fn start(mode: &str, more: &str) -> Self {
        let servers = Certificates::new();
        let clients = Authority::new();
        std::fs::write(servers.path("clients.pem"), clients.pem()).unwrap();
        let server = servers.write("a", &["a.test"], 2100);
        let ca = servers.path("clients.pem");
        let tls = format!("{server}, client: {{ca: {}, mode: {mode}}}", ca.display());
        let (gateway, upstream) = start(&tls, more).await;
        Self { servers, clients, gateway, _upstream: upstream }
    }

    /// Returns a client with a certificate of `authority`, if one is given.
    fn client(&self, identity: Option<(&Authority, &CertificateParams)>) -> TlsConnector {
        self.client_of(identity, rustls::DEFAULT_VERSIONS)
    }

    /// The same with these versions of TLS.
    fn client_of(
        &self,
        identity: Option<(&Authority, &CertificateParams)>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.servers.authority.certificate()).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        let config = match identity {
            Some((authority, params)) => {
                let (certificate, key) = authority.issue(params);
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }

    /// Connects and sends a request with these fields. Returns what the client receives, in lowercase.
    async fn get(&self, client: &TlsConnector, fields: &str) -> io::Result<String> {
        let mut stream = connect(&self.gateway, client, "a.test").await?;
        // Over TLS 1.3, the client learns only now that its certificate is refused.
        get(&mut stream, fields).await.map(|received| received.to_ascii_lowercase())
    }
}

fn ada() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    params.distinguished_name.push(DnType::CommonName, "ada");
    params
}

/// The number of fields of this name in what the upstream received.
fn count(received: &str, name: &str) -> usize {
    received.lines().filter(|line| line.starts_with(&format!("{name}:"))).count()
}

#[tokio::test]
async fn subject_reaches_the_upstream_whatever_the_client_sends() {
    for mode in ["required", "optional"] {
        let listener = Listener::start(mode, "").await;
        let client = listener.client(Some((&listener.clients, &ada())));
        for _ in 0..2 {
            let received = listener.get(&client, SPOOFED).await.unwrap();
            assert!(received.contains("\r\nx-ssl-client-s-dn: cn=ada,o=example\\, inc.\r\n"), "{received}");
            assert_eq!(count(&received, "x-ssl-client-s-dn") + count(&received, "x_ssl_client_s_dn"), 1, "{received}");
        }
        let mut config = ClientConfig::clone(client.config());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = connect(&listener.gateway, &TlsConnector::from(Arc::new(config)), "a.test").await.unwrap();
        let answer = StreamClient::over(stream, &h2::client::Builder::new()).await.get("/a").await;
        assert!(answer.body.contains("x-ssl-client-s-dn: CN=ada,O=Example\\, Inc."), "{}", answer.body);
    }
}

/// A resumption would not verify the certificate again, which may have expired.
#[tokio::test]
async fn a_client_with_a_certificate_resumes_no_session() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let listener = Listener::start("required", "").await;
        let client = listener.client_of(Some((&listener.clients, &ada())), &[version]);
        for _ in 0..2 {
            let mut stream = connect(&listener.gateway, &client, "a.test").await.unwrap();
            assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn a_service_that_decides_gets_the_verified_subject_and_no_other() {
    let servers = Certificates::new();
    let clients = Authority::new();
    let upstream = tokens::upstream().await;
    std::fs::write(servers.path("clients.pem"), clients.pem()).unwrap();
    let service = Raw::start(|mut conn| async move {
        while conn.whole_head().await.is_some() {
            conn.say("HTTP/1.1 204 No Content\r\nX-User: u\r\nCache-Control: max-age=60\r\n\r\n").await;
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "listen: [{{address: \"127.0.0.1:0\", tls: {{{}, client: {{ca: {}, mode: optional}}}}}}]
ai: {{enabled: false}}
auth: [{{name: gate, type: forward, url: \"http://{}/\", subject: X-User, cache_by: [Cookie]}}]
upstreams: [{{name: up, backends: [{{url: \"http://{}\"}}]}}]
routes: [{{path: {{prefix: /}}, auth: {{type: forward}}, upstreams: up}}]
",
        servers.write("a", &["a.test"], 2100),
        servers.path("clients.pem").display(),
        service.address,
        upstream.address
    ));
    let listener = Listener { servers, clients, gateway, _upstream: upstream };
    let fields = format!("{SPOOFED}Cookie: a\r\n");
    for identity in [Some((&listener.clients, &ada())), None] {
        let received = listener.get(&listener.client(identity), &fields).await.unwrap();
        assert!(received.starts_with("http/1.1 200"), "{received}");
    }
    // The decision about one certificate is not that about another client with the same cookie.
    let asked: Vec<_> = service.asked().into_iter().map(|(_, head)| head).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("\r\nx-ssl-client-s-dn: cn=ada,o=example\\, inc.\r\n"), "{}", asked[0]);
    assert!(asked.iter().all(|head| !head.contains("root")) && !asked[1].contains("s-dn"), "{asked:?}");
}

#[tokio::test]
async fn the_verified_subject_chooses_the_route_and_no_header_of_a_client_does() {
    let more = "rate_limits: [{dimension: {header: X-SSL-Client-S-DN}, limit: 3, window: 60s}]\n";
    let servers = Certificates::new();
    let clients = Authority::new();
    std::fs::write(servers.path("clients.pem"), clients.pem()).unwrap();
    let gateway = Gateway::plain(&format!(
        "listen: [{{address: \"127.0.0.1:0\", tls: {{{}, client: {{ca: {}, mode: optional}}}}}}]
ai: {{enabled: false}}
{more}routes:
  - {{path: {{prefix: /}}, headers: {{X-SSL-Client-S-DN: {{regex: '^CN=ada,'}}}}, auth: {{type: none}}, respond: {{body: for ada}}}}
  - {{path: {{prefix: /}}, auth: {{type: none}}, respond: {{body: for others}}}}
",
        servers.write("a", &["a.test"], 2100),
        servers.path("clients.pem").display(),
    ));
    let upstream = Raw::start(|_| async {}).await;
    let listener = Listener { servers, clients, gateway, _upstream: upstream };
    let with = listener.client(Some((&listener.clients, &ada())));
    let without = listener.client(None);
    for forged in ["", "X-SSL-Client-S-DN: CN=ada,O=1\r\n", "x_ssl_client_s_dn: CN=ada,O=2\r\n"] {
        assert!(listener.get(&with, forged).await.unwrap().ends_with("for ada"), "{forged}");
        assert!(listener.get(&without, forged).await.unwrap().ends_with("for others"), "{forged}");
    }
    // Each of the two has used up its limit, whatever it sends.
    for client in [&with, &without] {
        let received = listener.get(client, "X-SSL-Client-S-DN: CN=z\r\n").await.unwrap();
        assert!(received.starts_with("http/1.1 429"), "{received}");
    }
}

#[tokio::test]
async fn optional_certificate_may_be_missing() {
    let listener = Listener::start("optional", "").await;
    let received = listener.get(&listener.client(None), SPOOFED).await.unwrap();
    assert!(received.starts_with("http/1.1 200"), "{received}");
    assert!(!received.contains("client-s-dn") && !received.contains("client_s_dn"), "{received}");
}

#[tokio::test]
async fn certificate_without_a_subject_is_accepted_and_sends_none() {
    let listener = Listener::start("required", "").await;
    let mut params = CertificateParams::new(["spiffe.test".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let client = listener.client(Some((&listener.clients, &params)));
    let received = listener.get(&client, SPOOFED).await.unwrap();
    assert!(received.starts_with("http/1.1 200") && !received.contains("s-dn"), "{received}");
}

#[tokio::test]
async fn wrong_certificates_are_refused_in_both_modes_and_missing_ones_if_required() {
    for mode in ["required", "optional"] {
        let listener = Listener::start(mode, "").await;
        let stranger = Authority::named("a stranger");
        let namesake = Authority::new();
        let mut expired = ada();
        expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let mut early = ada();
        early.not_before = rcgen::date_time_ymd(2100, 1, 1);
        let mut refused = vec![
            (Some((&stranger, ada())), "unknownca"),
            (Some((&namesake, ada())), "decrypterror"),
            (Some((&listener.clients, expired)), "certificateexpired"),
            (Some((&listener.clients, early)), "certificate"),
        ];
        if mode == "required" {
            refused.push((None, "certificaterequired"));
        }
        let count = refused.len();
        for (identity, alert) in refused {
            let client = listener.client(identity.as_ref().map(|(authority, params)| (*authority, params)));
            let mut stream = connect(&listener.gateway, &client, "a.test").await.unwrap();
            stream.write_all(b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
            // The gateway has refused the certificate when the request arrives, and the client still receives the alert.
            sleep(Duration::from_millis(50)).await;
            stream.write_all(b"GET /b HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
            let error = stream.read_u8().await.unwrap_err().to_string();
            assert!(error.to_ascii_lowercase().contains(alert), "{mode} {alert}: {error}");
        }
        let metrics = listener.gateway.metrics();
        assert!(metrics.contains(&format!("tollgate_tls_handshake_failures_total {count}\n")), "{metrics}");
        // Others are served afterwards.
        let client = listener.client(Some((&listener.clients, &ada())));
        assert!(listener.get(&client, "").await.unwrap().starts_with("http/1.1 200"));
    }
}

#[tokio::test]
async fn records_name_the_certificate_as_the_subject() {
    let mut listener = Listener::start("optional", "").await;
    let client = listener.client(Some((&listener.clients, &ada())));
    listener.get(&client, "").await.unwrap();
    listener.get(&listener.client(None), "").await.unwrap();
    let mut subjects = Vec::new();
    for record in listener.gateway.stop().await {
        if let Record::Counts { counts, .. } = record {
            subjects.extend(counts.into_iter().map(|counts| counts.subject));
        }
    }
    let names: Vec<_> = subjects.iter().filter_map(Subject::name).map(|name| name.name).collect();
    assert_eq!((names, subjects.len()), (vec!["CN=ada,O=Example\\, Inc."], 2));
    assert!(subjects.contains(&Subject::ANONYMOUS));
}
