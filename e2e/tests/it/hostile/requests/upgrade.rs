//! Upgrades to other protocols [RFC 9110, 7.8; RFC 6455; RFC 9113, 3]: none is accepted, and none is forwarded. WebSockets
//! are refused, since their clients need them; other upgrades are ignored.

use super::{Row, answered, read, refused};

pub(super) const ROWS: &[Row] = &[
    answered("websocket", "6455, 4.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "upgrade_required"),
    answered("websocket_in_other_case", "6455, 4.2.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nConnection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n\r\n", "upgrade_required"),
    answered("websocket_of_no_known_version", "6455, 4.2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 777\r\nsec-websocket-key: x\r\n\r\n", "upgrade_required"),
    answered("websocket_by_post", "6455, 4.1", b"POST /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n\r\nhello", "upgrade_required"),
    read("request_behind_an_upgrade", "6455, 4.2.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x-other\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /o/b HTTP/1.1\r\nhost: x\r\n\r\n", &["GET /o/a", "GET /o/b"]).without(&["upgrade", "connection"]).with(&["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13"]),
    refused("frame_behind_an_upgrade", "6455, 5.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x-other\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\r\n\r\n").after(&["GET /o/a"]).with(&["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13"]),
    answered("websocket_at_an_llm", "6455, 4.1", b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "upgrade_required"),
    read("upgrade_to_h2c", "7540, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", &["GET /o/a"]).without(&["upgrade", "connection", "http2-settings"]),
    read("upgrade_to_h2c_without_naming_the_settings", "7540, 3.2.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", &["GET /o/a"]).without(&["upgrade", "connection", "http2-settings"]),
    read("request_behind_an_upgrade_to_h2c", "7540, 3.2", b"POST /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\ncontent-length: 5\r\n\r\nhelloGET /o/b HTTP/1.1\r\nhost: x\r\n\r\n", &["POST /o/a | hello", "GET /o/b"]).without(&["upgrade", "http2-settings"]),
    refused("preface_of_http_2_behind_a_request", "9113, 3.4", b"GET /o/a HTTP/1.1\r\nhost: x\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").after(&["GET /o/a"]),
    refused("preface_of_http_2_behind_an_upgrade", "7540, 3.2", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").after(&["GET /o/a"]),
    refused("preface_of_http_2_with_a_host", "9113, 3.4", b"PRI * HTTP/1.1\r\nhost: x\r\n\r\nSM\r\n\r\n"),
    read("upgrade_to_tls", "2817, 3.1", b"GET /o/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: TLS/1.0, HTTP/1.1\r\n\r\n", &["GET /o/a"]).without(&["upgrade", "connection"]),
    read("upgrade_in_http_1_0", "9110, 7.8", b"GET /o/a HTTP/1.0\r\nhost: x\r\nconnection: keep-alive, upgrade\r\nupgrade: websocket\r\n\r\n", &["GET /o/a"]).without(&["upgrade", "connection"]),
];
