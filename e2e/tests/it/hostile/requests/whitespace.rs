//! Whitespace that is not a space, or not where the grammar has it [RFC 9112, 2.2 and 3; RFC 9110, 5.6.3].

use super::{Row, cut, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("form_feed_after_the_method", "9112, 3", b"GET\x0c/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("form_feed_before_the_version", "9112, 3", b"GET /o/a\x0cHTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("no_break_space_before_the_version", "9112, 3", b"GET /o/a\xa0HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("wide_space_before_the_version", "9112, 3", b"GET /o/a\xe3\x80\x80HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("next_line_character_ends_the_request_line", "9112, 2.2", b"GET /o/a HTTP/1.1\x85host: x\r\n\r\n"),
    refused("line_separator_ends_the_request_line", "9112, 2.2", b"GET /o/a HTTP/1.1\xe2\x80\xa8host: x\r\n\r\n"),
    refused("tab_before_the_request_line", "9112, 3", b"\tGET /o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("space_on_the_empty_line_before_the_request", "9112, 2.2", b" \r\nGET /o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("tab_behind_the_version", "9112, 3", b"GET /o/a HTTP/1.1\t\r\nhost: x\r\n\r\n"),
    refused("form_feed_before_a_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\x0c: b\r\n\r\n"),
    refused("form_feed_behind_a_colon", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na:\x0cb\r\n\r\n"),
    refused("vertical_tab_before_a_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\x0b: b\r\n\r\n"),
    refused("backspace_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\x08c\r\n\r\n"),
    refused("bell_in_a_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\x07: b\r\n\r\n"),
    refused(
        "space_before_the_name_of_the_length",
        "9112, 2.2",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\n content-length: 5\r\n\r\nhello",
    ),
    refused(
        "tab_before_the_name_of_the_coding",
        "9112, 2.2",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\n\ttransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "space_before_the_first_field_of_all",
        "9112, 2.2",
        b"POST /o/a HTTP/1.1\r\n transfer-encoding: chunked\r\nhost: x\r\n\r\n0\r\n\r\n",
    ),
    refused("space_on_the_empty_line_behind_the_head", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n \r\n"),
    refused(
        "form_feed_in_a_length",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\x0c\r\n\r\nhello",
    ),
    refused(
        "no_break_space_before_a_length",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: \xa05\r\n\r\nhello",
    ),
    refused(
        "form_feed_before_chunked",
        "9110, 5.6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \x0cchunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "next_line_character_before_chunked",
        "9110, 5.6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \x85chunked\r\n\r\n0\r\n\r\n",
    ),
    refused("zero_width_space_in_the_host", "9110, 7.2", b"GET /o/a HTTP/1.1\r\nhost: x\xe2\x80\x8b\r\n\r\n"),
    cut(
        "form_feed_behind_a_size",
        "9112, 7.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\x0c\r\nhello\r\n0\r\n\r\n",
    ),
    cut(
        "no_break_space_behind_a_size",
        "9112, 7.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\xa0\r\nhello\r\n0\r\n\r\n",
    ),
    cut(
        "empty_line_before_the_first_size",
        "9112, 7.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    cut(
        "empty_line_between_chunks",
        "9112, 7.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n\r\n5\r\nworld\r\n0\r\n\r\n",
    ),
    cut(
        "space_before_the_last_size",
        "9112, 7.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n 0\r\n\r\n",
    ),
    read(
        "blanks_around_a_value_end_here",
        "9112, 5.1",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\na: \t \tb c\t \t\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["a: b c"]),
    read(
        "tabs_around_a_connection_option",
        "9110, 5.6.1",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection:\tx-hop\t,\t\r\nx-hop: 1\r\n\r\n",
        &["GET /o/a"],
    )
    .without(&["x-hop"]),
];
