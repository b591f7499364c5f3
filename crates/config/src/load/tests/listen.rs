//! Listeners: their forms, their TLS, and what other machines may reach.

use super::errors::{check, check_codes};
use super::*;
use crate::snapshot::{ClientMode, Listener, MinVersion};

/// Returns the addresses that the file configures.
fn addresses(source: &str) -> Vec<String> {
    snapshot(source).process.listen.iter().map(|listener| listener.address.to_string()).collect()
}

/// The message and the position of each problem of a server that would start with this file.
fn problems(source: &str) -> Vec<(String, u32, u32)> {
    let error = read_text(source).and_then(LoadedConfig::for_server).map(|_| ()).unwrap_err();
    let problem = |problem: &Problem| {
        let place = problem.place.unwrap();
        (problem.message.clone(), place.line, place.column)
    };
    error.problems.iter().map(problem).collect()
}

#[test]
fn a_list_may_have_addresses_and_mappings() {
    assert_eq!(addresses("listen: '[::1]:1'"), ["[::1]:1"]);
    assert_eq!(addresses("listen: ['127.0.0.1:1', {address: '127.0.0.1:2'}]"), ["127.0.0.1:1", "127.0.0.1:2"]);
}

#[test]
fn unix_sockets_have_a_path_and_permissions() {
    assert_eq!(addresses("listen: unix:/run/t.sock"), ["unix:/run/t.sock"]);
    assert_eq!(
        addresses("listen: ['unix:/run/t.sock', {address: '127.0.0.1:2'}]"),
        ["unix:/run/t.sock", "127.0.0.1:2"]
    );
    let both =
        snapshot("listen: [{address: 'unix:/run/t.sock', socket_mode: '0666'}]\ncontrol: {listen: 'unix:/run/c.sock'}");
    assert_eq!((both.process.listen[0].socket_mode, both.process.control.socket_mode), (0o666, 0o660));
    assert_eq!(both.process.public_listener(), None);
    for source in [
        "listen: 'unix:t.sock'",
        "listen: 'unix:/'",
        "listen: [{address: 'unix:/run/t.sock', socket_mode: '0888'}]",
        "listen: [{address: 'unix:/run/t.sock', socket_mode: 432}]",
        "listen: ['unix:/run/t.sock', 'unix:/run/t.sock']",
        "listen: 'unix:/run/t.sock'\ncontrol: {listen: 'unix:/run/t.sock'}",
        "listen: 'unix:/run/t.sock'\nupstreams: [{name: u, backends: [{url: 'unix:/run/t.sock'}]}]",
    ] {
        assert!(read_text(source).is_err(), "{source}");
    }
    let production = "production: true\nlisten: 'unix:/run/t.sock'\ncontrol: {listen: 'unix:/run/c.sock'}";
    assert!(read_text(production).is_ok(), "only this machine reaches the sockets");
}

#[test]
fn tls_has_one_certificate_or_several() {
    let one = "listen: [{address: '127.0.0.1:1', tls: {cert: a.pem, key: a.key, min_version: 1.3}}]";
    let [Listener { tls: Some(tls), .. }] = &snapshot(one).process.listen[..] else { panic!("one listener") };
    assert_eq!((tls.certificates.len(), tls.min_version), (1, MinVersion::Tls13));
    assert_eq!(tls.certificates[0].key, PathBuf::from("a.key"));
    let two = "listen: [{address: '127.0.0.1:1', tls: {certificates: [{cert: a, key: b}, {cert: c, key: d}], client: {ca: e, mode: optional}}}]";
    let [Listener { tls: Some(tls), .. }] = &snapshot(two).process.listen[..] else { panic!("one listener") };
    assert_eq!((tls.certificates.len(), tls.min_version), (2, MinVersion::Tls12));
    assert_eq!(tls.client.as_ref().unwrap().mode, ClientMode::Optional);
    assert!(snapshot("control: {tls: {cert: a, key: b}}").process.control.tls.is_some());
    for source in [
        "listen: [{address: '127.0.0.1:1', tls: {}}]",
        "listen: [{address: '127.0.0.1:1', tls: {cert: a}}]",
        "listen: [{address: '127.0.0.1:1', tls: {key: a}}]",
        "listen: [{address: '127.0.0.1:1', tls: {certificates: []}}]",
        "listen: [{address: '127.0.0.1:1', tls: {certificates: [{cert: a}]}}]",
        "listen: [{address: '127.0.0.1:1', tls: {cert: a, key: b, certificates: [{cert: a, key: b}]}}]",
        "listen: [{address: '127.0.0.1:1', tls: {cert: a, key: b, min_version: '1.1'}}]",
        "listen: [{address: '127.0.0.1:1', tls: {cert: a, key: b, client: {ca: c}}}]",
        "listen: [{address: '127.0.0.1:1', tls: {cert: a, key: b, client: {ca: c, mode: x}}}]",
        "control: {tls: {cert: a}}",
    ] {
        assert!(read_text(source).is_err(), "{source}");
    }
}

#[test]
fn every_certificate_that_a_server_cannot_use_is_reported_at_its_key() {
    let source = "listen:\n- address: 127.0.0.1:1\n  tls: {cert: /none/a.pem, key: /none/a.key}\n\
                  - address: 127.0.0.1:2\n  tls:\n    certificates:\n    - {cert: /none/b.pem, key: /none/b.key}\n\
                  control:\n  tls: {cert: /none/c.pem, key: /none/c.key}\n";
    let missing =
        |name: &str, file: &str| format!("`{name}`: {file} cannot be read: No such file or directory (os error 2)");
    assert_eq!(
        problems(source),
        [
            (missing("listen[0].tls.cert", "/none/a.pem"), 3, 15),
            (missing("listen[1].tls.certificates[0].cert", "/none/b.pem"), 7, 14),
            (missing("control.tls.cert", "/none/c.pem"), 9, 15),
        ]
    );
    assert!(read_text(source).is_ok(), "other commands do not need certificates");
}

#[test]
fn production_refuses_public_listeners_without_tls() {
    let message = |address: &str| format!("`production: true` refuses the listener {address}, which has no TLS");
    let source = "production: true\nlisten: ['127.0.0.1:1', '0.0.0.0:2']\ncontrol: {listen: '[::]:3'}\n";
    assert_eq!(problems(source), [(message("0.0.0.0:2"), 2, 25), (message("[::]:3"), 3, 19)]);
    for good in [
        "production: true\nlisten: '127.0.0.1:1'\n",
        "production: true\nplaintext: true\nlisten: '0.0.0.0:2'\n",
        "production: true\nlisten: [{address: '0.0.0.0:2', tls: {cert: a, key: b}}]\n",
    ] {
        assert!(read_text(good).is_ok(), "{good}");
    }
}

#[test]
fn public_listener_without_tls_is_noted_at_startup() {
    let notes = |source: &str| {
        let notes = read_text(source).unwrap().notes;
        notes.into_iter().filter(|note| matches!(note, Note::PublicPlaintext { .. })).count()
    };
    assert_eq!(notes("listen: '0.0.0.0:2'\ncontrol: {listen: '0.0.0.0:3'}\n"), 2);
    assert_eq!(notes("listen: '0.0.0.0:2'\nplaintext: true\n"), 0);
    assert_eq!(notes("listen: [{address: '0.0.0.0:2', tls: {cert: a, key: b}}]\n"), 0);
    assert_eq!(notes("listen: '127.0.0.1:2'\n"), 0);
}

#[test]
fn bounds_of_workers_and_of_requests_in_flight_are_named_with_their_place() {
    check(
        "data: x\nworkers: 300\nin_flight: 0\n",
        "
error[bad_value]: `workers` has an invalid value
 --> t.yaml:2:10
  |
2 | workers: 300
  |          ^^^ expected a whole number from 1 to 256, or `auto`

error[bad_value]: `in_flight` has an invalid value
 --> t.yaml:3:12
  |
3 | in_flight: 0
  |            ^ expected a whole number from 1 to 1000000",
    );
    for source in ["workers: 0", "workers: 257", "workers: all"] {
        check_codes(source, &[("bad_value", 1, 10)]);
    }
    for source in ["in_flight: 1000001", "in_flight: auto"] {
        check_codes(source, &[("bad_value", 1, 12)]);
    }
}

#[test]
fn proxy_protocol_needs_trusted_proxies() {
    let source = "listen:\n- address: 127.0.0.1:1\n  proxy_protocol: true\n- 127.0.0.1:2\n";
    let message = "`listen[0].proxy_protocol` lets only trusted proxies connect, but `trusted_proxies` is empty";
    assert_eq!(problems(source), [(message.to_owned(), 3, 19)]);
    let snapshot = snapshot(&format!("{source}trusted_proxies: 10.0.0.0/8\n"));
    let listeners: Vec<_> = snapshot.process.listen.iter().map(|listener| listener.proxy_protocol).collect();
    assert_eq!(listeners, [true, false]);
    assert!(read_text("listen: [{address: '127.0.0.1:1', proxy_protocol: false}]").is_ok());
}

#[test]
fn a_backend_is_no_listener_of_the_gateway() {
    let file = |url: &str| format!("listen: 127.0.0.1:8081\nupstreams: [{{name: u, backends: [{{url: '{url}'}}]}}]\n");
    for url in ["http://127.0.0.1:8081", "https://localhost:8081/x", "h2c://0.0.0.0:8081"] {
        let at: Vec<_> = problems(&file(url)).into_iter().map(|(_, line, column)| (line, column)).collect();
        assert_eq!(at, [(2, 40)], "{url}");
    }
    for url in ["http://127.0.0.1:8082", "http://192.0.2.1:8081", "http://example.com:8081"] {
        assert_eq!(snapshot(&file(url)).traffic.upstreams.len(), 1, "{url}");
    }
}
