//! A stored state before the rules it may be of: which one it matches, or why it matches none.

use std::rc::Rc;

use super::candidates::Candidates;
use super::inquiry::{Explained, Inquiry, Subject};
use super::plan::Plan;
use super::recordings::{Readable, Recordings};
use super::replayed::{Replayed, for_states, has_same_states, is_same_walk, replay_runs};
use crate::commands::CommandError;
use crate::normalization::{Diagnosis, NormalizerState, Preset, Rule};
use crate::results::{AskedRule, TriedRow};

/// Distances up to this are rounding: the same state.
const ROUNDING: f64 = 1e-12;

/// The run and the rule a state was compared with, and what came of it.
pub(super) struct Verified {
    pub(super) candidate: usize,
    pub(super) run: usize,
    pub(super) expected: NormalizerState,
    /// Why the two differ; `None` if they do not.
    pub(super) diagnosis: Option<Diagnosis>,
    /// The framework whose conventions it matches.
    pub(super) preset: Option<Preset>,
    pub(super) tried: Vec<TriedRow>,
}

/// What became of a candidate.
#[derive(Clone)]
enum Tried {
    NotYet,
    /// Its updates are rounds, and none were recorded.
    NoRounds,
    /// Runs; rules that lead to the same states share them.
    Replayed(Rc<Vec<Replayed>>),
}

/// A run under a rule.
#[derive(Clone, Copy)]
struct Place {
    candidate: usize,
    run: usize,
}

/// A state and the rules it may be of.
pub(super) struct Trial<'a, 'r> {
    subject: Subject<'a>,
    candidates: &'a mut Candidates,
    recordings: &'a mut Recordings<'r>,
    tried: Vec<Tried>,
}

impl<'a, 'r> Trial<'a, 'r> {
    /// Nothing is tried yet.
    pub(super) fn new(
        subject: Subject<'a>,
        candidates: &'a mut Candidates,
        recordings: &'a mut Recordings<'r>,
    ) -> Self {
        let tried = vec![Tried::NotYet; candidates.rules.len()];
        Self { subject, candidates, recordings, tried }
    }

    /// Compares with the rule asked for, and with the others where that is asked or the first does not match.
    ///
    /// # Errors
    /// Malformed rows.
    pub(super) fn verify(mut self) -> Result<Verified, CommandError> {
        let others: Vec<usize> = (1..self.candidates.rules.len()).filter(|_| self.could_match()).collect();
        match self.candidates.asked {
            AskedRule::Auto => self.replay(&[&[0], &others[..]].concat())?,
            AskedRule::Preset | AskedRule::Flags => self.replay(&[0])?,
        }
        if let Some(place) = self.matching() {
            return Ok(self.verified(place, None, self.preset(place.candidate)));
        }
        if self.candidates.asked == AskedRule::Preset {
            self.replay(&others)?;
        }
        let other = self.matching().and_then(|place| self.preset(place.candidate));
        let (place, diagnosis) = self.explain(other)?;
        Ok(self.verified(place, Some(diagnosis), other))
    }

    fn preset(&self, candidate: usize) -> Option<Preset> {
        self.candidates.rules[candidate].rule.preset
    }

    /// Whether any rule could lead to the state.
    fn could_match(&self) -> bool {
        let claim = self.subject.claim;
        let is_sound = |value: &f64| value.is_finite();
        claim.mean.len() == self.recordings.plain().width()
            && claim.var.len() == claim.mean.len()
            && claim.mean.iter().all(is_sound)
            && claim.var.iter().all(|var| is_sound(var) && *var >= 0.0)
    }

    /// Replays under rules; those with the same batches in one pass, those with the same states once.
    fn replay(&mut self, candidates: &[usize]) -> Result<(), CommandError> {
        for candidate in candidates.iter().copied().filter(|candidate| *candidate > 0) {
            let plan = &mut self.candidates.rules[candidate].plan;
            if self.recordings.prepare(plan)? == Readable::NoRounds {
                self.tried[candidate] = Tried::NoRounds;
            }
        }
        for candidate in candidates.iter().copied() {
            if !matches!(self.tried[candidate], Tried::NotYet) {
                continue;
            }
            let plan = self.candidates.rules[candidate].plan.clone();
            let together: Vec<usize> = (candidates.iter().copied())
                .filter(|other| matches!(self.tried[*other], Tried::NotYet))
                .filter(|other| is_same_walk(&plan, &self.candidates.rules[*other].plan))
                .collect();
            self.replay_together(&plan, &together)?;
        }
        Ok(())
    }

    fn replay_together(&mut self, plan: &Plan, candidates: &[usize]) -> Result<(), CommandError> {
        let mut rules: Vec<Rule> = Vec::new();
        for candidate in candidates {
            let rule = self.candidates.rules[*candidate].plan.rule;
            if !rules.iter().any(|other| has_same_states(other, &rule)) {
                rules.push(rule);
            }
        }
        let progress = self.recordings.context.console.progress();
        let recording = self.recordings.of(plan);
        let Subject { claim, tolerance, .. } = self.subject;
        let found = replay_runs(recording, plan, &rules, claim, tolerance, &progress)?;
        let found: Vec<Rc<Vec<Replayed>>> = found.into_iter().map(Rc::new).collect();
        for candidate in candidates {
            let rule = self.candidates.rules[*candidate].plan.rule;
            let place = rules.iter().position(|other| has_same_states(other, &rule)).unwrap_or(0);
            self.tried[*candidate] = Tried::Replayed(Rc::clone(&found[place]));
        }
        Ok(())
    }

    /// The state under a rule; `None` where that was not replayed.
    fn under(&self, candidate: usize) -> Option<Inquiry<'_>> {
        let Tried::Replayed(runs) = &self.tried[candidate] else { return None };
        let plan = &self.candidates.rules[candidate].plan;
        Some(Inquiry {
            subject: self.subject,
            recording: self.recordings.of(plan),
            plan: for_states(plan),
            runs,
            context: self.recordings.context,
        })
    }

    /// The least distance under a rule, to the first run that has it; `None` where it was not replayed.
    fn nearest(&self, candidate: usize) -> Option<(usize, f64)> {
        let inquiry = self.under(candidate)?;
        let run = inquiry.nearest();
        Some((run, inquiry.distance(run)))
    }

    /// The run and rule it matches most closely; of equal ones a framework's before one without a name.
    fn matching(&self) -> Option<Place> {
        let matches = (0..self.tried.len()).filter_map(|candidate| {
            let inquiry = self.under(candidate)?;
            let matching = inquiry.eligible().into_iter().filter(|run| inquiry.is_match(*run));
            let (run, distance) =
                matching.map(|run| (run, inquiry.distance(run))).min_by(|a, b| a.1.total_cmp(&b.1))?;
            let rounded = if distance <= ROUNDING { 0.0 } else { distance };
            Some((rounded, self.preset(candidate).is_none(), Place { candidate, run }))
        });
        let nearest = matches.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.map(|(_, _, place)| place)
    }

    /// Why it matches nothing that was asked for; `other` is the framework it matches instead.
    fn explain(&self, other: Option<Preset>) -> Result<(Place, Diagnosis), CommandError> {
        let at = |candidate: usize| {
            move |Explained { run, diagnosis }: Explained| (Place { candidate, run }, diagnosis)
        };
        if let Some(preset) = other {
            let stale = self.under(0).and_then(|inquiry| inquiry.stale_by_count()).map(at(0));
            let run = self.nearest(0).map_or(0, |(run, _)| run);
            let instead = (Place { candidate: 0, run }, Diagnosis::OtherPreset { preset });
            return Ok(stale.unwrap_or(instead));
        }
        let mut order: Vec<(usize, f64)> = (1..self.tried.len())
            .filter(|_| self.candidates.asked == AskedRule::Auto)
            .filter_map(|candidate| Some((candidate, self.nearest(candidate)?.1)))
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        for candidate in std::iter::once(0).chain(order.iter().map(|(candidate, _)| *candidate)) {
            let inquiry = self.under(candidate);
            if let Some(found) = inquiry.and_then(|inquiry| inquiry.explained_by_replays()) {
                return Ok(at(candidate)(found));
            }
        }
        if let Some(inquiry) = self.under(0)
            && let Some(found) = inquiry.explained_by_more_replays()?
        {
            return Ok(at(0)(found));
        }
        let own = self.nearest(0).map_or(f64::INFINITY, |(_, distance)| distance);
        let candidate =
            order.first().filter(|(_, distance)| *distance < own).map_or(0, |(candidate, _)| *candidate);
        let run = self.nearest(candidate).map_or(0, |(run, _)| run);
        Ok((Place { candidate, run }, Diagnosis::Unknown))
    }

    /// The conclusion.
    fn verified(&self, place: Place, diagnosis: Option<Diagnosis>, preset: Option<Preset>) -> Verified {
        let Place { candidate, run } = place;
        let expected = self.under(candidate).map(|inquiry| inquiry.runs[run].state.clone());
        let Some(expected) = expected else { unreachable!("a place lies under a rule that was replayed") };
        Verified { candidate, run, expected, diagnosis, preset, tried: self.tried_rows() }
    }

    /// Every rule that was tried, and where frameworks' were, those that cannot be the state's.
    fn tried_rows(&self) -> Vec<TriedRow> {
        let rows = (0..self.tried.len()).filter_map(|candidate| {
            let preset = self.preset(candidate);
            match &self.tried[candidate] {
                Tried::NotYet => None,
                Tried::NoRounds => {
                    Some(TriedRow::left_out(preset, "no round column (round, rollout or batch) was recorded"))
                }
                Tried::Replayed(_) => {
                    let inquiry = self.under(candidate)?;
                    let matches = inquiry.eligible().into_iter().any(|run| inquiry.is_match(run));
                    Some(TriedRow::new(preset, inquiry.distance(inquiry.nearest()), matches))
                }
            }
        });
        let mut rows: Vec<TriedRow> = rows.collect();
        if rows.len() > 1 || self.candidates.asked == AskedRule::Auto {
            let left_out = self.candidates.left_out.iter();
            rows.extend(left_out.map(|other| TriedRow::left_out(Some(other.preset), &other.reason)));
        }
        rows
    }
}
