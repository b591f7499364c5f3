use std::time::Duration;

use serde_json::json;
use store::{Actor, AuditAction, AuditFilter, ForgetNodeError, NodeProgress, SEEN_WITHIN, SpooledUsage, Store};
use uuid::Uuid;

use crate::world::{NOW, World};

/// Time after which a node that was seen counts as silent.
const SILENT: Duration = SEEN_WITHIN.saturating_add(Duration::from_secs(1));

/// Returns the progress of the only node.
async fn progress(store: &Store) -> NodeProgress {
    store.node_progress().await.unwrap().remove(0)
}

pub(crate) async fn a_silent_node_is_forgotten_until_it_starts_again(world: &World) {
    let store = world.store().await;
    let by = Actor::COMMAND;
    let refused = store.forget_node(&by, Uuid::nil()).await;
    assert!(matches!(refused, Err(ForgetNodeError::NoNode(_))), "{refused:?}");
    let node = world.node(&store).await;
    let stored = NOW.before(Duration::from_secs(60));
    node.note_ingested(stored);
    node.note_depth(SpooledUsage { records: 3, oldest: Some(stored), ..SpooledUsage::default() });
    node.report().await.unwrap();
    world.clock.advance(SEEN_WITHIN);
    let refused = store.forget_node(&by, node.id()).await;
    assert!(matches!(refused, Err(ForgetNodeError::Seen(_))), "{refused:?}");
    world.clock.advance(Duration::from_secs(1));
    let forgotten = store.forget_node(&by, node.id()).await.unwrap();
    assert_eq!((forgotten.depth.records, forgotten.ingested_until, forgotten.left_at), (3, Some(stored), None));
    let left = progress(&store).await;
    assert!(left.has_left_nothing(), "{left:?}");
    assert_eq!((left.left_at, left.ingested_until, left.seen_at), (Some(NOW), Some(NOW), NOW));
    let refused = store.forget_node(&by, node.id()).await;
    assert!(matches!(refused, Err(ForgetNodeError::HasLeft(_))), "{refused:?}");
    let filter = AuditFilter { action: Some(AuditAction::NodeForget), ..AuditFilter::default() };
    let lines = store.audit_page(&filter, None, 10).await.unwrap().lines;
    assert_eq!(lines.len(), 1, "refusals leave no line");
    assert_eq!(lines[0].target, node.id());
    assert_eq!(lines[0].detail, json!({"seen_at": NOW, "ingested_until": stored, "spooled": 3}));
    // The folder returns.
    world.node(&store).await;
    let again = progress(&store).await;
    assert!(again.left_at.is_none() && !again.has_left_nothing(), "{again:?}");
}

pub(crate) async fn a_forgotten_node_that_reports_again_is_awaited(world: &World) {
    let store = world.store().await;
    let node = world.node(&store).await;
    world.clock.advance(SILENT);
    store.forget_node(&Actor::COMMAND, node.id()).await.unwrap();
    // It could not reach the store for a while.
    node.note_ingested(NOW);
    node.report().await.unwrap();
    let again = progress(&store).await;
    assert_eq!((again.left_at, again.ingested_until), (None, Some(NOW)));
    node.leave(true).await.unwrap();
    assert!(progress(&store).await.has_left_nothing());
}

pub(crate) async fn a_node_without_a_spool_has_stored_all_its_usage(world: &World) {
    let store = world.store().await;
    let node = world.node(&store).await;
    node.report().await.unwrap();
    assert_eq!(progress(&store).await.ingested_until, None);
    node.note_no_spool();
    for seconds in [1, 10] {
        world.clock.advance(Duration::from_secs(seconds));
        node.report().await.unwrap();
        assert_eq!(progress(&store).await.ingested_until, Some(world.clock.now()));
    }
    world.clock.advance(Duration::from_secs(10));
    node.leave(false).await.unwrap();
    assert!(progress(&store).await.has_left_nothing());
}
