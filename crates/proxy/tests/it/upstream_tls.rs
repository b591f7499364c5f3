//! `upstreams[].tls`: private roots, client certificates and names, and what a request gets if the handshake fails.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use access::Clock;
use http::StatusCode;
use http_body_util::BodyExt as _;
use rcgen::CertificateParams;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tls::{CertificateFiles, UpstreamTls, UpstreamTlsSettings};

use crate::gateway::Gateway;
use crate::upstream::{Authority, Upstream};

/// Returns a server with a certificate of `authority` for `name`, which requires client certificates of `clients`.
fn demanding(authority: &Authority, name: &str, clients: &Authority) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = authority.issue(&CertificateParams::new([name.to_owned()]).unwrap());
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    config.with_single_cert(vec![certificate], key).unwrap()
}

/// Writes the authority into ca.pem, and a client certificate of `clients` into me.pem and me.key.
fn write(folder: &TempDir, authority: &Authority, clients: &Authority) {
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let (certificate, key) = clients.certify(&["me"], 2100);
    fs::write(folder.path().join("me.pem"), certificate).unwrap();
    write_secret(&folder.path().join("me.key"), &key);
}

fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Starts a gateway before `https://HOST:PORT` with these keys of `tls`, in which FOLDER is replaced by the folder's path.
fn gateway(upstream: &Upstream, host: &str, tls: &str, folder: &TempDir) -> Gateway {
    let tls = tls.replace("FOLDER", &folder.path().display().to_string());
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\ntimeouts: {{connect: 5s}}\n\
         upstreams: [{{name: up, backends: [{{url: \"https://{host}:{}\"}}], tls: {{{tls}}}}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: up}}]\n",
        upstream.address.port()
    ))
}

/// Posts a request, and returns the status and the body of the response.
async fn post(gateway: &Gateway) -> (StatusCode, String) {
    let response = gateway.post("/echo", "hello").await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn private_roots_and_another_name_are_verified() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &authority);
    for (name, tls) in [
        ("localhost", "ca: FOLDER/ca.pem"),
        ("partner.internal", "ca: FOLDER/ca.pem, server_name: partner.internal"),
        ("10.0.0.9", "ca: FOLDER/ca.pem, server_name: 10.0.0.9"),
    ] {
        let upstream = Upstream::start(authority.server(name)).await;
        let gateway = gateway(&upstream, "localhost", tls, &folder);
        assert_eq!(post(&gateway).await, (StatusCode::OK, "hello".to_owned()), "{tls}");
        let notes = upstream.notes();
        let sent = (name != "10.0.0.9").then(|| name.to_owned());
        assert_eq!((&notes.handshakes[0].server_name, notes.handshakes[0].protocol.as_deref()), (&sent, Some("h2")));
        // The name of the certificate is not that of the request.
        assert!(notes.requests[0].0.starts_with("localhost:"), "{notes:?}");
    }
}

#[tokio::test]
async fn client_certificate_is_presented_and_a_missing_or_foreign_one_is_an_error_with_a_code() {
    let authority = Authority::new();
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &clients);
    let upstream = Upstream::start(demanding(&authority, "localhost", &clients)).await;
    let own = "ca: FOLDER/ca.pem, cert: FOLDER/me.pem, key: FOLDER/me.key";
    let trusted = gateway(&upstream, "localhost", own, &folder);
    assert_eq!(post(&trusted).await, (StatusCode::OK, "hello".to_owned()));
    let requests = upstream.notes().requests.len();
    let without = gateway(&upstream, "localhost", "ca: FOLDER/ca.pem", &folder);
    let (status, body) = post(&without).await;
    assert!(status == StatusCode::BAD_GATEWAY && body.contains("\"code\":\"upstream_"), "{status} {body}");
    write(&folder, &authority, &Authority::new());
    let foreign = gateway(&upstream, "localhost", own, &folder);
    let (status, body) = post(&foreign).await;
    assert!(status == StatusCode::BAD_GATEWAY && body.contains("\"code\":\"upstream_"), "{status} {body}");
    assert_eq!(upstream.notes().requests.len(), requests);
}

#[tokio::test]
async fn wrong_roots_names_and_dates_are_upstream_connect() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &authority);
    fs::write(folder.path().join("other.pem"), Authority::new().pem()).unwrap();
    for (server, tls) in [
        (authority.server("localhost"), "ca: FOLDER/other.pem"),
        (authority.server("localhost"), "server_name: localhost"),
        (authority.server("localhost"), "ca: FOLDER/ca.pem, server_name: partner.internal"),
        (authority.server("partner.internal"), "ca: FOLDER/ca.pem"),
        (authority.expired_server("localhost"), "ca: FOLDER/ca.pem"),
    ] {
        let upstream = Upstream::start(server).await;
        let (status, body) = post(&gateway(&upstream, "localhost", tls, &folder)).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{tls} {body}");
        assert!(
            body.contains("\"code\":\"upstream_connect\"") && body.contains("TLS to the upstream failed"),
            "{body}"
        );
        assert!(upstream.notes().requests.is_empty());
    }
}

#[tokio::test]
async fn upstreams_with_different_certificates_share_no_connection() {
    let authority = Authority::new();
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &clients);
    let upstream = Upstream::start(demanding(&authority, "localhost", &clients)).await;
    let folder = folder.path().display();
    let port = upstream.address.port();
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         upstreams:\n\
         - {{name: with, backends: [{{url: \"https://localhost:{port}\"}}],\n   \
             tls: {{ca: {folder}/ca.pem, cert: {folder}/me.pem, key: {folder}/me.key}}}}\n\
         - {{name: without, backends: [{{url: \"https://localhost:{port}\"}}], tls: {{ca: {folder}/ca.pem}}}}\n\
         routes:\n- {{path: /echo, upstreams: with}}\n- {{path: /other, upstreams: without}}\n"
    ));
    assert_eq!(post(&gateway).await.0, StatusCode::OK);
    // The idle connection of the other upstream would serve it.
    assert_eq!(gateway.post("/other", "hello").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(post(&gateway).await.0, StatusCode::OK);
}

#[tokio::test]
async fn changed_files_are_used_for_new_connections_and_broken_ones_are_not() {
    let authority = Authority::new();
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &clients);
    let path = |file: &str| folder.path().join(file);
    let settings = UpstreamTlsSettings {
        ca: Some(path("ca.pem")),
        identity: Some(CertificateFiles { certificate: path("me.pem"), key: path("me.key") }),
        server_name: None,
    };
    let now = Clock::system().now();
    let tls = UpstreamTls::load(settings, now).unwrap();
    let first = tls.config();
    assert!(tls.reload(now).iter().all(|state| !state.has_failed) && Arc::ptr_eq(&first, &tls.config()));
    fs::write(path("me.pem"), "no certificate").unwrap();
    fs::write(path("ca.pem"), "no certificate").unwrap();
    assert!(tls.reload(now).iter().all(|state| state.has_failed) && Arc::ptr_eq(&first, &tls.config()));
    write(&folder, &Authority::new(), &clients);
    assert!(tls.reload(now).iter().all(|state| !state.has_failed) && !Arc::ptr_eq(&first, &tls.config()));
    assert!(!format!("{tls:?}").contains("PRIVATE"));
}

/// Posts a chat completion through a gateway to an LLM provider with these keys of `tls`.
async fn complete(upstream: &Upstream, tls: &str, folder: &TempDir) -> (StatusCode, String) {
    let tls = tls.replace("FOLDER", &folder.path().display().to_string());
    let gateway = Gateway::plain(&format!(
        "timeouts: {{connect: 5s}}\nproviders: [{{name: far, kind: openai, base_url: \"https://localhost:{}/v1\", \
         credential: sk-far, tls: {{{tls}}}}}]\n",
        upstream.address.port()
    ));
    let response = gateway.post("/v1/chat/completions", r#"{"model":"far/m","messages":[]}"#).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn llm_call_uses_the_private_roots_and_the_client_certificate_of_its_provider() {
    let authority = Authority::new();
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &clients);
    for (server, tls) in [
        (authority.server("localhost"), "ca: FOLDER/ca.pem"),
        (authority.server("llm.internal"), "ca: FOLDER/ca.pem, server_name: llm.internal"),
        (demanding(&authority, "localhost", &clients), "ca: FOLDER/ca.pem, cert: FOLDER/me.pem, key: FOLDER/me.key"),
    ] {
        let upstream = Upstream::start(server).await;
        let (status, body) = complete(&upstream, tls, &folder).await;
        assert!(status == StatusCode::OK && body.contains("\"model\":\"far/m\""), "{tls} {status} {body}");
        assert_eq!(upstream.notes().requests.len(), 1, "{tls}");
    }
}

#[tokio::test]
async fn llm_call_is_refused_without_the_roots_or_the_client_certificate_of_its_provider() {
    let authority = Authority::new();
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &authority, &clients);
    for (server, tls, code) in [
        (authority.server("localhost"), "server_name: localhost", "upstream_connect"),
        (authority.server("localhost"), "ca: FOLDER/me.pem", "upstream_connect"),
        (authority.server("llm.internal"), "ca: FOLDER/ca.pem", "upstream_connect"),
        (demanding(&authority, "localhost", &clients), "ca: FOLDER/ca.pem", "upstream_"),
    ] {
        let upstream = Upstream::start(server).await;
        let (status, body) = complete(&upstream, tls, &folder).await;
        assert!(status == StatusCode::BAD_GATEWAY && body.contains(&format!("\"code\":\"{code}")), "{tls} {body}");
        assert!(upstream.notes().requests.is_empty(), "{tls}");
    }
}
