//! `Connection` and the fields that it names [RFC 9110, 7.6.1]: hop-by-hop fields are removed, and no others.

use super::{Row, answered, read, refused};

pub(super) const ROWS: &[Row] = &[
    read("named_field_ends_here", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: x-hop, X-Other\r\nx-hop: 1\r\nx-other: 2\r\nx-end: 3\r\n\r\n", &["GET /o/a"]).with(&["x-end: 3"]).without(&["connection", "x-hop", "x-other"]),
    read("fields_named_in_two_connections", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: x-hop\r\nConnection: x-other\r\nx-hop: 1\r\nx-other: 2\r\n\r\n", &["GET /o/a"]).without(&["connection", "x-hop", "x-other"]),
    read("length_named", "9110, 7.6.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]),
    read("length_of_a_get_named", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nhello", &["GET /o/a | hello"]),
    read("coding_named", "9110, 7.6.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nconnection: transfer-encoding\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["POST /o/a | hello"]).with(&["transfer-encoding: chunked"]),
    read("host_named", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: host\r\n\r\n", &["GET /o/a"]).with(&["host"]),
    read("our_fields_named", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-request-id, traceparent\r\n\r\n", &["GET /o/a"]).with(&["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-forwarded-host: x", "x-request-id", "traceparent"]),
    read("nothing_named", "9110, 5.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: , ,,\t,\r\n\r\n", &["GET /o/a"]).without(&["connection"]),
    read("names_that_are_none", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: \"x-hop\", x hop, \xff, :\r\nx-hop: 1\r\n\r\n", &["GET /o/a"]).without(&["connection"]).with(&["x-hop: 1"]),
    read("byte_over_127_beside_a_name", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: \xff, x-hop\r\nx-hop: 1\r\n\r\n", &["GET /o/a"]).without(&["connection", "x-hop"]),
    refused("two_thousand_names", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: <<2000*a,>>x-hop\r\nx-hop: 1\r\n\r\n"),
    read("fields_of_a_connection_without_a_name", "9110, 7.6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nkeep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nte: deflate\r\ntrailer: a\r\nupgrade: x\r\n\r\n", &["GET /o/a"]).without(&["keep-alive", "proxy-connection", "te", "trailer", "upgrade"]),
    read("credentials_for_the_proxy", "9110, 11.7.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic eDp5\r\nproxy-authenticate: Basic\r\n\r\n", &["GET /o/a"]).without(&["proxy-authorization", "proxy-authenticate"]),
    read("words_of_others_about_the_caller", "7239, 8.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\nx-real-ip: 1.2.3.4\r\nx-forwarded-port: 1\r\nx-forwarded-prefix: /k\r\n\r\n", &["GET /o/a"]).with(&["x-forwarded-for: 127.0.0.1"]).without(&["x-forwarded-for: 1.2.3.4", "forwarded", "x-real-ip", "x-forwarded-port", "x-forwarded-prefix"]),
    answered("credential_named_is_still_asked_for", "9110, 7.6.1", b"GET /k/a HTTP/1.1\r\nhost: x\r\nconnection: authorization\r\nauthorization: Bearer nothing\r\n\r\n", "key_malformed"),
    read("key_of_ours_on_an_open_route", "9110, 11.6.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\nx-api-key: <<KEY>>\r\n\r\n", &["GET /o/a"]).without(&["authorization", "x-api-key"]),
];
