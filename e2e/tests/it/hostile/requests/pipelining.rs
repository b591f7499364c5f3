//! Several requests on one connection [RFC 9112, 9.3]: each is served once, in order, and none after a refused one.

use super::{Row, cut, read, refused};

pub(super) const ROWS: &[Row] = &[
    read("two_at_once", "9112, 9.3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nGET /o/b HTTP/1.1\r\nhost: y\r\n\r\n", &["GET /o/a", "GET /o/b"]).with(&["x-forwarded-host: y"]),
    read("twenty_at_once", "9112, 9.3.2", b"<<20*GET /o/a HTTP/1.1\r\nhost: x\r\n\r\n>>", &["GET /o/a"; 20]),
    read("two_with_bodies_at_once", "9112, 9.3.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhelloPOST /o/b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nyo\r\n0\r\n\r\nGET /o/c HTTP/1.1\r\nhost: x\r\n\r\n", &["POST /o/a | hello", "POST /o/b | yo", "GET /o/c"]).with(&["transfer-encoding: chunked"]),
    read("line_end_behind_a_body", "9112, 2.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\r\nGET /o/b HTTP/1.1\r\nhost: x\r\n\r\n", &["POST /o/a | hello", "GET /o/b"]),
    refused("second_without_host", "9112, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nGET /o/b HTTP/1.1\r\n\r\n").after(&["GET /o/a"]),
    refused("second_with_length_and_chunked", "9112, 6.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nPOST /o/b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").after(&["GET /o/a"]),
    refused("second_with_lf_alone", "9112, 2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nGET /o/b HTTP/1.1\nhost: x\r\n\r\n").after(&["GET /o/a"]),
    refused("third_that_is_none", "9112, 9.3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nPOST /o/b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n0\r\n\r\nG /o/c\r\n\r\n").after(&["GET /o/a", "POST /o/b | h"]).with(&["transfer-encoding: chunked"]),
    refused("method_that_a_rest_was_put_before", "9112, 11.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhelloX GET /o/b HTTP/1.1\r\nhost: x\r\n\r\n").after(&["POST /o/a | hello"]),
    refused("good_one_behind_a_bad_one", "9112, 9.3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("good_one_in_the_body_of_a_bad_one", "9112, 11.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 43\r\ncontent-length: 0\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: b\r\n\r\n"),
    cut("good_one_behind_a_bad_chunk", "9112, 11.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nz\r\n0\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"),
    read("one_with_a_body_behind_a_get_with_none", "9112, 9.3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\nPOST /o/b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n!", &["GET /o/a", "POST /o/b | !"]).with(&["content-length: 0"]),
    read("one_that_keeps_alive_in_http_1_0", "9112, 9.3", b"GET /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\nGET /o/b HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o/a", "GET /o/b"]),
];
