//! Values of `Content-Length` [RFC 9110, 8.6; RFC 9112, 6.2 and 6.3].

use super::{Row, read, refused, unfinished};

pub(super) const ROWS: &[Row] = &[
    refused(
        "two_lengths",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    ),
    refused(
        "two_equal_lengths",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    ),
    refused(
        "two_lengths_apart_in_two_cases",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nContent-Length: 0\r\nhost: x\r\na: b\r\ncontent-length: 5\r\n\r\nhello",
    ),
    refused(
        "two_equal_lengths_in_one_field",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 5\r\n\r\nhello",
    ),
    refused(
        "two_lengths_in_one_field",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5,6\r\n\r\nhello",
    ),
    refused(
        "length_with_a_comma_behind",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5,\r\n\r\nhello",
    ),
    refused("length_with_a_plus", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nhello"),
    refused("length_below_zero", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\nhello"),
    refused("minus_zero_as_a_length", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: -0\r\n\r\n"),
    refused(
        "length_with_a_space_inside",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5 5\r\n\r\nhello",
    ),
    refused("length_in_hex", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 0x5\r\n\r\nhello"),
    refused("length_with_a_point", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5.0\r\n\r\nhello"),
    refused(
        "length_with_an_exponent",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5e0\r\n\r\nhello",
    ),
    refused(
        "length_with_an_underscore",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1_0\r\n\r\n0123456789",
    ),
    refused("length_in_quotes", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: \"5\"\r\n\r\nhello"),
    refused(
        "length_with_a_parameter",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5;a=b\r\n\r\nhello",
    ),
    refused("length_in_words", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: five\r\n\r\nhello"),
    refused(
        "length_in_digits_of_another_script",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: \xd9\xa5\r\n\r\nhello",
    ),
    refused("empty_length", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length:\r\n\r\nhello"),
    refused("blank_length", "9110, 8.6", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: \t\r\n\r\nhello"),
    refused(
        "length_with_a_vertical_tab",
        "9110, 5.6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\x0b\r\n\r\nhello",
    ),
    refused("length_with_a_nul", "9110, 5.5", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\0\r\n\r\nhello"),
    refused(
        "length_of_2_to_64",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551616\r\n\r\nhello",
    ),
    refused(
        "length_of_5_over_2_to_64",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551621\r\n\r\nhello",
    ),
    refused(
        "length_of_100_digits",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: <<100*9>>\r\n\r\nhello",
    ),
    refused(
        "length_of_2_to_63",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 9223372036854775808\r\n\r\nhello",
    )
    .code("payload_too_large"),
    refused(
        "length_just_below_2_to_64",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551614\r\n\r\nhello",
    ),
    refused(
        "length_with_a_space_before_the_colon",
        "9112, 5.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length : 5\r\n\r\nhello",
    ),
    refused(
        "length_on_a_folded_line",
        "9112, 5.2",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length:\r\n 5\r\n\r\nhello",
    ),
    refused(
        "length_behind_a_lone_lf",
        "9112, 2.2",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\na: b\ncontent-length: 5\r\n\r\nhello",
    ),
    read(
        "length_with_blanks_around_it",
        "9112, 5.1",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: \t5 \t\r\n\r\nhello",
        &["POST /o/a | hello"],
    ),
    read(
        "length_with_a_zero_before_it_is_decimal",
        "9110, 8.6",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 010\r\n\r\n0123456789",
        &["POST /o/a | 0123456789"],
    ),
    refused(
        "length_with_an_underscore_in_its_name",
        "3875, 4.1.18",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent_length: 5\r\n\r\nhello",
    ),
    read(
        "body_of_a_get",
        "9110, 9.3.1",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
        &["GET /o/a | hello"],
    ),
    read(
        "body_of_a_delete",
        "9110, 9.3.5",
        b"DELETE /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
        &["DELETE /o/a | hello"],
    ),
    read(
        "body_that_looks_like_a_request",
        "9112, 6.3",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 39\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: b",
        &["GET /o/a | GET /o/smuggled HTTP/1.1\\r\\nhost: x\\r\\na: b"],
    ),
    read("post_without_framing_has_no_body", "9112, 6.3", b"POST /o/a HTTP/1.1\r\nhost: x\r\n\r\n", &["POST /o/a"]),
    refused(
        "what_follows_a_shorter_length",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhello\r\n\r\n",
    )
    .after(&["POST /o/a | he"]),
    refused(
        "what_follows_a_body_that_was_not_framed",
        "9112, 6.3",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\n\r\nhello\r\n\r\n",
    )
    .after(&["POST /o/a"]),
    unfinished(
        "shorter_body_than_the_length",
        "9112, 8",
        b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello",
    ),
];
