//! Keys and spellings that errors suggest.

use super::*;

#[test]
fn unknown_key_names_the_nearest_one_of_the_file() {
    for (source, near) in [
        ("first_byte: 5s\n", Some("timeouts.first_byte")),
        ("frist_byte: 5s\n", Some("timeouts.first_byte")),
        ("timeouts: {listen: 1}\n", Some("listen")),
        ("upstreams: [{name: u, attempts: 3, backends: [{url: http://h}]}]\n", Some("retry.attempts")),
        ("upstreams: [{name: u, retry: {atempts: 3}, backends: [{url: http://h}]}]\n", Some("attempts")),
        ("routes: [{path: /, respond: {}, ejection: {}}]\n", Some("upstreams[].ejection")),
        ("quota: 5\n", Some("plans[].quotas")),
        ("elsewhere: 5\n", None),
    ] {
        let error = read_text(source).unwrap_err();
        let problem = error.problems.iter().find(|problem| problem.code == Code::UnknownKey).unwrap();
        assert_eq!(problem.near.as_deref(), near, "{source}");
    }
}

#[test]
fn a_text_that_is_not_ascii_says_how_it_is_written() {
    for (source, near, rule) in [
        ("routes: [{host: bücher.example, path: /, respond: {}}]", Some("xn--bcher-kva.example"), "in Punycode"),
        ("routes: [{host: '*.bücher.example', path: /, respond: {}}]", Some("*.xn--bcher-kva.example"), "in Punycode"),
        ("routes: [{path: /café, respond: {}}]", Some("/caf%C3%A9"), "percent-encoded"),
        ("routes: [{path: '/café/{id}', respond: {}}]", Some("/caf%C3%A9/{id}"), "percent-encoded"),
        ("routes: [{path: {prefix: /é}, respond: {}}]", Some("/%C3%A9"), "percent-encoded"),
        (
            "upstreams: [{name: u, backends: [{url: 'http://bücher.example/é'}]}]",
            Some("http://xn--bcher-kva.example/%C3%A9"),
            "in Punycode in the host",
        ),
        (
            "providers: [{name: a, kind: openai, credential: k, base_url: 'https://bücher.example/v1'}]",
            Some("https://xn--bcher-kva.example/v1"),
            "in Punycode in the host",
        ),
        ("routes: [{host: 'a b ü', path: /, respond: {}}]", None, "a host, perhaps with a port"),
    ] {
        let error = read_text(source).unwrap_err();
        let [problem] = &error.problems[..] else { panic!("{source}: {error}") };
        assert_eq!(problem.near.as_deref(), near, "{source}");
        assert!(problem.expected.as_deref().unwrap().contains(rule), "{source}: {problem}");
    }
}
