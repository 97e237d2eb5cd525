//! Lines to send through a broker.

/// `count` lines of words, each ended by a newline; the same bytes for the same seed. No line is empty: kcat does not
/// send those.
pub(crate) fn lines(count: usize, seed: u64) -> Vec<u8> {
    const SYLLABLES: [&str; 16] = [
        "ka", "to", "ri", "né", "lo", "mu", "sha", "ve", "ottl", "is", "an", "ü", "qua", "zer",
        "pi", "dó",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = Vec::new();
    for number in 0..count {
        text.extend_from_slice(format!("{number}").as_bytes());
        for _ in 0..random.usize(0..8) {
            text.extend_from_slice(b" ");
            for _ in 0..random.usize(1..5) {
                text.extend_from_slice(SYLLABLES[random.usize(0..SYLLABLES.len())].as_bytes());
            }
        }
        text.push(b'\n');
    }
    text
}
