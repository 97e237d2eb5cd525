use super::*;
use crate::log::Engine;

pub(super) const DIRECTORY: Uuid = Uuid::from_u128(77);

pub(super) fn to_open(number: i32, directory: Uuid) -> PartitionToOpen {
    PartitionToOpen { number, leader_epoch: 0, directory }
}

fn topic(name: &str, topic_id: u128, partitions: &[i32]) -> TopicToOpen {
    TopicToOpen {
        name: name.into(),
        topic_id: Uuid::from_u128(topic_id),
        partitions: partitions.iter().map(|number| to_open(*number, DIRECTORY)).collect(),
        config: Arc::default(),
    }
}

fn registry() -> (MemoryEngine, Arc<Registry>) {
    let engine = MemoryEngine::default();
    let registry = Registry::new(env().1, Directories::one(DIRECTORY, Arc::new(engine.clone())), 2);
    (engine, Arc::new(registry))
}

#[tokio::test]
async fn partitions_are_found_by_name_and_by_id() {
    let (_, registry) = registry();
    registry.open_topic(&topic("orders", 7, &[0, 1])).await.unwrap();
    let found = registry.get("orders", 1).unwrap();
    assert_eq!(found.id().partition, 1);
    assert!(Arc::ptr_eq(&found, &registry.get_by_id(Uuid::from_u128(7), 1).unwrap()));
    assert!(registry.get("orders", 2).is_err());
    assert!(registry.get("other", 0).is_err());
    assert!(registry.get_by_id(Uuid::nil(), 0).is_err());
    assert_eq!(registry.topic_name(Uuid::from_u128(7)).as_deref(), Some("orders"));
}

#[tokio::test]
async fn an_open_topic_gets_the_partitions_it_lacks_and_the_configuration() {
    let (_, registry) = registry();
    registry.open_topic(&topic("orders", 7, &[0])).await.unwrap();
    let first = registry.get("orders", 0).unwrap();
    let mut more = topic("orders", 7, &[0, 1]);
    let config = TopicConfig { retention_ms: 5, ..TopicConfig::default() };
    more.config = Arc::new(config);
    registry.open_topic(&more).await.unwrap();
    assert!(Arc::ptr_eq(&first, &registry.get("orders", 0).unwrap()));
    assert_eq!(registry.partitions("orders").len(), 2);
    assert_eq!(first.config().retention_ms, 5);
    registry.configure("orders", &Arc::default());
    assert_ne!(first.config().retention_ms, 5);
}

#[tokio::test]
async fn a_deleted_topic_is_gone_and_may_come_back_with_another_id() {
    let (engine, registry) = registry();
    registry.open_topic(&topic("orders", 7, &[0, 1])).await.unwrap();
    let old = registry.get("orders", 0).unwrap();
    old.append(&plain(3), VERSION, None).unwrap();
    let waiting = tokio::spawn(old.committed(4));
    assert!(registry.open_topic(&topic("orders", 8, &[0])).await.is_err());
    registry.delete_topics(&[Uuid::from_u128(7)]).await.unwrap();
    registry.delete_topics(&[Uuid::from_u128(7)]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Err(NotCommitted::Stopped));
    assert!(registry.get("orders", 0).is_err());
    assert!(engine.existing().unwrap().is_empty());
    assert!(old.append(&plain(3), VERSION, None).is_err());
    registry.open_topic(&topic("orders", 8, &[0])).await.unwrap();
    assert_eq!(registry.get("orders", 0).unwrap().bounds().end_offset, 0);
}

#[tokio::test]
async fn many_topics_open_together_and_close_with_their_state() {
    let (engine, registry) = registry();
    let topics = (0..1000).map(|number| topic(&format!("topic-{number}"), 1000 + number, &[0]));
    registry.open_topics(topics.collect()).await.unwrap();
    let partition = registry.get("topic-999", 0).unwrap();
    partition.append(&sequenced(5, 0, 0, 1), VERSION, None).unwrap();
    registry.close_all().await.unwrap();
    assert!(registry.get("topic-999", 0).is_err());
    assert!(partition.append(&plain(1), VERSION, None).is_err());

    let again = Arc::new(engine.restart());
    let registry = Arc::new(Registry::new(env().1, Directories::one(DIRECTORY, again), 2));
    registry.open_topics(vec![topic("topic-999", 1999, &[0])]).await.unwrap();
    let partition = registry.get("topic-999", 0).unwrap();
    assert_eq!(partition.append(&sequenced(5, 0, 0, 1), VERSION, None).unwrap().base_offset, 0);
    assert_eq!(partition.bounds().end_offset, 1);
}

#[tokio::test]
async fn a_topic_that_cannot_be_opened_is_not_served() {
    let (engine, registry) = registry();
    registry.open_topic(&topic("orders", 7, &[1])).await.unwrap();
    let fresh = Arc::new(Registry::new(env().1, Directories::one(DIRECTORY, Arc::new(engine)), 2));
    assert!(fresh.open_topic(&topic("orders", 8, &[0, 1])).await.is_err());
    assert!(fresh.get("orders", 0).is_err());
    assert_eq!(fresh.topic_name(Uuid::from_u128(8)), None);
}
