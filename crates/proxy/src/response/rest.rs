//! The rest of a provider's response whose client has the end already: only the connection is of use.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http_body::Body as _;
use tokio::time::{Instant, sleep_until};

use crate::bytes::content::length;
use crate::deadlines::shutdown::{ShutdownPhase, reached};
use crate::deadlines::task::spawn;
use crate::forward::BorrowedConnection;
use crate::upstream::download::Download;
use crate::worker::Worker;

/// Maximum time in which the rest is read. It is usually the end of the content only.
const WITHIN: Duration = Duration::from_secs(1);
/// Maximum size of the rest, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// Reads the rest of a response, so that another request may use its connection, which is closed otherwise. Such tasks use the
/// permits of responses whose clients have disconnected.
pub(super) fn read(mut body: Download, connection: BorrowedConnection, worker: Rc<Worker>) {
    let Ok(place) = worker.shared.capacity.read_on() else { return };
    spawn(async move {
        let _place = place;
        let reading = async {
            let mut bytes_left = BYTES_MAX;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(frame) = frame else { return };
                match bytes_left.checked_sub(frame.data_ref().map_or(0, length)) {
                    Some(left) => bytes_left = left,
                    None => return,
                }
            }
            connection.give_back(&mut body, Instant::now());
        };
        tokio::select! {
            () = reading => {}
            () = sleep_until(Instant::now() + WITHIN) => {}
            () = reached(worker.shared.shutdown.follow(), ShutdownPhase::Ending) => {}
        }
    });
}
