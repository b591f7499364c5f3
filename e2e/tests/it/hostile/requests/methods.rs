//! Methods [RFC 9110, 9]: unknown tokens are forwarded; methods that change the framing are not.

use super::{Row, answered, read, refused};

pub(super) const ROWS: &[Row] = &[
    read("method_that_nobody_knows", "9110, 9.1", b"FOO /o/a HTTP/1.1\r\nhost: x\r\n\r\n", &["FOO /o/a"]),
    read("method_of_odd_characters", "9110, 9.1", b"M-SEARCH!*'~ /o/a HTTP/1.1\r\nhost: x\r\n\r\n", &["M-SEARCH!*'~ /o/a"]),
    read("method_with_a_get_inside", "9110, 9.1", b"XGET /o/a HTTP/1.1\r\nhost: x\r\n\r\n", &["XGET /o/a"]),
    read("method_named_otherwise_in_a_field", "9110, 9.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nx-http-method-override: DELETE\r\n\r\n", &["GET /o/a"]),
    read("head_with_a_body", "9110, 9.3.2", b"HEAD /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", &["HEAD /o/a | hello"]),
    read("head_in_chunks", "9110, 9.3.2", b"HEAD /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["HEAD /o/a | hello"]).with(&["transfer-encoding: chunked"]),
    read("options_with_a_body", "9110, 9.3.7", b"OPTIONS /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", &["OPTIONS /o/a | hello"]),
    answered("trace", "9110, 9.3.8", b"TRACE /o/a HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    refused("connect_with_a_body", "9110, 9.3.6", b"CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\ncontent-length: 5\r\n\r\nhello").code("method_not_allowed"),
    refused("request_in_a_tunnel_that_was_refused", "9110, 9.3.6", b"CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\n\r\n").code("method_not_allowed"),
    answered("get_of_what_is_posted", "9110, 15.5.6", b"GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    answered("delete_of_what_is_posted", "9110, 15.5.6", b"DELETE /v1/messages HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    answered("post_to_no_route", "9112, 9.3", b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", "route_not_found"),
    answered("request_in_the_body_to_no_route", "9112, 11.2", b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 44\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n", "route_not_found"),
    answered("request_in_chunks_to_no_route", "9112, 11.2", b"POST /nowhere HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2c\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n\r\n0\r\n\r\n", "route_not_found"),
];
