//! What compaction takes from the broker's configuration.

use super::BrokerLayers;

/// The part of the configuration that compaction acts on (Kafka: `CleanerConfig`). All of it but
/// `log.cleaner.enable` may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.threads`: logs compacted at the same time; 0, or with `log.cleaner.enable`
    /// false, none.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: bytes for keys, of all threads together.
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full these may become, 0 to 1.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`: bytes read and written at once, of all threads together.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`: bytes read and written, of all threads together.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`: time between two looks for what there is to do.
    pub backoff_ms: u64,
}

impl CleanerConfig {
    /// Reads what counts now.
    pub fn read(layers: &BrokerLayers<'_>) -> Self {
        let count = |key| u64::try_from(layers.integer(key)).unwrap_or(0);
        let size = |key| usize::try_from(count(key)).unwrap_or(usize::MAX);
        let is_enabled = layers.boolean("log.cleaner.enable");
        Self {
            threads: if is_enabled { size("log.cleaner.threads") } else { 0 },
            dedupe_buffer_bytes: count("log.cleaner.dedupe.buffer.size"),
            load_factor: layers.double("log.cleaner.io.buffer.load.factor"),
            io_buffer_bytes: size("log.cleaner.io.buffer.size"),
            io_max_bytes_per_second: layers.double("log.cleaner.io.max.bytes.per.second"),
            backoff_ms: count("log.cleaner.backoff.ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigMap;

    fn read(pairs: &[(&str, &str)]) -> CleanerConfig {
        let fixed: ConfigMap =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        CleanerConfig::read(&BrokerLayers::fixed(&fixed))
    }

    #[test]
    fn the_defaults_are_kafkas_and_no_threads_means_no_compaction() {
        let config = read(&[]);
        assert_eq!((config.threads, config.backoff_ms), (1, 15_000));
        assert_eq!((config.dedupe_buffer_bytes, config.io_buffer_bytes), (128 << 20, 512 << 10));
        assert_eq!(config.load_factor.to_string(), "0.9");
        assert!(config.io_max_bytes_per_second > 1e300);
        assert_eq!(read(&[("log.cleaner.threads", "0")]).threads, 0);
        assert_eq!(read(&[("log.cleaner.enable", "false")]).threads, 0);
        assert_eq!(read(&[("log.cleaner.threads", "3")]).threads, 3);
    }
}
