//! Heads and bodies over their limits [RFC 9110, 5.4 and 15.5.14; RFC 6585, 5]. The server accepts heads of at most 64
//! KiB and, in these tests, bodies of at most 1 MiB.

use super::{Row, cut, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("field_of_70_kilobytes", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: <<70000*b>>\r\n\r\n").code("header_too_large"),
    refused("field_of_300_kilobytes", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: <<300000*b>>\r\n\r\n").code("header_too_large"),
    refused("name_of_70_kilobytes", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\n<<70000*a>>: b\r\n\r\n").code("header_too_large"),
    refused("cookie_of_100_kilobytes", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\ncookie: <<25000*a=b;>>\r\n\r\n").code("header_too_large"),
    refused("target_of_70_kilobytes", "9112, 3", b"GET /o/<<70000*a>> HTTP/1.1\r\nhost: x\r\n\r\n").code("header_too_large"),
    refused("target_of_300_kilobytes", "9112, 3", b"GET /o/<<300000*a>> HTTP/1.1\r\nhost: x\r\n\r\n").code("header_too_large"),
    refused("method_of_70_kilobytes", "9112, 3", b"<<70000*A>> /o/a HTTP/1.1\r\nhost: x\r\n\r\n").code("header_too_large"),
    refused("line_without_any_end", "9112, 3", b"<<300000*A>>").code("header_too_large"),
    refused("fields_by_the_thousand", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\n<<2000*a: b\r\n>>\r\n").code("header_too_large"),
    refused("one_field_more_than_are_taken", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\n<<100*a: b\r\n>>\r\n").code("header_too_large"),
    refused("many_fields_of_many_bytes", "6585, 5", b"GET /o/a HTTP/1.1\r\nhost: x\r\n<<100*a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n>>c: <<60000*d>>\r\n\r\n").code("header_too_large"),
    read("field_of_60_kilobytes", "9110, 5.4", b"GET /o/a HTTP/1.1\r\nhost: x\r\na: <<60000*b>>\r\n\r\n", &["GET /o/a"]).with(&["a: <<60000*b>>"]),
    read("a_hundred_fields", "9110, 5.4", b"GET /o/a HTTP/1.1\r\nhost: x\r\n<<99*a: b\r\n>>\r\n", &["GET /o/a"]).with(&["a: b"; 99]),
    refused("length_over_the_bound", "9110, 15.5.14", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n").code("payload_too_large"),
    refused("chunked_length_over_the_bound_with_a_request_in_it", "9110, 15.5.14", b"POST /o/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\n\r\n").code("payload_too_large"),
    cut("chunks_over_the_bound", "9110, 15.5.14", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n<<1048577*a>>\r\n0\r\n\r\n").code("payload_too_large"),
];
