//! Trailers after the last chunk [RFC 9110, 6.5; RFC 9112, 7.1.2]: forwarded, and never merged into the head. A section
//! with a field that is needed before the content is refused.

use super::{Row, cut, read};

pub(super) const ROWS: &[Row] = &[
    read("trailer", "9110, 6.5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntrailer: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n", &["POST /o/a | hello"]).without(&["a"]).with(&["transfer-encoding: chunked", "trailer: a", "trailer a: b"]),
    cut("trailer_that_frames", "9110, 6.5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ncontent-length: 50\r\ntransfer-encoding: gzip\r\n\r\n"),
    cut("trailer_that_routes", "9110, 6.5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: y\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"),
    cut("trailer_with_a_credential", "9110, 6.5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nauthorization: Bearer <<KEY>>\r\n\r\n"),
    cut("trailer_with_our_fields", "9110, 6.5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"),
    cut("trailer_with_a_space_before_the_colon", "9112, 5.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na : b\r\n\r\n"),
    cut("trailer_without_a_colon", "9112, 7.1.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nab\r\n\r\n"),
    cut("trailer_on_a_folded_line", "9112, 5.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n c\r\n\r\n"),
    cut("trailer_that_ends_with_lf_alone", "9112, 2.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\n\r\n"),
    cut("trailers_that_end_with_lf_lf", "9112, 2.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\n\n"),
    cut("trailer_with_a_lone_cr", "9110, 5.5", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\rc\r\n\r\n"),
    cut("trailer_with_a_nul", "9110, 5.5", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: \0\r\n\r\n"),
    cut("request_in_the_trailers", "9112, 11.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"),
    cut("trailer_of_100_kilobytes", "9110, 5.4", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: <<100000*b>>\r\n\r\n"),
    cut("trailers_by_the_thousand", "9110, 5.4", b"POST /o/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n<<2000*a: b\r\n>>\r\n"),
];
