//! Exactly one valid `Host` field [RFC 9110, 7.2; RFC 9112, 3.2].

use super::{Row, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("no_host", "9112, 3.2", b"GET /o/a HTTP/1.1\r\n\r\n"),
    refused("no_host_but_another_field", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nx: y\r\n\r\n"),
    refused("two_hosts", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
    refused("two_equal_hosts", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nHost: x\r\n\r\n"),
    refused("two_hosts_apart", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\r\nc: d\r\nHOST: y\r\n\r\n"),
    refused("two_hosts_in_http_1_0", "9112, 3.2", b"GET /o/a HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n"),
    refused("two_hosts_in_one_field", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x, y\r\n\r\n"),
    refused("empty_host", "9110, 4.2.1", b"GET /o/a HTTP/1.1\r\nhost:\r\n\r\n"),
    refused("blank_host", "9110, 4.2.1", b"GET /o/a HTTP/1.1\r\nhost: \t \r\n\r\n"),
    refused("host_with_a_path", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x/k\r\n\r\n"),
    refused("host_with_userinfo", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: u@x\r\n\r\n"),
    refused("host_with_a_scheme", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: http://x\r\n\r\n"),
    refused("host_with_a_space", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x y\r\n\r\n"),
    refused("host_with_a_tab", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x\ty\r\n\r\n"),
    refused("host_with_a_query", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x?y\r\n\r\n"),
    refused("host_with_a_fragment", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x#y\r\n\r\n"),
    refused("host_with_a_backslash", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x\\y\r\n\r\n"),
    refused("host_with_words_for_a_port", "3986, 3.2.3", b"GET /o/a HTTP/1.1\r\nhost: x:y\r\n\r\n"),
    refused("host_with_two_ports", "3986, 3.2.3", b"GET /o/a HTTP/1.1\r\nhost: x:80:81\r\n\r\n"),
    refused("host_with_a_port_of_six_digits", "3986, 3.2.3", b"GET /o/a HTTP/1.1\r\nhost: x:000080\r\n\r\n"),
    refused("host_with_an_open_bracket", "3986, 3.2.2", b"GET /o/a HTTP/1.1\r\nhost: [::1\r\n\r\n"),
    refused("host_in_angle_brackets", "3986, 3.2.2", b"GET /o/a HTTP/1.1\r\nhost: <x>\r\n\r\n"),
    refused("host_with_bytes_over_127", "3986, 3.2.2", b"GET /o/a HTTP/1.1\r\nhost: x\xe9\r\n\r\n"),
    refused("host_with_a_nul", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\0\r\n\r\n"),
    refused("host_behind_a_second_colon", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost:: x\r\n\r\n"),
    refused("host_with_a_space_before_the_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost : x\r\n\r\n"),
    refused("host_on_a_folded_line", "9112, 5.2", b"GET /o/a HTTP/1.1\r\nhost:\r\n x\r\n\r\n"),
    refused("second_host_on_a_folded_line", "9112, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n host: y\r\n\r\n"),
    read("no_host_in_http_1_0", "9112, 3.2", b"GET /o/a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", &["GET /o/a"])
        .with(&["host"]),
    read("host_that_is_an_address", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n", &["GET /o/a"])
        .with(&["x-forwarded-host: [::1]:8080"]),
    read("host_with_blanks_around_it", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost: \t x \t\r\n\r\n", &["GET /o/a"])
        .with(&["x-forwarded-host: x"]),
    read(
        "forwarded_host_of_the_caller",
        "9110, 7.6",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\nx-forwarded-host: evil\r\nx-host: evil\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["x-forwarded-host: x"])
    .without(&["x-forwarded-host: evil"]),
];
