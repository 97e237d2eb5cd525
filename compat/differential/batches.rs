//! The record batches of a Fetch, opened: their debug text is only their length.

use ottla::records::BatchHeader;
use ottla::wire::Chunk;
use ottla::wire::messages::fetch::FetchResponse;

use crate::tree::Node;

/// Puts the batches in the place of the records in the tree of an answer.
pub(crate) fn open(tree: &mut Node, response: &FetchResponse) {
    let records = response.responses.iter().flat_map(|topic| &topic.partitions);
    let mut records = records.map(|partition| &partition.records);
    replace(tree, &mut records);
}

fn replace<'a>(node: &mut Node, records: &mut impl Iterator<Item = &'a Option<Chunk>>) {
    match node {
        Node::Atom(_) => {}
        Node::List(elements) => elements.iter_mut().for_each(|element| replace(element, records)),
        Node::Structure(fields) => {
            for (name, value) in fields {
                match records_of(name, records) {
                    Some(batches) => *value = batches,
                    None => replace(value, records),
                }
            }
        }
    }
}

fn records_of<'a>(
    field: &str,
    records: &mut impl Iterator<Item = &'a Option<Chunk>>,
) -> Option<Node> {
    if field != "records" {
        return None;
    }
    let Chunk::Bytes(bytes) = records.next()?.as_ref()? else { return None };
    let mut batches = Vec::new();
    let mut rest = &bytes[..];
    while let Ok(header) = BatchHeader::parse(rest) {
        let Some((batch, behind)) = rest.split_at_checked(header.size_bytes()) else { break };
        let mut batch_node = Node::of(&header);
        if let Node::Structure(fields) = &mut batch_node {
            // It covers times that may differ; everything it covers is compared by itself.
            fields.retain(|(name, _)| name != "crc");
            let is_right = header.verify_crc(batch);
            fields.push(("crc_is_right".to_owned(), Node::atom(is_right.to_string())));
            let payload = format!("{:?}", &batch[ottla::records::BATCH_HEADER_BYTES..]);
            fields.push(("payload".to_owned(), Node::atom(payload)));
        }
        batches.push(batch_node);
        rest = behind;
    }
    if !rest.is_empty() {
        batches.push(cut(rest));
    }
    Some(Node::List(batches))
}

/// The beginning of a batch, without the checksum, the times and the producer, which may differ.
fn cut(rest: &[u8]) -> Node {
    let parts = [0..17, 21..27, 51..rest.len()];
    let part = |part: std::ops::Range<usize>| rest.get(part.start..part.end.min(rest.len()));
    let shown = parts.map(|range| format!("{:?}", part(range).unwrap_or_default()));
    Node::atom(format!("{} bytes: {}", rest.len(), shown.join(" ")))
}
