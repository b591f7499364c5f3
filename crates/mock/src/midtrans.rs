//! A stub of Midtrans: Core, Snap, its pages and its notifications, for demos and tests.
//!
//! It shares no code with Tollgate's client. Control endpoints below `/_stub/` pay, deny and expire orders, advance the
//! clock of the stub, and inject faults. Subscriptions of Midtrans are not part of it.
//!
//! Reading order: [`MidtransOptions`] and [`serve_midtrans`]; `routes`, the path of a request; `merchant`, the orders;
//! `transaction`, the state of an order; `charge`, the validation of a charge; `lifecycle`, cancel, expire and refund;
//! `snap` and `pages`, the pages for customers; `control`, the endpoints of the stub; `notification`, the sender.

mod charge;
mod control;
mod delivery;
mod fault;
mod lifecycle;
mod merchant;
mod notification;
mod pages;
mod routes;
mod session;
mod snap;
mod transaction;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use access::Clock;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::merchant::Merchant;

const CONNECTIONS_MAX: usize = 1_024;
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The account of the stub.
#[derive(Debug, Clone)]
pub struct MidtransOptions {
    /// The key that requests to Core and Snap must have.
    pub server_key: String,
    /// The id of the merchant in responses and notifications.
    pub merchant_id: String,
    /// The URL of notifications; only `http` is supported. Without one, no notification is sent.
    pub notification_url: Option<String>,
    /// The source of time. Control endpoints add to it.
    pub clock: Clock,
}

/// Serves `listener` until `shutdown` is ready, then closes all connections.
pub async fn serve_midtrans(listener: TcpListener, options: MidtransOptions, shutdown: impl Future) {
    let merchant = Arc::new(Merchant::new(options));
    let mut tasks = JoinSet::new();
    drop(tasks.spawn(notification::send(Arc::clone(&merchant))));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            _ = &mut shutdown => return,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept(), if tasks.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(tasks.spawn(connection(stream, Arc::clone(&merchant)))),
                // No file descriptors are left, or the client disconnected early.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, merchant: Arc<Merchant>) {
    let service = service_fn(|request| {
        let merchant = Arc::clone(&merchant);
        async move { Ok::<_, Infallible>(routes::respond(&merchant, request).await) }
    });
    // An error means that the client disconnected.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}
