//! Socket activation: another process has opened the listening socket, in which connections wait for the server.

use std::net::{SocketAddr, TcpListener};

use e2e::setup::Folder;
use e2e::{Call, Exchange, Gateway, Setup, Upstream, Wire, commands};

/// Connects and sends a request, to which no server may respond yet.
async fn send(call: &Call, to: SocketAddr) -> Wire {
    let mut wire = Wire::connect(to).await.unwrap();
    wire.write(&call.bytes(to)).await.unwrap();
    wire
}

async fn responds(mut wire: Wire) {
    let head = wire.head().await.expect("a response");
    let answer = Exchange::new(wire, head, "GET").rest().await.expect(200);
    assert_eq!(answer.text(), "fine");
}

#[tokio::test]
async fn requests_wait_in_an_inherited_socket_for_the_start_and_during_a_restart() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = Setup::routed(upstream.address(), "{path: /x, upstreams: backend, auth: {type: none}}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let call = Call::get("/x");
    let mut folder = Folder::new();
    for _ in 0..2 {
        let waiting = send(&call, address).await;
        let child = commands::serve_on(&folder, &setup, listener.try_clone().unwrap().into());
        let gateway = Gateway::started(folder, child, "stderr").await;
        assert_eq!(gateway.proxy, address);
        responds(waiting).await;
        gateway.call(call.clone()).await.expect(200);
        folder = gateway.stop().await.folder;
    }
    assert_eq!(upstream.seen().len(), 4);
}
