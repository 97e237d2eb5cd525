//! The command line of the tool: Kafka's options.

use clap::Args;

use super::DumpError;
use super::decoder::Decoder;

/// The only class of keys and values: Java classes cannot be loaded.
const STRING_DECODER: &str = "org.apache.kafka.tools.api.StringDecoder";

/// What to dump and how.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "Kafka's options are what they are")]
pub struct Options {
    /// Segments, indexes, producer snapshots and metadata snapshots, separated by commas.
    #[arg(long, required = true, value_name = "file1,file2,...")]
    files: Vec<String>,
    /// Print keys and values; every decoder implies it.
    #[arg(long)]
    pub(super) print_data_log: bool,
    /// Print the records, not only their batches; printing keys and values implies it.
    #[arg(long)]
    deep_iteration: bool,
    /// Compare indexes with their segments without printing the entries.
    #[arg(long)]
    pub(super) verify_index_only: bool,
    /// Check only what a broker checks of an index at its start.
    #[arg(long)]
    pub(super) index_sanity_check: bool,
    /// Size of the largest batch, for indexes.
    #[arg(long, value_name = "bytes", default_value_t = 5 * 1024 * 1024, allow_negative_numbers = true)]
    pub(super) max_message_size: i32,
    /// Read no more than so much of each segment.
    #[arg(long, value_name = "bytes", default_value_t = i32::MAX, allow_negative_numbers = true)]
    pub(super) max_bytes: i32,
    /// Only Kafka's StringDecoder, the default: Java classes cannot be loaded.
    #[arg(long, value_name = "class", num_args = 0..=1, default_missing_value = STRING_DECODER)]
    value_decoder_class: Option<String>,
    /// As for values.
    #[arg(long, value_name = "class", num_args = 0..=1, default_missing_value = STRING_DECODER)]
    key_decoder_class: Option<String>,
    /// Print the records of __consumer_offsets as JSON.
    #[arg(long)]
    offsets_decoder: bool,
    /// Print the records of __transaction_state as JSON.
    #[arg(long)]
    transaction_log_decoder: bool,
    /// Print the records of the metadata log and its snapshots as JSON.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Print the records of __share_group_state as JSON.
    #[arg(long)]
    share_group_state_decoder: bool,
    /// Not supported: there is no tiered storage here.
    #[arg(long)]
    remote_log_metadata_decoder: bool,
    /// Print only keys and values of records; control records become empty lines.
    #[arg(long)]
    pub(super) skip_record_metadata: bool,
}

impl Options {
    /// Refuses what Kafka's tool can and this one cannot.
    pub(super) fn check(&self) -> Result<(), DumpError> {
        let classes = [&self.value_decoder_class, &self.key_decoder_class].into_iter().flatten();
        for class in classes {
            if class != STRING_DECODER {
                let what = format!(
                    "the decoder {class} is a Java class, which only Kafka's own tool can load; \
                     leave the option out for {STRING_DECODER}"
                );
                return Err(DumpError::Refused(what));
            }
        }
        if self.remote_log_metadata_decoder {
            let what = "--remote-log-metadata-decoder is not supported, there is no tiered storage \
                        here; take Kafka's own tool for what Kafka wrote";
            return Err(DumpError::Refused(what.to_owned()));
        }
        Ok(())
    }

    /// The files, taken apart as Java's `String.split` does: empty names at the end do not count.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|list| {
            let names = list.trim_end_matches(',');
            let is_none = names.is_empty() && !list.is_empty();
            names.split(',').filter(move |_| !is_none)
        })
    }

    /// How keys and values are read.
    pub(super) fn decoder(&self) -> Decoder {
        if self.offsets_decoder {
            Decoder::Offsets
        } else if self.transaction_log_decoder {
            Decoder::Transactions
        } else if self.cluster_metadata_decoder {
            Decoder::ClusterMetadata
        } else if self.share_group_state_decoder {
            Decoder::ShareState
        } else {
            Decoder::Text
        }
    }

    /// Whether keys and values are printed.
    pub(super) fn prints_contents(&self) -> bool {
        self.print_data_log
            || self.decoder() != Decoder::Text
            || self.value_decoder_class.is_some()
            || self.key_decoder_class.is_some()
    }

    /// Whether records are printed.
    pub(super) fn prints_records(&self) -> bool {
        self.deep_iteration || self.prints_contents()
    }
}
