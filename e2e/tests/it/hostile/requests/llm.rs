//! LLM endpoints, whose bodies Tollgate reads. A refusal has the format of the path.

use super::{Row, answered, read, refused, unfinished};

pub(super) const ROWS: &[Row] = &[
    read("chat_in_chunks", "9112, 7.1", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"model\":\r\n4;a=b\r\n\"m\"}\r\n0\r\nx: y\r\n\r\n", &["POST /v1/chat/completions | {\\\"model\\\":\\\"m\\\"}"]).without(&["transfer-encoding", "x"]).with(&["authorization: Bearer sk-upstream-credential"]),
    read("chat_with_its_length_named", "9110, 7.6.1", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\nconnection: content-length, host\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}", &["POST /v1/chat/completions | {\\\"model\\\":\\\"m\\\"}"]).without(&["connection"]).with(&["authorization: Bearer sk-upstream-credential"]),
    read("chat_and_another_at_once", "9112, 9.3.2", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: <<KEY>>\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: <<KEY>>\r\ncontent-length: 13\r\n\r\n{\"model\":\"n\"}", &["POST /v1/chat/completions | {\\\"model\\\":\\\"m\\\"}", "POST /v1/chat/completions | {\\\"model\\\":\\\"n\\\"}"]).without(&["x-api-key"]).with(&["authorization: Bearer sk-upstream-credential", "authorization: Bearer sk-upstream-credential"]),
    answered("request_in_the_body_of_a_chat", "9112, 11.2", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ncontent-length: 44\r\n\r\nGET /o/smuggled HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n", "bad_request"),
    answered("two_keys", "9110, 11.6.2", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\nx-api-key: tollgate_00000000000000000000000000000000\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}", "ambiguous_credentials"),
    answered("key_in_two_fields_of_one_name", "9110, 5.3", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\nauthorization: Bearer tollgate_00000000000000000000000000000000\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}", "ambiguous_credentials"),
    answered("no_key", "9110, 15.5.2", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}", "unauthorized"),
    answered("coding_that_nobody_knows", "9110, 8.4", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ncontent-encoding: aes128gcm\r\ncontent-length: 13\r\n\r\n{\"model\":\"m\"}", "unsupported_media_type"),
    refused("size_of_a_chunk_in_a_chat", "9112, 7.1", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ntransfer-encoding: chunked\r\n\r\n0xd\r\n{\"model\":\"m\"}\r\n0\r\n\r\n"),
    refused("lf_alone_behind_a_chunk_of_a_chat", "9112, 7.1", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ntransfer-encoding: chunked\r\n\r\nd\r\n{\"model\":\"m\"}\n0\r\n\r\n"),
    refused("length_and_chunks_of_messages", "9112, 6.1", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: <<KEY>>\r\ncontent-length: 13\r\ntransfer-encoding: chunked\r\n\r\n{\"model\":\"m\"}"),
    refused("length_of_messages_over_the_bound", "9110, 15.5.14", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: <<KEY>>\r\ncontent-length: 1048577\r\n\r\n").code("payload_too_large"),
    answered("chunks_of_messages_over_the_bound", "9110, 15.5.14", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: <<KEY>>\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n<<1048577*a>>\r\n0\r\n\r\n", "payload_too_large"),
    unfinished("chat_without_its_end", "9112, 8", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer <<KEY>>\r\ncontent-length: 14\r\n\r\n{\"model\":\"m\"}"),
];
