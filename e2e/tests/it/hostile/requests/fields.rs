//! Syntax of field lines [RFC 9112, 5; RFC 9110, 5].

use super::{Row, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("space_before_the_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na : b\r\n\r\n"),
    refused("tab_before_the_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\t: b\r\n\r\n"),
    refused("no_name", "9112, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n"),
    refused("no_colon", "9112, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\nab\r\n\r\n"),
    refused("space_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n"),
    refused("bracket_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na(b: c\r\n\r\n"),
    refused("slash_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na/b: c\r\n\r\n"),
    refused("quotes_around_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\"a\": b\r\n\r\n"),
    refused("nul_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n"),
    refused("del_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\x7fb: c\r\n\r\n"),
    refused("byte_over_127_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\xe9: c\r\n\r\n"),
    refused("cr_in_the_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\na\rb: c\r\n\r\n"),
    refused("folded_line", "9112, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n"),
    refused("folded_line_with_a_tab", "9112, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\r\n\tc\r\n\r\n"),
    refused("folded_line_that_is_blank", "9112, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\r\n \r\n\r\n"),
    refused("blank_line_before_the_first_field", "9112, 2.2", b"GET /o/a HTTP/1.1\r\n a: b\r\nhost: x\r\n\r\n"),
    refused("tabbed_line_before_the_first_field", "9112, 2.2", b"GET /o/a HTTP/1.1\r\n\thost: y\r\nhost: x\r\n\r\n"),
    refused("lf_alone_ends_a_field", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\na: b\r\n\r\n"),
    refused(
        "lf_alone_smuggles_a_field",
        "9110, 5.5",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\nx-forwarded-for: 1.2.3.4\r\n\r\n",
    ),
    refused("lf_lf_ends_the_head", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\n\n"),
    refused("crlf_lf_ends_the_head", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\n"),
    refused("lf_crlf_ends_the_head", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\n\r\n"),
    refused("cr_alone_ends_a_field", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\ra: b\r\n\r\n"),
    refused("cr_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\rc\r\n\r\n"),
    refused("cr_before_the_line_end", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\r\r\n\r\n"),
    refused("cr_cr_lf_ends_the_head", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\r\n\r\n"),
    refused("nul_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n"),
    refused("nul_at_the_end_of_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\0\r\n\r\n"),
    refused("control_character_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\x01c\r\n\r\n"),
    refused("escape_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: \x1b[2J\r\n\r\n"),
    refused("del_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\x7fc\r\n\r\n"),
    refused("vertical_tab_before_a_value", "9110, 5.6.3", b"GET /o/a HTTP/1.1\r\nhost: x\r\na:\x0bb\r\n\r\n"),
    refused(
        "request_line_among_the_fields",
        "9112, 5",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\nGET /o/smuggled HTTP/1.1\r\n\r\n",
    ),
    refused("byte_order_mark_before_a_name", "9110, 5.1", b"GET /o/a HTTP/1.1\r\n\xef\xbb\xbfhost: x\r\n\r\n"),
    read(
        "bytes_over_127_in_a_value",
        "9110, 5.5",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\na: \xe9\xff\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["a: \u{e9}\u{ff}"]),
    read("tab_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: b\tc\r\n\r\n", &["GET /o/a"])
        .with(&["a: b\tc"]),
    read("colons_in_a_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na:: b:c\r\n\r\n", &["GET /o/a"])
        .with(&["a: : b:c"]),
    read("no_blank_after_the_colon", "9112, 5.1", b"GET /o/a HTTP/1.1\r\nhost:x\r\na:b\r\n\r\n", &["GET /o/a"])
        .with(&["a: b"]),
    read("empty_value", "9110, 5.5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na:\r\nb: \r\n\r\n", &["GET /o/a"])
        .with(&["a: ", "b: "]),
    read("one_name_in_two_cases", "9110, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nA: b\r\na: c\r\n\r\n", &["GET /o/a"])
        .with(&["a: b", "a: c"]),
    read(
        "odd_but_lawful_name",
        "9110, 5.6.2",
        b"GET /o/a HTTP/1.1\r\nhost: x\r\n!#$%&'*+-.^_`|~9: b\r\n\r\n",
        &["GET /o/a"],
    )
    .with(&["!#$%&'*+-.^_`|~9: b"]),
];
