//! Targets in absolute form [RFC 9112, 3.2.2]: exactly one authority, which replaces `Host`.

use super::{Row, read, refused};

pub(super) const ROWS: &[Row] = &[
    read(
        "absolute_form_of_the_same_host",
        "9112, 3.2.2",
        b"GET http://x/o/a?b HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/a?b"],
    ),
    read(
        "absolute_form_in_other_case",
        "9110, 4.2.3",
        b"GET HTTP://X.Example/o/a HTTP/1.1\r\nhost: x.example\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: X.Example"]),
    read(
        "absolute_form_of_the_same_host_and_port",
        "9112, 3.2.2",
        b"GET http://x:8080/o/a HTTP/1.1\r\nhost: x:8080\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: x:8080"]),
    read(
        "absolute_form_of_another_host",
        "9112, 3.2.2",
        b"GET http://y/o/a HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: y"]),
    read(
        "absolute_form_of_another_port",
        "9112, 3.2.2",
        b"GET http://x:81/o/a HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: x:81"]),
    refused("absolute_form_without_host", "9112, 3.2", b"GET http://x/o/a HTTP/1.1\r\n\r\n"),
    refused("absolute_form_with_an_empty_host", "9112, 3.2", b"GET http://x/o/a HTTP/1.1\r\nhost:\r\n\r\n"),
    read(
        "absolute_form_of_another_host_in_http_1_0",
        "9112, 3.2.2",
        b"GET http://y/o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: y"]),
    refused("userinfo_in_the_target", "9110, 4.2.4", b"GET http://u:p@x/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("userinfo_that_looks_like_the_host", "9110, 4.2.4", b"GET http://x@y/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("userinfo_in_target_and_host", "9110, 4.2.4", b"GET http://u@x/o/a HTTP/1.1\r\nhost: u@x\r\n\r\n"),
    refused("scheme_of_ftp", "9110, 4.2", b"GET ftp://x/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("scheme_of_a_file", "9110, 4.2", b"GET file:///etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("scheme_of_a_script", "9110, 4.2", b"GET javascript:alert(1) HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("scheme_without_authority", "9110, 4.2", b"GET http:/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("absolute_form_with_an_empty_authority", "9110, 4.2.1", b"GET http:///o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("absolute_form_with_a_fragment", "9112, 3.2.2", b"GET http://x/o/a#b HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("absolute_form_with_words_for_a_port", "3986, 3.2.3", b"GET http://x:y/o/a HTTP/1.1\r\nhost: x:y\r\n\r\n"),
    read("absolute_form_of_https", "9112, 3.2.2", b"GET https://x/o/a HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o/a"])
        .with(&["x-forwarded-proto: http"]),
    refused("absolute_form_within_a_path", "9112, 3.2.2", b"GET http://x/../k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("backslashes_in_the_authority", "9112, 3.2.2", b"GET http:\\\\x\\o\\a HTTP/1.1\r\nhost: x\r\n\r\n"),
];
