use access::{Timestamp, UserId};
use store::{
    Actor, ActorKind, AuditAction, AuditFilter, CONFIGURATIONS_MAX, ConfigurationError, ConfigurationSource,
    NewConfiguration,
};
use uuid::Uuid;

use crate::world::{World, user};

const NODE: Uuid = Uuid::from_u128(1);

fn new(source: ConfigurationSource, text: Option<&'static str>) -> NewConfiguration<'static> {
    NewConfiguration { source, node: NODE, file_digest: "f", digest: "d", text, is_change: true }
}

pub(crate) async fn the_newest_configurations_are_kept_in_order(world: &World) {
    let store = world.store().await;
    assert_eq!(store.configurations().await.unwrap(), []);
    let by =
        Actor { by: ActorKind::User { user: user(&store, "ada@example.com").await.id, session: None }, address: None };
    let mut last = None;
    for _ in 0..CONFIGURATIONS_MAX + 5 {
        last = Some(store.add_configuration(&by, new(ConfigurationSource::Api, Some("a: 1"))).await.unwrap());
    }
    let last = last.unwrap();
    let all = store.configurations().await.unwrap();
    assert_eq!(all[0], last);
    let numbers: Vec<u64> = all.iter().map(|one| one.number).collect();
    assert_eq!(numbers, (6..=25).rev().collect::<Vec<u64>>());
    assert_eq!(store.find_configuration(all[3].id).await.unwrap().as_ref(), Some(&all[3]));
    assert_eq!(store.find_configuration(Uuid::nil()).await.unwrap(), None);
    let ActorKind::User { user: UserId(id), .. } = by.by else { unreachable!() };
    assert_eq!((last.actor.as_str(), last.actor_user), ("user", Some(UserId(id))));
    let filter = AuditFilter { action: Some(AuditAction::ConfigurationApply), ..AuditFilter::default() };
    assert_eq!(store.audit_page(&filter, None, 100).await.unwrap().lines.len(), 25);
}

pub(crate) async fn only_a_configuration_of_the_api_raises_the_revision(world: &World) {
    let store = world.store().await;
    user(&store, "ada@example.com").await;
    let before = store.revision().await.unwrap();
    store.add_configuration(&Actor::SYSTEM, new(ConfigurationSource::File, None)).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), before);
    store.add_configuration(&Actor::SYSTEM, new(ConfigurationSource::Api, Some(""))).await.unwrap();
    assert!(store.revision().await.unwrap() > before);
    store.raise_revision().await.unwrap();
    assert!(store.revision().await.unwrap() > before + 1);
}

pub(crate) async fn a_configuration_of_the_api_is_in_force_until_the_nodes_file_changes(world: &World) {
    let store = world.store().await;
    let other = Uuid::from_u128(2);
    let file = |node, digest| NewConfiguration { node, file_digest: digest, ..new(ConfigurationSource::File, None) };
    let over =
        async |digest: &str, node| store.configuration_over(digest, node).await.unwrap().map(|found| found.number);
    let one = NODE;
    let by = Actor::SYSTEM;
    store.add_configuration(&by, file(one, "f")).await.unwrap();
    assert_eq!(over("f", one).await, None);
    let knows = async |digest, node| store.knows_configuration_file(digest, node).await.unwrap();
    assert!(knows("f", other).await && !knows("g", other).await);
    store.add_configuration(&by, new(ConfigurationSource::Api, Some("a"))).await.unwrap();
    assert_eq!((over("f", one).await, over("f", other).await, over("g", one).await), (Some(2), Some(2), None));
    // The file of one node changes, and changes back.
    store.add_configuration(&by, file(one, "g")).await.unwrap();
    assert_eq!((over("f", one).await, over("f", other).await), (None, Some(2)));
    // Each node ends the configuration of the API with its own entry.
    assert_eq!([knows("f", one).await, knows("g", one).await, knows("g", other).await], [false, true, false]);
    // Files never displace the newest configuration of the API.
    for _ in 0..=CONFIGURATIONS_MAX {
        store.add_configuration(&by, file(one, "g")).await.unwrap();
    }
    assert_eq!(over("f", other).await, Some(2));
    // Nor the entry with which another node has ended it.
    store.add_configuration(&by, file(other, "g")).await.unwrap();
    for _ in 0..=CONFIGURATIONS_MAX {
        store.add_configuration(&by, file(one, "g")).await.unwrap();
    }
    assert_eq!(over("f", other).await, None);
}

pub(crate) async fn configurations_over_another_file_displace_none(world: &World) {
    let store = world.store().await;
    let by = Actor::SYSTEM;
    let other = Uuid::from_u128(2);
    let of_file = |node, file_digest| NewConfiguration { node, file_digest, ..new(ConfigurationSource::File, None) };
    let of_api = |file_digest| NewConfiguration { file_digest, ..new(ConfigurationSource::Api, Some("a")) };
    let over = async |node| store.configuration_over("f", node).await.unwrap().map(|found| found.number);
    store.add_configuration(&by, of_api("f")).await.unwrap();
    store.add_configuration(&by, of_file(other, "g")).await.unwrap();
    for _ in 0..=CONFIGURATIONS_MAX {
        store.add_configuration(&by, of_api("g")).await.unwrap();
    }
    assert_eq!((over(NODE).await, over(other).await), (Some(1), None));
}

pub(crate) async fn a_configuration_replaces_only_one_that_its_node_knows(world: &World) {
    let store = world.store().await;
    let by = Actor::SYSTEM;
    user(&store, "ada@example.com").await;
    let add = async |file_digest: &'static str, known: Option<u64>| {
        let new = NewConfiguration { file_digest, ..new(ConfigurationSource::Api, Some("a")) };
        store.add_configuration_over(&by, new, known).await.map(|added| added.number)
    };
    assert_eq!(add("f", None).await.unwrap(), 1);
    let before = store.revision().await.unwrap();
    let late = add("f", None).await;
    assert!(matches!(late, Err(ConfigurationError::Changed)), "{late:?}");
    assert_eq!((store.revision().await.unwrap(), store.configurations().await.unwrap().len()), (before, 1));
    assert_eq!(add("g", None).await.unwrap(), 2);
    assert_eq!(add("f", Some(1)).await.unwrap(), 3);
    assert!(store.revision().await.unwrap() > before);
}

pub(crate) async fn a_file_ends_no_configuration_that_is_in_force_over_it(world: &World) {
    let store = world.store().await;
    let by = Actor::SYSTEM;
    let stored = store.add_configuration(&by, new(ConfigurationSource::Api, Some("a"))).await.unwrap();
    let add = async |file_digest: &'static str, ended_before| {
        let file = NewConfiguration { file_digest, ..new(ConfigurationSource::File, None) };
        store.add_file_configuration(&by, file, ended_before).await.unwrap()
    };
    let over = async || store.configuration_over("f", NODE).await.unwrap().map(|found| found.number);
    assert!(!add("f", None).await && !add("f", Some(stored.applied_at)).await);
    assert_eq!(over().await, Some(stored.number));
    // An earlier file has ended it, and the store lacks that one.
    assert!(add("f", Some(Timestamp(stored.applied_at.0 + 1))).await);
    assert_eq!(over().await, None);
    assert!(add("g", None).await && add("f", None).await);
}
