//! The values that stock producers send: alike in form and different in content, as records of one topic are, so that
//! a codec has something to do.

use std::fs;
use std::path::{Path, PathBuf};

use super::RECORD_BYTES;

/// So many that a batch of 64 KiB, which takes about 600, hardly has one twice.
const COUNT: usize = 10_000;

/// Writes a value a line; the same in every run.
pub(super) fn write(directory: &Path) -> PathBuf {
    let path = directory.join("values");
    let mut random = fastrand::Rng::with_seed(1);
    let lines: Vec<String> = (0..COUNT).map(|_| value(&mut random) + "\n").collect();
    fs::write(&path, lines.concat()).unwrap();
    path
}

/// All values of a file that [`write`] has written.
pub(super) fn read(path: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// An object of JSON.
fn value(random: &mut fastrand::Rng) -> String {
    let (id, user) = (random.u32(..100_000_000), random.u32(..100_000));
    let (item, cents) = (random.u32(..10_000), random.u32(..100_000));
    let mut text = format!(
        r#"{{"id":{id:08},"user":"user-{user:05}","item":"item-{item:04}","price":{cents:05},"note":""#
    );
    while text.len() < RECORD_BYTES - 2 {
        text.push(random.lowercase());
    }
    text.push_str("\"}");
    assert_eq!(text.len(), RECORD_BYTES, "{text}");
    text
}
