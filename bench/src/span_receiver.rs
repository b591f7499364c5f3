//! A receiver of traces in the benchmark's process, which reads every batch and accepts it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts the receiver, which ends with the process, and returns its address.
#[expect(clippy::disallowed_methods, reason = "the tasks end with the process of the benchmark")]
pub(crate) async fn start() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

/// Responds to each request of a connection, until it ends.
async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await? > 0 {
        while let Some(length) = first_request(&received).filter(|length| *length <= received.len()) {
            received.drain(..length);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
        }
    }
    Ok(())
}

/// Returns the length of the first request with its content; `None` before the end of its head.
pub(crate) fn first_request(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(received.get(..end)?).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some(end + length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_length_of_its_head_and_content() {
        for (received, expected) in [
            ("POST / HTTP/1.1\r\n", None),
            ("POST / HTTP/1.1\r\n\r\nabc", Some(19)),
            ("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", Some(49)),
        ] {
            assert_eq!(first_request(received.as_bytes()), expected, "{received}");
        }
    }
}
