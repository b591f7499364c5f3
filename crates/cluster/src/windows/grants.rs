//! Requests that Redis grants to this node: the task that serves the workers' queue.

use std::future::Future;

use meter::limiter::sharing::SharingMessage;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Windows;

/// Maximum number of calls of Redis in progress; further messages wait in their queue. The connection sends calls of one
/// moment together.
const CALLS_MAX: usize = 256;

/// Serves the queue, until `cancel` is done or all senders are gone.
pub async fn serve(windows: Windows, mut queue: mpsc::Receiver<SharingMessage>, cancel: impl Future<Output = ()>) {
    let mut calls = JoinSet::new();
    tokio::pin!(cancel);
    loop {
        tokio::select! {
            message = queue.recv(), if calls.len() < CALLS_MAX => match message {
                Some(message) => drop(calls.spawn(call(windows.clone(), message))),
                None => break,
            },
            Some(_) = calls.join_next() => {}
            () = &mut cancel => break,
        }
    }
}

async fn call(windows: Windows, message: SharingMessage) {
    let Windows { clock, link, .. } = windows;
    let Some(link) = link else { return };
    match message {
        SharingMessage::Ask(request) if request.is_abandoned() => request.fail(),
        SharingMessage::Ask(request) => {
            let sent = clock.mono();
            match link.grant(&request).await {
                Some(mut grant) => {
                    if !grant.retry_after.is_zero() {
                        // Redis has decided at the latest now: until then, the request may not pass.
                        grant.retry_after += clock.mono().since(sent);
                    }
                    if let Some(back) = request.granted(&grant, sent) {
                        link.give_back(&back).await;
                    }
                }
                None => request.fail(),
            }
        }
        SharingMessage::GiveBack(back) => link.give_back(&back).await,
        // A call that no longer waits is not counted.
        SharingMessage::Tokens(request) if request.is_abandoned() => {}
        SharingMessage::Tokens(request) => link.take_tokens(request).await,
        SharingMessage::Settle(settlement) => link.settle_tokens(&settlement).await,
    }
}
