//! What each principal may be told: which acknowledged change came last, and which others were under
//! way beside it or were cut off and may yet have their effect.

use std::collections::{BTreeMap, BTreeSet};

/// Connected as this login, or not.
pub type Outcome = Option<String>;

#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<String, Standing>);

#[derive(Debug)]
struct Standing {
    /// What the last acknowledged change has left: several if some overlapped.
    settled: BTreeSet<Outcome>,
    open: Vec<Open>,
    /// What each look that is under way may tell.
    looks: BTreeMap<usize, BTreeSet<Outcome>>,
}

/// A change that was begun and not acknowledged.
#[derive(Debug)]
struct Open {
    hand: usize,
    outcome: Outcome,
    begun: u64,
    /// When its process ended. Whoever asks next may take up what it had begun,
    cut_off: Option<u64>,
    /// even after a later change: an account that becomes active at Scalekit without our hearing of
    /// it counts when it is found.
    is_found_later: bool,
    /// Effects that were acknowledged while it was under way.
    meanwhile: Vec<Outcome>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { settled: BTreeSet::from([None]), open: Vec::new(), looks: BTreeMap::new() }
    }
}

impl Standing {
    fn possible(&self) -> BTreeSet<Outcome> {
        let open = self.open.iter().map(|open| open.outcome.clone());
        self.settled.iter().cloned().chain(open).collect()
    }

    fn tell_looks(&mut self) {
        let possible = self.possible();
        for look in self.looks.values_mut() {
            look.extend(possible.iter().cloned());
        }
    }
}

impl Ledger {
    pub fn subjects(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// A change is begun that would have this outcome.
    pub fn begin(
        &mut self,
        (hand, begun): (usize, u64),
        subject: &str,
        outcome: Outcome,
        is_found_later: bool,
    ) {
        let standing = self.0.entry(subject.to_owned()).or_default();
        let meanwhile = Vec::new();
        let cut_off = None;
        standing.open.push(Open { hand, outcome, begun, cut_off, is_found_later, meanwhile });
        standing.tell_looks();
    }

    /// It was acknowledged (and this is what it did), or is over without an effect.
    pub fn end(&mut self, hand: usize, effect: Option<&Outcome>, subject: &str) {
        let Some(standing) = self.0.get_mut(subject) else { return };
        let Some(place) = standing.open.iter().position(|open| open.hand == hand) else { return };
        let own = standing.open.remove(place);
        if let Some(effect) = effect {
            for open in &mut standing.open {
                open.meanwhile.push(effect.clone());
            }
            // Whose process had ended before this began must not take its place later.
            standing.open.retain(|open| {
                let is_before = open.cut_off.is_some_and(|at| at < own.begun);
                !is_before || open.is_found_later
            });
            standing.settled = own.meanwhile.into_iter().chain([effect.clone()]).collect();
        }
        standing.tell_looks();
    }

    /// Whether the last acknowledged change has left the subject connected so.
    pub fn is_settled_as(&self, subject: &str, login: &str) -> bool {
        let wanted = Some(login.to_owned());
        self.0.get(subject).is_some_and(|standing| standing.settled == BTreeSet::from([wanted]))
    }

    /// A look at how the subject stands is begun.
    pub fn look(&mut self, hand: usize, subject: &str) {
        let standing = self.0.entry(subject.to_owned()).or_default();
        let possible = standing.possible();
        standing.looks.insert(hand, possible);
    }

    /// What a look may have seen, from its beginning to now.
    pub fn seen(&mut self, hand: usize, subject: &str) -> BTreeSet<Outcome> {
        let standing = self.0.get_mut(subject).expect("a look was begun");
        standing.looks.remove(&hand).expect("a look was begun")
    }

    /// The process of this hand has ended.
    pub fn cut_off(&mut self, hand: usize, at: u64) {
        for standing in self.0.values_mut() {
            standing.looks.remove(&hand);
            for open in standing.open.iter_mut().filter(|open| open.hand == hand) {
                open.cut_off = Some(at);
            }
        }
    }

    /// From now on the subject may be found without a connection.
    pub fn may_be_lost(&mut self, subject: &str) {
        if let Some(standing) = self.0.get_mut(subject) {
            standing.settled.insert(None);
            for open in &mut standing.open {
                open.meanwhile.push(None);
            }
            standing.tell_looks();
        }
    }

    /// All that was cut off has been ended.
    pub fn forget_what_was_cut_off(&mut self) {
        for standing in self.0.values_mut() {
            let possible = standing.possible();
            standing.open.retain(|open| open.cut_off.is_none());
            standing.settled = possible;
        }
    }
}
