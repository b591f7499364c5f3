//! `Expect` [RFC 9110, 10.1.1]: Tollgate answers it and does not forward it.

use super::{Row, answered, read};

pub(super) const ROWS: &[Row] = &[
    read("body_sent_without_waiting", "9110, 10.1.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]).without(&["expect"]),
    read("expectation_in_other_case", "9110, 10.1.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nExpect: 100-Continue\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]).without(&["expect"]),
    read("expectation_of_a_chunked_body", "9110, 10.1.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["POST /o/a | hello"]).without(&["expect"]).with(&["transfer-encoding: chunked"]),
    read("expectation_without_a_body", "9110, 10.1.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n", &["GET /o/a"]).without(&["expect"]),
    read("expectation_in_http_1_0", "9110, 10.1.1", b"POST /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]).without(&["expect"]),
    read("expectation_twice", "9110, 10.1.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]).without(&["expect"]),
    read("expectation_that_nobody_knows", "9110, 10.1.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\ncontent-length: 5\r\n\r\nhello", &["POST /o/a | hello"]).without(&["expect"]),
    answered("expectation_at_no_route", "9110, 10.1.1", b"POST /nowhere HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello", "route_not_found"),
    answered("expectation_without_a_key", "9110, 10.1.1", b"POST /k/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 44\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n", "unauthorized"),
];
