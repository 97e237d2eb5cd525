//! What the floor answers: the few requests without which no client would go on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use ottla::wire::header::write_response_header;
use ottla::wire::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use ottla::wire::messages::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use ottla::wire::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla::wire::messages::fetch::{
    FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponseTopic,
};
use ottla::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use ottla::wire::{Chunk, Decoder, Encoder, ErrorCode, Keyed, Message, RequestHeader, Segments};
use uuid::Uuid;

use super::files::PartitionFiles;
use super::topics::{Arrivals, NODE_ID, Topic, Topics};
use crate::requests::Request;

/// `ListOffsets`: the start of the log; anything else is answered with the end.
const EARLIEST: i64 = -2;

/// Topics, and the answers about them.
pub(super) struct Served {
    directory: PathBuf,
    port: u16,
    topics: RwLock<Topics>,
    next_producer_id: AtomicI64,
    arrivals: Arrivals,
}

impl Served {
    pub(super) fn new(directory: &Path, port: u16) -> Self {
        Self {
            directory: directory.to_owned(),
            port,
            topics: RwLock::default(),
            next_producer_id: AtomicI64::new(0),
            arrivals: Arrivals::default(),
        }
    }

    /// The answer to a request, if it gets one.
    pub(super) fn answer(&self, frame: Bytes) -> Option<Segments> {
        let (key, version) = RequestHeader::peek(&Decoder::new(frame.clone())).unwrap();
        match key {
            ProduceRequest::KEY => reply(frame, version, |request| self.produce(&request)),
            FetchRequest::KEY => reply(frame, version, |request| Some(self.fetch(&request))),
            ListOffsetsRequest::KEY => {
                reply(frame, version, |request| Some(self.list_offsets(request)))
            }
            MetadataRequest::KEY => reply(frame, version, |request| Some(self.metadata(&request))),
            CreateTopicsRequest::KEY => {
                reply(frame, version, |request| Some(self.create_topics(&request)))
            }
            DeleteTopicsRequest::KEY => {
                reply(frame, version, |request| Some(self.delete_topics(request)))
            }
            InitProducerIdRequest::KEY => {
                reply::<InitProducerIdRequest>(frame, version, |_| Some(self.init_producer_id()))
            }
            ApiVersionsRequest::KEY => {
                reply::<ApiVersionsRequest>(frame, version, |_| Some(api_versions()))
            }
            other => panic!("the floor does not know API key {other}"),
        }
    }

    fn topic(&self, name: &str, id: Uuid) -> Option<Arc<Topic>> {
        self.topics.read().unwrap().get(name, id)
    }

    fn produce(&self, request: &ProduceRequest) -> Option<ProduceResponse> {
        let responses = request.topic_data.iter().map(|asked| {
            let topic = self.topic(&asked.name, asked.topic_id);
            let append = |data: &PartitionProduceData| match append(topic.as_deref(), data) {
                Ok(base_offset) => PartitionProduceResponse {
                    index: data.index,
                    base_offset,
                    log_start_offset: 0,
                    ..Default::default()
                },
                Err(error) => PartitionProduceResponse {
                    index: data.index,
                    error_code: error.code(),
                    base_offset: -1,
                    ..Default::default()
                },
            };
            TopicProduceResponse {
                name: asked.name.clone(),
                topic_id: asked.topic_id,
                partition_responses: asked.partition_data.iter().map(append).collect(),
            }
        });
        let response = ProduceResponse { responses: responses.collect(), ..Default::default() };
        self.arrivals.tell();
        (request.acks != 0).then_some(response)
    }

    fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let look = || {
            let response = self.look(request);
            let mut all = response.responses.iter().flat_map(|topic| &topic.partitions);
            let is_empty = all.all(|it| it.error_code == 0 && it.records == Some(none()));
            (!is_empty || request.min_bytes == 0).then_some(response)
        };
        let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
        // Those who find something at once do not bother the producers.
        let found = look().or_else(|| self.arrivals.wait(wait, look));
        found.unwrap_or_else(|| self.look(request))
    }

    /// What is there now.
    fn look(&self, request: &FetchRequest) -> FetchResponse {
        let mut left_bytes = u64::try_from(request.max_bytes).unwrap_or(0);
        let mut read = |asked: &FetchTopic| {
            let topic = self.topic(&asked.topic, asked.topic_id);
            let partitions = asked.partitions.iter().map(|partition| {
                let max_bytes = u64::try_from(partition.partition_max_bytes).unwrap_or(0);
                let range = (partition.fetch_offset, max_bytes.min(left_bytes));
                let data = read(topic.as_deref(), partition.partition, range);
                let bytes = data.records.as_ref().map_or(0, Chunk::len) as u64;
                left_bytes = left_bytes.saturating_sub(bytes);
                data
            });
            FetchableTopicResponse {
                topic: asked.topic.clone(),
                topic_id: asked.topic_id,
                partitions: partitions.collect(),
            }
        };
        let responses = request.topics.iter().map(&mut read).collect();
        FetchResponse { responses, ..Default::default() }
    }

    fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.into_iter().map(|asked| {
            let topic = self.topic(&asked.name, Uuid::nil());
            let partitions = asked.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let files = topic.as_ref().and_then(|topic| topic.partition(index));
                let end = files.map(|files| files.lock().unwrap().next_offset);
                let offset = end.map(|end| if partition.timestamp == EARLIEST { 0 } else { end });
                ListOffsetsPartitionResponse {
                    partition_index: index,
                    error_code: known(end.is_some()).code(),
                    offset: offset.unwrap_or(-1),
                    leader_epoch: 0,
                    ..Default::default()
                }
            });
            ListOffsetsTopicResponse { partitions: partitions.collect(), name: asked.name }
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let named = |asked: &MetadataRequestTopic| {
            let name = asked.name.clone().unwrap_or_default();
            self.topic(&name, asked.topic_id).map_or_else(
                || MetadataResponseTopic {
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    name: asked.name.clone(),
                    topic_id: asked.topic_id,
                    ..Default::default()
                },
                |topic| topic.described(),
            )
        };
        let topics = if let Some(topics) = &request.topics {
            topics.iter().map(named).collect()
        } else {
            self.topics.read().unwrap().all().map(Topic::described).collect()
        };
        let (host, port) = ("127.0.0.1".to_owned(), self.port.into());
        MetadataResponse {
            brokers: vec![MetadataResponseBroker { node_id: NODE_ID, host, port, rack: None }],
            cluster_id: Some("floor".to_owned()),
            controller_id: NODE_ID,
            topics,
            ..Default::default()
        }
    }

    fn create_topics(&self, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let mut topics = self.topics.write().unwrap();
        let created = request.topics.iter().map(|asked| topics.create(&self.directory, asked));
        let topics = created.collect();
        CreateTopicsResponse { topics, ..Default::default() }
    }

    fn delete_topics(&self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let state = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::nil() };
        let named = request.topic_names.into_iter().map(state);
        let mut topics = self.topics.write().unwrap();
        let delete = |asked: DeleteTopicState| {
            topics.delete(&asked.name.unwrap_or_default(), asked.topic_id)
        };
        let responses = named.chain(request.topics).map(delete).collect();
        DeleteTopicsResponse { responses, ..Default::default() }
    }

    fn init_producer_id(&self) -> InitProducerIdResponse {
        let producer_id = self.next_producer_id.fetch_add(1, Ordering::SeqCst);
        InitProducerIdResponse { producer_id, ..Default::default() }
    }
}

fn known(is_known: bool) -> ErrorCode {
    if is_known { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition }
}

fn none() -> Chunk {
    Bytes::new().into()
}

fn append(topic: Option<&Topic>, data: &PartitionProduceData) -> Result<i64, ErrorCode> {
    let files = topic.and_then(|topic| topic.partition(data.index));
    let files = files.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let batch = data.records.as_ref().ok_or(ErrorCode::InvalidRecord)?;
    PartitionFiles::check(batch)?;
    Ok(files.lock().unwrap().append(batch))
}

fn read(topic: Option<&Topic>, index: i32, (offset, max_bytes): (i64, u64)) -> PartitionData {
    let mut data = PartitionData { partition_index: index, ..Default::default() };
    data.records = Some(none());
    let Some(files) = topic.and_then(|topic| topic.partition(index)) else {
        data.error_code = ErrorCode::UnknownTopicOrPartition.code();
        return data;
    };
    let files = files.lock().unwrap();
    if !(0..=files.next_offset).contains(&offset) {
        data.error_code = ErrorCode::OffsetOutOfRange.code();
    }
    (data.high_watermark, data.last_stable_offset) = (files.next_offset, files.next_offset);
    data.log_start_offset = 0;
    data.records = Some(files.range(offset, max_bytes).unwrap_or_else(none));
    data
}

fn api_versions() -> ApiVersionsResponse {
    let api_keys = vec![
        api::<ProduceRequest>(),
        api::<FetchRequest>(),
        api::<ListOffsetsRequest>(),
        api::<MetadataRequest>(),
        api::<ApiVersionsRequest>(),
        api::<CreateTopicsRequest>(),
        api::<DeleteTopicsRequest>(),
        api::<InitProducerIdRequest>(),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn api<R: Request>() -> ApiVersion {
    let (min_version, max_version) = (*R::VERSIONS.start(), *R::VERSIONS.end());
    ApiVersion { api_key: R::KEY, min_version, max_version }
}

/// Reads a request, has it answered, writes the response; None where nothing is to be sent.
fn reply<R: Request>(
    frame: Bytes,
    version: i16,
    answer: impl FnOnce(R) -> Option<R::Response>,
) -> Option<Segments> {
    let flexible = version >= R::FLEXIBLE;
    let mut decoder = Decoder::new(frame);
    let header = RequestHeader::read(&mut decoder, flexible).unwrap();
    let response = answer(R::decode(&mut decoder, version).unwrap())?;
    let mut encoder = Encoder::frame();
    let flexible = flexible && R::KEY != ApiVersionsRequest::KEY;
    write_response_header(&mut encoder, header.correlation_id, flexible);
    response.encode(&mut encoder, version);
    Some(encoder.finish())
}
