//! Paths that change when a server resolves them [RFC 3986, 5.2.4 and 6.2.2]: from the open route to the one with a
//! key, or around the paths of LLM endpoints.

use super::{Row, answered, read, refused};

pub(super) const ROWS: &[Row] = &[
    refused("dot_segments", "3986, 5.2.4", b"GET /o/../k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_before_the_route", "3986, 5.2.4", b"GET /../o/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segment_at_the_end", "3986, 5.2.4", b"GET /o/a/.. HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("single_dot_segment", "3986, 5.2.4", b"GET /o/./a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_in_percent", "3986, 6.2.2.3", b"GET /o/%2e%2e/k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_half_in_percent", "3986, 6.2.2.3", b"GET /o/.%2E/k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_before_a_slash_in_percent", "3986, 2.2", b"GET /o/..%2fk/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_between_slashes_in_percent", "3986, 2.2", b"GET /o%2f..%2Fk/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dots_and_slash_all_in_percent", "3986, 2.2", b"GET /o/%2e%2e%2fk/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_before_a_backslash", "3986, 2", b"GET /o/..\\k\\a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused(
        "dot_segments_before_a_backslash_in_percent",
        "3986, 2.2",
        b"GET /o/..%5ck%5Ca HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    refused("dot_segments_with_a_parameter", "3986, 3.3", b"GET /o/..;/k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_with_a_named_parameter", "3986, 3.3", b"GET /o/..;v=1/k/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    refused("dot_segments_on_the_way_to_an_llm", "3986, 5.2.4", b"POST /o/../v1/messages HTTP/1.1\r\nhost: x\r\n\r\n"),
    read(
        "dots_that_are_no_segment",
        "3986, 5.2.4",
        b"GET /o/.../..a/b.. HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/.../..a/b.."],
    ),
    // A backend that decodes twice would read `/k`, which asks for a key.
    answered(
        "dots_encoded_twice_before_a_stricter_route",
        "3986, 2.4",
        b"GET /o/%252e%252e/k HTTP/1.1\r\nhost: x\r\n\r\n",
        "bad_request",
    ),
    read(
        "dots_encoded_twice_stay_so",
        "3986, 2.4",
        b"GET /o/%252e%252e/o/a HTTP/1.1\r\nhost: x\r\n\r\n",
        &["GET /o/%252e%252e/o/a"],
    ),
    read("empty_segments_stay", "3986, 3.3", b"GET /o//a///b HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o//a///b"]),
    answered(
        "two_slashes_are_no_authority",
        "3986, 4.2",
        b"GET //x/o/a HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered("two_slashes_before_the_route", "3986, 3.3", b"GET //o/a HTTP/1.1\r\nhost: x\r\n\r\n", "route_not_found"),
    answered("route_in_other_case", "3986, 6.2.2.1", b"GET /O/a HTTP/1.1\r\nhost: x\r\n\r\n", "route_not_found"),
    read("route_in_percent", "3986, 6.2.2.2", b"GET /%6f/a HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /%6f/a"]),
    answered("longer_name_than_the_route", "3986, 3.3", b"GET /oa HTTP/1.1\r\nhost: x\r\n\r\n", "route_not_found"),
    answered("keyed_route_in_percent", "3986, 6.2.2.2", b"GET /%6b/a HTTP/1.1\r\nhost: x\r\n\r\n", "unauthorized"),
    answered("keyed_route_without_a_key", "9110, 11.6.1", b"GET /k/a HTTP/1.1\r\nhost: x\r\n\r\n", "unauthorized"),
    answered(
        "llm_path_with_a_slash_more",
        "3986, 3.3",
        b"POST /v1/messages/ HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered(
        "llm_path_with_two_slashes",
        "3986, 3.3",
        b"POST //v1/messages HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered(
        "llm_path_with_a_slash_in_percent",
        "3986, 2.2",
        b"POST /v1%2fmessages HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered(
        "llm_path_in_other_case",
        "3986, 6.2.2.1",
        b"POST /V1/Messages HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered(
        "llm_path_with_a_parameter",
        "3986, 3.3",
        b"POST /v1/messages;v=1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
    answered(
        "llm_path_in_percent",
        "3986, 6.2.2.2",
        b"POST /v1/%6dessages HTTP/1.1\r\nhost: x\r\n\r\n",
        "route_not_found",
    ),
];
