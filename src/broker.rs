//! A broker: builds the parts from settings and owns the order of start and stop.
//!
//! Start: lock the directories, bind the sockets (so that every port is known), load the metadata and
//! open every topic, then accept. Stop: refuse new connections, let answers leave, close every log,
//! write the clean-shutdown marker, let the locks go.

mod directories;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::api::{FetchSessions, Shared};
use crate::config::{CleanerConfig, ConfigError, ServerConfig};
use crate::coordinator::group::Groups;
use crate::coordinator::transaction::Transactions;
use crate::env::{Disk, Env, OpenMode, default_gateway, write_all_at};
use crate::log::local::EngineError;
use crate::log::{AppendError, MemoryEngine};
use crate::metadata::{self, DirectoryError, Endpoint};
use crate::net::{self, BindError, Listener, PERMIT_BYTES, SocketOptions};
use crate::partition::{Cleaner, CleanerSettings, Directories, Registry, keep_retention};
use crate::seed::{Seed, SeedError};

use directories::DataDirectories;

/// Memory for large requests where `queued.max.request.bytes` leaves it to the broker.
const REQUEST_MEMORY_BYTES: usize = 128 * 1024 * 1024;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No directory is left for topics.
    #[error("none of the directories of log.dirs can be used; see the errors above")]
    NoLogDir,
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The metadata or a topic could not be loaded.
    #[error(transparent)]
    Metadata(#[from] metadata::StartError),
    /// The seed cannot be sown.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The data directory belongs to somebody else or is damaged.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Why a broker did not stop cleanly; the next start recovers.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A log could not be closed.
    #[error("closing a log: {0}")]
    Log(#[from] AppendError),
    /// The checkpoints or the marker could not be written.
    #[error("writing the clean-shutdown marker: {0}")]
    Marker(#[from] io::Error),
}

/// Where a broker keeps its logs.
enum Storage {
    /// Files, in `log.dirs`.
    Local,
    /// Memory; gone with the engine.
    Memory(Arc<MemoryEngine>),
}

/// Settings of a broker to be started.
pub struct Builder {
    config: ServerConfig,
    storage: Storage,
    env: Env,
    seed: Seed,
}

/// A running broker. Dropping it without [`Broker::shutdown`] is like a crash of its process.
pub struct Broker {
    /// For measurements: what [`crate::api::dispatch`] serves a request with.
    #[doc(hidden)]
    pub shared: Arc<Shared>,
    bound: Vec<Bound>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    /// Retention, and what waits for directories to fail.
    tasks: JoinSet<()>,
    cleaner: Cleaner,
}

/// A listener that accepts.
#[derive(Clone, Debug)]
struct Bound {
    name: Arc<str>,
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
}

impl Broker {
    /// A broker with Kafka's defaults on `localhost:9092` and `./ottla-data`.
    pub fn builder() -> Builder {
        Builder {
            config: ServerConfig::default(),
            storage: Storage::Local,
            env: Env::of_this_machine(),
            seed: Seed::default(),
        }
    }

    /// A broker for one test: in memory, on a free port of `localhost`.
    pub fn for_test() -> Builder {
        let on_a_free_port = Self::builder().set("listeners", "PLAINTEXT://localhost:0");
        on_a_free_port.expect("the setting is valid").in_memory(Arc::default())
    }

    /// `host:port` pairs for a client's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let address = |bound: &Bound| match bound.host.as_str() {
            "" => format!("localhost:{}", bound.port),
            host if host.contains(':') => format!("[{host}]:{}", bound.port),
            host => format!("{host}:{}", bound.port),
        };
        self.bound.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> String {
        self.shared.metadata.image().cluster_id.to_string()
    }

    /// One line of JSON with what is bound, as the ready file has it.
    pub fn ready_line(&self) -> String {
        let listeners: Vec<_> = self
            .bound
            .iter()
            .map(|Bound { name, host, port, addresses }| {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                json!({ "name": **name, "host": host, "port": port, "addresses": addresses })
            })
            .collect();
        format!("{}\n", json!({ "listeners": listeners }))
    }

    /// Resolves when the directory of the metadata log, or the last of the others, has failed (an
    /// I/O error, a failed sync): nothing more is acknowledged, and the process should end.
    pub async fn offline(&self) {
        tokio::select! {
            () = self.shared.metadata.offline() => {}
            () = self.shared.registry.directories().all_failed() => {}
        }
    }

    /// Stops: what was acknowledged is kept, idle clients are cut off, the next start replays
    /// nothing.
    pub async fn shutdown(mut self) -> Result<(), StopError> {
        let Shared { config, metadata, registry, groups, transactions, .. } = &*self.shared;
        tracing::info!("[KafkaRaftServer nodeId={}] shutting down", config.node_id);
        self.stop.send_replace(true);
        self.tasks.abort_all();
        for server in self.servers {
            let _ = server.await;
        }
        while self.tasks.join_next().await.is_some() {}
        self.cleaner.stop().await;
        transactions.close().await;
        groups.close().await;
        let broker_epoch = metadata.broker_epoch();
        let closed = registry.close_all().await;
        metadata.close().await;
        closed?;
        registry.directories().close(broker_epoch).await?;
        tracing::info!("[KafkaRaftServer nodeId={}] shut down completed", config.node_id);
        Ok(())
    }
}

impl Builder {
    /// Settings read elsewhere; those made before are lost.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets one of Kafka's keys.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let mut explicit = self.config.explicit.clone();
        explicit.insert(key.to_owned(), value.to_owned());
        self.config = ServerConfig::from_map(explicit)?;
        Ok(self)
    }

    /// Keeps the data in `directory`, as `log.dirs`.
    #[must_use]
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.config.log_dirs = vec![directory.into()];
        self
    }

    /// Keeps everything in memory, in `engine`: a broker started on it again finds what was there.
    #[must_use]
    pub fn in_memory(mut self, engine: Arc<MemoryEngine>) -> Self {
        self.storage = Storage::Memory(engine);
        self
    }

    /// Another world: time, randomness, files.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Topics and records that are to be there before the first client comes.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the broker; it serves when this returns.
    pub async fn start(self) -> Result<Broker, StartError> {
        let Self { config, storage, env, seed } = self;
        let config = Arc::new(config);
        let stores = match &storage {
            Storage::Local => Some(DataDirectories::open(&env, &config)?),
            Storage::Memory(_) => None,
        };
        let options = SocketOptions {
            backlog: config.socket_listen_backlog_size,
            send_buffer_bytes: config.socket_send_buffer_bytes,
            receive_buffer_bytes: config.socket_receive_buffer_bytes,
        };
        let listeners = config.listeners.iter().map(|listener| {
            let host = listener.host.as_deref().unwrap_or_default();
            Listener::bind(&listener.name, host, listener.port, options)
        });
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let bound: Vec<Bound> = listeners.iter().map(Bound::of).collect();
        let settings = metadata::Settings::new(&config, endpoints(&config, &bound));
        let (directory, directories) = match (stores, storage) {
            (Some(stores), _) => {
                stores.identify(&env, &settings).map(|(it, all)| (Some(it), all))?
            }
            (None, Storage::Memory(engine)) => (None, Directories::one(env.random.uuid(), engine)),
            (None, Storage::Local) => return Err(StartError::NoLogDir),
        };
        let registry = Arc::new(Registry::new(env.clone(), directories, config.recovery_threads));
        let parts = metadata::Parts { env: env.clone(), registry: registry.clone(), directory };
        let metadata = metadata::start(parts, settings).await?;
        seed.apply(&env, &metadata, &registry).await?;
        let request_memory = config.queued_max_request_bytes.unwrap_or(REQUEST_MEMORY_BYTES);
        // The largest request must fit, with the unit it is rounded up to.
        let largest = config.socket_request_max_bytes + PERMIT_BYTES;
        let request_memory = request_memory.max(largest);
        let groups = Arc::new(Groups::new(&env, &config, &metadata, &registry));
        let shared = Arc::new(Shared {
            transactions: Transactions::new(&env, &config, &metadata, &registry, &groups),
            groups,
            fetch_sessions: FetchSessions::new(config.fetch_session_cache_slots),
            gateway: config
                .gateway_advertised_host
                .clone()
                .and_then(|host| default_gateway().map(|gateway| (gateway, host))),
            request_memory: Arc::new(Semaphore::new(request_memory / PERMIT_BYTES)),
            config,
            metadata,
            registry,
            env,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_retention(
            shared.env.clone(),
            Arc::downgrade(&shared.registry),
            shared.config.retention_timing,
        ));
        for (id, engine) in shared.registry.directories().expendable() {
            let (registry, metadata) = (shared.registry.clone(), shared.metadata.clone());
            tasks.spawn(async move {
                engine.failed().await;
                registry.take_offline(id);
                metadata.directory_failed(id).await;
            });
        }
        let cleaner = Cleaner::start(&shared.env, &shared.registry, cleaner_settings(&shared));
        let (stop, stopped) = watch::channel(false);
        let serve = |listener| tokio::spawn(net::serve(listener, shared.clone(), stopped.clone()));
        let servers = listeners.into_iter().map(serve).collect();
        Ok(Broker { shared, bound, stop, servers, tasks, cleaner })
    }
}

impl Bound {
    fn of(listener: &Listener) -> Self {
        Self {
            name: listener.name().clone(),
            host: listener.host().to_owned(),
            port: listener.port(),
            addresses: listener.addresses(),
        }
    }
}

/// What counts for compaction, whenever it is asked.
fn cleaner_settings(shared: &Shared) -> CleanerSettings {
    let (config, metadata) = (shared.config.clone(), shared.metadata.clone());
    Arc::new(move || CleanerConfig::read(&metadata.image().broker_layers(&config.explicit)))
}

/// What the broker's registration names: where clients are told to connect, as far as that is one
/// address for all of them.
fn endpoints(config: &ServerConfig, bound: &[Bound]) -> Vec<Endpoint> {
    let advertised = |bound: &Bound| {
        let mut configured = config.advertised_listeners.iter().flatten();
        let told = configured.find(|listener| listener.name == *bound.name);
        let host = told.and_then(|listener| listener.host.as_deref()).unwrap_or(&bound.host);
        let port = told.map_or(0, |listener| listener.port);
        Endpoint {
            name: bound.name.to_string(),
            host: if host.is_empty() { "localhost" } else { host }.to_owned(),
            port: if port == 0 { bound.port } else { port },
        }
    };
    bound.iter().map(advertised).collect()
}

/// Writes the ready file so that a reader sees all of it or nothing.
pub fn write_ready_file(disk: &dyn Disk, path: &Path, line: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = disk.open(&temporary, OpenMode::Truncate)?;
    write_all_at(&*file, line.as_bytes(), 0)?;
    disk.rename(&temporary, path)
}
