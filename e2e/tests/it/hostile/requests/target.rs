//! The four forms of a target [RFC 9112, 3.2], and characters that are invalid in each.

use super::{Row, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("asterisk_with_get", "9112, 3.2.4", b"GET * HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("asterisk_and_more", "9112, 3.2.4", b"OPTIONS */o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("authority_with_get", "9112, 3.2.3", b"GET x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n"),
    refused("authority_without_port_with_get", "9112, 3.2.3", b"GET example.com HTTP/1.1\r\nhost: example.com\r\n\r\n"),
    refused("connect_to_an_authority", "9110, 9.3.6", b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n")
        .code("method_not_allowed"),
    refused("connect_to_a_path", "9112, 3.2.3", b"CONNECT /o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("connect_to_a_url", "9112, 3.2.3", b"CONNECT http://x/o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("path_without_a_slash", "9112, 3.2.1", b"GET o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("query_without_a_path", "9112, 3.2.1", b"GET ?a=b HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("fragment", "9112, 3.2", b"GET /o/a#b HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("fragment_that_hides_a_path", "9112, 3.2", b"GET /o/a#/../../k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("fragment_in_the_query", "9112, 3.2", b"GET /o/a?b#c HTTP/1.1\r\nhost: x\r\n\r\n"),
    read("quotes_in_the_target_stay", "3986, 2", b"GET /o/\"a\" HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o/\"a\""]),
    refused("angle_brackets_in_the_target", "3986, 2", b"GET /o/<script> HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("backslash_in_the_target", "3986, 2", b"GET /o\\a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("percent_at_the_end", "3986, 2.1", b"GET /o/a% HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("percent_with_one_digit", "3986, 2.1", b"GET /o/a%2 HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("percent_with_no_digits", "3986, 2.1", b"GET /o/%zz HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("percent_with_a_wide_character", "3986, 2.1", b"GET /o/%u002e HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("nul_in_percent", "3986, 7.3", b"GET /o/a%00.txt HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("overlong_slash_in_percent", "3629, 3", b"GET /o/..%c0%af../k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("overlong_dot_in_percent", "3629, 3", b"GET /o/%e0%80%AE./a HTTP/1.1\r\nhost: x\r\n\r\n"),
    read("latin_1_in_percent_stays", "3986, 2.1", b"GET /o/voil%e0 HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o/voil%e0"]),
    read(
        "line_ends_in_percent_stay_in_percent",
        "3986, 2.1",
        b"GET /o/a%0d%0ax:%20y HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/a%0d%0ax:%20y"],
    ),
    read(
        "path_stays_as_it_was_written",
        "3986, 6.2.2",
        b"GET /o/%61/%7E/a%2Bb/;p=1?q=%26&&=;? HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/%61/%7E/a%2Bb/;p=1?q=%26&&=;?"],
    ),
    read(
        "url_in_the_query",
        "9112, 3.2.1",
        b"GET /o/a?u=http://other/../k HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/a?u=http://other/../k"],
    ),
];
