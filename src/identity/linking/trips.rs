//! How many trips of people whom nobody knows yet may be under way.
//!
//! Anybody may press the button of a consent page, and each press writes a flow and makes an account
//! at Scalekit before it is known who could be held to a share. So trips are counted from the button
//! until the browser comes back, or they end. One more than there may be takes the place of an older
//! one; a young one gives way to its own browser only, so that a flood cannot cancel the trip of
//! somebody who is just reading GitHub's page.
//!
//! Counted in memory, by each instance for itself: a count in the store would be written by
//! everybody at once. What began before a restart, or ends at another instance, is told by the
//! clock.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;

use super::super::flow::{Ending, LIFETIME};
use crate::domain::{FlowId, Timestamp};

/// Bounds of the trips that are under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct TripLimits {
    /// Of all browsers together.
    pub(super) in_all: usize,
    /// Of one browser: tabs of a person, and attempts that were given up.
    pub(super) of_one_browser: usize,
    /// How old a trip must be to give way to another browser's.
    pub(super) protected: TimeDelta,
    /// How many all browsers together may begin in [`LIFETIME`]: as many as could be begun if none
    /// ended before it had to give way.
    pub(super) begun_in_all: usize,
    /// How many one browser may begin in [`LIFETIME`], however they end.
    pub(super) begun_by_one_browser: usize,
}

impl Default for TripLimits {
    fn default() -> Self {
        Self {
            in_all: 2_000,
            of_one_browser: 5,
            protected: TimeDelta::minutes(2),
            begun_in_all: 15_000,
            begun_by_one_browser: 20,
        }
    }
}

/// The trips that are under way.
#[derive(Debug)]
pub(super) struct OpenTrips {
    /// A std mutex: it is never held across an await.
    trips: Mutex<Trips>,
}

/// A trip that must end for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GaveWay {
    pub(super) flow: FlowId,
    pub(super) ending: Ending,
}

impl OpenTrips {
    pub(super) fn new(limits: TripLimits) -> Self {
        let (open, begun) = (VecDeque::new(), VecDeque::new());
        Self { trips: Mutex::new(Trips { limits, open, begun }) }
    }

    /// Counts a trip that this browser begins. Whoever gave way for it must be ended by the caller.
    ///
    /// # Errors
    /// How long to wait, if there are enough and none may give way.
    pub(super) fn begin(
        &self,
        flow: &FlowId,
        browser: &str,
        now: Timestamp,
    ) -> Result<Option<GaveWay>, Duration> {
        self.lock().begin(flow, browser, now)
    }

    /// The trip that this browser began last, if it is still under way.
    pub(super) fn last_of(&self, browser: &str) -> Option<FlowId> {
        let trips = self.lock();
        let last = trips.open.iter().rfind(|trip| trip.browser == browser);
        last.map(|trip| trip.flow.clone())
    }

    /// The browser came back, or the trip ended without.
    pub(super) fn end(&self, flow: &FlowId) {
        self.lock().end(flow);
    }

    fn lock(&self) -> MutexGuard<'_, Trips> {
        self.trips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Trips {
    limits: TripLimits,
    /// In the order in which they began.
    open: VecDeque<Trip>,
    /// Whose trips began within [`LIFETIME`], and when, whether they have ended or not; in that
    /// order.
    begun: VecDeque<(String, Timestamp)>,
}

#[derive(Debug)]
struct Trip {
    flow: FlowId,
    /// The digest of its cookie.
    browser: String,
    begun_at: Timestamp,
}

impl Trips {
    fn begin(
        &mut self,
        flow: &FlowId,
        browser: &str,
        now: Timestamp,
    ) -> Result<Option<GaveWay>, Duration> {
        self.open.retain(|trip| now - trip.begun_at < LIFETIME);
        self.begun.retain(|(_, at)| now - *at < LIFETIME);
        if let Some(wait) = self.until_another(browser, now) {
            return Err(wait);
        }
        let own = self.open.iter().filter(|trip| trip.browser == browser).count();
        let place = if own >= self.limits.of_one_browser {
            self.open.iter().position(|trip| trip.browser == browser)
        } else if self.open.len() >= self.limits.in_all {
            let place = self.open.iter().position(|trip| self.may_give_way(trip, browser, now));
            Some(place.ok_or_else(|| self.wait(now))?)
        } else {
            None
        };
        let gone = place.and_then(|place| self.open.remove(place));
        self.begun.push_back((browser.to_owned(), now));
        self.open.push_back(Trip {
            flow: flow.clone(),
            browser: browser.to_owned(),
            begun_at: now,
        });
        Ok(gone.map(|gone| GaveWay {
            flow: gone.flow,
            ending: if gone.browser == browser { Ending::Superseded } else { Ending::Crowded },
        }))
    }

    fn end(&mut self, flow: &FlowId) {
        self.open.retain(|trip| trip.flow != *flow);
    }

    fn may_give_way(&self, trip: &Trip, browser: &str, now: Timestamp) -> bool {
        trip.browser == browser || now - trip.begun_at >= self.limits.protected
    }

    /// Until enough time has gone by since the last trips began; `None`: another may begin.
    fn until_another(&self, browser: &str, now: Timestamp) -> Option<Duration> {
        let own = || self.begun.iter().filter(|(other, _)| other == browser);
        let (_, oldest) = if own().count() >= self.limits.begun_by_one_browser {
            own().next()?
        } else if self.begun.len() >= self.limits.begun_in_all {
            self.begun.front()?
        } else {
            return None;
        };
        Some((LIFETIME - (now - *oldest)).min(LIFETIME).to_std().unwrap_or_default())
    }

    /// Until the first trip may give way.
    fn wait(&self, now: Timestamp) -> Duration {
        let protected = self.limits.protected;
        let first = self.open.iter().map(|trip| protected - (now - trip.begun_at)).min();
        // A clock that was set back makes trips of the future: nobody waits for those.
        first.unwrap_or_default().min(protected).to_std().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Clock as _, SystemClock, SystemEntropy};

    const LIMITS: TripLimits = TripLimits {
        in_all: 6,
        of_one_browser: 3,
        protected: TimeDelta::minutes(2),
        begun_in_all: 40,
        begun_by_one_browser: 9,
    };

    #[derive(Debug, Clone)]
    enum Step {
        Begin(u8),
        /// Ends the trip of this number among those that ever began.
        End(usize),
        /// Seconds pass.
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..8_u8).prop_map(Step::Begin),
            1 => (0..60_usize).prop_map(Step::End),
            2 => (0..200_i64).prop_map(Step::Pass),
            1 => (800..1_000_i64).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..120)
    }

    fn flow() -> FlowId {
        FlowId::mint(&SystemEntropy)
    }

    proptest! {
        /// Held against a model that knows of every trip whose it is and when it began.
        #[test]
        fn the_bounds_hold_and_nobody_gives_way_too_early(steps in steps()) {
            let trips = OpenTrips::new(LIMITS);
            let mut now = SystemClock.now();
            let mut ever: Vec<FlowId> = Vec::new();
            let mut open: BTreeMap<usize, (u8, Timestamp)> = BTreeMap::new();
            let mut begun: Vec<(u8, Timestamp)> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += TimeDelta::seconds(seconds),
                    Step::End(number) => {
                        if let Some(flow) = ever.get(number) {
                            trips.end(flow);
                            open.remove(&number);
                        }
                    }
                    Step::Begin(browser) => {
                        open.retain(|_, (_, begun_at)| now - *begun_at < LIFETIME);
                        let own = open.values().filter(|(other, _)| *other == browser).count();
                        begun.retain(|(_, at)| now - *at < LIFETIME);
                        let by_it = begun.iter().filter(|(other, _)| *other == browser).count();
                        let is_spent = by_it == LIMITS.begun_by_one_browser
                            || begun.len() == LIMITS.begun_in_all;
                        let flow = flow();
                        if is_spent {
                            let wait = trips.begin(&flow, &browser.to_string(), now).unwrap_err();
                            let wait = TimeDelta::from_std(wait).unwrap();
                            prop_assert!(wait > TimeDelta::zero() && wait <= LIFETIME);
                            // When it is over there is one less.
                            let left = begun.iter().filter(|(_, at)| now + wait - *at < LIFETIME);
                            prop_assert!(left.count() < begun.len());
                            continue;
                        }
                        match trips.begin(&flow, &browser.to_string(), now) {
                            Ok(None) => {
                                prop_assert!(open.len() < LIMITS.in_all);
                                prop_assert!(own < LIMITS.of_one_browser);
                            }
                            Ok(Some(gone)) => {
                                let number =
                                    ever.iter().position(|flow| *flow == gone.flow).unwrap();
                                let (whose, begun_at) = open.remove(&number).unwrap();
                                let is_own = whose == browser;
                                prop_assert!(is_own || now - begun_at >= LIMITS.protected);
                                prop_assert_eq!(is_own, gone.ending == Ending::Superseded);
                                // No older one of the same browser stays instead.
                                let is_oldest = open
                                    .iter()
                                    .all(|(other, (of, _))| *of != whose || *other > number);
                                prop_assert!(is_oldest);
                                // And nobody goes without need.
                                prop_assert!(
                                    own == LIMITS.of_one_browser && is_own
                                        || open.len() + 1 == LIMITS.in_all
                                );
                            }
                            Err(wait) => {
                                prop_assert_eq!(open.len(), LIMITS.in_all);
                                prop_assert_eq!(own, 0);
                                let wait = TimeDelta::from_std(wait).unwrap();
                                prop_assert!(wait > TimeDelta::zero() && wait <= LIMITS.protected);
                                // Who waits no longer than told is let in.
                                now += wait;
                                open.retain(|_, (_, begun_at)| now - *begun_at < LIFETIME);
                                let again = trips.begin(&flow, &browser.to_string(), now);
                                prop_assert!(again.is_ok());
                                if let Some(gone) = again.unwrap() {
                                    open.retain(|number, _| ever[*number] != gone.flow);
                                }
                            }
                        }
                        open.insert(ever.len(), (browser, now));
                        begun.push((browser, now));
                        ever.push(flow);
                        prop_assert_eq!(trips.lock().open.len(), open.len());
                        prop_assert!(open.len() <= LIMITS.in_all);
                        prop_assert!(own <= LIMITS.of_one_browser);
                    }
                }
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_back_lets_nobody_wait_longer() {
        let trips = OpenTrips::new(LIMITS);
        let now = SystemClock.now();
        for browser in 0..6 {
            trips.begin(&flow(), &browser.to_string(), now).unwrap();
        }
        let earlier = now - TimeDelta::hours(5);
        let wait = trips.begin(&flow(), "another", earlier).unwrap_err();
        assert_eq!(wait, LIMITS.protected.to_std().unwrap());
    }
}
