use serde_json::json;

use crate::client::get;
use crate::world::World;

#[tokio::test]
async fn a_process_that_is_not_ready_is_alive() {
    let world = World::start().await;
    world.live_state.drain();
    world.store.close().await;
    let answer = get(world.address, "/livez", &[]).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
}
