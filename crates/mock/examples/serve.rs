//! The mock by itself: `cargo run -p mock --example serve -- 127.0.0.1:9000`.

use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9000"));
    mock::serve(TcpListener::bind(address).await?, std::future::pending::<()>()).await;
    Ok(())
}
