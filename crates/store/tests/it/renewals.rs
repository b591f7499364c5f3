//! Renewals of sessions whose commit, or the response to it, is lost.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use access::Timestamp;
use store::{Actor, AuditFilter, DatabaseError, NewRefresh, RefreshResult};

use crate::lossy_network::{Loss, LossyNetwork};
use crate::postgres;
use crate::sessions::{renew, sign_in, ticket};
use crate::world::{NOW, World, user};

#[tokio::test]
async fn a_renewal_in_doubt_may_be_tried_again_and_is_no_theft() {
    for loss in [Loss::Commit, Loss::Answer] {
        let (network, through) = LossyNetwork::to(&postgres::database("").await).await;
        let world = World::from_url(through);
        let store = world.store().await;
        let ada = user(&store, "ada@example.com").await;
        let (session, first) = sign_in(&world, &store, ada.id).await;
        for _ in 0..2 {
            network.lose(loss);
            let next = NewRefresh { hash: ticket(), expires_at: Timestamp(NOW.0 + 1_000_000) };
            let lost = store.refresh(&Actor::SYSTEM, first, next).await;
            assert!(matches!(lost, Err(DatabaseError::Unavailable(_))), "{loss:?} {lost:?}");
            assert!(network.has_lost());
        }
        let (renewed, second) = renew(&world, &store, first).await;
        assert!(
            matches!(&renewed, RefreshResult::Renewed(renewed) if renewed.id == session.id),
            "{loss:?} {renewed:?}"
        );
        // From here on the client has received the token, so reuse counts as theft.
        assert!(matches!(renew(&world, &store, second).await.0, RefreshResult::Renewed(_)), "{loss:?}");
        assert!(matches!(renew(&world, &store, first).await.0, RefreshResult::Stolen { .. }), "{loss:?}");
    }
}

#[tokio::test]
async fn another_node_takes_a_renewal_whose_answer_was_lost_for_a_theft() {
    let direct = postgres::database("").await;
    let (network, through) = LossyNetwork::to(&direct).await;
    let world = World::from_url(through);
    let elsewhere = World::from_url(direct);
    let store = world.store().await;
    let other = elsewhere.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (_, first) = sign_in(&world, &store, ada.id).await;
    network.lose(Loss::Answer);
    let next = NewRefresh { hash: ticket(), expires_at: Timestamp(NOW.0 + 1_000_000) };
    assert!(store.refresh(&Actor::SYSTEM, first, next).await.is_err());
    assert!(matches!(renew(&elsewhere, &other, first).await.0, RefreshResult::Stolen { .. }));
}

#[tokio::test]
async fn a_renewal_that_is_dropped_while_it_commits_may_be_tried_again() {
    let (network, through) = LossyNetwork::to(&postgres::database("").await).await;
    let world = World::from_url(through);
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (_, first) = sign_in(&world, &store, ada.id).await;
    network.lose(Loss::Silence);
    let next = NewRefresh { hash: ticket(), expires_at: Timestamp(NOW.0 + 1_000_000) };
    let lost = async {
        while !network.has_lost() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        told = store.refresh(&Actor::SYSTEM, first, next) => panic!("{told:?}"),
        () = lost => {}
    }
    assert!(matches!(renew(&world, &store, first).await.0, RefreshResult::Renewed(_)));
}

#[tokio::test]
async fn a_sign_out_after_a_renewal_in_doubt_is_no_theft() {
    let (network, through) = LossyNetwork::to(&postgres::database("").await).await;
    let world = World::from_url(through);
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let (session, first) = sign_in(&world, &store, ada.id).await;
    network.lose(Loss::Answer);
    let next = NewRefresh { hash: ticket(), expires_at: Timestamp(NOW.0 + 1_000_000) };
    assert!(store.refresh(&Actor::SYSTEM, first, next).await.is_err());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(store.sign_out(&Actor::SYSTEM, first).await.unwrap(), Some(session.id));
    let page = store.audit_page(&AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(page.lines[0].action, "session.end");
}

/// Maximum number of renewals in the next test; on a busy machine, many are done at the first poll.
const ATTEMPTS_MAX: u32 = 200;

/// A client may disconnect at any point of a renewal: the token remains valid, unless the client received the renewal.
#[tokio::test]
async fn a_renewal_that_is_dropped_half_way_may_be_tried_again() {
    for world in [World::sqlite(), World::postgres().await] {
        let store = world.store().await;
        let ada = user(&store, "ada@example.com").await;
        let mut polls = 0;
        let mut dropped = 0;
        for _ in 0..ATTEMPTS_MAX {
            polls += 1 + polls / 4;
            let (_, first) = sign_in(&world, &store, ada.id).await;
            let next = NewRefresh { hash: ticket(), expires_at: Timestamp(NOW.0 + 1_000_000) };
            let told = {
                let mut renewal = pin!(store.refresh(&Actor::SYSTEM, first, next));
                let mut told = false;
                for _ in 0..polls {
                    told = renewal.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
                    if told {
                        break;
                    }
                    // The responses come from another thread, or over the network.
                    tokio::task::yield_now().await;
                }
                told
            };
            if told && dropped > 0 {
                break;
            }
            if told {
                // Each response was there before the poll looked for it: nothing was dropped.
                polls = 0;
                continue;
            }
            let (again, _) = renew(&world, &store, first).await;
            assert!(matches!(again, RefreshResult::Renewed(_)), "dropped after {polls} polls: {again:?}");
            dropped += 1;
        }
        assert!(dropped > 0, "{ATTEMPTS_MAX} renewals were done at the first poll");
    }
}
