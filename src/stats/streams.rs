//! Random streams keyed by what they are for, so that no result depends on threads or on order.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// Names the purpose of a family of streams: three words of your choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey([u64; 3]);

impl StreamKey {
    /// A key from three words.
    pub fn new(words: [u64; 3]) -> Self {
        Self(words)
    }

    /// A key from a name and two numbers; the name enters by its 64-bit FNV-1a hash.
    pub fn named(name: &str, first: u64, second: u64) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self([hash, first, second])
    }
}

/// The ChaCha20 stream number `index` of the family `key` under `seed`.
///
/// The 256-bit ChaCha key is the seed followed by the three words of `key`; `index` is the stream number.
/// Streams of different (seed, key, index) are independent for every practical purpose, and one stream is
/// the same whatever else is drawn beside it.
pub fn random_stream(seed: u64, key: StreamKey, index: u64) -> ChaCha20Rng {
    let mut bytes = [0u8; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip([seed, key.0[0], key.0[1], key.0[2]]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha20Rng::from_seed(bytes);
    rng.set_stream(index);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_differ_by_seed_key_and_index_and_repeat_themselves() {
        let draw = |seed, name, index| random_stream(seed, StreamKey::named(name, 0, 0), index).next_u64();
        let base = draw(0, "a", 0);
        assert_eq!(base, draw(0, "a", 0));
        for other in [draw(1, "a", 0), draw(0, "b", 0), draw(0, "a", 1)] {
            assert_ne!(base, other);
        }
    }
}
