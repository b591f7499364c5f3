//! Requests of HTTP/1.0 [RFC 1945; RFC 9112, C.2.2]: no chunks, no expectation, and no persistence unless asked for.

use super::{Row, answered, read, refused, unfinished};

pub(super) const ROWS: &[Row] = &[
    read(
        "old_request_with_a_length",
        "1945, 8.3",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        &["POST /o/a | hello"],
    ),
    read(
        "old_request_in_absolute_form",
        "9112, 3.2.2",
        b"GET http://x/o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        &["GET /o/a"],
    ),
    read(
        "old_post_without_a_length",
        "1945, 8.3",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        &["POST /o/a"],
    ),
    read(
        "old_request_that_names_a_field",
        "9110, 7.6.1",
        b"GET /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\n\r\n",
        &["GET /o/a"],
    )
    .without(&["x-hop", "connection"]),
    read(
        "old_request_behind_a_new_one",
        "9112, 9.3",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nGET /o/b HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        &["GET /o/a", "GET /o/b"],
    ),
    read(
        "old_request_with_an_empty_line_before_it",
        "9112, 2.2",
        b"\r\nGET /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        &["GET /o/a"],
    ),
    refused(
        "old_request_with_two_lengths",
        "9112, 6.3",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    ),
    refused(
        "old_request_with_a_length_in_hex",
        "9110, 8.6",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\ncontent-length: 0x5\r\n\r\nhello",
    ),
    refused(
        "old_request_with_length_and_chunks",
        "9112, 6.1",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "old_request_in_chunks_that_keeps_alive",
        "9112, 6.1",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "old_request_with_a_coding_of_identity",
        "9112, 6.1",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\ntransfer-encoding: identity\r\ncontent-length: 5\r\n\r\nhello",
    ),
    refused("old_request_with_a_fold", "9112, 5.2", b"GET /o/a HTTP/1.0\r\nhost: x\r\na: b\r\n c\r\n\r\n"),
    refused("old_request_with_lf_alone", "9112, 2.2", b"GET /o/a HTTP/1.0\nhost: x\n\n"),
    refused("old_request_with_an_empty_host", "9110, 4.2.1", b"GET /o/a HTTP/1.0\r\nhost:\r\n\r\n"),
    refused("old_request_with_a_fragment", "9112, 3.2", b"GET /o/a#b HTTP/1.0\r\nhost: x\r\n\r\n"),
    refused("version_1_0_with_a_space_behind_it", "9112, 2.3", b"GET /o/a HTTP/1.0 \r\nhost: x\r\n\r\n"),
    refused("version_1_00", "9112, 2.3", b"GET /o/a HTTP/1.00\r\nhost: x\r\n\r\n"),
    refused("version_00_9", "9112, 2.3", b"GET /o/a HTTP/00.9\r\nhost: x\r\n\r\n"),
    answered("old_request_to_no_route", "9112, 9.3", b"GET /nowhere HTTP/1.0\r\nhost: x\r\n\r\n", "route_not_found"),
    answered(
        "old_request_without_a_key",
        "9110, 11.6.1",
        b"GET /k/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        "unauthorized",
    ),
    unfinished(
        "old_request_with_a_shorter_body",
        "1945, 7.2.2",
        b"POST /o/a HTTP/1.0\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello",
    ),
];
