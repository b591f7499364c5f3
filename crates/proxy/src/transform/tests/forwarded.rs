use super::*;

#[test]
fn subject_of_a_certificate_replaces_what_the_client_sent() {
    const NAME: &str = "x-ssl-client-s-dn";
    let spoofed = [("X-SSL-Client-S-DN", "CN=root"), ("x_ssl_client_s_dn", "CN=root"), ("Connection", NAME)];
    let allowed = [Box::from(NAME)];
    let origin = origin_of("192.0.2.1", "https");
    for trust in [&[][..], &allowed] {
        let mut own = client(Trust::Route(trust), &origin);
        own.trust.certificate = Some(b"CN=ada");
        let written = from_client(&spoofed, own);
        assert_eq!(written.value(NAME), "CN=ada");
        assert!(!written.has("x_ssl_client_s_dn"), "{written:?}");
        // A route cannot allow a client without a certificate to name one.
        let written = trusting(&spoofed[..2], Trust::Route(trust));
        assert!(!written.has(NAME) && !written.has("x_ssl_client_s_dn"), "{written:?}");
    }
    // The certificate of a trusted proxy is its own; it names the one of its client.
    let mut proxy = client(Trust::Peer(&[]), &origin);
    proxy.trust.certificate = Some(b"CN=proxy");
    assert_eq!(from_client(&spoofed[..2], proxy).value(NAME), "CN=root");
}

#[test]
fn forwarded_and_via_are_written_if_they_are_configured() {
    let received = [("Host", "api.example:8080"), ("Forwarded", "for=evil"), ("Via", "1.0 first")];
    assert!(!to_upstream(&received).has("forwarded"));
    assert_eq!(to_upstream(&received).values("via"), ["1.0 first"]);
    let options = ForwardingOptions { forwarded: true, keeps_received: false, via: Some(["2", "tollgate"]) };
    for (address, expected) in [
        ("192.0.2.1", "for=192.0.2.1;host=\"api.example:8080\";proto=https"),
        ("2001:db8::7", "for=\"[2001:db8::7]\";host=\"api.example:8080\";proto=https"),
    ] {
        let client_origin = origin_of(address, "https");
        let own = ForwardedClient { options, ..client(Trust::Peer(&[]), &client_origin) };
        let head = get(&received);
        let edits = upstream_edits_of(&head, own);
        assert_eq!(Written::new(&head, &edits).value("forwarded"), expected);
        // The last gateway is the last value (RFC 9110, 7.6.3).
        let via: Vec<_> = edits
            .kept(head.fields())
            .chain(edits.added())
            .filter(|field| field.name.eq_ignore_ascii_case(b"via"))
            .collect();
        assert_eq!(via.iter().map(|field| field.value).collect::<Vec<_>>(), [&b"1.0 first"[..], b"2 tollgate"]);
    }
}

#[test]
fn upstreams_receive_what_a_trusted_proxy_reports_only_if_it_is_kept() {
    let received = [
        ("Host", "inner"),
        ("X-Forwarded-Host", "pub.example"),
        ("X_Forwarded_Host", "evil.example"),
        ("X-Forwarded-Port", "8443"),
        ("x-forwarded-prefix", "/api"),
        ("X-Forwarded-Server", "other"),
        ("X-Forwarded-For", "192.0.2.7"),
    ];
    let chain = ClientOrigin::proxied("192.0.2.7".parse().unwrap(), "https", b"192.0.2.7, 127.0.0.1");
    for (keeps_received, host, port, prefix) in
        [(true, "pub.example", vec!["8443"], vec!["/api"]), (false, "inner", vec![], vec![])]
    {
        let options = ForwardingOptions { keeps_received, ..ForwardingOptions::default() };
        let written = from_client(&received, ForwardedClient { options, ..client(Trust::Peer(&[]), &chain) });
        assert_eq!(written.value("x-forwarded-host"), host, "{written:?}");
        assert_eq!((written.values("x-forwarded-port"), written.values("x-forwarded-prefix")), (port, prefix));
        assert_eq!(written.value("x-forwarded-for"), "192.0.2.7, 127.0.0.1");
        assert_eq!(written.value("x-forwarded-proto"), "https");
        assert!(!written.has("x_forwarded_host") && !written.has("x-forwarded-server"));
    }
    let options = ForwardingOptions { keeps_received: true, ..ForwardingOptions::default() };
    let own = ForwardedClient { options, ..client(Trust::Peer(&[]), &chain) };
    assert_eq!(from_client(&received[..1], own).value("x-forwarded-host"), "inner");
}

#[test]
fn the_host_of_an_absolute_target_is_forwarded() {
    let head = head("GET http://a.example/x", &[("Host", "b.example")]);
    let origin = origin_of("192.0.2.1", "http");
    let options = ForwardingOptions { forwarded: true, ..ForwardingOptions::default() };
    let edits = upstream_edits_of(&head, ForwardedClient { options, ..client(Trust::Route(&[]), &origin) });
    let written = Written::new(&head, &edits);
    assert_eq!(written.value("x-forwarded-host"), "a.example");
    assert_eq!(written.value("forwarded"), "for=192.0.2.1;host=\"a.example\";proto=http");
}

#[test]
fn the_bound_of_forwards_of_options_and_trace_is_decremented() {
    let origin = origin_of("192.0.2.1", "http");
    for (line, values, expected) in [
        ("OPTIONS /", vec!["5"], vec!["4"]),
        ("TRACE /", vec!["2", "1"], vec!["0"]),
        ("OPTIONS /", vec!["99999999999999999999999"], vec!["18446744073709551614"]),
        ("OPTIONS /", vec!["x"], vec!["x"]),
        ("GET /", vec!["5"], vec!["5"]),
    ] {
        let fields: Vec<_> = values.into_iter().map(|value| ("Max-Forwards", value)).collect();
        let head = head(line, &fields);
        let edits = upstream_edits_of(&head, client(Trust::Route(&[]), &origin));
        assert_eq!(Written::new(&head, &edits).values("max-forwards"), expected, "{line}");
    }
}
