//! States of shards combined exactly.

use super::rule::Memory;
use super::segment::{MeanVar, Segment};
use super::state::NormalizerState;

/// Why states cannot be combined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to combine.
    #[error("no state to merge")]
    Nothing,
    /// Other conventions.
    #[error("state {0} differs from the first in {1}")]
    Differs(usize, &'static str),
}

/// Combines states of consecutive shards; each one's own initial state counts once in the result.
///
/// # Formula
/// The initial state is taken out of every state but the first ([`NormalizerState::without_prior`]); what is left are
/// the rows' own moments. Full history: Chan's merge, in any order. Moving average: segments (1 - m^K, mean, var)
/// composed in the order given, then applied to the first state.
///
/// # Errors
/// No state, or states of another kind, momentum, width or initial state.
pub fn merge_states(states: &[NormalizerState]) -> Result<NormalizerState, MergeError> {
    let Some((first, rest)) = states.split_first() else { return Err(MergeError::Nothing) };
    for (place, state) in rest.iter().enumerate() {
        let differs = |what| Err(MergeError::Differs(place + 2, what));
        if state.memory.name() != first.memory.name() {
            return differs("its kind");
        }
        if state.memory != first.memory {
            return differs("its momentum");
        }
        if state.mean.len() != first.mean.len() {
            return differs("its number of dimensions");
        }
        if state.prior() != first.prior() {
            return differs("its initial state");
        }
    }
    let mut merged = first.clone();
    for state in rest {
        let weight = match state.memory {
            Memory::Welford => (state.count - state.initial_count).max(0.0),
            Memory::Ema { .. } => 1.0 - state.prior_weight(),
        };
        // Rows that moved nothing (momentum 1) were seen all the same.
        if let Some(alone) = state.without_prior() {
            for d in 0..alone.mean.len() {
                let segment = Segment::with_weight(state.memory, weight, alone.mean[d], alone.var[d]);
                let before = MeanVar { mean: merged.mean[d], var: merged.var[d] };
                let after = segment.apply(merged.count, before);
                (merged.mean[d], merged.var[d]) = (after.mean, after.var);
            }
        }
        merged.count += match state.memory {
            Memory::Welford => weight,
            Memory::Ema { .. } => state.count,
        };
        merged.batches += state.batches;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::super::{Normalizer, Rule};
    use super::*;

    fn state(rule: Rule, batches: &[[f64; 3]]) -> NormalizerState {
        let mut normalizer = Normalizer::new(rule, 1);
        for [n, mean, var] in batches {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
            normalizer.update(*n as u64, &[*mean], &[*var]);
        }
        normalizer.state()
    }

    #[test]
    fn shards_give_the_state_of_the_whole() {
        let batches = [[3.0, 1.0, 0.5], [5.0, 4.0, 2.0], [2.0, -1.0, 0.1], [7.0, 2.0, 3.0]];
        for memory in [Memory::Welford, Memory::ema(0.8), Memory::ema(1.0), Memory::ema(0.0)] {
            let rule = Rule { initial_count: 0.5, ..Rule::observations(memory) };
            let whole = state(rule, &batches);
            for split in 0..=4 {
                let shards = [state(rule, &batches[..split]), state(rule, &batches[split..])];
                let merged = merge_states(&shards).expect("alike");
                assert!((merged.mean[0] - whole.mean[0]).abs() < 1e-13, "{memory:?} {split}");
                assert!((merged.var[0] - whole.var[0]).abs() < 1e-13);
                assert_eq!((merged.count, merged.batches), (whole.count, whole.batches));
            }
        }
    }

    #[test]
    fn other_conventions_are_refused() {
        let welford = state(Rule::observations(Memory::Welford), &[[1.0, 1.0, 0.0]]);
        let ema = state(Rule::observations(Memory::ema(0.9)), &[[1.0, 1.0, 0.0]]);
        assert_eq!(merge_states(&[welford, ema]), Err(MergeError::Differs(2, "its kind")));
        assert_eq!(merge_states(&[]), Err(MergeError::Nothing));
    }
}
