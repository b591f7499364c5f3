//! The sources of members.

use super::errors::check_codes;
use super::*;
use crate::snapshot::{MemberPart, MemberSource, Upstream};

fn upstream(source: &str) -> Arc<Upstream> {
    snapshot(source).traffic.upstreams[0].clone()
}

fn sources(source: &str) -> Vec<String> {
    upstream(source).discovery.iter().flat_map(|discovery| discovery.sources()).collect()
}

#[test]
fn each_source_has_its_name_and_its_settings() {
    for (keys, expected) in [
        ("upstreams: [{name: u, discover: {dns: 'users.internal:8080'}}]", "dns users.internal:8080"),
        ("upstreams: [{name: u, discover: {dns: users.internal, scheme: https}}]", "dns users.internal:443"),
        ("upstreams: [{name: u, discover: {dns: _http._tcp.users.internal}}]", "dns _http._tcp.users.internal"),
        ("etcd: {urls: ['http://h:2379']}\nupstreams: [{name: u, discover: {etcd: /services/}}]", "etcd /services/"),
        ("consul: {url: 'http://h:8500'}\nupstreams: [{name: u, discover: {consul: users}}]", "consul users"),
    ] {
        assert_eq!(sources(keys), [expected], "{keys}");
        assert!(upstream(keys).backends().is_empty(), "nothing is found yet");
    }
}

#[test]
fn names_in_urls_are_sources_only_with_the_section() {
    let backends =
        "backends: [{url: 'http://a.internal:81/x', weight: 3}, {url: 'http://10.0.0.1'}, {url: 'http://localhost'}]";
    let upstreams = format!("upstreams: [{{name: u, {backends}}}]\n");
    assert!(upstream(&upstreams).discovery.is_none());
    let with = format!("dns: {{servers: [10.0.0.53], refresh_max: 5s}}\n{upstreams}");
    let upstream = upstream(&with);
    let discovery = upstream.discovery.as_ref().unwrap();
    let MemberPart::Found { source: MemberSource::Dns { settings }, template, weight } = &discovery.parts[0] else {
        panic!("{discovery:?}")
    };
    assert_eq!((settings.servers[0].to_string().as_str(), settings.refresh_max.as_secs()), ("10.0.0.53:53", 5));
    assert_eq!((template.path.as_str(), *weight), ("/x", 3));
    assert!(matches!(&discovery.parts[1..], [MemberPart::Fixed(_), MemberPart::Fixed(_)]));
}

#[test]
fn invalid_sources_are_reported_at_their_places() {
    for (source, problems) in [
        ("upstreams: [{name: u, discover: {etcd: /a/}}]", [("missing", 1, 40)]),
        ("upstreams: [{name: u, discover: {consul: a}}]", [("missing", 1, 42)]),
        ("upstreams: [{name: u, discover: {dns: 10.0.0.1}}]", [("bad_value", 1, 39)]),
        ("upstreams: [{name: u, discover: {dns: '_http._tcp.a:80'}}]", [("bad_value", 1, 39)]),
        ("dns: {servers: [ns.internal]}", [("bad_value", 1, 17)]),
        ("dns: {refresh_max: 100ms}", [("bad_value", 1, 20)]),
        ("etcd: {urls: ['h2c://h']}", [("bad_value", 1, 15)]),
        ("etcd: {urls: ['http://h'], user: a}", [("missing", 1, 1)]),
        ("etcd: {urls: ['http://h'], password: a}", [("missing", 1, 1)]),
        ("etcd: {user: a, password: b}", [("missing", 1, 1)]),
        ("consul: {token: a}", [("missing", 1, 1)]),
    ] {
        check_codes(source, &problems);
    }
}
